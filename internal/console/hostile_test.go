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
)

// tags would be markup, script or an attribute's end; bidi and zero-width characters make a text read as another.
const (
	tags   = `<script>alert(1)</script>"onx='1' {{.}} <img src=x>&lt;`
	hidden = "a\u202egpj.exe\u2066b\u200bc\ufeffd\u00a0e\u3164f"
)

// Hostile text, wherever somebody can put text, is text on every page, and what is hidden in it is seen.
func TestHostileText(t *testing.T) {
	s := &story{rig: newRig(t)}
	s.priya = s.firstOwner(hidden + "<b>")
	s.maya = s.priya.invite(tags, "release-manager")
	s.priya.addFiles(strings.ReplaceAll(rulesOfTheStory, "Production needs a release manager.", strings.ReplaceAll(tags, `"`, `\"`)))
	s.bot = s.priya.register("release-bot", "")
	s.pass(time.Second)
	s.deployer = s.priya.register("deployer", "")
	task := strings.ReplaceAll(tags, "{{.}} ", "")
	s.root = s.priya.lend(s.bot, terms{depth: 1, ttl: time.Hour, task: task, purpose: tags},
		delegation.Permission{Permission: "tool:files:write_file", Where: map[string]delegation.Constraint{"path": prefix("production/<i>" + "\u200b")}})
	s.leaf = s.bot.lend(s.deployer, s.root, terms{ttl: time.Hour, task: task}, delegation.Permission{
		Permission: "tool:files:write_file", Where: map[string]delegation.Constraint{"path": prefix("production/<i>" + "\u200b")},
	})
	args, err := json.Marshal(map[string]string{"path": "production/<i>\u200b/x", "content": tags + hidden + "\x00\x1b[2J\r\n" + strings.Repeat("A", 48<<10)})
	s.ok(err)
	s.asked = s.ask(string(args))
	if got := s.maya.vote(s.asked, "deny", tags+hidden); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	refused := s.deployer.call(s.leaf, "write_file", `{"path":"`+strings.ReplaceAll(strings.ReplaceAll(tags, `"`, `\"`), "\n", "")+hidden+`"}`)
	if refused.Outcome != evidence.Deny {
		t.Fatalf("%+v", refused)
	}
	s.maya.pass(16 * time.Minute)
	open := s.ask(string(args))
	_, _, err = s.Revoke(t.Context(), s.priya.caller(), s.leaf.Statement.ID, tags)
	s.ok(err)

	approved := s.event(s.asked)
	for _, path := range []string{
		"/", "/approvals/" + s.asked.String(), "/approvals/" + open.String(), "/events/" + refused.Event.String(), "/events/" + approved, "/passkey", "/lent",
		"/lent/" + s.root.Statement.ID.String(), "/lent/" + s.leaf.Statement.ID.String(),
	} {
		for _, who := range []*person{s.priya, s.maya} {
			got := who.get(path)
			if got.status != http.StatusOK {
				if who == s.priya {
					t.Errorf("%s: %d", path, got.status)
				}
				continue
			}
			harmless(t, path, got.body)
		}
	}
	page := s.maya.page("/approvals/" + s.asked.String())
	contains(t, page, `<span class="mark">U&#43;202E</span>`, "&lt;script&gt;alert(1)&lt;/script&gt;", strings.Repeat("A", 48<<10), `\u0000\u001b[2J\r\n`)
	b := newBrowser(t, s.url)
	contains(t, s.priya.page("/events/"+approved), "Policy by policy", "&lt;script&gt;alert(1)&lt;/script&gt;", "approval by 1 of release-manager")
	for _, path := range []string{"/signin?next=" + `%22%3E%3Cscript%3E`, "/%3Cscript%3Ealert(1)%3C/script%3E", "/approvals/%3Cscript%3E", "/events/%E2%80%AE", "/static/%3Cb%3E"} {
		harmless(t, path, b.get(path).body)
	}
	harmless(t, "a refused name", b.form("/signin/link", "secret", tags+hidden, "name", tags+hidden).body)
}

// event is one that is about an approval.
func (s *story) event(a id.Approval) string {
	s.t.Helper()
	got, err := s.Approvals.Get(s.t.Context(), id.Default, a)
	s.ok(err)
	return got.Asked.String()
}

var (
	known   = regexp.MustCompile(`(?s)^(?:[^<]|</?(?:!doctype|a|article|b|bdi|body|br|button|circle|code|dd|details|div|dl|dt|fieldset|form|g|h1|h2|h3|head|header|html|input|label|legend|li|link|main|meta|nav|noscript|ol|option|p|path|pre|rect|script|section|select|small|span|summary|svg|symbol|table|tbody|td|text|th|thead|time|title|tr|ul|use)(?:\s[^<]*)?/?>)*$`)
	scripts = regexp.MustCompile(`<script[^>]*>`)
	forged  = regexp.MustCompile(`<[^>]*\sonx|<img|<i>|\{\{`)
	unseen  = regexp.MustCompile("[\u200b\u202e\u2066\ufeff\u00a0\u3164\\x00\\x1b]")
)

// harmless demands that a page has our markup alone, and no character that cannot be seen.
func harmless(t *testing.T, path, page string) {
	t.Helper()
	if !known.MatchString(page) {
		t.Errorf("%s has markup that is not ours", path)
	}
	for _, tag := range scripts.FindAllString(page, -1) {
		if !strings.HasPrefix(tag, `<script src="/static/app.js?v=`) {
			t.Errorf("%s has %s", path, tag)
		}
	}
	if m := forged.FindString(strings.ReplaceAll(page, "{{.}}", "")); m != "" {
		t.Errorf("%s has %q", path, m)
	}
	if m := unseen.FindStringIndex(page); m != nil {
		t.Errorf("%s has an invisible character: %q", path, page[max(0, m[0]-60):min(len(page), m[1]+20)])
	}
}
