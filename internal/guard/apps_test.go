package guard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// web is what other people's servers answer, by address.
type web struct {
	mu    sync.Mutex
	pages map[string]string
	age   time.Duration
	asked map[string]int
	began chan struct{} // where there is one, it is told of each request
	wait  chan struct{} // and answers wait until this is closed
}

func (w *web) Fetch(context.Context, string, bool) ([]byte, time.Duration, error) {
	return nil, 0, errors.New("not asked for here")
}

func (w *web) Metadata(ctx context.Context, url string) ([]byte, time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[url]++
	if wait := w.wait; wait != nil {
		began := w.began
		w.mu.Unlock()
		began <- struct{}{}
		select {
		case <-wait:
		case <-ctx.Done():
		}
		w.mu.Lock()
	}
	page, ok := w.pages[url]
	if !ok {
		return nil, 0, fault.New(fault.Unavailable, "fetch_refused", "the document could not be fetched: the answer's status is 404")
	}
	return []byte(page), w.age, ctx.Err()
}

func (w *web) count(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[url]
}

func (w *web) put(url, page string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[url] = page
}

const appAt = "https://app.example.com/client.json"

func document(address, more string) string {
	return fmt.Sprintf(`{"client_id":%q,"client_name":"App","redirect_uris":["https://app.example.com/cb"]%s}`, address, more)
}

func (r *rig) onWeb() *web {
	w := &web{pages: map[string]string{appAt: document(appAt, "")}, asked: map[string]int{}}
	r.Guard.Fetch = w
	return w
}

// What an app says about itself is kept for as long as its server says, five minutes at least and a day at most; what is wrong is not kept.
func TestAppIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	w := r.onWeb()
	look := func(asked int, code string) {
		t.Helper()
		a, err := r.App(t.Context(), appAt)
		if fault.Code(err) != code || w.count(appAt) != asked || err == nil && (a.ID != appAt || a.Host != "app.example.com") {
			t.Errorf("%+v, %v, asked %d times, want %d", a, err, w.count(appAt), asked)
		}
	}
	look(1, "")
	r.now = r.now.Add(5*time.Minute - time.Second)
	look(1, "")
	r.now = r.now.Add(time.Second)
	w.age = 10 * time.Minute
	look(2, "")
	r.now = r.now.Add(10*time.Minute - time.Second)
	look(2, "")
	r.now = r.now.Add(time.Second)
	w.age = 100 * time.Hour
	look(3, "")
	r.now = r.now.Add(24*time.Hour - time.Second)
	look(3, "")
	r.now = r.now.Add(-25 * time.Hour) // a clock that was set back
	look(4, "")
	r.now = r.now.Add(25 * time.Hour)
	w.put(appAt, document(appAt+"x", ""))
	look(5, "client_invalid")
	look(6, "client_invalid")
	delete(w.pages, appAt)
	look(7, "client_unknown")
	w.put(appAt, document(appAt, ""))
	look(8, "")
}

// A stranger learns nothing of why an address could not be asked, and what is no client_id asks nobody.
func TestAppUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	w := r.onWeb()
	_, err := r.App(t.Context(), "https://intranet.example/x")
	if fault.Code(err) != "client_unknown" || strings.Contains(err.Error(), "404") || fault.Of(err).Kind != fault.Invalid {
		t.Errorf("%v", err)
	}
	for _, client := range []string{
		"", "app", "app_" + strings.Repeat("0", 26), id.New[id.App](r.now).String(), id.New[id.Agent](r.now).String(), "https://app.example.com", "https://app.example.com:443/client.json", "http://app.example.com/client.json",
		"http://localhost:1/c", "https://127.0.0.1/c", "https://app.example.com/../x", "https://user@app.example.com/x",
	} {
		if _, err := r.App(t.Context(), client); fault.Code(err) != "client_unknown" {
			t.Errorf("%q: %v", client, err)
		}
	}
	if len(w.asked) != 1 {
		t.Error(w.asked)
	}
}

