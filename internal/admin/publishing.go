package admin

import (
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

func filesOf(in []api.PolicyFile) []policy.File {
	files := make([]policy.File, 0, len(in))
	for _, f := range in {
		files = append(files, policy.File{Path: f.Path, Text: []byte(f.Text)})
	}
	return files
}

func publish(x *request, in api.Publish) (api.Published, error) {
	message, err := reasonOf(api.Reason{Reason: in.Message})
	if err != nil {
		return api.Published{}, err
	}
	p, err := x.Guard.Publish(x.ctx, x.caller, guard.Candidate{Files: filesOf(in.Files), Base: in.Base, Message: message, Replay: in.Replay})
	return publishedOf(p), err
}

func rollback(x *request, in api.Rollback) (api.Published, error) {
	message, err := reasonOf(api.Reason{Reason: in.Message})
	if err != nil {
		return api.Published{}, err
	}
	p, err := x.Guard.Rollback(x.ctx, x.caller, in.Bundle, in.Base, message)
	return publishedOf(p), err
}

func publishedOf(p guard.LiveBundle) api.Published {
	out := api.Published{Digest: p.Digest, Base: p.Base, Problems: []string{}, Event: p.Event.ID, Rev: p.Event.Rev}
	for _, problem := range p.Problems {
		out.Problems = append(out.Problems, problem.String())
	}
	return out
}

func livePolicy(x *request, _ none) (api.Bundle, error) {
	set, err := x.Guard.LivePolicy(x.ctx, x.caller)
	return bundleOf(set), err
}

func oneBundle(x *request, _ none) (api.Bundle, error) {
	set, err := x.Guard.Bundle(x.ctx, x.caller, x.path("bundle"))
	return bundleOf(set), err
}

func bundleOf(set *policy.Set) api.Bundle {
	b := api.Bundle{Files: []api.PolicyFile{}, Problems: []string{}}
	if set == nil {
		return b
	}
	b.Digest = set.Digest()
	for _, f := range set.Files() {
		b.Files = append(b.Files, api.PolicyFile{Path: f.Path, Text: string(f.Text)})
	}
	return b
}

func policyLog(x *request, _ none) (api.List[api.Publication], error) {
	var none api.List[api.Publication]
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	before := int64(0)
	if text := x.query.Get("before"); text != "" {
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return none, fault.New(fault.Invalid, "malformed", "before is the rev of an event, at least 1")
		}
	}
	found, err := x.Guard.Publications(x.ctx, x.caller, before, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, publicationOf, func(p guard.Publication) string { return strconv.FormatInt(p.Rev, 10) }), nil
}

func publicationOf(p guard.Publication) api.Publication {
	out := api.Publication{
		Event: p.ID, Rev: p.Rev, At: when(time.UnixMicro(p.At)), By: p.Who.Sub, Name: p.Name, Act: "attorn:policy:publish",
		Bundle: p.What.Bundle, Base: p.What.Base, Message: p.Message, Live: p.Live,
	}
	if p.Did != nil {
		out.Act = p.Did.Action
	}
	if strings.HasPrefix(out.Act, "attorn:policy:") {
		out.Replay = p.Cause
	}
	return out
}
