package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
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

// TestOverviewSaysWhatCanBeDone: an agent without instances comes with the command that enrols one, and not where that is refused: an app has its own keys, and what
// has ended gets none.
func TestOverviewSaysWhatCanBeDone(t *testing.T) {
	r, priya, _ := newAsk(t)
	path := r.begin(r.asksFor("tool:files:read_file"))
	statement, got := priya.proposeLend(path, picked{Keep: []int{0}, TTL: 3600})
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if got = priya.give(path, statement); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	page := priya.page("/")
	contains(t, page, "none: an app has the keys that it gets its tokens with")
	lacks(t, page, "attorn agent enrol")
	later, _, err := r.RegisterAgent(t.Context(), priya.caller(), agents.NewAgent{Name: "later"})
	r.ok(err)
	contains(t, priya.page("/"), "attorn agent enrol later")
	_, _, _, err = r.EndAgent(t.Context(), priya.caller(), later.ID, "revoke", "")
	r.ok(err)
	page = priya.page("/")
	contains(t, page, "later")
	lacks(t, page, "attorn agent enrol")
}
