package guard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

const (
	callback = "http://127.0.0.1:5173/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	s256     = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// app registers a program that says what metadata says.
func (r *rig) app(metadata string) string {
	r.t.Helper()
	m, err := clients.ParseRegistration([]byte(metadata))
	r.ok(err)
	app := id.New[id.App](r.now)
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.ClientRegistered, evidence.OK, evidence.ServerSub, "test"
	_, err = r.log.Record(r.t.Context(), d, func(tx *audit.Tx) error {
		_, err := r.Clients.RegisterApp(tx, app, id.Default, m)
		return err
	})
	r.ok(err)
	return app.String()
}

const desktop = `{"client_name":"Desktop","redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"]}`

// request is what an app asks for.
func request(client string, permissions ...string) guard.AuthRequest {
	r := guard.AuthRequest{Client: client, Redirect: callback, State: "s", Challenge: s256, Resources: []string{files}}
	for _, p := range permissions {
		r.Permissions = append(r.Permissions, delegation.Permission{Permission: p})
	}
	return r
}

func (r *rig) begin(a guard.AuthRequest) string {
	r.t.Helper()
	handle, err := r.BeginConsent(r.t.Context(), a, "203.0.113.7")
	r.ok(err)
	return handle
}

// soft is a passkey of the party's, made in a browser where they have just signed in.
func (p *party) soft(c *guard.Caller) *attorntest.SoftPasskey {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.ok(err)
	soft := attorntest.NewSoftPasskey(key)
	o, err := p.BeginPasskey(p.t.Context(), c)
	p.ok(err)
	soft.UserHandle = o.User.ID
	challenge, err := jose.DecodeBase64(o.Challenge)
	p.ok(err)
	_, err = p.FinishPasskey(p.t.Context(), c, soft.Register(challenge, "localhost", issuer), "test")
	p.ok(err)
	return soft
}

// byPasskey is the party in a browser, signed in with a passkey now.
func (p *party) byPasskey(soft *attorntest.SoftPasskey) *guard.Caller {
	p.t.Helper()
	o, err := p.BeginSignIn(p.t.Context())
	p.ok(err)
	challenge, err := jose.DecodeBase64(o.Challenge)
	p.ok(err)
	session, _, err := p.FinishSignIn(p.t.Context(), soft.SignIn(challenge, "localhost", issuer), "")
	p.ok(err)
	c, _, err := p.Session(p.t.Context(), session, id.Default, "")
	p.ok(err)
	return c
}

func signed(t testing.TB, st delegation.Statement, soft *attorntest.SoftPasskey) delegation.Signed {
	t.Helper()
	digest, err := st.Digest()
	if err != nil {
		t.Fatal(err)
	}
	raw := digest.Bytes()
	a := soft.Assert(raw[:], "localhost", issuer)
	return delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: &a}}
}

