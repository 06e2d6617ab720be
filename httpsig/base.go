package httpsig

import (
	"net/textproto"
	"strings"

	"github.com/attorn/attorn/fault"
)

// The limits of what is read.
const (
	maxLines  = 16       // of one field
	maxValue  = 16 << 10 // bytes of one field, an access token of 8 KiB among them
	maxCovers = 32       // components
	maxTarget = 8 << 10  // bytes
)

// Request is what a signature can cover.
type Request struct {
	Method string // as sent; its case counts
	// TargetURI is the whole URL as sent, with its query and without a fragment: http or https, authority, path (RFC 9421 §2.2.2). A verifier behind a
	// proxy puts it together from the URL that it is known by and the path and query as received, in neither of which anything is normalised.
	TargetURI string
	// Header gives the lines of a field by its lower-case name, none for an absent one: Fields of an http.Header, or its method Values.
	Header func(name string) []string
	Body   []byte
}

// Fields is what Request needs of an http.Header. It does what the method Values does, and is quicker for the fields that this package asks for.
func Fields(h map[string][]string) func(name string) []string {
	return func(name string) []string {
		switch name {
		case "signature-input":
			name = "Signature-Input"
		case "signature":
			name = "Signature"
		case "attorn-audience":
			name = "Attorn-Audience"
		case "content-digest":
			name = "Content-Digest"
		case "authorization":
			name = "Authorization"
		case "attorn-call-digest":
			name = "Attorn-Call-Digest"
		default:
			name = textproto.CanonicalMIMEHeaderKey(name)
		}
		return h[name]
	}
}

// The components that a request always covers, and those that it covers when it has them.
var (
	always    = [...]string{"@method", "@target-uri", "attorn-audience", "content-digest"}
	ifPresent = [...]string{"authorization", "attorn-call-digest"}
)

// target is a target URI taken apart, in the bytes in which it came.
type target struct{ uri, scheme, authority, path, query string }

// target reads what is asked of whom; false where that is no request.
func (r Request) target() (target, bool) {
	t, ok := parseTarget(r.TargetURI)
	return t, ok && fieldName(strings.ToLower(r.Method))
}

// parseTarget reads an absolute http or https URL. Where it has no path it gets the one that is sent for it, / (RFC 9110 §4.2.3).
func parseTarget(uri string) (target, bool) {
	var t target
	rest, ok := "", false
	if t.scheme, rest, ok = strings.Cut(uri, "://"); !ok || len(uri) > maxTarget {
		return t, false
	}
	if s := strings.ToLower(t.scheme); s != "http" && s != "https" {
		return t, false
	}
	for _, c := range []byte(uri) {
		if c <= ' ' || c >= 0x7f || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\' {
			return t, false
		}
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	t.authority, rest = rest[:end], rest[end:]
	if t.authority == "" || strings.Contains(t.authority, "@") {
		return t, false
	}
	t.uri = uri
	if rest == "" || rest[0] == '?' {
		rest = "/" + rest
		t.uri = t.scheme + "://" + t.authority + rest
	}
	t.path, t.query = rest, "?" // an absent query is like an empty one (RFC 9421 §2.2.7)
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		t.path, t.query = rest[:i], rest[i:]
	}
	return t, true
}

// normalAuthority is @authority (RFC 9421 §2.2.3): in lower case, without the scheme's own port.
func (t target) normalAuthority() string {
	a := strings.ToLower(t.authority)
	if strings.EqualFold(t.scheme, "https") {
		return strings.TrimSuffix(a, ":443")
	}
	return strings.TrimSuffix(a, ":80")
}

// value is the component name of the request (RFC 9421 §2.1, §2.2); ok is false where it has none.
func (r Request) value(name string, t target) (v string, ok bool, err error) {
	switch name {
	case "@method":
		return r.Method, true, nil
	case "@target-uri":
		return t.uri, true, nil
	case "@authority":
		return t.normalAuthority(), true, nil
	case "@path":
		return t.path, true, nil
	case "@query":
		return t.query, true, nil
	}
	return r.field(name)
}

