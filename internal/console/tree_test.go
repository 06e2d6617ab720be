package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/lending"
)

// grove is the story with another branch: reviewer was lent to read, lent it on to scribe, and another delegation to scribe was taken back.
type grove struct {
	*story
	reviewer, scribe     *bot
	branch, twig, ended  *delegation.Link
	rootAt, leafAt, twAt string
}

func newGrove(t testing.TB) *grove {
	g := &grove{story: newStory(t)}
	g.reviewer = g.priya.register("reviewer", "")
	g.pass(time.Second)
	g.scribe = g.priya.register("scribe", "")
	g.pass(time.Second)
	read := delegation.Permission{Permission: "tool:files:read_file"}
	g.branch = g.bot.lend(g.reviewer, g.root, terms{ttl: 10 * time.Minute, depth: 1, task: "REL-481"}, read)
	g.pass(time.Second)
	g.twig = g.reviewer.lend(g.scribe, g.branch, terms{ttl: 5 * time.Minute, task: "REL-481"}, read)
	g.pass(time.Second)
	g.ended = g.bot.lend(g.scribe, g.root, terms{ttl: time.Hour, task: "REL-481"}, read)
	_, _, err := g.Revoke(t.Context(), g.priya.caller(), g.ended.Statement.ID, "it was not needed")
	g.ok(err)
	at := func(l *delegation.Link) string { return "/lent/" + l.Statement.ID.String() }
	g.rootAt, g.leafAt, g.twAt = at(g.root), at(g.leaf), at(g.twig)
	return g
}

func (g *grove) status(l *delegation.Link) lending.Status {
	g.t.Helper()
	d, err := g.Lending.Get(g.t.Context(), id.Default, l.Statement.ID)
	g.ok(err)
	return d.StatusAt(g.now())
}

// A person sees what came of what they lent, as a picture and as a list, and ends a branch of it and nothing beside.
func TestTree(t *testing.T) {
	g := newGrove(t)
	page := g.priya.page(g.leafAt)
	golden(t, "tree", page)
	contains(t, page, "What <bdi>release-bot</bdi> lent to <bdi>deployer</bdi>", "4 delegations live", "narrowed from <bdi>tool:files:write_file</bdi>", "End this, and 3 below", "End this, and 1 below",
		`<li id="`+g.leaf.Statement.ID.String()+`" class="on">`, `<path class="edge revoked"`, `class="node tool on" aria-label="tool write_file, of files"`, "it was not needed")
	if n := strings.Count(page, "/revoke"); n != 4 {
		t.Errorf("%d may be ended, want 4", n)
	}
	got := g.priya.form("/lent/"+g.branch.Statement.ID.String()+"/revoke", "workspace", "default", "tree", g.leaf.Statement.ID.String(), "reason", " not this one ")
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	contains(t, got.body, "and 1 that descends from it", "2 delegations live", "“<bdi>not this one</bdi>”", "What <bdi>release-bot</bdi> lent to <bdi>deployer</bdi>")
	if g.status(g.branch) != lending.Revoked || g.status(g.twig) != lending.Revoked || g.status(g.leaf) != lending.Active || g.status(g.root) != lending.Active {
		t.Error("another branch ended")
	}
	if got := g.priya.form("/lent/"+g.leaf.Statement.ID.String()+"/revoke", "workspace", "default", "tree", g.leaf.Statement.ID.String(), "reason", strings.Repeat("x", 501)); got.status != http.StatusBadRequest {
		t.Errorf("a reason too long: %d", got.status)
	}
	g.pass(25 * time.Hour)
	g.priya.signIn()
	page = g.priya.page(g.rootAt)
	contains(t, page, "4 more ended over a day ago", "0 delegations live", "Expired")
	lacks(t, page, "/revoke")
	contains(t, g.priya.page(g.twAt), `<li id="`+g.twig.Statement.ID.String()+`" class="on">`) // what is chosen is shown, however old
}

// Who did not lend it sees nothing, and learns nothing; and looking leaves nothing in the log.
func TestTreeIsNotForOthers(t *testing.T) {
	g := newGrove(t)
	rev, err := g.log.Rev(t.Context(), id.Default)
	g.ok(err)
	none := g.maya.get("/lent/" + id.New[id.Delegation](g.now()).String())
	for _, path := range []string{g.rootAt, g.leafAt, "/lent/x", "/lent/" + g.root.Statement.ID.String() + "x"} {
		if got := g.maya.get(path); got.status != http.StatusNotFound || masked(got.body) != masked(none.body) {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := newBrowser(t, g.url).get(g.rootAt); got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/signin?next=%2Flent%2F") {
		t.Errorf("nobody: %d %s", got.status, got.header.Get("Location"))
	}
	g.priya.page(g.leafAt)
	if after, err := g.log.Rev(t.Context(), id.Default); err != nil || after != rev {
		t.Error("looking at the page is in the log", err)
	}
	if got := g.maya.form("/lent/"+g.leaf.Statement.ID.String()+"/revoke", "workspace", "default", "tree", g.leaf.Statement.ID.String()); got.status != http.StatusForbidden || g.status(g.leaf) != lending.Active {
		t.Errorf("another's: %d", got.status)
	}
	for what, change := range map[string]func(*http.Request){"another origin": foreign} {
		if got := g.priya.send(http.MethodPost, "/lent/"+g.leaf.Statement.ID.String()+"/revoke", "application/x-www-form-urlencoded", "workspace=default", change); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", what, got.status)
		}
	}
	developer := g.priya.invite("Dev", "developer")
	contains(t, developer.page(g.leafAt), "4 delegations live", "End this, and 3 below")
}

