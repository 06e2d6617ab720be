package guard_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// overHTTP asks whatever it is told to.
type overHTTP struct{}

func (overHTTP) Fetch(ctx context.Context, url string, _ bool) ([]byte, time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return body, 0, err
}

func (o overHTTP) Metadata(ctx context.Context, url string) ([]byte, time.Duration, error) {
	return o.Fetch(ctx, url, false)
}

// asserts is a provider with Omar, whose word lends to bot.
type asserts struct {
	*rig
	idp  *attorntest.Platform
	kid  string
	omar id.User
	priya,
	bot *party
}

func newAsserts(t *testing.T, dsn string) *asserts {
	r := newRig(t, dsn)
	a := &asserts{rig: r, idp: attorntest.NewPlatform(t)}
	a.kid = a.idp.AddKey("ES256")
	r.Asserting, r.Fetch = []guard.Asserter{{Issuer: a.idp.Issuer}}, overHTTP{}
	a.priya = r.firstOwner("Priya")
	a.priya.addFiles()
	a.bot = a.priya.register("bot")
	_, omar, err := r.SignInUpstream(t.Context(), guard.Identity{
		Provider: "corp", Issuer: a.idp.Issuer, Subject: "omar-1", Name: "Omar", Workspace: id.Default, Create: true, Auth: evidence.Auth{Level: 1, At: r.now.Unix()}, Token: "x",
	}, "")
	r.ok(err)
	a.omar = omar.ID
	return a
}

// jag is an assertion as it should be, but for what is changed.
func (a *asserts) jag(change map[string]any) string {
	claims := map[string]any{
		"iss": a.idp.Issuer, "sub": "omar-1", "aud": issuer, "client_id": a.bot.agent.String(), "jti": id.New[id.Event](a.now).String(),
		"iat": a.now.Unix(), "exp": a.now.Add(5 * time.Minute).Unix(), "scope": "openid tool:files:read tool:files:write", "email": "priya@example.com",
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	typ, ok := claims["typ"].(string)
	if delete(claims, "typ"); !ok {
		typ = guard.IdentityAssertion
	}
	raw, err := json.Marshal(claims, json.Deterministic(true))
	a.ok(err)
	return a.idp.Sign(a.kid, map[string]any{"alg": "ES256", "kid": a.kid, "typ": typ}, raw)
}

func (a *asserts) show(raw string, ps ...string) (guard.Grant, error) {
	r := guard.TokenRequest{Resource: issuer + "/mcp/files"}
	for _, p := range ps {
		r.Permissions = append(r.Permissions, delegation.Permission{Permission: p})
	}
	return a.IdentityToken(a.t.Context(), a.bot.client(), raw, r)
}

// What a provider asserts is lent for as long as it says, once, and says so.
func TestIdentityAssertion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a := newAsserts(t, dsn)
		raw := a.jag(nil)
		got, err := a.show(raw, "tool:files:read")
		a.ok(err)
		c, err := token.Verify(got.Token, a.keys(), token.Want{Issuer: issuer, Audience: issuer + "/mcp/files", Now: a.now})
		a.ok(err)
		if c.Subject != a.omar.String() || c.Act.Sub != a.bot.agent || c.Scope != "tool:files:read" || c.Expires > a.now.Add(5*time.Minute).Unix() {
			t.Errorf("%+v", c)
		}
		d, err := a.Lending.Get(t.Context(), id.Default, got.Delegation)
		a.ok(err)
		st, by := d.Link.Statement, d.Link.Delegator.Attested
		if st.Delegator.User != a.omar || st.ExpiresAt != a.now.Add(5*time.Minute).Unix() || st.MaxDepth != 0 || len(st.Permissions) != 2 || st.Delegate.Instance.IsZero() ||
			by == nil || by.Method != "id-jag" || by.Issuer != a.idp.Issuer || by.AuthTime != a.now.Unix() {
			t.Errorf("lent %+v by %+v", st, by)
		}
		if _, err := a.show(raw); fault.Code(err) != "assertion_spent" {
			t.Errorf("twice: %v", err)
		}
		wide := a.jag(nil)
		if _, err := a.show(wide, "tool:files:wipe"); fault.Code(err) != "not_covered" {
			t.Errorf("more than it says: %v", err)
		}
		if _, err := a.show(wide); fault.Code(err) != "assertion_spent" {
			t.Errorf("what was refused is not spent: %v", err)
		}
	})
}

