package explain

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// Decision explains what policy said when an event happened, by the bundle that decided, or by another where with is not nil. Code: not_found.
func (x *Explainer) Decision(ctx context.Context, ws id.Workspace, event id.Event, with *policy.Set) (api.Explanation, error) {
	e, err := x.Log.Event(ctx, ws, event)
	if err != nil {
		return api.Explanation{}, err
	}
	if e.Kind == evidence.ToolFinished && !e.Cause.IsZero() { // decided when it was started
		if e, err = x.Log.Event(ctx, ws, e.Cause); err != nil {
			return api.Explanation{}, err
		}
	}
	out := api.Explanation{Event: x.recorded(e), Principals: []policy.Explained{}}
	if e.Why == nil || e.Why.Facts.IsZero() || e.Did == nil {
		out.Unasked = "policy decided nothing in this event"
		if e.Outcome == evidence.Deny {
			out.Unasked = "this was refused before policy was asked"
		}
		return out, nil
	}
	out.Event.Other = with != nil && with.Digest() != e.Why.Bundle
	if with == nil {
		if with, err = x.Rules.Load(ctx, ws, e.Why.Bundle); err != nil {
			return api.Explanation{}, err
		}
	}
	asked, err := x.inputs(ctx, e)
	if errors.Is(err, errErased) {
		out.Unasked = "a part of what this was decided on was erased, or was never kept because it was too large"
		return out, nil
	} else if err != nil {
		return api.Explanation{}, err
	}
	Say(&out, with, asked.facts, policy.Explain(with, cmp.Or(asked.shape, with.ShapeOf(asked.facts)), asked.facts, asked.lifts))
	out.Names = x.names(ctx, ws, asked.facts)
	return out, nil
}

// recorded is an event as it stands in the log.
func (x *Explainer) recorded(e audit.Entry) *api.ExplainedEvent {
	r := &api.ExplainedEvent{ID: e.ID, Rev: e.Rev, Kind: e.Kind, Outcome: string(e.Outcome), At: time.UnixMicro(e.At).UTC().Format(time.RFC3339Nano)}
	if e.Why != nil {
		r.Code, r.Reason = e.Why.Code, e.Why.Reason
	}
	if r.Code != "" {
		r.Page = x.Issuer + api.ErrorPath + "/" + r.Code
	}
	return r
}

// Say puts what policy explains into the form of the API.
func Say(out *api.Explanation, set *policy.Set, f policy.Facts, x policy.Explanation) {
	d := x.Decision
	out.Bundle, out.Action, out.Resource = set.Digest(), f.Action, f.Resource.String()
	out.Outcome, out.Code, out.Message = string(d.Outcome), d.Code, d.Message
	out.Reasons, out.Errors, out.Waived = d.Reasons, d.Errors, d.Waived
	out.Principals = append([]policy.Explained{}, x.Principals...)
}

// names are what people call the principals.
func (x *Explainer) names(ctx context.Context, ws id.Workspace, f policy.Facts) map[string]string {
	names := map[string]string{}
	for _, p := range f.Principals {
		if name := x.Name(ctx, ws, p.ID); name != "" {
			names[p.ID] = name
		}
	}
	return names
}

// inputs are what an event was decided on.
type inputs struct {
	facts policy.Facts
	shape *policy.Shape
	lifts []policy.Lift
}

// inputs reads them from the log alone. Its error is errErased where a part is gone.
func (x *Explainer) inputs(ctx context.Context, e audit.Entry) (in inputs, err error) {
	raw, err := x.Log.Content(ctx, e.Why.Facts)
	if err != nil {
		return in, err
	}
	if in.facts, err = policy.ParseFacts(raw); err != nil {
		return in, err
	}
	g := &gathering{Explainer: x, ctx: ctx}
	if err := g.restore(e, &in.facts); err != nil {
		return in, err
	}
	if in.facts.Resource.Type == policy.TypeTool {
		if in.facts.Arguments == nil {
			return in, errErased
		}
		var definition []byte
		if !e.Did.Pin.IsZero() {
			if definition, err = x.Log.Content(ctx, e.Did.Pin); err != nil {
				return in, err
			}
		}
		if in.shape, err = policy.ShapeOf(definition); err != nil {
			return in, err
		}
	}
	in.lifts, err = x.lifts(ctx, e)
	return in, err
}

// lifts are the approvals that an event used.
func (x *Explainer) lifts(ctx context.Context, e audit.Entry) (all []policy.Lift, err error) {
	if e.Under == nil {
		return nil, nil
	}
	for _, ref := range e.Under.Approvals {
		raw, err := x.Log.Content(ctx, ref.Ask)
		if err != nil {
			return nil, err
		}
		asked, err := evidence.ParseApproval(raw)
		if err != nil {
			return nil, err
		}
		l := policy.Lift{Gate: asked.Gate, Approval: ref.ID}
		for _, v := range ref.Votes {
			raw, err := x.Log.Content(ctx, v)
			if fault.Code(err) == "not_found" {
				continue
			} else if err != nil {
				return nil, err
			}
			b, err := evidence.ParseBallot(string(raw))
			if err != nil {
				return nil, err
			}
			l.Voters = append(l.Voters, policy.UID{Type: policy.TypeUser, ID: b.Vote.Voter.String()})
		}
		all = append(all, l)
	}
	return all, nil
}
