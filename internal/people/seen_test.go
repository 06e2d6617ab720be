package people_test

import (
	"maps"
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// Somebody was seen when a key of theirs was last used, an account was linked or a session went on, whichever came last, also when it has ended; who was
// only invited is in none of that.
func TestLastSeen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		invited, byKey, bySession, upstream := r.person(t, "A").ID, r.person(t, "B").ID, r.person(t, "C").ID, r.person(t, "D").ID
		seen := func() map[id.User]time.Time {
			t.Helper()
			all, err := r.LastSeen(t.Context(), invited, byKey, bySession, upstream)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if all := seen(); len(all) != 0 {
			t.Errorf("nobody signed in: %v", all)
		}
		k, err := r.addKey(byKey, newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		r.mustSignIn(t, bySession)
		if err := r.linkIdentity(upstream, "https://id.example", "1"); err != nil {
			t.Fatal(err)
		}
		first := r.Now()
		want := map[id.User]time.Time{byKey: first, bySession: first, upstream: first}
		same := func(a, b time.Time) bool { return a.Equal(b) }
		if all := seen(); !maps.EqualFunc(all, want, same) {
			t.Errorf("%v, want %v", all, want)
		}
		r.Pass(time.Hour)
		for _, do := range []func(tx *audit.Tx) error{
			func(tx *audit.Tx) error { return r.UseKey(tx, k.Key) },
			func(tx *audit.Tx) error { return r.EndKey(tx, byKey, k.Key) },
		} {
			if err := r.Do(id.Default, do); err != nil {
				t.Fatal(err)
			}
		}
		want[byKey] = r.Now()
		if all := seen(); !maps.EqualFunc(all, want, same) {
			t.Errorf("later %v, want %v", all, want)
		}
	})
}
