package oauth_test

import (
	"crypto/ed25519"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/jose"
)

const (
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
	devicePath  = "/oauth/device"
)

// laptop is a key that is nobody's yet, and the device code that it was given.
type laptop struct {
	*party
	device, user string
}

func (w *world) laptop(fields ...string) *laptop {
	w.t.Helper()
	l := &laptop{party: &party{world: w, signer: newSigner(w.t)}}
	got := l.asks(fields...)
	if got.status != 200 {
		w.t.Fatalf("%d %s", got.status, got.raw)
	}
	l.device, l.user = got.text("device_code"), got.text("user_code")
	return l
}

func (p *party) asks(fields ...string) answer {
	p.t.Helper()
	return p.post(devicePath, fieldsOf(append([]string{"client_id", "attorn-cli"}, fields...)), p.proof(devicePath, p.nonce()))
}

func (l *laptop) form() url.Values {
	return fieldsOf([]string{"grant_type", grantDevice, "client_id", "attorn-cli", "device_code", l.device})
}

// poll asks once, after the interval.
func (l *laptop) poll() answer {
	l.t.Helper()
	l.pass(5 * time.Second)
	return l.post(tokenPath, l.form(), l.proof(tokenPath, l.nonce()))
}

func (w *world) refusedAs(what string, got answer, status int, code, reason string) {
	w.t.Helper()
	if got.status != status || got.text("error") != code || got.text("reason") != reason || got.text("error_description") == "" {
		w.t.Errorf("%s: %d %s", what, got.status, got.raw)
	}
}

func TestDeviceCodeForAnAgent(t *testing.T) {
	w := start(t, "")
	l := &laptop{party: &party{world: w, signer: newSigner(t)}}
	got := l.asks("agent_name", "coder")
	l.device, l.user = got.text("device_code"), got.text("user_code")
	if got.status != 200 || len(l.device) != 43 || !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(l.user) ||
		got.text("verification_uri") != w.URL+"/device" || got.text("verification_uri_complete") != w.URL+"/device?user_code="+l.user ||
		got.body["expires_in"] != 600.0 || got.body["interval"] != 5.0 || got.header.Get("Cache-Control") != "no-store" || len(got.body) != 6 {
		t.Fatalf("%d %v %s", got.status, got.header, got.raw)
	}
	w.refusedAs("nobody has confirmed", l.poll(), 400, "authorization_pending", "")

	var shown api.Device
	w.priya.api("GET", "/v1/device/"+strings.ToLower(strings.ReplaceAll(l.user, "-", "")), nil, &shown)
	if shown.Key != l.signer.Public().Thumbprint() || shown.JWK != l.signer.Public() || shown.Name != "coder" || shown.Purpose != "agent" || shown.UserCode != l.user || shown.Client != "attorn-cli" || shown.Address == "" {
		t.Errorf("%+v", shown)
	}
	var made api.DeviceMade
	w.priya.api("POST", "/v1/device/"+l.user+"/confirm", api.ConfirmDevice{New: "coder"}, &made)
	if made.Name != "coder" || made.Agent.IsZero() || made.Instance != shown.Key || !made.User.IsZero() {
		t.Errorf("%+v", made)
	}

	got = l.poll()
	c := w.claims(got)
	if got.text("agent") != made.Agent.String() || got.text("name") != "coder" || got.text("workspace") != "default" || got.text("instance") != shown.Key.String() || got.body["user"] != nil ||
		got.text("token_type") != "DPoP" || c.Subject != made.Agent.String() || c.JKT != shown.Key || c.Audience != w.URL+"/api" || c.Act != nil {
		t.Errorf("%s %+v", got.raw, c)
	}
	w.refusedAs("once more", l.poll(), 400, "invalid_grant", "spent")

	// From here on it is an instance as any other, and the log says who let it in.
	l.sub, l.agent = made.Agent.String(), made.Agent
	l.issued("grant_type", "client_credentials")
	var is api.List[api.Instance]
	w.priya.api("GET", "/v1/agents/"+l.sub+"/instances", nil, &is)
	if len(is.Items) != 1 || is.Items[0].Trust != "device" || is.Items[0].Key != shown.Key {
		t.Errorf("%+v", is)
	}
	var found api.List[api.Event]
	w.priya.api("GET", "/v1/events?kind=instance.enrolled&agent="+l.sub, nil, &found)
	if len(found.Items) != 1 {
		t.Fatalf("%d events", len(found.Items))
	}
	e, err := evidence.ParseEvent(found.Items[0].Body)
	w.ok(err)
	if e.Who.Sub != w.priya.sub || e.What.Status != "device" || e.What.Agent != made.Agent || e.What.Instance != shown.Key || *e.What.Key != l.signer.Public() || e.Cause.IsZero() || e.Why == nil || e.Why.Bundle.IsZero() {
		t.Errorf("%s", found.Items[0].Body)
	}
}

