package jose

// The short ways, and the long ones that they must agree with.
var (
	InForm   = inForm
	Integers = integers

	WalkJWK = func(text []byte) bool { return walkJWK(text, maxNesting) }
)

// Len is how many are remembered.
func (h *Headers) Len() int { return len(h.known) }
