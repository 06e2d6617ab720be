package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
	"github.com/attorn/attorn/vectors"
)

var at = time.Unix(1795427523, 0)

const (
	issuer   = "https://attorn.example"
	audience = "https://attorn.example/mcp/files"
	priya    = "usr_06h0fkepn1o010000000000004"
	bot      = "agt_06h0fkepn1o010000000000008"
	deployer = "agt_06h0fkepn1o01000000000000c"
	lent     = "dlg_06h0fkepn1o01000000000000g"
	seed     = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" // RFC 8037 A.1
)

func published(s jose.Signer) func(id.Key) (jose.PublicKey, bool) {
	return keys([]jose.PublicKey{s.Public()})
}

func chain() token.Claims {
	key := id.KeyOf(id.Sum([]byte("instance")))
	max := int64(3)
	return token.Claims{
		Issuer: issuer, Subject: priya, Audience: audience, ClientID: deployer,
		Scope: "tool:files:read_file openid",
		Details: []token.Detail{{
			Type: "attorn_permission", Permission: "tool:files:write_file",
			Where: map[string]delegation.Constraint{"replicas": {Max: &max}},
		}},
		Act: &token.Actor{Sub: id.Must[id.Agent](deployer), Instance: key, Act: &token.Actor{Sub: id.Must[id.Agent](bot)}},
		JKT: key, ID: "t-1", IssuedAt: at.Unix(), Expires: at.Unix() + 300, Delegation: id.Must[id.Delegation](lent),
		Task: "release", ACR: "urn:attorn:acr:1", AuthTime: at.Unix() - 10, Workspace: id.Default,
	}
}

var values = cmp.Options{
	cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
	cmp.Comparer(func(a, b id.Key) bool { return a == b }),
	cmp.Comparer(func(a, b id.Delegation) bool { return a == b }),
	cmp.Comparer(func(a, b id.Workspace) bool { return a == b }),
	cmp.Comparer(func(a, b delegation.Value) bool { return a == b }),
}

// What was issued is what is read, for its issuer, audience, key and time alone.
func TestIssuedIsVerifiedWhereItBelongs(t *testing.T) {
	s := signer(t, seed)
	rapid.Check(t, func(t *rapid.T) {
		c := chain()
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			c.Subject, c.Act, c.Delegation = bot, nil, id.Delegation{}
		case 1:
			c.Act, c.Delegation, c.Session = nil, id.Delegation{}, "s-1"
		case 2:
			c.JKT, c.Act.Instance = id.Key{}, id.Key{}
		}
		if rapid.Bool().Draw(t, "bare") {
			c.Scope, c.Details, c.Task, c.ACR, c.AuthTime = "", nil, "", "", 0
		}
		c.Task = rapid.String().Draw(t, "task")
		raw, err := token.Issue(c, s)
		if err != nil {
			t.Fatal(err)
		}
		want := token.Want{Issuer: issuer, Audience: audience, Now: at}
		got, err := token.Verify(raw, published(s), want)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got, values); d != "" {
			t.Fatal(d)
		}
		for name, change := range map[string]func(*token.Want){
			"issuer":      func(w *token.Want) { w.Issuer += "x" },
			"no issuer":   func(w *token.Want) { w.Issuer = "" },
			"audience":    func(w *token.Want) { w.Audience += "x" },
			"no audience": func(w *token.Want) { w.Audience = "" },
			"late":        func(w *token.Want) { w.Now = at.Add(330 * time.Second) },
			"early":       func(w *token.Want) { w.Now = at.Add(-31 * time.Second) },
		} {
			w := want
			change(&w)
			if _, err := token.Verify(raw, published(s), w); err == nil {
				t.Errorf("passed with another %s", name)
			}
		}
	})
}

func TestActorsAndPermissions(t *testing.T) {
	c := chain()
	if a := c.Actors(); len(a) != 2 || a[0].Sub != c.Act.Sub || a[1].Sub != c.Act.Act.Sub {
		t.Errorf("%+v", a)
	}
	p := c.Permissions()
	if len(p) != 2 || p[0].Permission != "tool:files:read_file" || p[0].Where != nil || p[1].Permission != "tool:files:write_file" || p[1].Where == nil {
		t.Errorf("%+v", p)
	}
}

