package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/console"
)

// issuer is an OpenID provider of the test's own, which says whatever it is told to, and so can misbehave in every way.
type issuer struct {
	t      testing.TB
	url    string
	key    *ecdsa.PrivateKey
	mu     sync.Mutex
	codes  map[string]answering // by code, each good once
	tokens int                  // requests at the token endpoint

	change  func(m map[string]any)                 // of the metadata
	serve   map[string]http.HandlerFunc            // instead of its own endpoints, by path
	userOf  map[string]any                         // what UserInfo says
	lastReq map[string]url.Values                  // the last form, by path
	header  map[string]http.Header                 // and header
	sign    func(claims map[string]any) string     // of ID tokens
	reply   func(token string, out map[string]any) // changes the token endpoint's answer
}

type answering struct {
	claims    map[string]any
	challenge string
}

const accessToken = "the-access-token"

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, codes: map[string]answering{}, serve: map[string]http.HandlerFunc{}, lastReq: map[string]url.Values{}, header: map[string]http.Header{}}
	i.sign = i.es256
	server := httptest.NewServer(http.HandlerFunc(i.answer))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *issuer) answer(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	i.lastReq[r.URL.Path], _ = url.ParseQuery(string(body))
	i.header[r.URL.Path] = r.Header
	if h := i.serve[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	out := map[string]any{}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		out = map[string]any{
			"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/jwks",
			"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}, "authorization_response_iss_parameter_supported": true,
		}
		if i.userOf != nil {
			out["userinfo_endpoint"] = i.url + "/userinfo"
		}
		if i.change != nil {
			i.change(out)
		}
	case "/jwks":
		out["keys"] = []any{i.jwk(i.key)}
	case "/token":
		i.tokens++
		form := i.lastReq[r.URL.Path]
		a, ok := i.codes[form.Get("code")]
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if !ok || base64(sum[:]) != a.challenge {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"<b>no</b>"}`)
			return
		}
		delete(i.codes, form.Get("code"))
		token := i.sign(a.claims)
		out = map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 60, "id_token": token}
		if i.reply != nil {
			i.reply(token, out)
		}
	case "/userinfo":
		out = i.userOf
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	raw, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	w.Write(raw)
}

func (i *issuer) jwk(key *ecdsa.PrivateKey) map[string]any {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		i.t.Fatal(err)
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "x": base64(point[1:33]), "y": base64(point[33:]), "kid": "k1", "alg": "ES256", "use": "sig"}
}

func jws(header string, claims map[string]any, sign func(input []byte) []byte) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	input := base64([]byte(header)) + "." + base64(body)
	return input + "." + base64(sign([]byte(input)))
}

func (i *issuer) es256(claims map[string]any) string { return i.signedBy(i.key, claims) }

func (i *issuer) signedBy(key *ecdsa.PrivateKey, claims map[string]any) string {
	return jws(`{"alg":"ES256","kid":"k1"}`, claims, func(input []byte) []byte {
		sum := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	})
}

func hs256(secret string) func(map[string]any) string {
	return func(claims map[string]any) string {
		return jws(`{"alg":"HS256","kid":"k1"}`, claims, func(input []byte) []byte {
			h := hmac.New(sha256.New, []byte(secret))
			h.Write(input)
			return h.Sum(nil)
		})
	}
}

func none(claims map[string]any) string {
	return jws(`{"alg":"none"}`, claims, func([]byte) []byte { return nil })
}

// upstream is the issuer as the configuration has it.
func (i *issuer) upstream(name string) console.Upstream {
	return console.Upstream{
		Name: name, Issuer: i.url, ClientID: "attorn", Secret: "a-shared-secret", Scopes: []string{"openid", "profile"}, Create: true, Workspace: id.Default,
		GroupsClaim: "groups", Groups: map[string]string{"Platform Team": "platform", "42": "answers"}, ACR: map[string]int{"urn:acme:mfa": 2, "urn:acme:low": 1},
		MFA: []string{"mfa", "hwk"},
	}
}

// trip is a browser at the provider: what it was sent there with.
type trip struct {
	browser *browser
	issuer  *issuer
	name    string
	asked   url.Values
	now     int64
}

var refresh = regexp.MustCompile(`^0; url=(.*)$`)

// depart lets the browser begin; fields are those of the form.
func (r *rig) depart(b *browser, i *issuer, name string, fields ...string) *trip {
	r.t.Helper()
	got := b.form("/signin/oidc/"+name, fields...)
	to := refresh.FindStringSubmatch(got.header.Get("Refresh"))
	if got.status != http.StatusOK || to == nil {
		r.t.Fatalf("departing: %d %s", got.status, got.body)
	}
	u, err := url.Parse(to[1])
	r.ok(err)
	contains(r.t, html.UnescapeString(got.body), `href="`+to[1]+`"`)
	return &trip{b, i, name, u.Query(), r.now().Unix()}
}

// claims are those of somebody who signs in as it should be.
func (t *trip) claims(subject string) map[string]any {
	return map[string]any{
		"iss": t.issuer.url, "aud": "attorn", "sub": subject, "nonce": t.asked.Get("nonce"), "iat": t.now, "exp": t.now + 300, "auth_time": t.now - 5,
		"name": "Noor Haddad",
	}
}

// code makes a code for these claims.
func (t *trip) code(claims map[string]any) string {
	t.issuer.mu.Lock()
	defer t.issuer.mu.Unlock()
	code := rand.Text()
	t.issuer.codes[code] = answering{claims, t.asked.Get("code_challenge")}
	return code
}

// back sends the browser to the callback, from the provider's site.
func (t *trip) back(fields ...string) answer { return t.backAt(t.browser, fields...) }

func (t *trip) backAt(b *browser, fields ...string) answer {
	v := url.Values{}
	for n := 0; n < len(fields); n += 2 {
		v.Add(fields[n], fields[n+1])
	}
	return b.get("/signin/oidc/"+t.name+"/callback?"+v.Encode(), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
}

// whole goes all the way as it should be.
func (t *trip) whole(claims map[string]any) answer {
	return t.back("state", t.asked.Get("state"), "code", t.code(claims), "iss", t.issuer.url)
}

// signInAt is a browser that signs in at the provider.
func (r *rig) signInAt(i *issuer, name, subject string, change func(claims map[string]any)) (*browser, answer) {
	r.t.Helper()
	b := newBrowser(r.t, r.url)
	t := r.depart(b, i, name)
	c := t.claims(subject)
	if change != nil {
		change(c)
	}
	return b, t.whole(c)
}
