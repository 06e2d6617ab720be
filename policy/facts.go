package policy

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// Facts is everything that a decision reads, besides the set and the approvals. It is evidence: Bytes stores it and ParseFacts reads it back to
// the same decision. Instants are microseconds since 1970 UTC.
type Facts struct {
	Principals    []UID          `json:"principals"`               // current actor first, then earlier actors, the person, if any, last
	Action        string         `json:"action"`                   // the permission asked for
	ActionParents []string       `json:"action_parents,omitempty"` // see ActionParents; transitive
	Resource      UID            `json:"resource"`
	Arguments     jsontext.Value `json:"arguments,omitzero"`      // an object in RFC 8785 form; absent where an action has none
	OpenArguments bool           `json:"open_arguments,omitzero"` // the tool takes arguments that its definition does not declare, which policy does not see
	Actor         Actor          `json:"actor"`
	Delegation    Lent           `json:"delegation,omitzero"`
	Auth          *Auth          `json:"auth,omitempty"` // only with a person
	Now           int64          `json:"now"`
	IP            string         `json:"ip,omitempty"`  // in netip's form
	Risk          int64          `json:"risk,omitzero"` // 0 to 100
	Entities      []Entity       `json:"entities"`      // all principals, the resource, voters, and what those are in
}

// Actor says how the current actor showed itself. Which agent it is stands in Facts.Principals.
type Actor struct {
	Instance string `json:"instance"` // thumbprint; "" without one
	Origin   string `json:"origin"`   // enrolled, device, workload, spawned; "" for a person
	Proof    string `json:"proof"`    // dpop, httpsig …
}

// Lent is the delegation under which the actor acts. The zero value is none.
type Lent struct {
	ID      string `json:"id"`
	Depth   int64  `json:"depth"`
	Task    string `json:"task,omitempty"`
	Purpose string `json:"purpose,omitempty"`
}

// Auth says how well and how long ago, in seconds, the person signed in.
type Auth struct {
	ACR int64 `json:"acr"` // 0 unknown, 1 upstream, 2 upstream multi-factor, 3 passkey with user verification
	Age int64 `json:"age"`
}

// UID names an entity.
type UID struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// The types of principals, and of what is called.
const (
	TypeUser  = "User"
	TypeAgent = "Agent"
	TypeTool  = "Tool"
)

// String is Cedar's form: Type::"id".
func (u UID) String() string { return entityUID(u).String() }

func (u UID) compare(o UID) int {
	if c := strings.Compare(u.Type, o.Type); c != 0 {
		return c
	}
	return strings.Compare(u.ID, o.ID)
}

