package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
)

const (
	notes     = "https://notes.example/client.json"
	notesHome = "https://notes.example/callback"
	desktop   = "http://127.0.0.1:5173/callback"
)

func (r *rig) notesCallsItself(name string) {
	r.apps[notes] = `{"client_id":"` + notes + `","client_name":"` + name + `","redirect_uris":["` + notesHome + `","https://notes.example/other","https://else.example/cb"]}`
}

// registered is an app that registered itself.
func (r *rig) registered(name string) string {
	r.t.Helper()
	m, err := clients.ParseRegistration([]byte(`{"client_name":"` + name + `","redirect_uris":["http://127.0.0.1/callback"]}`))
	r.ok(err)
	app := id.New[id.App](r.now())
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.ClientRegistered, evidence.OK, evidence.ServerSub, "test"
	_, err = r.log.Record(r.t.Context(), d, func(tx *audit.Tx) error {
		_, err := r.Clients.RegisterApp(tx, app, id.Default, m)
		return err
	})
	r.ok(err)
	return app.String()
}

// asksFor is a request of the notes app, for permissions at the MCP server files.
func (r *rig) asksFor(permissions ...string) guard.AuthRequest {
	a := guard.AuthRequest{Client: notes, Redirect: notesHome, State: "s", Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", Resources: []string{r.url + "/mcp/files"}}
	for _, p := range permissions {
		a.Permissions = append(a.Permissions, delegation.Permission{Permission: p})
	}
	return a
}

// begin is the path of the page on which a person decides.
func (r *rig) begin(a guard.AuthRequest) string {
	r.t.Helper()
	handle, err := r.BeginConsent(r.t.Context(), a, "203.0.113.7")
	r.ok(err)
	return "/consent/" + handle
}

// newAsk is Priya, Maya, files, and the notes app.
func newAsk(t testing.TB) (r *rig, priya, maya *person) {
	t.Helper()
	r = newRig(t)
	priya = r.firstOwner("Priya Nair")
	r.pass(time.Second)
	maya = priya.invite("Maya Chen")
	priya.addFiles(rulesOfTheStory)
	r.notesCallsItself("Notes")
	return r, priya, maya
}

// withoutPasskey is somebody who signed in by a link and has made none.
func (p *person) withoutPasskey(name string) *person {
	p.t.Helper()
	_, secret, err := p.Invite(p.t.Context(), p.caller(), name)
	p.ok(err)
	b := newBrowser(p.t, p.url)
	if got := b.form("/signin/link", "secret", secret); got.status != http.StatusSeeOther {
		p.t.Fatal(got.body)
	}
	return p.at(b)
}

type picked struct {
	Keep    []int  `json:"keep"`
	TTL     int64  `json:"ttl"`
	Uses    int64  `json:"uses"`
	Depth   int    `json:"depth"`
	Task    string `json:"task,omitzero"`
	Further bool   `json:"further"`
}

// proposeLend is the first half of what app.js does.
func (b *browser) proposeLend(path string, p picked) (statement string, got answer) {
	b.t.Helper()
	got = b.post(path+"/propose", p, nil)
	if got.status == http.StatusOK {
		var out proposal
		if err := json.Unmarshal([]byte(got.body), &out); err != nil {
			b.t.Fatal(err)
		}
		digest := id.Sum([]byte(out.Statement)).Bytes()
		if string(out.Options.Challenge) != string(digest[:]) || out.Options.RPID != "localhost" || len(out.Options.Allow) == 0 {
			b.t.Errorf("the passkey is asked for %+v", out.Options)
		}
		return out.Statement, got
	}
	return "", got
}

func (b *browser) give(path, statement string) answer {
	b.t.Helper()
	return b.post(path+"/give", b.sign(statement), nil)
}

// A person who is not signed in signs in and comes back; what they strike out and shorten is what they sign.
func TestConsentPage(t *testing.T) {
	r, priya, _ := newAsk(t)
	a := r.asksFor("tool:files:read_file", "tool:files:write_file", "tool:files:wipe")
	a.Task = guard.TaskAsk{Purpose: "to file your notes", ExpiresIn: 8 * 3600, MaxUses: 100, MaxDepth: 1}
	a.Permissions[1].Where = map[string]delegation.Constraint{"path": prefix("notes/")}
	path := r.begin(a)

	got := newBrowser(t, r.url).get(path)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/signin?next="+strings.ReplaceAll(path, "/", "%2F") {
		t.Fatalf("not signed in: %d %s", got.status, got.header.Get("Location"))
	}
	contains(t, newBrowser(t, r.url).page(got.header.Get("Location")), `data-next="`+path+`"`)

	page := priya.page(path)
	golden(t, "consent", page)
	contains(t, page, "<h1><bdi>notes.example</bdi></h1>", "It calls itself “<bdi>Notes</bdi>”", notes, "a new agent of yours", "no key yet", "<code><bdi>https://notes.example</bdi></code>",
		"Use the tool write_file of files</bdi>, only where <bdi>path begins with notes/", "to file your notes", "8 h, as asked", `max="100"`, "agents that it lends to", priya.id.String(),
		"You may not do this yourself now", "1 of 3 would have no effect")
	lacks(t, page, "any program on it could be the one", "registered itself", "<img", "Since you last allowed it")
	if rev, err := r.log.Rev(t.Context(), id.Default); err != nil {
		t.Fatal(err)
	} else if priya.page(path); rev != revOf(t, r) {
		t.Error("looking is in the log")
	}

	st, got := priya.proposeLend(path, picked{Keep: []int{0, 1}, TTL: 3600, Uses: 5, Task: "T-1"})
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	lent, err := delegation.ParseStatement([]byte(st))
	r.ok(err)
	if len(lent.Permissions) != 2 || lent.ExpiresAt-lent.NotBefore != 3600 || *lent.MaxUses != 5 || lent.MaxDepth != 0 || lent.Task != "T-1" || lent.Purpose != "to file your notes" ||
		!strings.Contains(page, lent.Delegate.Agent.String()) {
		t.Errorf("%+v", lent)
	}
	if got := priya.post(path+"/give", ballot{st, priya.key.Assert(make([]byte, 32), "localhost", r.url)}, nil); got.status != http.StatusUnprocessableEntity || got.code() != "assertion" {
		t.Errorf("a signature of something else: %d %s", got.status, got.body)
	}
	wider := strings.Replace(st, `"max_depth":0`, `"max_depth":2`, 1)
	if got := priya.give(path, wider); got.status != http.StatusForbidden || got.code() != "widens" {
		t.Errorf("signed, but wider: %d %s", got.status, got.body)
	}
	got = priya.give(path, st)
	if got.status != http.StatusOK || !regexp.MustCompile(`^\{"resume":"/oauth/resume/[\w-]{43}"\}$`).MatchString(got.body) {
		t.Fatal(got.body)
	}
	d, err := r.Lending.Get(t.Context(), id.Default, lent.ID)
	if err != nil || d.Link.Delegator.Passkey == nil || len(d.Link.Statement.Permissions) != 2 {
		t.Errorf("%+v %v", d, err)
	}
	contains(t, priya.page("/lent"), "notes.example-", lent.ID.String(), "Use the tool read_file of files", "5 of 5 uses left", "The app <code><bdi>"+notes+"</bdi></code>, which calls itself “<bdi>Notes</bdi>”")

	again := priya.get(path)
	golden(t, "consent-over", again.body)
	if again.status != http.StatusGone {
		t.Errorf("again: %d", again.status)
	}
	if got := priya.give(path, st); got.status != http.StatusConflict || got.code() != "ticket_spent" {
		t.Errorf("given again: %d %s", got.status, got.body)
	}
	if got := priya.form(path, "verdict", "refuse"); got.status != http.StatusGone {
		t.Errorf("refused after it: %d", got.status)
	}
}