// TestConsent: what a person is shown and signs becomes an agent of theirs and a delegation to it, in one commit with the end of the question.
func TestConsent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		app, c := s.app(desktop), s.maya.session()
		soft := s.maya.soft(c)
		handle := s.begin(request(app, "tool:files:read", "tool:files:write"))
		x, err := s.Consent(t.Context(), c, handle)
		s.ok(err)
		if !x.Agent.IsZero() || x.App.Name != "Desktop" || !x.Loopback || x.Bearer || x.Before != nil || !x.Passkey || x.StepUp || x.TTL != 7*24*time.Hour ||
			x.Expires.Sub(s.now) > 10*time.Minute || len(x.Lend) != 1 || x.Lend[0].Name != "files" || len(x.Lend[0].Permissions) != 2 || x.Lend[0].Permissions[1].Index != 1 ||
			!strings.HasPrefix(x.AgentName, "desktop-") || !agents.GoodName(x.AgentName) {
			t.Errorf("%+v", x)
		}
		st, err := s.ProposeConsent(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{1}, TTL: time.Hour, Uses: 3, Task: "T-1", Purpose: "to tidy up"})
		s.ok(err)
		if len(st.Permissions) != 1 || st.Permissions[0].Permission != "tool:files:write" || st.ExpiresAt-st.NotBefore != 3600 || *st.MaxUses != 3 || st.MaxDepth != 0 || st.Task != "T-1" {
			t.Errorf("%+v", st)
		}
		resume, err := s.GiveConsent(t.Context(), c, handle, signed(t, st, soft))
		s.ok(err)
		if len(resume) != 43 {
			t.Errorf("resume %q", resume)
		}
		a, err := s.Agents.Agent(t.Context(), id.Default, st.Delegate.Agent)
		if err != nil || a.Owner != s.maya.user || a.Name != x.AgentName || a.Live(s.now) != nil {
			t.Errorf("%+v, %v", a, err)
		}
		made, lent := s.newest(audit.Filter{Kind: evidence.AgentRegistered}), s.newest(audit.Filter{Kind: evidence.DelegationLent})
		if made.What.Agent != a.ID || made.What.User != s.maya.user || made.What.Client != app || lent.What.Delegation != st.ID || lent.Rev != made.Rev+1 || lent.What.Link.IsZero() {
			t.Errorf("%s\n%s", made.Body, lent.Body)
		}
		d, err := s.Lending.Get(t.Context(), id.Default, st.ID)
		if err != nil || d.Link.Delegator.Passkey == nil {
			t.Errorf("%+v, %v", d, err)
		}
		_, err = s.Consent(t.Context(), c, handle)
		wants(t, "looking again", err, "ticket_spent")

		handle = s.begin(request(app))
		x, err = s.Consent(t.Context(), c, handle)
		if err != nil || x.Agent != a.ID || x.Before == nil || x.Before.Name != "Desktop" || x.Before.RedirectHost != "127.0.0.1:5173" || len(x.Before.Permissions) != 1 ||
			x.Lend[0].Permissions[0].Permission.Permission != "tool:files:*" {
			t.Errorf("the second time: %+v, %v", x, err)
		}
		_, err = s.RefuseConsent(t.Context(), c, handle)
		s.ok(err)
		if e := s.newest(audit.Filter{Kind: evidence.DelegationRefused}); e.Who.Sub != s.maya.user.String() || e.What.Client != app {
			t.Errorf("%s", e.Body)
		}
	})
}

// TestConsentWithoutPasskey: the server says how the person signed in, as long as they have no passkey.
func TestConsentWithoutPasskey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		app, c := s.app(desktop), s.maya.session()
		handle := s.begin(request(app))
		_, err := s.GiveConsentAttested(t.Context(), c, handle, guard.ConsentChoice{})
		wants(t, "nothing chosen", err, "choice_invalid")
		_, err = s.GiveConsentAttested(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{0}})
		s.ok(err)
		lent := s.newest(audit.Filter{Kind: evidence.DelegationLent})
		d, err := s.Lending.Get(t.Context(), id.Default, lent.What.Delegation)
		if err != nil || d.Link.Delegator.Attested == nil || d.Link.Delegator.Attested.Method != "link" || d.Link.Delegator.Attested.AuthTime != s.now.Unix() {
			t.Errorf("%+v, %v", d.Link, err)
		}
		handle = s.begin(request(app))
		s.maya.soft(s.maya.session())
		_, err = s.GiveConsentAttested(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{0}})
		wants(t, "with a passkey", err, "passkey_needed")
	})
}

