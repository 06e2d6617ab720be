package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/policy"
)

// kept is a recorded decision with all its inputs.
type kept struct {
	facts  policy.Facts
	lifts  []policy.Lift
	set    *policy.Set
	erased bool
	opened int // how often the arguments were asked for
}

func (k *kept) Arguments() ([]byte, error) {
	k.opened++
	if k.erased {
		return nil, policy.ErrErased
	}
	return k.facts.Arguments, nil
}
func (k *kept) Shape() (*policy.Shape, error) { return policy.Like(k.facts), nil }
func (k *kept) IP() (string, error)           { return k.facts.IP, nil }
func (k *kept) Lifts() ([]policy.Lift, error) { return k.lifts, nil }
func (k *kept) Before() (*policy.Set, error)  { return k.set, nil }

// past is what the log keeps of a decision.
func past(t testing.TB, event int64, k *kept, d policy.Decision) policy.Past {
	t.Helper()
	f := k.facts
	f.Arguments, f.IP = nil, ""
	raw, err := f.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return policy.Past{Event: event, Facts: raw, Outcome: d.Outcome, Code: d.Code, Inputs: k}
}

// A replay counts exactly the decisions that the candidate makes otherwise, whatever it remembers of others; through the bundle of record it flips none.
func TestReplayIsDecidingAgain(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		then, candidate := compileDrawn(r, drawPolicies(r, all(sound, erring), true)), compileDrawn(r, drawPolicies(r, all(sound, erring), true))
		self, other := policy.NewReplay(then), policy.NewReplay(candidate)
		var facts []policy.Facts
		for range rapid.IntRange(1, 4).Draw(r, "different") {
			facts = append(facts, drawFacts(r))
		}
		flips, elsewhere := map[policy.Outcome]int{}, 0
		for i := range rapid.IntRange(1, 16).Draw(r, "events") {
			f := rapid.SampledFrom(facts).Draw(r, "facts")
			f.Now += rapid.Int64Range(0, 2).Draw(r, "later") * 3_600_000_000
			f.Risk = rapid.SampledFrom([]int64{0, 80}).Draw(r, "risk")
			if a := drawArguments(r); a != "" && f.Arguments != nil {
				f.Arguments = []byte(a)
			}
			k := &kept{facts: f, set: then}
			if rapid.IntRange(0, 3).Draw(r, "approved") == 0 {
				k.lifts = drawLifts(r)
			}
			was, now := policy.Decide(then, policy.Like(f), f, k.lifts), policy.Decide(candidate, policy.Like(f), f, k.lifts)
			for _, replay := range []*policy.Replay{self, other} {
				if err := replay.Add(past(t, int64(i), k, was)); err != nil {
					r.Fatal(err)
				}
			}
			switch {
			case was.Code == policy.CodeSchema || was.Code == policy.CodeArgsTooLarge:
				elsewhere++
			case was.Outcome != now.Outcome:
				flips[now.Outcome]++
			}
		}
		if o := self.Outlook(); o.Permitted+o.Denied+o.Asking+o.Unexplained+o.Lacking != 0 || o.Elsewhere != elsewhere {
			r.Fatalf("the bundle of record: %+v", o)
		}
		o := other.Outlook()
		if o.Permitted != flips[policy.Permit] || o.Denied != flips[policy.Deny] || o.Asking != flips[policy.Ask] || o.Unexplained+o.Lacking != 0 {
			r.Fatalf("%+v, want %v", o, flips)
		}
		sum := 0
		for _, f := range o.Flips {
			sum += f.Count
		}
		if sum != o.Permitted+o.Denied+o.Asking {
			r.Fatalf("the groups have %d: %+v", sum, o)
		}
	})
}

