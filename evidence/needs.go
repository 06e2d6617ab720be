package evidence

import (
	"slices"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Needs is what a pack about an event holds beside the event and its details, for Verify to show everything:
//
//   - of the server's log its first entry, the log.opened of the workspace's log, and the key.published of each of Keys;
//   - of the workspace's log, each time the last entry before the event: agent.registered or agent.changed with the owner of each of Agents,
//     instance.enrolled, instance.spawned or instance.rotated of each of Instances, with what vouches for the key (Event.Statement), and the same of the
//     key that vouched, and so on; the instance.rotated by which a key of Instances was replaced; user.added or user.passkey_changed of each of People and what ended that
//     key (Event.EndsKey), and policy.published before Why.AsOf.
type Needs struct {
	Content   []Content
	Keys      []id.Key // of the issuer
	Agents    []id.Agent
	Instances []id.Key
	People    []PersonKey
	Missing   []id.Digest // content that was not found
}

// PersonKey is a key that signed for a person: a registered one by its thumbprint, or a passkey by its COSE key as What.COSE has it.
type PersonKey struct {
	User       id.User
	Thumbprint id.Key
	COSE       string
}

// NeedsOf follows e to all that it rests on. content finds a document.
func NeedsOf(e Event, content func(id.Digest) ([]byte, bool)) Needs {
	n := &gatherer{find: content}
	n.who(e)
	for _, d := range e.Statement() {
		n.take(d)
	}
	if e.Under != nil {
		n.under(e.Under)
	}
	if e.Did != nil && e.Why != nil && !e.Why.Facts.IsZero() {
		n.take(e.Did.Pin)
	}
	if e.Why != nil {
		n.take(e.Why.Facts)
		if manifest, ok := n.take(e.Why.Bundle); ok {
			var sums map[string]id.Digest
			if jose.Decode(manifest, &sums, jose.Limits{Bytes: maxManifest, Values: maxFiles}) == nil {
				for _, sum := range sums {
					n.take(sum)
				}
			}
		}
	}
	slices.SortFunc(n.Content, func(a, b Content) int { return slices.Compare([]byte(a.Digest.String()), []byte(b.Digest.String())) })
	return n.Needs
}

// The bounds of a bundle's manifest.
const (
	maxManifest = 8 << 20 // bytes
	maxFiles    = 20_001
)

type gatherer struct {
	Needs
	find func(id.Digest) ([]byte, bool)
}

// take adds a document once.
func (n *gatherer) take(d id.Digest) ([]byte, bool) {
	if d.IsZero() {
		return nil, false
	}
	if i := slices.IndexFunc(n.Content, func(c Content) bool { return c.Digest == d }); i >= 0 {
		return n.Content[i].Body, true
	}
	b, ok := n.find(d)
	if ok {
		n.Content = append(n.Content, Content{d, b})
	} else if !slices.Contains(n.Missing, d) {
		n.Missing = append(n.Missing, d)
	}
	return b, ok
}

func (n *gatherer) who(e Event) {
	hops := e.Who.Chain
	if len(hops) == 0 {
		hops = []Hop{{Sub: e.Who.Sub, Instance: e.Who.Instance}}
	}
	for i, h := range hops {
		if a, err := id.Parse[id.Agent](h.Sub); err == nil {
			n.Agents = addOnce(n.Agents, a)
		}
		if !h.Instance.IsZero() {
			n.Instances = addOnce(n.Instances, h.Instance)
		}
		raw, ok := n.take(h.Link)
		if !ok {
			continue
		}
		if l, err := delegation.ParseLink(string(raw)); err == nil {
			n.signed(string(raw))
			if t := steadOn([]delegation.Link{l}); t != nil {
				if raw, ok := n.take(t.SHA256); ok {
					n.signed(string(raw))
				}
			}
			if i == 1 {
				n.person(l.Statement.Delegator.User, l.Delegator)
			}
		}
	}
}

func (n *gatherer) under(u *Under) {
	if u.Token != nil {
		n.Keys = addOnce(n.Keys, u.Token.Kid)
		if raw, ok := n.take(u.Token.SHA256); ok {
			n.holder(string(raw))
		}
	}
	if u.Via != nil {
		n.take(u.Via.Shown)
	}
	for _, a := range u.Approvals {
		n.take(a.Ask)
		for _, v := range a.Votes {
			raw, ok := n.take(v)
			if !ok {
				continue
			}
			if b, err := ParseBallot(string(raw)); err == nil {
				n.signed(string(raw))
				n.person(b.Vote.Voter, b.Key)
			}
		}
	}
}

// holder notes the key of a person who acts themselves.
func (n *gatherer) holder(raw string) {
	var c struct {
		Subject string `json:"sub"`
		Session string `json:"sid"`
		Cnf     struct {
			JKT id.Key `json:"jkt"`
		} `json:"cnf"`
	}
	j, err := jose.Parse(raw, 0)
	if err != nil || jose.DecodeForeign(j.Payload, &c, jose.Limits{}) != nil {
		return
	}
	if u, err := id.Parse[id.User](c.Subject); err == nil && c.Session != "" {
		n.People = addOnce(n.People, PersonKey{User: u, Thumbprint: c.Cnf.JKT})
	}
}

// signed notes the server's key under a JWS.
func (n *gatherer) signed(compact string) {
	if j, err := jose.Parse(compact, maxBallot); err == nil {
		if kid, err := id.ParseKey(j.Header.Kid); err == nil {
			n.Keys = addOnce(n.Keys, kid)
		}
	}
}

func (n *gatherer) person(u id.User, k delegation.DelegatorKey) {
	p := PersonKey{User: u, Thumbprint: k.JWK.Thumbprint()}
	if k.Passkey != nil {
		p.COSE = jose.EncodeBase64(k.Passkey.Key.Bytes())
	}
	if k.Attested == nil {
		n.People = addOnce(n.People, p)
	}
}

func addOnce[T comparable](all []T, v T) []T {
	if slices.Contains(all, v) {
		return all
	}
	return append(all, v)
}