// Names that people and agents chose stay inside their boxes, whatever they are made of, and are never without what identifies them.
func TestTreeOfHostileNames(t *testing.T) {
	names := map[string]string{
		"bidi": "\u202eexe.tob\u2066", "markup": `</text></svg><script>alert(1)</script>"onx=1`, "control": "a\x1b[31mb", "unseen": "rel\u200bease\u3164", "stacked": "e" + strings.Repeat("\u0301", 40),
		"wide": strings.Repeat("\ufdfd", 64), "long": strings.Repeat("W", 60), "homograph": "рriya Nair", "hebrew": "שלום",
	}
	for what, name := range names {
		t.Run(what, func(t *testing.T) {
			s := &story{rig: newRig(t)}
			s.priya = s.firstOwner("Priya Nair")
			s.pass(time.Second)
			_, secret, err := s.Invite(t.Context(), s.priya.caller(), name)
			if err != nil { // then nobody is called so
				return
			}
			other := s.join(secret, "")
			bot := other.register("release-bot", "")
			link := other.lend(bot, terms{ttl: time.Hour, purpose: tags}, delegation.Permission{Permission: "tool:files:read_file"})
			page := other.page("/lent/" + link.Statement.ID.String())
			harmless(t, what, page)
			from, to := strings.Index(page, "<svg xmlns"), strings.Index(page, "</svg>\n</div>")
			if from < 0 || to < from {
				t.Fatal("there is no picture")
			}
			picture := page[from:to]
			contains(t, picture, other.id.Short(), bot.id.Short(), `(`+other.id.String()+`)`)
			if strings.Count(picture, "<svg") != strings.Count(picture, "</svg>")+1 {
				t.Error("the picture is not whole")
			}
		})
	}
}

// A tree with many branches is a page of bounded length, which shows what was asked for, what lives and what is new before the rest.
func TestTreeOfMany(t *testing.T) {
	s := newStory(t)
	read := delegation.Permission{Permission: "tool:files:read_file"}
	var all []*delegation.Link
	for range 210 {
		s.pass(time.Millisecond)
		one := s.bot.lend(s.deployer, s.root, terms{ttl: time.Hour, task: "REL-481"}, read)
		all = append(all, one)
	}
	first, last := all[0].Statement.ID.String(), all[209].Statement.ID.String()
	page := s.priya.page("/lent/" + last)
	contains(t, page, `<li id="`+last+`" class="on">`, "There is more than this page shows", "212 delegations live", "End this, and 211 below")
	if n := strings.Count(page, "<li id="); n != 200 || strings.Contains(page, `<li id="`+first) {
		t.Errorf("%d are listed, with the oldest", n)
	}
	if page = s.priya.page("/lent/" + first); !strings.Contains(page, `<li id="`+first+`" class="on">`) {
		t.Error("what was asked for is not shown")
	}
	for _, one := range all[5:] {
		_, _, err := s.Revoke(t.Context(), s.priya.caller(), one.Statement.ID, "")
		s.ok(err)
	}
	page = s.priya.page("/lent/" + s.root.Statement.ID.String())
	contains(t, page, `<li id="`+first)
	if n := strings.Count(page, "<li id="); n != 200 {
		t.Errorf("%d are listed", n)
	}
}

// Somebody without any role ends a branch of what goes back to them, though an agent lent it; the agents' owner who lent none of it does not.
func TestTreeEndsByWhoseNameItIs(t *testing.T) {
	s := newStory(t)
	noor, omar := s.priya.invite("Noor"), s.priya.invite("Omar")
	first, second := noor.register("first", ""), omar.register("second", "")
	s.pass(time.Second)
	read := delegation.Permission{Permission: "tool:files:read_file"}
	root := noor.lend(first, terms{ttl: time.Hour, depth: 1}, read)
	branch := first.lend(second, root, terms{ttl: time.Hour}, read)
	at := "/lent/" + branch.Statement.ID.String()
	if got := omar.get(at); got.status != http.StatusNotFound {
		t.Errorf("the borrower's owner sees it: %d", got.status)
	}
	if got := omar.form(at+"/revoke", "workspace", "default"); got.status != http.StatusForbidden {
		t.Errorf("and ends it: %d", got.status)
	}
	contains(t, noor.page(at), "What <bdi>first</bdi> lent to <bdi>second</bdi>", "End this, and 1 below", `action="`+at+`/revoke"`)
	if got := noor.form(at+"/revoke", "workspace", "default"); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if d, err := s.Lending.Get(t.Context(), id.Default, branch.Statement.ID); err != nil || d.EndedBy != noor.id.String() {
		t.Errorf("%+v %v", d, err)
	}
	if d, err := s.Lending.Get(t.Context(), id.Default, root.Statement.ID); err != nil || d.Status != lending.Active {
		t.Errorf("%+v %v", d, err)
	}
}
