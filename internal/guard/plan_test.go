package guard_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

var placeholder = regexp.MustCompile(`\$\d+`)

// TestTokensLookNothingThrough: every statement that a token takes, of an agent and under delegations that were never seen before too, goes by an index: what it
// costs does not grow with how much there is.
func TestTokensLookNothingThrough(t *testing.T) {
	small := []string{"up", "down", "old", "CONSTANT"} // what a statement made itself
	s := newStory(t, dbtest.SQLite(t), 0)
	s.Guard = guard.New(s.Config)
	third := s.priya.register("third")
	for range 3 { // of the writer's statements those are kept that ran twice
		s.deployer.tool(s.leaf)
		_, err := s.ClientCredentials(t.Context(), s.bot.client(), guard.TokenRequest{Resource: issuer + "/mcp/files"})
		s.ok(err)
		s.ok(s.handOver(s.bot, third, lent{under: s.root}, "tool:files:read"))
	}
	looked := 0
	for _, text := range append(s.reader.Texts(), s.writer.Texts()...) {
		verb, _, _ := strings.Cut(strings.TrimSpace(text), " ")
		if slices.Contains([]string{"INSERT", "SAVEPOINT", "RELEASE", "ROLLBACK"}, verb) || strings.HasSuffix(text, "FROM server_key") { // which all are read once, at the start
			continue
		}
		args := 0
		for _, p := range placeholder.FindAllString(text, -1) {
			args = max(args, int(p[1]-'0'))
		}
		rows, err := s.reader.Rows(t.Context(), "EXPLAIN QUERY PLAN "+text, make([]any, args)...)
		if err != nil {
			t.Fatal(text, err)
		}
		for rows.Next() {
			var node, parent, unused int
			var step string
			s.ok(rows.Scan(&node, &parent, &unused, &step))
			if what, ok := strings.CutPrefix(step, "SCAN "); ok && !slices.Contains(small, strings.Fields(what)[0]) {
				t.Errorf("%q in the plan of %.300s", step, text)
			}
		}
		rows.Close()
		looked++
	}
	if looked < 15 {
		t.Errorf("%d statements were looked at", looked)
	}
}
