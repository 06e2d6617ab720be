package explain

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/jose"
)

// Config says what an Explainer reads.
type Config struct {
	Issuer  string
	Log     *audit.Log
	People  *people.Room
	Agents  *agents.Room
	Lending *lending.Room
	Rules   *rules.Room
	Catalog *catalog.Room
	Clients *clients.Room
	Signer  func(context.Context) (jose.Signer, error) // the issuer's key: for the server's word on what would be allowed now
	Now     func() time.Time
}

// Explainer answers questions about events.
type Explainer struct{ Config }

// New makes an Explainer.
func New(cfg Config) *Explainer { return &Explainer{cfg} }

// Trust is the policy that a verifier keeps: the one key from which everything else follows (C2SP tlog-policy).
func (x *Explainer) Trust(ctx context.Context) ([]byte, error) {
	h, err := x.Log.Head(ctx, id.Server)
	if err != nil {
		return nil, err
	}
	key, err := evidence.ParseVKey(h.Shard.VKey)
	if err != nil {
		return nil, err
	}
	return []byte(evidence.TrustPolicy(key)), nil
}

// gathering is a pack in the making: each entry once, all of one shard proved against one head.
type gathering struct {
	*Explainer
	ctx     context.Context
	signer  jose.Signer // of the server's word
	heads   map[id.Workspace]audit.History
	entries []evidence.Entry

	traced   map[id.Key]bool // whose origin is in
	vouchers []evidence.Content
}

// Pack is the evidence about one event, as a file that verifies offline. Code: not_found.
func (x *Explainer) Pack(ctx context.Context, ws id.Workspace, event id.Event) ([]byte, error) {
	e, err := x.Log.Event(ctx, ws, event)
	if err != nil {
		return nil, err
	}
	g := &gathering{Explainer: x, ctx: ctx, traced: map[id.Key]bool{}}
	if g.signer, err = x.Signer(ctx); err != nil { // before the heads, which therefore have its publication
		return nil, err
	}
	if g.heads, err = x.Log.Histories(ctx, id.Server, ws); err != nil {
		return nil, err
	}
	return g.pack(ws, e)
}

func (g *gathering) pack(ws id.Workspace, e audit.Entry) ([]byte, error) {
	needs := evidence.NeedsOf(e.Event, func(d id.Digest) ([]byte, bool) {
		b, err := g.Log.Content(g.ctx, d)
		return b, err == nil
	})
	if err := g.add(ws, e); err != nil {
		return nil, err
	}
	if err := g.serverLog(ws, needs); err != nil {
		return nil, err
	}
	if err := g.workspaceLog(ws, e, needs); err != nil {
		return nil, err
	}
	p := evidence.Pack{
		Question: evidence.Question{Event: e.ID, Workspace: ws, Rev: e.Rev}, Issuer: g.Issuer, Content: needs.Content, Entries: g.entries,
	}
	trust, err := g.Trust(g.ctx)
	if err != nil {
		return nil, err
	}
	p.Trust = string(trust)
	for _, field := range []string{"args", "ip", "proof"} { // what the decision was made on; names and reasons are nobody else's business
		b, err := g.Log.Detail(g.ctx, e, field)
		if fault.Code(err) == "not_found" {
			continue
		} else if err != nil {
			return nil, err
		}
		p.Details = append(p.Details, evidence.Disclosed{Workspace: ws, Rev: e.Rev, Field: field, Bytes: b})
	}
	for _, c := range g.vouchers {
		if !slices.ContainsFunc(p.Content, func(k evidence.Content) bool { return k.Digest == c.Digest }) {
			p.Content = append(p.Content, c)
		}
	}
	if p.Now, err = g.now(ws, e); err != nil {
		return nil, err
	}
	slices.SortFunc(p.Entries, func(a, b evidence.Entry) int {
		return cmp.Or(cmp.Compare(a.Workspace.String(), b.Workspace.String()), cmp.Compare(a.Rev, b.Rev))
	})
	var out bytes.Buffer
	err = p.Write(&out)
	return out.Bytes(), err
}