func revOf(t testing.TB, r *rig) int64 {
	t.Helper()
	rev, err := r.log.Rev(t.Context(), id.Default)
	r.ok(err)
	return rev
}

// The second time a person sees what is not as it was; nothing is skipped.
func TestConsentAgain(t *testing.T) {
	r, priya, _ := newAsk(t)
	path := r.begin(r.asksFor("tool:files:read_file", "tool:files:wipe"))
	st, got := priya.proposeLend(path, picked{Keep: []int{0, 1}, TTL: 3600})
	if got.status != http.StatusOK || priya.give(path, st).status != http.StatusOK {
		t.Fatal(got.body)
	}
	r.pass(3 * time.Minute)
	page := priya.page(r.begin(r.asksFor("tool:files:read_file", "tool:files:wipe")))
	contains(t, page, "Nothing has changed", "already an agent here", "Allow with passkey")
	lacks(t, page, "a new agent of yours")

	r.notesCallsItself("Notes Pro")
	r.pass(25 * time.Hour) // what it said is not held for longer
	priya.signIn()
	other := r.asksFor("tool:files:read_file", "tool:files:write_file")
	other.Redirect = "https://else.example/cb"
	page = priya.page(r.begin(other))
	golden(t, "consent-again", page)
	contains(t, page, "It calls itself “Notes Pro”; last time it was “Notes”", "goes to else.example; last time it went to notes.example", "It asks for more: Use the tool write_file of files",
		"It does not ask any more: Use the tool wipe of files")
}

