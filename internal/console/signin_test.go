package console_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

// kinds lists a log's newest events, the newest first, as "kind outcome code".
func (r *rig) kinds(ws id.Workspace, n int) (all []string) {
	r.t.Helper()
	found, err := r.log.Search(r.t.Context(), ws, audit.Filter{Limit: n})
	r.ok(err)
	for _, e := range found {
		line := string(e.Kind) + " " + string(e.Outcome)
		if e.Why != nil && e.Why.Code != "" {
			line += " " + e.Why.Code
		}
		all = append(all, line)
	}
	return all
}

func (r *rig) last(ws id.Workspace, want string) evidence.Event {
	r.t.Helper()
	found, err := r.log.Search(r.t.Context(), ws, audit.Filter{Limit: 1})
	r.ok(err)
	if got := r.kinds(ws, 1)[0]; got != want {
		r.t.Errorf("the newest event of %s is %q, want %q", ws, got, want)
	}
	return found[0].Event
}

func (b *browser) signedIn() bool { b.t.Helper(); return b.get("/").status == http.StatusOK }

func TestFirstAdministrator(t *testing.T) {
	r := newRig(t)
	secret, err := r.BootstrapLink(t.Context())
	r.ok(err)
	b := newBrowser(t, r.url)
	if got := b.get("/"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/signin" {
		t.Fatalf("not signed in: %d %s", got.status, got.header.Get("Location"))
	}
	contains(t, b.page("/signin/link"), `name="secret"`, `action="/signin/link"`)

	// The first administrator is asked for a name; neither that nor a bad one spends the link.
	got := b.form("/signin/link", "secret", r.url+"/signin/link#"+secret)
	if got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	contains(t, got.body, `name="name"`, `value="`+secret+`"`)
	got = b.form("/signin/link", "secret", secret, "name", "Priya\nNair")
	if got.status != http.StatusBadRequest {
		t.Errorf("a name of two lines: %d", got.status)
	}
	contains(t, got.body, "a person&#39;s name is one line")
	if b.cookie() != "" {
		t.Error("there is a session before the link was used")
	}
	got = b.form("/signin/link", "secret", secret, "name", " Priya Nair ")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/passkey" || b.cookie() == "" {
		t.Fatal(got.status, got.body)
	}
	contains(t, b.page("/"), "You have no passkey yet", "Priya Nair")
	b.makePasskey()
	lacks(t, b.page("/"), "You have no passkey yet")
	p := r.at(b)
	for _, ws := range []id.Workspace{id.Default, id.Server} {
		e := r.last(ws, "user.passkey_changed ok")
		if e.What.User != p.id || e.What.Credential != base64(b.key.ID()) || e.What.COSE != base64(b.key.Key().Bytes()) {
			t.Errorf("in %s: %+v", ws, e.What)
		}
	}

	other := newBrowser(t, r.url)
	if got := other.form("/signin/link", "secret", secret, "name", "Mallory"); got.status != http.StatusUnauthorized {
		t.Errorf("the link again: %d", got.status)
	} else {
		contains(t, got.body, "has been used already")
	}
	for _, unknown := range []string{"", "x", base64(make([]byte, 32)), "#", strings.Repeat("a", 3000)} {
		if got := other.form("/signin/link", "secret", unknown); got.status != http.StatusUnauthorized {
			t.Errorf("the secret %.10q: %d", unknown, got.status)
		}
	}
	if other.cookie() != "" {
		t.Error("a refused link opened a session")
	}
}

// Of 16 browsers that use one link at once, one gets a session.
func TestLinkIsGoodOnce(t *testing.T) {
	r := newRig(t)
	owner := r.firstOwner("Priya")
	_, secret, err := r.Invite(t.Context(), owner.caller(), "Maya")
	r.ok(err)
	var all sync.WaitGroup
	got := make([]int, 16)
	for i := range got {
		b := newBrowser(t, r.url)
		all.Go(func() { got[i] = b.form("/signin/link", "secret", secret).status })
	}
	all.Wait()
	count := map[int]int{}
	for _, status := range got {
		count[status]++
	}
	if count[http.StatusSeeOther] != 1 || count[http.StatusUnauthorized] != 10 || count[http.StatusTooManyRequests] != 5 {
		t.Error(count)
	}
}