func TestIssueRefuses(t *testing.T) {
	s := signer(t, seed)
	c := chain()
	c.Task = strings.Repeat("a", 7000)
	if _, err := token.Issue(c, s); fault.Code(err) != "too_large" {
		t.Errorf("more than 8 KiB: %v", err)
	}
	c = chain()
	c.Subject, c.Act.Sub = c.Act.Sub.String(), id.Agent{}
	if _, err := token.Issue(c, s); fault.Code(err) != "token_malformed" {
		t.Errorf("subject and actor swapped: %v", err)
	}
	priv, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	es, err := jose.NewES256Signer(priv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Issue(chain(), es); fault.Code(err) != "alg_unsupported" {
		t.Errorf("ES256: %v", err)
	}
}

// A key set that answers with another key than the one named proves nothing, even where that key signed.
func TestKeyMustBeTheOneNamed(t *testing.T) {
	s, other := signer(t, seed), signer(t, strings.Repeat("A", 43))
	raw, err := token.Issue(chain(), s)
	if err != nil {
		t.Fatal(err)
	}
	j, err := jose.Parse(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	misnamed := vectors.JWS{
		Header:  `{"alg":"EdDSA","kid":"` + other.Public().Thumbprint().String() + `","typ":"at+jwt"}`,
		Payload: string(j.Payload), Ed25519: seed,
	}
	any := func(id.Key) (jose.PublicKey, bool) { return s.Public(), true }
	want := token.Want{Issuer: issuer, Audience: audience, Now: at}
	if _, err := token.Verify(text(t, misnamed), any, want); fault.Code(err) != "token_signature" {
		t.Error(err)
	}
	if _, err := token.Verify(raw, any, want); err != nil {
		t.Error(err)
	}
}

// An issuer reads its own tokens back for whatever audience; the other rules stand.
func TestAnyAudience(t *testing.T) {
	s := signer(t, seed)
	raw, err := token.Issue(chain(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Verify(raw, published(s), token.Want{Issuer: issuer, AnyAudience: true, Now: at}); err != nil {
		t.Error(err)
	}
	for code, want := range map[string]token.Want{
		"token_issuer":  {Issuer: audience, AnyAudience: true, Now: at},
		"token_expired": {Issuer: issuer, AnyAudience: true, Now: at.Add(time.Hour)},
	} {
		if _, err := token.Verify(raw, published(s), want); fault.Code(err) != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// What goes in comes out, constrained or not, and replaces what was there.
func TestSetPermissions(t *testing.T) {
	c := chain()
	max := int64(3)
	in := []delegation.Permission{
		{Permission: "tool:files:read_file"},
		{Permission: "tool:files:list_*"},
		{Permission: "tool:deploy:run", Where: map[string]delegation.Constraint{"replicas": {Max: &max}}},
	}
	c.SetPermissions(in)
	if d := cmp.Diff(in, c.Permissions(), values); d != "" {
		t.Error(d)
	}
	if c.Scope != "tool:files:read_file tool:files:list_*" || len(c.Details) != 1 {
		t.Errorf("%q, %+v", c.Scope, c.Details)
	}
	if c.SetPermissions(nil); c.Scope != "" || c.Details != nil {
		t.Errorf("%q, %+v", c.Scope, c.Details)
	}
}

// What the refusal of a forged token says is the same whatever the token claims.
func TestForgerLearnsNothing(t *testing.T) {
	s, forger := signer(t, seed), signer(t, strings.Repeat("A", 43))
	reasons := map[string]bool{}
	for _, change := range []func(*token.Claims){func(*token.Claims) {}, func(c *token.Claims) { c.Issuer = "x" }, func(c *token.Claims) { c.IssuedAt, c.Expires = 1, 2 }} {
		c := chain()
		change(&c)
		raw, err := token.Issue(c, forger)
		if err != nil {
			t.Fatal(err)
		}
		_, err = token.Verify(raw, published(s), token.Want{Issuer: issuer, Audience: audience, Now: at})
		reasons[fault.Code(err)+" "+err.Error()] = true
	}
	if len(reasons) != 1 {
		t.Errorf("%v", reasons)
	}
}

func FuzzVerify(f *testing.F) {
	s := signer(f, seed)
	raw, err := token.Issue(chain(), s)
	if err != nil {
		f.Fatal(err)
	}
	j, err := jose.Parse(raw, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, j.Payload)
	f.Add("a.b.c", []byte(`{"act":{"act":{}},"authorization_details":[{"where":{"a":{"in":[1]}}}]}`))
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		want := token.Want{Issuer: issuer, Audience: audience, Now: at}
		if c, err := token.Verify(text, published(s), want); err == nil && text != raw {
			t.Errorf("a token that was not issued passed: %q, %+v", text, c)
		} else if err != nil && !strings.HasPrefix(fault.Code(err), "token_") {
			t.Errorf("code %q of %v", fault.Code(err), err)
		}
		if len(payload) == 0 {
			return
		}
		signed, err := jose.Sign("at+jwt", payload, s)
		if err != nil {
			t.Fatal(err)
		}
		c, err := token.Verify(signed, published(s), want)
		if err != nil {
			return
		}
		if _, err := token.Issue(c, s); err != nil {
			t.Errorf("Verify accepts what Issue does not: %v", err)
		}
	})
}

func FuzzParseAssertion(f *testing.F) {
	s := signer(f, seed)
	raw, err := token.SignAssertion(s, "agt_x", issuer, "a-1", at, time.Minute)
	if err != nil {
		f.Fatal(err)
	}
	j, err := jose.Parse(raw, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, j.Payload)
	f.Add("a.b.c", []byte(`{"aud":["x"],"exp":1}`))
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		if _, j, err := token.ParseAssertion(text, issuer, at, jose.Header{}); err == nil && j.Verify(s.Public()) == nil && text != raw {
			t.Errorf("an assertion that was not made passed: %q", text)
		} else if err != nil && !strings.HasPrefix(fault.Code(err), "assertion_") {
			t.Errorf("code %q of %v", fault.Code(err), err)
		}
		if len(payload) == 0 {
			return
		}
		signed, err := jose.Sign("JWT", payload, s)
		if err != nil {
			t.Fatal(err)
		}
		a, _, err := token.ParseAssertion(signed, issuer, at, jose.Header{})
		if err == nil && (a.Issuer != a.Subject || a.Audience != issuer || a.JTI == "" || a.Expires.After(at.Add(331*time.Second)) || a.Expires.Before(at.Add(-30*time.Second))) {
			t.Errorf("%+v", a)
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	s, c := signer(b, seed), chain()
	for b.Loop() {
		if _, err := token.Issue(c, s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	s := signer(b, seed)
	raw, err := token.Issue(chain(), s)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := token.Verify(raw, published(s), token.Want{Issuer: issuer, Audience: audience, Now: at}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAssertion(b *testing.B) {
	s := signer(b, seed)
	raw, err := token.SignAssertion(s, "agt_x", issuer, "a-1", at, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, j, err := token.ParseAssertion(raw, issuer, at, jose.Header{})
		if err != nil || j.Verify(s.Public()) != nil {
			b.Fatal(err)
		}
	}
}
