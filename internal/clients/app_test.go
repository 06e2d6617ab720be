package clients_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/clients"
)

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://app.example.com/client.json", "https://app.example.com/", "https://app.example.com/a/b/", "https://xn--bcher-kva.example/x", "https://app.example.com/a~b.c_d-e/@x:y",
		"https://app.example.com/" + strings.Repeat("x", 512-len("https://app.example.com/")), "https://intranet/x",
	} {
		for _, local := range []bool{false, true} {
			if err := clients.CheckAddress(good, local); err != nil || !clients.IsApp(good) {
				t.Errorf("%s: %v", good, err)
			}
		}
	}
	for _, local := range []string{"http://localhost/c", "http://localhost:7171/c.json", "http://127.0.0.1:1/c", "http://[::1]:1/c"} {
		if err := clients.CheckAddress(local, true); err != nil {
			t.Errorf("%s in development: %v", local, err)
		}
		if err := clients.CheckAddress(local, false); fault.Code(err) != "client_unknown" {
			t.Errorf("%s: %v", local, err)
		}
	}
	for _, bad := range []string{
		"", "https://app.example.com", "app.example.com/c", "https:/c", "https:///c", "https:app/c", "HTTPS://app.example.com/c", "https://App.example.com/c",
		"https://app.example.com:443/c", "https://app.example.com:8443/c", "https://app.example.com:/c", "https://user@app.example.com/c", "https://a:b@app.example.com/c", "https://@app.example.com/c",
		"https://app.example.com/c?", "https://app.example.com/c?a=b", "https://app.example.com/c#", "https://app.example.com/c#x", "https://app.example.com/a/../c", "https://app.example.com/./c",
		"https://app.example.com/..", "https://app.example.com/a/.", "https://app.example.com/%2e%2e/c", "https://app.example.com/%63", "https://app.example.com//c", "https://app.example.com/c//",
		"https://app.example.com/*", "https://app.example.com/c\\d", "https://app.example.com/c d", "https://app.example.com/ü", "https://bücher.example/c", "https://app.example.com./c",
		"https://localhost/c", "https://127.0.0.1/c", "https://[::1]/c", "https://192.0.2.1/c", "https://[2001:db8::1]/c", "http://app.example.com/c", "http://localhost.example.com/c",
		"http://127.0.0.1.example.com/c", "http://0.0.0.0/c", "http://10.0.0.1/c", "http://localhost:0/c", "http://localhost/c?x", "ftp://app.example.com/c", "file:///etc/passwd", "javascript:x", "gopher://x/y",
		"https://app.example.com/" + strings.Repeat("x", 513-len("https://app.example.com/")), "https://app.example.com" + strings.Repeat("/a", 17), "https://app.example.com/\n",
	} {
		if err := clients.CheckAddress(bad, true); fault.Code(err) != "client_unknown" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Whatever is accepted has one form, so that a rule about it, or its host, cannot be walked around.
func FuzzCheckAddress(f *testing.F) {
	for _, s := range []string{"https://app.example.com/c", "http://localhost:1/c", "https://a/%2e", "https://a@b/c", "https://a/b/../c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if clients.CheckAddress(s, false) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.String() != s || u.Scheme != "https" || u.Port() != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path == "" ||
			strings.ContainsAny(s, "%*\\#?@ ") && !strings.Contains(u.Path, "@") || strings.ToLower(u.Host) != u.Host || slices.Contains(strings.Split(u.Path, "/"), "..") {
			t.Errorf("%q passed", s)
		}
	})
}

const at = "https://app.example.com/client.json"

// doc is an app's document, with some members more or other ones.
func doc(more string) string {
	base := fmt.Sprintf(`{"client_id":%q,"client_name":"App","redirect_uris":["https://app.example.com/cb"]`, at)
	if more != "" {
		base += "," + more
	}
	return base + "}"
}

