package oauth_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// identity reads an agent's public identity, signed.
func (p *party) identity() token.Identity {
	p.t.Helper()
	got := p.send("GET", "/oauth/agents/"+p.sub+"/identity.jws", "", nil)
	if got.status != 200 || got.header.Get("Content-Type") != "application/jose" {
		p.t.Fatalf("%d %s %v", got.status, got.raw, got.header)
	}
	i, err := token.VerifyIdentity(string(got.raw), p.URL, keysOf(p.t, p.send("GET", "/oauth/jwks", "", nil).raw))
	p.ok(err)
	return i
}

// keysThen are the keys that the agent's JWKS lists for a time.
func (p *party) keysThen(at time.Time) string {
	p.t.Helper()
	got := p.send("GET", "/oauth/agents/"+p.sub+"/jwks?at="+strconv.FormatInt(at.Unix(), 10), "", nil)
	if got.status != 200 {
		p.t.Fatalf("%d %s", got.status, got.raw)
	}
	var kids []string
	for _, k := range got.body["keys"].([]any) {
		kids = append(kids, k.(map[string]any)["kid"].(string))
	}
	return strings.Join(kids, " ")
}

// TestIdentityOverTime: what was true of an agent's keys stays published whatever happens to it, and the two documents agree about every moment.
func TestIdentityOverTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		w := start(t, dsn)
		w.pass(500 * time.Millisecond) // nothing happens on a whole second
		bot := w.agentNamed("release-bot")
		first := bot.signer.Public().Thumbprint().String()
		began := w.now()
		type moment struct {
			what string
			at   time.Time
			want []string
		}
		var told []moment
		note := func(what string, want ...string) {
			told = append(told, moment{what, w.now(), want})
			w.pass(10 * time.Second)
		}
		do := func(path string) { w.priya.api("POST", path, api.Reason{}, nil) }
		note("enrolled", first)
		second := w.instance(bot).Public().Thumbprint().String()
		note("two", first, second)
		do("/v1/instances/" + second + "/suspend")
		w.pass(time.Second)
		note("one suspended", first)
		do("/v1/instances/" + second + "/resume")
		note("resumed", first, second)
		do("/v1/agents/" + bot.sub + "/suspend")
		w.pass(time.Second)
		note("all suspended")
		do("/v1/agents/" + bot.sub + "/resume")
		note("all resumed", first, second)
		do("/v1/instances/" + first + "/revoke")
		w.pass(time.Second)
		note("one revoked", second)
		end := w.now().Add(30 * time.Second).UTC().Format(time.RFC3339Nano)
		w.priya.api("POST", "/v1/agents/"+bot.sub+"/change", api.AgentChange{Expires: &end}, nil)
		note("it will end", second)
		w.pass(30 * time.Second)
		note("it has ended")
		i := bot.identity()
		if i.Issuer != w.URL || i.ID != bot.agent || i.Status != "expired" || i.Registered != began.Unix() || i.AsOf != w.now().Unix() ||
			i.Owner == nil || i.Owner.ID != w.priya.user || i.Owner.Name != "" || len(i.Keys) != 2 || !i.Next.IsZero() {
			t.Errorf("%+v", i)
		}
		for _, k := range i.Keys {
			if k.Trust != "enrolled" || k.Until == 0 || k.From > k.Until {
				t.Errorf("%+v", k)
			}
		}
		for _, m := range told {
			then := bot.keysThen(m.at)
			for _, kid := range []string{first, second} {
				live := strings.Contains(strings.Join(m.want, " "), kid)
				k, err := id.ParseKey(kid)
				w.ok(err)
				if _, err := i.KeyAt(k, m.at.Unix()); (err == nil) != live || err != nil && fault.Code(err) != "key_not_live" {
					t.Errorf("%s: %s is live: %v, %v", m.what, k.Short(), live, err)
				}
				if strings.Contains(then, kid) != live {
					t.Errorf("%s: the JWKS of then has %s", m.what, then)
				}
			}
		}
		if got := bot.keysThen(began.Add(-2 * time.Second)); got != "" {
			t.Errorf("before it was there it had %s", got)
		}
		for path, code := range map[string]string{
			"jwks?at=":               "", // as without
			"jwks?at=-1":             "malformed",
			"jwks?at=1e9":            "malformed",
			"jwks?at=1&at=1":         "malformed",
			"jwks?at=99999999999999": "malformed",
			"jwks?at=" + fmt.Sprint(w.now().Unix()+5): "malformed", // the future
			"identity.jws?after=x":                    "malformed",
			"identity.jws?after=" + second:            "",
		} {
			got := w.send("GET", "/oauth/agents/"+bot.sub+"/"+path, "", nil)
			if code == "" && got.status != 200 || code != "" && (got.status != 400 || got.text("reason") != code) {
				t.Errorf("%s: %d %s", path, got.status, got.raw)
			}
		}
	})
}

