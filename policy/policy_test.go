package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// vectors runs every case of a file under vectors/policy; run answers in the form of a case's "want".
func vectors(t *testing.T, name string, run func(t *testing.T, in jsontext.Value) (ok any, code string)) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "vectors", "policy", name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Kind, Spec string
		Cases      []struct {
			ID, Comment string
			In          jsontext.Value
			Want        struct {
				OK    any `json:"ok"`
				Error string
			}
		}
	}
	if err := read(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range file.Cases {
		t.Run(c.ID, func(t *testing.T) {
			ok, code := run(t, c.In)
			if code != c.Want.Error {
				t.Fatalf("%s: code %q (%v), want %q", c.Comment, code, ok, c.Want.Error)
			}
			if code != "" {
				return
			}
			b, err := json.Marshal(ok)
			if err != nil {
				t.Fatal(err)
			}
			var got any
			if err := read(b, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.Want.OK, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.Comment, diff)
			}
		})
	}
}

// read is lenient about the case of names, so that small structs in tests need no tags.
func read(raw []byte, v any) error {
	return json.Unmarshal(raw, v, json.MatchCaseInsensitiveNames(true), json.RejectUnknownMembers(true))
}

func compile(t testing.TB, text string) *policy.Set {
	t.Helper()
	s, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/case.cedar", Text: []byte(text)}))
	if s == nil {
		t.Fatalf("%v in\n%s", problems, text)
	}
	return s
}

func TestDecideVectors(t *testing.T) {
	vectors(t, "decide.json", func(t *testing.T, in jsontext.Value) (any, string) {
		var c struct {
			Policies string
			Facts    jsontext.Value
			Lifts    []struct {
				Gate, Approval string
				Voters         []policy.UID
			}
		}
		if err := read(in, &c); err != nil {
			t.Fatal(err)
		}
		f := looseFacts(t, c.Facts)
		var lifts []policy.Lift
		for _, l := range c.Lifts {
			lifts = append(lifts, policy.Lift{Gate: l.Gate, Approval: id.Must[id.Approval](l.Approval), Voters: l.Voters})
		}
		d := policy.Decide(compile(t, c.Policies), policy.Like(f), f, lifts)
		if d.Message == "" && d.Outcome != policy.Permit {
			t.Error("a refusal without a message")
		}
		if d.Outcome == policy.Deny {
			if len(d.Obligations) > 0 || len(d.Reasons) == 0 && d.Code != policy.CodeSchema && d.Code != policy.CodeArgsTooLarge {
				t.Errorf("denied with %+v", d)
			}
			return d, d.Code
		}
		type asked struct {
			Gate string `json:"gate"`
			Kind string `json:"kind"`
		}
		out := map[string]any{"outcome": d.Outcome, "reasons": d.Reasons}
		var obligations []asked
		for _, o := range d.Obligations {
			obligations = append(obligations, asked{o.Gate, string(o.Kind)})
		}
		if obligations != nil {
			out["obligations"] = obligations
		}
		if d.Waived != nil {
			out["waived"] = d.Waived
		}
		if d.Errors != nil {
			out["errors"] = d.Errors
		}
		return out, ""
	})
}

