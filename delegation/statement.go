package delegation

import (
	"bytes"
	"net/url"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// The limits of a statement.
const (
	MaxLinks    = 8                           // statements in a chain
	MaxDepth    = 8                           // hops that a statement may say can still follow
	MaxLifetime = 366 * 24 * 60 * 60          // seconds
	MaxBytes    = 8 << 10                     // canonical bytes
	maxPerms    = 64                          // permissions
	maxTask     = 128                         // bytes
	maxPurpose  = 500                         // bytes
	maxIssuer   = 255                         // bytes
	maxUses     = 1_000_000_000               // calls
	maxSeconds  = 253_402_300_799             // the last second of the year 9999
	secondsForm = "2006-01-02T15:04:05Z07:00" // times in reasons, UTC
)

// A Delegator lends. It is a person (User alone; only at the root of a chain), or an agent with the instance key that signs.
type Delegator struct {
	User     id.User  `json:"user,omitzero"`
	Agent    id.Agent `json:"agent,omitzero"`
	Instance id.Key   `json:"instance,omitzero"`
}

// A Delegate is lent to: an agent, and where Instance is set only the one instance that has this key.
type Delegate struct {
	Agent    id.Agent `json:"agent"`
	Instance id.Key   `json:"instance,omitzero"`
}

// A Statement says who lends what to whom, until when and for which task. Times are Unix seconds; NotBefore is inclusive, ExpiresAt
// exclusive. It is unique by its random id.
type Statement struct {
	Version     int           `json:"v"` // 1
	ID          id.Delegation `json:"id"`
	Issuer      string        `json:"iss"`
	Workspace   id.Workspace  `json:"ws"`
	Parent      *id.Digest    `json:"parent"` // digest of the parent's bytes; nil at the root
	Delegator   Delegator     `json:"delegator"`
	Delegate    Delegate      `json:"delegate"`
	Permissions []Permission  `json:"permissions"`
	NotBefore   int64         `json:"not_before"`
	ExpiresAt   int64         `json:"expires_at"`
	MaxUses     *int64        `json:"max_uses,omitzero"` // calls, by the delegate and all descendants together; nil is no limit of its own
	MaxDepth    int           `json:"max_depth"`         // hops that may still follow; 0 forbids lending on
	Task        string        `json:"task,omitzero"`     // identifier of the piece of work
	Purpose     string        `json:"purpose,omitzero"`  // a sentence for people
	MayAct      id.Agent      `json:"may_act,omitzero"`  // another agent, that may act in the delegate's stead with a token of it (RFC 8693 §4.4)
}

// Bytes is the statement's one form, which the delegator signs: RFC 8785. Codes: those of Check.
func (s Statement) Bytes() ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	b, err := jose.Canonical(s)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "statement_invalid", "the statement has no canonical form")
	}
	if len(b) > MaxBytes {
		return nil, fault.New(fault.TooLarge, "too_large", "a statement has at most %d bytes, not %d", MaxBytes, len(b)).Try("lend fewer or shorter permissions")
	}
	return b, nil
}

// Digest is the SHA-256 of Bytes: what a child names as its parent, and the challenge that a passkey signs.
func (s Statement) Digest() (id.Digest, error) {
	b, err := s.Bytes()
	if err != nil {
		return id.Digest{}, err
	}
	return id.Sum(b), nil
}

// ParseStatement reads exactly what Bytes writes: canonical bytes, no member more, every rule of Check. Codes: too_large, malformed,
// not_canonical, and those of Check.
func ParseStatement(raw []byte) (Statement, error) {
	var s Statement
	if err := jose.Decode(raw, &s, jose.Limits{Bytes: MaxBytes}); err != nil {
		return Statement{}, err
	}
	if err := canonical(s, raw); err != nil {
		return Statement{}, err
	}
	return s, s.Check()
}

// canonical demands that raw, from which v was read, is the one form of v.
func canonical(v any, raw []byte) error {
	b, err := jose.Canonical(v)
	if err != nil || !bytes.Equal(b, raw) {
		return fault.Wrap(err, fault.Invalid, "not_canonical", "the bytes are not the RFC 8785 form of what they say").
			Try("sign and send the canonical bytes, without absent members written out")
	}
	return nil
}

