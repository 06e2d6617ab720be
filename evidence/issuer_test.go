package evidence_test

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// rotation is a story in which the issuer has a second key, which signs what the fields say, and in which the first one ends.
type rotation struct {
	*story
	second jose.Signer
}

// ends writes down that the first key ended, and has the pack show it.
func (r *rotation) ends(at float64, status string) {
	pub := r.issuerKey.Public()
	r.happens(r.log, "retired", at, evidence.KeyRetired, evidence.What{Key: &pub, Use: evidence.UseToken, Status: status})
}

func TestSignaturesAreJudgedByTheKeysOfTheirMoment(t *testing.T) {
	onSecond := func(r *rotation) { r.tokenKey, r.countKey, r.nowKey = r.second, r.second, r.second }
	lending := func(i int, f func()) func(r *rotation) {
		return func(r *rotation) {
			r.statement = func(n int, _ *delegation.Statement) {
				if n == i {
					f()
				}
			}
		}
	}
	beforeTheCall := func(at float64, status string) func(*rotation) {
		return func(r *rotation) { r.event = func(*evidence.Event) { r.ends(at, status) } }
	}
	for name, c := range map[string]struct {
		twist      func(r *rotation)
		line, says string
	}{
		"it ends after the call":             {func(*rotation) {}, "", ""},
		"it is compromised after the call":   {func(*rotation) {}, "", ""},
		"it ends before its last token does": {beforeTheCall(31.5, evidence.KeyReplaced), "", ""},
		"it is compromised before its last token was used": {
			beforeTheCall(31.5, evidence.KeyCompromised), "token", "known at #11 to be compromised",
		},
		"it signs a token after its end": {func(r *rotation) {
			beforeTheCall(30.9, evidence.KeyReplaced)(r)
			r.claims = func(c *token.Claims) { c.IssuedAt = minute(31.5).Unix() }
		}, "token", "issued after its key had been retired, at #11"},
		"it signs a token before it was published": {func(r *rotation) {
			r.tokenKey = r.second
			r.claims = func(c *token.Claims) { c.IssuedAt = minute(8).Unix() }
		}, "token", "before its key was published"},
		"it countersigns until its end, and the other one does the rest": {func(r *rotation) {
			onSecond(r)
			r.ask = func(*evidence.Approval) { r.ends(30.2, evidence.KeyCompromised) }
			r.countRev = 11
		}, "", ""},
		"it countersigns after its end": {func(r *rotation) {
			onSecond(r)
			lending(1, func() { r.ends(10.5, evidence.KeyReplaced) })(r)
		}, "chain", "at #9, is by a key that had been retired at #9"},
		"it countersigns the root after its end": {func(r *rotation) {
			onSecond(r)
			lending(0, func() { r.ends(9.5, evidence.KeyReplaced) })(r)
		}, "chain", "at #8, is by a key that had been retired at #8"},
		"it counts a vote after its end": {func(r *rotation) {
			onSecond(r)
			r.countKey = r.issuerKey
			r.ask = func(*evidence.Approval) { r.ends(30.2, evidence.KeyReplaced) }
		}, "approvals", "at #10, is by a key that had been retired at #10"},
		"another workspace's events say nothing about it": {func(r *rotation) {
			r.other = func(name string, e *evidence.Event) {
				if name == "retired" {
					e.What.Use = evidence.UseLog
				}
			}
			lending(0, func() { r.ends(9.5, evidence.KeyCompromised) })(r)
		}, "", ""},
		"an end that was refused is none": {func(r *rotation) {
			r.other = func(name string, e *evidence.Event) {
				if name == "retired" {
					e.Outcome = evidence.Deny
				}
			}
			lending(0, func() { r.ends(9.5, evidence.KeyCompromised) })(r)
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rotation{newStory(t), keyOf(t, "second issuer")}
			c.twist(r)
			r.pack = func(p *evidence.Pack) {
				pub := r.second.Public()
				r.happens(r.server, "second", 9, evidence.KeyPublished, evidence.What{Key: &pub, Use: evidence.UseToken})
				for i, e := range p.Entries[:3] { // one head for all of a log
					p.Entries[i] = r.server.entry(e.Rev)
				}
				p.Entries = append(p.Entries, r.server.entry(r.server.rev("second")))
				if r.log.rev("retired") < 0 {
					r.ends(40, map[bool]string{true: evidence.KeyCompromised, false: evidence.KeyReplaced}[strings.Contains(name, "compromised")])
					for i, e := range p.Entries {
						if e.Workspace == id.Default {
							p.Entries[i] = r.log.entry(e.Rev)
						}
					}
				}
				p.Entries = append(p.Entries, r.log.entry(r.log.rev("retired")))
			}
			pack, trust := r.tell()
			report, err := evidence.Verify(pack, []byte(trust))
			if err != nil {
				t.Fatal(err)
			}
			if c.line == "" {
				if !report.OK() {
					t.Errorf("it does not verify:\n%s", report.Tree())
				}
				return
			}
			if f := report.FirstFailure; f == nil || f.Name != c.line || f.Verdict != evidence.Fails || !strings.Contains(f.Detail, c.says) {
				t.Errorf("want a failing line %s with %q:\n%s", c.line, c.says, report.Tree())
			}
		})
	}
}
