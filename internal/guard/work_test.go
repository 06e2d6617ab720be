package guard_test

import (
	"crypto/rand"
	"testing"

	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// work is what the database was asked for.
type work struct{ reads, writes, commits int64 }

func (r *rig) work(do func()) work {
	r.t.Helper()
	before, written := r.reader.Work(), r.writer.Work()
	do()
	after, now := r.reader.Work(), r.writer.Work()
	return work{after.Statements - before.Statements, now.Statements - written.Statements, now.Commits - written.Commits}
}

// TestWorkPerOperation holds what a token costs the database to what it must: for an agent that was seen before, under delegations that were, nothing is read
// but by the commit itself. A cache that breaks fails here, on any machine, however quick that is.
func TestWorkPerOperation(t *testing.T) {
	// Of a commit alone: the head, two nonces, what was forgotten of such, the event, its sealed proof, the token, the new head. More where leaves fill a tile.
	const commit = 8
	s := newStory(t, dbtest.SQLite(t), 0)
	own := func() error {
		_, err := s.ClientCredentials(t.Context(), s.deployer.client(), guard.TokenRequest{Resource: issuer + "/mcp/files"})
		return err
	}
	exchange := func() error {
		_, err := s.Exchange(t.Context(), s.deployer.client(), guard.TokenRequest{
			Resource: issuer + "/mcp/files", Subject: s.leaf.String(), SubjectType: guard.TypeDelegation,
		})
		return err
	}
	for name, c := range map[string]struct {
		do     func() error
		warm   bool
		before func()
		most   work
	}{
		"client credentials, seen":           {own, true, nil, work{0, commit, 1}},
		"exchange, seen":                     {exchange, true, nil, work{0, commit, 1}},
		"exchange, after the caller changed": {exchange, true, func() { s.ok(s.tag(s.priya, "tier", rand.Text())) }, work{2, commit, 1}},
		// The caller twice, to authenticate and to rest on; the workspace, the server, the chain, the person, the agent between, whether that is an app's, the issuer's key.
		"exchange, never seen": {exchange, false, nil, work{10, commit, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if !c.warm {
				s.Guard = guard.New(s.Config) // remembers nothing
			} else {
				for range 3 {
					s.ok(c.do())
				}
			}
			if c.before != nil {
				c.before()
			}
			var err error
			if got := s.work(func() { err = c.do() }); err != nil || got.reads > c.most.reads || got.writes > c.most.writes || got.commits != c.most.commits {
				t.Errorf("%v, %+v; at most %+v", err, got, c.most)
			} else {
				t.Logf("%+v", got)
			}
		})
	}
}

// TestAllocs: a statement that was verified to be a certain record is neither read nor verified again, which would show here.
func TestAllocs(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 0)
	measure := func(do func(c *guard.Client) error) float64 {
		clients := make([]*guard.Client, 12)
		for i := range clients {
			clients[i] = s.deployer.client()
		}
		n := 0
		return testing.AllocsPerRun(10, func() {
			s.ok(do(clients[n]))
			n++
		})
	}
	own := measure(func(c *guard.Client) error {
		_, err := s.ClientCredentials(t.Context(), c, guard.TokenRequest{Resource: issuer + "/mcp/files"})
		return err
	})
	exchange := measure(func(c *guard.Client) error {
		_, err := s.Exchange(t.Context(), c, guard.TokenRequest{Resource: issuer + "/mcp/files", Subject: s.leaf.String(), SubjectType: guard.TypeDelegation})
		return err
	})
	t.Logf("a token of one's own %.0f, an exchange %.0f", own, exchange)
	if most := 175.0; exchange > own+most {
		t.Errorf("an exchange allocates %.0f times, a token of the agent's own %.0f: more than %.0f between them", exchange, own, most)
	}
}