// A host is asked ten times in a minute, by whatever addresses; an app of it that was good before is not kept out by that.
func TestAppsPerHost(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	w := r.onWeb()
	if _, err := r.App(t.Context(), appAt); err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		address := fmt.Sprintf("https://app.example.com/%d", n)
		_, err := r.App(t.Context(), address)
		if want := map[bool]string{true: "client_unknown", false: "too_many"}[n < 9]; fault.Code(err) != want || want == "too_many" && (guard.RetryAfter(err) == 0 || w.count(address) != 0) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if _, err := r.App(t.Context(), "https://other.example.com/x"); fault.Code(err) != "client_unknown" {
		t.Error(err)
	}
	r.now = r.now.Add(59 * time.Second)
	if _, err := r.App(t.Context(), "https://app.example.com/20"); fault.Code(err) != "too_many" {
		t.Error(err)
	}
	w.pages["https://app.example.com/20"] = document("https://app.example.com/20", "")
	r.now = r.now.Add(time.Second)
	if _, err := r.App(t.Context(), "https://app.example.com/20"); err != nil {
		t.Error(err)
	}
	r.now = r.now.Add(5 * time.Minute) // both are asked for anew
	for n := range 12 {
		r.App(t.Context(), fmt.Sprintf("https://app.example.com/%d", n))
	}
	if _, err := r.App(t.Context(), appAt); err != nil {
		t.Errorf("kept out: %v", err)
	}
}

// Of many who ask for one app at once one asks its server; who stops waiting stops nobody else.
func TestAppIsAskedForOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	w := r.onWeb()
	w.began, w.wait = make(chan struct{}, 64), make(chan struct{})
	leaving, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := r.App(leaving, appAt); gone <- err }()
	<-w.began
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	done := make(chan map[string]int)
	go func() {
		done <- audittest.Together(t, []*rig{r}, 64, func(r *rig, _ int) error { _, err := r.App(context.Background(), appAt); return err })
	}()
	close(w.wait)
	if codes := <-done; codes[""] != 64 || w.count(appAt) != 1 {
		t.Error(codes, w.count(appAt))
	}
	w.put(appAt+"2", "{}")
	w.wait = make(chan struct{})
	go func() {
		done <- audittest.Together(t, []*rig{r}, 64, func(r *rig, _ int) error { _, err := r.App(context.Background(), appAt+"2"); return err })
	}()
	close(w.wait)
	if codes := <-done; codes["client_invalid"]+codes["too_many"] != 64 || w.count(appAt+"2") > 10 {
		t.Error(codes, w.count(appAt+"2"))
	}
}

