package console_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
)

// looks demands of a page that it fits narrow windows, and that whoever cannot see it finds their way; and keeps pictures of it.
func (c *chromium) looks(page, name string) {
	c.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		c.do("theme", page, nil, "to", theme)
		c.shot(page, name+"-"+theme)
	}
	c.do("theme", page, nil, "to", "light")
	for _, size := range []string{"390x844", "320x700"} {
		c.do("size", page, nil, "to", size)
		var over int
		if c.do("overflow", page, &over); over > 0 {
			c.t.Errorf("%s at %s is %d pixels too wide", name, size, over)
		}
		c.shot(page, name+"-"+size)
	}
	var bad []string
	if c.do("unlabelled", page, &bad); len(bad) > 0 {
		c.t.Errorf("%s: %q", name, bad)
	}
	c.do("size", page, nil, "to", "1180x860")
}

// The page of what is lent, with and without JavaScript.
func TestChromiumLent(t *testing.T) {
	c := startChromium(t)
	s := newStory(t)
	s.priya.lend(s.deployer, terms{ttl: time.Minute}, delegation.Permission{Permission: "tool:files:read_file"})
	s.pass(2 * time.Minute)
	c.do("open", "priya", nil, "js", "off")
	c.do("session", "priya", nil, "to", s.priya.cookie(), "at", s.url)
	c.visit("priya", s.url+"/lent")
	c.looks("priya", "lent")
	c.click("priya", "form[action^='/lent/'] button")
	c.says("priya", "[role=status]", "and 1 that descends from it")
	c.looks("priya", "lent-ended")
	if all := c.problems(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}