// What identifies an app is said, and what nobody vouches for is said to be so.
func TestConsentOfWhom(t *testing.T) {
	r, priya, _ := newAsk(t)
	a := r.asksFor()
	a.Client, a.Redirect = r.registered("attorn"), desktop
	page := priya.page(r.begin(a))
	golden(t, "consent-registered", page)
	contains(t, page, "An app without an address", "Nobody vouches", "any program on it could be the one", a.Client, "Use every tool, prompt and resource of files", "http://127.0.0.1:5173")

	bot := priya.register("release-bot", "")
	a = r.asksFor("tool:files:read_file")
	a.Client, a.JKT = bot.id.String(), bot.signer.Public().Thumbprint()
	deployer := priya.register("deployer", "")
	a.Task.Delegate = deployer.id
	page = priya.page(r.begin(a))
	golden(t, "consent-agent", page)
	contains(t, page, "<h1><bdi>release-bot</bdi></h1>", bot.id.String(), a.JKT.String(), "deployer", "may act in its stead", a.Task.Delegate.String(), `name="further" value="1" checked`, deployer.signer.Public().Thumbprint().String(), `data-n="further"`)
	lacks(t, page, "Identifier", "It calls itself")
}

// Who may act in the app's stead is struck out like a permission: what is signed then names nobody, and cannot be made to name another.
func TestConsentFurther(t *testing.T) {
	r, priya, _ := newAsk(t)
	deployer, rival := priya.register("deployer", ""), priya.register("rival", "")
	a := r.asksFor("tool:files:read_file")
	a.Task.Delegate = deployer.id
	path := r.begin(a)
	contains(t, priya.page(path), deployer.id.String(), deployer.signer.Public().Thumbprint().String(), `name="further" value="1" checked`, "may_act&#34;:&#34;"+deployer.id.String())
	lent := func(further bool) (string, delegation.Statement) {
		text, got := priya.proposeLend(path, picked{Keep: []int{0}, TTL: 3600, Further: further})
		if got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		st, err := delegation.ParseStatement([]byte(text))
		r.ok(err)
		return text, st
	}
	if text, st := lent(false); !st.MayAct.IsZero() || strings.Contains(text, "may_act") {
		t.Errorf("struck out: %s", text)
	}
	text, st := lent(true)
	if st.MayAct != deployer.id {
		t.Errorf("%s", text)
	}
	if got := priya.give(path, strings.Replace(text, deployer.id.String(), rival.id.String(), 1)); got.status != http.StatusForbidden || got.code() != "widens" {
		t.Errorf("another agent: %d %s", got.status, got.body)
	}
	if got := priya.give(path, text); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	contains(t, priya.page("/lent"), deployer.id.String()+" may act in its stead")

	omar := priya.withoutPasskey("Omar Said")
	path = r.begin(a)
	got := omar.form(path, "verdict", "look", "keep0", "1", "ttl", "3600", "uses", "", "depth", "0", "task", "")
	contains(t, got.body, `name="further" value="1"><span>`, ` cut" data-n="further"`)
	if got := omar.form(path, "verdict", "allow", "keep0", "1", "ttl", "3600", "uses", "", "depth", "0", "task", ""); got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	all, err := r.Guard.Lending.LentBy(t.Context(), id.Default, omar.id, r.now().Add(-time.Hour), r.now(), 10)
	r.ok(err)
	if len(all.Live) != 1 || !all.Live[0].Link.Statement.MayAct.IsZero() {
		t.Errorf("%+v", all.Live)
	}
}

