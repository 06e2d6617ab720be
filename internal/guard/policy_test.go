package guard_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

const forTools = `@id("people") permit (principal, action, resource) when { context.perm.s0 == "tool" };` + "\n"

func candidate(text string) guard.Candidate {
	return guard.Candidate{Files: []policy.File{{Path: "policies/test.cedar", Text: []byte(text)}}}
}

// A publication and its end are in the log with who, why, on which base; the pointer moves and comes back, and the history says so.
func TestPublishRollbackLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := newRig(t, dsn)
		ann := r.firstOwner("Ann")
		shipped := r.live()
		in := candidate(forTools)
		in.Message, in.Base = "tools for everybody", shipped
		one, err := ann.publishing(in)
		r.ok(err)
		two, err := ann.publishing(candidate(forTools + `@id("not-wipe") forbid (principal, action == Action::"tool:files:wipe", resource);`))
		r.ok(err)
		if one.Base != shipped || two.Base != one.Digest || r.live() != two.Digest {
			t.Fatalf("%+v, %+v, live %s", one, two, r.live())
		}
		back, err := ann.Rollback(t.Context(), ann.signed(), "previous", two.Digest, "it broke the build")
		r.ok(err)
		if back.Digest != one.Digest || back.Base != two.Digest || r.live() != one.Digest {
			t.Fatalf("back to %+v", back)
		}
		forth, err := ann.Rollback(t.Context(), ann.signed(), two.Digest.String()[:8], id.Digest{}, "")
		r.ok(err)
		if forth.Digest != two.Digest || r.live() != two.Digest {
			t.Fatalf("forth to %+v", forth)
		}
		all, err := ann.Publications(t.Context(), ann.api(), 0, 50)
		r.ok(err)
		var told []string
		for _, p := range all {
			act := "-"
			if p.Did != nil {
				act = p.Did.Action
			}
			told = append(told, strings.Join([]string{act, p.What.Bundle.String()[:6], p.What.Base.String(), p.Name, p.Message}, " "))
			if p.Live != (p.Rev == all[0].Rev) {
				t.Errorf("#%d is live: %v", p.Rev, p.Live)
			}
		}
		want := []string{
			"attorn:policy:rollback " + two.Digest.String()[:6] + " " + one.Digest.String() + " Ann ",
			"attorn:policy:rollback " + one.Digest.String()[:6] + " " + two.Digest.String() + " Ann it broke the build",
			"attorn:policy:publish " + two.Digest.String()[:6] + " " + one.Digest.String() + " Ann ",
			"attorn:policy:publish " + one.Digest.String()[:6] + " " + shipped.String() + " Ann tools for everybody",
			"- " + shipped.String()[:6] + "   ",
		}
		if strings.Join(told, "\n") != strings.Join(want, "\n") {
			t.Errorf("the history is\n%s\nnot\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
		if page, err := ann.Publications(t.Context(), ann.api(), all[1].Rev, 1); err != nil || len(page) != 1 || page[0].ID != all[2].ID {
			t.Errorf("%+v, %v", page, err)
		}
		e, err := r.log.Event(t.Context(), id.Default, back.Event.ID)
		r.ok(err)
		if e.Kind != evidence.PolicyPublished || e.Who.Proof == nil || e.Who.Proof.Type != "httpsig" || !slices.Contains(e.Why.Waived, "attorn/publish-signed") {
			t.Errorf("%+v, %+v", e.Who.Proof, e.Why)
		}
	})
}

func (r *rig) live() id.Digest {
	r.t.Helper()
	d, err := r.Rules.Live(r.t.Context(), id.Default)
	r.ok(err)
	return d
}

