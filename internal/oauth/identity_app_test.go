package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

const typeIdentity = "oauth-id-jag+jwt"

// overHTTP asks whatever it is told to.
type overHTTP struct{}

func (overHTTP) Fetch(ctx context.Context, address string, _ bool) ([]byte, time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
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

func (o overHTTP) Metadata(ctx context.Context, address string) ([]byte, time.Duration, error) {
	return o.Fetch(ctx, address, false)
}

// asserted is a server whose people sign in at a provider, which asserts of them; Omar does, and an app with a key is allowed.
type assertedFlow struct {
	*flow
	idp    *attorntest.Platform
	kid    string
	omar   id.User
	client jose.Signer // the app's key that proves it
}

func startAsserted(t testing.TB, dsn string) *assertedFlow {
	f := &assertedFlow{flow: startFlow(t, dsn), idp: attorntest.NewPlatform(t), client: newES256(t)}
	f.kid = f.idp.AddKey("ES256")
	f.asserting(guard.Asserter{Issuer: f.idp.Issuer})
	f.omar = f.signsIn("omar-1", "Omar")
	f.app = f.register(f.metadata(clients.GrantAssertion))
	f.rule(f.app, true, false)
	return f
}

func (f *assertedFlow) asserting(by ...guard.Asserter) {
	for _, n := range f.nodes {
		n.Guard.Fetch, n.Guard.Asserting = overHTTP{}, by
	}
}

func (f *assertedFlow) signsIn(subject, name string) id.User {
	f.t.Helper()
	_, p, err := f.nodes[0].SignInUpstream(f.t.Context(), guard.Identity{
		Provider: "corp", Issuer: f.idp.Issuer, Subject: subject, Name: name, Workspace: id.Default, Create: true, Auth: evidence.Auth{Level: 1, At: f.now().Unix()}, Token: "x",
	}, "")
	f.ok(err)
	return p.ID
}

func (f *assertedFlow) metadata(grants ...string) string {
	f.t.Helper()
	key, err := json.Marshal(f.client.Public())
	f.ok(err)
	return fmt.Sprintf(`{"client_name":"Assistant","redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","%s"],
		"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[%s]}}`, strings.Join(grants, `","`), key)
}

// rule says what the workspace lets an app do.
func (f *flow) rule(app string, allow, bearer bool) {
	f.t.Helper()
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.ClientChanged, evidence.OK, evidence.ServerSub, "test", &evidence.What{Client: app}
	_, err := f.nodes[0].log.Record(f.t.Context(), d, func(tx *audit.Tx) error {
		return f.nodes[0].Clients.SetRule(tx, clients.Rule{Workspace: id.Default, Client: app, Allow: allow, Bearer: bearer})
	})
	f.ok(err)
}

// jag is an assertion as it should be, but for what is changed.
func (f *assertedFlow) jag(change map[string]any) string {
	f.t.Helper()
	claims := map[string]any{
		"iss": f.idp.Issuer, "sub": "omar-1", "aud": flowIssuer, "client_id": f.app, "jti": rand.Text(), "iat": f.now().Unix(), "exp": f.now().Add(5 * time.Minute).Unix(),
		"resource": filesURL, "scope": "openid tool:files:read",
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(claims, json.Deterministic(true))
	f.ok(err)
	alg, _, _ := strings.Cut(f.kid, "-")
	return f.idp.Sign(f.kid, map[string]any{"alg": alg, "kid": f.kid, "typ": typeIdentity}, raw)
}

// form shows an assertion as the app.
func (f *assertedFlow) form(jag string, fields ...string) url.Values {
	form := fieldsOf(append([]string{"grant_type", grantJWTBearer, "assertion", jag}, fields...))
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", f.assertion(f.client, f.app))
	return form
}

func (f *assertedFlow) refused(what string, got answer, name, reason string) {
	f.t.Helper()
	if got.status/100 != 4 || got.text("error") != name || got.text("reason") != reason {
		f.t.Errorf("%s: %d %s", what, got.status, got.raw)
	}
}

// What a provider says of a person and an app makes the app an agent of theirs, once, and lends to that as long as the assertion lasts.
func TestIdentityAssertionForAnApp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startAsserted(t, dsn)
		jag := f.jag(nil)
		first := f.good(f.form(jag))
		c := f.claims(first)
		if c.Subject != f.omar.String() || c.Act == nil || c.ClientID != f.app || c.Audience != filesURL || c.Scope != "tool:files:read" || c.JKT != f.signer.Public().Thumbprint() ||
			first.text("refresh_token") != "" || first.text("token_type") != "DPoP" || first.text("scope") != "tool:files:read" {
			t.Errorf("%+v %s", c, first.raw)
		}
		d, err := f.nodes[0].Lending.Get(t.Context(), id.Default, c.Delegation)
		f.ok(err)
		if by := d.Link.Delegator.Attested; by == nil || by.Method != "id-jag" || by.Issuer != f.idp.Issuer || d.Link.Statement.MaxDepth != 0 || d.Link.Statement.Delegate.Instance != c.JKT {
			t.Errorf("%+v", d)
		}
		if e := f.newest(evidence.AgentRegistered); e.Who.Sub != evidence.ServerSub || e.What.User != f.omar || e.What.Client != f.app || e.What.Agent != c.Act.Sub {
			t.Errorf("%+v", e)
		}
		if e := f.newest(evidence.InstanceEnrolled); e.What.Instance != c.JKT || e.What.Agent != c.Act.Sub {
			t.Errorf("%+v", e)
		}
		f.refused("twice", f.bound(f.form(jag)), "invalid_grant", "spent")
		again := f.claims(f.good(f.form(f.jag(nil))))
		if again.Act.Sub != c.Act.Sub || again.Delegation == c.Delegation {
			t.Errorf("%+v", again)
		}
		priya := f.signsIn("noor-1", "Noor")
		f.refused("another person's key", f.bound(f.form(f.jag(map[string]any{"sub": "noor-1"}))), "invalid_dpop_proof", "binding")
		own := f.signer
		f.signer = newSigner(t)
		if c := f.claims(f.good(f.form(f.jag(map[string]any{"sub": "noor-1"})))); c.Subject != priya.String() || c.Act.Sub == again.Act.Sub {
			t.Errorf("%+v", c)
		}
		f.signer = own

		// The app's agent that somebody revoked is not made again by a provider's word.
		_, _, _, err = f.nodes[0].EndAgent(t.Context(), f.priya, c.Act.Sub, "revoke", "")
		f.ok(err)
		f.refused("revoked", f.bound(f.form(f.jag(nil))), "invalid_grant", "principal_inactive")
		if err := f.call(first); err == nil {
			t.Error("its token goes on")
		}
	})
}