// What is kept has a bound.
func TestAppsAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	w := r.onWeb()
	for n := range 1100 {
		address := fmt.Sprintf("https://a%d.example.com/c", n)
		w.put(address, document(address, ""))
		if _, err := r.App(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	again := 0
	for n := range 1100 {
		address := fmt.Sprintf("https://a%d.example.com/c", n)
		if _, err := r.App(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		again += w.count(address) - 1
	}
	if again < 100 {
		t.Errorf("only %d were forgotten", again)
	}
}

// An app with keys proves itself by one of them, always; one without is only named. Each other combination is refused.
func TestProveApp(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	w := r.onWeb()
	ed := newSigner(t)
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.ok(err)
	es, err := jose.NewES256Signer(priv)
	r.ok(err)
	const inline, apart = "https://app.example.com/inline", "https://app.example.com/apart"
	w.put(inline, document(inline, fmt.Sprintf(`,"jwks":{"keys":[%s,%s]}`, ed.Public().JWK(), es.Public().JWK())))
	w.put(apart, document(apart, `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/keys"`))
	w.put("https://app.example.com/keys", fmt.Sprintf(`{"keys":[%s]}`, ed.Public().JWK()))
	assert := func(s jose.Signer, client, audience string) string {
		raw, err := token.SignAssertion(s, client, audience, rand.Text(), r.now, time.Minute)
		r.ok(err)
		return raw
	}
	forged := strings.Split(assert(ed, inline, issuer), ".")
	forged[2] = strings.Split(assert(ed, apart, issuer), ".")[2] // by the key, of something else
	for what, c := range map[string]struct {
		client, assertion, want string
	}{
		"forged": {inline, strings.Join(forged, "."), "invalid_client"}, "public": {appAt, "", ""}, "Ed25519": {inline, assert(ed, inline, issuer), ""}, "ES256": {inline, assert(es, inline, issuer), ""}, "without client_id": {"", assert(ed, inline, issuer), ""},
		"keys elsewhere": {apart, assert(ed, apart, issuer), ""}, "no assertion": {inline, "", "invalid_client"}, "an assertion of a public one": {appAt, assert(ed, appAt, issuer), "invalid_client"},
		"another key": {inline, assert(newSigner(t), inline, issuer), "invalid_client"}, "not its own": {apart, assert(es, apart, issuer), "invalid_client"}, "another's assertion": {inline, assert(ed, apart, issuer), "invalid_client"},
		"another server": {inline, assert(ed, inline, "https://other.example"), "invalid_client"}, "nothing": {"", "", "invalid_client"}, "unknown": {"https://other.example.com/x", "", "invalid_client"}, "garbage": {inline, "a.b.c", "invalid_client"},
	} {
		got, err := r.ProveApp(t.Context(), guard.ClientProof{ClientID: c.client, Assertion: c.assertion})
		if fault.Code(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil && (len(got.Once) == 1) != (c.assertion != "") {
			t.Errorf("%s: %+v", what, got)
		}
	}
	// As a client of introspection and revocation, and nowhere else.
	if c, err := r.AuthenticateClient(t.Context(), guard.ClientProof{Assertion: assert(ed, inline, issuer)}); err != nil || c.ID() != inline || c.Key() != ed.Public().Thumbprint() {
		t.Error(err)
	}
	url := issuer + "/oauth/token"
	if _, err := r.AuthenticateClient(t.Context(), guard.ClientProof{Method: "POST", URL: url, Assertion: assert(ed, inline, issuer), DPoP: []string{r.proof(ed, "POST", url, "")}, NeedDPoP: true}); fault.Code(err) != "invalid_client" {
		t.Error(err)
	}
	// A key that is new is found, once a minute at most; one that was taken away is no key any more after that.
	next := newSigner(t)
	w.put("https://app.example.com/keys", fmt.Sprintf(`{"keys":[%s]}`, next.Public().JWK()))
	prove := func(s jose.Signer) string {
		_, err := r.ProveApp(t.Context(), guard.ClientProof{ClientID: apart, Assertion: assert(s, apart, issuer)})
		return fault.Code(err)
	}
	if got := prove(next); got != "invalid_client" {
		t.Errorf("at once: %q", got)
	}
	r.now = r.now.Add(time.Minute)
	if got := prove(next); got != "" {
		t.Errorf("a minute later: %q", got)
	}
	if got := prove(ed); got != "invalid_client" {
		t.Errorf("the key that was taken away: %q", got)
	}
	// Keys that are no good are not kept either.
	const later = "https://app.example.com/later"
	w.put(later, document(later, `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/laterkeys"`))
	for set, want := range map[string]string{"": "client_unknown", `{"keys":[]}`: "client_invalid", fmt.Sprintf(`{"keys":[%s]}`, ed.Public().JWK()): ""} {
		if delete(w.pages, later+"keys"); set != "" {
			w.put(later+"keys", set)
		}
		r.now = r.now.Add(24 * time.Hour)
		for range 2 {
			if a, err := r.App(t.Context(), later); fault.Code(err) != want || err == nil && len(a.Keys) != 1 {
				t.Errorf("%q: %+v, %v", set, a, err)
			}
		}
	}
}

// A rule is an event that is understood by itself, and what it takes away ends: everything of the workspace is looked at again.
func TestClientRules(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := newRig(t, dsn)
		ann := r.firstOwner("Ann")
		stands := func(bearer bool, want string) {
			t.Helper()
			if err := r.ClientStands(t.Context(), id.Default, appAt, bearer); fault.Code(err) != want {
				t.Errorf("%v, want %q", err, want)
			}
		}
		stands(false, "")
		stands(true, "bearer_not_allowed")
		set := func(rule clients.Rule) evidence.Receipt {
			t.Helper()
			_, got, err := r.SetClientRule(t.Context(), ann.api(), rule)
			r.ok(err)
			return got
		}
		set(clients.Rule{Client: "https://app.example.com/*", Allow: true, Bearer: true})
		stands(true, "")
		got := set(clients.Rule{Client: appAt, Reason: "it leaks"})
		stands(false, "client_denied")
		stands(true, "client_denied")
		e, err := r.log.Event(t.Context(), id.Default, got.ID)
		r.ok(err)
		if e.Kind != evidence.ClientChanged || e.What.Client != appAt || e.What.Status != guard.AppsDenied || e.What.Rule.IsZero() || e.What.Text == nil || !contains(e.Touches(), evidence.Workspace) {
			t.Errorf("%+v %+v", e, e.What)
		}
		if raw, err := r.log.Content(t.Context(), e.What.Rule); err != nil || !strings.Contains(string(raw), appAt) || strings.Contains(string(raw), "leaks") {
			t.Errorf("%s, %v", raw, err)
		}
		if _, got, err = r.RemoveClientRule(t.Context(), ann.api(), appAt); err != nil {
			t.Fatal(err)
		}
		stands(true, "")
		for what, c := range map[string]struct {
			client, want string
		}{"not there": {appAt, "not_found"}, "no pattern": {"x", "rule_invalid"}, "": {"", "rule_invalid"}} {
			if _, _, err := r.RemoveClientRule(t.Context(), ann.api(), c.client); fault.Code(err) != c.want {
				t.Errorf("%s: %v", what, err)
			}
		}
		for what, rule := range map[string]clients.Rule{"bearer without leave": {Client: "*", Bearer: true}, "no pattern": {Client: "https://x"}, "local": {Client: "http://localhost:1/*"}} {
			if _, _, err := r.SetClientRule(t.Context(), ann.api(), rule); fault.Code(err) != "rule_invalid" {
				t.Errorf("%s: %v", what, err)
			}
		}
		noor := ann.invite("Noor")
		if _, _, err := r.SetClientRule(t.Context(), noor.api(), clients.Rule{Client: "*", Allow: true, Bearer: true}); fault.Code(err) != "no_permit" {
			t.Error(err)
		}
		if _, _, err := r.RemoveClientRule(t.Context(), noor.api(), "https://app.example.com/*"); fault.Code(err) != "no_permit" {
			t.Error(err)
		}
	})
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// An invitation registers one app, of 64 that come with it at once on every node; what is not acceptable leaves it good.
func TestInvitedAppOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, func(t testing.TB, dsn string) *rig { return newRig(t, dsn) })
		for _, n := range nodes {
			n.Registration = guard.RegisterByToken
		}
		r := nodes[0]
		ann := r.firstOwner("Ann")
		secret, life, err := r.InviteApp(t.Context(), ann.api())
		if err != nil || life != 24*time.Hour {
			t.Fatal(life, err)
		}
		good := []byte(`{"client_name":"App","redirect_uris":["https://app.example.com/cb"]}`)
		ask := func(r *rig, raw []byte, token string) (clients.App, error) {
			a, _, err := r.RegisterApp(context.Background(), guard.AppAsk{Metadata: raw, Token: token, IP: "203.0.113.7"})
			return a, err
		}
		for what, c := range map[string]struct {
			raw         []byte
			token, want string
		}{
			"not acceptable": {[]byte(`{}`), secret, "redirect_invalid"}, "none": {good, "", "ticket_unknown"}, "another": {good, strings.Repeat("A", 43), "ticket_unknown"},
		} {
			if _, err := ask(r, c.raw, c.token); fault.Code(err) != c.want {
				t.Errorf("%s: %v", what, err)
			}
		}
		var mu sync.Mutex
		var made clients.App
		codes := audittest.Together(t, nodes, 64, func(r *rig, _ int) error {
			a, err := ask(r, good, secret)
			if err == nil {
				mu.Lock()
				made = a
				mu.Unlock()
			}
			return err
		})
		if codes[""] != 1 || codes["ticket_spent"] != 63 {
			t.Fatal(codes)
		}
		if a, err := r.App(t.Context(), made.ID); err != nil || a.Name != "App" || !a.DynamicallyRegistered {
			t.Errorf("%+v, %v", a, err)
		}
		if err := r.ClientStands(t.Context(), id.Default, made.ID, false); err != nil {
			t.Error(err)
		}
		app, err := id.Parse[id.App](made.ID)
		r.ok(err)
		got, err := r.RemoveApp(t.Context(), ann.api(), app)
		r.ok(err)
		if e, err := r.log.Event(t.Context(), id.Default, got.ID); err != nil || !contains(e.Touches(), evidence.Workspace) {
			t.Errorf("%+v, %v", e, err)
		}
		if err := r.ClientStands(t.Context(), id.Default, made.ID, false); fault.Code(err) != "client_denied" {
			t.Errorf("after its end: %v", err)
		}
		if _, err := r.RemoveApp(t.Context(), ann.api(), app); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		secret, _, err = r.InviteApp(t.Context(), ann.api())
		r.ok(err)
		r.now = r.now.Add(24 * time.Hour)
		if _, err := ask(r, good, secret); fault.Code(err) != "ticket_expired" {
			t.Error(err)
		}
		secret, _, err = r.InviteApp(t.Context(), ann.api())
		r.ok(err)
		for how, want := range map[guard.AppRegistration]string{guard.RegisterOff: "registration_off", "": "registration_off", guard.RegisterOpen: "registration_open"} {
			r.Registration = how
			if _, _, err := r.InviteApp(t.Context(), ann.api()); fault.Code(err) != want {
				t.Errorf("%q: %v", how, err)
			}
		}
		r.Registration = guard.RegisterOff
		if _, err := ask(r, good, secret); fault.Code(err) != "registration_off" {
			t.Error(err)
		}
	})
}

