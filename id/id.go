// Package id holds the identifiers of everything that attorn names. An identifier exists only parsed: a value of one of these types was
// either made here or checked here, and two of different kinds cannot be mixed up or compared.
package id

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
)

// The kinds. Each is an empty type that only names the prefix.
type (
	agentKind      struct{}
	userKind       struct{}
	delegationKind struct{}
	eventKind      struct{}
	decisionKind   struct{}
	approvalKind   struct{}
	serviceKind    struct{}
	trustRuleKind  struct{}
	appKind        struct{}
	issuerKind     struct{}
	bindingKind    struct{}
)

type kind interface{ prefix() string }

func (agentKind) prefix() string      { return "agt" }
func (userKind) prefix() string       { return "usr" }
func (delegationKind) prefix() string { return "dlg" }
func (eventKind) prefix() string      { return "evt" }
func (decisionKind) prefix() string   { return "dec" }
func (approvalKind) prefix() string   { return "apr" }
func (serviceKind) prefix() string    { return "svc" }
func (trustRuleKind) prefix() string  { return "tru" }
func (appKind) prefix() string        { return "app" }
func (issuerKind) prefix() string     { return "tis" }
func (bindingKind) prefix() string    { return "bnd" }

// Of is an identifier of kind K: a UUIDv7 (RFC 9562 §5.7) printed as `prefix_` and 26 characters of lower-case base32 (RFC 4648 §7
// alphabet, which sorts like the bytes). The zero value is no identifier and prints as "".
type Of[K kind] struct{ b [16]byte }

// The identifiers.
type (
	Agent      = Of[agentKind]
	User       = Of[userKind]
	Delegation = Of[delegationKind]
	Event      = Of[eventKind]
	Decision   = Of[decisionKind]
	Approval   = Of[approvalKind]
	Service    = Of[serviceKind]
	TrustRule  = Of[trustRuleKind]
	App        = Of[appKind]
	Issuer     = Of[issuerKind] // a rule that trusts another server
	Binding    = Of[bindingKind]
)

// The extended-hex alphabet, in lower case, keeps the order of the bytes in the text.
var text = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// textLength is that of 16 bytes in base32.
const textLength = 26

// New makes an identifier of now, unique by 74 random bits.
func New[T Of[K], K kind](now time.Time) T {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return T{b}
}

// From is the identifier that New could have made at a time, of what seed is the digest of: the same for the same two.
func From[T Of[K], K kind](at time.Time, seed Digest) T {
	o := Of[K](New[T, K](at))
	sum := seed.Bytes()
	o.b[6], o.b[7] = sum[6]&0x0f|0x70, sum[7]
	copy(o.b[8:], sum[8:16])
	o.b[8] = o.b[8]&0x3f | 0x80
	return T(o)
}

// Parse reads an identifier in exactly the form that String prints; anything else is an error.
func Parse[T Of[K], K kind](s string) (T, error) {
	var k K
	bad := func() (T, error) { return T{}, &formError{k.prefix(), len(s)} }
	rest, ok := strings.CutPrefix(s, k.prefix()+"_")
	if !ok || len(rest) != textLength {
		return bad()
	}
	var b [16]byte
	if n, err := text.Decode(b[:], []byte(rest)); err != nil || n != 16 {
		return bad()
	}
	var again [textLength]byte
	if text.Encode(again[:], b[:]); string(again[:]) != rest { // spare bits of the last character
		return bad()
	}
	return T{b}, nil
}

// formError is put into words by who reads it: what is tried as one kind is often another.
type formError struct {
	prefix string
	length int
}

func (e *formError) Error() string {
	return fmt.Sprintf("not an identifier of the form %s_…: %d characters", e.prefix, e.length)
}

// Must is Parse for literals in tests and tables; it panics on anything else.
func Must[T Of[K], K kind](s string) T {
	t, err := Parse[T, K](s)
	if err != nil {
		panic(err)
	}
	return t
}

// DecisionOf and EventOf turn the one into the other: a decision and the event that records it share their number.
func DecisionOf(e Event) Decision { return Decision(e) }

// EventOf is the inverse of DecisionOf.
func EventOf(d Decision) Event { return Event(d) }

func (o Of[K]) String() string {
	if o.IsZero() {
		return ""
	}
	return string(o.append(make([]byte, 0, 4+textLength)))
}

func (o Of[K]) append(to []byte) []byte {
	var k K
	return text.AppendEncode(append(append(to, k.prefix()...), '_'), o.b[:])
}

// Short is the form for people's eyes beside a name: the prefix and the last six characters, which are random. It identifies nothing.
func (o Of[K]) Short() string {
	s := o.String()
	if s == "" {
		return ""
	}
	return s[:4] + "…" + s[len(s)-6:]
}

// IsZero reports whether o is no identifier.
func (o Of[K]) IsZero() bool { return o == Of[K]{} }

// MarshalText implements encoding.TextMarshaler.
func (o Of[K]) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// AppendText implements encoding.TextAppender.
func (o Of[K]) AppendText(to []byte) ([]byte, error) {
	if o.IsZero() {
		return to, nil
	}
	return o.append(to), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; it accepts what Parse accepts.
func (o *Of[K]) UnmarshalText(b []byte) error {
	v, err := Parse[Of[K], K](string(b))
	if err == nil {
		*o = v
	}
	return err
}

// Value implements driver.Valuer: text, or NULL for no identifier.
func (o Of[K]) Value() (driver.Value, error) {
	if o.IsZero() {
		return nil, nil
	}
	return o.String(), nil
}

// Scan implements sql.Scanner.
func (o *Of[K]) Scan(src any) error {
	s, null, err := scanText(src)
	if err != nil || null {
		*o = Of[K]{}
		return err
	}
	return o.UnmarshalText([]byte(s))
}

func scanText(src any) (s string, null bool, err error) {
	switch v := src.(type) {
	case nil:
		return "", true, nil
	case string:
		return v, v == "", nil
	case []byte:
		return string(v), len(v) == 0, nil
	}
	return "", false, fmt.Errorf("identifier stored as %T", src)
}