// TestIdentityAssertionForAnAppRefused: each thing wrong by itself, with an app that nobody knows as an agent yet: none of it makes one.
func TestIdentityAssertionForAnAppRefused(t *testing.T) {
	f := startAsserted(t, dbtest.SQLite(t))
	show := func(change map[string]any, fields ...string) answer { return f.bound(f.form(f.jag(change), fields...)) }
	for what, change := range map[string]map[string]any{
		"another audience": {"aud": "https://other.example"}, "no audience": {"aud": nil}, "two audiences": {"aud": []string{flowIssuer, "https://other.example"}},
		"another client": {"client_id": "https://other.example/client.json"}, "no client": {"client_id": nil}, "another issuer": {"iss": "https://other.example"},
		"a tenant": {"tenant": "acme"}, "a tenant that is none": {"tenant": 1}, "another workspace": {"aud_tenant": "other"}, "somebody else here": {"aud_sub": f.user.String()},
		"another key": {"cnf": map[string]any{"jkt": newSigner(t).Public().Thumbprint()}}, "a confirmation without a key": {"cnf": map[string]any{"x5t#S256": "x"}},
		"a confirmation that is none": {"cnf": "x"}, "details that are no list": {"authorization_details": map[string]any{}}, "a detail without a type": {"authorization_details": []any{map[string]any{}}},
		"a detail that is none": {"authorization_details": []any{map[string]any{"type": "attorn_permission", "permission": "tool:files:write", "were": 1}}},
		"constrained and not":   {"authorization_details": []any{map[string]any{"type": "attorn_permission", "permission": "tool:files:*", "where": map[string]any{"path": map[string]any{"prefix": "a/"}}}}},
		"expired":               {"iat": f.now().Unix() - 600, "exp": f.now().Unix() - 31}, "two hours": {"exp": f.now().Unix() + 7200}, "not yet": {"nbf": f.now().Unix() + 60},
	} {
		f.refused(what, show(change), "invalid_grant", "untrusted_issuer")
	}
	f.refused("nobody here", show(map[string]any{"sub": "eve-1"}), "invalid_grant", "unknown")
	f.refused("an address alone", show(map[string]any{"sub": "eve-1", "email": "omar@corp.example", "email_verified": true}), "invalid_grant", "unknown")
	f.refused("another resource", show(nil, "resource", flowIssuer+"/mcp/wiki"), "invalid_target", "unknown_resource")
	f.refused("no resource", show(map[string]any{"resource": nil}), "invalid_target", "unknown_resource")
	f.refused("attorn's API", show(map[string]any{"resource": flowIssuer + "/api", "scope": "attorn:*"}), "invalid_target", "unknown_resource")
	f.refused("a workspace where they are nobody", show(map[string]any{"resource": flowIssuer + "/w/elsewhere/mcp/files"}), "invalid_target", "unknown_resource")
	f.refused("more than it says", show(nil, "scope", "tool:files:write"), "invalid_scope", "not_covered")
	f.refused("nothing for it", show(map[string]any{"scope": "tool:wiki:read"}), "invalid_scope", "not_covered")

	form := f.form(f.jag(nil))
	form.Del("client_assertion")
	form.Del("client_assertion_type")
	form.Set("client_id", f.app)
	if got := f.bound(form); got.status != 401 || got.text("error") != "invalid_client" {
		t.Errorf("without its proof: %d %s", got.status, got.raw)
	}
	if got := f.token(0, f.form(f.jag(nil)), ""); got.text("error") != "unauthorized_client" || got.text("reason") != "bearer_not_allowed" {
		t.Errorf("without a key: %d %s", got.status, got.raw)
	}
	f.asserting()
	f.refused("while no provider may", show(nil), "invalid_grant", "untrusted_issuer")
	f.asserting(guard.Asserter{Issuer: f.idp.Issuer})

	if e := f.newest(evidence.AgentRegistered); e.What != nil && e.What.Client == f.app {
		t.Errorf("a refusal made it an agent: %+v", e)
	}
	if e := f.newest(evidence.TokenRefused); e.Who.Sub != evidence.ServerSub || e.What == nil || e.What.Client != f.app {
		t.Errorf("who was refused: %+v", e)
	}

	// A rule of the workspace must allow the app; that none forbids it is for apps that a person is asked about.
	other := f.register(f.metadata(clients.GrantAssertion))
	f.app = other
	f.refused("no rule", show(nil), "unauthorized_client", "client_denied")
	f.rule("*", true, false)
	f.refused("a rule for any app", show(nil), "unauthorized_client", "client_denied")
	f.rule(other, false, false)
	f.refused("a rule against it", show(nil), "unauthorized_client", "client_denied")
	f.app = f.register(f.metadata("refresh_token"))
	f.rule(f.app, true, false)
	f.refused("an app that does not use it", show(nil), "unauthorized_client", "grant_not_allowed")
	f.app = f.register(desktopApp)
	f.rule(f.app, true, false)
	form = fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", f.jag(nil), "client_id", f.app})
	f.refused("an app without keys", f.bound(form), "unauthorized_client", "grant_not_allowed")
}