// TestConsentIsNeverWider: in no dimension is more lent than was asked for, by nobody but who was asked.
func TestConsentIsNeverWider(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		app, c := s.app(desktop), s.maya.session()
		soft := s.maya.soft(c)
		r := request(app, "tool:files:read")
		r.Task = guard.TaskAsk{Task: "T-1", ExpiresIn: 3600, MaxUses: 5, MaxDepth: 1}
		handle := s.begin(r)
		good, err := s.ProposeConsent(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{0}})
		s.ok(err)
		for name, change := range map[string]func(*delegation.Statement){
			"permission": func(st *delegation.Statement) { st.Permissions[0].Permission = "tool:files:*" },
			"time":       func(st *delegation.Statement) { st.ExpiresAt += 2 },
			"uses":       func(st *delegation.Statement) { n := int64(6); st.MaxUses = &n },
			"no limit":   func(st *delegation.Statement) { st.MaxUses = nil },
			"depth":      func(st *delegation.Statement) { st.MaxDepth = 2 },
			"task":       func(st *delegation.Statement) { st.Task = "T-2" },
			"no task":    func(st *delegation.Statement) { st.Task = "" },
		} {
			st := good
			st.ID = id.New[id.Delegation](s.now)
			st.Permissions = append([]delegation.Permission(nil), good.Permissions...)
			change(&st)
			_, err := s.GiveConsent(t.Context(), c, handle, signed(t, st, soft))
			wants(t, name, err, "widens")
		}
		for name, change := range map[string]func(*delegation.Statement){
			"another agent":     func(st *delegation.Statement) { st.Delegate.Agent = s.bot.agent },
			"an instance":       func(st *delegation.Statement) { st.Delegate.Instance = s.bot.signer.Public().Thumbprint() },
			"another issuer":    func(st *delegation.Statement) { st.Issuer = "https://other.example" },
			"another workspace": func(st *delegation.Statement) { st.Workspace = id.Server },
			"later":             func(st *delegation.Statement) { st.NotBefore += 60 },
		} {
			st := good
			change(&st)
			_, err := s.GiveConsent(t.Context(), c, handle, signed(t, st, soft))
			wants(t, name, err, "statement_invalid")
		}
		other := good
		other.Delegator.User = s.priya.user
		_, err = s.GiveConsent(t.Context(), c, handle, signed(t, other, soft))
		wants(t, "in another's name", err, "key_mismatch")
		unsigned := signed(t, good, soft)
		unsigned.Signature = delegation.Signature{Type: delegation.ByAttested}
		if _, err = s.GiveConsent(t.Context(), c, handle, unsigned); err == nil {
			t.Error("attested by whoever asks")
		}
		for name, ch := range map[string]guard.ConsentChoice{
			"depth": {Keep: []int{0}, Depth: 2}, "uses": {Keep: []int{0}, Uses: 6}, "time": {Keep: []int{0}, TTL: 2 * time.Hour}, "task": {Keep: []int{0}, Task: "T-3"},
		} {
			_, err := s.ProposeConsent(t.Context(), c, handle, ch)
			wants(t, name, err, "widens")
		}
		_, err = s.ProposeConsent(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{1}})
		wants(t, "what was not asked for", err, "choice_invalid")

		theirs := s.priya.session()
		_, err = s.Consent(t.Context(), theirs, handle)
		wants(t, "another person", err, "wrong_person")
		_, err = s.RefuseConsent(t.Context(), theirs, handle)
		wants(t, "another person's no", err, "wrong_person")
		_, err = s.Consent(t.Context(), s.maya.api(), handle)
		wants(t, "with a token", err, "not_a_person")
		_, err = s.GiveConsent(t.Context(), c, handle, signed(t, good, soft))
		wants(t, "the good one", err, "")
		_, err = s.GiveConsent(t.Context(), c, handle, signed(t, good, soft))
		wants(t, "again", err, "ticket_spent")

		late := s.begin(r)
		st, err := s.ProposeConsent(t.Context(), c, late, guard.ConsentChoice{Keep: []int{0}})
		s.ok(err)
		s.now = s.now.Add(10 * time.Minute)
		_, err = s.GiveConsent(t.Context(), c, late, signed(t, st, soft))
		wants(t, "too late", err, "ticket_expired")
	})
}