// Who has no passkey answers with a form, which a browser without JavaScript sends; what can be mended is said on the page, with what was chosen.
func TestConsentByForm(t *testing.T) {
	r, priya, _ := newAsk(t)
	omar := priya.withoutPasskey("Omar Said")
	path := r.begin(r.asksFor("tool:files:read_file", "tool:files:write_file"))
	page := omar.page(path)
	golden(t, "consent-attested", page)
	contains(t, page, "You have no passkey", "the server attests", `value="allow">Allow<`, `href="/passkey?next=`+path+`"`)
	contains(t, omar.page("/passkey?next="+path), `data-next="`+path+`"`)
	lacks(t, page, "data-signs", "noscript")

	for _, c := range []struct {
		what   string
		fields []string
		status int
		text   string
	}{
		{"nothing kept", []string{"verdict", "allow", "ttl", "3600", "depth", "0"}, http.StatusBadRequest, "Nothing is left of what was asked for."},
		{"longer", []string{"verdict", "allow", "keep0", "1", "ttl", "9000000", "depth", "0"}, http.StatusForbidden, "more than was asked for: time"},
		{"for ever", []string{"verdict", "allow", "keep0", "1", "ttl", "9223372036854775807", "depth", "0"}, http.StatusForbidden, "more than was asked for: time"},
		{"further", []string{"verdict", "allow", "keep0", "1", "ttl", "3600", "depth", "1"}, http.StatusForbidden, "more than was asked for: who may lend on"},
		{"what was not asked for", []string{"verdict", "allow", "keep7", "1", "ttl", "3600", "depth", "0"}, http.StatusBadRequest, "was asked for"},
		{"no number", []string{"verdict", "allow", "keep0", "1", "ttl", "3600", "uses", "many", "depth", "0"}, http.StatusBadRequest, "How often is a whole number, 1 or more."},
		{"none", []string{"verdict", "allow", "keep0", "1", "ttl", "-1"}, http.StatusBadRequest, "How long is a whole number"},
		{"a field too many", []string{"verdict", "allow", "keep0", "1", "ttl", "3600", "agent", "x"}, http.StatusBadRequest, "not asked for"},
		{"neither", []string{"keep0", "1"}, http.StatusBadRequest, "neither allow nor refuse"},
		{"only looking", []string{"verdict", "look", "keep1", "1", "ttl", "3600", "depth", "0"}, http.StatusOK, `name="keep1" value="1" checked`},
	} {
		if got := omar.form(path, c.fields...); got.status != c.status || !strings.Contains(got.body, c.text) {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	got := omar.form(path, "verdict", "allow", "keep1", "1", "ttl", "3600", "uses", "0", "depth", "0")
	contains(t, got.body, `name="keep0" value="1"><span>`, `name="keep1" value="1" checked`, `<option value="3600" selected>1 h`)
	golden(t, "consent-refused", got.body)

	got = omar.form(path, "verdict", "allow", "keep1", "1", "ttl", "3600", "uses", "", "depth", "0", "task", " T-9 ")
	if got.status != http.StatusSeeOther || !regexp.MustCompile(`^/oauth/resume/[\w-]{43}$`).MatchString(got.header.Get("Location")) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	lent, err := r.Guard.Lending.LentBy(t.Context(), id.Default, omar.id, r.now().Add(-time.Hour), r.now(), 10)
	r.ok(err)
	if len(lent.Live) != 1 || lent.Live[0].Link.Delegator.Attested == nil || lent.Live[0].Link.Statement.Task != "T-9" || len(lent.Live[0].Link.Statement.Permissions) != 1 {
		t.Errorf("%+v", lent.Live)
	}
	contains(t, omar.page("/lent"), "the server attests it", "T-9")

	// So does app.js, which has the browser go on by itself.
	path = r.begin(r.asksFor("tool:files:read_file"))
	for what, c := range map[string]picked{"nothing": {TTL: 60}, "no time": {Keep: []int{0}}, "fewer than none": {Keep: []int{0}, TTL: 60, Uses: -1}} {
		if got := omar.post(path+"/attest", c, nil); got.status != http.StatusBadRequest || got.code() != "choice_invalid" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := omar.post(path+"/attest", picked{Keep: []int{0}, TTL: 60}, nil); got.status != http.StatusOK || !strings.HasPrefix(got.body, `{"resume":"/oauth/resume/`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := omar.post(path+"/refuse", struct{}{}, nil); got.status != http.StatusConflict || got.code() != "ticket_spent" {
		t.Errorf("refused after it: %d %s", got.status, got.body)
	}
	path = r.begin(r.asksFor())
	if got := priya.post(path+"/attest", picked{Keep: []int{0}, TTL: 60}, nil); got.status != http.StatusForbidden || got.code() != "passkey_needed" {
		t.Errorf("attested for who has a passkey: %d %s", got.status, got.body)
	}
	if got := priya.post(path+"/refuse", struct{}{}, nil); got.status != http.StatusOK || !strings.HasPrefix(got.body, `{"resume":"/oauth/resume/`) {
		t.Errorf("%d %s", got.status, got.body)
	}

	path = r.begin(r.asksFor())
	if got := priya.form(path, "verdict", "allow", "keep0", "1", "ttl", "3600", "depth", "0"); got.status != http.StatusForbidden || !strings.Contains(got.body, "You have a passkey") {
		t.Errorf("a form from who has a passkey: %d %s", got.status, got.body)
	}
	got = priya.form(path, "verdict", "refuse", "keep0", "1", "ttl", "x")
	if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/oauth/resume/") {
		t.Errorf("refused: %d %s", got.status, got.body)
	}
}

// A question is of who opened it first, and of nobody in another workspace; others learn nothing of it.
func TestConsentIsTied(t *testing.T) {
	r, priya, maya := newAsk(t)
	path := r.begin(r.asksFor())
	priya.page(path)
	got := maya.get(path)
	if got.status != http.StatusForbidden {
		t.Errorf("another person: %d", got.status)
	}
	golden(t, "consent-other", got.body)
	lacks(t, got.body, "notes.example", "files", "Priya")
	for what, got := range map[string]answer{
		"no":       maya.form(path, "verdict", "refuse"),
		"yes":      maya.form(path, "verdict", "allow", "keep0", "1", "ttl", "60", "depth", "0"),
		"proposal": maya.post(path+"/propose", picked{Keep: []int{0}, TTL: 60}, nil),
	} {
		if got.status != http.StatusForbidden {
			t.Errorf("another person's %s: %d %s", what, got.status, got.body)
		}
		lacks(t, got.body, "notes.example")
	}
	priya.page(path)
	for _, none := range []string{"/consent/x", "/consent/" + strings.Repeat("A", 43)} {
		if got := priya.get(none); got.status != http.StatusGone {
			t.Errorf("%s: %d", none, got.status)
		}
	}
	r.pass(10 * time.Minute)
	if got := priya.get(path); got.status != http.StatusGone || !strings.Contains(got.body, "Go back to the app and begin again.") {
		t.Errorf("too late: %d %s", got.status, got.body)
	}

	// Another workspace's question is for its members, and they see it as what it is.
	acme, err := id.ParseWorkspace("acme")
	r.ok(err)
	_, err = r.CreateWorkspace(t.Context(), priya.caller(), people.Workspace{Name: acme, PublishOwner: "id"})
	r.ok(err)
	there := guard.AuthRequest{Client: notes, Redirect: notesHome, Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", Resources: []string{r.url + "/w/acme/api"}}
	path = r.begin(there)
	if got := maya.get(path); got.status != http.StatusForbidden {
		t.Errorf("no member: %d", got.status)
	}
	path = r.begin(there)
	page := priya.page(path)
	contains(t, page, "<dt>Workspace</dt><dd><code>acme</code>", "Priya Nair", "Manage this server")
	st, got := priya.proposeLend(path, picked{Keep: []int{0}, TTL: 3600})
	if got.status != http.StatusOK || priya.give(path, st).status != http.StatusOK {
		t.Fatal(got.body)
	}
	if d, err := r.Lending.LentBy(t.Context(), acme, priya.id, r.now(), r.now(), 9); err != nil || len(d.Live) != 1 {
		t.Errorf("%+v %v", d, err)
	}
}

// A client may ask that the person signs in first; they come back to the same question.
func TestConsentAfterSigningInAgain(t *testing.T) {
	r, priya, _ := newAsk(t)
	r.pass(2 * time.Minute)
	a := r.asksFor("tool:files:read_file")
	a.Prompt = []string{"login"}
	path := r.begin(a)
	page := priya.page(path)
	golden(t, "consent-again-first", page)
	contains(t, page, "Sign in again first", `id="signin" data-next="`+path+`"`, `value="refuse"`, "notes.example")
	lacks(t, page, `value="allow"`, "data-signs")
	if _, got := priya.proposeLend(path, picked{Keep: []int{0}, TTL: 60}); got.status != http.StatusForbidden || got.code() != "sign_in_old" {
		t.Errorf("without it: %d %s", got.status, got.body)
	}
	r.pass(time.Second)
	priya.signIn()
	contains(t, priya.page(path), `value="allow"`)
	st, got := priya.proposeLend(path, picked{Keep: []int{0}, TTL: 60})
	if got.status != http.StatusOK || priya.give(path, st).status != http.StatusOK {
		t.Error(got.body)
	}
}

// How well somebody signs in is for the client to ask, in levels that are known here: whoever cannot yet is told what it takes, and other words ask nothing.
func TestConsentAsksForALevel(t *testing.T) {
	r, priya, _ := newAsk(t)
	a := r.asksFor("tool:files:read_file")
	a.ACR = []string{"http://schemas.openid.net/pape/policies/2007/06/multi-factor", "phr", "urn:attorn:acr:9"}
	contains(t, priya.page(r.begin(a)), `value="allow"`)
	omar := priya.withoutPasskey("Omar Haddad")
	path := r.begin(a)
	contains(t, omar.page(path), `value="allow"`)
	a.ACR = append(a.ACR, "urn:attorn:acr:3")
	contains(t, priya.page(r.begin(a)), `id="signin"`) // who came by a link, and made a passkey then
	priya.signIn()
	contains(t, priya.page(r.begin(a)), `value="allow"`)
	path = r.begin(a)
	page := omar.page(path)
	contains(t, page, "The app asks that you sign in with a passkey.", "You cannot yet: you have no passkey.", `<a href="/passkey?next=`+path+`">Make one</a>`, `value="refuse"`)
	lacks(t, page, `value="allow"`, "ask an administrator for a new link", "Sign in again with", `id="signin"`)
	if got := omar.form(path, "verdict", "allow", "ttl", "60", "keep0", "1"); got.status != http.StatusForbidden {
		t.Errorf("by the form: %d %s", got.status, got.body)
	}
	omar.makePasskey()
	contains(t, omar.page(path), "The app asks that you sign in with a passkey.", `id="signin" data-next="`+path+`"`)
	r.pass(time.Second)
	omar.signIn()
	contains(t, omar.page(path), `value="allow"`, "data-signs")
}

// A provider is offered where a sign-in there can be of the level.
func TestConsentLevelAtAProvider(t *testing.T) {
	i := newIssuer(t)
	acme := i.upstream("acme")
	r := newRig(t, acme)
	r.notesCallsItself("Notes")
	priya := r.firstOwner("Priya Nair")
	priya.addFiles(rulesOfTheStory)
	b, got := r.signInAt(i, "acme", "noor-1", nil)
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	for level, offered := range map[string]bool{"urn:attorn:acr:2": true, "urn:attorn:acr:3": false} {
		a := r.asksFor("tool:files:read_file")
		a.ACR = []string{level}
		page := b.page(r.begin(a))
		contains(t, page, `href="/passkey?next=/consent/`)
		if strings.Contains(page, "Sign in again with acme") != offered {
			t.Errorf("%s: %s", level, page)
		}
	}
}