// Entity is what is known of a principal, resource or group. An attribute is a string, int64 (below 2^53), bool, Decimal, UID, or a []any of
// those. Parents need not hold grandparents if those have entities of their own on the way.
type Entity struct {
	UID     UID               `json:"uid"`
	Parents []UID             `json:"parents,omitempty"`
	Attrs   map[string]any    `json:"attrs,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// Decimal is a number with one to four decimals, as Cedar writes it: "1.25".
type Decimal string

// The bounds of facts. Arguments have bounds of their own (see project).
const (
	maxFacts      = 1 << 20 // bytes
	maxArguments  = 64 << 10
	maxPrincipals = 16
	maxEntities   = 4096
	maxName       = 1024 // bytes of an id, permission or attribute's name
	maxInteger    = 1<<53 - 1
)

// factsV1 is the stored form.
type factsV1 struct {
	V int `json:"v"`
	Facts
}

// Bytes is the RFC 8785 form of f, with entities, parents and groups sorted; two equal sets of facts have the same bytes. Codes: schema,
// args_too_large, too_large.
func (f Facts) Bytes() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	f.ActionParents = slices.Compact(slices.Sorted(slices.Values(f.ActionParents)))
	f.Entities = slices.Clone(f.Entities)
	slices.SortFunc(f.Entities, func(a, b Entity) int { return a.UID.compare(b.UID) })
	for i := range f.Entities {
		f.Entities[i].Parents = slices.Compact(slices.SortedFunc(slices.Values(f.Entities[i].Parents), UID.compare))
	}
	raw, err := json.Marshal(factsV1{1, f})
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "schema", "the facts have no JSON form")
	}
	return jose.CanonicalRaw(raw, factsLimits())
}

// ParseFacts reads exactly what Bytes writes. Codes: malformed, too_large, schema, args_too_large.
func ParseFacts(raw []byte) (Facts, error) {
	var f factsV1
	if err := jose.Decode(raw, &f, factsLimits()); err != nil {
		return Facts{}, err
	}
	if f.V != 1 {
		return Facts{}, fault.New(fault.Invalid, "malformed", "facts of version %d are not known", f.V)
	}
	again, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	if !bytes.Equal(raw, again) {
		return Facts{}, fault.New(fault.Invalid, "malformed", "the facts are not in their canonical form")
	}
	return f.Facts, nil
}

func factsLimits() jose.Limits {
	return jose.Limits{Bytes: maxFacts, Depth: argumentLimits().Depth + 8, Values: 200_000}
}

// argumentLimits are those of the text; the values have closer ones.
func argumentLimits() jose.Limits {
	return jose.Limits{Bytes: maxArguments, Depth: 64, Values: maxArguments}
}

// Person is the person at the root of the chain, if there is one.
func (f Facts) Person() (UID, bool) {
	if n := len(f.Principals); n > 0 && f.Principals[n-1].Type == TypeUser {
		return f.Principals[n-1], true
	}
	return UID{}, false
}

// Excluded lists who may not vote on this request: every principal of its chain, and the owner (attribute "owner") of each agent among them. Sorted.
func (f Facts) Excluded() []UID {
	out := slices.Clone(f.Principals)
	for _, e := range f.Entities {
		if owner, ok := e.Attrs["owner"].(UID); ok && slices.Contains(f.Principals, e.UID) {
			out = append(out, owner)
		}
	}
	slices.SortFunc(out, UID.compare)
	return slices.Compact(out)
}

// check holds f to the rules that deciding relies on. Codes: schema, args_too_large.
func (f Facts) check() error {
	bad := func(reason string, args ...any) error { return fault.New(fault.Invalid, "schema", reason, args...) }
	_, person := f.Person()
	switch {
	case len(f.Principals) == 0 || len(f.Principals) > maxPrincipals:
		return bad("a request has 1 to %d principals", maxPrincipals)
	case f.Action == "" || len(f.Action) > maxName:
		return bad("an action has 1 to %d bytes", maxName)
	case len(f.ActionParents) > maxEntities || len(f.Entities) > maxEntities:
		return bad("more than %d entities or groups of the action", maxEntities)
	case f.Now < 0 || f.Now > maxInteger:
		return bad("now is not a time in microseconds")
	case f.Risk < 0 || f.Risk > 100:
		return bad("risk is not between 0 and 100")
	case f.IP != "" && !goodIP(f.IP):
		return bad("ip is not an address in its shortest form")
	case f.Delegation != Lent{} && (f.Delegation.ID == "" || f.Delegation.Depth < 0 || f.Delegation.Depth > maxInteger):
		return bad("a delegation has an id and a depth")
	case f.Auth != nil && (!person || f.Auth.ACR < 0 || f.Auth.ACR > 3 || f.Auth.Age < 0 || f.Auth.Age > maxInteger):
		return bad("auth belongs to a person and has an acr of 0 to 3 and an age")
	}
	if err := f.Resource.check(); err != nil {
		return err
	}
	if err := f.checkEntities(); err != nil {
		return err
	}
	return f.checkArguments()
}

// goodIP reports whether a text is an address in its one form, without a zone.
func goodIP(text string) bool {
	ip, err := netip.ParseAddr(text)
	return err == nil && ip.String() == text && ip.Zone() == "" && !ip.Is4In6()
}

func (f Facts) checkEntities() error {
	seen := make(map[UID]bool, len(f.Entities))
	for _, e := range f.Entities {
		if err := e.check(); err != nil {
			return err
		}
		if seen[e.UID] {
			return fault.New(fault.Invalid, "schema", "an entity is there twice")
		}
		seen[e.UID] = true
	}
	for i, p := range f.Principals {
		last := i == len(f.Principals)-1
		if p.Type != TypeAgent && (p.Type != TypeUser || !last) {
			return fault.New(fault.Invalid, "schema", "principals are agents, and at the end a person")
		}
		if !seen[p] {
			return fault.New(fault.Invalid, "schema", "a principal has no entity")
		}
	}
	return nil
}

// checkArguments holds the arguments to their canonical form, so that what is judged is what was digested.
func (f Facts) checkArguments() error {
	if f.Arguments == nil {
		return nil
	}
	canonical, err := jose.CanonicalRaw(f.Arguments, argumentLimits())
	switch {
	case fault.Code(err) == "too_large":
		return fault.New(fault.Invalid, "args_too_large", "the arguments have more than %d bytes or are nested too deep", maxArguments)
	case err != nil || !bytes.Equal(canonical, f.Arguments) || f.Arguments.Kind() != '{':
		return fault.New(fault.Invalid, "schema", "the arguments are not a JSON object in canonical form")
	}
	return nil
}
