package people_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/people"
)

func (r rig) signIn(person id.User, acr int) (secret string, s people.Session, err error) {
	err = r.Do(id.Default, func(tx *audit.Tx) (err error) { secret, s, err = r.OpenSession(tx, person, acr); return err })
	return secret, s, err
}

func (r rig) mustSignIn(t testing.TB, person id.User) string {
	t.Helper()
	secret, _, err := r.signIn(person, 3)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// signedIn says whether the secret opens a session now.
func (r rig) signedIn(t testing.TB, secret string) bool {
	t.Helper()
	s, p, err := r.Session(t.Context(), secret, r.Now())
	if err != nil && (fault.Code(err) != "session_unknown" || s != people.Session{} || p != people.Person{}) {
		t.Errorf("%+v %+v, %v", s, p, err)
	}
	return err == nil
}

func (r rig) touch(t testing.TB, secret string) {
	t.Helper()
	if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.Touch(tx, id.Sum([]byte(secret))) }); err != nil {
		t.Fatal(err)
	}
}

func TestSessionIsReadBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p := r.person(t, "Priya", id.Default)
		secret, s, err := r.signIn(p.ID, 3)
		want := people.Session{ID: id.Sum([]byte(secret)), Person: p.ID, ACR: 3, AuthTime: r.Now(), SeenAt: r.Now(), ExpiresAt: r.Now().Add(8 * time.Hour)}
		if err != nil || s != want || len(secret) != 43 {
			t.Fatalf("opened %q %+v, %v", secret, s, err)
		}
		if s, gotP, err := r.Session(t.Context(), secret, r.Now()); err != nil || s != want || gotP != p {
			t.Errorf("read %+v %+v, %v", s, gotP, err)
		}
		for _, wrong := range []string{"", s.ID.String(), secret[:42], secret + "=", strings.ToLower(secret), "\x00", strings.Repeat("x", 100_000)} {
			if wrong != secret && r.signedIn(t, wrong) {
				t.Errorf("%.50q opens a session", wrong)
			}
		}
		var n int
		if err := r.Reader.Row(t.Context(), `SELECT count(*) FROM console_session WHERE hash = $1`, secret).Scan(&n); err != nil || n != 0 {
			t.Error("the secret is stored", n, err)
		}
		if again := r.mustSignIn(t, p.ID); again == secret || !r.signedIn(t, secret) {
			t.Error("a second sign-in changed the first")
		}
	})
}

func TestSessionsEndByThemselves(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p := r.person(t, "Priya", id.Default)
		idle := r.mustSignIn(t, p.ID)
		r.Pass(30*time.Minute - time.Microsecond)
		if !r.signedIn(t, idle) {
			t.Error("ended before it was idle for 30 minutes")
		}
		r.Pass(time.Microsecond)
		if r.signedIn(t, idle) {
			t.Error("idle for 30 minutes")
		}
		if r.touch(t, idle); r.signedIn(t, idle) {
			t.Error("a touch woke it")
		}
		busy := r.mustSignIn(t, p.ID)
		for range 23 {
			r.Pass(20 * time.Minute)
			r.touch(t, busy)
			if !r.signedIn(t, busy) {
				t.Fatal("ended while it was used")
			}
		}
		r.Pass(20*time.Minute - time.Microsecond)
		r.touch(t, busy)
		if !r.signedIn(t, busy) {
			t.Error("ended before 8 hours")
		}
		r.Pass(time.Microsecond)
		if r.signedIn(t, busy) {
			t.Error("used for more than 8 hours")
		}
	})
}

