package console_test

import (
	"flag"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

var update = flag.Bool("update", false, "write the golden pages anew")

var masks = []struct {
	what *regexp.Regexp
	mask string
}{
	{regexp.MustCompile(`localhost:\d+`), "localhost:7070"},
	{regexp.MustCompile(`\?v=[\w-]{12}`), "?v="},
	{regexp.MustCompile(`\breq_\w+`), "req_"},
	{regexp.MustCompile(`\b(usr|agt|dlg|apr|evt)_…\w{6}`), "${1}_…"},
	{regexp.MustCompile(`(?s)<pre class="raw">.*?</pre>`), `<pre class="raw">…</pre>`},
	// What a verification says in detail is package evidence's.
	{regexp.MustCompile(`(?s)<ul class="checks">.*?</ul>`), `<ul class="checks">…</ul>`},
	{regexp.MustCompile(`(?s)(<p class="verdict \w+"><span class="pill.*?</span>) <span>.*?</p>`), "$1 …</p>"},
	{regexp.MustCompile(`(?s)(<h2>Remarks</h2>).*?</section>`), "$1…</section>"},
	{regexp.MustCompile(`/consent/[\w-]{43}`), "/consent/…"},
	{regexp.MustCompile(`(data-signs=".*?&#34;from&#34;:)\d+(.*?&#34;to&#34;:)\d+`), "${1}0${2}0"},
	{regexp.MustCompile(`\b([a-z.]+)-[0-9a-v]{8}</bdi>`), "$1-00000000</bdi>"},
	{regexp.MustCompile(`bundle [\w-]{8}…`), "bundle …"},
}

var (
	numbered = regexp.MustCompile(`\b(usr|agt|dlg|apr|evt|app)_[0-9a-v]{26}\b`)
	hashed   = regexp.MustCompile(`([>" ])([A-Za-z0-9_-]{43}|[A-Za-z0-9_-]{22})([<" ])`)
)

// masked replaces what differs from run to run: ids and hashes by their number in the order in which they come.
func masked(page string) string {
	for _, m := range masks {
		page = m.what.ReplaceAllString(page, m.mask)
	}
	seen, counts := map[string]string{}, map[string]int{}
	number := func(kind, s string) string {
		if seen[s] == "" {
			counts[kind]++
			seen[s] = fmt.Sprintf("%s_%d", kind, counts[kind])
		}
		return seen[s]
	}
	page = numbered.ReplaceAllStringFunc(page, func(s string) string { return number(s[:3], s) })
	for range 2 { // two hashes may share the space between them
		page = hashed.ReplaceAllStringFunc(page, func(s string) string {
			m := hashed.FindStringSubmatch(s)
			return m[1] + number("hash", m[2]) + m[3]
		})
	}
	return page
}

func golden(t *testing.T, name, page string) {
	t.Helper()
	file := filepath.Join("testdata", name+".html")
	got := masked(page)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s differs in line %d (go test ./internal/console -run TestGolden -update writes it anew):\ngot  %s\nwant %s", file, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s has %d lines, want %d", file, len(g), len(w))
}

func TestGoldenBeforeAnything(t *testing.T) {
	r := newRig(t)
	b := newBrowser(t, r.url)
	golden(t, "signin", b.page("/signin"))
	golden(t, "link", b.page("/signin/link"))
	secret, err := r.BootstrapLink(t.Context())
	r.ok(err)
	golden(t, "link-name", b.form("/signin/link", "secret", secret).body)
	golden(t, "link-unknown", b.form("/signin/link", "secret", "x").body)
	if got := b.form("/signin/link", "secret", secret, "name", "Priya Nair"); got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	golden(t, "passkey-none", b.page("/passkey"))
	golden(t, "overview-empty", b.page("/"))
	golden(t, "error-404", b.get("/nowhere").body)
	b.makePasskey()
	golden(t, "passkey", b.page("/passkey"))
	elsewhere := func(q *http.Request) { q.Host = "127.0.0.1:7070" }
	golden(t, "signin-elsewhere", newBrowser(t, r.url).get("/signin", elsewhere).body)
}

