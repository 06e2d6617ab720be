package oauth_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// TestES256App: the clients of browsers and of others make P-256 keys. One is an instance of the app's agent as an Ed25519 key is, wherever it proves requests
// by DPoP; and for nothing else that an agent's key does.
func TestES256App(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		f.signer = newES256(t)
		key := f.signer.Public().Thumbprint()
		got := f.good(f.redeem(f.code(f.query("dpop_jkt", key.String()))))
		c := f.claims(got)
		if c.JKT != key || c.Act.Instance != key || got.text("token_type") != "DPoP" {
			t.Errorf("%+v", c)
		}
		if e := f.newest(evidence.InstanceEnrolled); e.What.Key == nil || *e.What.Key != f.signer.Public() || e.What.Status != string(agents.Device) {
			t.Errorf("%s", e.Body)
		}
		if err := f.call(got); err != nil {
			t.Errorf("the token is not good: %v", err)
		}
		f.forgedES256(got)

		f.pass(time.Second)
		refuses(t, f.token(0, f.refresh(got.text("refresh_token")), f.proof(newES256(t), tokenPath)), 400, "invalid_grant", "binding")
		f.pass(time.Minute)
		got = f.good(f.redeem(f.code(f.query())))
		for range 2 {
			f.pass(time.Minute)
			next := f.good(f.refresh(got.text("refresh_token")))
			if d := f.claims(next); d.JKT != key || d.Act.Sub != c.Act.Sub || f.call(next) != nil {
				t.Errorf("%+v", d)
			}
			got = next
		}
		f.knownES256(c.Act.Sub)
		f.onlyDPoP(c.Act.Sub)

		_, _, _, err := f.nodes[0].EndInstance(t.Context(), f.priya, key, "revoke", "lost")
		f.ok(err)
		if err := f.call(got); err == nil {
			t.Error("the token of a key that ended is good")
		}
		if got := f.bound(f.refresh(got.text("refresh_token"))); got.status == 200 {
			t.Errorf("%s", got.raw)
		}
	})
}

// forgedES256 shows the token with proofs that are not its key's.
func (f *flow) forgedES256(a answer) {
	f.t.Helper()
	raw := a.text("access_token")
	good := f.proofAt(f.signer, "POST", "/mcp/files", "", raw)
	parts := strings.Split(good, ".")
	header, err := jose.DecodeBase64(parts[0])
	f.ok(err)
	renamed := strings.Replace(string(header), "ES256", "EdDSA", 1)
	sig, err := jose.DecodeBase64(parts[2])
	f.ok(err)
	sig[40] ^= 1
	der := append([]byte{0x30, 0x44, 2, 32}, sig...)
	for name, proof := range map[string]string{
		"another key":       f.proofAt(newES256(f.t), "POST", "/mcp/files", "", raw),
		"an Ed25519 key":    f.proofAt(newSigner(f.t), "POST", "/mcp/files", "", raw),
		"alg of another":    jose.EncodeBase64([]byte(renamed)) + "." + parts[1] + "." + parts[2],
		"a bit":             parts[0] + "." + parts[1] + "." + jose.EncodeBase64(sig),
		"a DER signature":   parts[0] + "." + parts[1] + "." + jose.EncodeBase64(der),
		"zeros":             parts[0] + "." + parts[1] + "." + jose.EncodeBase64(make([]byte, 64)),
		"another path":      f.proofAt(f.signer, "POST", "/mcp/wiki", "", raw),
		"for another token": f.proofAt(f.signer, "POST", "/mcp/files", "", raw+"x"),
	} {
		cr := guard.Credentials{Method: "POST", URL: filesURL, Authorization: []string{"DPoP " + raw}, DPoP: []string{proof}, Face: "gateway"}
		if _, err := f.nodes[0].Authenticate(f.t.Context(), cr, filesURL); !strings.HasPrefix(fault.Code(err), "dpop_") {
			f.t.Errorf("%s: %v", name, err)
		}
	}
}

// knownES256 finds the key wherever an agent's keys are told.
func (f *flow) knownES256(agent id.Agent) {
	f.t.Helper()
	want := f.signer.Public()
	if got := f.serve(0, "GET", "/.well-known/http-message-signatures-directory?keyid="+want.Thumbprint().String(), "", nil); string(got.raw) != `{"keys":[]}` {
		f.t.Errorf("the directory has an app's key, which signs no messages: %s", got.raw)
	}
	for _, path := range []string{"/oauth/agents/" + agent.String() + "/jwks"} {
		var set struct {
			Keys []struct {
				Kty string `json:"kty"`
				Crv string `json:"crv"`
				Alg string `json:"alg"`
				Kid string `json:"kid"`
				X   string `json:"x"`
				Y   string `json:"y"`
			} `json:"keys"`
		}
		got := f.serve(0, "GET", path, "", nil)
		f.ok(json.Unmarshal(got.raw, &set))
		if len(set.Keys) != 1 || set.Keys[0].Kty != "EC" || set.Keys[0].Crv != "P-256" || set.Keys[0].Kid != want.Thumbprint().String() || set.Keys[0].Y == "" ||
			set.Keys[0].Alg != "ES256" && strings.Contains(path, "jwks") {
			f.t.Errorf("%s: %s", path, got.raw)
		}
	}
	signed := f.serve(0, "GET", "/oauth/agents/"+agent.String()+"/identity.jws", "", nil)
	i, err := token.VerifyIdentity(string(signed.raw), flowIssuer, keysOf(f.t, f.serve(0, "GET", "/oauth/jwks", "", nil).raw))
	f.ok(err)
	if !slices.ContainsFunc(i.Keys, func(k token.IdentityKey) bool { return k.JWK == want && k.Trust == string(agents.Device) }) {
		f.t.Errorf("%s", signed.raw)
	}
}

// onlyDPoP tries what else agents sign.
func (f *flow) onlyDPoP(agent id.Agent) {
	f.t.Helper()
	form := f.refresh("x", "grant_type", "client_credentials", "client_id", agent.String(), "resource", filesURL, "client_assertion_type", assertionType, "client_assertion", f.assertion(f.signer, agent.String()))
	refuses(f.t, f.bound(form), 401, "invalid_client", "")
	st := token.KeyStatement{Use: token.UseSpawn, Issuer: flowIssuer, Workspace: id.Default, Agent: agent, Nonce: strings.Repeat("n", 22), IssuedAt: f.now().Unix()}
	if _, _, err := token.SignKeyStatement(st, f.signer, newSigner(f.t)); fault.Code(err) != "key_statement_malformed" {
		f.t.Errorf("it vouches for another key: %v", err)
	}
}
