package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// Replaying is a replay that was permitted, and is in the log: what is to be decided again, by what.
type Replaying struct {
	Event      evidence.Receipt
	Candidate  *policy.Set
	Live       *policy.Set
	Difference policy.Difference // from the live one

	g            *Guard
	ws           id.Workspace
	from, before int64
}

// maxReplays is how many replays a process makes at once: each takes a core.
const maxReplays = 2

// Replay begins to decide again, by a candidate, what was decided since a time. ref names a bundle that was published, where there are no files. Whoever may replay
// can learn of the arguments of calls, by policies that ask for them: so it is an act with an event of its own, which names the candidate. Codes: policy_invalid,
// replaying.
func (g *Guard) Replay(ctx context.Context, c *Caller, files []policy.File, ref string, since time.Time) (*Replaying, error) {
	r := &Replaying{g: g, ws: c.ws}
	a := act{action: "attorn:policy:replay", noun: "policy", kind: evidence.LogRead, target: "policy"}
	_, err := settled(func() (_ evidence.Receipt, err error) {
		if _, _, err := g.judge(ctx, c, a); err != nil {
			return r.Event, err
		}
		if r.Live, err = g.live(ctx, c.ws); err != nil {
			return r.Event, err
		}
		if ref == "" {
			r.Candidate, _, err = g.candidate(ctx, c.ws, r.Live, files)
		} else {
			var d id.Digest
			if d, err = g.find(ctx, c.ws, ref); err == nil {
				r.Candidate, err = g.Rules.Load(ctx, c.ws, d)
			}
		}
		if fault.Of(err) != nil {
			return r.Event, g.refuseAct(ctx, c, nil, a, nil, err)
		} else if err != nil {
			return r.Event, err
		}
		if r.before, err = g.Log.Rev(ctx, c.ws); err != nil {
			return r.Event, err
		}
		if r.from, err = g.Log.RevAt(ctx, c.ws, since); err != nil {
			return r.Event, err
		}
		a.what, a.content = &evidence.What{Bundle: r.Candidate.Digest(), Base: r.Live.Digest()}, bundleContent(r.Candidate)
		r.Event, err = g.try(ctx, c, a, nil)
		return r.Event, err
	})
	if err != nil {
		return nil, err
	}
	r.Difference = policy.Diff(r.Live, r.Candidate)
	return r, nil
}

// Total is how many entries of the log there are to go through.
func (r *Replaying) Total() int64 { return max(0, r.before-r.from) }

// Run decides it all again, telling after each batch how many entries are behind. Code: replaying, while this process has enough to do with others.
func (r *Replaying) Run(ctx context.Context, told func(done int64) error) (policy.Outlook, error) {
	if r.g.replays.Add(1) > maxReplays {
		r.g.replays.Add(-1)
		return policy.Outlook{}, fault.New(fault.Limited, "replaying", "%d replays are under way", maxReplays).Try("wait until one has ended")
	}
	defer r.g.replays.Add(-1)
	replay, past := policy.NewReplay(r.Candidate), newPasts(r.g, r.ws)
	err := r.g.Log.Decisions(ctx, r.ws, r.from, r.before, func(b *audit.DecidedBatch, done int64) error {
		for _, d := range b.All {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := replay.Add(past.of(ctx, d)); err != nil {
				return err
			}
		}
		return told(done)
	})
	return replay.Outlook(), err
}

// pasts finds the inputs of recorded decisions, and keeps what many of them share.
type pasts struct {
	g      *Guard
	ws     id.Workspace
	shapes map[id.Digest]*policy.Shape
	sets   map[id.Digest]*policy.Set
}

func newPasts(g *Guard, ws id.Workspace) *pasts {
	return &pasts{g, ws, map[id.Digest]*policy.Shape{}, map[id.Digest]*policy.Set{}}
}

func (p *pasts) of(ctx context.Context, d *audit.Decided) policy.Past {
	out := policy.Past{Event: d.Rev, Facts: d.Facts, Outcome: policy.Outcome(d.Outcome), Code: d.Why.Code, Inputs: inputs{p, ctx, d}}
	if d.Outcome == evidence.OK { // an act of attorn's own API, done because it was permitted
		out.Outcome = policy.Permit
	}
	return out
}

// inputs are those of one recorded decision.
type inputs struct {
	*pasts
	ctx context.Context
	*audit.Decided
}

func (i inputs) Arguments() ([]byte, error) {
	if i.Did.Args == nil {
		if i.Did.Resource.Type == policy.TypeTool { // too large to be kept
			return nil, policy.ErrErased
		}
		return nil, nil
	}
	value, ok, err := i.Open(i.ctx, i.Did.Args, "args")
	if err == nil && !ok {
		err = policy.ErrErased
	}
	return value, err
}

func (i inputs) IP() (ip string, err error) {
	if i.Where.IP == nil {
		return "", nil
	}
	value, ok, err := i.Open(i.ctx, i.Where.IP, "ip")
	if err == nil && !ok {
		err = policy.ErrErased
	}
	if err != nil {
		return "", err
	}
	return ip, jose.Decode(value, &ip, jose.Limits{})
}

// Shape is that of the definition that was accepted then.
func (i inputs) Shape() (*policy.Shape, error) {
	if i.Did.Resource.Type == policy.TypeTool && strings.HasSuffix(i.Did.Resource.ID, ":"+catalog.ResourcesRead) {
		return policy.ShapeOf(nil)
	}
	pin := i.Did.Pin
	if s, ok := i.shapes[pin]; ok {
		return s, nil
	}
	definition, err := i.g.Log.Content(i.ctx, pin)
	if fault.Code(err) == "not_found" {
		return nil, policy.ErrErased
	} else if err != nil {
		return nil, err
	}
	s, err := policy.ShapeOf(definition)
	if err == nil {
		i.shapes[pin] = s
	}
	return s, err
}

// Lifts are the approvals that the call was permitted by, with who voted for it.
func (i inputs) Lifts() ([]policy.Lift, error) {
	var lifts []policy.Lift
	for _, ref := range i.Under.Approvals {
		raw, err := i.g.Log.Content(i.ctx, ref.Ask)
		if fault.Code(err) == "not_found" {
			return nil, policy.ErrErased
		} else if err != nil {
			return nil, err
		}
		object, err := evidence.ParseApproval(raw)
		if err != nil {
			return nil, err
		}
		l := policy.Lift{Gate: object.Gate, Approval: ref.ID}
		for _, d := range ref.Votes {
			raw, err := i.g.Log.Content(i.ctx, d)
			if fault.Code(err) == "not_found" {
				return nil, policy.ErrErased
			} else if err != nil {
				return nil, err
			}
			b, err := evidence.ParseBallot(string(raw))
			if err != nil {
				return nil, err
			}
			l.Voters = append(l.Voters, policy.UID{Type: policy.TypeUser, ID: b.Vote.Voter.String()})
		}
		lifts = append(lifts, l)
	}
	return lifts, nil
}

func (i inputs) Before() (*policy.Set, error) {
	if s, ok := i.sets[i.Why.Bundle]; ok {
		return s, nil
	}
	s, err := i.g.Rules.Load(i.ctx, i.ws, i.Why.Bundle)
	if err == nil {
		i.sets[i.Why.Bundle] = s
	}
	return s, err
}
