package console

import (
	"fmt"
	"slices"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
)

// permission is one that is lent, for a page.
type permission struct {
	Name  shown
	Where shown  // its constraints in words
	Was   shown  // from what it was narrowed
	State string // use: this call rests on it; cut: dropped at this hop; "": kept
	N     string // its number in what is asked for; "" where nothing is
}

func permissions(all []delegation.Permission) (out []permission) {
	for _, p := range all {
		out = append(out, permission{Name: show(p.Permission), Where: show(delegation.Words(p.Where))})
	}
	return out
}

// hop is one principal on the way from the person to the tool.
type hop struct {
	principal
	Instance    id.Key // that acts, or signed the next link
	How         string // how it came to be trusted
	Permissions []permission
	Until       *when
	Over        bool    // Until is past
	Lent        []shown // what else the lending says: uses, task, purpose, depth
	Broken      string  // why nothing rests on this hop any more
	After       bool    // a hop before this one is broken
	Mark        string  // the field that strikes it out, where one does
	Cut         bool    // it is struck out
}

// hops is the chain of an approval: the person, each agent with what was lent to it, and the tool.
func (x *request) hops(a guard.Asked) []hop {
	if len(a.Chain) == 0 {
		actor := hop{principal: x.principal(a.Object.Actor), Instance: a.By.Instance, How: "acts for nobody: nothing was lent to it"}
		return []hop{actor, x.target(a)}
	}
	root := a.Chain[0].Link
	all := []hop{{principal: x.principal(root.Statement.Delegator.User.String()), How: signedHow(root.Delegator)}}
	args, _ := delegation.DecodeArgs(a.Arguments) // without them nothing is marked as used
	var before []delegation.Permission
	broken := false
	for i, d := range a.Chain {
		st := d.Link.Statement
		h := hop{principal: x.principal(st.Delegate.Agent.String()), Instance: st.Delegate.Instance, After: broken}
		if i+1 < len(a.Chain) {
			next := a.Chain[i+1].Link
			h.Instance, h.How = next.Through(), "its key signed what it lends on"
			if next.Statement.InStead() {
				h.How = "its token was handed on: the next one acts in its stead, as the person allowed"
			}
		} else {
			h.Instance, h.How = a.By.Instance, "this instance asks"
		}
		h.Permissions = narrowed(before, st.Permissions, a.Object.Action, args)
		until := x.until(st)
		h.Until, h.Over, h.Lent = &until, !x.now.Before(timeOf(st.ExpiresAt)), lentLines(d)
		if status := d.StatusAt(x.now); status != lending.Active && !broken {
			h.Broken, broken = ended(d, status), true
		}
		all, before = append(all, h), st.Permissions
	}
	tool := x.target(a)
	tool.After = broken
	return append(all, tool)
}

func (x *request) target(a guard.Asked) hop {
	p := principal{Kind: "tool", Name: show(a.Object.Resource.ID), ID: a.Object.Action}
	return hop{principal: p, How: "what would run", Permissions: []permission{{Name: show(a.Object.Action), State: "use"}}}
}

func (x *request) until(st delegation.Statement) when { return at(timeOf(st.ExpiresAt), x.now) }

// narrowed marks what this call uses of what was lent, and adds what the hop before had and did not lend on.
func narrowed(before, lent []delegation.Permission, action string, args delegation.Args) []permission {
	out := permissions(lent)
	for i, p := range lent {
		if delegation.Allows([]delegation.Permission{p}, action, args) {
			out[i].State = "use"
		}
	}
	for i, dropped := range permissions(before) {
		if !slices.ContainsFunc(lent, func(p delegation.Permission) bool { return delegation.Covers(before[i], p) }) {
			dropped.State = "cut"
			out = append(out, dropped)
		}
	}
	return out
}

func lentLines(d lending.Delegation) (lines []shown) {
	st := d.Link.Statement
	if st.MaxUses != nil {
		lines = append(lines, show(fmt.Sprintf("%d of %d uses left", max(0, *st.MaxUses-d.Uses), *st.MaxUses)))
	}
	if st.Task != "" {
		lines = append(lines, show("task "+st.Task))
	}
	if st.MaxDepth > 0 {
		lines = append(lines, show("may lend on"))
	}
	if st.Purpose != "" {
		lines = append(lines, show("“"+st.Purpose+"”"))
	}
	return lines
}

func ended(d lending.Delegation, status lending.Status) string {
	switch status {
	case lending.Revoked:
		return "revoked by " + d.EndedBy
	case lending.Exhausted:
		return "no uses left"
	}
	return "expired"
}

// signedHow says with what a person signed.
func signedHow(k delegation.DelegatorKey) string {
	switch {
	case k.Passkey != nil:
		return "signed with a passkey"
	case !k.JWK.IsZero():
		return "signed with the registered key " + k.JWK.Thumbprint().String()
	}
	return "was signed in; the server attests it"
}

// caption says what was really checked about a chain.
func caption(a guard.Asked) (text string, holds bool) {
	if a.Unproved != nil {
		reason := "it does not verify"
		if f := fault.Of(a.Unproved); f != nil {
			reason = f.Reason
		}
		return "not proved: " + reason, false
	}
	n := len(a.Chain)
	switch n {
	case 0:
		return "nothing was lent", true
	case 1:
		return "1 of 1 signature verified", true
	}
	return fmt.Sprintf("narrows at every step · %d of %d signatures verified", n, n), true
}

// voteRow is a counted vote.
type voteRow struct {
	Voter  principal
	Word   pill
	Reason shown
	At     when
	Rev    int64 // where in the log it was counted
	How    string
}

func (x *request) votes(all []evidence.Ballot) (rows []voteRow) {
	for _, b := range all {
		word := pill{"ok", "Approved"}
		if b.Vote.Vote != evidence.Approve {
			word = pill{"no", "Denied"}
		}
		rows = append(rows, voteRow{x.principal(b.Vote.Voter.String()), word, show(b.Vote.Reason), at(microsOf(b.At), x.now), b.Rev, signedHow(b.Key)})
	}
	return rows
}