func TestDeviceCodeIsRefused(t *testing.T) {
	w := start(t, "")
	l := w.laptop()
	w.priya.api("POST", "/v1/device/"+l.user+"/deny", struct{}{}, nil)
	w.refusedAs("denied", l.poll(), 400, "access_denied", "")
	got := w.priya.json("POST", "/v1/device/"+l.user+"/confirm", api.ConfirmDevice{New: "x"}, w.priya.prove("POST", "/v1/device/"+l.user+"/confirm", "", w.priya.access), w.priya.access)
	if got.text("code") != "user_code_unknown" || got.status != 404 {
		t.Errorf("confirmed after it was denied: %d %s", got.status, got.raw)
	}

	l = w.laptop()
	w.pass(10 * time.Minute)
	w.refusedAs("too late", l.poll(), 400, "expired_token", "")

	// Another key has no use for the code, and learns nothing of where it stands.
	l = w.laptop()
	thief := &laptop{party: &party{world: w, signer: newSigner(t)}, device: l.device}
	w.refusedAs("another key", thief.poll(), 400, "invalid_grant", "binding")
	w.priya.api("POST", "/v1/device/"+l.user+"/confirm", api.ConfirmDevice{New: "one"}, nil)
	w.refusedAs("another key, confirmed", thief.poll(), 400, "invalid_grant", "binding")
	thief.device = strings.Repeat("A", 43)
	w.refusedAs("a code that never was", thief.poll(), 400, "invalid_grant", "unknown")

	// The nonce comes first, and costs nothing.
	w.pass(5 * time.Second)
	w.refusedAs("no nonce", w.post(tokenPath, l.form(), l.proof(tokenPath, "")), 400, "use_dpop_nonce", "")
	w.refusedAs("no proof", w.post(tokenPath, l.form()), 400, "invalid_dpop_proof", "malformed")
	w.refusedAs("a proof for elsewhere", w.post(tokenPath, l.form(), l.proof(devicePath, w.nonce())), 400, "invalid_dpop_proof", "binding")
	form := l.form()
	form.Del("client_id")
	w.refusedAs("no client", w.post(tokenPath, form, l.proof(tokenPath, w.nonce())), 400, "invalid_request", "malformed")
	form.Set("client_id", "attorn-other")
	w.refusedAs("another client", w.post(tokenPath, form, l.proof(tokenPath, w.nonce())), 400, "unauthorized_client", "grant_not_allowed")
	form = l.form()
	form.Del("device_code")
	w.refusedAs("no code", w.post(tokenPath, form, l.proof(tokenPath, w.nonce())), 400, "invalid_request", "malformed")
	if got := l.poll(); got.status != 200 {
		t.Errorf("all that spent the code: %d %s", got.status, got.raw)
	}
}

// Who polls before the interval is over slows down, whichever answer waits; a proof polls once.
func TestDeviceCodeInterval(t *testing.T) {
	w := start(t, "")
	l := w.laptop()
	w.refusedAs("the first", l.poll(), 400, "authorization_pending", "")
	now := func() answer { return w.post(tokenPath, l.form(), l.proof(tokenPath, l.nonce())) }
	w.refusedAs("at once", now(), 400, "slow_down", "")
	w.pass(3 * time.Second)
	w.refusedAs("after 3 s", now(), 400, "slow_down", "")
	w.pass(2 * time.Second)
	w.refusedAs("after 5 s", now(), 400, "authorization_pending", "")

	w.pass(5 * time.Second)
	proof := l.proof(tokenPath, l.nonce())
	w.refusedAs("a proof", w.post(tokenPath, l.form(), proof), 400, "authorization_pending", "")
	w.pass(5 * time.Second)
	w.refusedAs("the same proof", w.post(tokenPath, l.form(), proof), 400, "invalid_dpop_proof", "replayed")
}

