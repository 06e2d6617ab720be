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
	TTL         time.Duration // 0: as long as the parent, or an hour at the root
	Uses        int64         // calls, shared by all that descends; 0: no limit of its own, the parent's holds anyway
	Depth       int           // hops that may follow; 0 forbids lending on
	Task        string        // "": that of the parent
	Purpose     string        // a sentence for people
	Parent      string        // for agents: the delegation under which this is lent, its id or compact link
	Instance    id.Key        // unless zero, only this instance of the delegate may use it
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
	return d.lend(ctx, signed)
}

// statement fills in what the parent decides.
func (d *door) statement(by delegation.Delegator, to delegation.Delegate, l Lend, parent *delegation.Link) (delegation.Statement, error) {
	now := time.Now()
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](now), Issuer: d.server, Workspace: d.ws, Delegator: by, Delegate: to, Permissions: l.Permissions,
		NotBefore: now.Add(-skew).Unix(), ExpiresAt: now.Add(l.TTL).Unix(), MaxDepth: l.Depth, Task: l.Task, Purpose: l.Purpose,
	}
	if l.Uses != 0 {
		st.MaxUses = &l.Uses
	}
	if parent == nil {
		if l.TTL == 0 {
			st.ExpiresAt = now.Add(rootLife).Unix()
		}
		return st, nil
	}
	above := parent.Statement
	digest, err := above.Digest()
	if err != nil {
		return st, err
	}
	st.Parent, st.NotBefore = &digest, max(st.NotBefore, above.NotBefore)
	if l.TTL == 0 {
		st.ExpiresAt = above.ExpiresAt
	}
	if l.Task == "" {
		st.Task = above.Task
	}
	return st, nil // whether it narrows is the server's to say, so that an attempt to widen is in the log
}

func (d *door) lend(ctx context.Context, signed delegation.Signed) (delegation.Link, error) {
	out, err := ask[api.Lent](ctx, d, "Lend", nil, nil, api.Lend{Signed: signed})
	return out.Link, err
}