func TestGoldenStory(t *testing.T) {
	s := newStory(t)
	golden(t, "overview-owner", s.priya.page("/"))
	golden(t, "overview-approver", s.maya.page("/"))
	path := "/approvals/" + s.asked.String()
	golden(t, "approval-voter", s.maya.page(path))
	golden(t, "approval-requester", s.priya.page(path))
	long := s.ask(`{"path":"production/long","content":"` + strings.Repeat(`x\n`, 60) + `"}`)
	golden(t, "approval-long", s.maya.page("/approvals/"+long.String()))

	if got := s.maya.vote(s.asked, "approve", "go"); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	golden(t, "approval-approved", s.maya.page(path))
	done := s.deployer.call(s.leaf, "write_file", theCall)
	golden(t, "approval-spent", s.priya.page(path))
	golden(t, "event-permitted", s.priya.page("/events/"+done.Event.String()))
	refused := s.deployer.call(s.leaf, "write_file", `{"path":"staging/x"}`)
	golden(t, "event-refused", s.priya.page("/events/"+refused.Event.String()))

	denied := s.ask(`{"path":"production/other","content":"1"}`)
	if got := s.maya.vote(denied, "deny", "not today"); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	golden(t, "approval-denied", s.maya.page("/approvals/"+denied.String()))
	last := s.ask(`{"path":"production/last","content":"1"}`)
	s.pass(31 * time.Minute)
	s.priya.signIn()
	golden(t, "approval-expired", s.priya.page("/approvals/"+last.String()))
	_, _, err := s.Revoke(t.Context(), s.priya.caller(), s.root.Statement.ID, "all done")
	s.ok(err)
	golden(t, "approval-revoked", s.priya.page("/approvals/"+last.String()))
	golden(t, "overview-after", s.priya.page("/"))
}

// Of an event one sees all that its verification said; who may only read the log sees the event, and is told what is missing.
func TestEventPage(t *testing.T) {
	s := newStory(t)
	if got := s.maya.vote(s.asked, "approve", ""); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	done := s.deployer.call(s.leaf, "write_file", theCall)
	path := "/events/" + done.Event.String()
	answer, err := s.explain.Answer(t.Context(), id.Default, done.Event)
	s.ok(err)
	page := s.priya.page(path)
	for _, l := range answer.Report.Lines {
		switch l.Question {
		case evidence.AuthorisedThen:
			contains(t, page, "<bdi>"+html.EscapeString(l.Detail)+"</bdi>")
		case evidence.Authentic, evidence.AllowedNow: // their details tell of logs that have grown since
			contains(t, page, "<b><bdi>"+l.Name+"</bdi></b>")
		}
	}
	for _, a := range answer.Report.Answers {
		contains(t, page, strings.ToLower(a.Question))
	}
	if answer.Report.Answers[1].Verdict != evidence.Holds {
		t.Errorf("the story is not authorised:\n%s", answer.Report.Tree())
	}
	auditor := s.priya.invite("Ada", "security-auditor")
	page = auditor.page(path)
	contains(t, page, "attorn:decision:explain", done.Event.String())
	lacks(t, page, "Did it happen", "replicas: 4")
	stranger := s.priya.invite("Noor")
	theirs, none := stranger.get(path), stranger.get("/events/evt_06h0f90781vk507a4h5kak7260")
	if theirs.status != http.StatusNotFound || none.status != http.StatusNotFound || masked(theirs.body) != masked(none.body) {
		t.Errorf("who may not see it: %d %s\n%d %s", theirs.status, theirs.body, none.status, none.body)
	}
	if got := stranger.get("/events/x"); got.status != http.StatusNotFound {
		t.Error(got.status)
	}
}

// A page that shows less is no attempt at anything: reading the first page leaves no refusal in the log.
func TestPagesLeaveNoRefusals(t *testing.T) {
	s := newStory(t)
	noor := s.priya.invite("Noor")
	noor.pass(0)
	before, err := s.log.Rev(t.Context(), id.Default)
	s.ok(err)
	page := noor.page("/")
	lacks(t, page, s.asked.String(), "deployer")
	contains(t, page, "You own no agents", "You have lent nothing")
	after, err := s.log.Rev(t.Context(), id.Default)
	s.ok(err)
	if before != after {
		found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Limit: 1})
		s.ok(err)
		t.Errorf("reading left %s", found[0].Body)
	}
	own := noor.register("noor-bot", "")
	page = noor.page("/")
	contains(t, page, "noor-bot", own.signer.Public().Thumbprint().String())
	lacks(t, page, "release-bot</bdi>")
	noor.lend(own, terms{ttl: time.Hour}, delegation.Permission{Permission: "tool:files:read_file"})
	contains(t, noor.page("/"), "tool:files:read_file")
}
