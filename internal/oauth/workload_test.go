package oauth_test

import (
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// cluster is a platform that is trusted for one agent.
type cluster struct {
	*world
	*attorntest.Platform
	agent id.Agent
	rule  api.TrustRule
}

// cluster makes an agent, a platform and the rule between them; change may be nil.
func (w *world) cluster(change func(*api.NewTrustRule)) *cluster {
	w.t.Helper()
	var a api.Agent
	w.priya.api("POST", "/v1/agents", api.NewAgent{Name: "deployer"}, &a)
	c := &cluster{world: w, Platform: attorntest.NewPlatform(w.t), agent: a.ID}
	n := api.KubernetesTrust(a.ID, c.Issuer, "prod", "deployer")
	if change != nil {
		change(&n)
	}
	w.priya.api("POST", "/v1/trust-rules", n, &c.rule)
	return c
}

// pod is what Kubernetes says of a pod, with changes; a nil value takes a claim away.
func (c *cluster) pod(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": c.Issuer, "sub": "system:serviceaccount:prod:deployer", "aud": []string{c.world.URL},
		"iat": c.now().Unix(), "nbf": c.now().Unix(), "exp": c.now().Add(time.Hour).Unix(), "jti": fmt.Sprint(time.Now().UnixNano()),
		"kubernetes.io": map[string]any{"namespace": "prod", "pod": map[string]any{"name": "deployer-0"}, "serviceaccount": map[string]any{"name": "deployer", "uid": "u"}},
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// shows asks for a token with an assertion and a key.
func (p *party) shows(assertion string, fields ...string) answer {
	p.t.Helper()
	return p.post(tokenPath, fieldsOf(append([]string{"grant_type", grantJWTBearer, "assertion", assertion}, fields...)), p.proof(tokenPath, p.nonce()))
}

func (w *world) key() *party { return &party{world: w, signer: newSigner(w.t)} }

func TestWorkload(t *testing.T) {
	w := start(t, "")
	c := w.cluster(nil)
	pod := w.key()
	token := c.Token(c.pod(nil))
	got := pod.shows(token)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	key := pod.signer.Public().Thumbprint()
	claims := w.claims(got)
	if claims.Subject != c.agent.String() || claims.JKT != key || claims.Act != nil || claims.Audience != w.URL+"/api" || got.text("token_type") != "DPoP" ||
		got.text("agent") != c.agent.String() || got.text("name") != "deployer" || got.text("workspace") != "default" || got.text("instance") != key.String() ||
		got.body["instance_expires_in"] != 3600.0 {
		t.Errorf("%s", got.raw)
	}

	// It is an instance, which says how it came to be trusted and by which rule, and acts as any other.
	pod.sub, pod.agent = c.agent.String(), c.agent
	pod.issued("grant_type", "client_credentials")
	var found api.List[api.Event]
	w.priya.api("GET", "/v1/events?kind=instance.enrolled&agent="+pod.sub, nil, &found)
	e, err := evidence.ParseEvent(found.Items[0].Body)
	w.ok(err)
	if e.What.Status != "workload" || e.What.Rule != c.rule.Digest || e.What.Instance != key || e.What.Until != w.now().Add(time.Hour).UnixMicro() || e.Who.Sub != pod.sub || e.Where.IP == nil || e.What.Text == nil {
		t.Errorf("%s", found.Items[0].Body)
	}

	// The same assertion with the same key is good again, and renews nothing.
	w.pass(30 * time.Minute)
	if got := pod.shows(token); got.status != 200 || got.body["instance_expires_in"] != 1800.0 {
		t.Errorf("again: %d %s", got.status, got.raw)
	}
	// A fresh one renews the instance, and after its end too.
	if got := pod.shows(c.Token(c.pod(nil))); got.status != 200 || got.body["instance_expires_in"] != 3600.0 {
		t.Errorf("renewed: %d %s", got.status, got.raw)
	}
	w.pass(time.Hour)
	if got := pod.ask("grant_type", "client_credentials"); got.status != 401 || got.text("error") != "invalid_client" {
		t.Errorf("an expired instance: %d %s", got.status, got.raw)
	}
	if got := pod.shows(c.Token(c.pod(nil))); got.status != 200 {
		t.Errorf("renewed after its end: %d %s", got.status, got.raw)
	}
	pod.issued("grant_type", "client_credentials")
	var is api.List[api.Instance]
	w.priya.api("GET", "/v1/agents/"+pod.sub+"/instances", nil, &is)
	if len(is.Items) != 1 || is.Items[0].Trust != "workload" {
		t.Errorf("%+v", is)
	}

	// Another key has no use for an assertion that was shown.
	used := c.Token(c.pod(nil))
	if got := pod.shows(used); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	w.refusedAs("another key", w.key().shows(used), 400, "invalid_grant", "binding")

	// Nor has one that is written in another way: of an ECDSA signature (r, s) there is also (r, n−s).
	c.AddKey("ES256")
	w.pass(time.Minute)
	used = c.Token(c.pod(nil))
	if got := pod.shows(used); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	dot := strings.LastIndexByte(used, '.')
	sig, err := base64.RawURLEncoding.DecodeString(used[dot+1:])
	w.ok(err)
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	w.refusedAs("another key, another signature", w.key().shows(used[:dot+1]+b64(sig)), 400, "invalid_grant", "binding")

	// What was suspended or revoked is not renewed; and without its rule nothing is.
	w.priya.api("POST", "/v1/instances/"+key.String()+"/suspend", api.Reason{}, nil)
	w.refusedAs("suspended", pod.shows(c.Token(c.pod(nil))), 400, "invalid_grant", "principal_inactive")
	w.priya.api("POST", "/v1/instances/"+key.String()+"/revoke", api.Reason{}, nil)
	w.refusedAs("revoked", pod.shows(c.Token(c.pod(nil))), 400, "invalid_grant", "principal_inactive")
	w.priya.api("DELETE", "/v1/trust-rules/"+c.rule.ID.String(), nil, nil)
	w.refusedAs("without its rule", w.key().shows(c.Token(c.pod(nil))), 400, "invalid_grant", "untrusted_issuer")
}

// Whatever is wrong with an assertion, the answer is one and the same; the nonce comes first.
func TestWorkloadIsRefused(t *testing.T) {
	w := start(t, "")
	c := w.cluster(nil)
	rs := "RS256-2"
	header := func(change map[string]any) map[string]any {
		h := map[string]any{"alg": "RS256", "kid": rs, "typ": "JWT"}
		maps.Copy(h, change)
		maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
		return h
	}
	raw := func(claims map[string]any) []byte {
		b, err := json.Marshal(claims, json.Deterministic(true))
		w.ok(err)
		return b
	}
	good := raw(c.pod(nil))
	is := func(s string) func() string { return func() string { return s } }
	changed := func(change map[string]any) func() string {
		return func() string {
			for claim, v := range change {
				if d, ok := v.(time.Duration); ok {
					change[claim] = w.now().Add(d).Unix()
				}
			}
			return c.Token(c.pod(change))
		}
	}
	headed := func(change map[string]any) func() string { return is(c.Sign(rs, header(change), good)) }
	stranger := attorntest.NewPlatform(t)
	hmacKey := func() []byte {
		der, err := x509.MarshalPKIXPublicKey(c.PublicKey(rs).(*rsa.PublicKey))
		w.ok(err)
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}()
	hs := func() string {
		signed := b64([]byte(`{"alg":"HS256","kid":"`+rs+`"}`)) + "." + b64(good)
		m := hmac.New(sha256.New, hmacKey)
		m.Write([]byte(signed))
		return signed + "." + b64(m.Sum(nil))
	}()
	whole := c.Sign(rs, header(nil), good)
	parts := strings.Split(whole, ".")
	k8s := map[string]any{"namespace": "prod", "serviceaccount": map[string]any{"name": "deployer"}}

	for name, assertion := range map[string]func() string{
		"another issuer's key":         is(stranger.Sign(rs, header(nil), good)),
		"another issuer":               changed(map[string]any{"iss": stranger.Issuer}),
		"no issuer":                    changed(map[string]any{"iss": nil}),
		"an issuer with a slash":       changed(map[string]any{"iss": c.Issuer + "/"}),
		"an issuer that is no text":    changed(map[string]any{"iss": []string{c.Issuer}}),
		"another sub":                  changed(map[string]any{"sub": "system:serviceaccount:prod:deployer2"}),
		"a sub that begins with it":    changed(map[string]any{"sub": "system:serviceaccount:prod:deploye"}),
		"a sub in capitals":            changed(map[string]any{"sub": "system:serviceaccount:prod:Deployer"}),
		"no sub":                       changed(map[string]any{"sub": nil}),
		"a sub that is a list":         changed(map[string]any{"sub": []string{"system:serviceaccount:prod:deployer"}}),
		"another namespace":            changed(map[string]any{"kubernetes.io": map[string]any{"namespace": "dev", "serviceaccount": k8s["serviceaccount"]}}),
		"no namespace":                 changed(map[string]any{"kubernetes.io": map[string]any{"serviceaccount": k8s["serviceaccount"]}}),
		"a namespace that is a list":   changed(map[string]any{"kubernetes.io": map[string]any{"namespace": []string{"prod"}, "serviceaccount": k8s["serviceaccount"]}}),
		"a flat claim with a slash":    changed(map[string]any{"kubernetes.io": nil, "kubernetes.io/namespace": "prod", "/kubernetes.io/namespace": "prod"}),
		"another audience":             changed(map[string]any{"aud": "https://other.example"}),
		"an audience more":             changed(map[string]any{"aud": []string{w.URL, "https://other.example"}}),
		"the audience twice":           changed(map[string]any{"aud": []string{w.URL, w.URL}}),
		"no audience":                  changed(map[string]any{"aud": nil}),
		"an empty audience":            changed(map[string]any{"aud": []string{}}),
		"the API as audience":          changed(map[string]any{"aud": w.URL + "/api"}),
		"an audience that begins so":   changed(map[string]any{"aud": w.URL + ".evil.example"}),
		"an audience that is a number": changed(map[string]any{"aud": 1}),
		"expired":                      changed(map[string]any{"exp": -31 * time.Second}),
		"no exp":                       changed(map[string]any{"exp": nil}),
		"an exp that is a text":        changed(map[string]any{"exp": "1800000000"}),
		"an exp below zero":            changed(map[string]any{"exp": -1}),
		"an exp beyond all time":       changed(map[string]any{"exp": 1e300}),
		"good for more than a day":     changed(map[string]any{"exp": 24*time.Hour + time.Minute}),
		"made for more than a day":     changed(map[string]any{"iat": -24 * time.Hour, "exp": time.Minute}),
		"not yet":                      changed(map[string]any{"nbf": 31 * time.Second}),
		"made in the future":           changed(map[string]any{"iat": 31 * time.Second}),
		"no alg":                       headed(map[string]any{"alg": nil}),
		"alg none":                     is(b64([]byte(`{"alg":"none"}`)) + "." + b64(good) + "." + b64([]byte("x"))),
		"alg none, unsigned":           is(b64([]byte(`{"alg":"none"}`)) + "." + b64(good) + "."),
		"alg of another key type":      headed(map[string]any{"alg": "ES256"}),
		"alg of another padding":       headed(map[string]any{"alg": "PS256"}),
		"alg of another hash":          headed(map[string]any{"alg": "RS512"}),
		"alg in small letters":         headed(map[string]any{"alg": "rs256"}),
		"an HMAC with the public key":  is(hs),
		"an unknown kid":               headed(map[string]any{"kid": "other"}),
		"no kid, of two keys":          headed(map[string]any{"kid": nil}),
		"another key's kid":            headed(map[string]any{"kid": "ES256-1"}),
		"a kid that is a path":         headed(map[string]any{"kid": "../keys"}),
		"its own key":                  headed(map[string]any{"kid": nil, "jwk": jsontext.Value(`{"kty":"RSA"}`), "jku": stranger.Issuer + "/keys"}),
		"crit":                         headed(map[string]any{"crit": []string{"exp"}}),
		"b64":                          headed(map[string]any{"b64": false}),
		"zip":                          headed(map[string]any{"zip": "DEF"}),
		"an access token":              headed(map[string]any{"typ": "at+jwt"}),
		"a DPoP proof":                 headed(map[string]any{"typ": "dpop+jwt"}),
		"alg twice":                    is(c.SignRaw(rs, []byte(`{"alg":"RS256","alg":"RS256","kid":"`+rs+`"}`), good)),
		"sub twice":                    is(c.Sign(rs, header(nil), []byte(`{"sub":"x",`+string(good[1:])))),
		"a name twice inside":          is(c.Sign(rs, header(nil), []byte(strings.Replace(string(good), `"namespace":"prod"`, `"namespace":"dev","namespace":"prod"`, 1)))),
		"SUB":                          is(c.Sign(rs, header(nil), []byte(strings.Replace(string(good), `"sub"`, `"SUB"`, 1)))),
		"something after it":           is(c.Sign(rs, header(nil), append(good[:len(good):len(good)], "{}"...))),
		"no object":                    is(c.Sign(rs, header(nil), []byte(`["sub"]`))),
		"not JSON":                     is(c.Sign(rs, header(nil), []byte(`sub`))),
		"a changed payload":            is(parts[0] + "." + b64([]byte(strings.Replace(string(good), "deployer-0", "deployer-1", 1))) + "." + parts[2]),
		"a changed signature":          is(parts[0] + "." + parts[1] + "." + b64([]byte("x"))),
		"no signature":                 is(parts[0] + "." + parts[1] + "."),
		"padding":                      is(whole + "="),
		"a newline":                    is(parts[0] + "\n." + parts[1] + "." + parts[2]),
		"too long":                     func() string { return c.Token(c.pod(map[string]any{"x": strings.Repeat("a", 16<<10)})) },
		"nested too deep":              is(c.Sign(rs, header(nil), []byte(`{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,`+string(good[1:])))),
	} {
		w.pass(7 * time.Second) // or there were too many
		got := w.key().shows(assertion())
		if got.status != 400 || got.text("error") != "invalid_grant" || got.text("reason") != "untrusted_issuer" || got.text("error_description") != "the assertion is not trusted here" {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	w.pass(2 * time.Minute)
	pod := w.key()
	fresh := c.Token(c.pod(nil))
	form := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", fresh})
	w.refusedAs("no nonce", w.post(tokenPath, form, pod.proof(tokenPath, "")), 400, "use_dpop_nonce", "")
	w.refusedAs("no proof", w.post(tokenPath, form), 400, "invalid_dpop_proof", "malformed")
	w.refusedAs("a client assertion beside it", w.post(tokenPath, fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", fresh, "client_assertion", fresh}), pod.proof(tokenPath, w.nonce())), 400, "invalid_request", "malformed")
	w.refusedAs("a client that is none", pod.shows(fresh, "client_id", "attorn-cli"), 400, "invalid_request", "malformed")
	w.refusedAs("another workspace", pod.shows(fresh, "workspace", "other"), 400, "invalid_grant", "untrusted_issuer")
	w.refusedAs("an agent that no rule is for", pod.shows(fresh, "client_id", id.New[id.Agent](w.now()).String()), 400, "invalid_grant", "untrusted_issuer")
	w.refusedAs("a key that is a person's", w.priya.shows(fresh), 400, "invalid_dpop_proof", "binding")
	es := &party{world: w, signer: newES256(t)}
	w.refusedAs("a key of another type", es.shows(c.Token(c.pod(nil))), 400, "invalid_request", "malformed")
	if got := pod.shows(c.Token(c.pod(map[string]any{"aud": w.URL})), "client_id", c.agent.String()); got.status != 200 {
		t.Errorf("what is good: %d %s", got.status, got.raw)
	}
	if got := w.key().shows(whole); got.status != 200 {
		t.Errorf("what the others were made of: %d %s", got.status, got.raw)
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// An authentic assertion that no rule matches leaves an event, for administrators, with the claim; a forged one leaves none, for anybody can send those.
func TestWorkloadRefusalsInTheLog(t *testing.T) {
	w := start(t, "")
	c := w.cluster(nil)
	refusals := func() []evidence.Event {
		var found api.List[api.Event]
		w.priya.api("GET", "/v1/events?kind=token.refused", nil, &found)
		all := make([]evidence.Event, len(found.Items))
		for i := range all {
			var err error
			all[i], err = evidence.ParseEvent(found.Items[i].Body)
			w.ok(err)
		}
		return all
	}
	forged := c.Token(c.pod(nil))
	w.key().shows(forged[:len(forged)-8] + "AAAAAAAA")
	if got := refusals(); len(got) != 0 {
		t.Errorf("a forged one: %v", got)
	}
	w.key().shows(c.Token(c.pod(map[string]any{"kubernetes.io": map[string]any{"namespace": "secret-name"}})))
	got := refusals()
	if len(got) != 1 || got[0].Why.Code != "untrusted_issuer" || !strings.Contains(got[0].Why.Reason, c.rule.ID.String()+": /kubernetes.io/namespace") || strings.Contains(got[0].Why.Reason, "secret-name") || got[0].Who.Sub != "server" {
		t.Errorf("%+v", got)
	}
	// The same from the door that administrators ask.
	var tested api.TrustTested
	w.priya.api("POST", "/v1/trust-rules/test", api.TestTrust{Assertion: c.Token(c.pod(map[string]any{"kubernetes.io": nil}))}, &tested)
	if len(tested.Rules) != 1 || tested.Rules[0].Trusted || tested.Rules[0].Claim != "/kubernetes.io/namespace" || tested.Rules[0].Pattern != "prod" || tested.Problem != "" {
		t.Errorf("%+v", tested)
	}
	w.priya.api("POST", "/v1/trust-rules/test", api.TestTrust{Assertion: c.Token(c.pod(map[string]any{"aud": "x"}))}, &tested)
	if len(tested.Rules) != 0 || !strings.Contains(tested.Problem, "its aud is not this server's URL alone") {
		t.Errorf("%+v", tested)
	}
	tested = api.TrustTested{}
	good := c.Token(c.pod(nil))
	w.priya.api("POST", "/v1/trust-rules/test", api.TestTrust{Assertion: good}, &tested)
	if len(tested.Rules) != 1 || !tested.Rules[0].Trusted || tested.Rules[0].Agent != c.agent {
		t.Errorf("%+v", tested)
	}
	if got := w.key().shows(good); got.status != 200 { // the test spent nothing
		t.Errorf("%d %s", got.status, got.raw)
	}
}

// Of 64 keys with one assertion exactly as many become instances as the rule says, over both engines; of 64 requests by one key all may be told, and one
// instance is made.
func TestWorkloadOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		w := start(t, dsn)
		c := w.cluster(func(n *api.NewTrustRule) { n.KeysPerAssertion = 3; n.MaxInstances = 20 })
		assertion := c.Token(c.pod(nil))
		count := w.together(64, func(int) *party { return w.key() }, assertion)
		if count["200 "] != 3 || count["400 binding"] != 61 {
			t.Errorf("64 keys: %v", count)
		}
		one := w.key()
		w.pass(time.Minute)
		assertion = c.Token(c.pod(nil))
		count = w.together(32, func(int) *party { return one }, assertion)
		if count["200 "]+count["503 unsettled"] != 32 || count["200 "] == 0 {
			t.Errorf("one key: %v", count)
		}
		var is api.List[api.Instance]
		w.priya.api("GET", "/v1/agents/"+c.agent.String()+"/instances", nil, &is)
		if len(is.Items) != 4 {
			t.Errorf("%d instances", len(is.Items))
		}
		// The rule's limit: 20 live ones, then no more until one has expired.
		for i := range 17 {
			got := w.key().shows(c.Token(c.pod(nil)))
			if want := map[bool]int{true: 200, false: 400}[i < 16]; got.status != want {
				t.Fatalf("instance %d: %d %s", 5+i, got.status, got.raw)
			}
		}
		w.pass(time.Hour)
		if got := w.key().shows(c.Token(c.pod(nil))); got.status != 200 {
			t.Errorf("after the others have expired: %d %s", got.status, got.raw)
		}
	})
}

// together sends n requests at once and counts the answers.
func (w *world) together(n int, who func(int) *party, assertion string) map[string]int {
	w.t.Helper()
	nonce := w.nonce()
	got := make([]answer, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range got {
		p := who(i)
		form, proof := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", assertion}), p.proof(tokenPath, nonce)
		done.Go(func() {
			ready.Done()
			ready.Wait()
			got[i] = w.post(tokenPath, form, proof)
		})
	}
	done.Wait()
	count := map[string]int{}
	for _, a := range got {
		count[fmt.Sprint(a.status, " ", a.text("reason"))]++
	}
	return count
}

// Keys are asked for once, again for a kid that is not known but once a minute at most, and again when their time is over. What fails is not kept.
func TestWorkloadKeys(t *testing.T) {
	w := start(t, "")
	c := w.cluster(nil)
	show := func(want int) {
		t.Helper()
		if got := w.key().shows(c.Token(c.pod(nil))); got.status != want {
			t.Errorf("%d %s", got.status, got.raw)
		}
	}
	asked := func(want int) {
		t.Helper()
		if got := c.Asked("/keys"); got != want || c.Asked("/.well-known/openid-configuration") < want {
			t.Errorf("asked for keys %d times, want %d", got, want)
		}
	}
	show(200)
	show(200)
	asked(1)
	c.AddKey("EdDSA")
	show(400) // within the minute an unknown kid is no reason to ask
	asked(1)
	w.pass(time.Minute)
	show(200)
	asked(2)
	w.pass(4*time.Minute + 59*time.Second)
	show(200)
	asked(2)
	w.pass(time.Second) // the platform says nothing of how long: five minutes
	show(200)
	asked(3)

	w.pass(5 * time.Minute)
	c.Respond(func(rw http.ResponseWriter, r *http.Request) bool { rw.WriteHeader(500); return true })
	got := w.key().shows(c.Token(c.pod(nil)))
	if got.status != 503 || got.text("error") != "temporarily_unavailable" || got.header.Get("Retry-After") == "" {
		t.Errorf("no keys: %d %s", got.status, got.raw)
	}
	c.Respond(nil)
	show(200)

	for name, f := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"metadata of another issuer": func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/keys" {
				return false
			}
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(rw, `{"issuer":"https://other.example","jwks_uri":%q}`, c.Issuer+"/keys")
			return true
		},
		"keys at a file": func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":"file:///etc/passwd"}`, c.Issuer)
			return true
		},
		"a redirect": func(rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, c.Issuer+"/elsewhere", http.StatusFound)
			return true
		},
		"no keys": func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/keys" {
				return false
			}
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, `{"keys":[]}`)
			return true
		},
		"a page": func(rw http.ResponseWriter, r *http.Request) bool { fmt.Fprint(rw, "<html>"); return true },
		"too much": func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, `{"x":"`+strings.Repeat("a", 64<<10)+`"}`)
			return true
		},
	} {
		w.pass(6 * time.Minute)
		c.Respond(f)
		if got := w.key().shows(c.Token(c.pod(nil))); got.status != 503 || strings.Contains(string(got.raw), "other.example") {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
}

// GitHub, a SPIFFE trust domain, an issuer that cannot be reached, each by a rule of its kind.
func TestWorkloadPlatforms(t *testing.T) {
	w := start(t, "")
	p := attorntest.NewPlatform(t)
	var a api.Agent
	w.priya.api("POST", "/v1/agents", api.NewAgent{Name: "builder"}, &a)
	now := w.now()
	base := func(more map[string]any) map[string]any {
		claims := map[string]any{"aud": w.URL, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "jti": fmt.Sprint(time.Now().UnixNano())}
		maps.Copy(claims, more)
		return claims
	}
	p.AddKey("ES256")
	github := api.GitHubTrust(a.ID, "4711", "refs/heads/main", "")
	github.Keys, github.KeySet = "jwks", p.KeySet("sig")
	spiffe := api.SPIFFETrust(a.ID, "example.org", "spiffe://example.org/ns/prod/*", p.KeySet("jwt-svid"))
	generic := api.NewTrustRule{Agent: a.ID, Issuer: "https://gitlab.example", Keys: "jwks", KeySet: p.KeySet("sig"), Match: map[string]string{"sub": "project_path:group/app:*", "project_id": "42", "ref_protected": "true"}}
	for _, n := range []api.NewTrustRule{github, spiffe, generic} {
		w.priya.api("POST", "/v1/trust-rules", n, nil)
	}
	job := func(change map[string]any) map[string]any {
		claims := base(map[string]any{
			"iss": api.GitHubIssuer, "sub": "repo:octo/app:ref:refs/heads/main", "repository": "octo/app", "repository_id": "4711", "repository_owner_id": "7",
			"ref": "refs/heads/main", "environment": "production", "run_attempt": "1",
		})
		maps.Copy(claims, change)
		return claims
	}
	svid := func(sub string) map[string]any { return base(map[string]any{"sub": sub}) }
	lab := func(change map[string]any) map[string]any {
		claims := base(map[string]any{"iss": "https://gitlab.example", "sub": "project_path:group/app:ref_type:branch:ref:main", "project_id": 42, "ref_protected": true})
		maps.Copy(claims, change)
		return claims
	}
	for name, c := range map[string]struct {
		claims map[string]any
		ok     bool
	}{
		"GitHub":                               {job(nil), true},
		"GitHub, sub with numbers":             {job(map[string]any{"sub": "repo:octo@7/app@4711:ref:refs/heads/main"}), true},
		"GitHub, renamed":                      {job(map[string]any{"repository": "octo/app2"}), true},
		"GitHub, the name registered again":    {job(map[string]any{"repository_id": "4712"}), false},
		"GitHub, a number that begins so":      {job(map[string]any{"repository_id": "47111"}), false},
		"GitHub, another branch":               {job(map[string]any{"ref": "refs/heads/main2"}), false},
		"GitHub, a pull request":               {job(map[string]any{"ref": "refs/pull/1/merge", "sub": "repo:octo/app:pull_request"}), false},
		"SPIFFE":                               {svid("spiffe://example.org/ns/prod/worker"), true},
		"SPIFFE, with an issuer":               {base(map[string]any{"sub": "spiffe://example.org/ns/prod/x", "iss": "https://spire.example.org"}), true},
		"SPIFFE, another path":                 {svid("spiffe://example.org/ns/dev/worker"), false},
		"SPIFFE, another domain":               {svid("spiffe://example.com/ns/prod/worker"), false},
		"SPIFFE, a domain that begins so":      {svid("spiffe://example.org.evil.example/ns/prod/worker"), false},
		"SPIFFE, no id":                        {svid("spiffe://example.org/ns/prod/../x"), false},
		"SPIFFE, a port":                       {svid("spiffe://example.org:1/ns/prod/x"), false},
		"another, numbers and truth":           {lab(nil), true},
		"another, a number that is a fraction": {lab(map[string]any{"project_id": 42.5}), false},
		"another, untrue":                      {lab(map[string]any{"ref_protected": false}), false},
		"another, null":                        {lab(map[string]any{"project_id": jsontext.Value("null")}), false},
	} {
		got := w.key().shows(p.Token(c.claims))
		if (got.status == 200) != c.ok {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
		if got.status == 200 {
			w.priya.api("POST", "/v1/instances/"+got.text("instance")+"/revoke", api.Reason{}, nil)
		}
		w.pass(7 * time.Second) // or there were too many
	}
	// SVIDs name their key, and are not signed with Ed25519.
	rs := "RS256-2"
	raw, err := json.Marshal(svid("spiffe://example.org/ns/prod/worker"))
	w.ok(err)
	w.pass(time.Minute)
	w.refusedAs("an SVID without kid", w.key().shows(p.Sign(rs, map[string]any{"alg": "RS256"}, raw)), 400, "invalid_grant", "untrusted_issuer")
	if got := w.key().shows(p.Sign(rs, map[string]any{"alg": "RS256", "kid": rs}, raw)); got.status != 200 {
		t.Errorf("an SVID with kid: %d %s", got.status, got.raw)
	}

	// Rules of two agents for one workload: it says which.
	var other api.Agent
	w.priya.api("POST", "/v1/agents", api.NewAgent{Name: "other"}, &other)
	generic.Agent = other.ID
	w.priya.api("POST", "/v1/trust-rules", generic, nil)
	w.refusedAs("two agents", w.key().shows(p.Token(lab(nil))), 400, "invalid_request", "ambiguous_rule")
	if got := w.key().shows(p.Token(lab(nil)), "client_id", other.ID.String()); got.status != 200 || got.text("agent") != other.ID.String() {
		t.Errorf("the one that is named: %d %s", got.status, got.raw)
	}
}
