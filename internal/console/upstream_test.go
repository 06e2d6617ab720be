package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/guard"
)

func (r *rig) events(ws id.Workspace, kind evidence.Kind) []evidence.Event {
	r.t.Helper()
	found, err := r.log.Search(r.t.Context(), ws, audit.Filter{Kind: kind, Limit: 200})
	r.ok(err)
	var all []evidence.Event
	for _, e := range found {
		all = append(all, e.Event)
	}
	return all
}

func (r *rig) groupsOf(p id.User) string {
	r.t.Helper()
	all, err := r.People.GroupsOf(r.t.Context(), id.Default, p.String())
	r.ok(err)
	return strings.Join(all[p.String()], " ")
}

func (r *rig) makeGroups(names ...string) {
	r.t.Helper()
	for _, name := range names {
		d := evidence.Draft{Workspace: id.Default, Target: name}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.GroupChanged, evidence.OK, evidence.ServerSub, "server", &evidence.What{Group: name}
		_, err := r.log.Record(r.t.Context(), d, func(tx *audit.Tx) error { _, err := r.People.CreateGroup(tx, id.Default, name, ""); return err })
		r.ok(err)
	}
}

// Somebody new signs in, with what their provider says of them; and again, as the same person, when it says something else.
func TestUpstreamSignIn(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	r.makeGroups("platform", "answers")
	b := newBrowser(t, r.url)
	contains(t, b.page("/signin?next=/passkey"), `action="/signin/oidc/acme"`, "Sign in with acme")

	trip := r.depart(b, i, "acme", "next", "/passkey")
	asked := trip.asked
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "attorn", "scope": "openid profile", "code_challenge_method": "S256", "redirect_uri": r.url + "/signin/oidc/acme/callback",
		"prompt": "", "max_age": "",
	} {
		if asked.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, asked.Get(name), want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(asked.Get(name)) != 43 {
			t.Errorf("%s is %q", name, asked.Get(name))
		}
	}
	c := trip.claims("noor-1")
	c["groups"], c["acr"], c["amr"] = []any{"Platform Team", "platform", "Strangers", 42}, "urn:acme:mfa", []string{"pwd", "otp"}
	got := trip.whole(c)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/passkey" {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	noor := r.at(b)
	form := i.lastReq["/token"]
	if user, secret, ok := (&http.Request{Header: i.header["/token"]}).BasicAuth(); !ok || user != "attorn" || secret != "a-shared-secret" || form.Has("client_secret") {
		t.Errorf("the client authenticated with %q %q", user, form)
	}
	s, p, err := r.People.Session(t.Context(), b.cookie(), r.now())
	if err != nil || s.ACR != 2 || s.AuthTime.Unix() != r.now().Unix()-5 || p.Name != "Noor Haddad" {
		t.Errorf("%+v %+v %v", s, p, err)
	}
	if g := r.groupsOf(noor.id); g != "platform" {
		t.Errorf("groups %q", g)
	}
	_, roles, err := r.Me(t.Context(), noor.caller())
	if err != nil || len(roles) != 0 {
		t.Errorf("roles %q, %v", roles, err)
	}

	// The log has all of it, in the person's workspace and the server's, and the ID token's digest.
	for _, ws := range []id.Workspace{id.Default, id.Server} {
		added, grouped, signed := r.events(ws, evidence.UserAdded), r.events(ws, evidence.GroupChanged), r.events(ws, evidence.UserSignedIn)
		if len(added) != 1 || len(signed) != 1 {
			t.Fatalf("%s: %d added, %d signed in", ws, len(added), len(signed))
		}
		last := grouped[0]
		if last.What.Group != "platform" || last.What.User != noor.id || last.Cause != added[0].ID || signed[0].Cause != last.ID {
			t.Errorf("%s: %+v", ws, last)
		}
		for _, e := range []evidence.Event{added[0], last, signed[0]} {
			if p := e.Who.Proof; p == nil || p.Type != "oidc" || p.Issuer != i.url || p.SHA256.IsZero() || e.Who.Sub != noor.id.String() || ws == id.Default && e.Where.IP == nil {
				t.Errorf("%s %s: %+v, proof %+v, from %v", ws, e.Kind, e.Who, e.Who.Proof, e.Where)
			}
		}
		if a := signed[0].What.Auth; a == nil || a.Level != 2 || a.ACR != "urn:acme:mfa" || strings.Join(a.AMR, " ") != "pwd otp" || a.At != r.now().Unix()-5 {
			t.Errorf("%+v", a)
		}
	}
	found, err := r.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.UserSignedIn})
	r.ok(err)
	if token, err := r.log.Detail(t.Context(), found[0], "proof"); err != nil || id.Sum(token) != found[0].Who.Proof.SHA256 || strings.Count(string(token), ".") != 2 {
		t.Errorf("the ID token that is kept: %q, %v", token, err)
	}

	// Another time, other groups: those that are claimed no more are gone. The name stays. What an administrator said stays.
	got = r.depart(b, i, "acme").whole(func() map[string]any {
		c := trip.claims("noor-1")
		c["groups"], c["name"] = "42", "Somebody Else"
		return c
	}())
	if got.status == http.StatusSeeOther {
		t.Fatal("a nonce of before was accepted")
	}
	again, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) { c["groups"], c["name"], c["amr"] = "42", "Somebody Else", []string{"hwk"} })
	if got.status != http.StatusSeeOther || r.at(again).id != noor.id || r.groupsOf(noor.id) != "answers" {
		t.Errorf("%d %s; groups %q", got.status, got.body, r.groupsOf(noor.id))
	}
	if s, p, err := r.People.Session(t.Context(), again.cookie(), r.now()); err != nil || s.ACR != 2 || p.Name != "Noor Haddad" {
		t.Errorf("%+v %+v %v", s, p, err)
	}
	third, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) { delete(c, "auth_time") })
	if got.status != http.StatusSeeOther || r.groupsOf(noor.id) != "" {
		t.Errorf("%d; groups %q", got.status, r.groupsOf(noor.id))
	}
	if s, _, err := r.People.Session(t.Context(), third.cookie(), r.now()); err != nil || s.ACR != 1 || s.AuthTime.Unix() != 0 {
		t.Errorf("%+v %v", s, err)
	}
	if n := len(r.events(id.Default, evidence.UserAdded)); n != 1 {
		t.Errorf("%d people were added", n)
	}
	other, got := r.signInAt(i, "acme", "noor-2", nil)
	if got.status != http.StatusSeeOther || r.at(other).id == noor.id {
		t.Error("another subject with the same name is the same person")
	}

	// There is no workspace to make an account in.
	nowhere := i.upstream("nowhere")
	nowhere.Workspace = must(id.ParseWorkspace("nowhere"))
	lost := newRig(t, nowhere)
	if _, got := lost.signInAt(i, "nowhere", "noor-1", nil); got.code() != "workspace_unknown" {
		t.Errorf("%d %s", got.status, got.code())
	}

	// Suspended here, they stay out, whatever the provider says.
	owner := r.firstOwner("Priya")
	_, _, err = r.EndPerson(t.Context(), owner.caller(), noor.id, "suspend", "left")
	r.ok(err)
	_, got = r.signInAt(i, "acme", "noor-1", func(c map[string]any) { c["groups"] = "42" })
	if got.code() != "person_suspended" || r.groupsOf(noor.id) != "" {
		t.Errorf("%s; groups %q", got.code(), r.groupsOf(noor.id))
	}
}

