package tickets_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/tickets"
)

const agent = "agt_06a8d1s0a8000000000000000g"

var kinds = []tickets.Kind{
	tickets.SignIn, tickets.Enrol, tickets.Challenge, tickets.Upstream, tickets.Pushed, tickets.Consent, tickets.Resume, tickets.Code, tickets.Refresh,
}

func (r rig) issue(t testing.TB, kind tickets.Kind, ttl time.Duration) string {
	t.Helper()
	var secret string
	if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
		secret, err = r.Issue(tx, tickets.Ticket{Kind: kind, Workspace: id.Default, Subject: agent, Body: `{"n":1}`}, ttl)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return secret
}

func (r rig) spend(ws id.Workspace, kind tickets.Kind, secret string) (got tickets.Ticket, err error) {
	err = r.Do(ws, func(tx *audit.Tx) (err error) {
		got, err = r.Spend(tx, kind, secret)
		return err
	})
	return got, err
}

func TestTicketGivesBackWhatWasPutIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		for _, kind := range kinds {
			secret, want := r.issue(t, kind, kind.Life()), tickets.Ticket{Kind: kind, Workspace: id.Default, Subject: agent, Body: `{"n":1}`}
			seen := want
			seen.Issued, seen.Expires = r.Now().UTC(), r.Now().UTC().Add(kind.Life())
			for range 2 { // a look takes nothing
				if got, err := r.Peek(t.Context(), kind, secret, r.Now()); err != nil || got != seen {
					t.Errorf("%s: peeked %+v, %v", kind, got, err)
				}
			}
			if got, err := r.spend(id.Default, kind, secret); err != nil || got != want {
				t.Errorf("%s: spent %+v, %v", kind, got, err)
			}
		}
	})
}

func TestSecretsAreRandomAndNotStored(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b := r.issue(t, tickets.Enrol, time.Hour), r.issue(t, tickets.Enrol, time.Hour)
		if len(a) != 43 || len(b) != 43 || a == b {
			t.Errorf("secrets %q and %q", a, b)
		}
		rows, err := r.Reader.Rows(t.Context(), `SELECT hash, kind, workspace, subject, body FROM ticket`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			var v [5]string
			if err := rows.Scan(&v[0], &v[1], &v[2], &v[3], &v[4]); err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(v[:], " "); strings.Contains(all, a) || strings.Contains(all, b) {
				t.Errorf("a secret is stored: %s", all)
			}
		}
		if n != 2 || rows.Err() != nil {
			t.Error(n, rows.Err())
		}
	})
}

func TestSpendRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		good := r.issue(t, tickets.Enrol, time.Minute)
		for name, secret := range map[string]string{
			"empty": "", "other": strings.Repeat("A", 43), "padded": good + "=", "cut": good[:42], "space": " " + good, "long": strings.Repeat(good, 5000), "nul": "\x00", "not UTF-8": "\xff",
			"its hash": id.Sum([]byte(good)).String(),
		} {
			if _, err := r.spend(id.Default, tickets.Enrol, secret); fault.Code(err) != "ticket_unknown" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, kind := range []tickets.Kind{tickets.SignIn, tickets.Challenge, "", "ENROL"} {
			if _, err := r.spend(id.Default, kind, good); fault.Code(err) != "ticket_unknown" {
				t.Errorf("as %q: %v", kind, err)
			}
			if _, err := r.Peek(t.Context(), kind, good, r.Now()); fault.Code(err) != "ticket_unknown" {
				t.Errorf("peeked as %q: %v", kind, err)
			}
		}
		r.Pass(time.Minute - time.Microsecond)
		last := r.issue(t, tickets.Enrol, time.Microsecond)
		if _, err := r.spend(id.Default, tickets.Enrol, good); err != nil {
			t.Errorf("in its last microsecond: %v", err)
		}
		if _, err := r.spend(id.Default, tickets.Enrol, good); fault.Code(err) != "ticket_spent" {
			t.Errorf("again: %v", err)
		}
		r.Pass(time.Microsecond)
		if _, err := r.spend(id.Default, tickets.Enrol, last); fault.Code(err) != "ticket_expired" {
			t.Errorf("at its end: %v", err)
		}
		r.Pass(-time.Hour) // a clock that jumps back revives what has ended only by time, never what was spent
		if _, err := r.spend(id.Default, tickets.Enrol, good); fault.Code(err) != "ticket_spent" {
			t.Errorf("with the clock back: %v", err)
		}
	})
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	for name, c := range map[string]struct {
		kind          tickets.Kind
		ws            id.Workspace
		subject, body string
		ttl           time.Duration
	}{
		"no kind":      {"", id.Default, "", "", time.Second},
		"other kind":   {"grant", id.Default, "", "", time.Second},
		"no time":      {tickets.Enrol, id.Default, "", "", 0},
		"past":         {tickets.Enrol, id.Default, "", "", -time.Second},
		"long link":    {tickets.SignIn, id.Default, "", "", 15*time.Minute + 1},
		"long enrol":   {tickets.Enrol, id.Default, "", "", 24*time.Hour + 1},
		"long":         {tickets.Challenge, id.Default, "", "", 5*time.Minute + 1},
		"no workspace": {tickets.Enrol, id.Workspace{}, "", "", time.Second},
		"big subject":  {tickets.Enrol, id.Default, strings.Repeat("x", 129), "", time.Second},
		"big body":     {tickets.Enrol, id.Default, "", strings.Repeat("x", 32<<10+1), time.Second},
	} {
		err := r.Do(id.Default, func(tx *audit.Tx) error {
			secret, err := r.Issue(tx, tickets.Ticket{Kind: c.kind, Workspace: c.ws, Subject: c.subject, Body: c.body}, c.ttl)
			if secret != "" {
				t.Errorf("%s: a secret", name)
			}
			return err
		})
		if fault.Code(err) != "ticket_invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A refusal after the spend keeps it spent (oauth.md §6); an error undoes the whole change, the spend too.
func TestSpendStaysWhenItsCallerRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		secret := r.issue(t, tickets.Enrol, time.Hour)
		broken := errors.New("the caller broke")
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			if _, err := r.Spend(tx, tickets.Enrol, secret); err != nil {
				return err
			}
			return broken
		}); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			if _, err := r.Spend(tx, tickets.Enrol, secret); err != nil {
				return err
			}
			tx.Refuse("weak_key", "the key is weak")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.spend(id.Default, tickets.Enrol, secret); fault.Code(err) != "ticket_spent" {
			t.Error(err)
		}
	})
}

