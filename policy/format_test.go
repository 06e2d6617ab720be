package policy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	cedar "github.com/cedar-policy/cedar-go"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/policy"
)

// formatted is a text as Format lays it out; it must say the same, keep its comments, and stay as it then is.
func formatted(t testing.TB, text string) string {
	t.Helper()
	out, problems := policy.Format(policy.File{Path: "policies/x.cedar", Text: []byte(text)})
	if len(problems) > 0 {
		t.Fatalf("%v in\n%s", problems, text)
	}
	sameCedar(t, text, string(out))
	again, problems := policy.Format(policy.File{Path: "policies/x.cedar", Text: out})
	if len(problems) > 0 || string(again) != string(out) {
		t.Fatalf("formatted again:\n%s\nfirst:\n%s\n%v", again, out, problems)
	}
	return string(out)
}

// sameCedar holds two texts to the same policies, tokens and comments.
func sameCedar(t testing.TB, before, after string) {
	t.Helper()
	one, err := cedar.NewPolicyListFromBytes("", []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	two, err := cedar.NewPolicyListFromBytes("", []byte(after))
	if err != nil {
		t.Fatalf("%v in\n%s", err, after)
	}
	if string(one.MarshalCedar()) != string(two.MarshalCedar()) {
		t.Fatalf("it says\n%s\nand said\n%s", two.MarshalCedar(), one.MarshalCedar())
	}
	if a, b := policy.Pieces(before), policy.Pieces(after); !slices.Equal(a, b) {
		t.Fatalf("pieces\n%q\nwere\n%q", b, a)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", " \n\t", ""},
		{"short", "permit(principal,action,resource);", "permit (principal, action, resource);\n"},
		{
			"annotations and conditions", `@id ( "a/b" )@doc("x") forbid(principal is Agent in Group::"g",action in[Action::"a",Action::"b"],resource==Tool::"a:b")when{context.args has env&&context.args["env"]=="prod"}unless{!( -1<principal.n)};permit(principal,action,resource);`,
			`@id("a/b")
@doc("x")
forbid (
  principal is Agent in Group::"g",
  action in [Action::"a", Action::"b"],
  resource == Tool::"a:b"
)
when { context.args has env && context.args["env"] == "prod" }
unless { !(-1 < principal.n) };

permit (principal, action, resource);
`,
		},
		{
			"long conditions", `permit(principal,action,resource)when{context.args has environment&&context.args.environment=="production"&&[1,2,3].contains(context.args.number)||ip("10.0.0.1").isInRange(ip("10.0.0.0/8"))||(if context.args has a then {a:1,"b c":context.args.a-1}.a==-1 else principal.hasTag("department")&&principal.getTag("department")=="engineering")};`,
			`permit (principal, action, resource)
when {
  context.args has environment &&
  context.args.environment == "production" &&
  [1, 2, 3].contains(context.args.number) ||
  ip("10.0.0.1").isInRange(ip("10.0.0.0/8")) ||
  (
    if context.args has a
      then {a: 1, "b c": context.args.a - 1}.a == -1
      else principal.hasTag("department") && principal.getTag("department") == "engineering"
  )
};
`,
		},
		{
			"comments", "// head  \n\n\n// of a\n@id(\"x\") // why\npermit /* all */ (principal, // who\n action,resource) when {\n// first\ncontext.a /* c */ && // one\n  context.b // two\n || true // three\n} ; // end\n\n\n/* many\n   lines  */\nforbid(principal,action,resource); // last\n// after",
			`// head

// of a
@id("x") // why
permit /* all */
(
  principal, // who
  action,
  resource
)
when {
  // first
  context.a /* c */
  && // one
  context.b // two
  ||
  true // three
}; // end

/* many
   lines  */
forbid (principal, action, resource); // last

// after
`,
		},
		{
			"words that are names", `@when("x")@permit("y")permit(principal,action,resource)when{context.when.permit["in"].unless-1==2&&{permit:1,when:[]}.permit==-1};`,
			`@when("x")
@permit("y")
permit (principal, action, resource)
when { context.when.permit["in"].unless - 1 == 2 && {permit: 1, when: []}.permit == -1 };
`,
		},
		{"windows", "permit(principal,\r\naction,resource); // x\r\n/* a\r\nb */\r\n", "permit (principal, action, resource); // x\n\n/* a\nb */\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := formatted(t, c.in); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestFormatTouchesNothingBroken(t *testing.T) {
	for name, text := range bombs(1<<20 - 2000) {
		if out, problems := policy.Format(policy.File{Path: "policies/x.cedar", Text: []byte(text)}); out != nil || len(problems) == 0 || len(problems) > 100 {
			t.Errorf("%s: formatted, or %d problems", name, len(problems))
		}
	}
	for _, text := range []string{"permit", "permit (principal, action, resource)", "\xff", "// \u202e", `permit (principal, action, resource) when { 99999999999999999999 == 1 };`} {
		if out, problems := policy.Format(policy.File{Path: "policies/x.cedar", Text: []byte(text)}); out != nil || len(problems) == 0 {
			t.Errorf("%q: %q", text, out)
		}
	}
}

func TestFormatYAML(t *testing.T) {
	for in, want := range map[string]string{
		"a: 1  \r\nb:\t\n  - x\n\n\n": "a: 1\nb:\n  - x\n",
		"a: 1":                        "a: 1\n",
		"a: |\n  x  \n  y\n":          "a: |\n  x  \n  y\n", // the space is part of the text
		"# said  \na: 1 # why \n":     "# said\na: 1 # why\n",
	} {
		got, problems := policy.Format(policy.File{Path: "roles/x.yaml", Text: []byte(in)})
		if len(problems) > 0 || string(got) != want {
			t.Errorf("%q: %q, want %q: %v", in, got, want, problems)
		}
	}
	if out, problems := policy.Format(policy.File{Path: "roles/x.yaml", Text: []byte("a: &b 1\n")}); out != nil || len(problems) != 1 {
		t.Errorf("%q %v", out, problems)
	}
}

// Whatever space and comments stand between the tokens of a policy, what is formatted says the same and stays as it is.
func TestFormatSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(drawPolicies(t, append(slices.Clone(sound), erring...), true), "")
		var b strings.Builder
		for _, p := range policy.Pieces(text) {
			b.WriteString(rapid.SampledFrom([]string{"", " ", "\n", "\n\n", " // c\n", "\n// d \n", "/* e */", "\n/* f\n g */\n", " /* h */ // i\n"}).Draw(t, "between"))
			b.WriteString(" " + p)
		}
		text = b.String()
		out, problems := policy.Format(policy.File{Path: "policies/x.cedar", Text: []byte(text)})
		if len(problems) > 0 {
			t.Fatalf("%v in\n%s", problems, text)
		}
		if a, b := policy.Pieces(text), policy.Pieces(string(out)); !slices.Equal(a, b) {
			t.Fatalf("pieces\n%q\nwere\n%q", b, a)
		}
		again, _ := policy.Format(policy.File{Path: "policies/x.cedar", Text: out})
		if string(again) != string(out) {
			t.Fatalf("formatted again:\n%s\nfirst:\n%s", again, out)
		}
	})
}

// FuzzFormat holds that no text crashes the formatter, and that what it writes says the same, keeps every comment and stays as it is.
func FuzzFormat(f *testing.F) {
	for _, text := range bombs(1000) {
		f.Add(text)
	}
	raw, err := os.ReadFile("attorn/own.cedar")
	if err == nil {
		f.Add(string(raw))
	}
	f.Add("/**//***///\n@a/*x*/(/**/\"b\")//\npermit//\n(principal,action,resource)/**/when/**/{/**/{a:1/**/,}==-/**/-1};//")
	f.Fuzz(func(t *testing.T, text string) {
		if out, _ := policy.Format(policy.File{Path: "policies/x.cedar", Text: []byte(text)}); out != nil {
			formatted(t, text)
		}
		_, _ = policy.Format(policy.File{Path: "roles/x.yaml", Text: []byte(text)})
	})
}
