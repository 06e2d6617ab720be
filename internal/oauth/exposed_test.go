package oauth_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/jose"
)

// exposedJWK is the JWK of a key with its private part, of a seed that nobody uses.
func exposedJWK() map[string]any {
	seed := []byte("thirty-two bytes that are no key")
	return map[string]any{
		"kty": "OKP", "crv": "Ed25519", "x": jose.EncodeBase64(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)), "d": jose.EncodeBase64(seed),
	}
}

func exposedPEM(t *testing.T) string {
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed([]byte("thirty-two bytes that are no key")))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// A private key is refused wherever in a request it lies, and whatever else is wrong with the request: the answer says that it was sent and has to be given up,
// repeats nothing of it, and the log has who it is about where anybody knows.
func TestPrivateKeyRefused(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	jwk, block := marshal(t, exposedJWK()), exposedPEM(t)
	secret := exposedJWK()["d"].(string)
	inner := func(m map[string]any) { m["jwk"] = exposedJWK() }
	proof := func(path string) string {
		return resigned(t, bot.signer, bot.proof(path, ""), func(h map[string]any) { h["jwk"].(map[string]any)["d"] = secret }, nil)
	}
	for _, path := range []string{tokenPath, "/oauth/device", "/oauth/introspect", "/oauth/revoke"} {
		form := func(name, value string) func() answer {
			return func() answer {
				f := bot.with("grant_type", "client_credentials")
				f.Set(name, value)
				return w.post(path, f, bot.proof(path, w.nonce()))
			}
		}
		header := func(name, value string) func() answer {
			return func() answer {
				return w.send("POST", path, bot.with("grant_type", "client_credentials").Encode(), http.Header{name: {value}})
			}
		}
		assertion := func(header, payload func(map[string]any)) string {
			return resigned(t, bot.signer, bot.assertion(), header, payload)
		}
		raw := func(kind, body string) func() answer {
			return func() answer { return w.send("POST", path, body, http.Header{"Content-Type": {kind}}) }
		}
		for _, c := range []struct {
			what  string
			do    func() answer
			error string
			says  string
			known bool // the log has it
		}{
			{"in the proof's jwk", header("Dpop", proof(path)), "invalid_dpop_proof", "the DPoP proof", true},
			{"in the proof's jwk, without anything else", func() answer { return w.send("POST", path, "", http.Header{"Dpop": {proof(path)}}) }, "invalid_dpop_proof", "the DPoP proof", true},
			{"in the second proof", func() answer { return w.post(path, url.Values{}, bot.proof(path, ""), proof(path)) }, "invalid_dpop_proof", "the DPoP proof", true},
			{"in the assertion's header", form("client_assertion", assertion(inner, nil)), "invalid_request", "the parameter client_assertion", true},
			{"in the assertion's claims", form("client_assertion", assertion(nil, inner)), "invalid_request", "the parameter client_assertion", true},
			{"in the assertion of the grant", func() answer { return w.post(path, url.Values{"assertion": {assertion(inner, nil)}}) }, "invalid_request", "the parameter assertion", true},
			{"in a parameter", form("jwk", jwk), "invalid_request", "the parameter jwk", true},
			{"in a parameter that nobody asked for", form("x", block), "invalid_request", "the parameter x", true},
			{"in a parameter's name", form(jwk, "x"), "invalid_request", "the body", true},
			{"as a PEM block in the details", form("authorization_details", marshal(t, []any{map[string]any{"type": block}})), "invalid_request", "the parameter authorization_details", true},
			{"of a client known by its id alone", func() answer { return w.post(path, url.Values{"client_id": {bot.sub}, "key": {jwk}}) }, "invalid_request", "the parameter key", true},
			{"in a form that is malformed", raw("application/x-www-form-urlencoded", "a=1&a=2&b=%zz&key="+url.QueryEscape(jwk)), "invalid_request", "the parameter key", false},
			{"as JSON", raw("application/json", `{"client":{"key":`+jwk+`}}`), "invalid_request", "the body", false},
			{"as a file", raw("multipart/form-data; boundary=x", "--x\r\n\r\n"+block+"--x--"), "invalid_request", "the body", false},
			{"in the URL", func() answer { return w.send("POST", path+"?key="+url.QueryEscape(jwk), "", nil) }, "invalid_request", "the parameter key", false},
			{"in Authorization", header("Authorization", "Bearer "+jose.EncodeBase64([]byte(jwk))), "invalid_request", "the header Authorization", true},
			{"in a header", header("X-Key", jwk), "invalid_request", "the header X-Key", true},
		} {
			w.pass(61 * time.Second) // the limits forget
			_, before := w.refused()
			got := c.do()
			refuses(t, got, 400, c.error, "private_key")
			if text := got.text("error_description") + " " + got.text("remedy"); !strings.HasPrefix(text, c.says+" ") || !strings.Contains(text, "make a new one") || !strings.Contains(text, "exposed") {
				t.Errorf("%s, %s: %s", path, c.what, text)
			}
			if strings.Contains(string(got.raw), secret) {
				t.Errorf("%s, %s: the answer repeats the key", path, c.what)
			}
			_, e := w.refused()
			switch noted := e.ID != before.ID; {
			case noted != c.known:
				t.Errorf("%s, %s: an event was written: %v", path, c.what, noted)
			case noted && (e.Why.Code != "private_key" || e.Who.Sub != "server" || strings.Contains(marshal(t, e), secret)):
				t.Errorf("%s, %s: %s", path, c.what, marshal(t, e))
			case noted && strings.Contains(c.what, "proof") && !strings.Contains(e.Why.Reason, bot.signer.Public().Thumbprint().String()):
				t.Errorf("%s, %s: the event does not say which key: %s", path, c.what, e.Why.Reason)
			}
		}
	}
	bot.issued("grant_type", "client_credentials") // nobody's key ended by a stranger's word
}

// Strangers do not fill the log: ten events a minute about one client, and ten from one network.
func TestPrivateKeyLimit(t *testing.T) {
	w := start(t, "")
	bot, other := w.agentNamed("release-bot"), w.agentNamed("deployer")
	jwk := marshal(t, exposedJWK())
	w.pass(time.Minute)
	first, _ := w.refused()
	for i := range 24 {
		client := bot.sub
		if i%2 == 1 {
			client = other.sub
		}
		refuses(t, w.post(tokenPath, url.Values{"client_id": {client}, "key": {jwk}}), 400, "invalid_request", "private_key")
	}
	if n, _ := w.refused(); n-first != 10 {
		t.Errorf("a flood of private keys wrote %d events", n-first)
	}
	bot.issued("grant_type", "client_credentials")
}