// Once: of 64 callers with one ticket, on every node and behind two logs, one gets it.
func TestOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		for _, kind := range kinds {
			secret := all[0].issue(t, kind, time.Minute)
			codes := audittest.Together(t, all, 64, func(r rig, i int) error {
				_, err := r.spend([]id.Workspace{id.Default, id.Server}[i%2], kind, secret)
				return err
			})
			if codes[""] != 1 || codes["ticket_spent"] != 63 {
				t.Errorf("%s: results: %v", kind, codes)
			}
		}
	})
}

func TestEndedTokens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		ended := func(ws id.Workspace, jti string) bool {
			t.Helper()
			is, err := r.Ended(t.Context(), ws, jti)
			if err != nil {
				t.Fatal(err)
			}
			return is
		}
		end := func(ws id.Workspace, jti string) error {
			return r.Do(ws, func(tx *audit.Tx) error { return r.End(tx, ws, jti, r.Now().Add(time.Minute)) })
		}
		for range 2 { // again changes nothing
			if err := end(id.Default, "T5w"); err != nil {
				t.Fatal(err)
			}
		}
		if !ended(id.Default, "T5w") || ended(id.Server, "T5w") || ended(id.Default, "T5W") || ended(id.Default, "") {
			t.Error("the wrong tokens have ended")
		}
		for _, jti := range []string{"", strings.Repeat("x", 129)} {
			if err := end(id.Default, jti); fault.Code(err) != "jti_invalid" {
				t.Errorf("%d bytes: %v", len(jti), err)
			}
		}
	})
}

func TestExpireDeletesOnlyWhatIsLongPast(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		expire := func() (n int64) {
			t.Helper()
			if err := r.Do(id.Server, func(tx *audit.Tx) (err error) {
				n, err = r.Expire(tx, tx.Now())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		unspent, spent := r.issue(t, tickets.Enrol, time.Hour), r.issue(t, tickets.Enrol, time.Hour)
		if _, err := r.spend(id.Default, tickets.Enrol, spent); err != nil {
			t.Fatal(err)
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.End(tx, id.Default, "a", tx.Now().Add(24*time.Hour)) }); err != nil {
			t.Fatal(err)
		}
		r.Pass(25 * time.Hour)
		if n := expire(); n != 0 {
			t.Errorf("%d rows went while they are still needed", n)
		}
		if _, err := r.spend(id.Default, tickets.Enrol, unspent); fault.Code(err) != "ticket_expired" {
			t.Error(err)
		}
		if is, err := r.Ended(t.Context(), id.Default, "a"); !is || err != nil {
			t.Error("the end of a token is forgotten while verifiers may still accept it", err)
		}
		r.Pass(time.Microsecond)
		if n := expire(); n != 3 {
			t.Errorf("%d rows went, want 3", n)
		}
		if _, err := r.spend(id.Default, tickets.Enrol, spent); fault.Code(err) != "ticket_unknown" {
			t.Error(err)
		}
		if n := expire(); n != 0 {
			t.Errorf("%d rows went twice", n)
		}
	})
}

// A ticket of a family says, when it is shown again, what it was of and when it was taken, so that the family can be ended; and it stays as long as the
// family may live, where others are forgotten a day after their end.
func TestSpentAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		key := id.KeyOf(id.Sum([]byte("key")))
		want := tickets.Ticket{Kind: tickets.Refresh, Workspace: id.Default, Subject: "agt_x", Body: "{}", Family: "dlg_x", Client: "https://app.example/c.json", JKT: key}
		var secret string
		if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
			secret, err = r.Issue(tx, want, time.Hour)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		got, err := r.spend(id.Default, tickets.Refresh, secret)
		if err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, wait := range []time.Duration{0, 25 * time.Hour, 30 * 24 * time.Hour} {
			r.Pass(wait)
			if err := r.Do(id.Default, func(tx *audit.Tx) error {
				_, err := r.Expire(tx, tx.Now())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			again, err := r.spend(id.Default, tickets.Refresh, secret)
			if fault.Code(err) != "ticket_spent" || again.Spent.IsZero() || again.Family != want.Family || again.JKT != key || again.Client != want.Client {
				t.Errorf("after %s: %+v, %v", wait, again, err)
			}
		}
		r.Pass(2 * 24 * time.Hour)
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, err := r.Expire(tx, tx.Now())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.spend(id.Default, tickets.Refresh, secret); fault.Code(err) != "ticket_unknown" {
			t.Errorf("in the end: %v", err)
		}
	})
}