// Who may not, or has not stepped up, publishes nothing; and nothing is published on what its author has not seen, or that would lock everybody out.
func TestPublishingRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := newRig(t, dsn)
		ann := r.firstOwner("Ann")
		ben := ann.invite("Ben")
		bot := ann.register("bot")
		one, err := ann.publishing(candidate(forTools))
		r.ok(err)
		old := one.Base
		publish := func(c *guard.Caller, in guard.Candidate) error {
			_, err := r.Publish(t.Context(), c, in)
			return err
		}
		rollback := func(c *guard.Caller, ref string, base id.Digest) error {
			_, err := r.Rollback(t.Context(), c, ref, base, "")
			return err
		}
		_, _, err = ann.Bind(t.Context(), ann.api(), guard.NewBinding{Principal: bot.agent.String(), Role: "tool-user"})
		r.ok(err)
		stale, other := candidate(forTools), candidate(forTools)
		stale.Base = old
		other.Replay = one.Event.ID
		store := guard.Candidate{Files: []policy.File{{Path: "store/roles/x.yaml", Text: []byte("name: x")}}}
		for name, c := range map[string]struct {
			do   func() error
			code string
		}{
			"a stranger":             {func() error { return publish(ben.signed(), candidate(forTools)) }, "no_permit"},
			"a stranger goes back":   {func() error { return rollback(ben.signed(), "previous", id.Digest{}) }, "no_permit"},
			"no step-up":             {func() error { return publish(ann.api(), candidate(forTools)) }, "signature_needed"},
			"no step-up, back":       {func() error { return rollback(ann.api(), "previous", id.Digest{}) }, "signature_needed"},
			"an agent":               {func() error { return publish(bot.api(), candidate(forTools)) }, "no_permit"},
			"on a base that is gone": {func() error { return publish(ann.signed(), stale) }, "stale_base"},
			"back from one":          {func() error { return rollback(ann.signed(), "previous", old) }, "stale_base"},
			"another's replay":       {func() error { return publish(ann.signed(), other) }, "replay_other"},
			"what the API makes":     {func() error { return publish(ann.signed(), store) }, "bad_path"},
			"nonsense":               {func() error { return publish(ann.signed(), candidate("permit everything")) }, "policy_invalid"},
			"to what is live":        {func() error { return rollback(ann.signed(), "live", id.Digest{}) }, "unchanged"},
			"to nothing":             {func() error { return rollback(ann.signed(), "AAAAAAAA", id.Digest{}) }, "not_found"},
			"to anything":            {func() error { return rollback(ann.signed(), "", id.Digest{}) }, "not_found"},
			"nobody may publish": {func() error {
				return publish(ann.signed(), candidate(`@id("x") forbid (principal, action == Action::"attorn:policy:publish", resource);`))
			}, "lockout"},
			"nobody ever": {func() error {
				return publish(ann.signed(), candidate(`@id("x") forbid (principal, action, resource) when { context.args.none };`))
			}, "lockout"},
			"only by passkey": {func() error {
				return publish(ann.signed(), candidate(`@id("x") @stepup("acr>=3") forbid (principal, action == Action::"attorn:policy:publish", resource);`))
			}, "lockout"},
			"only an agent": {func() error {
				return publish(ann.signed(), candidate(`@id("x") forbid (principal is User, action == Action::"attorn:policy:publish", resource);`))
			}, "lockout"},
		} {
			if err := c.do(); fault.Code(err) != c.code {
				t.Errorf("%s: %q (%v), want %q", name, fault.Code(err), err, c.code)
			}
		}
		if r.live() != one.Digest {
			t.Error("a refusal moved the pointer")
		}
		// Somebody else than the publisher is enough, and is really the one.
		only := `@id("only-ben") permit (principal == User::"` + ben.user.String() + `", action == Action::"attorn:policy:publish", resource);
			@id("not-ann") forbid (principal == User::"` + ann.user.String() + `", action == Action::"attorn:policy:publish", resource);`
		if _, err := ann.publishing(candidate(only)); err != nil {
			t.Error(err)
		}
		if _, err := ann.publishing(candidate(forTools)); fault.Code(err) != "forbidden" {
			t.Error(err)
		}
		if _, err := ben.publishing(candidate(forTools)); err != nil {
			t.Error(err)
		}
	})
}

// A publication decides on every node from its commit on: no call that is recorded after it was decided by the bundle before.
func TestPublishingIsAtomicAcrossNodes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, newRig)
		first, last := nodes[0], nodes[len(nodes)-1]
		ann := first.firstOwner("Ann")
		ann.addFiles()
		ann.publish(forTools)
		bot := ann.register("bot")
		link := ann.lend(bot, lent{}, "tool:files:*")
		there := &party{rig: last, signer: bot.signer, agent: bot.agent}
		call := func() guard.Verdict {
			v, err := last.Start(t.Context(), there.tool(link), last.call("read", `{"path":"a"}`))
			first.ok(err)
			return v
		}
		for range 5 {
			if v := call(); v.Outcome != evidence.Permit {
				t.Fatalf("before: %+v", v)
			}
			ann.publish(forTools + `@id("not-read") forbid (principal, action == Action::"tool:files:read", resource);`)
			if v := call(); v.Outcome != evidence.Deny || v.Code != "forbidden" {
				t.Fatalf("after: %+v", v)
			}
			_, err := ann.Rollback(t.Context(), ann.signed(), "previous", id.Digest{}, "")
			first.ok(err)
		}
		// Together: each event rests on the bundle that was live at its place in the log.
		audittest.Together(t, nodes, 16, func(r *rig, i int) error {
			if i%4 == 0 {
				_, err := (&party{rig: r, signer: ann.signer, user: ann.user}).publishing(candidate(forTools + "// " + strings.Repeat("x", i)))
				return err
			}
			_, err := r.Start(t.Context(), (&party{rig: r, signer: bot.signer, agent: bot.agent}).tool(link), r.call("read", `{"path":"a"}`))
			return err
		})
		rev, err := first.log.Rev(t.Context(), id.Default)
		first.ok(err)
		var live id.Digest
		decided := 0
		for at := range rev {
			e, err := first.log.At(t.Context(), id.Default, at)
			first.ok(err)
			if e.Why != nil && !e.Why.Facts.IsZero() && e.Outcome != evidence.Deny {
				if decided++; e.Why.Bundle != live {
					t.Errorf("#%d %s was decided by %s, and %s was live", at, e.Kind, e.Why.Bundle, live)
				}
			}
			if e.Kind == evidence.PolicyPublished && e.Outcome == evidence.OK {
				live = e.What.Bundle
			}
		}
		if decided < 20 {
			t.Errorf("%d decisions", decided)
		}
	})
}