func TestDeviceEndpointRefuses(t *testing.T) {
	w := start(t, "")
	l := &party{world: w, signer: newSigner(t)}
	bot := w.agentNamed("bot")
	es := &party{world: w, signer: newES256(t)}
	for _, c := range []struct {
		name         string
		got          answer
		status       int
		code, reason string
	}{
		{"no nonce", l.post(devicePath, fieldsOf([]string{"client_id", "attorn-cli"}), l.proof(devicePath, "")), 400, "use_dpop_nonce", ""},
		{"no proof", l.post(devicePath, fieldsOf([]string{"client_id", "attorn-cli"})), 400, "invalid_dpop_proof", "malformed"},
		{"two proofs", l.post(devicePath, fieldsOf([]string{"client_id", "attorn-cli"}), l.proof(devicePath, w.nonce()), l.proof(devicePath, w.nonce())), 400, "invalid_dpop_proof", "malformed"},
		{"no client", l.post(devicePath, fieldsOf([]string{"purpose", "agent"}), l.proof(devicePath, w.nonce())), 400, "invalid_request", "malformed"},
		{"another client", l.post(devicePath, fieldsOf([]string{"client_id", bot.sub}), l.proof(devicePath, w.nonce())), 400, "unauthorized_client", "grant_not_allowed"},
		{"an assertion", bot.post(devicePath, bot.with("client_id", "attorn-cli"), bot.proof(devicePath, w.nonce())), 400, "invalid_request", "malformed"},
		{"a purpose that is none", l.asks("purpose", "admin"), 400, "invalid_request", "malformed"},
		{"a workspace that is none", l.asks("workspace", "Not One"), 400, "invalid_request", "malformed"},
		{"the server's workspace", l.asks("workspace", "server"), 400, "invalid_request", "malformed"},
		{"a name that is none", l.asks("agent_name", "Not One"), 400, "invalid_request", "malformed"},
		{"a name in the form of an id", l.asks("agent_name", bot.sub), 400, "invalid_request", "malformed"},
		{"a name for a person", l.asks("purpose", "person", "agent_name", "x"), 400, "invalid_request", "malformed"},
		{"a key that is an instance", bot.asks(), 400, "invalid_dpop_proof", "binding"},
		{"a key that is a person's", w.priya.asks(), 400, "invalid_dpop_proof", "binding"},
		{"a key of another type", es.asks(), 400, "invalid_request", "malformed"},
		{"the query", w.send("POST", devicePath+"?client_id=attorn-cli", "", nil), 400, "invalid_request", "query_not_allowed"},
	} {
		w.refusedAs(c.name, c.got, c.status, c.code, c.reason)
	}
	if got := w.send("GET", devicePath, "", nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", got.status)
	}
	if got := l.asks("workspace", "nowhere"); got.status != 200 { // which workspaces there are is nobody's business
		t.Errorf("a workspace that there is not: %d %s", got.status, got.raw)
	}
}

// A flood from one network is slowed down before it costs the database anything.
func TestDeviceEndpointIsLimited(t *testing.T) {
	w := start(t, "")
	l := &party{world: w, signer: newSigner(t)}
	nonce := w.nonce()
	count := map[int]int{}
	for range 70 {
		got := l.post(devicePath, fieldsOf([]string{"client_id", "attorn-cli"}), l.proof(devicePath, nonce))
		if count[got.status]++; got.status == 429 && got.header.Get("Retry-After") == "" {
			t.Fatal("no Retry-After")
		}
	}
	if count[200] != 60 || count[429] != 10 {
		t.Errorf("%v", count)
	}
}

// Five wrong codes a minute is all that a person has, right ones do not count, and other people have theirs.
func TestUserCodesAreGuessedSlowly(t *testing.T) {
	w := start(t, "")
	maya := w.invite("Maya")
	l := w.laptop()
	look := func(p *party, code string) answer {
		if p.access == "" {
			p.api("GET", "/v1/me", nil, nil)
		}
		path := "/v1/device/" + code
		return p.json("GET", path, nil, p.prove("GET", path, "", p.access), p.access)
	}
	for i := range 5 {
		if got := look(w.priya, l.user); got.status != 200 {
			t.Fatalf("the right one: %d %s", got.status, got.raw)
		}
		if got := look(w.priya, []string{"BCDF-GHJK", "x", "BBBB-BBBB", "BCDFGHJKL", "aeiou"}[i]); got.status != 404 || got.text("code") != "user_code_unknown" {
			t.Fatalf("a wrong one: %d %s", got.status, got.raw)
		}
	}
	for _, code := range []string{"BCDF-GHJL", l.user} {
		if got := look(w.priya, code); got.status != 429 || got.text("code") != "too_many" {
			t.Errorf("the sixth: %d %s", got.status, got.raw)
		}
	}
	if got := look(maya, l.user); got.status != 200 {
		t.Errorf("another person: %d %s", got.status, got.raw)
	}
	w.pass(time.Minute)
	if got := look(w.priya, l.user); got.status != 200 {
		t.Errorf("a minute later: %d %s", got.status, got.raw)
	}
}

// A key of a person's own takes a sign-in of now, which a key in a file never is.
func TestDeviceCodeForAPerson(t *testing.T) {
	w := start(t, "")
	l := w.laptop("purpose", "person")
	w.priya.api("GET", "/v1/me", nil, nil)
	path := "/v1/device/" + l.user + "/confirm"
	confirm := func(in api.ConfirmDevice) answer {
		return w.priya.json("POST", path, in, w.priya.prove("POST", path, "", w.priya.access), w.priya.access)
	}
	if got := confirm(api.ConfirmDevice{}); got.status != 403 || got.text("code") != "sign_in_old" {
		t.Errorf("with a key: %d %s", got.status, got.raw)
	}
	if got := confirm(api.ConfirmDevice{New: "bot"}); got.status != 400 || got.text("code") != "choice_invalid" {
		t.Errorf("as an agent's: %d %s", got.status, got.raw)
	}
	w.refusedAs("nobody has confirmed", l.poll(), 400, "authorization_pending", "")
	if _, err := jose.Ed25519Key(make(ed25519.PublicKey, 32)); err == nil {
		t.Error("a weak key")
	}
}
