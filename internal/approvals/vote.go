package approvals

import (
	"slices"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Vote counts one person's vote: with fewer than the quorum's approvals it stays pending, the last one approves, a denial denies. The caller has
// verified the voter's signature and counted the ballot (evidence.Count) in this transaction; eligible is what policy.Eligible says of the voter. It
// returns the approval as it stands after. Codes: not_found, decided, expired, withdrawn, changed, four_eyes, not_eligible, already_voted, vote_invalid.
func (*Room) Vote(tx *audit.Tx, ws id.Workspace, a id.Approval, b evidence.Ballot, eligible bool) (Approval, error) {
	was, err := lock(tx, ws, a)
	if err != nil {
		return Approval{}, err
	}
	if err := was.takes(b.Vote, eligible, tx.Now()); err != nil {
		return Approval{}, err
	}
	counted, err := cast(tx, was, b)
	if err != nil {
		return Approval{}, err
	}
	if !counted {
		return Approval{}, fault.New(fault.Conflict, "already_voted", "you have voted on this; a vote counts once")
	}
	if err := decide(tx, was, b.Vote.Vote); err != nil {
		return Approval{}, err
	}
	return lock(tx, ws, a)
}

// takes refuses a vote that cannot count.
func (a Approval) takes(v evidence.Vote, eligible bool, now time.Time) error {
	if err := a.closed(now); err != nil {
		return err
	}
	if err := v.Check(); err != nil {
		return err
	}
	on := slices.IndexFunc(v.Asks, func(on evidence.Asked) bool { return on.ID == a.ID })
	switch {
	case on < 0 || v.Workspace != a.Object.Workspace || v.Issuer != a.Object.Issuer || v.Asks[on].Stage != a.Role || v.For != nil:
		return fault.New(fault.Invalid, "vote_invalid", "the vote is on another approval, or for somebody else")
	case slices.Contains(a.Excluded, v.Voter.String()) || v.Voter == a.Object.Subject:
		return fault.New(fault.Denied, "four_eyes", "who asks, for whom, and who owns an agent that asks may not vote on it").Try("ask another person with the role %s", a.Role)
	case !eligible:
		return fault.New(fault.Denied, "not_eligible", "voting on this takes the role %s", a.Role)
	case v.Asks[on].Object != a.Digest:
		return fault.New(fault.Conflict, "changed", "the vote is for another object than the one that is asked for").Try("open it again and vote on what it shows")
	}
	return nil
}

// Spend uses an approval up, for exactly the object that was approved, while its time lasts. Code: approval_gone, for every reason why it could
// not: then everything that the call did must be undone and decided once more.
func (*Room) Spend(tx *audit.Tx, ws id.Workspace, a id.Approval, digest id.Digest) error {
	spent, err := spend(tx, ws, a, digest)
	if err == nil && !spent {
		err = fault.New(fault.Conflict, "approval_gone", "the approval %s is not there to be used: it was spent, has ended, or is for another call", a)
	}
	return err
}

// Cancel withdraws a live ask. by is who cancels: the actor that asked, or the person it acts for. Codes: not_found, not_requester, and those of a
// vote on what has ended.
func (*Room) Cancel(tx *audit.Tx, ws id.Workspace, a id.Approval, by string) error {
	was, err := lock(tx, ws, a)
	if err != nil {
		return err
	}
	if by != was.Object.Actor && (was.Object.Subject.IsZero() || by != was.Object.Subject.String()) {
		return fault.New(fault.Denied, "not_requester", "only who asked, and for whom, can withdraw this").Try("vote against it")
	}
	done, err := cancel(tx, ws, a)
	if err == nil && !done {
		if err = was.closed(tx.Now()); err == nil {
			err = fault.New(fault.Conflict, "decided", "this was decided already")
		}
	}
	return err
}

// Ground is what approvals rest on: each member that is set names some.
type Ground struct {
	Approval    id.Approval       // itself: its gate or pin changed, or its voters are no longer entitled
	Delegations []id.Delegation   // that ended
	Actor       string            // that asked
	Subject     id.User           // for whom it asked
	Resource    evidence.Resource // that changed
	Server      string            // whose tools they are for
	All         bool              // every one of the workspace
}

// VoidAll ends every live approval that rests on one of these, and lists them.
func (*Room) VoidAll(tx *audit.Tx, ws id.Workspace, g Ground) ([]id.Approval, error) {
	return void(tx, ws, g)
}

// Asks lists the live approvals that an actor asked for, each with the event in which it did.
func (*Room) Asks(tx *audit.Tx, ws id.Workspace, actor string) (map[id.Approval]id.Event, error) {
	return liveAsks(tx, ws, actor)
}

// Expire ends up to 100 approvals whose time has run out, and lists them: those that nobody decided, and those that nobody used.
func (*Room) Expire(tx *audit.Tx, ws id.Workspace) ([]id.Approval, error) {
	return expire(tx, ws, id.Digest{})
}
