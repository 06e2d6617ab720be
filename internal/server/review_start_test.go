package server

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

// TestTwoFirstStartsMakeOneServer: processes that start together on one new database have one issuer's key and one policy between them, and each
// publishes the key that the other one signs with.
func TestTwoFirstStartsMakeOneServer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		key := filepath.Join(t.TempDir(), "sealing.key")
		if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		nodes := make([]*Server, 3)
		if strings.HasPrefix(dsn, "sqlite:") { // one process
			nodes = nodes[:1]
		}
		errs := make([]error, len(nodes))
		var wg sync.WaitGroup
		for i := range nodes {
			wg.Go(func() {
				nodes[i], errs[i] = Open(t.Context(), Config{URL: "https://attorn.example.com", Data: filepath.Join(t.TempDir(), "d"), DSN: dsn, SealingKey: key, Node: "n"})
			})
		}
		wg.Wait()
		for i, s := range nodes {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			defer s.Close()
		}
		var first jose.PublicKey
		for i, s := range nodes {
			keys, err := s.guard.PublishedKeys(t.Context())
			if err != nil || len(keys) != 1 || i > 0 && keys[0] != first {
				t.Fatalf("node %d publishes %d keys, %v", i, len(keys), err)
			}
			first = keys[0]
		}
		for kind, ws := range map[evidence.Kind]id.Workspace{evidence.KeyPublished: id.Server, evidence.PolicyPublished: id.Default} {
			found, err := nodes[0].log.Search(t.Context(), ws, audit.Filter{Kind: kind})
			if err != nil || len(found) != 1 {
				t.Errorf("%d events %s, want 1; %v", len(found), kind, err)
			}
		}
	})
}

// TestTheServersOwnActsLeadToItsStart: whatever the server does of itself, its event leads to the start that ordered it (authority.md §7, 6).
func TestTheServersOwnActsLeadToItsStart(t *testing.T) {
	s, err := Open(t.Context(), Config{Dev: true, Data: filepath.Join(t.TempDir(), "d"), Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.SignInLink(t.Context()); err != nil {
		t.Fatal(err)
	}
	starts, err := s.log.Search(t.Context(), id.Server, audit.Filter{Kind: evidence.SystemStarted})
	if err != nil || len(starts) != 1 {
		t.Fatal(starts, err)
	}
	for _, ws := range []id.Workspace{id.Server, id.Default} {
		all, err := s.log.Search(t.Context(), ws, audit.Filter{Limit: 200})
		if err != nil || len(all) < 2 {
			t.Fatal(all, err)
		}
		for _, e := range all {
			if e.Who.Sub == evidence.ServerSub && e.ID != starts[0].ID && e.Cause != starts[0].ID {
				t.Errorf("%s #%d %s leads to %q", ws, e.Rev, e.Kind, e.Cause)
			}
		}
	}
}