func TestParseDocument(t *testing.T) {
	t.Parallel()
	ed, p256 := newKey(t), newP256(t)
	keys := fmt.Sprintf(`{"keys":[%s,%s]}`, ed.JWK(), p256.JWK())
	a, err := clients.ParseDocument(at, []byte(doc(`"logo_uri":"https://evil.example/x.png","unknown":{"a":[1]},"token_endpoint_auth_method":"none"`)))
	if err != nil || a.ID != at || a.Name != "App" || a.Host != "app.example.com" || a.Proves || a.Keys != nil || !slices.Equal(a.Grants, []string{clients.GrantCode}) || a.DynamicallyRegistered {
		t.Errorf("%+v, %v", a, err)
	}
	for more, want := range map[string]func(clients.App) bool{
		`"jwks":` + keys: func(a clients.App) bool {
			_, one := a.Key(ed.Thumbprint())
			_, two := a.Key(p256.Thumbprint())
			return a.Proves && len(a.Keys) == 2 && one && two
		},
		`"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/keys"`: func(a clients.App) bool {
			return a.Proves && a.KeysAt == "https://app.example.com/keys" && a.Keys == nil
		},
		`"token_endpoint_auth_method":"none","jwks":` + keys:                              func(a clients.App) bool { return !a.Proves && a.Keys == nil },
		`"token_endpoint_auth_method":"none","jwks_uri":"https://elsewhere.example/keys"`: func(a clients.App) bool { return !a.Proves && a.KeysAt == "" },
		`"grant_types":["refresh_token","authorization_code","implicit","password"],"response_types":["code","token"]`: func(a clients.App) bool {
			return slices.Equal(a.Grants, []string{clients.GrantCode, clients.GrantRefresh})
		},
		`"dpop_bound_access_tokens":true,"require_pushed_authorization_requests":true`:   func(a clients.App) bool { return a.BoundTokens && a.PushedOnly },
		`"jwks":{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},` + string(ed.JWK()) + `]}`: func(a clients.App) bool { return len(a.Keys) == 1 },
		`"jwks":{"keys":[` + strings.Replace(string(p256.JWK()), "{", `{"use":"enc",`, 1) + `,` + string(ed.JWK()) + `]}`: func(a clients.App) bool {
			_, ok := a.Key(ed.Thumbprint())
			return ok && len(a.Keys) == 1
		},
	} {
		if a, err := clients.ParseDocument(at, []byte(doc(more))); err != nil || !want(a) {
			t.Errorf("%s: %+v, %v", more, a, err)
		}
	}
}

func TestParseDocumentRefuses(t *testing.T) {
	t.Parallel()
	ed := string(newKey(t).JWK())
	for _, raw := range []string{
		"", "null", "[]", `"x"`, "{", doc("") + "x", doc(`"client_name":"twice"`), strings.Replace(doc(""), at, at+"/", 1), strings.Replace(doc(""), at, "https://APP.example.com/client.json", 1),
		strings.Replace(doc(""), `"client_id"`, `"CLIENT_ID"`, 1), strings.Replace(doc(""), `"App"`, `""`, 1), strings.Replace(doc(""), `"App"`, `null`, 1), strings.Replace(doc(""), `"App"`, `7`, 1),
		strings.Replace(doc(""), `"client_name":"App",`, "", 1), strings.Replace(doc(""), `["https://app.example.com/cb"]`, `[]`, 1), strings.Replace(doc(""), `["https://app.example.com/cb"]`, `null`, 1),
		strings.Replace(doc(""), `["https://app.example.com/cb"]`, `"https://app.example.com/cb"`, 1), strings.Replace(doc(""), `https://app.example.com/cb`, `javascript:alert(1)`, 1),
		strings.Replace(doc(""), `"https://app.example.com/cb"`, `"https://app.example.com/cb","data:x"`, 1), strings.Replace(doc(""), `https://app.example.com/cb`, `http://app.example.com/cb`, 1),
		strings.Replace(doc(""), `"https://app.example.com/cb"`, `"https://app.example.com/cb"`+strings.Repeat(`,"https://a.example/"`, 20), 1),
		strings.Replace(doc(""), `"App"`, `"a\u202eb"`, 1), strings.Replace(doc(""), `"App"`, `"a\u200bb"`, 1), strings.Replace(doc(""), `"App"`, `"a\nb"`, 1), strings.Replace(doc(""), `"App"`, `" App"`, 1),
		strings.Replace(doc(""), `"App"`, `"a\u00a0b"`, 1), strings.Replace(doc(""), `"App"`, `"`+strings.Repeat("é", 101)+`"`, 1), strings.Replace(doc(""), `"App"`, "\"a\xffb\"", 1),
		doc(`"client_secret":"x"`), doc(`"client_secret":null`), doc(`"client_secret_expires_at":0`), doc(`"token_endpoint_auth_method":"client_secret_basic"`),
		doc(`"token_endpoint_auth_method":"client_secret_post"`), doc(`"token_endpoint_auth_method":"client_secret_jwt"`), doc(`"token_endpoint_auth_method":"tls_client_auth"`),
		doc(`"token_endpoint_auth_method":"private_key_jwt"`), doc(`"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}`), doc(`"jwks":{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`),
		doc(`"jwks":` + ed), doc(`"jwks":{"keys":[` + ed + `]},"jwks_uri":"https://app.example.com/keys"`), doc(`"jwks":{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`),
		doc(`"jwks":{"keys":[` + strings.Replace(ed, "{", `{"d":"AAAA",`, 1) + `]}`), doc(`"token_endpoint_auth_method":"none","jwks":{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`),
		doc(`"jwks":{"keys":[` + strings.TrimSuffix(strings.Repeat(ed+",", 11), ",") + `]}`),
		doc(`"jwks_uri":"https://elsewhere.example/keys"`), doc(`"jwks_uri":"http://app.example.com/keys"`), doc(`"jwks_uri":"https://app.example.com:8443/keys"`), doc(`"jwks_uri":"/keys"`),
		doc(`"jwks_uri":"https://u@app.example.com/keys"`), doc(`"jwks_uri":"https://app.example.com@evil.example/keys"`), doc(`"jwks_uri":"https://app.example.com/keys#x"`),
		doc(`"token_endpoint_auth_signing_alg":"RS256"`), doc(`"token_endpoint_auth_signing_alg":"none"`), doc(`"response_types":["token"]`), doc(`"grant_types":["implicit"]`), doc(`"grant_types":["refresh_token"]`),
		doc(`"x":"` + strings.Repeat("x", clients.MaxMetadata) + `"`),
	} {
		if a, err := clients.ParseDocument(at, []byte(raw)); fault.Code(err) != "client_invalid" {
			t.Errorf("%.200s: %+v, %v", raw, a, err)
		}
	}
}

