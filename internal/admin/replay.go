package admin

import (
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

// maxTold is how often a replay says how far it is.
const maxTold = 200

func replay(x *request, in api.Replay) (lines, error) {
	since, err := time.Parse(time.RFC3339, in.Since)
	if err != nil {
		return lines{}, fault.New(fault.Invalid, "malformed", "since is a time in the form of RFC 3339")
	}
	if in.Bundle != "" && len(in.Files) > 0 {
		return lines{}, fault.New(fault.Invalid, "malformed", "a candidate is files or a bundle, not both")
	}
	r, err := x.Guard.Replay(x.ctx, x.caller, filesOf(in.Files), in.Bundle, since)
	if err != nil {
		return lines{}, err
	}
	return lines{
		run: func(send func(any) error) error {
			total := r.Total()
			started := api.ReplayStarted{
				Replay: r.Event.ID, Candidate: r.Candidate.Digest(), Live: r.Live.Digest(), Total: total, Difference: differenceOf(r.Difference),
			}
			if err := send(api.ReplayLine{Started: &started}); err != nil {
				return err
			}
			next := int64(0)
			out, err := r.Run(x.ctx, func(done int64) error {
				if done < next {
					return nil
				}
				next = done + total/maxTold
				return send(api.ReplayLine{Done: done})
			})
			if err != nil {
				return err
			}
			return send(api.ReplayLine{Outlook: &out})
		},
		wrong: func(p api.Problem) any { return api.ReplayLine{Problem: &p} },
	}, nil
}

func differenceOf(d policy.Difference) api.Difference {
	out := api.Difference{Files: []api.FileChange{}, Policies: []api.PolicyChange{}, Roles: append([]string{}, d.Roles...)}
	for _, f := range d.Files {
		out.Files = append(out.Files, api.FileChange(f))
	}
	for _, p := range d.Policies {
		out.Policies = append(out.Policies, api.PolicyChange(p))
	}
	return out
}
