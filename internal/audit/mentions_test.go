package audit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestSearchFindsAll: whatever is looked for is found, in order and page by page, whether it is listed yet or not, as by looking at every event.
func TestSearchFindsAll(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		choose := rand.New(rand.NewPCG(4, 11))
		agents, people := make([]id.Agent, 5), make([]id.User, 3)
		for i := range agents {
			agents[i] = id.New[id.Agent](start)
		}
		for i := range people {
			people[i] = id.New[id.User](start)
		}
		var drafts []evidence.Draft
		for i := range 2500 { // listed twice, and some that are not
			d := draft(evidence.DecisionMade, []string{"a", "b", agents[0].String(), ""}[choose.IntN(4)])
			d.Agent, d.Person, d.Task = agents[choose.IntN(5)], people[choose.IntN(3)], []string{"", "", "REL-1", "REL-2"}[choose.IntN(4)]
			if i%400 == 0 {
				d.Kind, d.Target = evidence.KeyPublished, "rare"
			}
			if i == 0 || i == 2499 {
				d.Agent = id.Agent{}
			}
			drafts = append(drafts, d)
		}
		at := make([]int64, len(drafts))
		var wg sync.WaitGroup
		for part := range slices.Chunk(drafts, 250) {
			for i := range part {
				wg.Go(func() {
					got, err := l.Record(t.Context(), part[i], nil)
					if err != nil {
						t.Error(err)
					}
					part[i].Rev = got.Rev
				})
			}
			wg.Wait()
		}
		slices.SortFunc(drafts, func(a, b evidence.Draft) int { return int(b.Rev - a.Rev) }) // newest first
		for i, d := range drafts {
			at[i] = d.Rev
		}
		if at[0]-at[len(at)-1] != int64(len(at)-1) {
			t.Fatalf("revisions %d to %d of %d", at[len(at)-1], at[0], len(at))
		}
		for name, c := range map[string]struct {
			f  audit.Filter
			is func(d evidence.Draft) bool
		}{
			"agent":            {audit.Filter{Agent: agents[0]}, func(d evidence.Draft) bool { return d.Agent == agents[0] }},
			"person":           {audit.Filter{Person: people[1]}, func(d evidence.Draft) bool { return d.Person == people[1] }},
			"target":           {audit.Filter{Target: "a"}, func(d evidence.Draft) bool { return d.Target == "a" }},
			"an agent, target": {audit.Filter{Target: agents[0].String()}, func(d evidence.Draft) bool { return d.Target == agents[0].String() }},
			"task":             {audit.Filter{Task: "REL-2"}, func(d evidence.Draft) bool { return d.Task == "REL-2" }},
			"all of them": {audit.Filter{Agent: agents[1], Person: people[0], Target: "b", Task: "REL-1"}, func(d evidence.Draft) bool {
				return d.Agent == agents[1] && d.Person == people[0] && d.Target == "b" && d.Task == "REL-1"
			}},
			"target and kind": {audit.Filter{Target: "rare", Kind: evidence.KeyPublished}, func(d evidence.Draft) bool { return d.Target == "rare" }},
			"what is not":     {audit.Filter{Target: "nothing"}, func(evidence.Draft) bool { return false }},
		} {
			var want, got []int64
			for _, d := range drafts {
				if c.is(d) {
					want = append(want, d.Rev)
				}
			}
			for f := c.f; ; f.Before = got[len(got)-1] {
				f.Limit = 90
				page, err := l.Search(t.Context(), id.Default, f)
				if err != nil {
					t.Fatal(name, err)
				}
				for _, e := range page {
					got = append(got, e.Rev)
				}
				if len(page) < 90 {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d events were found of %d, or not in order", name, len(got), len(want))
			}
			if len(want) == 0 || c.f.Kind == "" {
				continue
			}
			first, err := l.First(t.Context(), id.Default, c.f.Kind, c.f.Target)
			last, err2 := l.Last(t.Context(), id.Default, c.f.Kind, c.f.Target)
			if err != nil || err2 != nil || first.Rev != want[len(want)-1] || last.Rev != want[0] {
				t.Errorf("%s: the first is %d, the last %d; %v, %v", name, first.Rev, last.Rev, err, err2)
			}
		}
		var listed, mentions int
		if err := l.reader.Row(t.Context(), `SELECT listed, (SELECT COUNT(*) FROM mention WHERE log = l.log) FROM log l WHERE workspace = 'default'`).Scan(&listed, &mentions); err != nil {
			t.Fatal(err)
		}
		if listed < 2*1024 || listed > 2501 || mentions < 3*listed {
			t.Errorf("%d are listed, with %d mentions", listed, mentions)
		}
		if l.reader.Engine() == db.SQLite {
			l.searchesByIndex(t)
		}
	})
}

// searchesByIndex looks at how every text of a search is run: by the name and the place, or through what is not listed yet.
func (l rig) searchesByIndex(t *testing.T) {
	looked := 0
	for _, text := range l.reader.Texts() {
		if !strings.Contains(text, "FROM event e") {
			continue
		}
		args := strings.Count(text, "$")
		rows, err := l.reader.Rows(t.Context(), "EXPLAIN QUERY PLAN "+text, make([]any, args)...)
		if err != nil {
			t.Fatal(text, err)
		}
		var plan []string
		for rows.Next() {
			var node, parent, unused int
			var step string
			if err := rows.Scan(&node, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		rows.Close()
		want := []string{"SEARCH e USING INDEX sqlite_autoindex_event_1 (log=? AND seq>?"}
		if strings.Contains(text, "mention") {
			want = []string{"SEARCH m USING PRIMARY KEY (log=? AND name=? AND seq<?", "SEARCH e USING INDEX sqlite_autoindex_event_1 (log=? AND seq=?)"}
		}
		for i, step := range want {
			if len(plan) != len(want) || !strings.HasPrefix(plan[i], step) {
				t.Errorf("%s is run as %s", text, fmt.Sprint(plan))
				break
			}
		}
		looked++
	}
	if looked < 12 {
		t.Errorf("%d texts were looked at", looked)
	}
}