func TestIdentityDocument(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	path := "/oauth/agents/" + bot.sub
	got := w.send("GET", path, "", nil)
	tag := got.header.Get("ETag")
	if got.status != 200 || got.header.Get("Cache-Control") != "public, max-age=60" || tag == "" || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	for member, want := range map[string]any{"issuer": w.URL, "id": bot.sub, "status": "active", "as_of": nil, "name": nil, "workspace": nil, "description": nil} {
		if got.body[member] != want {
			t.Errorf("%s is %v", member, got.body[member])
		}
	}
	key := got.body["keys"].([]any)[0].(map[string]any)
	if key["kid"] != bot.signer.Public().Thumbprint().String() || key["status"] != "active" || key["until"] != nil || key["jwk"].(map[string]any)["d"] != nil {
		t.Errorf("%v", key)
	}
	for _, header := range []string{tag, `"other", W/` + tag, "*"} {
		if again := w.send("GET", path, "", http.Header{"If-None-Match": {header}}); again.status != 304 || len(again.raw) != 0 || again.header.Get("ETag") != tag {
			t.Errorf("%s: %d %s", header, again.status, again.raw)
		}
	}
}

// TestDirectory: the server's keys, and one live key by its name; nothing lists agents, and every key that is none answers the same.
func TestDirectory(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	const path = "/.well-known/http-message-signatures-directory"
	read := func(query string) (answer, []string) {
		t.Helper()
		got := w.send("GET", path+query, "", nil)
		if got.status != 200 || got.header.Get("Content-Type") != httpsig.DirectoryType {
			t.Fatalf("%d %s %v", got.status, got.raw, got.header)
		}
		var set struct {
			Keys []map[string]string `json:"keys"`
		}
		w.ok(json.Unmarshal(got.raw, &set))
		kids := []string{}
		for _, k := range set.Keys {
			if k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["alg"] != "" {
				t.Errorf("%v", k)
			}
			kids = append(kids, k["kid"])
		}
		return got, kids
	}
	all, kids := read("")
	if len(kids) != 1 || kids[0] == bot.signer.Public().Thumbprint().String() {
		t.Fatalf("the directory has %v", kids)
	}
	verifyDirectory(t, w, all, kids[0])
	if _, one := read("?keyid=" + kids[0]); len(one) != 1 || one[0] != kids[0] {
		t.Errorf("the server's key: %v", one)
	}
	live := bot.signer.Public().Thumbprint().String()
	got, one := read("?keyid=" + live)
	if len(one) != 1 || one[0] != live || !strings.Contains(string(got.raw), `"agent":"`+bot.sub+`","ws":"default"`) {
		t.Errorf("the agent's key: %s", got.raw)
	}
	verifyDirectory(t, w, got, kids[0])
	gone := w.instance(bot).Public().Thumbprint().String()
	w.priya.api("POST", "/v1/instances/"+gone+"/revoke", api.Reason{}, nil)
	paused := w.instance(bot).Public().Thumbprint().String()
	w.priya.api("POST", "/v1/instances/"+paused+"/suspend", api.Reason{}, nil)
	never := newSigner(t).Public().Thumbprint().String()
	for what, kid := range map[string]string{"revoked": gone, "suspended": paused, "never enrolled": never, "a person's": w.priya.signer.Public().Thumbprint().String(), "no key": "x", "an agent": bot.sub} {
		got, one := read("?keyid=" + kid)
		if len(one) != 0 || string(got.raw) != `{"keys":[]}` {
			t.Errorf("%s: %s", what, got.raw)
		}
	}
	w.priya.api("POST", "/v1/agents/"+bot.sub+"/suspend", api.Reason{}, nil)
	if _, one := read("?keyid=" + live); len(one) != 0 {
		t.Errorf("of a suspended agent: %v", one)
	}
	refuses(t, w.send("GET", path+"?keyid=a&keyid=b", "", nil), 400, "invalid_request", "malformed")
}

// verifyDirectory checks the answer's signature as a client of the draft does: written apart from what signs.
func verifyDirectory(t *testing.T, w *world, got answer, kid string) {
	t.Helper()
	if err := httpsig.CheckDigest(got.header.Values("Content-Digest"), got.raw); err != nil {
		t.Error(err)
	}
	form := regexp.MustCompile(`^key0=(\("@authority";req "content-digest"\);created=(\d+);expires=(\d+);keyid="` + kid + `";alg="ed25519";tag="http-message-signatures-directory")$`)
	m := form.FindStringSubmatch(got.header.Get("Signature-Input"))
	if m == nil {
		t.Fatalf("signed as %s", got.header.Get("Signature-Input"))
	}
	created, _ := strconv.ParseInt(m[2], 10, 64)
	expires, _ := strconv.ParseInt(m[3], 10, 64)
	if now := w.now().Unix(); created > now || expires <= now+60 {
		t.Errorf("from %d until %d", created, expires)
	}
	base := "\"@authority\";req: " + strings.TrimPrefix(w.URL, "http://") + "\n\"content-digest\": " + got.header.Get("Content-Digest") + "\n\"@signature-params\": " + m[1]
	raw, ok := strings.CutPrefix(got.header.Get("Signature"), "key0=:")
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(raw, ":"))
	if !ok || err != nil {
		t.Fatal(got.header.Get("Signature"))
	}
	k, err := id.ParseKey(kid)
	w.ok(err)
	pub, _ := keysOf(t, w.send("GET", "/oauth/jwks", "", nil).raw)(k)
	var jwk struct {
		X string `json:"x"`
	}
	w.ok(jose.DecodeForeign(pub.JWK(), &jwk, jose.Limits{}))
	x, err := base64.RawURLEncoding.DecodeString(jwk.X)
	w.ok(err)
	if !ed25519.Verify(x, []byte(base), sig) {
		t.Errorf("the signature does not fit:\n%s", base)
	}
}