// What the current draft allows an assertion to say, and what of it counts.
func TestIdentityAssertionClaims(t *testing.T) {
	f := startAsserted(t, dbtest.SQLite(t))
	where := map[string]any{"path": map[string]any{"prefix": "a/"}}
	got := f.good(f.form(f.jag(map[string]any{
		"aud": []string{flowIssuer}, "cnf": map[string]any{"jkt": f.signer.Public().Thumbprint()}, "aud_tenant": "default", "aud_sub": f.omar.String(), "act": map[string]any{"sub": "x"},
		"resource": []string{"https://other.example", filesURL}, "email": "priya@corp.example", "acr": "urn:attorn:acr:3", "amr": []string{"hwk"}, "auth_time": f.now().Unix() - 60,
		"authorization_details": []any{
			map[string]any{"type": "attorn_permission", "permission": "tool:files:write", "where": where},
			map[string]any{"type": "attorn_permission", "permission": "tool:files:wipe", "locations": []string{"https://other.example"}},
			map[string]any{"type": "chat_read", "actions": []string{"read"}},
		},
	}), "resource", filesURL))
	c := f.claims(got)
	if c.Scope != "tool:files:read" || len(c.Details) != 1 || c.Details[0].Permission != "tool:files:write" || c.Details[0].Where["path"].Prefix == nil || c.ACR != "" || c.AuthTime != 0 ||
		len(c.Act.Sub.String()) == 0 || c.Act.Act != nil || got.body["authorization_details"] == nil {
		t.Errorf("%+v %s", c, got.raw)
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		f.pass(61 * time.Second) // by when keys that are not known are asked for again
		f.kid = f.idp.AddKey(alg)
		f.good(f.form(f.jag(nil)))
	}
	old := f.kid
	f.idp.DropKey(old)
	stolen := f.idp.AddKey("ES256")
	f.kid = stolen
	f.idp.DropKey(stolen)
	f.pass(6 * time.Minute)
	f.kid = f.idp.AddKey("ES256")
	f.good(f.form(f.jag(nil)))
	meta := f.serve(0, "GET", "/.well-known/oauth-authorization-server", "", nil)
	if p, _ := meta.body["authorization_grant_profiles_supported"].([]any); !slices.Equal(p, []any{"urn:ietf:params:oauth:grant-profile:id-jag"}) {
		t.Errorf("%s", meta.raw)
	}
	f.asserting()
	if meta := f.serve(0, "GET", "/.well-known/oauth-authorization-server", "", nil); meta.body["authorization_grant_profiles_supported"] != nil {
		t.Errorf("%s", meta.raw)
	}
	f.asserting(guard.Asserter{Issuer: f.idp.Issuer})

	// Tokens that are bound to no key take the workspace's word, as everywhere.
	f.rule(f.app, true, true)
	bearer := f.token(0, f.form(f.jag(nil)), "")
	if bearer.status != 200 || bearer.text("token_type") != "Bearer" || !f.claims(bearer).JKT.IsZero() {
		t.Errorf("%d %s", bearer.status, bearer.raw)
	}
	f.refused("bound, and no proof", f.token(0, f.form(f.jag(map[string]any{"cnf": map[string]any{"jkt": f.signer.Public().Thumbprint()}})), ""), "invalid_grant", "untrusted_issuer")
}

