package jose

// The short ways, and the long ones that they must agree with.
var (
	InForm   = inForm
	Integers = integers

	Remarkable = remarkable
	WalkJWK    = func(text []byte) bool { return walkJWK(text, maxNesting) }
)
