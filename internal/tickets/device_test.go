package tickets_test

import (
	"crypto/ed25519"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

func newKey(t testing.TB) jose.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.Ed25519Key(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (r rig) device(t testing.TB, key jose.PublicKey) (device, user string) {
	t.Helper()
	if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
		device, user, err = r.IssueDevice(tx, tickets.Device{
			Workspace: id.Default, Purpose: tickets.ForAgent, Key: key, Name: "bot", IP: "203.0.113.7", Asked: tx.Event().ID,
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return device, user
}

func (r rig) decide(user string, to tickets.DeviceStatus, agent id.Agent) error {
	return r.Do(id.Default, func(tx *audit.Tx) error { return r.DecideDevice(tx, user, to, id.New[id.User](r.Now()), agent) })
}

func (r rig) collect(device string) error {
	return r.Do(id.Default, func(tx *audit.Tx) error { return r.CollectDevice(tx, device) })
}

func code(t testing.TB, what string, err error, want string) {
	t.Helper()
	if fault.Code(err) != want {
		t.Errorf("%s: %v (%s), want %q", what, err, fault.Code(err), want)
	}
}

func TestUserCode(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"BCDF-GHJK": "BCDF-GHJK", "bcdfghjk": "BCDF-GHJK", " bcdf ghjk\n": "BCDF-GHJK", "b.c_d/f-g h*j:k": "BCDF-GHJK", "": "", "BCDF-GHJ": "", "BCDF-GHJKL": "",
		"BCDF-GHJA": "", "BCDF-GHJ1": "", "BCDF-GHJé": "", "BCDF-GHJKA": "", "BCDFGHJK" + strings.Repeat("-", 57): "",
	} {
		got, err := tickets.UserCode(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", typed, got, err)
		}
	}
}

func FuzzUserCode(f *testing.F) {
	f.Add("bcdf-ghjk")
	form := regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`)
	f.Fuzz(func(t *testing.T, typed string) {
		got, err := tickets.UserCode(typed)
		if err != nil {
			return
		}
		if again, err := tickets.UserCode(strings.ToLower(got)); !form.MatchString(got) || err != nil || again != got {
			t.Errorf("%q is %q, then %q %v", typed, got, again, err)
		}
	})
}

// A device code's life: it waits, is confirmed once, is collected once, and each side sees only its own code's request.
func TestDeviceCode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r, key := open(t, dsn), newKey(t)
		device, user := r.device(t, key)
		if !regexp.MustCompile(`^[B-Z]{4}-[B-Z]{4}$`).MatchString(user) || len(device) != 43 {
			t.Fatalf("codes %q and %q", device, user)
		}
		d, err := r.DeviceByUserCode(t.Context(), user, r.Now())
		if err != nil || d.Key != key || d.Name != "bot" || d.IP != "203.0.113.7" || d.Status != tickets.Waiting || d.Workspace != id.Default || d.ExpiresAt.Sub(d.CreatedAt) != 10*time.Minute {
			t.Fatalf("%+v, %v", d, err)
		}
		_, err = r.DeviceByUserCode(t.Context(), device, r.Now())
		code(t, "a device code for a user code", err, "user_code_unknown")
		_, err = r.DeviceByCode(t.Context(), user)
		code(t, "a user code for a device code", err, "ticket_unknown")
		code(t, "collecting too early", r.collect(device), "ticket_expired")

		agent := id.New[id.Agent](r.Now())
		code(t, "confirming", r.decide(user, tickets.Confirmed, agent), "")
		code(t, "denying after it", r.decide(user, tickets.Denied, id.Agent{}), "user_code_unknown")
		_, err = r.DeviceByUserCode(t.Context(), user, r.Now())
		code(t, "looking after it", err, "user_code_unknown")
		if d, err = r.DeviceByCode(t.Context(), device); err != nil || d.Status != tickets.Confirmed || d.Agent != agent || d.Person.IsZero() {
			t.Errorf("%+v, %v", d, err)
		}
		code(t, "collecting", r.collect(device), "")
		code(t, "collecting again", r.collect(device), "ticket_spent")
		code(t, "collecting what never was", r.collect(user), "ticket_unknown")

		device, user = r.device(t, newKey(t))
		r.Pass(tickets.DeviceLife)
		_, err = r.DeviceByUserCode(t.Context(), user, r.Now())
		code(t, "looking too late", err, "user_code_unknown")
		code(t, "confirming too late", r.decide(user, tickets.Confirmed, agent), "user_code_unknown")
		device2, user2 := r.device(t, newKey(t))
		code(t, "confirming in time", r.decide(user2, tickets.Confirmed, agent), "")
		r.Pass(tickets.DeviceLife)
		code(t, "collecting too late", r.collect(device2), "ticket_expired")
		code(t, "what nobody confirmed", r.collect(device), "ticket_expired")

		r.Pass(2 * time.Hour)
		r.device(t, newKey(t))
		_, err = r.DeviceByCode(t.Context(), device)
		code(t, "what was swept away", err, "ticket_unknown")
	})
}

// Of 64 callers over all nodes one decides, and one collects.
func TestDeviceCodeOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		device, user := nodes[0].device(t, newKey(t))
		agents := make([]id.Agent, 64)
		for i := range agents {
			agents[i] = id.New[id.Agent](nodes[0].Now())
		}
		got := audittest.Together(t, nodes, 64, func(r rig, i int) error { return r.decide(user, tickets.Confirmed, agents[i]) })
		if got[""] != 1 || got["user_code_unknown"] != 63 {
			t.Errorf("deciding: %v", got)
		}
		if got = audittest.Together(t, nodes, 64, func(r rig, _ int) error { return r.collect(device) }); got[""] != 1 || got["ticket_spent"] != 63 {
			t.Errorf("collecting: %v", got)
		}
	})
}

// No two requests have one user code, and codes are stored as hashes alone.
func TestUserCodesAreUnique(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	seen, key := map[string]bool{}, newKey(t)
	for range 300 {
		device, user := r.device(t, key)
		if seen[user] || seen[device] {
			t.Fatalf("%s twice", user)
		}
		seen[user], seen[device] = true, true
	}
	rows, err := r.Reader.Rows(t.Context(), `SELECT hash, user_hash, name, asked FROM device_code`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v [4]string
		if err := rows.Scan(&v[0], &v[1], &v[2], &v[3]); err != nil {
			t.Fatal(err)
		}
		for _, s := range v {
			if seen[s] {
				t.Errorf("a code is stored: %s", s)
			}
		}
	}
}

func TestDeviceIsRefused(t *testing.T) {
	t.Parallel()
	r, key := open(t, dbtest.SQLite(t)), newKey(t)
	for i, d := range []tickets.Device{
		{Purpose: tickets.ForAgent, Key: key},
		{Workspace: id.Default, Key: key},
		{Workspace: id.Default, Purpose: tickets.ForAgent},
		{Workspace: id.Default, Purpose: "other", Key: key},
		{Workspace: id.Default, Purpose: tickets.ForAgent, Key: key, Name: strings.Repeat("a", 65)},
	} {
		err := r.Do(id.Default, func(tx *audit.Tx) error { _, _, err := r.IssueDevice(tx, d); return err })
		code(t, fmt.Sprint(i), err, "ticket_invalid")
	}
}