// The end of an app is told in every workspace that knows it, and in no other: whoever follows a log there hears of it.
func TestAppEndsWhereItIsKnown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := newRig(t, dsn)
		r.Registration = guard.RegisterByToken
		ann := r.firstOwner("Ann")
		knows, knowsNot := id.Workspace{}, id.Workspace{}
		for name, ws := range map[string]*id.Workspace{"knows": &knows, "knows-not": &knowsNot} {
			made, err := r.CreateWorkspace(t.Context(), ann.api(), people.Workspace{Name: workspace(name), PublishOwner: "id"})
			r.ok(err)
			*ws = made.Name
		}
		secret, _, err := r.InviteApp(t.Context(), ann.api())
		r.ok(err)
		app, _, err := r.RegisterApp(t.Context(), guard.AppAsk{
			Metadata: []byte(`{"client_name":"App","redirect_uris":["https://app.example.com/cb"]}`), Token: secret, IP: "203.0.113.7",
		})
		r.ok(err)
		for _, ws := range []id.Workspace{id.Default, knows} {
			d := evidence.Draft{Workspace: ws}
			d.Kind, d.Outcome, d.Who.Sub = evidence.DecisionMade, evidence.OK, evidence.ServerSub
			_, err := r.log.Record(t.Context(), d, func(tx *audit.Tx) error {
				return r.Clients.RememberApp(tx, clients.AppAgent{Workspace: ws, Client: app.ID, Person: ann.user, Agent: id.New[id.Agent](r.now)}, id.Agent{})
			})
			r.ok(err)
		}
		key, err := id.Parse[id.App](app.ID)
		r.ok(err)
		_, err = r.RemoveApp(t.Context(), ann.api(), key)
		r.ok(err)
		for ws, n := range map[id.Workspace]int{id.Default: 1, knows: 1, knowsNot: 0} {
			told, err := r.log.Search(t.Context(), ws, audit.Filter{Kind: evidence.ClientRemoved})
			if err != nil || len(told) != n {
				t.Errorf("%s: %d, %v", ws, len(told), err)
			}
			for _, e := range told {
				if !contains(e.Touches(), evidence.Workspace) || e.What.Client != app.ID {
					t.Errorf("%s: %+v", ws, e.What)
				}
			}
		}
	})
}

