package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/keyring"
)

func openRig(t testing.TB, dsn string) *audittest.Rig { return audittest.Open(t, dsn, start) }

// history reads a workspace's log as a stranger would, one entry after the other over all shards, and holds it to their checkpoints.
func history(t testing.TB, r *audittest.Rig, ws id.Workspace) (audit.History, []evidence.Event) {
	t.Helper()
	all, err := r.Log.Histories(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	var shards []evidence.ShardHead
	var stored []evidence.Stored
	var events []evidence.Event
	for _, h := range all[ws] {
		key, err := evidence.ParseVKey(h.Shard.VKey)
		if err != nil {
			t.Fatal(err)
		}
		shards = append(shards, evidence.ShardHead{Key: key, Base: h.Shard.Base, Signed: []byte(h.Shard.Checkpoint)})
		rows, err := r.Reader.Rows(t.Context(), `SELECT leaf, body FROM event WHERE log = $1 AND seq < $2 ORDER BY seq`, h.Log, h.Size)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var leaf, body []byte
			if err := rows.Scan(&leaf, &body); err != nil {
				t.Fatal(err)
			}
			e, err := evidence.ParseEvent(body)
			if err != nil {
				t.Fatal(err)
			}
			stored, events = append(stored, evidence.Stored{Leaf: [32]byte(leaf), Body: body}), append(events, e)
		}
		rows.Close()
	}
	if _, err := evidence.CheckHistory(slices.Values(stored), shards); err != nil {
		t.Fatalf("the log of %s: %v", ws, err)
	}
	return all[ws], events
}

func rollOf(t testing.TB, l *audit.Log, ws id.Workspace) audit.Roll {
	t.Helper()
	h, err := l.Head(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Roll{Workspace: ws, From: h.Log, As: keyring.Retired}
}

// TestNothingIsLostWhenALogGoesOn: while writers on every node record, and nodes race to close the shard, each shard is closed once, every acknowledged
// event stands where its receipt says, and no revision is given twice or left out.
func TestNothingIsLostWhenALogGoesOn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, openRig)
		var mu sync.Mutex
		receipts := map[int64]id.Event{}
		const rounds, writers = 4, 64
		for range rounds {
			roll := rollOf(t, nodes[0].Log, id.Default)
			codes := audittest.Together(t, nodes, 2*writers, func(r *audittest.Rig, i int) error {
				if i%16 == 8 { // eight at once, one of which comes first
					return r.Log.Roll(context.Background(), roll)
				}
				d := draft(evidence.DecisionMade, fmt.Sprint(i))
				d.Everywhere = i%5 == 0
				got, err := r.Log.Record(context.Background(), d, func(*audit.Tx) error { return nil })
				mu.Lock()
				defer mu.Unlock()
				if _, twice := receipts[got.Rev]; err == nil && twice {
					t.Errorf("revision %d was given twice", got.Rev)
				}
				receipts[got.Rev] = got.ID
				return err
			})
			if codes["log_rolled"] != 7 || codes[""] != 2*writers-7 {
				t.Errorf("outcomes: %v", codes)
			}
		}
		shards, events := history(t, nodes[0], id.Default)
		if len(shards) != rounds+1 {
			t.Errorf("%d shards after it was closed %d times", len(shards), rounds)
		}
		for rev, e := range receipts {
			if events[rev].ID != e {
				t.Errorf("#%d is another event than was acknowledged", rev)
			}
		}
		_, server := history(t, nodes[len(nodes)-1], id.Server)
		opened := 0
		for _, e := range server {
			if e.Kind == evidence.LogOpened && e.What.Log.Workspace == id.Default {
				opened++
			}
		}
		if opened != rounds+1 {
			t.Errorf("the server's log names %d shards", opened)
		}
		for _, h := range shards {
			k, err := nodes[0].Ring.Current(t.Context(), h.Shard.Origin)
			if closed := h.Log != shards.Newest().Log; closed != (fault.Code(err) == "no_key") {
				t.Errorf("%s: closed %t, and its key is %v, %v", h.Log, closed, k.Status, err)
			}
		}
	})
}

// TestANewYear: at the turn of the year each log goes on in one new shard, whoever of 64 callers on all nodes sees it first; a clock that is wrong for a
// while gives no name twice.
func TestANewYear(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, openRig)
		names := func() (all []string) {
			t.Helper()
			for _, ws := range []id.Workspace{id.Default, id.Server} {
				shards, _ := history(t, nodes[0], ws)
				for _, h := range shards {
					all = append(all, h.Log)
				}
			}
			return all
		}
		at := func(when time.Time, want ...string) {
			t.Helper()
			for _, r := range nodes {
				r.Pass(when.Sub(r.Now()))
			}
			if codes := audittest.Together(t, nodes, 64, func(r *audittest.Rig, _ int) error { return r.Log.RollDue(context.Background()) }); codes[""] != 64 {
				t.Errorf("%v", codes)
			}
			if got := names(); !slices.Equal(got, want) {
				t.Errorf("at %s: %v, want %v", when, got, want)
			}
		}
		at(time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC), "default/2026", "server/2026")
		at(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), "default/2026", "default/2027", "server/2026", "server/2027")
		at(time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC), "default/2026", "default/2027", "server/2026", "server/2027")
		if err := nodes[0].Log.Roll(t.Context(), rollOf(t, nodes[0].Log, id.Default)); err != nil {
			t.Fatal(err)
		}
		at(time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC), "default/2026", "default/2027", "default/2027-2", "server/2026", "server/2027")
		at(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC), "default/2026", "default/2027", "default/2027-2", "default/2028", "server/2026", "server/2027", "server/2028")
	})
}