// Whatever is wrong with an answer, nobody is signed in by it, the page says which part, and the log has it.
func TestUpstreamMisbehaves(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 600<<10)
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, text)
		}
	}
	type c = map[string]any
	for name, m := range map[string]struct {
		issuer func(i *issuer)
		claims func(c)
		fields func(t *trip, code string) []string
		says   string
		code   string
	}{
		"wrong nonce":          {claims: func(c c) { c["nonce"] = "another" }, says: "(nonce)"},
		"no nonce":             {claims: func(c c) { delete(c, "nonce") }, says: "(nonce)"},
		"wrong audience":       {claims: func(c c) { c["aud"] = "billing" }, says: "(aud)"},
		"no audience":          {claims: func(c c) { delete(c, "aud") }, says: "(aud)"},
		"two audiences":        {claims: func(c c) { c["aud"] = []string{"attorn", "billing"} }, says: "(azp)"},
		"another's":            {claims: func(c c) { c["azp"] = "billing" }, says: "(azp)"},
		"azp is no text":       {claims: func(c c) { c["azp"] = 1 }, says: "(azp)"},
		"wrong issuer":         {claims: func(c c) { c["iss"] = "https://evil.example" }, says: "(iss)"},
		"issuer in capitals":   {claims: func(c c) { c["ISS"], c["iss"] = c["iss"], "https://evil.example" }, says: "(iss)"},
		"expired":              {claims: func(c c) { c["exp"] = c["iat"].(int64) - 31 }, says: "(exp)"},
		"never expires":        {claims: func(c c) { delete(c, "exp") }, says: "(exp)"},
		"expires sometime":     {claims: func(c c) { c["exp"] = "soon" }, says: "malformed"},
		"not yet":              {claims: func(c c) { c["nbf"] = c["iat"].(int64) + 60 }, says: "(nbf)"},
		"nobody":               {claims: func(c c) { delete(c, "sub") }, says: "(sub)"},
		"a number":             {claims: func(c c) { c["sub"] = 7 }, says: "malformed"},
		"a long subject":       {claims: func(c c) { c["sub"] = strings.Repeat("s", 256) }, says: "255", code: "identity_invalid"},
		"a subject of lines":   {claims: func(c c) { c["sub"] = "a\nb" }, says: "255", code: "identity_invalid"},
		"in the future":        {claims: func(c c) { c["auth_time"] = c["iat"].(int64) + 60 }, says: "(auth_time)"},
		"wrong at_hash":        {claims: func(c c) { c["at_hash"] = base64([]byte("0123456789abcdef")) }, says: "(at_hash)"},
		"alg none":             {issuer: func(i *issuer) { i.sign = none }, says: "signature"},
		"the client's secret":  {issuer: func(i *issuer) { i.sign = hs256("a-shared-secret") }, says: "signature"},
		"the public key, HMAC": {issuer: func(i *issuer) { i.sign = hs256(fmt.Sprint(i.jwk(i.key)["x"])) }, says: "signature"},
		"a key not in the set": {issuer: func(i *issuer) { i.sign = func(c map[string]any) string { return i.signedBy(stranger, c) } }, says: "signature"},
		"changed afterwards": {issuer: func(i *issuer) {
			i.sign = func(c map[string]any) string {
				head, rest, _ := strings.Cut(i.es256(c), ".")
				body, sig, _ := strings.Cut(rest, ".")
				c["sub"] = "somebody-else"
				_, rest, _ = strings.Cut(none(c), ".")
				changed, _, _ := strings.Cut(rest, ".")
				if changed == body {
					panic("nothing was changed")
				}
				return head + "." + changed + "." + sig
			}
		}, says: "signature"},
		"two of a name": {issuer: func(i *issuer) {
			i.sign = i.twice
		}, says: "malformed"},
		"no ID token":       {issuer: func(i *issuer) { i.reply = func(_ string, out map[string]any) { delete(out, "id_token") } }, says: "no ID token"},
		"not a token":       {issuer: func(i *issuer) { i.reply = func(_ string, out map[string]any) { out["id_token"] = "x.y" } }, says: "signature"},
		"a large ID token":  {claims: func(c c) { c["more"] = large[:40<<10] }, says: "too large"},
		"a large answer":    {issuer: func(i *issuer) { i.serve["/token"] = say(`{"access_token":"` + large + `"}`) }, code: "provider_down"},
		"no answer in JSON": {issuer: func(i *issuer) { i.serve["/token"] = say(`<html>`) }, code: "provider_down"},
		"a redirect": {issuer: func(i *issuer) {
			i.serve["/token"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, i.url+"/elsewhere", http.StatusTemporaryRedirect)
			}
			i.serve["/elsewhere"] = func(http.ResponseWriter, *http.Request) { t.Error("the code went to another address") }
		}, code: "provider_down"},
		"a fault of its own": {issuer: func(i *issuer) {
			i.serve["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		}, code: "provider_down"},
		"no keys": {issuer: func(i *issuer) {
			i.serve["/jwks"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		}, code: "provider_down"},
		"large UserInfo":     {issuer: func(i *issuer) { i.userOf = map[string]any{"sub": "noor-1", "groups": large} }, code: "provider_down"},
		"UserInfo of others": {issuer: func(i *issuer) { i.userOf = map[string]any{"sub": "maya", "groups": "42"} }, says: "somebody else"},
		"UserInfo of nobody": {issuer: func(i *issuer) { i.userOf = map[string]any{"SUB": "noor-1", "groups": "42"} }, says: "somebody else"},

		"code and error": {fields: func(t *trip, code string) []string {
			return []string{"code", code, "error", "access_denied", "iss", t.issuer.url}
		}, says: "malformed"},
		"two codes":     {fields: func(t *trip, code string) []string { return []string{"code", code, "code", "x", "iss", t.issuer.url} }, says: "malformed"},
		"neither":       {fields: func(t *trip, _ string) []string { return []string{"iss", t.issuer.url} }, says: "malformed"},
		"an empty code": {fields: func(t *trip, _ string) []string { return []string{"code", "", "iss", t.issuer.url} }, says: "malformed"},
		"another code":  {fields: func(t *trip, _ string) []string { return []string{"code", "guessed", "iss", t.issuer.url} }, says: "invalid_grant"},
		"no iss":        {fields: func(_ *trip, code string) []string { return []string{"code", code} }, says: "(iss)"},
		"another iss":   {fields: func(_ *trip, code string) []string { return []string{"code", code, "iss", "https://evil.example"} }, says: "(iss)"},
		"two iss": {fields: func(t *trip, code string) []string {
			return []string{"code", code, "iss", t.issuer.url, "iss", t.issuer.url}
		}, says: "malformed"},
		"denied": {fields: func(t *trip, _ string) []string { return []string{"error", "access_denied", "iss", t.issuer.url} }, says: "access_denied"},
		"a hostile error": {fields: func(t *trip, _ string) []string {
			return []string{"error", "<script>alert(1)</script>", "error_description", "call 0900", "iss", t.issuer.url}
		}, says: "none of OAuth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			if m.issuer != nil {
				m.issuer(i)
			}
			r := newRig(t, i.upstream("acme"))
			b := newBrowser(t, r.url)
			trip := r.depart(b, i, "acme")
			claims := trip.claims("noor-1")
			if m.claims != nil {
				m.claims(claims)
			}
			fields := []string{"code", trip.code(claims), "iss", i.url}
			if m.fields != nil {
				fields = m.fields(trip, fields[1])
			}
			got := trip.back(append(fields, "state", trip.asked.Get("state"))...)
			want := m.code
			if want == "" {
				want = "provider_answer"
			}
			if got.code() != want || !strings.Contains(got.body, m.says) || b.cookie() != "" {
				t.Errorf("%d %s, want %s that says %s: %s", got.status, got.code(), want, m.says, said(got.body))
			}
			lacks(t, got.body, "<script>alert", "0900", "<b>no</b>", "a-shared-secret", accessToken)
			failed, down := r.events(id.Server, evidence.UserSignInFailed), want == "provider_down"
			if down != (len(failed) == 0) || !down && (failed[0].Why == nil || failed[0].Why.Code != want || failed[0].Outcome != evidence.Deny) {
				t.Errorf("the log has %+v", failed)
			}
			if len(r.events(id.Default, evidence.UserAdded)) != 0 {
				t.Error("somebody was added")
			}
			// Nothing of it can be used again.
			if again := trip.whole(trip.claims("noor-1")); again.code() != "wrong_browser" && again.code() != "ticket_spent" {
				t.Errorf("the state again: %d %s", again.status, again.code())
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// said is what a page says to its reader.
func said(body string) string {
	_, body, _ = strings.Cut(body, "<h1>")
	return regexp.MustCompile(`\s*<[^>]*>\s*`).ReplaceAllString(body, " ")
}

// twice is a well-signed ID token with a name that appears twice.
func (i *issuer) twice(claims map[string]any) string {
	body := fmt.Sprintf(`{"iss":%q,"aud":"attorn","sub":"noor-1","sub":"maya","nonce":%q,"iat":%d,"exp":%d}`, i.url, claims["nonce"], claims["iat"], claims["exp"])
	input := base64([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + base64([]byte(body))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		panic(err)
	}
	return input + "." + base64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// A state is good once, in the browser that left with it, from the provider that it left for, for ten minutes.
func TestUpstreamState(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	r := newRig(t, i.upstream("acme"), other.upstream("other"))

	b := newBrowser(t, r.url)
	trip := r.depart(b, i, "acme")
	if got := trip.backAt(newBrowser(t, r.url), "state", trip.asked.Get("state"), "code", trip.code(trip.claims("x")), "iss", i.url); got.code() != "wrong_browser" {
		t.Errorf("another browser: %s", got.code())
	}
	// An attacker lets the victim's browser finish what the attacker's began (login CSRF), while the victim signs in, too.
	victim, attacker := newBrowser(t, r.url), newBrowser(t, r.url)
	r.depart(victim, i, "acme")
	trip = r.depart(attacker, i, "acme")
	if got := trip.backAt(victim, "state", trip.asked.Get("state"), "code", trip.code(trip.claims("attacker")), "iss", i.url); got.code() != "wrong_browser" || victim.cookie() != "" {
		t.Errorf("login CSRF: %s", got.code())
	}
	if i.tokens != 0 {
		t.Error("a code was redeemed for a browser that did not leave")
	}
	// Mix-up: the browser left for one provider, and the answer comes to the other's callback.
	trip = r.depart(b, i, "acme")
	trip.name = "other"
	if got := trip.whole(trip.claims("x")); got.code() != "wrong_provider" || other.tokens != 0 {
		t.Errorf("mix-up: %s", got.code())
	}
	trip = r.depart(b, i, "acme")
	r.pass(10*time.Minute + time.Second)
	if got := trip.whole(trip.claims("x")); got.code() != "ticket_expired" {
		t.Errorf("late: %s", got.code())
	}
	// A code for another browser's challenge is worth nothing: its verifier stays with that browser.
	mine, theirs := r.depart(b, i, "acme"), r.depart(newBrowser(t, r.url), i, "acme")
	if got := mine.back("state", mine.asked.Get("state"), "code", theirs.code(theirs.claims("theirs")), "iss", i.url); got.code() != "provider_answer" || !strings.Contains(got.body, "invalid_grant") {
		t.Errorf("another's code: %s", got.code())
	}
	trip = r.depart(b, i, "acme")
	again := r.depart(b, i, "acme")
	if got := trip.whole(trip.claims("x")); got.code() != "wrong_browser" {
		t.Errorf("the window before: %s", got.code())
	}
	for name, state := range map[string]string{"none": "", "short": "x", "unknown": base64(make([]byte, 32))} {
		if got := again.back("state", state, "code", "x", "iss", i.url); got.status == http.StatusSeeOther || got.code() != "provider_answer" && got.code() != "ticket_unknown" {
			t.Errorf("state %s: %d %s", name, got.status, got.code())
		}
	}
	if got := again.whole(again.claims("x")); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, said(got.body))
	}
	if got := again.whole(again.claims("x")); got.code() != "wrong_browser" && got.code() != "ticket_spent" {
		t.Errorf("replayed: %s", got.code())
	}
	if got := b.form("/signin/oidc/nobody"); got.status != http.StatusNotFound {
		t.Errorf("a provider that is not: %d", got.status)
	}
	if got := b.get("/signin/oidc/acme"); got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
		t.Errorf("a GET begins: %d", got.status)
	}
	cross := func(q *http.Request) {
		q.Header.Set("Sec-Fetch-Site", "cross-site")
		q.Header.Set("Origin", "https://evil.example")
	}
	if got := b.send(http.MethodPost, "/signin/oidc/acme", "application/x-www-form-urlencoded", "", cross); got.status != http.StatusForbidden {
		t.Errorf("another site's page begins: %d", got.status)
	}
}

// Of many that come back with one state at once, one signs in; and of many first sign-ins of one subject, one makes the account.
func TestUpstreamAtOnce(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	const callers = 64
	b := newBrowser(t, r.url)
	one := r.depart(b, i, "acme")
	u, err := url.Parse(r.url)
	r.ok(err)
	cookies := b.http.Jar.Cookies(u)
	var in sync.Map
	var wg sync.WaitGroup
	for n := range callers {
		code := one.code(one.claims("x"))
		copied := newBrowser(t, r.url)
		copied.http.Jar.SetCookies(u, cookies)
		wg.Go(func() {
			got := one.backAt(copied, "state", one.asked.Get("state"), "code", code, "iss", i.url)
			if got.status == http.StatusSeeOther {
				in.Store(n, true)
			} else if c := got.code(); c != "ticket_spent" && c != "too_many" {
				t.Errorf("%d %s", got.status, c)
			}
		})
	}
	wg.Wait()
	n := 0
	in.Range(func(any, any) bool { n++; return true })
	if n != 1 || i.tokens != 1 {
		t.Errorf("%d signed in, %d codes were redeemed", n, i.tokens)
	}

	r.pass(2 * time.Minute)
	var trips []*trip
	for range 16 {
		b := newBrowser(t, r.url)
		trips = append(trips, r.depart(b, i, "acme"))
	}
	for _, each := range trips {
		wg.Go(func() {
			if got := each.whole(each.claims("newcomer")); got.status != http.StatusSeeOther {
				t.Errorf("%d %s", got.status, got.code())
			}
		})
	}
	wg.Wait()
	for _, each := range trips {
		if r.at(each.browser).id != r.at(trips[0].browser).id {
			t.Error("one subject became two people")
		}
	}
	if n := len(r.events(id.Default, evidence.UserAdded)); n != 2 {
		t.Errorf("%d people were added, want 2", n)
	}
}

// A provider that is down, or is none, keeps nobody from starting the server, says so on a page, and is asked again later.
func TestUpstreamDown(t *testing.T) {
	i := newIssuer(t)
	for name, c := range map[string]func(){
		"broken":          func() { i.serve[discovery] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) } },
		"no JSON":         func() { i.serve[discovery] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") } },
		"another issuer":  func() { i.change = func(m map[string]any) { m["issuer"] = "https://evil.example" } },
		"plain endpoints": func() { i.change = func(m map[string]any) { m["token_endpoint"] = "http://evil.example/token" } },
		"no endpoint":     func() { i.change = func(m map[string]any) { delete(m, "authorization_endpoint") } },
		"not a web page":  func() { i.change = func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" } },
		"redirected": func() {
			i.serve[discovery] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
		},
		"endless": func() {
			i.serve[discovery] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 600<<10)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			i.serve, i.change = map[string]http.HandlerFunc{}, nil
			r := newRig(t, i.upstream("acme"))
			b := newBrowser(t, r.url)
			contains(t, b.page("/signin"), "Sign in with acme")
			c()
			got := b.form("/signin/oidc/acme")
			if got.status != http.StatusServiceUnavailable || got.code() != "provider_down" || !strings.Contains(got.body, "acme cannot be reached") {
				t.Errorf("%d %s", got.status, said(got.body))
			}
			lacks(t, got.body, "evil.example", i.url)
			i.serve, i.change = map[string]http.HandlerFunc{}, nil
			if got := b.form("/signin/oidc/acme"); got.code() != "provider_down" {
				t.Errorf("it was asked again at once: %d", got.status)
			}
			r.pass(6 * time.Second)
			if got := r.depart(b, i, "acme").whole(nil); got.code() != "provider_answer" { // no claims at all
				t.Errorf("%d %s", got.status, said(got.body))
			}
			// Once known, it is not needed for a while, and longer where it is out of reach.
			r.pass(2 * time.Hour)
			c()
			r.depart(b, i, "acme")
		})
	}
}

const discovery = "/.well-known/openid-configuration"

// Who is not known gets no account where the provider may not make one, unless they are awaited by an address that the provider verified: once.
func TestUpstreamInvitation(t *testing.T) {
	i := newIssuer(t)
	known := i.upstream("acme")
	known.Create = false
	r := newRig(t, known)
	owner := r.firstOwner("Priya")
	if _, got := r.signInAt(i, "acme", "noor-1", nil); got.code() != "identity_unknown" {
		t.Errorf("%d %s", got.status, got.code())
	}
	noor, made, err := r.InviteEmail(t.Context(), owner.caller(), "Noor", "Noor@Acme.example")
	r.ok(err)
	for _, bad := range []string{"noor", "@acme.example", "noor@", "a@b@c", "noor@acme.example\n", "nöör@acme.example", strings.Repeat("n", 250) + "@acme.example"} {
		if _, _, err := r.InviteEmail(t.Context(), owner.caller(), "Noor", bad); fault.Code(err) != "email_invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, _, err := r.InviteEmail(t.Context(), owner.caller(), "Another", "noor@acme.example"); fault.Code(err) != "already_invited" {
		t.Errorf("%v", err)
	}
	for name, email := range map[string]map[string]any{
		"not verified":           {"email": "noor@acme.example"},
		"said not to be":         {"email": "noor@acme.example", "email_verified": false},
		"a text":                 {"email": "noor@acme.example", "email_verified": "true"},
		"another":                {"email": "maya@acme.example", "email_verified": true},
		"a look-alike":           {"email": "noor@аcme.example", "email_verified": true},
		"two":                    {"email": []string{"noor@acme.example"}, "email_verified": true},
		"in capitals, the claim": {"Email": "noor@acme.example", "email_verified": true},
	} {
		if _, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) {
			for k, v := range email {
				c[k] = v
			}
		}); got.code() != "identity_unknown" {
			t.Errorf("%s: %d %s", name, got.status, got.code())
		}
	}
	verified := func(c map[string]any) { c["email"], c["email_verified"] = "noor@acme.EXAMPLE", true }
	b, got := r.signInAt(i, "acme", "noor-1", verified)
	if got.status != http.StatusSeeOther || r.at(b).id != noor.ID {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	if _, _, _, err := r.SignInPage(t.Context(), made, "", ""); fault.Code(err) != "ticket_spent" { // or whoever made it would become her
		t.Errorf("the link, after she has arrived: %v", err)
	}
	changed := r.events(id.Default, evidence.UserChanged)
	if len(changed) != 1 || changed[0].What.User != noor.ID || changed[0].Who.Proof.Type != "oidc" {
		t.Errorf("%+v", changed)
	}
	if _, got := r.signInAt(i, "acme", "thief", verified); got.code() != "identity_unknown" {
		t.Errorf("the invitation again: %d %s", got.status, got.code())
	}
	if _, got := r.signInAt(i, "acme", "noor-1", nil); got.status != http.StatusSeeOther { // by the subject from now on
		t.Errorf("%d %s", got.status, said(got.body))
	}

	r.pass(time.Minute) // the limit forgets

	// Who used the link is not awaited any more, and an invitation ends.
	_, link, err := r.InviteEmail(t.Context(), owner.caller(), "Maya", "maya@acme.example")
	r.ok(err)
	r.join(link, "")
	mayas := func(c map[string]any) { c["email"], c["email_verified"] = "maya@acme.example", true }
	if _, got := r.signInAt(i, "acme", "maya-1", mayas); got.code() != "identity_unknown" {
		t.Errorf("after the link: %d %s", got.status, got.code())
	}
	_, _, err = r.InviteEmail(t.Context(), r.owner(owner), "Omar", "omar@acme.example")
	r.ok(err)
	r.pass(15 * 24 * time.Hour)
	if _, got := r.signInAt(i, "acme", "omar-1", func(c map[string]any) { c["email"], c["email_verified"] = "omar@acme.example", true }); got.code() != "identity_unknown" {
		t.Errorf("after its end: %d %s", got.status, got.code())
	}
}

// owner signs in again and is the caller.
func (r *rig) owner(p *person) *guard.Caller {
	r.t.Helper()
	if got := p.signIn(); got.status != http.StatusOK {
		r.t.Fatal(said(got.body))
	}
	return p.caller()
}

// To change how one signs in, one has just proved anew who one is; and another account is added by who signed in with a passkey.
func TestUpstreamStepUpAndLink(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	b, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) { c["auth_time"] = r.now().Unix() - 3600 })
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	contains(t, b.page("/passkey"), "Sign in again with acme", `name="fresh" value="1"`)
	if got := b.post("/passkey/begin", struct{}{}, nil); got.code() != "sign_in_old" {
		t.Errorf("an hour after signing in: %s", got.code())
	}
	for name, change := range map[string]func(map[string]any){
		"not said": func(c map[string]any) { delete(c, "auth_time") },
		"old":      func(c map[string]any) { c["auth_time"] = r.now().Unix() - 31 },
		"a text":   func(c map[string]any) { c["auth_time"] = "now" },
	} {
		trip := r.depart(b, i, "acme", "fresh", "1", "next", "/passkey")
		if trip.asked.Get("prompt") != "login" || trip.asked.Get("max_age") != "0" {
			t.Errorf("asked for %v", trip.asked)
		}
		c := trip.claims("noor-1")
		change(c)
		if got := trip.whole(c); got.code() != "provider_answer" || !strings.Contains(got.body, "(auth_time)") {
			t.Errorf("%s: %d %s", name, got.status, said(got.body))
		}
	}
	before := b.cookie()
	trip := r.depart(b, i, "acme", "fresh", "1", "next", "/passkey")
	c := trip.claims("noor-1")
	c["auth_time"] = r.now().Unix()
	if got := trip.whole(c); got.status != http.StatusSeeOther || got.header.Get("Location") != "/passkey" {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	if b.cookie() == before {
		t.Error("the session is the one of before the step-up")
	}
	lacks(t, b.page("/passkey"), "Sign in again with acme")
	b.makePasskey()
	noor := r.at(b).id

	// Not by the upstream sign-in, however fresh.
	if got := b.form("/signin/oidc/acme", "link", "1"); got.code() != "passkey_needed" {
		t.Errorf("%s", got.code())
	}
	if got := newBrowser(t, r.url).form("/signin/oidc/acme", "link", "1"); got.code() != "session_unknown" {
		t.Errorf("nobody links: %s", got.code())
	}
	if got := b.signIn(); got.status != http.StatusOK {
		t.Fatal(said(got.body))
	}
	contains(t, b.page("/account/upstream"), "noor-1", "Add your account at acme")
	trip = r.depart(b, i, "acme", "link", "1")
	if got := trip.whole(trip.claims("noor-at-home")); got.status != http.StatusSeeOther || got.header.Get("Location") != "/account/upstream" {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	contains(t, b.page("/account/upstream"), "noor-at-home")
	home, got := r.signInAt(i, "acme", "noor-at-home", nil)
	if got.status != http.StatusSeeOther || r.at(home).id != noor {
		t.Errorf("%d %s", got.status, said(got.body))
	}
	// What is somebody's is nobody else's, and what was begun is finished by who began it.
	_, got = r.signInAt(i, "acme", "maya-1", nil)
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	trip = r.depart(b, i, "acme", "link", "1")
	if got := trip.whole(trip.claims("maya-1")); got.code() != "identity_in_use" {
		t.Errorf("another's account: %s", got.code())
	}
	trip = r.depart(b, i, "acme", "link", "1")
	if got := b.form("/signout"); got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	if got := trip.whole(trip.claims("noor-3")); got.code() != "session_unknown" {
		t.Errorf("signed out meanwhile: %d %s", got.status, got.code())
	}
	if got := b.signIn(); got.status != http.StatusOK {
		t.Fatal(said(got.body))
	}
	r.pass(6 * time.Minute)
	if got := b.form("/signin/oidc/acme", "link", "1"); got.code() != "sign_in_old" {
		t.Errorf("six minutes after: %s", got.code())
	}
	remove := func() answer { return b.form("/account/upstream/remove", "issuer", i.url, "subject", "noor-at-home") }
	if got := remove(); got.code() != "sign_in_old" {
		t.Errorf("removed six minutes after: %s", got.code())
	}
	if got := b.signIn(); got.status != http.StatusOK {
		t.Fatal(said(got.body))
	}
	if got := remove(); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, said(got.body))
	}
	if got := remove(); got.status != http.StatusNotFound {
		t.Errorf("removed twice: %d", got.status)
	}
	lacks(t, b.page("/account/upstream"), "noor-at-home")
	if _, got := r.signInAt(i, "acme", "noor-at-home", nil); got.code() != "identity_ended" {
		t.Errorf("after it was removed: %d %s", got.status, got.code())
	}
	// The last way in stays.
	lone, got := r.signInAt(i, "acme", "lone", nil)
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	if got := lone.form("/account/upstream/remove", "issuer", i.url, "subject", "lone"); got.code() != "lockout" {
		t.Errorf("%d %s", got.status, got.code())
	}
	if got := lone.form("/account/upstream/remove", "issuer", i.url, "subject", "noor-1"); got.code() != "lockout" && got.status != http.StatusNotFound {
		t.Errorf("another's account was removed: %d", got.status)
	}
}

