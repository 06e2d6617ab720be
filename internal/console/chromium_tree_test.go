package console_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
)

// The page of a tree as people see it: by eyes, by keyboard, in a narrow window, without JavaScript; and a branch of it ends there.
func TestChromiumTree(t *testing.T) {
	c := startChromium(t)
	s := newStory(t)
	reviewer := s.priya.register("reviewer", "")
	s.pass(time.Second)
	scribe := s.priya.register("scribe", "")
	s.bot.lend(reviewer, s.root, terms{ttl: 5 * time.Minute, depth: 1, task: "REL-481"}, delegation.Permission{Permission: "tool:files:read_file"})
	gone := s.bot.lend(scribe, s.root, terms{ttl: time.Hour, task: "REL-481"}, delegation.Permission{Permission: "tool:files:read_file"})
	_, _, err := s.Revoke(t.Context(), s.priya.caller(), gone.Statement.ID, "it was not needed")
	s.ok(err)
	c.do("open", "priya", nil, "js", "off")
	c.do("session", "priya", nil, "to", s.priya.cookie(), "at", s.url)
	c.visit("priya", s.url+"/lent/"+s.leaf.Statement.ID.String())
	c.looks("priya", "tree")
	c.press("priya", "Tab", "a") // into the picture, and along it
	c.click("priya", "li.on .end summary")
	c.looks("priya", "tree-end")
	c.fill("priya", "li.on input[name=reason]", "wrong branch")
	c.click("priya", "li.on .end button")
	c.says("priya", "[role=status]", "Ended")
	c.says("priya", ".tree", "wrong branch")
	c.looks("priya", "tree-ended")
	c.open("again")
	c.do("session", "again", nil, "to", s.priya.cookie(), "at", s.url)
	c.visit("again", s.url+"/lent/"+s.root.Statement.ID.String())
	c.looks("again", "tree-root")
	if all := c.problems(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}
