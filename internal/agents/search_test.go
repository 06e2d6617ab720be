package agents_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestSearch: whatever is asked for, paging by whatever steps finds exactly what a look at every agent finds, in its order.
func TestSearch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		owners := []id.User{id.New[id.User](r.Now()), id.New[id.User](r.Now()), id.New[id.User](r.Now())}
		names := []string{"bot", "bot-a", "bot.b", "bot_c", "botz", "a", "b", "bo", "zz", "0", "bot0", "b-o-t", "bo.t", "deploy", "deploy-1", "deploy-10", "deploy-2"}
		var all []agents.Agent
		for i, name := range names {
			n := agents.NewAgent{Workspace: id.Default, Name: name, Owner: owners[i%3], Pending: i%5 == 4}
			if i%2 == 0 {
				n.Tags = tags(t, "env", []string{"prod", "dev"}[i%4/2], "n", fmt.Sprint(i))
			}
			if i%4 == 1 {
				n.ExpiresAt = r.Now().Add(time.Duration(1+i%3) * time.Hour)
			}
			var a agents.Agent
			if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
				if a, err = r.Register(tx, n); err == nil && i%7 == 1 {
					a, _, err = r.Revoke(tx, id.Default, a.ID)
				} else if err == nil && i%6 == 2 && !n.Pending {
					a, err = r.Suspend(tx, id.Default, a.ID)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
			r.Pass(time.Millisecond)
		}
		r.agent(t, other, "bot")
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.OwnerGone(tx, id.Default, owners[1]) }); err != nil {
			t.Fatal(err)
		}
		r.Pass(2 * time.Hour)
		rapid.Check(t, func(t *rapid.T) {
			some := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 0 } // or few queries find more than a page
			q := agents.Query{Prefix: rapid.SampledFrom([]string{"", "", "bot", "bot-", "b", "deploy-1", "zzz", "%", "B"}).Draw(t, "prefix")}
			if some("standing") {
				q.Status = rapid.SampledFrom([]agents.Status{agents.Pending, agents.Active, agents.Suspended, agents.Revoked, agents.Expired}).Draw(t, "status")
			}
			if some("owned") {
				q.Owner = rapid.SampledFrom(owners).Draw(t, "owner")
			}
			q.Ownerless = some("ownerless")
			if some("tagged") {
				q.Tag, q.Value = "env", rapid.SampledFrom([]string{"prod", "dev", "none"}).Draw(t, "value")
			}
			if some("in") {
				q.In = []id.Agent{all[0].ID, all[5].ID, all[7].ID, all[12].ID}
			}
			var want []string
			for _, a := range all {
				is := a.StatusAt(r.Now())
				if strings.HasPrefix(a.Name, q.Prefix) && (q.Status == "" || is == q.Status) && (q.Owner.IsZero() || a.Owner == q.Owner) &&
					(q.Tag == "" || a.Tags.Map()[q.Tag] == q.Value) && (q.In == nil || slices.Contains(q.In, a.ID)) &&
					(!q.Ownerless || a.Owner == owners[1] && is != agents.Revoked && is != agents.Expired) {
					want = append(want, a.Name)
				}
			}
			if q.Prefix != "" {
				slices.Sort(want)
			}
			q.Limit = rapid.IntRange(1, 6).Draw(t, "limit")
			var found []string
			for {
				page, err := r.List(t.Context(), id.Default, q, r.Now())
				if err != nil || len(page) > q.Limit {
					t.Fatal(len(page), err)
				}
				for _, a := range page {
					found = append(found, a.Name)
				}
				if len(page) < q.Limit {
					break
				}
				q.After = page[len(page)-1].ID
			}
			if !slices.Equal(found, want) {
				t.Fatalf("%+v: found %v, not %v", q, found, want)
			}
		})
	})
}

// TestSearchPlans: with 20,000 agents each filter is answered from an index, and a page is not sorted.
func TestSearchPlans(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	who := id.New[id.User](r.Now())
	for part := range 10 {
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			for i := range 2000 {
				_, err := tx.Exec(`INSERT INTO agent (id, workspace, name, owner, description, status, created_at) VALUES ($1, $2, $3, $4, '', 'active', 0)`,
					id.New[id.Agent](r.Now()), id.Default, fmt.Sprintf("bot-%d-%d", part, i), who)
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		r.Pass(time.Second)
	}
	after := id.New[id.Agent](r.Now())
	for name, c := range map[string]struct {
		q     agents.Query
		index string
	}{
		"all":       {agents.Query{}, "agent_page (workspace=?"},
		"page":      {agents.Query{After: after}, "agent_page (workspace=? AND id>?)"},
		"prefix":    {agents.Query{Prefix: "bot-3"}, "(workspace=? AND name>? AND name<?)"},
		"status":    {agents.Query{Status: agents.Suspended, After: after}, "agent_status (workspace=? AND status=? AND id>?)"},
		"expired":   {agents.Query{Status: agents.Expired, After: after}, "agent_expires (workspace=? AND id>?)"},
		"owner":     {agents.Query{Owner: who, After: after}, "agent_owner (workspace=? AND owner=? AND id>?)"},
		"tag":       {agents.Query{Tag: "env", Value: "prod", After: after}, "agent_tag_value (workspace=? AND name=? AND value=? AND agent>?)"},
		"in":        {agents.Query{In: []id.Agent{after, after}}, "(workspace=? AND id=?)"},
		"names":     {agents.Query{Names: []string{"a", "b"}}, "(workspace=? AND name=?)"},
		"ownerless": {agents.Query{Ownerless: true}, "agent_owner (workspace=? AND owner=?"},
	} {
		text, args := agents.SQL(c.q, id.Default, r.Now())
		rows, err := r.Reader.Rows(t.Context(), `EXPLAIN QUERY PLAN `+text, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var n, parent, unused int
			var line string
			if err := rows.Scan(&n, &parent, &unused, &line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(plan, "\n")
		sorts := strings.Contains(said, "ORDER BY")
		if !strings.Contains(said, c.index) || strings.Contains(said, "SCAN agent") || sorts && name != "in" && name != "names" && name != "ownerless" {
			t.Errorf("%s:\n%s", name, said)
		}
	}
}