// A name is somebody else's text, on every page.
func TestUpstreamNames(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	for name, c := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"markup":   {map[string]any{"name": "<script>alert(1)</script>\u202e\n evil"}, "<script>alert(1)</script>\u202e evil"},
		"long":     {map[string]any{"name": strings.Repeat("é", 80)}, strings.Repeat("é", 50)},
		"parts":    {map[string]any{"name": nil, "given_name": "Noor", "family_name": "Haddad"}, "Noor Haddad"},
		"handle":   {map[string]any{"name": nil, "preferred_username": "noor"}, "noor"},
		"none":     {map[string]any{"name": nil}, "Somebody of acme"},
		"controls": {map[string]any{"name": "\x00\x1b\n"}, "Somebody of acme"},
		"a list":   {map[string]any{"name": []string{"x"}}, "Somebody of acme"},
	} {
		b, got := r.signInAt(i, "acme", name, func(claims map[string]any) {
			for k, v := range c.claims {
				if claims[k] = v; v == nil {
					delete(claims, k)
				}
			}
		})
		if got.status != http.StatusSeeOther {
			t.Errorf("%s: %d %s", name, got.status, said(got.body))
			continue
		}
		_, p, err := r.Session(t.Context(), b.cookie(), id.Default, "")
		if err != nil || p.Name != c.want {
			t.Errorf("%s: %q, %v", name, p.Name, err)
		}
		lacks(t, b.page("/"), "<script>alert", "\u202e")
	}
}