// Who consented to what is the person's own to see, and an administrator's.
func TestConsentedApps(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := newRig(t, dsn)
		ann := r.firstOwner("Ann")
		noor := ann.invite("Noor")
		d := evidence.Draft{Workspace: id.Default}
		d.Kind, d.Outcome, d.Who.Sub = evidence.DecisionMade, evidence.OK, evidence.ServerSub
		_, err := r.log.Record(t.Context(), d, func(tx *audit.Tx) error {
			return r.Clients.RememberApp(tx, clients.AppAgent{Workspace: id.Default, Client: appAt, Person: noor.user, Agent: id.New[id.Agent](r.now), Seen: clients.Seen{Name: "App"}}, id.Agent{})
		})
		r.ok(err)
		for what, c := range map[string]struct {
			who  *party
			q    clients.AppQuery
			n    int
			want string
		}{
			"all": {ann, clients.AppQuery{}, 1, ""}, "none of hers": {ann, clients.AppQuery{Person: ann.user}, 0, ""}, "her own": {noor, clients.AppQuery{Person: noor.user}, 1, ""},
			"all, by nobody": {noor, clients.AppQuery{}, 0, "no_permit"}, "another's": {noor, clients.AppQuery{Person: ann.user}, 0, "no_permit"},
		} {
			got, err := r.ConsentedApps(t.Context(), c.who.api(), c.q)
			if fault.Code(err) != c.want || len(got) != c.n || c.n == 1 && (got[0].Client != appAt || !got[0].Rule.Allow) {
				t.Errorf("%s: %+v, %v", what, got, err)
			}
		}
	})
}
