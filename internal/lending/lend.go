package lending

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Lend records a statement that was countersigned in this transaction. The caller has verified the delegator's signature, that its issuer is
// this server, and that the delegator and the delegate are active principals of ws; Lend holds it to the parent: recorded here, its whole chain
// live now, and narrowed in every dimension (delegation.Narrows). fresh is false where this very statement had been recorded before, whatever
// became of it since: that record is returned and nothing is written.
//
// Codes: workspace_mismatch, statement_used (another statement has this id), delegation_expired, delegation_too_deep, not_found (the parent),
// and those of Live and delegation.Narrows.
func (*Room) Lend(tx *audit.Tx, ws id.Workspace, link delegation.Link) (d Delegation, fresh bool, err error) {
	return lend(tx, ws, link, Delegation{})
}

// lend is Lend, in the place of another where old is one.
func lend(tx *audit.Tx, ws id.Workspace, link delegation.Link, old Delegation) (d Delegation, fresh bool, err error) {
	st := link.Statement
	if st.Workspace != ws {
		return d, false, fault.New(fault.Denied, "workspace_mismatch", "the statement lends in another workspace")
	}
	digest, err := st.Digest()
	if err != nil {
		return d, false, err
	}
	if d, known, err := recorded(tx, ws, digest); known || err != nil {
		return d, false, err
	}
	now := tx.Now()
	if now.UnixMicro() >= micros(st.ExpiresAt) {
		return d, false, fault.New(fault.Denied, "delegation_expired", "the statement has expired already").Try("sign one that ends later")
	}
	d = Delegation{ID: st.ID, Workspace: ws, Root: st.ID, Replaces: old.ID, Digest: digest, Link: link, Status: Active, CreatedAt: now}
	if d.Uses = old.Uses; st.MaxUses != nil && d.Uses >= *st.MaxUses {
		return Delegation{}, false, fault.New(fault.Denied, "delegation_exhausted", "it was used %d times already, and the new limit is %d: no use would be left", d.Uses, *st.MaxUses)
	}
	if st.Parent != nil {
		if err := d.under(tx, *st.Parent); err != nil {
			return Delegation{}, false, err
		}
	}
	written, err := insert(tx, d)
	if err != nil {
		return Delegation{}, false, err
	}
	if !written { // by somebody else since we looked, or the id is another's
		d, known, err := recorded(tx, ws, digest)
		if err == nil && !known {
			err = fault.New(fault.Conflict, "statement_used", "another statement has been recorded with the id %s", st.ID).Try("sign a statement with a new id")
		}
		return d, false, err
	}
	return d, true, nil
}

// under puts d below its parent, whose chain stays locked until the commit.
func (d *Delegation) under(tx *audit.Tx, parent id.Digest) error {
	chain, err := lockChain(tx, d.Workspace, parent)
	if err != nil {
		return err
	}
	if err := Live(chain, d.CreatedAt); err != nil {
		return err
	}
	last := chain[len(chain)-1]
	if err := delegation.Narrows(last.Link.Statement, d.Link.Statement); err != nil {
		return err
	}
	if len(chain) >= delegation.MaxLinks {
		return fault.New(fault.Denied, "delegation_too_deep", "a chain has at most %d delegations", delegation.MaxLinks)
	}
	d.Parent, d.Root, d.Depth = last.ID, last.Root, last.Depth+1
	return nil
}

// Use spends one use of every link of a whole chain, the root first, that counts them. Either all are spent or, with an error, the caller's
// transaction must be undone. usesLeft is the least that is left on the chain, nil where no link counts; exhausted lists the links whose last
// use this was. Codes: those of Live, which is asked again here with the rows locked; not_found.
func (*Room) Use(tx *audit.Tx, ws id.Workspace, chain []id.Delegation) (usesLeft *int64, exhausted []id.Delegation, err error) {
	states, err := lockStates(tx, ws, chain)
	if err != nil {
		return nil, nil, err
	}
	if err := live(states, tx.Now()); err != nil {
		return nil, nil, err
	}
	counting := 0
	for _, s := range states {
		if s.max != nil {
			counting++
		}
	}
	if counting == 0 {
		return nil, nil, nil
	}
	spent, err := spend(tx, ws, chain)
	if err != nil {
		return nil, nil, err
	}
	if len(spent) != counting {
		return nil, nil, fault.New(fault.Denied, "delegation_exhausted", "a delegation of the chain has no uses left")
	}
	for _, s := range spent {
		if s.status == Exhausted {
			exhausted = append(exhausted, s.id)
		}
	}
	return left(spent), exhausted, nil
}

// Revoke ends a delegation and everything that descends from it, and lists what it ended: nothing where all had been revoked before. by is who
// revokes, why their reason: one line of at most 500 bytes. Codes: not_found, reason_invalid.
func (*Room) Revoke(tx *audit.Tx, ws id.Workspace, d id.Delegation, by, why string) ([]id.Delegation, error) {
	if err := checkReason(why); err != nil {
		return nil, err
	}
	if err := lockOne(tx, ws, d); err != nil {
		return nil, err
	}
	return revoke(tx, ws, d, by, why)
}

// checkReason demands what both engines store.
func checkReason(why string) error {
	if len(why) > 500 || !utf8.ValidString(why) || strings.ContainsFunc(why, unicode.IsControl) {
		return fault.New(fault.Invalid, "reason_invalid", "a reason is one line of text of at most 500 bytes")
	}
	return nil
}
