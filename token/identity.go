package token

import (
	"bytes"
	"slices"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const (
	identityTyp = "attorn-identity+jws"
	maxIdentity = 128 << 10 // bytes
)

// MaxIdentityKeys is how many keys one Identity has; Next leads on to more.
const MaxIdentityKeys = 100

// MaxIdentityTimes is how many suspensions one Identity tells of the agent, and of each of its keys: the latest.
const MaxIdentityTimes = 20

// Identity is what a server says to everybody about an agent: its status, who answers for it, as far as its workspace publishes that, and every key
// that was ever an instance of it, with the time in which it was good. So whoever kept it can tell for years which agent signed something, and whether
// two signatures are of one instance. Its signed form is a compact JWS by one of the server's keys. Times are in whole seconds since 1970, and a second
// counts as live if any moment of it was.
type Identity struct {
	Issuer     string         `json:"issuer"`
	ID         id.Agent       `json:"id"`
	AsOf       int64          `json:"as_of,omitzero"` // when it was signed: about later times it says nothing. Not in the unsigned form
	Status     string         `json:"status"`         // pending, active, suspended, revoked, expired
	Owner      *IdentityOwner `json:"owner,omitempty"`
	Registered int64          `json:"registered"`
	Expires    int64          `json:"expires,omitzero"`
	Suspended  []Span         `json:"suspended,omitempty"` // the agent, and so every key
	Keys       []IdentityKey  `json:"keys"`
	After      id.Key         `json:"after,omitzero"` // the keys are those after this one; absent: from the first
	Next       id.Key         `json:"next,omitzero"`  // more keys follow: those after this one
}

// IdentityOwner is the person accountable for an agent.
type IdentityOwner struct {
	ID   id.User `json:"id"`
	Name string  `json:"name,omitempty"`
}

// IdentityKey is the key of an instance, live or ended.
type IdentityKey struct {
	Kid         id.Key         `json:"kid"` // RFC 7638 thumbprint: the instance's name
	JWK         jose.PublicKey `json:"jwk"`
	Trust       string         `json:"trust"`  // enrolled, device, workload, spawned
	Status      string         `json:"status"` // active, suspended, rotated, revoked, expired
	From        int64          `json:"from"`
	Until       int64          `json:"until,omitzero"`       // good before this; absent: no end is known
	Predecessor id.Key         `json:"predecessor,omitzero"` // the key of the same running copy that this one replaced
	Suspended   []Span         `json:"suspended,omitempty"`
}

// Span is a time: from a moment until before another; without one it goes on.
type Span struct {
	From  int64 `json:"from"`
	Until int64 `json:"until,omitzero"`
}

// SignIdentity makes the signed form. Code: identity_malformed for one that VerifyIdentity would not accept.
func SignIdentity(i Identity, by jose.Signer) (string, error) {
	if err := i.check(); err != nil {
		return "", err
	}
	payload, err := jose.Canonical(i)
	if err != nil {
		return "", err
	}
	return jose.Sign(identityTyp, payload, by)
}

// VerifyIdentity checks the signed form of an agent's identity: by a key of its issuer, which keys finds, and that it is in canonical form. It needs no
// clock: AsOf says how old it is. Codes: identity_malformed, identity_signature, identity_issuer.
func VerifyIdentity(compact, issuer string, keys func(kid id.Key) (jose.PublicKey, bool)) (Identity, error) {
	var none, i Identity
	j, err := jose.Parse(compact, maxIdentity)
	if err == nil {
		err = j.Is(identityTyp)
	}
	if err != nil {
		return none, fault.Wrap(err, fault.Invalid, "identity_malformed", "the identity is no compact JWS of type %s: %v", identityTyp, err)
	}
	kid, err := id.ParseKey(j.Header.Kid)
	if err != nil || !j.Header.JWK.IsZero() {
		return none, identityRefused("malformed", "its header names the server's key by kid, the RFC 7638 thumbprint, and has no jwk")
	}
	if k, ok := keys(kid); !ok || k.Thumbprint() != kid || j.Verify(k) != nil {
		return none, identityRefused("signature", "it is not signed by a key of the server that is known")
	}
	if err := jose.Decode(j.Payload, &i, jose.Limits{Bytes: maxIdentity, Depth: 5, Values: 20_000}); err != nil {
		return none, fault.Wrap(err, fault.Invalid, "identity_malformed", "the identity cannot be read: %v", err)
	}
	if err := i.check(); err != nil {
		return none, err
	}
	if canonical, err := jose.Canonical(i); err != nil || !bytes.Equal(canonical, j.Payload) {
		return none, identityRefused("malformed", "the signed bytes are not the RFC 8785 form of what they say")
	}
	if i.Issuer != issuer {
		return none, identityRefused("issuer", "it is by another server than the one meant")
	}
	return i, nil
}

func identityRefused(what, reason string) error {
	return fault.New(fault.Invalid, "identity_"+what, "the identity is refused: %s", reason)
}

func (i Identity) check() error {
	bad := func(reason string) error { return identityRefused("malformed", reason) }
	switch {
	case i.Issuer == "" || len(i.Issuer) > maxKeyIssuer || i.ID.IsZero():
		return bad("it names an issuer and an agent")
	case i.AsOf <= 0 || i.AsOf > maxKeySeconds || i.Registered < 0 || i.Registered > i.AsOf || i.Expires < 0 || i.Expires > maxKeySeconds:
		return bad("its times are seconds since 1970, and it was registered before it was signed")
	case !slices.Contains([]string{"pending", "active", "suspended", "revoked", "expired"}, i.Status):
		return bad("it has no known status")
	case len(i.Keys) > MaxIdentityKeys || i.Keys == nil || badSpans(i.Suspended):
		return bad("it has too many keys, or suspensions that are no times")
	}
	if len(i.Keys) > 0 && !i.After.IsZero() && i.Keys[0].Kid.String() <= i.After.String() {
		return bad("its keys follow the one that it names")
	}
	for n, k := range i.Keys {
		if k.Kid != k.JWK.Thumbprint() || k.Kid.IsZero() || n > 0 && i.Keys[n-1].Kid.String() >= k.Kid.String() {
			return bad("its keys are named by their thumbprints, in the order of these, each once")
		}
		if k.From < 0 || k.From > maxKeySeconds || k.Until < 0 || k.Until > maxKeySeconds || badSpans(k.Suspended) {
			return bad("the times of a key are seconds since 1970")
		}
	}
	return nil
}

func badSpans(all []Span) bool {
	return len(all) > MaxIdentityTimes || slices.ContainsFunc(all, func(s Span) bool {
		return s.From < 0 || s.From > maxKeySeconds || s.Until < 0 || s.Until > maxKeySeconds || s.Until != 0 && s.Until < s.From
	})
}

// KeyAt is the key named kid, if it could act at a time in seconds: then what it signed is the agent's. A signed identity does not speak of times after
// it was signed. Codes: key_unknown, key_not_live.
func (i Identity) KeyAt(kid id.Key, at int64) (jose.PublicKey, error) {
	n := slices.IndexFunc(i.Keys, func(k IdentityKey) bool { return k.Kid == kid })
	if n < 0 {
		return jose.PublicKey{}, fault.New(fault.NotFound, "key_unknown", "the key %s is none of those that are listed here of agent %s", kid, i.ID)
	}
	k := i.Keys[n]
	not := func(reason string) (jose.PublicKey, error) {
		return jose.PublicKey{}, fault.New(fault.Denied, "key_not_live", "the key %s of agent %s was not live then: %s", kid, i.ID, reason)
	}
	switch {
	case i.AsOf != 0 && at > i.AsOf:
		return not("this was signed before")
	case at < k.From:
		return not("it began later")
	case k.Until != 0 && at >= k.Until, i.Expires != 0 && at >= i.Expires:
		return not("it had ended")
	case within(i.Suspended, at):
		return not("the agent was suspended")
	case within(k.Suspended, at):
		return not("it was suspended")
	}
	return k.JWK, nil
}

func within(all []Span, at int64) bool {
	return slices.ContainsFunc(all, func(s Span) bool { return at >= s.From && (s.Until == 0 || at < s.Until) })
}