// field is a field's lines as one value: without white space around each, and ", " between (RFC 9421 §2.1). A line with a line break in it, obsolete
// folding among them, or any other character that is not plain ASCII is refused: two messages could have one base.
func (r Request) field(name string) (v string, ok bool, err error) {
	lines := r.Header(name)
	if len(lines) == 0 {
		return "", false, nil
	}
	if len(lines) > maxLines {
		return "", false, malformed("the field %s stands there %d times; at most %d lines are read", name, len(lines), maxLines).Try("send the field on one line")
	}
	total := 0
	for _, line := range lines {
		total += len(line)
	}
	if total > maxValue {
		return "", false, malformed("the field %s has %d bytes; at most %d are read", name, total, maxValue).Try("send a shorter field, or leave it out of what is covered")
	}
	for _, line := range lines {
		for _, c := range []byte(line) {
			if (c < ' ' && c != '\t') || c >= 0x7f {
				return "", false, malformed("the field %s has a line break or another character that is not plain ASCII", name).Try("send it on one line in ASCII, or leave it out of what is covered")
			}
		}
	}
	if len(lines) == 1 {
		return strings.Trim(lines[0], " \t"), true, nil
	}
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, " \t")
	}
	return strings.Join(trimmed, ", "), true, nil
}

// once refuses a field that a request has more than once.
func (r Request) once(name string) error {
	if n := len(r.Header(name)); n > 1 {
		return malformed("the request has %d %s fields, not one", n, name).Try("send one")
	}
	return nil
}

// component checks an identifier of a covered component: a plain field in lower case, or one of the derived ones that are accepted.
func component(i item) (string, error) {
	if i.kind != kindString || i.text == "" {
		return "", malformed("a covered component is no string (RFC 9421 §2)")
	}
	if len(i.params) > 0 {
		return "", coverage("a covered component has parameters, which this profile does not take")
	}
	return i.text, acceptable(i.text)
}

// acceptable checks the name of a component. None that is accepted would be escaped.
func acceptable(name string) error {
	switch name {
	case "@method", "@target-uri", "@authority", "@path", "@query":
		return nil
	case "signature", "signature-input":
	default:
		if fieldName(name) {
			return nil
		}
		if strings.HasPrefix(name, "@") {
			return coverage("a derived component is covered that this profile does not take")
		}
	}
	return malformed("a covered component is not the name of a field in lower case")
}

// fieldName accepts a token (RFC 9110 §5.6.2) without upper-case letters.
func fieldName(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// values are the covered components of the request.
func (r Request) values(t target, covered []string) ([]string, error) {
	values := make([]string, len(covered))
	for i, name := range covered {
		v, ok, err := r.value(name, t)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, coverage("the signature covers %s, which the request does not have", name)
		}
		values[i] = v
	}
	return values, nil
}

// base is the signature base (RFC 9421 §2.5) of components and their values under the parameters.
func (p params) base(covered, values []string) []byte {
	size := len(`"@signature-params": `) + p.size(covered)
	for i, name := range covered {
		size += len(name) + len(values[i]) + len(`"": `+"\n")
	}
	b := make([]byte, 0, size)
	for i, name := range covered {
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `": `...)
		b = append(b, values[i]...)
		b = append(b, '\n')
	}
	b = append(b, `"@signature-params": `...)
	return p.append(b, covered)
}

func malformed(reason string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "signature_malformed", reason, args...).
		Try("write Signature-Input, Signature and Content-Digest as RFC 9421 §4 and RFC 9530 §2 say, with the parameters that Accept-Signature names")
}

func coverage(reason string, args ...any) *fault.Error {
	return fault.New(fault.Unauthenticated, "signature_coverage", reason, args...).
		Try("sign what the Accept-Signature header of the answer names, and plain fields, @authority, @path and @query at most beside it")
}