// TestConsentSignsInAgain: a client may ask for a sign-in of now, or for a better one.
func TestConsentSignsInAgain(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	app, c := s.app(desktop), s.maya.session()
	s.now = s.now.Add(time.Minute)
	old, exact := int64(0), int64(60)
	for name, x := range map[string]struct {
		change func(*guard.AuthRequest)
		again  bool
	}{
		"login":   {func(r *guard.AuthRequest) { r.Prompt = []string{"login"} }, true},
		"consent": {func(r *guard.AuthRequest) { r.Prompt = []string{"consent"} }, false},
		"max_age": {func(r *guard.AuthRequest) { r.MaxAge = &old }, true},
		"young":   {func(r *guard.AuthRequest) { r.MaxAge = &exact }, false},
		"other acr": {func(r *guard.AuthRequest) {
			r.ACR = []string{"urn:else", "urn:attorn:acr:0", "urn:attorn:acr:4", "0", "phr"}
		}, false},
	} {
		r := request(app)
		x.change(&r)
		handle := s.begin(r)
		seen, err := s.Consent(t.Context(), c, handle)
		if err != nil || seen.StepUp != x.again {
			t.Errorf("%s: %v, %v", name, seen.StepUp, err)
		}
		_, err = s.GiveConsentAttested(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{0}})
		if (fault.Code(err) == "sign_in_old") != x.again {
			t.Errorf("%s: %v", name, err)
		}
	}
	for values, level := range map[string]int64{ // any of them is good enough
		"urn:attorn:acr:3": 3, "urn:attorn:acr:2": 2, "urn:attorn:acr:1": 1, "urn:attorn:acr:3 urn:attorn:acr:2": 2, "urn:else urn:attorn:acr:3": 3,
	} {
		r := request(app)
		r.ACR = strings.Fields(values)
		handle := s.begin(r)
		if seen, err := s.Consent(t.Context(), c, handle); err != nil || !seen.StepUp || seen.Level != level || !strings.Contains(seen.How, "passkey") {
			t.Errorf("%s: %+v, %v", values, seen, err)
		}
		if _, err := s.GiveConsentAttested(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{0}}); fault.Code(err) != "sign_in_weak" || !strings.Contains(err.Error(), "passkey") {
			t.Errorf("%s: %v", values, err)
		}
	}
	soft := s.maya.soft(s.maya.session())
	r := request(app)
	r.ACR, r.Prompt = []string{"urn:else", "urn:attorn:acr:3"}, []string{"login"}
	handle := s.begin(r)
	c = s.maya.byPasskey(soft)
	st, err := s.ProposeConsent(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{0}})
	s.ok(err)
	if _, err := s.GiveConsent(t.Context(), c, handle, signed(t, st, soft)); err != nil {
		t.Errorf("with a passkey, now: %v", err)
	}
}