// TestRollRefused: of a shard that is not open, and of a workspace that does not exist.
func TestRollRefused(t *testing.T) {
	r := openRig(t, dbtest.SQLite(t))
	roll := rollOf(t, r.Log, id.Server)
	if err := r.Log.Roll(t.Context(), roll); err != nil {
		t.Fatal(err)
	}
	if err := r.Log.Roll(t.Context(), roll); fault.Code(err) != "log_rolled" {
		t.Errorf("a shard is closed twice: %v", err)
	}
	none, _ := id.ParseWorkspace("none")
	if err := r.Log.Roll(t.Context(), audit.Roll{Workspace: none, From: "none/2026"}); fault.Code(err) != "workspace_unknown" {
		t.Errorf("a log that does not exist: %v", err)
	}
	if shards, _ := history(t, r, id.Server); len(shards) != 2 {
		t.Errorf("%d shards", len(shards))
	}
}

// TestHistoryIsOne: whatever is recorded, and wherever logs are closed between, reading finds the same events, in the same order and by the same names,
// as the history that a stranger reads.
func TestHistoryIsOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := openRig(t, "sqlite:"+t.TempDir()+"/"+rand.Text()+"/attorn.db")
		defer r.Log.Close()
		for _, act := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "secret", "roll", "roll server"}), 1, 40).Draw(rt, "acts") {
			switch act {
			case "roll", "roll server":
				if err := r.Log.Roll(t.Context(), rollOf(t, r.Log, map[string]id.Workspace{"roll": id.Default, "roll server": id.Server}[act])); err != nil {
					rt.Fatal(err)
				}
			default:
				d := draft(evidence.DecisionMade, act)
				d.Also = []id.Workspace{id.Server}
				if act == "secret" {
					d.Details = []evidence.Detail{{Field: "text", Subject: "s", Disclosure: []byte("words")}}
				}
				if _, err := r.Log.Record(t.Context(), d, nil); err != nil {
					rt.Fatal(err)
				}
			}
		}
		for _, ws := range []id.Workspace{id.Default, id.Server} {
			_, events := history(t, r, ws)
			limit := rapid.IntRange(1, 7).Draw(rt, "limit")
			for _, target := range []string{"", "a"} {
				var want, got []int64
				for _, e := range slices.Backward(events) {
					if found, err := r.Log.Event(t.Context(), ws, e.ID); err != nil || found.Rev != e.Rev {
						rt.Fatalf("%s is found at #%d, not #%d: %v", e.ID, found.Rev, e.Rev, err)
					}
					if target == "" || e.Kind == evidence.DecisionMade {
						want = append(want, e.Rev)
					}
				}
				before := int64(math.MaxInt64)
				for {
					page, err := r.Log.Search(t.Context(), ws, audit.Filter{Kind: map[bool]evidence.Kind{false: evidence.DecisionMade}[target == ""], Before: before, Limit: limit})
					if err != nil {
						rt.Fatal(err)
					}
					for _, e := range page {
						got, before = append(got, e.Rev), e.Rev
					}
					if len(page) < limit || before == 0 {
						break
					}
				}
				if !slices.Equal(got, want) {
					rt.Fatalf("%s: read %v, want %v", ws, got, want)
				}
			}
			all, err := r.Log.Search(t.Context(), ws, audit.Filter{Target: "secret", Limit: 200})
			if err != nil {
				rt.Fatal(err)
			}
			for i, e := range all {
				if i == 0 {
					if last, err := r.Log.Last(t.Context(), ws, evidence.DecisionMade, "secret"); err != nil || last.Rev != e.Rev {
						rt.Fatalf("the last is #%d, not #%d: %v", last.Rev, e.Rev, err)
					}
				}
				if i == len(all)-1 {
					if first, err := r.Log.First(t.Context(), ws, evidence.DecisionMade, "secret"); err != nil || first.Rev != e.Rev {
						rt.Fatalf("the first is #%d, not #%d: %v", first.Rev, e.Rev, err)
					}
				}
				if got, err := r.Log.Detail(t.Context(), e, "text"); ws == id.Default && (err != nil || string(got) != "words") {
					rt.Fatalf("a detail of #%d: %q, %v", e.Rev, got, err)
				}
			}
		}
	})
}
