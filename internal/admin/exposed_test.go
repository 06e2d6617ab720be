package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/jose"
)

// A private key that is sent to the API is refused by that name wherever it lies, and the log of whom it is about says that it was sent, and by which door.
func TestPrivateKeyIsNoted(t *testing.T) {
	w := start(t)
	const jwk = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`
	leaked := func(own jose.Signer) string { // a proof whose jwk has a private part beside a registered public one
		return jose.EncodeBase64([]byte(`{"alg":"EdDSA","typ":"dpop+jwt","jwk":`+strings.TrimSuffix(string(own.Public().JWK()), "}")+`,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}}`)) + ".e30.AAAA"
	}
	for _, c := range []struct {
		what, method, path, body string
		header                   http.Header
		status                   int
		code, says               string // says: what the event's reason has; "": there is no event
	}{
		{"in the body", "POST", "/v1/agents", `{"name":"a","tags":{"k":` + jwk + `}}`, nil, 400, "private_key", "in this name"},
		{"in a body that is malformed", "POST", "/v1/agents", `{"name":` + jwk, nil, 400, "private_key", "in this name"},
		{"in a body where there is none", "GET", "/v1/me", jwk, nil, 400, "private_key", "in this name"},
		{"in the proof", "GET", "/v1/me", "", http.Header{"Dpop": {leaked(w.maya.signer)}}, 401, "dpop_private_key", w.maya.signer.Public().Thumbprint().String()},
		{"in a header, unproven", "GET", "/v1/me", "", http.Header{"X-Key": {jwk}}, 400, "private_key", "in this name"},
		{"in the URL, of nobody", "GET", "/v1/agents?q=" + strings.NewReplacer(`"`, "%22", "{", "%7B", "}", "%7D").Replace(jwk), "", http.Header{"Dpop": nil}, 400, "private_key", ""},
	} {
		access := w.token(w.maya, "")
		before := w.rev()
		res, p, raw := w.send(w.maya.signer, request{method: c.method, path: c.path, body: c.body, token: access, header: c.header})
		if res.StatusCode != c.status || p.Code != c.code || c.status == 401 && !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="invalid_dpop_proof"`) {
			t.Errorf("%s: %d %s", c.what, res.StatusCode, raw)
		}
		if strings.Contains(string(raw), "nWGxne") {
			t.Errorf("%s: the answer repeats the key", c.what)
		}
		if noted := w.rev() - before; (noted == 1) != (c.says != "") {
			t.Errorf("%s: %d events", c.what, noted)
		}
		if c.says == "" {
			continue
		}
		found, err := w.priya.Events(w.ctx, attorn.EventQuery{Kind: "token.refused", Page: attorn.Page{Limit: 1}})
		w.ok(err)
		text := string(found.Items[0].Body)
		if !strings.Contains(text, c.says) || !strings.Contains(text, `"face":"admin"`) || !strings.Contains(text, `"code":"private_key"`) || strings.Contains(text, "nWGxne") {
			t.Errorf("%s: %s", c.what, text)
		}
	}
}
