package guard

import (
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// NoPrivateKey refuses a text that somebody sent if it holds a private key (authority.md §7): faces ask before they parse it, so that nothing of it is
// stored, and neither the refusal nor the log repeats it. Code: private_key.
func NoPrivateKey(text []byte) error {
	if !jose.HoldsPrivateKey(text) {
		return nil
	}
	return fault.New(fault.Invalid, "private_key", "the request holds a private key, which must never leave its holder; nothing was done with it and it is not kept").
		Try("give this key up, since it was exposed on the way: make a new one, send its public part alone, and revoke what was enrolled with the old one")
}
