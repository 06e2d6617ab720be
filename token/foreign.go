package token

import (
	"bytes"
	"slices"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Via is whose authority at another server a token rests on, beside its own chain: which of that server's agents holds the key, and for whom it acts there.
type Via struct {
	Actors []id.Agent `json:"act"` // there, the one that holds the key first
	Issuer string     `json:"iss"`
	Shown  id.Digest  `json:"sha256"` // of Foreign.Bytes: what proves it
	Sub    id.User    `json:"sub"`    // the person there
}

// Equal reports whether v and w say the same.
func (v Via) Equal(w Via) bool {
	return v.Issuer == w.Issuer && v.Sub == w.Sub && v.Shown == w.Shown && slices.Equal(v.Actors, w.Actors)
}

func (c Claims) checkVia() error {
	v := c.Via
	switch {
	case c.Act == nil || c.JKT.IsZero():
		return malformed("via is of an agent that acts for somebody with a key of its own")
	case v.Issuer == "" || v.Issuer == c.Issuer || v.Sub.IsZero() || v.Shown.IsZero() || len(v.Actors) == 0 || len(v.Actors) > maxActors:
		return malformed("via names another issuer, a person and 1 to %d agents there, and what proves it", maxActors)
	case slices.ContainsFunc(v.Actors, id.Agent.IsZero):
		return malformed("an actor in via without an id")
	}
	return nil
}

// Foreign is what another server signed for one of its agents, either an access token for us or a chain of delegations, with the keys of that server
// that verify it. The keys are public ones that it published when it was shown; that they are its own is the word of whoever fetched them.
type Foreign struct {
	Token string            `json:"token,omitzero"`
	Chain []delegation.Link `json:"chain,omitempty"` // the root first
	Keys  []jose.PublicKey  `json:"keys"`
}

// MaxForeign bounds Foreign.Bytes, and a chain as it is shown.
const MaxForeign = 160 << 10

// Bytes is RFC 8785 form.
func (f Foreign) Bytes() ([]byte, error) { return jose.Canonical(f) }

// ParseForeign reads what Bytes writes, and nothing else. No signature is verified yet. Code: foreign_malformed.
func ParseForeign(raw []byte) (Foreign, error) {
	var f Foreign
	if err := jose.Decode(raw, &f, jose.Limits{Bytes: MaxForeign}); err != nil {
		return f, fault.Wrap(err, fault.Invalid, "foreign_malformed", "what another server said cannot be read")
	}
	again, err := f.Bytes()
	if err != nil || !bytes.Equal(again, raw) || (f.Token == "") == (len(f.Chain) == 0) || len(f.Keys) == 0 || len(f.Keys) > delegation.MaxLinks {
		return f, fault.New(fault.Invalid, "foreign_malformed", "what another server said is one token or one chain, with the keys that signed it, in RFC 8785 form")
	}
	return f, nil
}

// ParseChain reads a portable chain: a JSON array of links in their compact form, the root first. No signature is verified yet. Code: foreign_malformed.
func ParseChain(raw []byte) ([]delegation.Link, error) {
	var links []delegation.Link
	if err := jose.Decode(raw, &links, jose.Limits{Bytes: MaxForeign}); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "foreign_malformed", "a portable chain is a JSON array of links in their compact form, the root first")
	}
	if len(links) == 0 || len(links) > delegation.MaxLinks {
		return nil, fault.New(fault.Invalid, "foreign_malformed", "a portable chain has 1 to %d links", delegation.MaxLinks)
	}
	return links, nil
}

// ForeignWant is what is asked of another server's word.
type ForeignWant struct {
	Issuer   string // whose word it must be
	Audience string // that a token must be for, alone
	Key      id.Key // that the agent signed the request with
	Now      time.Time
}

// Shown is what another server's word says, once it is verified.
type Shown struct {
	Via
	Permissions []delegation.Permission
	Begins      int64 // seconds
	Ends        int64 // seconds: the first of all that ends
}

// Verify holds the other server's word to its keys, to the time, and to the key that is to act: a token must be bound to that key, and be for the audience
// alone; a chain's last statement must lend to the one instance that has it. It must be of an agent that acts there for a person. A chain with a
// limit of uses is refused: whoever lent it counts them, and nobody else can. Whether anything of it was ended since, no signature shows. Codes:
// foreign_refused, and those of Verify, delegation.VerifyChain.
func (f Foreign) Verify(want ForeignWant) (Shown, error) {
	raw, err := f.Bytes()
	if err != nil {
		return Shown{}, err
	}
	s := Shown{Via: Via{Issuer: want.Issuer, Shown: id.Sum(raw)}}
	keys := func(kid id.Key) (jose.PublicKey, bool) {
		i := slices.IndexFunc(f.Keys, func(k jose.PublicKey) bool { return k.Thumbprint() == kid })
		if i < 0 {
			return jose.PublicKey{}, false
		}
		return f.Keys[i], true
	}
	if f.Token != "" {
		err = s.fromToken(f.Token, keys, want)
	} else {
		err = s.fromChain(f.Chain, keys, want)
	}
	return s, err
}

func (s *Shown) fromToken(raw string, keys func(id.Key) (jose.PublicKey, bool), want ForeignWant) error {
	c, err := Verify(raw, keys, Want{Issuer: want.Issuer, Audience: want.Audience, Now: want.Now})
	switch {
	case err != nil:
		return err
	case c.Act == nil:
		return foreignRefused("the other server's token is of nobody who acts for a person there: nothing was lent")
	case c.JKT.IsZero() || c.JKT != want.Key:
		return foreignRefused("the other server's token is bound to another key than signed the request")
	}
	if s.Sub, err = id.Parse[id.User](c.Subject); err != nil {
		return err
	}
	for _, a := range c.Actors() {
		s.Actors = append(s.Actors, a.Sub)
	}
	s.Permissions, s.Begins, s.Ends = c.Permissions(), c.IssuedAt, c.Expires
	return nil
}

func (s *Shown) fromChain(links []delegation.Link, keys func(id.Key) (jose.PublicKey, bool), want ForeignWant) error {
	if err := delegation.VerifyChain(links, keys); err != nil {
		return err
	}
	now := want.Now.Unix()
	for i, l := range links {
		st := l.Statement
		switch {
		case st.Issuer != want.Issuer:
			return foreignRefused("the chain is of another server")
		case now < st.NotBefore || now >= st.ExpiresAt:
			return foreignRefused("link %d of the chain (%s) has not begun, or has expired", i, st.ID)
		case st.MaxUses != nil:
			return foreignRefused("link %d of the chain (%s) has a limit of uses, which only its own server counts: show a token instead", i, st.ID)
		}
		s.Begins = max(s.Begins, st.NotBefore)
		if s.Ends == 0 || st.ExpiresAt < s.Ends {
			s.Ends = st.ExpiresAt
		}
		s.Actors = append([]id.Agent{st.Delegate.Agent}, s.Actors...)
	}
	last := links[len(links)-1].Statement
	if last.Delegate.Instance.IsZero() || last.Delegate.Instance != want.Key {
		return foreignRefused("the chain's last statement does not lend to the one instance that signed the request")
	}
	s.Sub, s.Permissions = links[0].Statement.Delegator.User, last.Permissions
	return nil
}

func foreignRefused(reason string, args ...any) error {
	return fault.New(fault.Unauthenticated, "foreign_refused", reason, args...)
}
