package oauth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// registering is a world in which apps register themselves in one way.
func registering(t testing.TB, how string) *world {
	t.Helper()
	w := &world{t: t, time: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	w.Server = attorntest.Start(t, attorntest.Config{DSN: dbtest.SQLite(t), Now: w.now, Registration: how})
	return w
}

func (w *world) register(body, token string) answer {
	w.t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return w.send("POST", "/oauth/register", body, h)
}

const goodApp = `{"client_name":"App","redirect_uris":["http://127.0.0.1/cb","https://app.example/cb"],"grant_types":["authorization_code","refresh_token"]}`

// RFC 7591 §3: what an app is registered as is what the answer says, and it has no secret.
func TestAppsRegister(t *testing.T) {
	t.Parallel()
	w := registering(t, "open")
	if got := w.send("GET", "/.well-known/oauth-authorization-server", "", nil); got.text("registration_endpoint") != w.URL+"/oauth/register" || got.body["client_id_metadata_document_supported"] != true {
		t.Errorf("%s", got.raw)
	}
	got := w.register(goodApp, "")
	if got.status != 201 || !strings.HasPrefix(got.text("client_id"), "app_") || got.body["client_id_issued_at"] != float64(w.now().Unix()) || got.text("client_name") != "App" ||
		got.text("token_endpoint_auth_method") != "none" || got.body["client_secret"] != nil || len(got.body["grant_types"].([]any)) != 2 || len(got.body["redirect_uris"].([]any)) != 2 {
		t.Errorf("%d %s", got.status, got.raw)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(got.header)
	}
	key := string(newSigner(t).Public().JWK())
	got = w.register(`{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[`+key+`]},"logo_uri":"https://x"}`, "")
	if got.status != 201 || got.text("token_endpoint_auth_method") != "private_key_jwt" || got.body["jwks"] == nil || got.body["logo_uri"] != nil {
		t.Errorf("%d %s", got.status, got.raw)
	}
}

// RFC 7591 §3.2.2, and what is no metadata at all.
func TestRegistrationErrors(t *testing.T) {
	t.Parallel()
	w := registering(t, "open")
	refused := func(what string, got answer, status int, code string) {
		t.Helper()
		if got.status != status || got.text("error") != code || got.text("error_description") == "" || !strings.HasSuffix(got.text("error_uri"), "/docs/errors/"+code) {
			t.Errorf("%s: %d %s", what, got.status, got.raw)
		}
		w.pass(time.Minute) // the limit is another test's
	}
	for what, body := range map[string]string{
		"none": `{"client_name":"App"}`, "script": `{"redirect_uris":["javascript:x"]}`, "one of two": `{"redirect_uris":["https://a.example/","http://a.example/"]}`, "fragment": `{"redirect_uris":["https://a.example/#x"]}`,
	} {
		refused(what, w.register(body, ""), 400, "invalid_redirect_uri")
	}
	for what, body := range map[string]string{
		"no JSON": "x", "nothing": "", "twice": `{"redirect_uris":["https://a.example/"],"redirect_uris":["https://a.example/"]}`, "a secret": `{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"client_secret_basic"}`,
		"no keys": `{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}`, "keys elsewhere": `{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/k"}`,
		"not an app's grant": `{"redirect_uris":["https://a.example/"],"grant_types":["client_credentials"]}`, "large": `{"x":"` + strings.Repeat("x", 6000) + `"}`,
		"a private key": `{"redirect_uris":["https://a.example/"],"jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}}`,
	} {
		refused(what, w.register(body, ""), 400, "invalid_client_metadata")
	}
	refused("a form", w.send("POST", "/oauth/register", "a=b", nil), 400, "invalid_client_metadata")
	refused("a query", w.send("POST", "/oauth/register?x", goodApp, http.Header{"Content-Type": {"application/json"}}), 400, "invalid_client_metadata")
	refused("a coding", w.send("POST", "/oauth/register", goodApp, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity"}}), 400, "invalid_client_metadata")
	if got := w.send("GET", "/oauth/register", "", nil); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d", got.status)
	}
}

func TestRegistrationIsOff(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"", "off"} {
		w := registering(t, how)
		if got := w.register(goodApp, ""); got.status != 404 || got.text("reason") != "registration_off" {
			t.Errorf("%q: %d %s", how, got.status, got.raw)
		}
		if got := w.send("GET", "/.well-known/oauth-authorization-server", "", nil); got.body["registration_endpoint"] != nil {
			t.Errorf("%q: %s", how, got.raw)
		}
	}
}

func TestRegistrationLimit(t *testing.T) {
	t.Parallel()
	w := registering(t, "open")
	for n := range 11 {
		got := w.register(goodApp, "")
		if want := map[bool]int{true: 201, false: 429}[n < 10]; got.status != want || want == 429 && got.header.Get("Retry-After") == "" {
			t.Errorf("%d: %d %s", n, got.status, got.raw)
		}
	}
	w.pass(time.Minute)
	if got := w.register(goodApp, ""); got.status != 201 {
		t.Errorf("a minute later: %d", got.status)
	}
}

// Who has no invitation is told how to send one (RFC 6750 §3); one that is no good is an error.
func TestRegistrationNeedsAnInvitation(t *testing.T) {
	t.Parallel()
	w := registering(t, "token")
	for what, c := range map[string]struct{ authorization, challenge string }{
		"none": {"", ""}, "another": {"Bearer " + strings.Repeat("A", 43), `, error="invalid_token"`}, "another scheme": {"DPoP x", `, error="invalid_token"`}, "empty": {"Bearer ", `, error="invalid_token"`},
		"long": {"Bearer " + strings.Repeat("A", 200), `, error="invalid_token"`},
	} {
		h := http.Header{"Content-Type": {"application/json"}}
		if c.authorization != "" {
			h.Set("Authorization", c.authorization)
		}
		got := w.send("POST", "/oauth/register", goodApp, h)
		if got.status != 401 || got.text("error") != "invalid_token" || got.header.Get("WWW-Authenticate") != `Bearer realm="`+w.URL+`"`+c.challenge {
			t.Errorf("%s: %d %s %q", what, got.status, got.raw, got.header.Get("WWW-Authenticate"))
		}
	}
}