// Check holds the statement to the rules that need no other: form, limits, times, and who can lend to whom. Codes: statement_invalid,
// permission_invalid.
func (s Statement) Check() error {
	if s.Version != 1 {
		return badStatement("v is 1, the only version there is")
	}
	if s.ID.IsZero() || s.Workspace.IsZero() {
		return badStatement("a statement has an id and a workspace")
	}
	if !issuer(s.Issuer) {
		return badStatement("iss is the server's URL: http or https, a host, no user, query or fragment, at most %d bytes", maxIssuer)
	}
	if err := s.checkParties(); err != nil {
		return err
	}
	if err := s.checkBounds(); err != nil {
		return err
	}
	if len(s.Task) > maxTask || !plain(s.Task) || len(s.Purpose) > maxPurpose || !plain(s.Purpose) {
		return badStatement("task has at most %d bytes and purpose %d, without control or bidirectional characters", maxTask, maxPurpose)
	}
	if n := len(s.Permissions); n == 0 || n > maxPerms {
		return badStatement("a statement lends 1 to %d permissions, not %d", maxPerms, n)
	}
	for _, p := range s.Permissions {
		if err := p.Check(); err != nil {
			return err
		}
	}
	return nil
}

// InStead reports whether the statement is a person's below another one of theirs: what the server lends, in the person's name, to the agent that the other one
// says may act. Everybody else's with a parent is an agent's.
func (s Statement) InStead() bool { return !s.Delegator.User.IsZero() && s.Parent != nil }

// A person lends from their own authority, so theirs is a root, or rests on what another root of theirs says of who may act; an agent lends from what it was
// lent, so its statement has a parent.
func (s Statement) checkParties() error {
	d := s.Delegator
	switch {
	case s.Delegate.Agent.IsZero():
		return badStatement("the delegate is an agent")
	case d.User.IsZero() == d.Agent.IsZero():
		return badStatement("the delegator is either a user or an agent")
	case d.Agent.IsZero() != d.Instance.IsZero():
		return badStatement("an agent lends with the key of one instance, a user names none")
	case !d.Agent.IsZero() && s.Parent == nil:
		return badStatement("an agent's statement has a parent")
	case s.InStead() && (s.MaxDepth != 0 || s.MaxUses != nil || !s.Delegate.Instance.IsZero()):
		return badStatement("a user's statement has no parent, or is what the server lends for it: once, and with no other terms than the parent's")
	case !s.MayAct.IsZero() && (d.User.IsZero() || s.Parent != nil):
		return badStatement("who else may act says a person, in a statement without a parent")
	case !s.MayAct.IsZero() && s.MayAct == s.Delegate.Agent:
		return badStatement("may_act names another agent than the delegate")
	case s.Parent != nil && s.Parent.IsZero():
		return badStatement("parent is the digest of the parent's statement")
	case !d.Agent.IsZero() && d.Agent == s.Delegate.Agent:
		return badStatement("an agent cannot lend to itself")
	}
	return nil
}

func (s Statement) checkBounds() error {
	switch {
	case s.NotBefore < 0 || s.ExpiresAt > maxSeconds || s.NotBefore >= s.ExpiresAt:
		return badStatement("not_before comes before expires_at, both Unix seconds up to the year 9999")
	case s.ExpiresAt-s.NotBefore > MaxLifetime:
		return badStatement("a delegation lasts at most 366 days")
	case s.MaxDepth < 0 || s.MaxDepth > MaxDepth:
		return badStatement("max_depth is 0 to %d", MaxDepth)
	case s.MaxUses != nil && (*s.MaxUses < 1 || *s.MaxUses > maxUses):
		return badStatement("max_uses, where there is one, is 1 to %d", maxUses)
	}
	return nil
}

func badStatement(reason string, args ...any) error {
	return fault.New(fault.Invalid, "statement_invalid", reason, args...)
}

func issuer(s string) bool {
	if len(s) > maxIssuer || !plain(s) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && !u.ForceQuery &&
		u.Fragment == "" && u.String() == s
}

func seconds(t int64) string { return time.Unix(t, 0).UTC().Format(secondsForm) }
