package attorn

import (
	"io/fs"
	"os"
	"sync"

	"github.com/attorn/attorn/jose"
)

// held is the key that a door signs with: one that was given, or that of a file, which is read again when another key has taken its place.
type held struct {
	path string // "" for a key that was given

	mu     sync.Mutex
	signer jose.Signer
	seen   fs.FileInfo // the file as it was when signer was read
	whose  *keyHolder
}

// key is the key of now. A file that cannot be read, or that has become somebody else's, changes nothing: what signs then is the key that was there.
func (h *held) key() jose.Signer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.path == "" {
		return h.signer
	}
	info, err := os.Lstat(h.path)
	if err != nil || h.seen != nil && os.SameFile(h.seen, info) && h.seen.ModTime().Equal(info.ModTime()) && h.seen.Size() == info.Size() {
		return h.signer
	}
	k, err := readKeyFile(h.path)
	if err != nil {
		return h.signer
	}
	h.seen = info
	if h.whose != nil && (k.Attorn == nil || *k.Attorn != *h.whose) {
		return h.signer
	}
	if s, err := k.signer(); err == nil {
		h.signer = s
	}
	return h.signer
}
