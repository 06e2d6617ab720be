package httpsig

// BaseOf is the signature base for covered components and parameters as a Signature-Input member has them, without the rules of the profile: it is how the
// examples of RFC 9421 are held to the one function that makes bases.
func BaseOf(r Request, text string) (string, error) {
	members, err := dictionary("Signature-Input", []string{label + "=" + text})
	if err != nil || len(members) != 1 || !members[0].list {
		return "", malformed("not one inner list")
	}
	in, covered, err := read(members[0])
	if err != nil {
		return "", err
	}
	t, ok := r.target()
	if !ok {
		return "", malformed("no target")
	}
	values, err := r.values(t, covered)
	if err != nil {
		return "", err
	}
	return string(in.base(covered, values)), nil
}
