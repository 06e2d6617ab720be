package console_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/internal/guard"
)

// How the pages of a consent look, and that whoever cannot see them finds their way.
func TestChromiumConsentLooks(t *testing.T) {
	c := startChromium(t)
	r, priya, maya := newAsk(t)
	c.open("priya")
	c.do("session", "priya", nil, "to", priya.cookie(), "at", r.url)
	a := r.asksFor("tool:files:read_file", "tool:files:write_file", "tool:files:wipe")
	a.Permissions[1].Where = map[string]delegation.Constraint{"path": prefix("notes/")}
	a.Task = guard.TaskAsk{Purpose: "To keep your meeting notes in order.", ExpiresIn: 8 * 3600, MaxUses: 100, MaxDepth: 1}
	path := r.begin(a)
	c.visit("priya", r.url+path)
	c.click("priya", "input[name=keep2]")
	c.looks("priya", "consent")
	c.do("open", "maya", nil, "js", "off")
	c.do("session", "maya", nil, "to", maya.cookie(), "at", r.url)
	c.visit("maya", r.url+path)
	c.looks("maya", "consent-other")
	a = r.asksFor()
	a.Client, a.Redirect = r.registered("Claude Desktop"), desktop
	c.visit("maya", r.url+r.begin(a))
	c.looks("maya", "consent-registered")
	omar := priya.withoutPasskey("Omar Said")
	c.do("session", "maya", nil, "to", omar.cookie(), "at", r.url)
	a = r.asksFor("tool:files:read_file")
	c.visit("maya", r.url+r.begin(a))
	c.looks("maya", "consent-attested")
	r.pass(time.Minute)
	a.Prompt = []string{"login"}
	c.visit("priya", r.url+r.begin(a))
	c.looks("priya", "consent-again")
	for _, p := range c.problems() {
		if !strings.Contains(p, "403 (Forbidden)") { // of the question that is another's
			t.Error("the browser complains:", p)
		}
	}
}
