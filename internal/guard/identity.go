package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// AgentKeys are the public keys of an agent's instances that may act now: none where the agent itself may not. Anybody may know them: they
// verify what the agent signed. Code: not_found.
func (g *Guard) AgentKeys(ctx context.Context, agent id.Agent) ([]jose.PublicKey, error) {
	return g.Agents.LiveKeys(ctx, agent, g.Now())
}

// AgentKeysAt are those that could act in the second that begins at: they verify what the agent signed then. Codes: not_found, malformed for a time
// that has not come.
func (g *Guard) AgentKeysAt(ctx context.Context, agent id.Agent, at time.Time) ([]jose.PublicKey, error) {
	if at.After(g.Now()) {
		return nil, fault.New(fault.Invalid, "malformed", "nobody knows yet which keys will be live then")
	}
	return g.Agents.KeysAt(ctx, agent, at)
}

// Holder is who signs with a key; its agent is zero for the server itself.
type Holder struct {
	Key       jose.PublicKey
	Agent     id.Agent
	Workspace id.Workspace
}

// Holder finds a key by its thumbprint that verifies what is signed now: one that the server publishes, or that of an instance that may act. Anything
// else, and whatever the reason, is unknown. Code: key_unknown.
func (g *Guard) Holder(ctx context.Context, kid id.Key) (Holder, error) {
	own, err := g.PublishedKeys(ctx)
	if err != nil {
		return Holder{}, err
	}
	for _, k := range own {
		if k.Thumbprint() == kid {
			return Holder{Key: k}, nil
		}
	}
	is, err := g.Agents.Acting(ctx, kid, g.Now())
	if err == nil {
		err = is.Agent.Accountable(g.Now()) // what it signs is good without a token
	}
	if err == nil {
		var ends people.Ends
		if ends, err = g.People.Ends(ctx, is.Agent.Workspace); err == nil {
			err = ends.Live()
		}
		if err == nil {
			err = notPartner(is.Instance)
		}
		if err == nil {
			err = g.noApp(ctx, is.Agent.Workspace, is.Agent.ID)
		}
	}
	if f := fault.Of(err); f != nil && f.Kind != fault.Internal && f.Kind != fault.Unavailable {
		return Holder{}, fault.New(fault.NotFound, "key_unknown", "no key that is live has this thumbprint")
	}
	return Holder{is.Instance.JWK, is.Agent.ID, is.Agent.Workspace}, err
}

// PublishedSigners sign with the keys of PublishedKeys, to show that the server holds them.
func (g *Guard) PublishedSigners(ctx context.Context) ([]jose.Signer, error) {
	all, err := g.Ring.All(ctx, keyring.ForTokens)
	var signers []jose.Signer
	for _, k := range all {
		if Published(k, g.Now()) {
			signers = append(signers, k.Signer())
		}
	}
	return signers, err
}

// Identity is what everybody may know of an agent, with a page of its keys: those after one (zero: from the first). Its owner is there as far as its
// workspace publishes them. Code: not_found.
func (g *Guard) Identity(ctx context.Context, agent id.Agent, after id.Key) (token.Identity, error) {
	h, err := g.Agents.History(ctx, agent, after, token.MaxIdentityKeys)
	if err != nil {
		return token.Identity{}, err
	}
	now := g.Now()
	i := token.Identity{
		Issuer: g.Issuer, ID: h.ID, Status: string(h.StatusAt(now)), Registered: h.CreatedAt.Unix(), Expires: up(h.ExpiresAt), After: after,
		Suspended: spans(h.Suspended), Keys: make([]token.IdentityKey, len(h.Keys)),
	}
	for n, k := range h.Keys {
		i.Keys[n] = token.IdentityKey{
			Kid: k.Key, JWK: k.JWK, Trust: string(k.Trust), Status: string(k.StatusAt(now)), From: k.CreatedAt.Unix(), Until: up(k.Until),
			Predecessor: k.Predecessor, Suspended: spans(k.Suspended),
		}
	}
	if n := len(h.Keys); n == token.MaxIdentityKeys {
		i.Next = h.Keys[n-1].Key
	}
	what, err := g.People.PublishOwner(ctx, h.Workspace)
	if err != nil || what == people.PublishNone {
		return i, err
	}
	i.Owner = &token.IdentityOwner{ID: h.Owner}
	if what == people.PublishName {
		i.Owner.Name, err = g.ownerName(ctx, h.Agent)
	}
	return i, err
}

// ownerName reads the name of an agent's owner; of one who is no member any more it says nothing.
func (g *Guard) ownerName(ctx context.Context, a agents.Agent) (string, error) {
	p, err := g.People.Person(ctx, a.Workspace, a.Owner)
	return p.Name, unless(err, "not_found")
}

// SignedIdentity is Identity, signed by the issuer's key, for whoever keeps it.
func (g *Guard) SignedIdentity(ctx context.Context, agent id.Agent, after id.Key) (string, error) {
	i, err := g.Identity(ctx, agent, after)
	if err != nil {
		return "", err
	}
	by, err := g.Signer(ctx)
	if err != nil {
		return "", err
	}
	i.AsOf = g.Now().Unix()
	return token.SignIdentity(i, by)
}

// up is a time in seconds, its fraction a whole one: what ends within a second was live in it. Zero stays zero.
func up(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Second - time.Nanosecond).Unix()
}

// spans are times of suspension in whole seconds: a second that was live in part was live.
func spans(all []agents.Span) []token.Span {
	var out []token.Span
	for _, s := range all[max(0, len(all)-token.MaxIdentityTimes):] {
		t := token.Span{From: up(s.Since)}
		if !s.Until.IsZero() {
			if t.Until = s.Until.Unix(); t.Until <= t.From {
				continue
			}
		}
		out = append(out, t)
	}
	return out
}