func TestSignOutAndIn(t *testing.T) {
	r := newRig(t)
	p := r.firstOwner("Priya Nair")
	first := p.cookie()
	if got := p.send("POST", "/signout", "", ""); got.status != http.StatusSeeOther || got.header.Get("Location") != "/signin" {
		t.Fatal(got.status)
	}
	if p.cookie() != "" || p.signedIn() {
		t.Error("still signed in")
	}
	if _, _, err := r.Session(t.Context(), first, id.Default, ""); fault.Code(err) != "session_unknown" {
		t.Errorf("the session lives on: %v", err)
	}
	if got := p.signIn(); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if !p.signedIn() || p.cookie() == first {
		t.Error("not in a new session")
	}
	e := r.last(id.Default, "user.signed_in ok")
	if e.Who.Sub != p.id.String() || e.Who.Proof.Type != "passkey" {
		t.Errorf("%+v", e.Who)
	}
	r.last(id.Server, "user.signed_in ok")
	if got := p.get("/signin"); got.header.Get("Location") != "/" {
		t.Errorf("who is signed in is asked again: %d", got.status)
	}
}

func TestAfterSigningInOneIsWhereOneWas(t *testing.T) {
	r := newRig(t)
	b := newBrowser(t, r.url)
	approval := "/approvals/apr_06h0f90781vk507a4h5kak726g"
	if got := b.get(approval).header.Get("Location"); got != "/signin?next=%2Fapprovals%2Fapr_06h0f90781vk507a4h5kak726g" {
		t.Error(got)
	}
	for next, want := range map[string]string{
		approval: approval, "/passkey": "/passkey", "/": "/", "": "/", "//evil.example": "/", "https://evil.example/": "/", "/approvals/../signout": "/",
		"javascript:alert(1)": "/", "/events/evt_x": "/", approval + "\n": "/",
	} {
		contains(t, b.page("/signin?next="+strings.ReplaceAll(next, "\n", "%0A")), `data-next="`+want+`"`)
	}
}

// Whatever goes wrong, the answer is the same, and the log alone knows.
func TestSignInRefuses(t *testing.T) {
	r := newRig(t)
	p := r.firstOwner("Priya")
	maya := p.invite("Maya")
	begin := func(b *browser) (o options) { b.post("/signin/begin", struct{}{}, &o); return o }
	stranger := newBrowser(t, r.url)
	stranger.key.UserHandle = []byte(p.id.String())
	for name, c := range map[string]struct {
		answer func() []byte
		code   string // in the log
	}{
		"unknown credential": {func() []byte { o := begin(stranger); return stranger.key.SignIn(o.Challenge, o.RPID, r.url) }, "passkey_unknown"},
		"other origin":       {func() []byte { o := begin(p.browser); return p.key.SignIn(o.Challenge, o.RPID, "http://localhost:1") }, "passkey_origin"},
		"other party":        {func() []byte { o := begin(p.browser); return p.key.SignIn(o.Challenge, "example.com", r.url) }, "passkey_refused"},
		"own challenge":      {func() []byte { return p.key.SignIn(make([]byte, 32), "localhost", r.url) }, "ticket_unknown"},
		"other person": {func() []byte {
			o, key := begin(p.browser), *p.key
			key.UserHandle = []byte(maya.id.String())
			return key.SignIn(o.Challenge, o.RPID, r.url)
		}, "passkey_refused"},
		"challenge of a registration": {func() []byte {
			p.signIn()
			var o options
			p.post("/passkey/begin", struct{}{}, &o)
			return p.key.SignIn(o.Challenge, "localhost", r.url)
		}, "ticket_unknown"},
		"expired challenge": {func() []byte {
			o := begin(p.browser)
			r.pass(5*time.Minute + time.Second)
			return p.key.SignIn(o.Challenge, o.RPID, r.url)
		}, "ticket_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t, r.url)
			got := b.post("/signin/finish", c.answer(), nil)
			if got.status != http.StatusUnauthorized || got.code() != "sign_in_failed" || !strings.Contains(got.body, "signing in failed") || b.cookie() != "" {
				t.Errorf("%d %s", got.status, got.body)
			}
			r.last(id.Server, "user.sign_in_failed deny "+c.code)
		})
	}
	copied := newBrowser(t, r.url) // of a passkey that counts, and has counted further
	copied.key.UserHandle = []byte(p.id.String())
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.UserPasskeyChanged, evidence.OK, p.id.String(), "test"
	_, err := r.log.Record(t.Context(), d, func(tx *audit.Tx) error {
		_, err := r.People.AddPasskey(tx, people.NewPasskey{
			Credential: base64(copied.key.ID()), Person: p.id, COSE: copied.key.Key(), RPID: "localhost", Origin: r.url, SignCount: 5,
		})
		return err
	})
	r.ok(err)
	if got := copied.signIn(); got.code() != "sign_in_failed" || copied.cookie() != "" {
		t.Errorf("a copied passkey: %d %s", got.status, got.body)
	}
	r.last(id.Server, "user.sign_in_failed deny passkey_cloned")

	b := newBrowser(t, r.url)
	o := begin(b)
	once := p.key.SignIn(o.Challenge, o.RPID, r.url)
	if got := b.post("/signin/finish", once, nil); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if got := newBrowser(t, r.url).post("/signin/finish", once, nil); got.code() != "sign_in_failed" {
		t.Errorf("the same answer again: %d", got.status)
	}
	r.last(id.Server, "user.sign_in_failed deny ticket_spent")
	r.pass(time.Minute) // the limit forgets
	for _, body := range []string{"", "{}", "[]", `{"id":"AQID"}`, strings.Repeat("[", 60_000)} {
		if got := b.post("/signin/finish", []byte(body), nil); got.status != http.StatusBadRequest {
			t.Errorf("%.20q: %d", body, got.status)
		}
	}
	r.pass(time.Minute) // the limit forgets
	_, _, err = r.EndPerson(t.Context(), p.caller(), maya.id, "suspend", "left")
	r.ok(err)
	if got := maya.signIn(); got.code() != "sign_in_failed" {
		t.Errorf("suspended: %d %s", got.status, got.body)
	}
	r.last(id.Server, "user.sign_in_failed deny person_suspended")
}

