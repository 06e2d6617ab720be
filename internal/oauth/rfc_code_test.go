package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/attorn/attorn/internal/db/dbtest"
)

// A client whose metadata says that its tokens are bound gets none without a key, also where the workspace would give it one (RFC 9449 §5.2).
func TestBoundTokensAlone(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	f.bearer(true)
	f.app = f.register(`{"client_name":"Bound","redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"],"dpop_bound_access_tokens":true}`)
	f.bearer(true)
	refuses(t, f.token(0, f.redeem(f.code(f.query())), ""), 400, "unauthorized_client", "bearer_not_allowed")
	got := f.good(f.redeem(f.code(f.query())))
	if got.text("token_type") != "DPoP" || f.claims(got).JKT != f.signer.Public().Thumbprint() {
		t.Errorf("%s", got.raw)
	}
}

// A proof at the pushed request binds the code to its key (RFC 9449 §10.1).
func TestPushedProof(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	push := func(proof string, changes ...string) answer {
		return f.serve(0, "POST", "/oauth/par", f.query(changes...).Encode(), map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}, "Dpop": {proof}})
	}
	pushed := func() url.Values {
		got := push(f.proof(f.signer, "/oauth/par"))
		if got.status != 201 {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		return url.Values{"client_id": {f.app}, "request_uri": {got.text("request_uri")}, "state": {"s t&=ä"}}
	}
	if got := f.token(0, f.redeem(f.code(pushed())), f.proof(newSigner(t), tokenPath)); got.text("error") != "invalid_grant" || got.text("reason") != "binding" {
		t.Errorf("another key: %d %s", got.status, got.raw)
	}
	if c := f.claims(f.good(f.redeem(f.code(pushed())))); c.JKT != f.signer.Public().Thumbprint() {
		t.Errorf("%+v", c)
	}
	if got := push(f.proof(f.signer, "/oauth/par"), "dpop_jkt", newSigner(t).Public().Thumbprint().String()); got.status != 400 || got.text("error") != "invalid_dpop_proof" {
		t.Errorf("another dpop_jkt: %d %s", got.status, got.raw)
	}
}

// Of two resources that were granted a token is for the one that it is asked for, with the scope of that one (RFC 8707 §2.2).
func TestOneOfTwoResources(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	wiki := flowIssuer + "/mcp/wiki"
	q := f.query("scope", "tool:files:read tool:wiki:write")
	q.Add("resource", wiki)
	got := f.good(f.redeem(f.code(q), "resource", wiki))
	if c := f.claims(got); c.Audience != wiki || c.Scope != "tool:wiki:write" || got.text("scope") != "tool:wiki:write" {
		t.Errorf("%+v %s", c, got.raw)
	}
	if err := f.call(got); err == nil {
		t.Error("a token for the one resource is good at the other")
	}
	got = f.good(f.refresh(got.text("refresh_token"), "resource", filesURL))
	if c := f.claims(got); c.Audience != filesURL || c.Scope != "tool:files:read" {
		t.Errorf("%+v", c)
	}
	refuses(t, f.bound(f.redeem(f.code(q), "resource", "")), 400, "invalid_target", "unknown_resource")
}

// The answer with a code says who gives it, as the metadata does, byte for byte (RFC 9207 §2.3).
func TestIssuerInAnswers(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	to, err := url.Parse(f.resume(0, f.consents(f.asks(f.query())), f.cookie).header.Get("Location"))
	f.ok(err)
	issuer := f.serve(0, "GET", "/.well-known/oauth-authorization-server", "", nil).text("issuer")
	if q := to.Query(); q.Get("code") == "" || len(q["iss"]) != 1 || q.Get("iss") != issuer || strings.ContainsAny(issuer, "?#") || issuer != flowIssuer {
		t.Errorf("%s, and the metadata says %q", to, issuer)
	}
}

// A verifier has 43 to 128 characters that need no encoding (RFC 7636 §4.1).
func TestVerifierForm(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	for verifier, formed := range map[string]bool{
		strings.Repeat("a", 42): false, strings.Repeat("a", 43): true, strings.Repeat("aZ9-._~", 18): true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
		strings.Repeat("a", 42) + "+": false, strings.Repeat("a", 42) + "=": false, strings.Repeat("a", 42) + " ": false, strings.Repeat("a", 41) + "é": false,
	} {
		got := f.bound(f.redeem("x", "code_verifier", verifier)) // no code of ours: how far it comes says whether the verifier has the form
		if want := map[bool]string{true: "unknown", false: "pkce_required"}[formed]; got.text("reason") != want {
			t.Errorf("%q: %d %s", verifier, got.status, got.raw)
		}
	}
}