// looseFacts reads facts that need not be canonical or valid.
func looseFacts(t *testing.T, raw []byte) policy.Facts {
	t.Helper()
	var f policy.Facts
	if err := read(raw, &f); err != nil {
		t.Fatal(err)
	}
	if f.Arguments != nil {
		if err := f.Arguments.Canonicalize(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestFactsVectors(t *testing.T) {
	vectors(t, "facts.json", func(t *testing.T, in jsontext.Value) (any, string) {
		var text string
		if err := read(in, &text); err != nil {
			t.Fatal(err)
		}
		f, err := policy.ParseFacts([]byte(text))
		if err != nil {
			return nil, fault.Code(err)
		}
		b, err := f.Bytes()
		if err != nil || string(b) != text {
			t.Errorf("Bytes = %s, %v", b, err)
		}
		return "sha256:" + id.Sum(b).String(), ""
	})
}

func TestCompileVectors(t *testing.T) {
	vectors(t, "compile.json", func(t *testing.T, in jsontext.Value) (any, string) {
		var files []struct{ Path, Text string }
		if err := read(in, &files); err != nil {
			t.Fatal(err)
		}
		all := policy.Shipped()
		for _, f := range files {
			all = append(all, policy.File{Path: f.Path, Text: []byte(f.Text)})
		}
		s, problems := policy.Compile(all)
		if (s == nil) != (len(problems) > 0) {
			t.Fatalf("set %v with %v", s, problems)
		}
		if s == nil {
			return problems, problems[0].Code
		}
		return "policies", ""
	})
}

func TestProblemsSayWhere(t *testing.T) {
	text := "// é\n@id(\"a\")\npermit (principal, action, resource);\n  /* x */ @id(\"b\") @reson(\"x\")\n  forbid (principal,\n action, resource) when { \"é\" + };\n" +
		"@id(\"c\")\n@ttl(\"9h\")\n@approve(\"1 of x\")\nforbid (principal, action, resource);\n@approve(\"1 of x\") forbid (principal, action, resource);\n" +
		"@id(\"a\") permit (principal, action, resource); @tty(\"1\") permit (principal, action, resource);"
	s, problems := policy.Compile([]policy.File{{Path: "policies/a.cedar", Text: []byte(text)}})
	if s != nil {
		t.Fatal("compiled")
	}
	var got []string
	for _, p := range problems {
		got = append(got, strings.SplitAfterN(p.String(), ": ", 2)[0]+p.Code)
	}
	want := []string{
		"policies/a.cedar:6:33: syntax", "policies/a.cedar:8:2: bad_annotation",
		"policies/a.cedar:11:1: missing_id", "policies/a.cedar:12:1: duplicate_id", "policies/a.cedar:12:49: unknown_annotation",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, problems)
	}
}

func TestSyntaxErrorsPointAtTheirToken(t *testing.T) {
	for text, want := range map[string]string{
		"\n permit (principal, action, resource) when { 9223372036854775808 == 1 };": "2:2 an integer beyond 64 bits",
		"permit (principal, action, resource)":                                       `1:37 ";" is expected here, not the end of the policy`,
		"permit (principal, action, resource) when { true }\npermit (principal);":    `2:1 ";" is expected here, not "permit"`,
		"permit (principal, action, resource); premit (principal);":                  `1:39 a policy begins with permit or forbid, after its annotations, not with "premit"; is permit meant?`,
		"permit (principal, action, resource) when { context.if };":                  `1:53 "if" is a word of the language; where it is a name write it in quotation marks: x["if"], {"if": …}`,
		"permit (principal, action, resource) when { foo(1) };":                      `1:48 there is no function "foo"`,
		"@id(a) permit (principal, action, resource);":                               `1:5 a text in quotation marks is expected here, not "a"`,
		"permit (principal in User, action, resource);":                              `1:26 "::" is expected here, not ","`,
		"permit (principal, action, resource) when { [1 2].isEmpty() };":             `1:48 "," is expected here, not "2"`,
		"permit (principal, action, resource) when { /* é */ + };":                   `1:53 a value or expression is expected here, not "+"`,
		"permit (principal, action, resource) when { \"é\" == \"\\q\" };":            "1:52 invalid char escape",
	} {
		_, problems := policy.Compile([]policy.File{{Path: "policies/a.cedar", Text: []byte(text)}})
		if len(problems) != 1 || fmt.Sprintf("%d:%d %s", problems[0].Line, problems[0].Col, problems[0].Message) != want {
			t.Errorf("%s: %v, want %s", text, problems, want)
		}
	}
}

func TestDigestNamesTheFiles(t *testing.T) {
	a := policy.File{Path: "policies/a.cedar", Text: []byte(`permit (principal, action, resource);`)}
	b := policy.File{Path: "policies/b.cedar", Text: []byte(``)}
	one, _ := policy.Compile([]policy.File{a, b})
	two, _ := policy.Compile([]policy.File{b, a})
	if one.Digest() != two.Digest() || one.Digest() != id.Sum(one.Manifest()) {
		t.Error("the digest depends on the order")
	}
	want := `{"policies/a.cedar":"` + id.Sum(a.Text).String() + `","policies/b.cedar":"` + id.Sum(nil).String() + `"}`
	if string(one.Manifest()) != want {
		t.Errorf("%s, want %s", one.Manifest(), want)
	}
	a.Text[0] = 'P'
	one.Files()[0].Text[1] = 'x'
	one.Manifest()[0] = 'x'
	if diff := cmp.Diff(`permit (principal, action, resource);`, string(one.Files()[0].Text)); diff != "" || one.Digest() != two.Digest() {
		t.Error("a set changed from outside", diff)
	}
}

func TestObligationSaysEverything(t *testing.T) {
	gate := "@id(\"prod\")\n@approve(\"2 of release-manager\")\n@ttl(\"30m\")\n@binds(\"args\")\n@reuse(\"once\")\n@reason(\"Production needs two.\")\nforbid (principal, action, resource);"
	step := `@id("fresh") @stepup("acr>=3, age<5m,proof=httpsig") forbid (principal, action, resource);`
	s := compile(t, "// why\n"+gate+" // after\n"+step)
	f := chain("usr_p", "agt_a")
	f.Auth = &policy.Auth{ACR: 2}
	d := policy.Decide(s, policy.Like(f), f, nil)
	want := []policy.Obligation{
		{
			Gate: "fresh", GateSHA256: id.Sum([]byte(step)), Kind: policy.KindStepUp, Reason: `Policy "fresh" asks for a step-up.`,
			StepUp: policy.StepUp{ACR: 3, Age: 5 * 60e9, Proof: "httpsig"},
		},
		{
			Gate: "prod", GateSHA256: id.Sum([]byte(gate)), Kind: policy.KindApprove, Flow: "2 of release-manager", Quorum: 2,
			Role: "release-manager", Binds: []string{"args"}, TTL: 30 * 60e9, Reason: "Production needs two.",
		},
	}
	if d.Outcome != policy.Ask || d.Message != want[0].Reason {
		t.Errorf("%s %q", d.Outcome, d.Message)
	}
	if diff := cmp.Diff(want, d.Obligations, cmpopts.EquateComparable(id.Digest{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEligible(t *testing.T) {
	s := compile(t, `@id("g") @approve("1 of rm") forbid (principal, action, resource);`)
	f := chain("usr_p", "agt_a")
	o := policy.Decide(s, policy.Like(f), f, nil).Obligations[0]
	changed := o
	changed.GateSHA256 = id.Sum(nil)
	gone := o
	gone.Gate = "other"
	rm := []policy.UID{{Type: "Role", ID: "rm"}}
	user := func(id string, parents ...policy.UID) policy.Entity {
		return policy.Entity{UID: policy.UID{Type: policy.TypeUser, ID: id}, Parents: parents}
	}
	for _, c := range []struct {
		name  string
		o     policy.Obligation
		voter policy.Entity
		want  string
	}{
		{"a manager", o, user("usr_m", rm...), ""},
		{"nobody's manager", o, user("usr_m", policy.UID{Type: "Role", ID: "rmx"}, policy.UID{Type: "Group", ID: "rm"}), "not_eligible"},
		{"the subject", o, user("usr_p", rm...), "four_eyes"},
		{"the owner of the agent", o, user("usr_owner-agt_a", rm...), "four_eyes"},
		{"the agent", o, policy.Entity{UID: policy.UID{Type: policy.TypeAgent, ID: "agt_a"}, Parents: rm}, "four_eyes"},
		{"another agent", o, policy.Entity{UID: policy.UID{Type: policy.TypeAgent, ID: "agt_z"}, Parents: rm}, "four_eyes"},
		{"an agent's id as a user", o, user("agt_a", rm...), ""},
		{"the gate changed", changed, user("usr_m", rm...), "changed"},
		{"the gate is gone", gone, user("usr_m", rm...), "changed"},
	} {
		if err := policy.Eligible(s, c.o, c.voter, f.Excluded()); fault.Code(err) != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestUnmeetable(t *testing.T) {
	s := compile(t, `@id("g") @approve("2 of rm") forbid (principal, action, resource);`)
	o := policy.Decide(s, policy.Like(chain("usr_p")), chain("usr_p"), nil).Obligations[0]
	a := policy.Entity{UID: policy.UID{Type: policy.TypeUser, ID: "a"}, Parents: []policy.UID{{Type: "Role", ID: "rm"}}}
	b := a
	b.UID.ID = "b"
	for _, c := range []struct {
		name       string
		candidates []policy.Entity
		excluded   []policy.UID
		want       bool
	}{
		{"two", []policy.Entity{a, b}, nil, false},
		{"one twice", []policy.Entity{a, a}, nil, true},
		{"one excluded", []policy.Entity{a, b}, []policy.UID{b.UID}, true},
		{"nobody", nil, nil, true},
	} {
		if got := policy.Unmeetable(s, o, c.candidates, c.excluded); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if policy.Unmeetable(s, policy.Obligation{Kind: policy.KindStepUp, Quorum: 9}, nil, nil) {
		t.Error("a step-up has no quorum")
	}
}

func TestActionParents(t *testing.T) {
	for _, c := range []struct {
		action, class string
		want          []string
	}{
		{"tool:files:read_file", "read", []string{"call", "read", "tool:*", "tool:files:*"}},
		{"tool:files:prompts/x", "", []string{"call", "destroy", "tool:*", "tool:files:*"}},
		{"tool:files:x", "owner", []string{"call", "destroy", "tool:*", "tool:files:*"}},
		{"attorn:agent:create", "read", []string{"attorn:*", "attorn:agent:*"}},
		{"ping", "", nil},
		{"tool:fi les:x", "read", nil},
		{"tool::x", "read", nil},
		{"a:b:c:d:e:f:g:h:i", "", nil},
		{"tool:" + strings.Repeat("x", 251), "read", nil},
	} {
		if diff := cmp.Diff(c.want, policy.ActionParents(c.action, c.class)); diff != "" {
			t.Errorf("%s: %s", c.action, diff)
		}
	}
}

func TestEngineIsTheOneLinked(t *testing.T) {
	raw, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	module, version, _ := strings.Cut(policy.Engine, "/")
	if !strings.Contains(string(raw), "github.com/cedar-policy/"+module+" v"+version+"\n") {
		t.Errorf("go.mod has another version than %s", policy.Engine)
	}
}

func TestArgumentsVectors(t *testing.T) {
	vectors(t, "args.json", func(t *testing.T, in jsontext.Value) (any, string) {
		var c struct {
			Schema    jsontext.Value
			Arguments string
			Open      bool
		}
		if err := read(in, &c); err != nil {
			t.Fatal(err)
		}
		shape, err := policy.ShapeOf([]byte(`{"name":"t","inputSchema":` + string(c.Schema) + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got, err := policy.Project(shape, []byte(c.Arguments), c.Open)
		return got, fault.Code(err)
	})
}

func TestVisibleVectors(t *testing.T) {
	vectors(t, "visible.json", func(t *testing.T, in jsontext.Value) (any, string) {
		var c struct {
			Policies string
			Facts    jsontext.Value
		}
		if err := read(in, &c); err != nil {
			t.Fatal(err)
		}
		s, f := compile(t, c.Policies), looseFacts(t, c.Facts)
		got := map[string]bool{"visible": policy.Visible(s, f), "gated": policy.MayAsk(s, f)}
		f.Arguments = []byte(`{"path":`) // whatever they are, they are not looked at
		for _, s := range []*policy.Set{s, policy.Flat(s)} {
			if policy.Visible(s, f) != got["visible"] || policy.MayAsk(s, f) != got["gated"] {
				t.Error("the arguments or the index matter")
			}
		}
		return got, ""
	})
}
