package console

import (
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

// challengeBody asks for the statement of a vote.
type challengeBody struct {
	Vote   string `json:"vote"`
	Reason string `json:"reason,omitzero"`
}

// proposal is what app.js compares with the page, and has a passkey sign.
type proposal struct {
	Statement string                `json:"statement"` // RFC 8785; its SHA-256 is the challenge
	Options   people.RequestOptions `json:"options"`
}

// voteBody is a signed vote.
type voteBody struct {
	Statement string               `json:"statement"`
	Assertion delegation.Assertion `json:"assertion"`
}

// counted is the receipt.
type counted struct {
	Status string   `json:"status"`
	Event  id.Event `json:"event"`
	Rev    int64    `json:"rev"`
}

func (x *request) approvalID() (id.Approval, error) {
	a, err := id.Parse[id.Approval](x.r.PathValue("id"))
	if err != nil {
		return a, missing("there is no such approval")
	}
	return a, nil
}

// voteChallenge makes the statement of a vote, for one who may vote now.
func voteChallenge(x *request, body []byte) (any, error) {
	a, err := x.approvalID()
	if err != nil {
		return nil, err
	}
	if err := x.limit(x.challenges, x.person.ID.String()); err != nil {
		return nil, err
	}
	var in challengeBody
	if err := jose.Decode(body, &in, jose.Limits{Bytes: maxBody}); err != nil {
		return nil, err
	}
	if err := reasoned(in.Vote, in.Reason); err != nil {
		return nil, err
	}
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return nil, err
	}
	asked, err := p.Asked(x.ctx, a)
	if err != nil {
		return nil, err
	}
	if status := asked.StatusAt(x.now); status != approvals.Pending {
		return nil, over(status)
	}
	if asked.Barred != nil {
		return nil, asked.Barred
	}
	if in.Vote == evidence.Approve && asked.Unproved != nil {
		return nil, asked.Unproved
	}
	v, err := x.Guard.ProposeVote(x.ctx, x.caller, a, in.Vote, in.Reason)
	if err != nil {
		return nil, err
	}
	statement, err := v.Bytes()
	if err != nil {
		return nil, err
	}
	options, err := x.Guard.VoteRequest(x.ctx, v)
	return proposal{string(statement), options}, err
}

// over is why nobody can vote any more (console.md §5).
func over(status approvals.Status) error {
	code, reason := "decided", "this was decided already"
	switch status {
	case approvals.Expired:
		code, reason = "expired", "the time to vote on this is over"
	case approvals.Cancelled:
		code, reason = "withdrawn", "this was withdrawn by whoever asked"
	case approvals.Void:
		code, reason = "changed", "what this rested on was changed or ended since it was asked"
	}
	return fault.New(fault.Conflict, code, "%s", reason).Try("reload to see it")
}

// reasoned demands a reason for a denial: the agent reads it.
func reasoned(vote, reason string) error {
	if vote == evidence.Refuse && strings.TrimSpace(reason) == "" {
		return fault.New(fault.Invalid, "reason_needed", "a denial has a reason: the agent reads it").Try("say why in a sentence")
	}
	return nil
}

// vote hands a signed vote in.
func vote(x *request, body []byte) (any, error) {
	a, err := x.approvalID()
	if err != nil {
		return nil, err
	}
	var in voteBody
	if err := jose.Decode(body, &in, jose.Limits{Bytes: maxBody}); err != nil {
		return nil, err
	}
	v, err := evidence.ParseVote([]byte(in.Statement))
	if err != nil {
		return nil, err
	}
	if err := reasoned(v.Vote, v.Reason); err != nil {
		return nil, err
	}
	signed := evidence.SignedVote{Vote: v, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: &in.Assertion}}
	after, got, err := x.Guard.Vote(x.ctx, x.caller, a, signed)
	if err != nil {
		return nil, aboutAssertion(err)
	}
	return counted{string(after.Status), got.ID, got.Rev}, nil
}

// aboutAssertion gives one code to everything that can be wrong with a passkey's signature (console.md §5); the approval stays open.
func aboutAssertion(err error) error {
	f := fault.Of(err)
	if f == nil || f.Kind != fault.Unauthenticated && f.Kind != fault.Invalid {
		return err
	}
	if strings.HasPrefix(f.Code, "passkey_") || strings.HasPrefix(f.Code, "signature_") || f.Code == "key_mismatch" {
		return fault.Wrap(err, f.Kind, "assertion", "%s", f.Reason).Try("try again with your own passkey")
	}
	return err
}
