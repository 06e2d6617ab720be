package rules_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// rig is the room on a real log.
type rig struct {
	*rules.Room
	*audittest.Rig
}

func open(t testing.TB, dsn string) *rig {
	t.Helper()
	r := audittest.Open(t, dsn, start)
	return &rig{rules.New(r.Reader), r}
}

func (g *rig) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if err := g.Do(id.Default, func(tx *audit.Tx) error {
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			return fmt.Errorf("changed nothing")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// bundle is the shipped policies and one of its own.
func bundle(t testing.TB, text string) *policy.Set {
	t.Helper()
	set, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/own.cedar", Text: []byte(text)}))
	if set == nil {
		t.Fatal(problems)
	}
	return set
}

func numbered(t testing.TB, n int) *policy.Set {
	return bundle(t, fmt.Sprintf(`@id("p%d") permit (principal, action, resource) when { context.perm.n == %d };`, n, n))
}

func (g *rig) publish(ws id.Workspace, set *policy.Set, base id.Digest) error {
	return g.Do(id.Default, func(tx *audit.Tx) error { return g.Publish(tx, ws, set, base) })
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Errorf("code %q, want %q (%v)", got, code, err)
	}
}

func acme() id.Workspace {
	ws, err := id.ParseWorkspace("acme")
	if err != nil {
		panic(err)
	}
	return ws
}

func TestPublishMovesThePointer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		_, err := g.Live(t.Context(), id.Default)
		wantCode(t, err, "not_found")
		one, two, three := numbered(t, 1), numbered(t, 2), numbered(t, 3)
		wantCode(t, g.publish(id.Default, one, two.Digest()), "stale_base")
		if _, err := g.Load(t.Context(), id.Default, one.Digest()); fault.Code(err) != "not_found" {
			t.Error("a publication that was refused left its bundle", err)
		}
		for _, step := range []struct {
			set  *policy.Set
			base id.Digest
			code string
		}{
			{one, id.Digest{}, ""},
			{two, one.Digest(), ""},
			{three, one.Digest(), "stale_base"},
			{one, two.Digest(), ""}, // back to what was there
			{three, id.Digest{}, ""},
			{three, three.Digest(), ""},
		} {
			before := g.live(t)
			err := g.publish(id.Default, step.set, step.base)
			if step.code != "" {
				wantCode(t, err, step.code)
				if g.live(t) != before {
					t.Error("a refusal moved the pointer")
				}
			} else if err != nil || g.live(t) != step.set.Digest() {
				t.Errorf("live %s, want %s; %v", g.live(t), step.set.Digest(), err)
			}
		}
		if _, err := g.Live(t.Context(), acme()); fault.Code(err) != "not_found" {
			t.Error("another workspace has it live", err)
		}
		fresh := rules.New(g.Reader) // nothing kept
		for _, set := range []*policy.Set{one, two, three} {
			got, err := fresh.Load(t.Context(), id.Default, set.Digest())
			if err != nil || got.Digest() != set.Digest() || len(got.Files()) != len(set.Files()) {
				t.Errorf("%v", err)
			}
		}
	})
}

// live is the live bundle, zero where there is none.
func (g *rig) live(t testing.TB) id.Digest {
	t.Helper()
	d, err := g.Live(t.Context(), id.Default)
	if err != nil && fault.Code(err) != "not_found" {
		t.Fatal(err)
	}
	return d
}

func TestPublishersAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		base := numbered(t, 0)
		if err := all[0].publish(id.Default, base, id.Digest{}); err != nil {
			t.Fatal(err)
		}
		sets := make([]*policy.Set, 16)
		for i := range sets {
			sets[i] = numbered(t, i+1)
		}
		var won atomic.Int64
		codes := audittest.Together(t, all, len(sets), func(g *rig, i int) error {
			err := g.publish(id.Default, sets[i], base.Digest())
			if err == nil {
				won.Store(int64(i))
			}
			return err
		})
		if codes[""] != 1 || codes["stale_base"] != len(sets)-1 {
			t.Fatalf("published on the same base: %v", codes)
		}
		if d, err := all[0].Live(t.Context(), id.Default); err != nil || d != sets[won.Load()].Digest() {
			t.Error(d, err)
		}
	})
}

func TestLoadBelievesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		one, two := numbered(t, 1), numbered(t, 2)
		for _, set := range []*policy.Set{one, two} {
			if err := g.publish(id.Default, set, id.Digest{}); err != nil {
				t.Fatal(err)
			}
		}
		load := func(set *policy.Set) error {
			_, err := rules.New(g.Reader).Load(t.Context(), id.Default, set.Digest())
			return err
		}
		own := func(set *policy.Set) id.Digest {
			all := set.Files()
			return id.Sum(all[slices.IndexFunc(all, func(f policy.File) bool { return f.Path == "policies/own.cedar" })].Text)
		}
		g.exec(t, `UPDATE policy_file SET body = $2 WHERE digest = $1`, own(one), "permit (principal, action, resource);")
		wantCode(t, load(one), "bundle_broken")
		g.exec(t, `UPDATE policy_file SET body = 'permit (' WHERE digest = $1`, own(one))
		wantCode(t, load(one), "bundle_broken")
		g.exec(t, `DELETE FROM policy_file WHERE digest = $1`, own(one))
		wantCode(t, load(one), "bundle_broken")
		if err := load(two); err != nil {
			t.Error(err)
		}
		for _, manifest := range []string{string(one.Manifest()), "{}", "[", `{"policies/own.cedar":"x"}`} {
			g.exec(t, `UPDATE bundle SET manifest = $2 WHERE digest = $1`, two.Digest(), manifest)
			wantCode(t, load(two), "bundle_broken")
		}
	})
}

func TestLoadIsKeptAndShared(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		set := numbered(t, 1)
		if err := g.publish(id.Default, set, id.Digest{}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		got := make([]*policy.Set, 32)
		for i := range got {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				if i%4 == 0 {
					cancel() // one that gave up must not spoil it for the others
				}
				defer cancel()
				loaded, err := g.Load(ctx, id.Default, set.Digest())
				if i%4 != 0 && err != nil {
					t.Error(err)
				}
				got[i] = loaded
			})
		}
		wg.Wait()
		for i, s := range got {
			if i%4 != 0 && (s == nil || s != got[1]) {
				t.Fatalf("caller %d has a set of its own", i)
			}
		}
		_, err := g.Load(t.Context(), acme(), set.Digest())
		wantCode(t, err, "not_found")
		if err := g.publish(acme(), set, id.Digest{}); err != nil {
			t.Fatal(err)
		}
		if s, err := g.Load(t.Context(), acme(), set.Digest()); err != nil || s != got[1] {
			t.Error("the same bundle of another workspace is compiled again", err)
		}
		_, err = g.Load(t.Context(), id.Server, set.Digest())
		wantCode(t, err, "not_found")
		for i := range 40 { // far more than are kept
			other := numbered(t, i+2)
			if err := g.publish(id.Default, other, id.Digest{}); err != nil {
				t.Fatal(err)
			}
			if s, err := g.Load(t.Context(), id.Default, other.Digest()); err != nil || s.Digest() != other.Digest() {
				t.Fatal(err)
			}
		}
		if s, err := g.Load(t.Context(), id.Default, set.Digest()); err != nil || s == got[1] || s.Digest() != set.Digest() {
			t.Error("what was not used for long is still kept", err)
		}
	})
}

// noticed tells when it is first asked for its end: then its holder is about to wait.
type noticed struct {
	context.Context
	once  sync.Once
	asked func()
}

func (n *noticed) Done() <-chan struct{} {
	n.once.Do(n.asked)
	return n.Context.Done()
}

// Whoever waits for another's compiling gets its result, tries itself if that failed, and gives up when its own time is over.
func TestLoadWaits(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		for i, fail := range []bool{false, true} {
			set := numbered(t, i+1)
			if err := g.publish(id.Default, set, id.Digest{}); err != nil {
				t.Fatal(err)
			}
			release := g.Hold(t.Context(), id.Default, set.Digest())
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := g.Load(ctx, id.Default, set.Digest()); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			var wg, waiting sync.WaitGroup
			for range 8 {
				waiting.Add(1)
				ctx := &noticed{Context: t.Context(), asked: waiting.Done}
				wg.Go(func() {
					if got, err := g.Load(ctx, id.Default, set.Digest()); err != nil || got == nil || got.Digest() != set.Digest() {
						t.Errorf("after a failure %v: %v, %v", fail, got, err)
					}
				})
			}
			waiting.Wait()
			release(fail)
			wg.Wait()
		}
	})
}