func TestTouchWritesOnceAMinute(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	begin, secret := r.Now(), r.mustSignIn(t, r.person(t, "Priya", id.Default).ID)
	for _, c := range []struct {
		pass time.Duration
		due  bool
		seen time.Duration // since the beginning
	}{
		{0, false, 0},
		{time.Minute - time.Microsecond, false, 0},
		{time.Microsecond, true, time.Minute},
		{30 * time.Second, false, time.Minute},
		{time.Hour / 4, true, time.Minute + 30*time.Second + time.Hour/4},
		{-time.Minute, false, time.Minute + 30*time.Second + time.Hour/4}, // the clock jumped back
	} {
		r.Pass(c.pass)
		s, _, err := r.Session(t.Context(), secret, r.Now())
		if err != nil || s.Due(r.Now()) != c.due {
			t.Errorf("due: %v, want %v, %v", !c.due, c.due, err)
		}
		r.touch(t, secret)
		if s, _, err = r.Session(t.Context(), secret, r.Now()); err != nil || s.SeenAt.Sub(begin) != c.seen {
			t.Errorf("seen after %s, want %s, %v", s.SeenAt.Sub(begin), c.seen, err)
		}
	}
}

func TestSigningOut(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p, q := r.person(t, "Priya", id.Default), r.person(t, "Maya", id.Default)
		a, b, c, hers := r.mustSignIn(t, p.ID), r.mustSignIn(t, p.ID), r.mustSignIn(t, p.ID), r.mustSignIn(t, q.ID)
		for range 2 {
			if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.EndSession(tx, id.Sum([]byte(a))) }); err != nil {
				t.Fatal(err)
			}
		}
		if r.signedIn(t, a) || !r.signedIn(t, b) {
			t.Error("signing out of one session")
		}
		var n int64
		if err := r.Do(id.Default, func(tx *audit.Tx) (err error) { n, err = r.EndSessions(tx, p.ID); return err }); err != nil || n != 2 {
			t.Error(n, err)
		}
		if r.signedIn(t, b) || r.signedIn(t, c) || !r.signedIn(t, hers) {
			t.Error("signing out everywhere")
		}
	})
}

func TestSuspendedPersonsHaveNoSession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p := r.person(t, "Priya", id.Default)
		old := r.mustSignIn(t, p.ID)
		r.mustSignIn(t, p.ID)
		if n, err := r.suspend(id.Default, p.ID); err != nil || n != 2 {
			t.Error(n, err)
		}
		if secret, _, err := r.signIn(p.ID, 3); fault.Code(err) != "person_suspended" || secret != "" {
			t.Error(secret, err)
		}
		if _, _, err := r.signIn(id.New[id.User](r.Now()), 3); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		// What a sign-in at the very moment of the suspension may leave behind: it opens nothing, and is gone after Resume.
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, err := tx.Exec(`INSERT INTO console_session (hash, person, acr, auth_time, created_at, seen_at, expires_at) VALUES ($1, $2, 3, $3, $3, $3, $4)`,
				id.Sum([]byte(old)), p.ID, tx.Now().UnixMicro(), tx.Now().Add(time.Hour).UnixMicro())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if r.signedIn(t, old) {
			t.Error("a suspended person is signed in")
		}
		if err := r.resume(id.Default, p.ID); err != nil {
			t.Fatal(err)
		}
		if r.signedIn(t, old) {
			t.Error("a session outlived the suspension")
		}
		if !r.signedIn(t, r.mustSignIn(t, p.ID)) {
			t.Error("a resumed person cannot sign in")
		}
	})
}

func TestExpireDeletesOnlyWhatIsOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p := r.person(t, "Priya", id.Default)
		r.mustSignIn(t, p.ID)
		r.Pass(8*time.Hour - 20*time.Minute)
		live := r.mustSignIn(t, p.ID)
		r.Pass(20 * time.Minute)
		expire := func() (n int64) {
			t.Helper()
			if err := r.Do(id.Server, func(tx *audit.Tx) (err error) { n, err = r.Expire(tx, tx.Now()); return err }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := expire(); n != 0 {
			t.Errorf("%d at the last moment", n)
		}
		r.Pass(time.Microsecond)
		if n := expire(); n != 1 || !r.signedIn(t, live) {
			t.Errorf("%d sessions went", n)
		}
	})
}
