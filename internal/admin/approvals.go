package admin

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
)

// maxWait bounds a request that waits for people.
const maxWait = 45 * time.Second

var statuses = []approvals.Status{
	approvals.Pending, approvals.Approved, approvals.Denied, approvals.Expired, approvals.Cancelled, approvals.Void, approvals.Spent,
}

func listApprovals(x *request, _ none) (api.List[api.Approval], error) {
	var none api.List[api.Approval]
	before, err := read(id.Parse[id.Approval], "before", x.query.Get("before"))
	if err != nil {
		return none, err
	}
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	status := approvals.Pending
	if text := x.query.Get("status"); text != "" {
		if status = approvals.Status(text); !slices.Contains(statuses, status) {
			return none, fault.New(fault.Invalid, "malformed", "status: an approval is pending, approved, denied, expired, cancelled, void or spent")
		}
	}
	found, err := x.Guard.ListApprovals(x.ctx, x.caller, status, before, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, x.approvalOf, func(a approvals.Approval) string { return a.ID.String() }), nil
}

func (x *request) approvalOf(a approvals.Approval) api.Approval {
	o := a.Object
	return api.Approval{
		ID: a.ID, Digest: a.Digest, Status: string(a.StatusAt(x.Guard.Now())), Gate: o.Gate, Role: a.Role, Quorum: a.Quorum, Reason: a.Reason, Actor: o.Actor,
		Subject: o.Subject, Task: o.Task, Delegation: a.Delegation, Action: o.Action, Resource: o.Resource.Type + "::" + o.Resource.ID,
		Arguments: string(a.Arguments), Asked: a.Asked, Created: when(a.CreatedAt), Expires: when(a.ExpiresAt), UseBy: when(a.UseBy),
		URL: x.Guard.ApprovalURL(a.ID),
	}
}

func oneApproval(x *request, _ none) (api.Approval, error) {
	a, err := x.approval()
	if err != nil {
		return api.Approval{}, err
	}
	wait, err := read(time.ParseDuration, "wait", x.query.Get("wait"))
	if err != nil {
		return api.Approval{}, err
	}
	if wait < 0 || wait > maxWait {
		return api.Approval{}, fault.New(fault.Invalid, "malformed", "wait is at most %s", maxWait)
	}
	found, err := x.Guard.Approval(x.ctx, x.caller, a)
	if err == nil && wait > 0 {
		ctx, cancel := context.WithTimeout(x.ctx, wait)
		defer cancel()
		found, err = x.Guard.Await(ctx, x.caller, found)
	}
	if err != nil {
		return api.Approval{}, err
	}
	return x.approvalOf(found), nil
}

func proposeVote(x *request, in api.ProposeVote) (evidence.Vote, error) {
	a, err := x.approval()
	if err != nil {
		return evidence.Vote{}, err
	}
	return x.Guard.ProposeVote(x.ctx, x.caller, a, in.Vote, in.Reason)
}

func vote(x *request, in api.CastVote) (api.Approval, error) {
	a, err := x.approval()
	if err != nil {
		return api.Approval{}, err
	}
	after, _, err := x.Guard.Vote(x.ctx, x.caller, a, in.Signed)
	if err != nil {
		return api.Approval{}, err
	}
	return x.approvalOf(after), nil
}

func cancelApproval(x *request, _ none) (api.Approval, error) {
	a, err := x.approval()
	if err != nil {
		return api.Approval{}, err
	}
	if err := x.Guard.Cancel(x.ctx, x.caller, a); err != nil {
		return api.Approval{}, err
	}
	found, err := x.Guard.Approval(x.ctx, x.caller, a)
	return x.approvalOf(found), err
}