// What an answer needs is asked for, and nothing else; what is erased counts only where it is needed.
func TestReplayAsksForLittle(t *testing.T) {
	plain := compiledOf(t, cedarFile("policies/a.cedar", `@id("a") permit (principal, action, resource);`))
	env := compiledOf(t, cedarFile("policies/a.cedar", `@id("a") permit (principal, action, resource);
@id("b") forbid (principal, action, resource) when { context.args has env && context.args.env == "prod" };`))
	f := chain("agt_a")
	f.Arguments = []byte(`{"env":"prod"}`)
	for name, c := range map[string]struct {
		candidate              *policy.Set
		erased                 bool
		opened, flips, lacks   int
		code                   string
		outcome                policy.Outcome
		unexplained, elsewhere int
	}{
		"no arguments":             {candidate: plain, outcome: policy.Permit},
		"erased but not needed":    {candidate: plain, erased: true, outcome: policy.Permit},
		"needed":                   {candidate: env, opened: 2, flips: 1, outcome: policy.Permit},
		"needed and erased":        {candidate: env, erased: true, opened: 1, lacks: 1, outcome: policy.Permit},
		"another record":           {candidate: plain, opened: 1, unexplained: 1, outcome: policy.Deny, code: policy.CodeForbidden},
		"refused elsewhere":        {candidate: env, elsewhere: 1, outcome: policy.Deny, code: "not_lent"},
		"a scheme that was broken": {candidate: env, elsewhere: 1, outcome: policy.Deny, code: policy.CodeSchema},
	} {
		k := &kept{facts: f, set: plain, erased: c.erased}
		r := policy.NewReplay(c.candidate)
		if err := r.Add(past(t, 7, k, policy.Decision{Outcome: c.outcome, Code: c.code})); err != nil {
			t.Fatal(name, err)
		}
		o := r.Outlook()
		if k.opened != c.opened || len(o.Flips) != c.flips || o.Lacking != c.lacks || o.Unexplained != c.unexplained || o.Elsewhere != c.elsewhere || o.Events != 1 {
			t.Errorf("%s: opened %d times, %+v", name, k.opened, o)
		}
		if c.lacks == 1 && !slices.Equal(o.Lacks, []int64{7}) {
			t.Errorf("%s: %v", name, o.Lacks)
		}
	}
}

func TestReplayGroups(t *testing.T) {
	text := func(gate string) *policy.Set {
		return compiledOf(t, cedarFile("policies/a.cedar", `@id("a") permit (principal, action, resource);`+gate))
	}
	open, ask, no := text(""), text(`@id("g") @approve("1 of rm") forbid (principal, action, resource);`), text(`@id("no") forbid (principal, action, resource);`)
	for _, c := range []struct {
		then, candidate *policy.Set
		want            string
	}{
		{open, ask, "newly_asking was permit [g] 3 [0 1 2]"},
		{open, no, "newly_denied was permit [no] 3 [0 1 2]"},
		{no, open, "newly_permitted was deny [no] 3 [0 1 2]"},
		{ask, open, "newly_permitted was ask [g] 3 [0 1 2]"},
		{no, ask, "newly_asking was deny [g] 3 [0 1 2]"},
	} {
		r := policy.NewReplay(c.candidate)
		for i := range int64(3) {
			f := chain("agt_a")
			f.Now += i
			k := &kept{facts: f, set: c.then}
			if err := r.Add(past(t, i, k, policy.Decide(c.then, policy.Like(f), f, nil))); err != nil {
				t.Fatal(err)
			}
		}
		o := r.Outlook()
		if len(o.Flips) != 1 {
			t.Fatalf("%+v", o)
		}
		g := o.Flips[0]
		if got := fmt.Sprintf("%s was %s %v %d %v", g.Kind, g.Was, g.Reasons, g.Count, g.Examples); got != c.want || g.Actor != "agt_a" {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// Facts that nobody wrote are an error, and never a crash.
func FuzzReplayFacts(f *testing.F) {
	raw, err := chain("usr_p", "agt_a").Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	for _, s := range []string{"", "{", `{"v":1}`, `{"action":"a","v":1}`, `{"action":`, `{"a\"":1}`, `{"principals":[[[`} {
		f.Add([]byte(s))
	}
	set := compiledOf(f, cedarFile("policies/a.cedar", `permit (principal, action, resource) when { context has auth && context.facts.now > datetime("2020-01-01") };`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := policy.NewReplay(set)
		k := &kept{set: set}
		err := r.Add(policy.Past{Facts: raw, Outcome: policy.Permit, Inputs: k})
		facts, wrong := policy.ParseFacts(raw)
		if wrong != nil && err == nil || wrong == nil && facts.Arguments == nil && facts.IP == "" && err != nil {
			t.Fatalf("%q: %v, and read as facts %v", raw, err, wrong)
		}
	})
}
