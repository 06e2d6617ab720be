package jose

import (
	"strings"
	"sync"
)

// maxHeaders is how many headers Headers remembers.
const maxHeaders = 4096

// Headers remembers the headers of JWS that were verified, so that the next one by the same key need not have its own read again. It vouches for nothing: a
// header that it gives back says what its bytes say. What it remembers is bounded. The zero value is empty; safe for concurrent use.
type Headers struct {
	mu    sync.RWMutex
	known map[string]Header // by their text
}

// Of is the Header that a compact JWS begins with, byte for byte, if it is remembered, else the zero value: in both cases its method Parse reads the JWS.
func (h *Headers) Of(compact string) Header {
	text, _, _ := strings.Cut(compact, ".")
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.known[text]
}

// Keep remembers the Header of a JWS that was parsed and verified.
func (h *Headers) Keep(seen Header) {
	if seen.text == "" {
		return
	}
	h.mu.RLock()
	_, known := h.known[seen.text]
	h.mu.RUnlock()
	if known {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) >= maxHeaders {
		h.known = map[string]Header{}
	}
	h.known[seen.text] = seen
}
