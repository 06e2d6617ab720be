package attorn

import (
	"context"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// Lend is what a delegator lends.
type Lend struct {
	Permissions []delegation.Permission
	From        time.Time     // zero: now
	TTL         time.Duration // counted from then; 0: as long as the parent, or an hour at the root
	Uses        int64         // calls, shared by all that descends; 0: no limit of its own, the parent's holds anyway
	Depth       int           // hops that may follow; 0 forbids lending on
	Task        string        // "": that of the parent
	Purpose     string        // a sentence for people
	Parent      string        // for agents: the delegation under which this is lent, its id or compact link
	Instance    id.Key        // unless zero, only this instance of the delegate may use it

	Warned func(api.Warning) // unless nil, is told what of it has no effect as things are, because its delegator could not do it either
}

const (
	rootLife = time.Hour
	skew     = 30 * time.Second // by which our clock may be ahead of the server's
)

// delegate makes a statement, signs it and hands it in.
func (d *door) delegate(ctx context.Context, by delegation.Delegator, delegate string, l Lend, parent *delegation.Link) (delegation.Link, error) {
	agent, err := d.find(ctx, delegate)
	if err != nil {
		return delegation.Link{}, err
	}
	st, err := d.statement(by, delegation.Delegate{Agent: agent, Instance: l.Instance}, l, parent)
	if err != nil {
		return delegation.Link{}, err
	}
	signed, err := delegation.Sign(st, d.keys.key())
	if err != nil {
		return delegation.Link{}, err
	}
	out, err := ask[api.Lent](ctx, d, "Lend", nil, nil, api.Lend{Signed: signed})
	if l.Warned != nil {
		for _, w := range out.Warnings {
			l.Warned(w)
		}
	}
	return out.Link, err
}

// statement fills in what the parent decides.
func (d *door) statement(by delegation.Delegator, to delegation.Delegate, l Lend, parent *delegation.Link) (delegation.Statement, error) {
	now := time.Now()
	from, begins := now, now.Add(-skew)
	if !l.From.IsZero() {
		from, begins = l.From, l.From
	}
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](now), Issuer: d.server, Workspace: d.ws, Delegator: by, Delegate: to, Permissions: l.Permissions,
		NotBefore: begins.Unix(), ExpiresAt: from.Add(l.TTL).Unix(), MaxDepth: l.Depth, Task: l.Task, Purpose: l.Purpose,
	}
	if l.Uses != 0 {
		st.MaxUses = &l.Uses
	}
	if parent == nil {
		if l.TTL == 0 {
			st.ExpiresAt = from.Add(rootLife).Unix()
		}
		return st, nil
	}
	above := parent.Statement
	digest, err := above.Digest()
	if err != nil {
		return st, err
	}
	if st.Parent = &digest; l.From.IsZero() {
		st.NotBefore = max(st.NotBefore, above.NotBefore)
	}
	if l.TTL == 0 {
		st.ExpiresAt = above.ExpiresAt
	}
	if l.Task == "" {
		st.Task = above.Task
	}
	return st, nil // whether it narrows is the server's to say, so that an attempt to widen is in the log
}