// serverLog adds the way from the server's key, whichever shard's a verifier has, to the shards of the workspace's log and to the issuer's keys, and where those ended among the workspace's events.
func (g *gathering) serverLog(ws id.Workspace, needs evidence.Needs) error {
	for w, shards := range g.heads {
		for i, h := range shards {
			opened, err := g.Log.First(g.ctx, id.Server, evidence.LogOpened, h.Shard.Origin)
			if err := g.found(id.Server, opened, err); err != nil {
				return err
			}
			if w != id.Server || i == len(shards)-1 {
				continue
			}
			closed, err := g.Log.First(g.ctx, id.Server, evidence.LogClosed, h.Shard.Origin)
			if err := g.found(id.Server, closed, err); err != nil {
				return err
			}
		}
	}
	for _, kid := range append(needs.Keys, g.signer.Public().Thumbprint()) {
		published, err := g.Log.First(g.ctx, id.Server, evidence.KeyPublished, kid.String())
		if err := g.found(id.Server, published, err); err != nil {
			return err
		}
		retired, err := g.Log.First(g.ctx, ws, evidence.KeyRetired, kid.String())
		if err == nil && retired.Rev >= g.heads[ws].Newest().Rev() {
			continue
		}
		if err := g.found(ws, retired, err); err != nil {
			return err
		}
	}
	return nil
}

// workspaceLog adds who everybody was: registrations, enrolments, people's keys, and the bundle's publication.
func (g *gathering) workspaceLog(ws id.Workspace, e audit.Entry, needs evidence.Needs) error {
	before := e.Rev
	last := func(target string, match func(audit.Entry) bool, kinds ...evidence.Kind) error {
		var best audit.Entry
		for _, k := range kinds {
			found, err := g.newest(ws, audit.Filter{Target: target, Kind: k, Before: before, Limit: 200}, match)
			if err != nil {
				return err
			}
			if found.Rev > best.Rev {
				best = found
			}
		}
		if best.Body == nil {
			return nil // not shown
		}
		return g.add(ws, best)
	}
	for _, a := range needs.Agents {
		if err := last(a.String(), func(f audit.Entry) bool { return !f.What.User.IsZero() }, evidence.AgentRegistered, evidence.AgentChanged); err != nil {
			return err
		}
	}
	for _, i := range needs.Instances {
		if err := g.lineage(ws, i, before); err != nil {
			return err
		}
	}
	for _, p := range needs.People {
		name := p.Thumbprint.String()
		same := func(f audit.Entry) bool {
			if p.COSE != "" && f.What.COSE == p.COSE {
				name = f.What.Credential
				return true
			}
			return p.COSE == "" && f.What.Key != nil && f.What.Key.Thumbprint() == p.Thumbprint
		}
		if err := last(p.User.String(), same, evidence.UserAdded, evidence.UserPasskeyChanged); err != nil {
			return err
		}
		ends := func(f audit.Entry) bool { return f.EndsKey(p.User, name) }
		if err := last(p.User.String(), ends, evidence.UserChanged, evidence.UserPasskeyChanged); err != nil {
			return err
		}
	}
	if e.Why == nil || e.Why.AsOf == 0 {
		return nil
	}
	before = e.Why.AsOf
	return last("policy", func(audit.Entry) bool { return true }, evidence.PolicyPublished)
}

// newest is the newest entry of those of f that match accepts; the zero value where there is none.
func (g *gathering) newest(ws id.Workspace, f audit.Filter, match func(audit.Entry) bool) (audit.Entry, error) {
	for {
		found, err := g.Log.Search(g.ctx, ws, f)
		if err != nil {
			return audit.Entry{}, err
		}
		for _, e := range found { // the newest first
			if e.What != nil && e.Outcome == evidence.OK && match(e) {
				return e, nil
			}
		}
		if len(found) < f.Limit {
			return audit.Entry{}, nil
		}
		f.Before = found[len(found)-1].Rev
	}
}

// found adds an entry, or leaves it out where there is none: the verifier says what is not shown.
func (g *gathering) found(ws id.Workspace, e audit.Entry, err error) error {
	if fault.Code(err) == "not_found" {
		return nil
	} else if err != nil {
		return err
	}
	return g.add(ws, e)
}

func (g *gathering) add(ws id.Workspace, e audit.Entry) error {
	i := slices.IndexFunc(g.heads[ws], func(h audit.Head) bool { return h.Log == e.Log })
	if i < 0 { // a shard that was opened since
		return nil
	}
	h := g.heads[ws][i]
	for i := range g.entries {
		if g.entries[i].Workspace == ws && g.entries[i].Rev == e.Rev {
			return nil
		}
	}
	proof, err := g.Log.Prove(g.ctx, h, e)
	if err != nil {
		return err
	}
	g.entries = append(g.entries, evidence.Entry{Workspace: ws, Rev: e.Rev, Body: e.Body, Proof: proof.Text()})
	return nil
}
