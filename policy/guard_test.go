package policy_test

import (
	"slices"
	"strings"
	"testing"

	cedar "github.com/cedar-policy/cedar-go"

	"github.com/attorn/attorn/policy"
)

// body is a policy around one condition.
func body(expression string) string {
	return "permit (principal, action, resource) when { " + expression + " };"
}

// bombs are, for each way in which Cedar text nests or repeats, a text of about n bytes.
func bombs(n int) map[string]string {
	r := func(s string) string { return strings.Repeat(s, n/len(s)+1) }
	chained := "context"
	for len(chained) < n && len(chained) < 4000 {
		chained = "(" + chained + " has a.b)"
	}
	return map[string]string{
		"parentheses":       body(r("(")),
		"parentheses, even": body(strings.Repeat("(", n/2) + "1" + strings.Repeat(")", n/2)),
		"brackets":          body(r("[")),
		"braces":            body(r("{a:")),
		"mixed":             body(r("([{a:")),
		"if":                body(r("if ")),
		"if in then":        body(r("if true then ")),
		"if in else":        body(r("if true then 1 else ")),
		"not":               body(r("!")),
		"minus":             body(r("-")),
		"spaced":            body(r("! ")),
		"commented":         body(r("!/**/")),
		"mixed signs":       body(r("-!")),
		"and":               body(r("true && ")),
		"plus":              body(r("1 + ")),
		"equals":            body(r("1 == ")),
		"attribute":         body("context" + r(".a")),
		"index":             body("context" + r(`["a"]`)),
		"method":            body("context" + r(".isEmpty()")),
		"has":               body("context has a" + r(".a")),
		"has, doubling":     body(chained),
		"calls":             body(r("ip(")),
		"path":              body(r("A::")),
		"conditions":        "permit (principal, action, resource) " + r("when { true } ") + ";",
		"annotations":       r("@a "),
		"scope":             "permit (principal in " + r("A::"),
		"actions":           "permit (principal, action in " + r("["),
		"unbalanced":        body(r(")")),
		"set":               body("[" + r("1,") + "1].isEmpty()"),
		"policies":          r(";"),
		"string":            body(`"` + r("a")),
		"comment":           r("/*"),
		"one name":          r("a"),
	}
}

// Each of these would grow cedar-go's stack until the process dies, or its memory, if it were parsed or compiled.
func TestNestingIsRefusedBeforeParsing(t *testing.T) {
	for name, text := range bombs(1<<20 - 2000) {
		s, problems := policy.Compile([]policy.File{{Path: "policies/x.cedar", Text: []byte(text)}})
		if s != nil || len(problems) == 0 || len(problems) > 100 {
			t.Errorf("%s: compiled, or %d problems", name, len(problems))
		}
		for _, p := range problems[:1] {
			if p.Line == 0 || p.Col == 0 || len(p.Message) > 1000 {
				t.Errorf("%s: %.300s", name, p)
			}
		}
	}
}

