package console_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/attorn/attorn/id"
)

// BenchmarkOverview is the first page with as many agents as it shows.
func BenchmarkOverview(b *testing.B) {
	s := newStory(b)
	for i := range 50 {
		s.priya.register(fmt.Sprintf("bot-%02d", i), "")
	}
	page := s.priya.page("/")
	if n := strings.Count(page, "bot-"); n < 48 {
		b.Fatalf("the page has %d of the agents", n)
	}
	for b.Loop() {
		s.priya.page("/")
	}
}

// TestOverviewShowsSomeInstances: of an agent with many instances the page shows the first and says how many more there are; somebody without any role
// sees their own agents, wherever these stand among all.
func TestOverviewShowsSomeInstances(t *testing.T) {
	s := newStory(t)
	many, _ := s.Agents.Find(t.Context(), id.Default, "release-bot")
	for range 7 {
		s.priya.enrol(many)
	}
	contains(t, s.priya.page("/"), "3 more")
	for i := range 60 {
		s.priya.register(fmt.Sprintf("bot-%02d", i), "")
	}
	omar := s.priya.invite("Omar Said", "approver")
	omar.register("omars-own", "")
	contains(t, omar.page("/"), "omars-own")
}
