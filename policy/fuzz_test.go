package policy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// FuzzParseFacts holds that whatever parses is written back to the same bytes and can be decided without a crash, the same way twice.
func FuzzParseFacts(f *testing.F) {
	raw, err := os.ReadFile("../vectors/policy/facts.json")
	if err != nil {
		f.Fatal(err)
	}
	var file struct {
		Kind, Spec string
		Cases      []struct {
			ID, Comment string
			In          string
			Want        jsontext.Value
		}
	}
	if err := read(raw, &file); err != nil {
		f.Fatal(err)
	}
	for _, c := range file.Cases {
		f.Add([]byte(c.In))
	}
	s := compile(f, strings.Join([]string{
		"permit (principal, action, resource) when { (" + strings.Join(sound[1:], ") || (") + ") };",
		"forbid (principal, action, resource) when { context.args has n && ((" + strings.Join(erring, ") && (") + ")) };",
		`@id("g") @approve("1 of rm") forbid (principal in Role::"x", action, resource in Server::"files") unless { context.chain.contains(principal) };`,
		`@id("s") @stepup("age<5m") forbid (principal, action, resource) when { context.args has path && context.args.path like "*a*b*" };`,
	}, "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		facts, err := policy.ParseFacts(raw)
		if err != nil {
			return
		}
		if b, err := facts.Bytes(); err != nil || string(b) != string(raw) {
			t.Fatalf("written back as %s, %v", b, err)
		}
		lifts := []policy.Lift{{Gate: "g", Voters: facts.Principals}}
		d := policy.Decide(s, policy.Like(facts), facts, lifts)
		if d.Outcome == policy.Permit && len(d.Waived) > 0 && d.Waived[0] == "g" {
			t.Fatal("the chain approved itself")
		}
		if diff := cmp.Diff(d, policy.Decide(s, policy.Like(facts), facts, lifts), cmpopts.EquateComparable(id.Digest{}, id.Approval{})); diff != "" {
			t.Fatal(diff)
		}
		if d.Outcome != policy.Deny && facts.Arguments != nil && !policy.Visible(s, facts) {
			t.Fatal("hidden, though it could be permitted")
		}
	})
}
