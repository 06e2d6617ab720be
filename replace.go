package attorn

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Narrowing says what to take from a delegation; what is not set stays as it is.
type Narrowing struct {
	Permissions []delegation.Permission // all that stays
	Drop        []delegation.Permission // what goes, with all that it covers; what is left must not cover it
	TTL         time.Duration           // from now
	Uses        int64                   // how many calls more, shared by all that descends; those so far have been counted
	Depth       *int                    // hops that may follow
	Task        string                  // where it named none
	Instance    id.Key                  // where it named none
	Purpose     string
	DryRun      bool // say what would end, and change nothing
}

// Renewal says for how long a delegation goes on.
type Renewal struct {
	TTL    time.Duration // from now
	DryRun bool          // say what would end, and change nothing
}

// Narrow puts a narrower delegation in the place of one that the person lent: it ends, with all that descends from it. Codes: those of the route, nothing_dropped,
// still_covered, and widens for a time after its end.
func (c *Client) Narrow(ctx context.Context, d id.Delegation, n Narrowing) (api.Replaced, error) {
	return c.door.replace(ctx, d, n.DryRun, n.of)
}

// Renew puts the same delegation with other times in the place of one that the person lent: it ends, with all that descends from it.
func (c *Client) Renew(ctx context.Context, d id.Delegation, r Renewal) (api.Replaced, error) {
	return c.door.replace(ctx, d, r.DryRun, r.of)
}

// Replace hands in a statement that the person signed, with any of their keys, in the place of a delegation.
func (c *Client) Replace(ctx context.Context, d id.Delegation, in api.Replace) (api.Replaced, error) {
	return ask[api.Replaced](ctx, c.door, "Replace", []string{d.String()}, nil, in)
}

// Narrow is Client.Narrow, of what the agent lent on.
func (a *Agent) Narrow(ctx context.Context, d id.Delegation, n Narrowing) (api.Replaced, error) {
	return a.door.replace(ctx, d, n.DryRun, n.of)
}

// Renew is Client.Renew, of what the agent lent on.
func (a *Agent) Renew(ctx context.Context, d id.Delegation, r Renewal) (api.Replaced, error) {
	return a.door.replace(ctx, d, r.DryRun, r.of)
}

// replace reads a delegation, changes its statement, signs that with the key of now and hands it in.
func (d *door) replace(ctx context.Context, old id.Delegation, dry bool, change func(*delegation.Statement, api.Delegation, time.Time) error) (api.Replaced, error) {
	found, err := ask[api.Delegation](ctx, d, "Delegation", []string{old.String()}, nil, nil)
	if err != nil {
		return api.Replaced{}, err
	}
	now, st := time.Now(), found.Link.Statement // which was signed
	if st.ID != old {
		return api.Replaced{}, fault.New(fault.Unavailable, "bad_answer", "the server gave another delegation than %s; nothing was signed", old)
	}
	st.ID, st.Permissions = id.New[id.Delegation](now), slices.Clone(st.Permissions)
	if err := change(&st, found, now); err != nil {
		return api.Replaced{}, err
	}
	key := d.keys.key()
	if st.Delegator.User.IsZero() {
		st.Delegator.Instance = key.Public().Thumbprint() // it may have been rotated since
	}
	signed, err := delegation.Sign(st, key)
	if err != nil {
		return api.Replaced{}, err
	}
	return ask[api.Replaced](ctx, d, "Replace", []string{old.String()}, nil, api.Replace{Signed: signed, DryRun: dry})
}

func (r Renewal) of(st *delegation.Statement, _ api.Delegation, now time.Time) error {
	if r.TTL <= 0 {
		return fault.New(fault.Invalid, "malformed", "a renewal says for how long")
	}
	st.NotBefore, st.ExpiresAt = max(st.NotBefore, now.Add(-skew).Unix()), now.Add(r.TTL).Unix()
	return nil
}

func (n Narrowing) of(st *delegation.Statement, found api.Delegation, now time.Time) error {
	if n.Permissions != nil {
		st.Permissions = n.Permissions
	}
	for _, p := range n.Drop {
		if err := drop(st, p); err != nil {
			return err
		}
	}
	if n.TTL != 0 {
		end := now.Add(n.TTL).Unix()
		if end > st.ExpiresAt { // the server would take it for a renewal
			return fault.New(fault.Denied, "widens", "it ends before that, and a narrower delegation lasts no longer").Try("for another time: attorn delegation renew %s", found.ID)
		}
		st.ExpiresAt = end
	}
	if n.Uses != 0 {
		limit := n.Uses
		if st.MaxUses != nil {
			limit += found.Uses
		}
		st.MaxUses = &limit
	}
	if n.Depth != nil {
		st.MaxDepth = *n.Depth
	}
	if n.Task != "" {
		st.Task = n.Task
	}
	if n.Purpose != "" {
		st.Purpose = n.Purpose
	}
	if !n.Instance.IsZero() {
		st.Delegate.Instance = n.Instance
	}
	return nil
}

// drop takes out what p covers.
func drop(st *delegation.Statement, p delegation.Permission) error {
	before := len(st.Permissions)
	st.Permissions = slices.DeleteFunc(st.Permissions, func(q delegation.Permission) bool { return delegation.Covers(p, q) })
	for _, q := range st.Permissions {
		if delegation.Covers(delegation.Permission{Permission: q.Permission}, delegation.Permission{Permission: p.Permission}) {
			return fault.New(fault.Invalid, "still_covered", "%s cannot be taken out of %s: permissions have no exceptions", p.Permission, q.Permission).
				Try("say all that stays instead")
		}
	}
	switch {
	case len(st.Permissions) == before:
		return fault.New(fault.Invalid, "nothing_dropped", "nothing is lent as %s", p.Permission)
	case len(st.Permissions) == 0:
		return fault.New(fault.Invalid, "nothing_left", "nothing would be left of it").Try("revoke it")
	}
	return nil
}
