package httpsig

import "github.com/dunglas/httpsfv"

// BaseOf is the signature base for covered components and parameters as a Signature-Input member has them, without the rules of the profile: it is how the
// examples of RFC 9421 are held to the one function that makes bases.
func BaseOf(r Request, member string) (string, error) {
	list, err := httpsfv.UnmarshalList([]string{member})
	if err != nil || len(list) != 1 {
		return "", malformed("not one member")
	}
	inner, ok := list[0].(httpsfv.InnerList)
	if !ok {
		return "", malformed("not an inner list")
	}
	covered := make([]string, 0, len(inner.Items))
	for _, item := range inner.Items {
		name, err := component(item)
		if err != nil {
			return "", err
		}
		covered = append(covered, name)
	}
	text, err := httpsfv.Marshal(inner)
	if err != nil {
		return "", err
	}
	t, ok := r.target()
	if !ok {
		return "", malformed("no target")
	}
	base, err := r.base(t, covered, text)
	return string(base), err
}
