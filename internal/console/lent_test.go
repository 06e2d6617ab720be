package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
)

// What agents may do in a person's name is on one page, and ends there with one button, together with all that descends from it.
func TestLent(t *testing.T) {
	s := newStory(t)
	golden(t, "lent-none", s.maya.page("/lent"))
	old := s.priya.lend(s.deployer, terms{ttl: time.Minute, purpose: "a short one"}, delegation.Permission{Permission: "tool:files:read_file"})
	s.pass(2 * time.Minute)
	page := s.priya.page("/lent")
	golden(t, "lent", page)
	contains(t, page, s.root.Statement.ID.String(), s.leaf.Statement.ID.String(), "Use the tool write_file of files", "1 lent on by it", "1 ended in the last 30 days",
		old.Statement.ID.String(), "signed with a passkey", "REL-481", `action="/lent/`+s.root.Statement.ID.String()+`/revoke"`)
	lacks(t, page, `action="/lent/`+s.leaf.Statement.ID.String(), `action="/lent/`+old.Statement.ID.String())
	lacks(t, s.maya.page("/lent"), s.root.Statement.ID.String(), "release-bot")

	end := func(p *person, d id.Delegation) answer {
		return p.form("/lent/"+d.String()+"/revoke", "workspace", "default")
	}
	for what, c := range map[string]struct {
		got    answer
		status int
	}{
		"another's":           {end(s.maya, s.root.Statement.ID), http.StatusForbidden},
		"none":                {end(s.priya, id.New[id.Delegation](s.now())), http.StatusNotFound},
		"no id":               {s.priya.form("/lent/x/revoke", "workspace", "default"), http.StatusNotFound},
		"no workspace":        {s.priya.form("/lent/" + s.root.Statement.ID.String() + "/revoke"), http.StatusNotFound},
		"another workspace":   {s.priya.form("/lent/"+s.root.Statement.ID.String()+"/revoke", "workspace", "acme"), http.StatusNotFound},
		"a GET":               {s.priya.get("/lent/" + s.root.Statement.ID.String() + "/revoke"), http.StatusNotFound},
		"a field too many":    {s.priya.form("/lent/"+s.root.Statement.ID.String()+"/revoke", "workspace", "default", "why", "x"), http.StatusBadRequest},
		"nobody":              {newBrowser(t, s.url).form("/lent/"+s.root.Statement.ID.String()+"/revoke", "workspace", "default"), http.StatusSeeOther},
		"from another origin": {s.priya.send(http.MethodPost, "/lent/"+s.root.Statement.ID.String()+"/revoke", "application/x-www-form-urlencoded", "workspace=default", foreign), http.StatusForbidden},
	} {
		if c.got.status != c.status {
			t.Errorf("%s: %d %s", what, c.got.status, c.got.body)
		}
	}
	d, err := s.Lending.Get(t.Context(), id.Default, s.root.Statement.ID)
	if err != nil || d.Status != lending.Active {
		t.Fatalf("it has ended: %+v %v", d, err)
	}

	got := end(s.priya, s.root.Statement.ID)
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	golden(t, "lent-ended", got.body)
	contains(t, got.body, "and 1 that descends from it", "Nothing: no agent may do anything in your name", "2 ended in the last 30 days")
	if d, err := s.Lending.Get(t.Context(), id.Default, s.leaf.Statement.ID); err != nil || d.Status != lending.Revoked || d.EndedBy != s.priya.id.String() {
		t.Errorf("what descends from it: %+v %v", d, err)
	}
	contains(t, end(s.priya, s.root.Statement.ID).body, "had ended already")
	rev, err := s.log.Rev(t.Context(), id.Default)
	s.ok(err)
	s.priya.page("/lent")
	if after, err := s.log.Rev(t.Context(), id.Default); err != nil || after != rev {
		t.Error("looking at the page is in the log", err)
	}
	s.pass(31 * 24 * time.Hour)
	s.priya.signIn()
	lacks(t, s.priya.page("/lent"), "ended in the last 30 days", s.root.Statement.ID.String())
}

func foreign(q *http.Request) {
	q.Header.Set("Sec-Fetch-Site", "cross-site")
	q.Header.Set("Origin", "https://evil.example")
}

// Somebody in several workspaces sees what they lent in each, and nothing of those that they are not in.
func TestLentInSeveralWorkspaces(t *testing.T) {
	s := newStory(t)
	zeta, err := id.ParseWorkspace("zeta")
	s.ok(err)
	_, err = s.CreateWorkspace(t.Context(), s.priya.caller(), people.Workspace{Name: zeta, PublishOwner: "id"})
	s.ok(err)
	there, _, err := s.Session(t.Context(), s.priya.cookie(), zeta, "")
	s.ok(err)
	_, err = s.Guard.Page(t.Context(), there)
	s.ok(err)
	page := s.priya.page("/lent")
	contains(t, page, "<h2>zeta</h2>", "<h2>default</h2>", s.root.Statement.ID.String())
	if at := strings.Index(page, "<h2>zeta</h2>"); at < strings.Index(page, s.root.Statement.ID.String()) {
		t.Error("what is lent in default stands in zeta")
	}
	contains(t, page, `<span class="ws">default</span>`)
	lacks(t, s.maya.page("/lent"), "zeta")
	if got := s.maya.form("/lent/"+s.root.Statement.ID.String()+"/revoke", "workspace", "zeta"); got.status != http.StatusNotFound {
		t.Errorf("a workspace that is not hers: %d", got.status)
	}
	found, err := s.log.Search(t.Context(), zeta, audit.Filter{Person: s.maya.id})
	if err != nil || len(found) > 0 {
		t.Errorf("it is in the other workspace's log: %v %v", found, err)
	}
}