// TestBeginConsentRefuses: what is asked for is of the resources, which are of one workspace, by a client that the workspace knows and allows.
func TestBeginConsentRefuses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		app := s.app(desktop)
		for name, x := range map[string]struct {
			change func(*guard.AuthRequest)
			want   string
		}{
			"no resource":         {func(r *guard.AuthRequest) { r.Resources = nil }, "unknown_resource"},
			"nine":                {func(r *guard.AuthRequest) { r.Resources = make([]string, 9) }, "unknown_resource"},
			"unknown":             {func(r *guard.AuthRequest) { r.Resources = []string{"https://else.example"} }, "unknown_resource"},
			"twice":               {func(r *guard.AuthRequest) { r.Resources = []string{files, files} }, "unknown_resource"},
			"no such server":      {func(r *guard.AuthRequest) { r.Resources = []string{issuer + "/mcp/none"} }, "unknown_resource"},
			"two workspaces":      {func(r *guard.AuthRequest) { r.Resources = []string{files, issuer + "/w/acme/api"} }, "unknown_resource"},
			"default by its name": {func(r *guard.AuthRequest) { r.Resources = []string{issuer + "/w/default/api"} }, "unknown_resource"},
			"server":              {func(r *guard.AuthRequest) { r.Resources = []string{issuer + "/w/server/api"} }, "unknown_resource"},
			"another's":           {func(r *guard.AuthRequest) { r.Permissions = []delegation.Permission{{Permission: "tool:other:read"}} }, "not_covered"},
			"more than it has":    {func(r *guard.AuthRequest) { r.Permissions = []delegation.Permission{{Permission: "*"}} }, "not_covered"},
			"too many": {func(r *guard.AuthRequest) {
				for range 65 {
					r.Permissions = append(r.Permissions, delegation.Permission{Permission: "tool:files:read"})
				}
			}, "request_invalid"},
			"an agent of nowhere": {func(r *guard.AuthRequest) { r.Client = id.New[id.Agent](s.now).String() }, "client_denied"},
			"an agent":            {func(r *guard.AuthRequest) { r.Client = s.bot.agent.String() }, ""},
			"its own API too":     {func(r *guard.AuthRequest) { r.Resources = append(r.Resources, issuer+"/api") }, ""},
		} {
			r := request(app)
			x.change(&r)
			_, err := s.BeginConsent(t.Context(), r, "")
			wants(t, name, err, x.want)
		}
	})
}

// TestOnceConsent: of 64 who say yes over all nodes, and of 64 who say yes or no, one counts.
func TestOnceConsent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 12)
		doors, c, app := s.doors(dsn), s.maya.session(), s.app(desktop)
		for _, mixed := range []bool{false, true} {
			handle := s.begin(request(app))
			got := inParallel(64, func(i int) string {
				var err error
				if mixed && i%2 == 0 {
					_, err = doors[i%len(doors)].RefuseConsent(context.Background(), c, handle)
				} else {
					_, err = doors[i%len(doors)].GiveConsentAttested(context.Background(), c, handle, guard.ConsentChoice{Keep: []int{0}})
				}
				return fault.Code(err)
			})
			if got[""] != 1 || got["ticket_spent"] != 63 {
				t.Errorf("%v", got)
			}
		}
	})
}

// TestConsentToWhatWasRead: an app whose document says another name, or not the redirect URI any more, since it asked, gets no consent to what it was.
func TestConsentToWhatWasRead(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	w, c := s.onWeb(), s.maya.session()
	r := request(appAt, "tool:files:read")
	r.Redirect = "https://app.example.com/cb"
	for name, changed := range map[string]string{
		"name":     strings.Replace(document(appAt, ""), `"App"`, `"Your Bank"`, 1),
		"redirect": strings.Replace(document(appAt, ""), "/cb", "/else", 1),
	} {
		w.put(appAt, document(appAt, ""))
		s.now = s.now.Add(6 * time.Minute) // and what was kept is over
		handle := s.begin(r)
		_, err := s.Consent(t.Context(), c, handle)
		s.ok(err)
		w.put(appAt, changed)
		s.now = s.now.Add(6 * time.Minute)
		_, err = s.Consent(t.Context(), c, handle)
		wants(t, name+", seen", err, "consent_changed")
		_, err = s.GiveConsentAttested(t.Context(), c, handle, guard.ConsentChoice{Keep: []int{0}})
		wants(t, name+", given", err, "consent_changed")
		_, err = s.RefuseConsent(t.Context(), c, handle)
		s.ok(err)
	}
}

// TestConsentIsAMembers: who is no member of the workspace that a request is about opens it, and keeps it from nobody.
func TestConsentIsAMembers(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	acme := s.workspace("acme")
	r := request(s.app(desktop))
	r.Resources = []string{s.API(acme)}
	handle := s.begin(r)
	_, err := s.Consent(t.Context(), s.maya.session(), handle)
	wants(t, "who is no member", err, "wrong_person")
	_, err = s.Consent(t.Context(), s.priya.session(), handle)
	s.ok(err)
}