func TestPasskeyRefuses(t *testing.T) {
	r := newRig(t)
	p := r.firstOwner("Priya")
	maya := p.invite("Maya")
	second := newBrowser(t, r.url)
	begin := func(p *person) (o options) { p.post("/passkey/begin", struct{}{}, &o); return o }
	o := begin(p)
	if len(o.Exclude) != 1 || o.Exclude[0].ID != base64(p.key.ID()) || string(o.User.ID) != p.id.String() || o.RP.ID != "localhost" {
		t.Errorf("asks for %+v", o)
	}
	for name, c := range map[string]struct {
		answer []byte
		code   string
	}{
		"somebody else's challenge": {second.key.Register(begin(maya).Challenge, "localhost", r.url), "ticket_unknown"},
		"other origin":              {second.key.Register(begin(p).Challenge, "localhost", "https://evil.example"), "passkey_origin"},
		"other party":               {second.key.Register(begin(p).Challenge, "evil.example", r.url), "passkey_refused"},
		"somebody else's passkey":   {maya.key.Register(begin(p).Challenge, "localhost", r.url), "key_in_use"},
	} {
		if got := p.post("/passkey/finish", c.answer, nil); got.status == http.StatusOK || got.code() != c.code {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		r.last(id.Default, "user.passkey_changed deny "+c.code)
	}
	if e := r.last(id.Server, r.kinds(id.Server, 1)[0]); e.What.COSE != "" || e.What.Credential != "" {
		t.Errorf("a refused passkey stands in the log as if it were one: %+v", e.What)
	}
	good := second.key.Register(o.Challenge, "localhost", r.url)
	if got := p.post("/passkey/finish", good, nil); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if got := p.post("/passkey/finish", good, nil); got.code() != "ticket_spent" {
		t.Errorf("again: %s", got.body)
	}
	r.pass(5*time.Minute + time.Second)
	if got := p.post("/passkey/begin", struct{}{}, nil); got.status != http.StatusForbidden || got.code() != "sign_in_old" {
		t.Errorf("an old sign-in: %d %s", got.status, got.body)
	}
}

func TestSessions(t *testing.T) {
	r := newRig(t)
	p := r.firstOwner("Priya")
	p.signIn()
	for range 10 { // seen every 20 minutes, it does not idle
		r.pass(20 * time.Minute)
		if !p.signedIn() {
			t.Fatal("a session ended while it was used")
		}
	}
	r.pass(30*time.Minute + time.Second)
	if p.signedIn() || p.cookie() != "" {
		t.Error("a session does not idle out, or its cookie stays")
	}
	p.signIn()
	for range 25 {
		r.pass(19 * time.Minute)
		p.get("/")
	}
	r.pass(6 * time.Minute)
	if p.signedIn() {
		t.Error("a session lives longer than 8 hours")
	}
	got := p.post("/passkey/begin", struct{}{}, nil)
	if got.status != http.StatusUnauthorized || got.code() != "session_unknown" {
		t.Errorf("without a session: %d %s", got.status, got.body)
	}
}

// Who signs in gets a session that nobody knew before, and the one that the browser came with ends, whoever put it there.
func TestSessionFixation(t *testing.T) {
	r := newRig(t)
	p := r.firstOwner("Priya")
	mallory := p.invite("Mallory")
	theirs := mallory.cookie()
	withTheirs := func(q *http.Request) { q.AddCookie(&http.Cookie{Name: "attorn-dev", Value: theirs}) }

	victim := newBrowser(t, r.url)
	victim.key = p.key
	var o options
	victim.post("/signin/begin", struct{}{}, &o, withTheirs)
	victim.post("/signin/finish", victim.key.SignIn(o.Challenge, o.RPID, r.url), &struct{}{}, withTheirs)
	if victim.cookie() == theirs || victim.cookie() == "" {
		t.Error("the session is one that somebody knew before")
	}
	if mallory.signedIn() {
		t.Error("the session that was put into the browser is still good")
	}
	made := "attorn-dev=" + base64(make([]byte, 32))
	if got := newBrowser(t, r.url).get("/", func(q *http.Request) { q.Header.Set("Cookie", made) }); got.status != http.StatusSeeOther {
		t.Errorf("an invented session: %d", got.status)
	}
	if got := newBrowser(t, r.url).get("/", func(q *http.Request) { q.Header.Set("Cookie", "attorn-dev="+victim.cookie()+"; "+made) }); got.status != http.StatusSeeOther {
		t.Errorf("two sessions at once: %d", got.status)
	}
	if got := victim.get("/", func(q *http.Request) { q.Header.Set("Authorization", "Bearer x") }); got.status != http.StatusOK {
		t.Errorf("pages read Authorization: %d", got.status)
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	r := newRig(t)
	p := r.firstOwner("Priya")
	r.pass(time.Minute)
	statuses := map[int]int{}
	for range 25 {
		statuses[p.post("/passkey/begin", struct{}{}, nil).status]++
	}
	if statuses[http.StatusOK] != 20 || statuses[http.StatusTooManyRequests] != 5 {
		t.Error("challenges:", statuses)
	}
	clear(statuses)
	b := newBrowser(t, r.url)
	for range 65 {
		statuses[b.post("/signin/begin", struct{}{}, nil).status]++
	}
	if statuses[http.StatusOK] != 60 || statuses[http.StatusTooManyRequests] != 5 {
		t.Error("sign-ins begun:", statuses)
	}
	r.pass(time.Minute)
	if got := b.post("/signin/begin", struct{}{}, nil); got.status != http.StatusOK {
		t.Errorf("a minute later: %d", got.status)
	}
}

// Ten sign-ins that fail in a minute, by whatever way, are all that a network has; those that succeed are not counted.
func TestFailedSignInsAreLimited(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	p := r.firstOwner("Priya")
	b := newBrowser(t, r.url)
	fail := map[string]func() answer{
		"passkey":  func() answer { return b.post("/signin/finish", struct{}{}, nil) },
		"link":     func() answer { return b.form("/signin/link", "secret", "x") },
		"provider": func() answer { return b.get("/signin/oidc/acme/callback?state=x") },
	}
	for name, do := range fail {
		r.pass(time.Minute)
		for range 12 {
			if got := p.signIn(); got.status != http.StatusOK {
				t.Fatalf("%s: who is right is refused: %d %s", name, got.status, got.body)
			}
		}
		for n := range 10 {
			if got := do(); got.status == http.StatusTooManyRequests || got.status < 400 {
				t.Fatalf("%s %d: %d", name, n, got.status)
			}
		}
		for other, do := range fail {
			if got := do(); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "60" {
				t.Errorf("%s after ten of %s: %d %s", other, name, got.status, got.header.Get("Retry-After"))
			}
		}
	}
}

func TestChallengeHas32Bytes(t *testing.T) {
	r := newRig(t)
	b := newBrowser(t, r.url)
	seen := map[string]bool{}
	for range 5 {
		var o options
		b.post("/signin/begin", struct{}{}, &o)
		if len(o.Challenge) != 32 || seen[jose.EncodeBase64(o.Challenge)] || len(o.Allow) != 0 {
			t.Errorf("%+v", o)
		}
		seen[jose.EncodeBase64(o.Challenge)] = true
	}
}