// Whatever is read holds all that the rest of the server takes for granted.
func FuzzParseDocument(f *testing.F) {
	f.Add([]byte(doc("")))
	f.Add([]byte(doc(`"jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)))
	f.Add([]byte(doc(`"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/k"`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := clients.ParseDocument(at, raw)
		if err != nil {
			if fault.Code(err) != "client_invalid" {
				t.Errorf("%v", err)
			}
			return
		}
		if a.ID != at || a.Host != "app.example.com" || a.Name == "" || len(a.Redirects) == 0 || !a.Uses(clients.GrantCode) || a.Proves != (len(a.Keys) > 0 || a.KeysAt != "") || len(raw) > clients.MaxMetadata {
			t.Errorf("%+v", a)
		}
		for _, r := range a.Redirects {
			if clients.CheckRedirect(r) != nil || a.Redirect(r) != nil {
				t.Errorf("%q passed", r)
			}
		}
		if a.KeysAt != "" && !strings.HasPrefix(a.KeysAt, "https://app.example.com/") && !strings.HasPrefix(a.KeysAt, "https://app.example.com?") && a.KeysAt != "https://app.example.com" {
			t.Errorf("keys at %q", a.KeysAt)
		}
	})
}

func TestParseRegistration(t *testing.T) {
	t.Parallel()
	ed := string(newKey(t).JWK())
	for raw, want := range map[string]string{
		`{"redirect_uris":["http://127.0.0.1/cb"]}`: "",
		`{"redirect_uris":["http://127.0.0.1/cb"],"client_name":"App","software_statement":"x","contacts":["a"],"client_id":"x"}`:   "",
		`{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[` + ed + `]}}`:     "",
		`{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"private_key_jwt"}`:                                  "client_invalid",
		`{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/k"}`: "client_invalid",
		`{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"client_secret_basic"}`:                              "client_invalid",
		`{"redirect_uris":["http://127.0.0.1/cb"],"client_secret":"x"}`:                                                             "client_invalid",
		`{"redirect_uris":["http://127.0.0.1/cb"],"grant_types":["client_credentials"]}`:                                            "client_invalid",
		`{"redirect_uris":["http://127.0.0.1/cb"],"client_name":"a\u202eb"}`:                                                        "client_invalid",
		`{"redirect_uris":["javascript:x"]}`: "redirect_invalid",
		`{"redirect_uris":[]}`:               "redirect_invalid",
		`{}`:                                 "redirect_invalid",
		`[]`:                                 "client_invalid",
		``:                                   "client_invalid",
	} {
		m, err := clients.ParseRegistration([]byte(raw))
		if fault.Code(err) != want {
			t.Errorf("%s: %v", raw, err)
		}
		if err == nil && (m.ClientID != "" || m.Auth == "" || !slices.Equal(m.Responses, []string{"code"}) || len(m.Grants) == 0) {
			t.Errorf("%s: %+v", raw, m)
		}
	}
}
