package agents_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

const gitHub = "https://token.actions.githubusercontent.com"

func match(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func TestTrustRuleCheck(t *testing.T) {
	t.Parallel()
	keys := jsontext.Value(`{"keys":[{"kty":"OKP"}]}`)
	many := map[string]string{"sub": "x"}
	for i := range 20 {
		many[string(rune('a'+i))] = "x"
	}
	rule := func(issuer, keys string, m map[string]string) agents.TrustRule {
		return agents.TrustRule{Issuer: issuer, Keys: agents.KeySource(keys), Match: m}
	}
	for _, c := range []struct {
		name string
		rule agents.TrustRule
		ok   bool
	}{
		{"discovery", rule("https://a.example", "discovery", match("sub", "x")), true},
		{"a path and a slash", rule("https://a.example/realm/", "discovery", match("sub", "x*")), true},
		{"loopback", rule("http://localhost:1", "discovery", match("sub", "x")), true},
		{"keys of its own", agents.TrustRule{Issuer: "https://a.example", Keys: agents.JWKS, KeySet: keys, Match: match("sub", "x")}, true},
		{"SPIFFE", agents.TrustRule{Issuer: "spiffe://a.example", Keys: agents.SPIFFE, KeySet: keys, Match: match("sub", "spiffe://a.example/x*")}, true},
		{"a claim inside", rule("https://a.example", "discovery", match("sub", "x", "/kubernetes.io/namespace", "prod")), true},
		{"a claim with dots and slashes", rule("https://a.example", "discovery", match("sub", "x", "https://b.example/roles", "y")), true},
		{"private", agents.TrustRule{Issuer: "https://a.example", Keys: agents.Discovery, AllowPrivate: true, Match: match("sub", "x")}, true},

		{"no keys", rule("https://a.example", "", match("sub", "x")), false},
		{"http", rule("http://a.example", "discovery", match("sub", "x")), false},
		{"no issuer", rule("", "discovery", match("sub", "x")), false},
		{"no URL", rule("kubernetes/serviceaccount", "discovery", match("sub", "x")), false},
		{"a query", rule("https://a.example?x", "discovery", match("sub", "x")), false},
		{"an empty query", rule("https://a.example?", "discovery", match("sub", "x")), false},
		{"a fragment", rule("https://a.example#x", "discovery", match("sub", "x")), false},
		{"an empty fragment", rule("https://a.example#", "discovery", match("sub", "x")), false},
		{"a user", rule("https://u@a.example", "discovery", match("sub", "x")), false},
		{"a line", rule("https://a.example/\n", "discovery", match("sub", "x")), false},
		{"keys beside discovery", agents.TrustRule{Issuer: "https://a.example", Keys: agents.Discovery, KeySet: keys, Match: match("sub", "x")}, false},
		{"no key set", rule("https://a.example", "jwks", match("sub", "x")), false},
		{"an empty key set", agents.TrustRule{Issuer: "https://a.example", Keys: agents.JWKS, KeySet: jsontext.Value(`{"keys":[]}`), Match: match("sub", "x")}, false},
		{"a key set with a name twice", agents.TrustRule{Issuer: "https://a.example", Keys: agents.JWKS, KeySet: jsontext.Value(`{"keys":[{"kty":"RSA","kty":"EC"}]}`), Match: match("sub", "x")}, false},
		{"private with keys", agents.TrustRule{Issuer: "https://a.example", Keys: agents.JWKS, KeySet: keys, AllowPrivate: true, Match: match("sub", "x")}, false},
		{"a domain in capitals", agents.TrustRule{Issuer: "spiffe://A.example", Keys: agents.SPIFFE, KeySet: keys, Match: match("sub", "spiffe://A.example/x")}, false},
		{"a domain with a path", agents.TrustRule{Issuer: "spiffe://a.example/x", Keys: agents.SPIFFE, KeySet: keys, Match: match("sub", "spiffe://a.example/x")}, false},
		{"another domain's ids", agents.TrustRule{Issuer: "spiffe://a.example", Keys: agents.SPIFFE, KeySet: keys, Match: match("sub", "spiffe://b.example/x")}, false},
		{"a domain that goes on", agents.TrustRule{Issuer: "spiffe://a.example", Keys: agents.SPIFFE, KeySet: keys, Match: match("sub", "spiffe://a.example*")}, false},

		{"nothing to match", rule("https://a.example", "discovery", nil), false},
		{"no sub", rule("https://a.example", "discovery", match("email", "x")), false},
		{"any sub", rule("https://a.example", "discovery", match("sub", "*")), false},
		{"an empty pattern", rule("https://a.example", "discovery", match("sub", "x", "a", "")), false},
		{"a star inside", rule("https://a.example", "discovery", match("sub", "x*y")), false},
		{"two stars", rule("https://a.example", "discovery", match("sub", "x**")), false},
		{"iss", rule("https://a.example", "discovery", match("sub", "x", "iss", "y")), false},
		{"aud by a pointer", rule("https://a.example", "discovery", match("sub", "x", "/aud", "y")), false},
		{"a bad pointer", rule("https://a.example", "discovery", match("sub", "x", "/a~2", "y")), false},
		{"an empty part", rule("https://a.example", "discovery", match("sub", "x", "/a//b", "y")), false},
		{"too deep", rule("https://a.example", "discovery", match("sub", "x", strings.Repeat("/a", 9), "y")), false},
		{"too many", rule("https://a.example", "discovery", many), false},
		{"a long pattern", rule("https://a.example", "discovery", match("sub", strings.Repeat("x", 513))), false},
		{"an invisible pattern", rule("https://a.example", "discovery", match("sub", "x\u200b")), false},

		{"GitHub", rule(gitHub, "discovery", match("sub", "repo:*", "repository_id", "1", "ref", "refs/heads/main")), true},
		{"GitHub, an owner and an environment", rule(gitHub, "discovery", match("sub", "repo:*", "repository_owner_id", "1", "environment", "production")), true},
		{"GitHub, a workflow of all", rule(gitHub, "discovery", match("sub", "repo:*", "repository_owner_id", "1", "job_workflow_ref", "octo/shared/.github/workflows/deploy.yml@refs/heads/main")), true},
		{"GitHub, names alone", rule(gitHub, "discovery", match("sub", "repo:octo/app:ref:refs/heads/main", "repository", "octo/app", "ref", "refs/heads/main")), false},
		{"GitHub, sub alone", rule(gitHub, "discovery", match("sub", "repo:octo/app:ref:refs/heads/main")), false},
		{"GitHub, numbers that begin so", rule(gitHub, "discovery", match("sub", "repo:*", "repository_id", "1*", "ref", "refs/heads/main")), false},
		{"GitHub, anything that may be pushed", rule(gitHub, "discovery", match("sub", "repo:*", "repository_id", "1")), false},
		{"GitHub, any ref", rule(gitHub, "discovery", match("sub", "repo:*", "repository_id", "1", "ref", "*")), false},
		{"GitHub of an enterprise, names alone", rule(gitHub+"/octo", "discovery", match("sub", "repo:octo/app:ref:refs/heads/main")), false},
		{"GitHub in capitals, names alone", rule("https://Token.Actions.GitHubUserContent.com", "discovery", match("sub", "repo:octo/app:ref:refs/heads/main")), false},
		{"GitHub Enterprise Server, names alone", rule("https://github.corp.example/_services/token", "discovery", match("sub", "repo:octo/app:ref:refs/heads/main")), false},
	} {
		err := c.rule.Check()
		if (err == nil) != c.ok || err != nil && fault.Code(err) != "rule_invalid" {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.ok && (c.rule.InstanceTTL != 3600 || c.rule.MaxInstances != 10 || c.rule.KeysPerAssertion != 1) {
			t.Errorf("%s: %+v", c.name, c.rule)
		}
	}
	for _, change := range []func(*agents.TrustRule){
		func(r *agents.TrustRule) { r.InstanceTTL = 59 }, func(r *agents.TrustRule) { r.InstanceTTL = 7*86400 + 1 }, func(r *agents.TrustRule) { r.InstanceTTL = -1 },
		func(r *agents.TrustRule) { r.MaxInstances = 101 }, func(r *agents.TrustRule) { r.MaxInstances = -1 },
		func(r *agents.TrustRule) { r.KeysPerAssertion = 11 }, func(r *agents.TrustRule) { r.KeysPerAssertion = -1 },
	} {
		r := rule("https://a.example", "discovery", match("sub", "x"))
		if change(&r); fault.Code(r.Check()) != "rule_invalid" {
			t.Errorf("%+v", r)
		}
	}
}

func TestMismatch(t *testing.T) {
	t.Parallel()
	claims := `{"sub":"system:serviceaccount:prod:app","n":42,"f":1.5,"e":1e2,"yes":true,"null":null,"list":["prod"],"empty":"","a.b":"dots","x/y":"slash","~":"tilde",
		"kubernetes.io":{"namespace":"prod","sa":{"name":"app"},"a/b":{"~c":"deep"}}}`
	var c map[string]jsontext.Value
	if err := json.Unmarshal([]byte(claims), &c); err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		claim, pattern string
		ok             bool
	}{
		{"sub", "system:serviceaccount:prod:app", true},
		{"sub", "system:serviceaccount:prod:*", true},
		{"sub", "*", true},
		{"sub", "system:serviceaccount:prod:app*", true},
		{"sub", "system:serviceaccount:prod:ap", false},
		{"sub", "system:serviceaccount:prod:apple", false},
		{"sub", "serviceaccount:prod:app", false},
		{"sub", "System:serviceaccount:prod:app", false},
		{"n", "42", true},
		{"n", "4*", true},
		{"n", "42.0", false},
		{"f", "1.5", false},
		{"e", "1e2", false},
		{"yes", "true", true},
		{"null", "null", false},
		{"null", "*", false},
		{"list", "prod", false},
		{"list", "*", false},
		{"empty", "*", true},
		{"missing", "*", false},
		{"a.b", "dots", true},
		{"x/y", "slash", true},
		{"/x~1y", "slash", true},
		{"/~0", "tilde", true},
		{"/kubernetes.io/namespace", "prod", true},
		{"/kubernetes.io/sa/name", "app", true},
		{"/kubernetes.io/a~1b/~0c", "deep", true},
		{"kubernetes.io", "*", false},
		{"/kubernetes.io", "*", false},
		{"kubernetes.io/namespace", "prod", false},
		{"/kubernetes.io/namespace/x", "*", false},
		{"/list/0", "prod", false},
		{"/sub/x", "*", false},
	} {
		r := agents.TrustRule{Match: match(m.claim, m.pattern)}
		want := ""
		if !m.ok {
			want = m.claim
		}
		if got := r.Mismatch(c); got != want {
			t.Errorf("%s = %s: %q", m.claim, m.pattern, got)
		}
	}
	r := agents.TrustRule{Match: match("sub", "x", "n", "42", "missing", "y")}
	if got := r.Mismatch(c); got != "missing" {
		t.Errorf("the first by name that fails: %q", got)
	}
}

// A claim matches its own text, its beginnings with a star, and nothing longer, shorter or other.
func TestMatchIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z:/.]{1,20}`)
		text, other := word.Draw(t, "text"), word.Draw(t, "other")
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		claims := map[string]jsontext.Value{"c": raw}
		holds := func(pattern string) bool {
			r := agents.TrustRule{Match: match("c", pattern)}
			return r.Mismatch(claims) == ""
		}
		if !holds(text) || holds(other) != (other == text) || holds(other+"*") != strings.HasPrefix(text, other) {
			t.Errorf("%q against %q", text, other)
		}
	})
}

func FuzzTrustRuleCheck(f *testing.F) {
	f.Add("https://a.example", "discovery", "sub", "x*", `{"keys":[{}]}`)
	f.Add("spiffe://a.example", "spiffe", "/a/b", "spiffe://a.example/*", `{"keys":[{"kty":"RSA"}]}`)
	f.Fuzz(func(t *testing.T, issuer, keys, claim, pattern, set string) {
		r := agents.TrustRule{Issuer: issuer, Keys: agents.KeySource(keys), KeySet: jsontext.Value(set), Match: match("sub", "x", claim, pattern)}
		if r.Check() != nil {
			return
		}
		once, err := r.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(); err != nil {
			t.Errorf("checked again: %v", err)
		}
		if again, err := r.Bytes(); err != nil || string(again) != string(once) {
			t.Errorf("%s became %s, %v", once, again, err)
		}
	})
}

// trust adds a rule of the agent's.
func (r rig) trust(t testing.TB, a agents.Agent, change func(*agents.TrustRule)) agents.TrustRule {
	t.Helper()
	rule := agents.TrustRule{ID: id.New[id.TrustRule](r.Now()), Workspace: a.Workspace, Agent: a.ID, Issuer: "https://a.example", Keys: agents.Discovery, Match: match("sub", "x")}
	if change != nil {
		change(&rule)
	}
	if err := rule.Check(); err != nil {
		t.Fatal(err)
	}
	if err := r.Do(a.Workspace, func(tx *audit.Tx) error { return r.AddTrustRule(tx, rule) }); err != nil {
		t.Fatal(err)
	}
	return rule
}

func (r rig) admit(rule agents.TrustRule, key jose.PublicKey, assertion string) (i agents.Instance, renewed bool, err error) {
	err = r.Do(rule.Workspace, func(tx *audit.Tx) (err error) {
		i, renewed, err = r.Admit(tx, agents.Admission{Rule: rule, JWK: key, Assertion: id.Sum([]byte(assertion)), Expires: r.Now().Add(time.Hour)})
		return err
	})
	return i, renewed, err
}

func TestTrustRulesAreStored(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b, c := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b"), r.agent(t, other, "c")
		one := r.trust(t, a, func(r *agents.TrustRule) {
			r.Keys, r.KeySet = agents.JWKS, jsontext.Value(`{ "keys" : [ {"kty":"RSA","n":"x"} ] }`)
			r.Match["/k/n"] = "y*"
		})
		r.Pass(time.Second)
		two := r.trust(t, b, func(r *agents.TrustRule) {
			r.InstanceTTL, r.MaxInstances, r.KeysPerAssertion, r.AllowPrivate = 60, 3, 2, true
		})
		r.Pass(time.Second)
		elsewhere := r.trust(t, c, nil)

		got, err := r.TrustRule(t.Context(), id.Default, one.ID)
		digest, _ := one.Digest()
		again, _ := got.Digest()
		if err != nil || again != digest || string(got.KeySet) != `{"keys":[{"kty":"RSA","n":"x"}]}` || !maps.Equal(got.Match, one.Match) || !got.CreatedAt.Equal(r.Now().Add(-2*time.Second)) {
			t.Errorf("%+v, %v", got, err)
		}
		names := func(found []agents.TrustRule, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, f := range found {
				all = append(all, f.ID.String())
			}
			return strings.Join(all, " ")
		}
		for what, c := range map[string][2]string{
			"all":          {names(r.TrustRules(t.Context(), id.Default, id.Agent{}, id.TrustRule{}, 0)), one.ID.String() + " " + two.ID.String()},
			"one agent's":  {names(r.TrustRules(t.Context(), id.Default, b.ID, id.TrustRule{}, 0)), two.ID.String()},
			"after":        {names(r.TrustRules(t.Context(), id.Default, id.Agent{}, one.ID, 0)), two.ID.String()},
			"by issuer":    {names(r.TrustRulesOf(t.Context(), id.Default, "https://a.example")), one.ID.String() + " " + two.ID.String()},
			"elsewhere":    {names(r.TrustRulesOf(t.Context(), other, "https://a.example")), elsewhere.ID.String()},
			"other issuer": {names(r.TrustRulesOf(t.Context(), id.Default, "https://a.example/")), ""},
		} {
			if c[0] != c[1] {
				t.Errorf("%s: %s, want %s", what, c[0], c[1])
			}
		}
		remove := func(ws id.Workspace, rule id.TrustRule) error {
			return r.Do(ws, func(tx *audit.Tx) error { return r.RemoveTrustRule(tx, ws, rule) })
		}
		if err := remove(other, one.ID); fault.Code(err) != "not_found" {
			t.Errorf("from another workspace: %v", err)
		}
		if err := remove(id.Default, one.ID); err != nil {
			t.Error(err)
		}
		if err := remove(id.Default, one.ID); fault.Code(err) != "not_found" {
			t.Errorf("twice: %v", err)
		}
		if _, _, err := r.admit(one, newKey(t), "x"); fault.Code(err) != "rule_removed" {
			t.Errorf("by a rule that was removed: %v", err)
		}
	})
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a := r.agent(t, id.Default, "a")
		rule, key := r.trust(t, a, func(r *agents.TrustRule) { r.InstanceTTL, r.MaxInstances = 600, 2 }), newKey(t)
		i, renewed, err := r.admit(rule, key, "one")
		if err != nil || renewed || i.Trust != agents.Workload || i.Rule != rule.ID.String() || !i.ExpiresAt.Equal(r.Now().Add(10*time.Minute)) || i.Line != i.Key {
			t.Errorf("%+v %v, %v", i, renewed, err)
		}
		if had, err := r.Presented(t.Context(), id.Sum([]byte("one")), key.Thumbprint()); err != nil || !had {
			t.Errorf("%v, %v", had, err)
		}
		if had, err := r.Presented(t.Context(), id.Sum([]byte("one")), newKey(t).Thumbprint()); err != nil || had {
			t.Errorf("another key: %v, %v", had, err)
		}
		if _, _, err := r.admit(rule, newKey(t), "one"); fault.Code(err) != "assertion_bound" {
			t.Errorf("another key: %v", err)
		}
		r.Pass(time.Minute)
		if i, renewed, err = r.admit(rule, key, "two"); err != nil || !renewed || !i.ExpiresAt.Equal(r.Now().Add(10*time.Minute)) {
			t.Errorf("renewed: %+v %v, %v", i, renewed, err)
		}
		shorter := r.trust(t, a, func(r *agents.TrustRule) { r.InstanceTTL = 60 })
		if i, _, err = r.admit(shorter, key, "three"); err != nil || !i.ExpiresAt.Equal(r.Now().Add(10*time.Minute)) || i.Rule != shorter.ID.String() {
			t.Errorf("by a shorter rule: %+v, %v", i, err)
		}
		if i, _, err = r.admit(rule, key, "three"); err != nil || i.Rule != rule.ID.String() {
			t.Errorf("and back: %+v, %v", i, err)
		}

		// The limit counts live ones by this rule alone.
		second := newKey(t)
		if _, _, err := r.admit(rule, second, "four"); err != nil {
			t.Error(err)
		}
		if _, _, err := r.admit(rule, newKey(t), "five"); fault.Code(err) != "too_many_instances" {
			t.Errorf("one too many: %v", err)
		}
		if _, _, err := r.admit(shorter, newKey(t), "six"); err != nil {
			t.Errorf("by another rule: %v", err)
		}
		r.Pass(11 * time.Minute)
		if _, _, err := r.admit(rule, newKey(t), "seven"); err != nil {
			t.Errorf("after the others have expired: %v", err)
		}
		if _, _, err := r.admit(rule, second, "eight"); err != nil {
			t.Errorf("renewed after its end: %v", err)
		}
		if _, _, err := r.admit(rule, key, "late"); fault.Code(err) != "too_many_instances" {
			t.Errorf("renewed after its end beyond the limit: %v", err)
		}
		third := newKey(t)
		if _, _, err := r.admit(shorter, third, "third"); err != nil {
			t.Error(err)
		}
		if _, _, err := r.admit(rule, third, "third"); fault.Code(err) != "too_many_instances" {
			t.Errorf("moved to a rule that is full: %v", err)
		}
		if _, _, err := r.admit(rule, second, "eight and a half"); err != nil {
			t.Errorf("one of them renewed: %v", err)
		}

		// Whose key it is otherwise stays so.
		enrolled, elsewhere := newKey(t), r.agent(t, id.Default, "b")
		if _, err := r.enrol(id.Default, a.ID, enrolled); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.admit(rule, enrolled, "nine"); fault.Code(err) != "key_in_use" {
			t.Errorf("an enrolled key: %v", err)
		}
		if _, _, err := r.admit(r.trust(t, elsewhere, nil), second, "ten"); fault.Code(err) != "key_in_use" {
			t.Errorf("another agent's: %v", err)
		}
		for _, c := range [][2]string{{"suspend", "instance_suspended"}, {"revoke", "instance_revoked"}} {
			verb, want := c[0], c[1]
			if err := r.Do(id.Default, func(tx *audit.Tx) error {
				if verb == "suspend" {
					_, err := r.SuspendInstance(tx, id.Default, second.Thumbprint())
					return err
				}
				_, err := r.RevokeInstance(tx, id.Default, second.Thumbprint())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.admit(rule, second, verb); fault.Code(err) != want {
				t.Errorf("after %s: %v", verb, err)
			}
		}
		// A key that was replaced is renewed by the one that replaced it, also while both are good.
		fresh := newKey(t)
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, _, err := r.Rotate(tx, agents.Rotation{Workspace: id.Default, Agent: a.ID, By: key.Thumbprint(), JWK: fresh, Grace: time.Minute})
			return err
		}); fault.Code(err) != "instance_expired" {
			t.Errorf("rotated after its end: %v", err)
		}
		if _, _, err := r.admit(rule, key, "eleven"); fault.Code(err) != "" {
			t.Fatal(err)
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, _, err := r.Rotate(tx, agents.Rotation{Workspace: id.Default, Agent: a.ID, By: key.Thumbprint(), JWK: fresh, Grace: time.Minute})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.admit(rule, key, "twelve"); fault.Code(err) != "instance_rotated" {
			t.Errorf("the old key: %v", err)
		}
		if i, renewed, err := r.admit(rule, fresh, "thirteen"); err != nil || !renewed {
			t.Errorf("the new key: %+v, %v", i, err)
		}
	})
}

// Of 64 keys over all nodes as many become instances by one assertion as the rule says; one key becomes one, however often it asks.
func TestAdmitOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		a := nodes[0].agent(t, id.Default, "a")
		for _, slots := range []int{1, 3} {
			rule := nodes[0].trust(t, a, func(r *agents.TrustRule) { r.KeysPerAssertion, r.MaxInstances = slots, 50 })
			keys := make([]jose.PublicKey, 64)
			for i := range keys {
				keys[i] = newKey(t)
			}
			name := rule.ID.String()
			got := audittest.Together(t, nodes, 64, func(r rig, i int) error { _, _, err := r.admit(rule, keys[i], name); return err })
			if got[""] != slots || got["assertion_bound"] != 64-slots {
				t.Errorf("%d slots: %v", slots, got)
			}
			one := newKey(t)
			got = audittest.Together(t, nodes, 64, func(r rig, i int) error { _, _, err := r.admit(rule, one, name+" more"); return err })
			if got[""] != 64 {
				t.Errorf("one key: %v", got)
			}
		}
		// The rule's limit holds at once as well.
		rule := nodes[0].trust(t, a, func(r *agents.TrustRule) { r.MaxInstances = 5 })
		keys := make([]jose.PublicKey, 64)
		for i := range keys {
			keys[i] = newKey(t)
		}
		got := audittest.Together(t, nodes, 64, func(r rig, i int) error { _, _, err := r.admit(rule, keys[i], string(rune('A'+i))); return err })
		if got[""] != 5 || got["too_many_instances"] != 59 {
			t.Errorf("a limit of 5: %v", got)
		}
	})
}

// What no assertion can come for any more is forgotten.
func TestPresentedIsForgotten(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	rule := r.trust(t, r.agent(t, id.Default, "a"), nil)
	key := newKey(t)
	if _, _, err := r.admit(rule, key, "old"); err != nil {
		t.Fatal(err)
	}
	r.Pass(6 * 24 * time.Hour) // a clock that is set ahead, forgets nothing and is set back
	if _, _, err := r.admit(rule, key, "ahead"); err != nil {
		t.Fatal(err)
	}
	r.Pass(-6 * 24 * time.Hour)
	if _, _, err := r.admit(rule, newKey(t), "old"); fault.Code(err) != "assertion_bound" {
		t.Errorf("with another key after the clock was set back: %v", err)
	}
	r.Pass(7*24*time.Hour + time.Hour + time.Second)
	if _, _, err := r.admit(rule, key, "new"); err != nil {
		t.Fatal(err)
	}
	if had, err := r.Presented(t.Context(), id.Sum([]byte("old")), key.Thumbprint()); err != nil || had {
		t.Errorf("%v, %v", had, err)
	}
}
