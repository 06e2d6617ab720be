package guard

import (
	"context"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
)

// Replaced is what became of a replacement. A dry run has no receipt and no link.
type Replaced struct {
	Link    delegation.Link
	How     lending.How
	Toll    Toll // the delegation before, all that descended from it, and the approvals that rested on that
	Receipt evidence.Receipt
}

// Replace narrows or renews what the caller lent: one transaction accepts a signed statement of theirs as Lend does, and ends the old delegation with all that
// descends from it, so that nobody ever has both. The same statement again returns the record, and nothing that ended. With dry it is only tried. Codes: those of
// Lend, and of lending.Room.Replace.
func (g *Guard) Replace(ctx context.Context, c *Caller, old id.Delegation, signed delegation.Signed, dry bool) (Replaced, error) {
	st := signed.Statement
	a := act{
		action: "attorn:delegation:lend", noun: "delegation:" + st.ID.String(), attrs: lendAttrs(st), kind: evidence.DelegationReplaced,
		target: st.ID.String(), needs: []string{"attorn:delegation:revoke"},
	}
	if dry {
		if err := g.spend(ctx, c); err != nil {
			return Replaced{}, err
		}
		c = c.rehearsing()
	}
	key, err := g.admitStatement(ctx, c, signed)
	if err != nil {
		return Replaced{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.what = &evidence.What{Delegation: st.ID, Agent: st.Delegate.Agent, Replaces: old}
	if st.Purpose != "" {
		a.personal = func(d *evidence.Draft) error { return seal(d, &d.What.Text, c.Sub(), "text", st.Purpose) }
	}
	var r Replaced
	r.Receipt, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		r = Replaced{}
		if err := people.Running(tx, c.ws); err != nil {
			return err
		}
		link, err := g.countersign(tx, signed, key)
		if err != nil {
			return err
		}
		got, err := g.Lending.Replace(tx, c.ws, old, link, c.Sub())
		if err != nil {
			return err
		}
		if !got.Fresh && got.StatusAt(tx.Now()) != lending.Active {
			return endedBefore()
		}
		r.Link, r.How, r.Toll.Delegations = got.Link, got.How, got.Ended
		if err := g.void(tx, c.ws, &r.Toll, approvals.Ground{Delegations: got.Ended}); err != nil {
			return err
		}
		doc := evidence.ContentOf([]byte(got.Link.String()))
		tx.Keep(doc)
		what := *tx.Event().What
		what.Link, what.Status = doc.Digest, string(got.How)
		tx.Event().What = &what
		r.Toll.record(tx)
		return nil
	})
	if err != nil {
		return Replaced{}, err
	}
	if dry { // what was countersigned and undone must not leave
		r.Link = delegation.Link{}
	}
	return r, nil
}