// A provider's word ends with the link to it, and it is not above the passkey of a person who has one.
func TestIdentityAssertionAndItsPerson(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startAsserted(t, dsn)
		first := f.good(f.form(f.jag(nil)))
		f.passkeyOf(f.omar)
		spent := f.jag(nil)
		f.refused("who has a passkey", f.bound(f.form(spent)), "invalid_grant", "passkey_needed")
		f.asserting(guard.Asserter{Issuer: f.idp.Issuer, Passkeys: true})
		f.refused("what was refused is spent", f.bound(f.form(spent)), "invalid_grant", "spent")
		f.good(f.form(f.jag(nil)))
		f.unlink(f.omar, "omar-1")
		f.refused("a link that ended", f.bound(f.form(f.jag(nil))), "invalid_grant", "unknown")
		f.pass(6 * time.Minute)
		if err := f.call(first); err == nil {
			t.Error("a token outlives its assertion")
		}
	})
}

// One assertion makes one agent and one token, whoever shows it how often, at which process.
func TestIdentityAssertionOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startAsserted(t, dsn)
		jag := f.jag(nil)
		const n = 64
		forms := make([]url.Values, n)
		for i := range forms {
			forms[i] = f.form(jag)
		}
		answers := make(chan answer, n)
		for i := range n {
			go func() { answers <- f.token(i, forms[i], f.proof(f.signer, tokenPath)) }()
		}
		good := 0
		for range n {
			got := <-answers
			switch {
			case got.status == 200:
				good++
			case got.text("reason") != "spent" && got.status != 503 && got.status != 429:
				t.Errorf("%d %s", got.status, got.raw)
			}
		}
		if good != 1 {
			t.Errorf("%d tokens", good)
		}
		agents, err := f.nodes[0].Clients.AppAgents(t.Context(), id.Default, clients.AppQuery{Client: f.app})
		f.ok(err)
		made, err := f.nodes[0].log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.AgentRegistered, Limit: 10})
		f.ok(err)
		refused, err := f.nodes[0].log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.TokenRefused, Limit: 200})
		f.ok(err)
		if len(agents) != 1 || len(made) != 1 {
			t.Errorf("%d agents, %d registered", len(agents), len(made))
		}
		for _, e := range refused {
			if e.Who.Sub != evidence.ServerSub && e.Who.Sub != agents[0].Agent.String() {
				t.Errorf("an act of nobody known: %+v", e.Event)
			}
		}
	})
}

// changes does something to a person, as a test can.
func (f *flow) changes(person id.User, do func(tx *audit.Tx) error) {
	f.t.Helper()
	d := evidence.Draft{Workspace: id.Default, Person: person, Target: person.String()}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.UserChanged, evidence.OK, evidence.ServerSub, "test", &evidence.What{User: person}
	_, err := f.nodes[0].log.Record(f.t.Context(), d, do)
	f.ok(err)
}

func (f *flow) passkeyOf(person id.User) {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	f.ok(err)
	soft := attorntest.NewSoftPasskey(key)
	f.changes(person, func(tx *audit.Tx) error {
		_, err := f.nodes[0].People.AddPasskey(tx, people.NewPasskey{
			Credential: jose.EncodeBase64(soft.ID()), Person: person, COSE: soft.Key(), RPID: "localhost", Origin: flowIssuer,
		})
		return err
	})
}

func (f *assertedFlow) unlink(person id.User, subject string) {
	f.t.Helper()
	f.changes(person, func(tx *audit.Tx) error { return f.nodes[0].People.UnlinkIdentity(tx, person, f.idp.Issuer, subject) })
}