func (a *asserts) keys() func(id.Key) (jose.PublicKey, bool) {
	all, err := a.PublishedKeys(a.t.Context())
	a.ok(err)
	return func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range all {
			if k.Thumbprint() == kid {
				return k, true
			}
		}
		return jose.PublicKey{}, false
	}
}

func TestIdentityAssertionRefused(t *testing.T) {
	t.Parallel()
	a := newAsserts(t, dbtest.SQLite(t))
	other := a.priya.register("other")
	for _, c := range []struct {
		name, code string
		change     map[string]any
	}{
		{"another type", "untrusted_issuer", map[string]any{"typ": "JWT"}},
		{"no type", "untrusted_issuer", map[string]any{"typ": ""}},
		{"an access token", "untrusted_issuer", map[string]any{"typ": "at+jwt"}},
		{"another audience", "untrusted_issuer", map[string]any{"aud": "https://other.example"}},
		{"two audiences", "untrusted_issuer", map[string]any{"aud": []string{issuer, "https://other.example"}}},
		{"another client", "untrusted_issuer", map[string]any{"client_id": other.agent.String()}},
		{"no client", "untrusted_issuer", map[string]any{"client_id": nil}},
		{"no jti", "untrusted_issuer", map[string]any{"jti": nil}},
		{"another issuer", "untrusted_issuer", map[string]any{"iss": "https://other.example"}},
		{"no exp", "untrusted_issuer", map[string]any{"exp": nil}},
		{"no iat", "untrusted_issuer", map[string]any{"iat": nil}},
		{"expired", "untrusted_issuer", map[string]any{"iat": a.now.Unix() - 600, "exp": a.now.Unix() - 31}},
		{"two hours", "untrusted_issuer", map[string]any{"exp": a.now.Unix() + 7200}},
		{"a resource that is none", "untrusted_issuer", map[string]any{"resource": 1}},
		{"nobody here", "identity_unknown", map[string]any{"sub": "priya-1"}},
		{"another resource", "unknown_resource", map[string]any{"resource": "https://other.example"}},
		{"no scope", "not_covered", map[string]any{"scope": nil}},
		{"a scope for something else", "not_covered", map[string]any{"scope": "repo:acme:read"}},
	} {
		if _, err := a.show(a.jag(c.change)); fault.Code(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := a.show(a.jag(map[string]any{"resource": []string{"https://other.example", issuer + "/mcp/files"}})); err != nil {
		t.Errorf("for this resource among others: %v", err)
	}
	if _, err := a.IdentityToken(t.Context(), a.bot.client(), a.jag(map[string]any{"scope": "attorn:*"}), guard.TokenRequest{}); fault.Code(err) != "unknown_resource" {
		t.Errorf("attorn's own API: %v", err)
	}
	forged := a.jag(nil)
	if _, err := a.show(forged[:len(forged)-8] + "AAAAAAAA"); fault.Code(err) != "untrusted_issuer" {
		t.Errorf("forged: %v", err)
	}
	if _, err := a.IdentityToken(t.Context(), a.priya.client(), a.jag(nil), guard.TokenRequest{}); fault.Code(err) != "grant_not_allowed" {
		t.Errorf("a person as the client: %v", err)
	}
	a.Asserting = nil
	if _, err := a.show(a.jag(nil)); fault.Code(err) != "untrusted_issuer" {
		t.Errorf("while it is off: %v", err)
	}
	a.Asserting = []guard.Asserter{{Issuer: a.idp.Issuer}}
	_, _, err := a.EndPerson(t.Context(), a.priya.api(), a.omar, "suspend", "")
	a.ok(err)
	if _, err := a.show(a.jag(nil)); fault.Code(err) != "person_suspended" {
		t.Errorf("a suspended person: %v", err)
	}
}

// Who is no member of the agent's workspace lends nothing there, whatever their provider says.
func TestIdentityAssertionOfNoMember(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a := newAsserts(t, dsn)
		got, err := a.show(a.jag(nil))
		a.ok(err)
		_, _, err = a.RemoveMember(t.Context(), a.priya.api(), a.omar, "")
		a.ok(err)
		if _, err := a.show(a.jag(nil)); fault.Code(err) != "principal_inactive" {
			t.Errorf("no member any more: %v", err)
		}
		all, err := a.Lending.List(t.Context(), id.Default, lending.Query{Limit: 10})
		a.ok(err)
		if len(all) != 1 || all[0].Link.Statement.ID != got.Delegation || all[0].Status != lending.Revoked {
			t.Errorf("lent: %+v", all)
		}
	})
}