func TestBoundsAreWhereTheyAreSaidToBe(t *testing.T) {
	nest := func(n int) string { return body(strings.Repeat("(", n) + "true" + strings.Repeat(")", n)) }
	for _, c := range []struct {
		name, text, want string
	}{
		{"brackets at the bound", nest(99), ""}, // when { is the hundredth
		{"brackets over it", nest(100), "too_complex"},
		{"ifs at the bound", body(strings.Repeat("if true then true else ", 99) + "true"), ""},
		{"ifs over it", body(strings.Repeat("if true then true else ", 100) + "true"), "too_complex"},
		{"ifs side by side", body("[" + strings.Repeat("if true then 1 else 2, ", 300) + "1].isEmpty()"), ""},
		{"signs at the bound", body("!!!!true"), ""},
		{"signs over it", body("!!!!!true"), "too_complex"},
		{"operators at the bound", body("1" + strings.Repeat("+1", 998) + " == 2"), ""},
		{"operators over it", body("1" + strings.Repeat("+1", 999) + " == 2"), "too_complex"},
		{"a policy at the bound", body(`"` + strings.Repeat("a", 64<<10-len(body(`"" == "a"`))) + `" == "a"`), ""},
		{"a policy over it", body(`"` + strings.Repeat("a", 64<<10-len(body(`"" == "a"`))+1) + `" == "a"`), "too_complex"},
		{"brackets in strings and comments count for nothing", body(`"` + strings.Repeat("(", 500) + `" == "" /*` + strings.Repeat("[", 500) + "*/ // " + strings.Repeat("{", 500) + "\n"), ""},
		{"a file at the bound", strings.Repeat(" ", 1<<20), ""},
		{"a file over it", strings.Repeat(" ", 1<<20+1), "too_complex"},
		{"policies over the bound", strings.Repeat("permit(principal,action,resource);", 20_001), "too_complex"},
		{"doubling has, shallow", body("((context has a.b.c) has a.b.c.d)"), ""},
		{"doubling has, deep", body(strings.Repeat("(", 20) + "context" + strings.Repeat(" has a.b)", 20)), "too_complex"},
	} {
		s, problems := policy.Compile([]policy.File{{Path: "policies/x.cedar", Text: []byte(c.text)}})
		if got := firstError(problems); got != c.want || (s == nil) != (c.want != "") {
			t.Errorf("%s: %q, want %q: %v", c.name, got, c.want, problems)
		}
	}
	var many []policy.File
	for _, n := range "abcdefghi" {
		many = append(many, policy.File{Path: "policies/" + string(n) + ".cedar", Text: make([]byte, 1<<20)})
		for i := range many[len(many)-1].Text {
			many[len(many)-1].Text[i] = ' '
		}
	}
	if s, problems := policy.Compile(many); s != nil || firstError(problems) != "too_complex" {
		t.Errorf("9 MiB: %v", problems)
	}
}

func firstError(problems []policy.Problem) string {
	for _, p := range problems {
		if p.Severity == policy.SeverityError {
			return p.Code
		}
	}
	return ""
}

// FuzzCompile holds that no text crashes the compiler, that what compiles is exactly what Cedar reads, policy by policy, and that what Cedar refuses
// is refused.
func FuzzCompile(f *testing.F) {
	for _, text := range bombs(1000) {
		f.Add(text)
	}
	for _, s := range policy.Shipped() {
		f.Add(strings.ReplaceAll(string(s.Text), "attorn/", ""))
	}
	f.Add(`@id("a") @reason("\u{41};//") permit (principal == A::"\";", action in [Action::"x",], resource is A::B in B::"c") when { "a;" like "*\*;" }; // ;` + "\n;")
	f.Add("@approve(\"1 of x\")@id(\"g\")@ttl(\"8h\")@doc forbid(principal,action,resource)unless{context.args[\"a b\"]<-9223372036854775808};")
	f.Add("permit(principal,action,resource)when{\"/*\"==\"*/\"};/**/permit(principal,action,resource)when{\"//\"==\"\\\\\"};")
	f.Fuzz(func(t *testing.T, text string) {
		set, problems := policy.Compile([]policy.File{{Path: "policies/x.cedar", Text: []byte(text)}})
		if (set == nil) != (firstError(problems) != "") {
			t.Fatalf("set %v, problems %v", set, problems)
		}
		if set == nil {
			for _, p := range problems {
				if p.File == "" || p.Code == "" || p.Message == "" || p.Line < 1 || p.Line > strings.Count(text, "\n")+1 || p.Col < 1 {
					t.Errorf("%+v", p)
				}
			}
			onlySyntax := !slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Code != "syntax" })
			if onlySyntax && len(text) < 4096 {
				if _, err := cedar.NewPolicyListFromBytes("", []byte(text)); err == nil {
					t.Errorf("Cedar reads what was refused: %v", problems)
				}
			}
			return
		}
		list, err := cedar.NewPolicyListFromBytes("", []byte(text))
		if err != nil {
			t.Fatalf("Cedar refuses what compiled: %v", err)
		}
		if got, want := policy.CedarText(set), string(list.MarshalCedar()); got != want {
			t.Errorf("compiled\n%s\nCedar reads\n%s", got, want)
		}
		again, problems := policy.Compile(set.Files())
		if again == nil || again.Digest() != set.Digest() {
			t.Errorf("its own files do not make it again: %v", problems)
		}
	})
}
