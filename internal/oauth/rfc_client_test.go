package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

// A way to authenticate that no client has is a failed authentication at each endpoint, and one that came in the header is answered in its scheme (RFC 6749 §5.2).
func TestOtherClientAuthentication(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	spent := f.code(f.query())
	for path, form := range map[string]url.Values{
		"/oauth/par":   f.query(),
		tokenPath:      f.redeem(spent),
		introspectPath: {"client_id": {f.app}, "token": {"x"}},
		revokePath:     {"client_id": {f.app}, "token": {"x"}},
	} {
		basic := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Basic eDp5"}, "Dpop": {f.proof(f.signer, path)}}
		got := f.serve(0, "POST", path, form.Encode(), basic)
		refuses(t, got, 401, "invalid_client", "")
		if want := `Basic realm="` + flowIssuer + `"`; got.header.Get("WWW-Authenticate") != want {
			t.Errorf("%s: challenge %q, want %q", path, got.header.Get("WWW-Authenticate"), want)
		}
		form.Set("client_secret", "hush")
		refuses(t, f.serve(0, "POST", path, form.Encode(), http.Header{"Content-Type": basic["Content-Type"], "Dpop": {f.proof(f.signer, path)}}), 401, "invalid_client", "")
		refuses(t, f.serve(0, "POST", path, form.Encode(), http.Header{"Content-Type": basic["Content-Type"], "Authorization": {"Basic eDp5"}}), 400, "invalid_request", "malformed")
	}
	f.good(f.redeem(spent)) // nothing of it was looked at
}

// A hint that does not fit the token changes nothing (RFC 7662 §2.1).
func TestIntrospectHint(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	own := newSigner(t)
	f.app = f.proving(own)
	got := f.good(f.redeem(f.code(f.query()), "client_assertion_type", assertionType, "client_assertion", f.assertion(own, f.app)))
	for _, token := range []string{"access_token", "refresh_token"} {
		for _, hint := range []string{"", "access_token", "refresh_token", "pct"} {
			form := url.Values{
				"token": {got.text(token)}, "token_type_hint": {hint}, "client_assertion_type": {assertionType}, "client_assertion": {f.assertion(own, f.app)},
			}
			if a := f.serve(0, "POST", introspectPath, form.Encode(), nil); a.body["active"] != true {
				t.Errorf("%s, hint %q: %d %s", token, hint, a.status, a.raw)
			}
		}
	}
}

// A code tells nobody what it is of: neither the challenge, nor who asked, can be read from it (RFC 7636 §4.4).
func TestCodeSaysNothing(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	to, err := url.Parse(f.resume(0, f.consents(f.asks(f.query())), f.cookie).header.Get("Location"))
	f.ok(err)
	q := to.Query()
	for name := range q {
		if name != "code" && name != "state" && name != "iss" {
			t.Errorf("the answer has %s", name)
		}
	}
	first, second := q.Get("code"), f.code(f.query())
	if len(first) != len(second) || first == second || strings.Contains(to.String(), codeS256) || strings.Contains(to.String(), codeVerifier) {
		t.Errorf("%s, and then %s", to, second)
	}
	if raw, err := jose.DecodeBase64(first); err != nil || len(raw) != 32 {
		t.Errorf("the code is no secret of 32 bytes: %q", first)
	}
}

// The key of a service opens introspection, what it may revoke, and its feed: it brings nobody's grant (RFC 9701 §3).
func TestServiceAsksForNothingElse(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	root := w.priya.lend(bot, terms{}, bare("repo:acme:*")...)
	subject := bot.under(root).text("access_token")
	for name, got := range map[string]answer{
		"its own resource":      w.repo.ask("grant_type", "client_credentials", "resource", resource),
		"an exchange":           w.repo.exchange(root.String(), typeDelegation, "resource", resource),
		"the token it was sent": w.repo.exchange(subject, typeAccessToken, "resource", resource),
		"an assertion":          w.repo.ask("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion", subject),
		"a code":                w.repo.ask("grant_type", "authorization_code", "code", "x", "redirect_uri", "https://app.example/", "code_verifier", codeVerifier),
		"a refresh token":       w.repo.ask("grant_type", "refresh_token", "refresh_token", "x"),
	} {
		if got.status/100 == 2 || got.body["access_token"] != nil {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
}
