package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/keyring"
)

// TestMain lets the test binary play the server that is killed.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("AUDIT_TEST_VICTIM"); dsn != "" {
		if err := writeUntilKilled(dsn); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func openLog(ctx context.Context, dsn string) (*audit.Log, *db.Reader, *db.Writer, error) {
	r, w, err := db.Open(ctx, dsn)
	if err != nil {
		return nil, nil, nil, err
	}
	seal, err := keyring.NewSealer(make([]byte, 32))
	if err != nil {
		return nil, nil, nil, err
	}
	ring, err := keyring.Open(ctx, r, seal)
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := audit.Open(ctx, audit.Config{Reader: r, Writer: w, Ring: ring, Issuer: "http://localhost:7070", Node: "victim", Now: time.Now})
	return l, r, w, err
}

// writeUntilKilled appends from 64 writers, each with a change of state and a nonce, and says what was acknowledged, once it was.
func writeUntilKilled(dsn string) error {
	ctx := context.Background()
	l, _, _, err := openLog(ctx, dsn)
	if err != nil {
		return err
	}
	acknowledged := make(chan evidence.Receipt)
	for w := range 64 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				d := draft(evidence.BindingAdded, name)
				d.Once = []evidence.Nonce{{Kind: "dpop", Key: "k", ID: id.Sum([]byte(name)), Expires: time.Now().Add(time.Hour)}}
				got, err := l.Record(ctx, d, func(tx *audit.Tx) error {
					_, err := tx.Exec(`INSERT INTO policy_file (digest, body) VALUES ($1, $2)`, name, "x")
					return err
				})
				if err != nil {
					fmt.Println("failed", err)
					os.Exit(1)
				}
				acknowledged <- got
			}
		}()
	}
	for got := range acknowledged {
		fmt.Println("ok", got.ID, got.Rev) // one write each: what a reader sees was acknowledged before
	}
	return nil
}

// TestKill is fault 1: killed at any moment, 50 times on one database, no acknowledged event is lost and the tree verifies.
func TestKill(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		kept := map[string]string{} // event id to revision
		var before audit.Head
		for round := range 50 {
			acked, cause := killOnce(t, dsn, time.Duration(5+round*7%120)*time.Millisecond)
			if cause != "" {
				t.Fatalf("round %d: the victim ended by itself: %s", round, cause)
			}
			for e, rev := range acked {
				kept[e] = rev
			}
			before = afterKill(t, dsn, kept, before)
		}
		t.Logf("%d events acknowledged, %d stored, 50 kills", len(kept), before.Size)
	})
}

// killOnce starts a victim, lets it write for a while, and ends it with SIGKILL. It returns what it acknowledged.
func killOnce(t *testing.T, dsn string, wait time.Duration) (acked map[string]string, cause string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AUDIT_TEST_VICTIM="+dsn)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill sync.Once
	acked = map[string]string{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		kill.Do(func() { time.AfterFunc(wait, func() { cmd.Process.Kill() }) })
		words := strings.Fields(lines.Text())
		if len(words) == 3 && words[0] == "ok" {
			acked[words[1]] = words[2]
		} else if strings.HasPrefix(lines.Text(), "failed") {
			cause = lines.Text()
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	return acked, cause
}

// afterKill opens the database as the next start would, and checks property A and that the log continues what was there before.
func afterKill(t *testing.T, dsn string, kept map[string]string, before audit.Head) audit.Head {
	t.Helper()
	l, r, w, err := openLog(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer l.Close()
	// PostgreSQL may still be committing what the victim had asked for when it was killed: whoever commits comes after it.
	if _, err := l.Record(t.Context(), draft(evidence.WorkspaceChanged, "after"), nil); err != nil {
		t.Fatal(err)
	}
	h := checkLog(t, rig{l, r, w}, id.Default)
	if before.Size > 0 {
		p, err := l.Extends(t.Context(), h, before.Size)
		if err != nil {
			t.Fatal(err)
		}
		key, _ := evidence.ParseVKey(h.Shard.VKey)
		old, err := evidence.OpenCheckpoint([]byte(before.Shard.Checkpoint), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Check(old, key); err != nil {
			t.Fatalf("the log of %d entries does not continue that of %d: %v", h.Size, before.Size, err)
		}
	}
	rows, err := r.Rows(t.Context(), `SELECT e.id, e.seq, e.target, p.digest FROM event e LEFT JOIN policy_file p ON p.digest = e.target WHERE e.log = $1 AND e.kind = 'binding.added'`, h.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]string{}
	for rows.Next() {
		var e, target string
		var seq int64
		var row *string
		if err := rows.Scan(&e, &seq, &target, &row); err != nil {
			t.Fatal(err)
		}
		if row == nil {
			t.Errorf("event %s is stored without its change", e)
		}
		if _, twice := stored[e]; twice {
			t.Errorf("event %s is stored twice", e)
		}
		stored[e] = fmt.Sprint(h.Shard.Base + seq)
	}
	for e, rev := range kept {
		if stored[e] != rev {
			t.Fatalf("event %s was acknowledged at %s and is stored at %q", e, rev, stored[e])
		}
	}
	var changes, nonces int
	r.Row(t.Context(), `SELECT COUNT(*) FROM policy_file`).Scan(&changes)
	r.Row(t.Context(), `SELECT COUNT(*) FROM seen`).Scan(&nonces)
	if changes != len(stored) || nonces != len(stored) {
		t.Fatalf("%d events, %d changes and %d nonces are stored", len(stored), changes, nonces)
	}
	return h
}