// How somebody signed in there is what policy decides on here.
func TestUpstreamAuthReachesPolicy(t *testing.T) {
	i := newIssuer(t)
	up := i.upstream("acme")
	r := newRig(t, up)
	r.makeGroups("platform")
	owner := r.firstOwner("Priya")
	owner.publish(`@id("team") permit (principal in Group::"platform", action == Action::"attorn:agent:read", resource);
@id("careful") forbid (principal, action == Action::"attorn:agent:read", resource) unless { context has auth && context.auth.acr >= 2 && context.auth.age < 300 };
@id("sure") permit (principal in Group::"platform", action == Action::"attorn:delegation:read", resource) when { context has auth && context.auth.acr >= 2 };`)
	may := func(change func(map[string]any)) string {
		t.Helper()
		b, got := r.signInAt(i, "acme", "noor-1", change)
		if got.status != http.StatusSeeOther {
			t.Fatal(said(got.body))
		}
		return fault.Code(r.May(t.Context(), r.at(b).caller(), "attorn:agent:read", "workspace"))
	}
	// Where it is not said when, the sign-in is old, but as sure as it was.
	b, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) {
		delete(c, "auth_time")
		c["groups"], c["amr"] = "Platform Team", "mfa"
	})
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	if err := r.May(t.Context(), r.at(b).caller(), "attorn:delegation:read", "workspace"); err != nil {
		t.Error(err)
	}
	team := func(c map[string]any) { c["groups"] = "Platform Team" }
	mfa := func(c map[string]any) { team(c); c["amr"] = []string{"mfa"} }
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"several factors":    {mfa, ""},
		"one factor":         {team, "forbidden"},
		"by acr":             {func(c map[string]any) { team(c); c["acr"] = "urn:acme:mfa" }, ""},
		"acr stands above":   {func(c map[string]any) { mfa(c); c["acr"] = "urn:acme:low" }, "forbidden"},
		"a while ago":        {func(c map[string]any) { mfa(c); c["auth_time"] = r.now().Unix() - 301 }, "forbidden"},
		"nobody knows when":  {func(c map[string]any) { mfa(c); delete(c, "auth_time") }, "forbidden"},
		"not in the group":   {func(c map[string]any) { c["amr"] = []string{"mfa"} }, "no_permit"},
		"by another's claim": {func(c map[string]any) { c["amr"], c["Groups"] = []string{"mfa"}, "Platform Team" }, "no_permit"},
	} {
		if got := may(c.change); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
