package agents_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

var (
	other = id.Server // a second workspace
	owner = id.New[id.User](time.Unix(1795424400, 0))
)

func newEd25519() ed25519.PublicKey {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	return pub
}

func newKey(t testing.TB) jose.PublicKey {
	t.Helper()
	k, err := jose.Ed25519Key(newEd25519())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (r rig) register(ws id.Workspace, n agents.NewAgent) (a agents.Agent, err error) {
	n.Workspace, n.Owner = ws, owner
	err = r.Do(ws, func(tx *audit.Tx) (err error) {
		a, err = r.Register(tx, n)
		return err
	})
	return a, err
}

func (r rig) agent(t testing.TB, ws id.Workspace, name string) agents.Agent {
	t.Helper()
	a, err := r.register(ws, agents.NewAgent{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r rig) enrol(ws id.Workspace, agent id.Agent, key jose.PublicKey) (i agents.Instance, err error) {
	err = r.Do(ws, func(tx *audit.Tx) (err error) {
		i, err = r.Enrol(tx, agents.NewInstance{Workspace: ws, Agent: agent, JWK: key, Trust: agents.Enrolled})
		return err
	})
	return i, err
}

// verb is a change of status, of an agent or an instance.
type verb struct {
	to       agents.Status
	agent    func(*agents.Room, *audit.Tx, id.Workspace, id.Agent) error
	instance func(*agents.Room, *audit.Tx, id.Workspace, id.Key) error
}

var verbs = map[string]verb{
	"suspend": {
		agents.Suspended,
		func(r *agents.Room, tx *audit.Tx, ws id.Workspace, a id.Agent) error {
			return got(agents.Suspended)(r.Suspend(tx, ws, a))
		},
		func(r *agents.Room, tx *audit.Tx, ws id.Workspace, k id.Key) error {
			return gotInstance(agents.Suspended)(r.SuspendInstance(tx, ws, k))
		},
	},
	"resume": {
		agents.Active,
		func(r *agents.Room, tx *audit.Tx, ws id.Workspace, a id.Agent) error {
			return got(agents.Active)(r.Resume(tx, ws, a))
		},
		func(r *agents.Room, tx *audit.Tx, ws id.Workspace, k id.Key) error {
			return gotInstance(agents.Active)(r.ResumeInstance(tx, ws, k))
		},
	},
	"revoke": {
		agents.Revoked,
		func(r *agents.Room, tx *audit.Tx, ws id.Workspace, id id.Agent) error {
			a, _, err := r.Revoke(tx, ws, id)
			return got(agents.Revoked)(a, err)
		},
		func(r *agents.Room, tx *audit.Tx, ws id.Workspace, k id.Key) error {
			return gotInstance(agents.Revoked)(r.RevokeInstance(tx, ws, k))
		},
	},
}

// got checks that a change gives back what it made.
func got(want agents.Status) func(agents.Agent, error) error {
	return func(a agents.Agent, err error) error {
		if err == nil && (a.Status != want || a.Name == "" || a.CreatedAt.IsZero()) {
			return fmt.Errorf("the change gave back %+v", a)
		}
		return err
	}
}

func gotInstance(want agents.Status) func(agents.Instance, error) error {
	return func(i agents.Instance, err error) error {
		if err == nil && (i.Status != want || i.JWK.Thumbprint() != i.Key || i.EndedAt.IsZero() != (want != agents.Revoked)) {
			return fmt.Errorf("the change gave back %+v", i)
		}
		return err
	}
}

func TestMay(t *testing.T) {
	t.Parallel()
	legal := map[[2]agents.Status]bool{
		{agents.Pending, agents.Active}: true, {agents.Pending, agents.Revoked}: true,
		{agents.Active, agents.Suspended}: true, {agents.Active, agents.Revoked}: true,
		{agents.Suspended, agents.Active}: true, {agents.Suspended, agents.Revoked}: true, {agents.Expired, agents.Revoked}: true,
	}
	all := []agents.Status{agents.Pending, agents.Active, agents.Suspended, agents.Revoked, agents.Expired, "", "ACTIVE"}
	for _, from := range all {
		for _, to := range all {
			if from.May(to) != legal[[2]agents.Status{from, to}] {
				t.Errorf("%q to %q: %v", from, to, from.May(to))
			}
		}
	}
}

func TestRegisteredAgentIsReadBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		want := agents.Agent{
			ID: id.New[id.Agent](r.Now()), Workspace: id.Default, Name: "release-bot", Owner: owner, Description: "releases; ünïcode 文",
			Status: agents.Active, ExpiresAt: r.Now().Add(time.Hour), CreatedAt: r.Now(),
		}
		a, err := r.register(id.Default, agents.NewAgent{ID: want.ID, Name: want.Name, Description: want.Description, ExpiresAt: want.ExpiresAt.Add(time.Nanosecond)})
		if err != nil || a != want {
			t.Errorf("registered %+v, %v", a, err)
		}
		forever := r.agent(t, id.Default, "deployer")
		if forever.ID.IsZero() || !forever.ExpiresAt.IsZero() {
			t.Errorf("%+v", forever)
		}
		for text, want := range map[string]agents.Agent{a.ID.String(): a, "release-bot": a, "deployer": forever} {
			if got, err := r.Find(t.Context(), id.Default, text); err != nil || got != want {
				t.Errorf("Find(%s): %+v, %v", text, got, err)
			}
		}
		for _, text := range []string{"", "Release-Bot", "release-bo", "release%", "\x00", "\xff", strings.ToUpper(a.ID.String()), id.New[id.Agent](r.Now()).String()} {
			if got, err := r.Find(t.Context(), id.Default, text); fault.Code(err) != "not_found" {
				t.Errorf("Find(%q): %+v, %v", text, got, err)
			}
		}
	})
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	for name, n := range map[string]agents.NewAgent{
		"no name":      {},
		"upper case":   {Name: "Bot"},
		"leading dot":  {Name: ".bot"},
		"space":        {Name: "a b"},
		"newline":      {Name: "bot\n"},
		"other script": {Name: "bоt"}, // a Cyrillic letter
		"65":           {Name: strings.Repeat("a", 65)},
		"oneself":      {Name: "me"},
		"like an id":   {Name: id.New[id.Agent](r.Now()).String()},
		"like another": {Name: id.New[id.User](r.Now()).String()},
		"long":         {Name: "a", Description: strings.Repeat("x", 501)},
		"control":      {Name: "a", Description: "a\x1b[2J"},
		"not UTF-8":    {Name: "a", Description: "\xff"},
		"past":         {Name: "a", ExpiresAt: r.Now()},
	} {
		if a, err := r.register(id.Default, n); fault.Code(err) != "agent_invalid" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	for name, n := range map[string]agents.NewAgent{"no owner": {Workspace: id.Default, Name: "a"}, "no workspace": {Owner: owner, Name: "a"}} {
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, err := r.Register(tx, n)
			return err
		}); fault.Code(err) != "agent_invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesAreGivenOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a := r.agent(t, id.Default, "bot")
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs["revoke"].agent(r.Room, tx, id.Default, a.ID) }); err != nil {
			t.Fatal(err)
		}
		if _, err := r.register(id.Default, agents.NewAgent{Name: "bot"}); fault.Code(err) != "name_taken" {
			t.Error(err)
		}
		if _, err := r.register(other, agents.NewAgent{Name: "bot"}); err != nil {
			t.Errorf("another workspace: %v", err)
		}
	})
}

// Every status against every verb: what the table says is what the database does.
func TestTransitions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		for _, from := range []agents.Status{agents.Pending, agents.Active, agents.Suspended, agents.Revoked} {
			for name, v := range verbs {
				want := ""
				if !from.May(v.to) || name == "resume" && from == agents.Pending { // approving is not resuming
					want = "wrong_state"
				}
				a := r.agent(t, id.Default, string(from)+"-"+name)
				key := newKey(t)
				if _, err := r.enrol(id.Default, a.ID, key); err != nil {
					t.Fatal(err)
				}
				set := func(table, column, value string) {
					if err := r.Do(id.Default, func(tx *audit.Tx) error {
						_, err := tx.Exec(`UPDATE `+table+` SET status = $1 WHERE `+column+` = $2`, from, value)
						return err
					}); err != nil {
						t.Fatal(err)
					}
				}
				set("agent", "id", a.ID.String())
				err := r.Do(id.Default, func(tx *audit.Tx) error { return v.agent(r.Room, tx, id.Default, a.ID) })
				if fault.Code(err) != want {
					t.Errorf("%s an agent that is %s: %v", name, from, err)
				}
				now, err := r.Agent(t.Context(), id.Default, a.ID)
				if expect := map[bool]agents.Status{true: v.to, false: from}[want == ""]; err != nil || now.Status != expect {
					t.Errorf("%s an agent that is %s: it is %s, %v", name, from, now.Status, err)
				}
				if from == agents.Pending {
					continue // instances are never pending
				}
				set("instance", "key", key.Thumbprint().String())
				err = r.Do(id.Default, func(tx *audit.Tx) error { return v.instance(r.Room, tx, id.Default, key.Thumbprint()) })
				if fault.Code(err) != want {
					t.Errorf("%s an instance that is %s: %v", name, from, err)
				}
				i, err := r.Instance(t.Context(), key.Thumbprint())
				if expect := map[bool]agents.Status{true: v.to, false: from}[want == ""]; err != nil || i.Status != expect {
					t.Errorf("%s an instance that is %s: it is %s, %v", name, from, i.Status, err)
				}
			}
		}
	})
}

// What belongs to another workspace answers exactly as what does not exist, and stays as it was.
func TestWorkspacesDoNotMeet(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a := r.agent(t, id.Default, "bot")
		key := newKey(t)
		if _, err := r.enrol(id.Default, a.ID, key); err != nil {
			t.Fatal(err)
		}
		nobody, noKey := id.New[id.Agent](r.Now()), newKey(t).Thumbprint()
		same := func(what string, theirs, none error) {
			t.Helper()
			if fault.Code(theirs) != "not_found" || theirs.Error() != none.Error() {
				t.Errorf("%s: %v; of none: %v", what, theirs, none)
			}
		}
		for name, v := range verbs {
			run := func(f func(*audit.Tx) error) error { return r.Do(other, f) }
			same(name, run(func(tx *audit.Tx) error { return v.agent(r.Room, tx, other, a.ID) }),
				run(func(tx *audit.Tx) error { return v.agent(r.Room, tx, other, nobody) }))
			same(name+" instance", run(func(tx *audit.Tx) error { return v.instance(r.Room, tx, other, key.Thumbprint()) }),
				run(func(tx *audit.Tx) error { return v.instance(r.Room, tx, other, noKey) }))
		}
		_, theirs := r.enrol(other, a.ID, newKey(t))
		_, none := r.enrol(other, nobody, newKey(t))
		same("enrol", theirs, none)
		_, theirs = r.Agent(t.Context(), other, a.ID)
		_, none = r.Agent(t.Context(), other, nobody)
		same("Agent", theirs, none)
		_, theirs = r.Find(t.Context(), other, "bot")
		_, none = r.Find(t.Context(), other, "tob")
		same("Find", theirs, none)
		if list, err := r.List(t.Context(), other, agents.Query{Limit: 10}, r.Now()); err != nil || len(list) != 0 {
			t.Errorf("List: %v, %v", list, err)
		}
		if list, err := r.Instances(t.Context(), other, a.ID, id.Key{}, 10); err != nil || len(list) != 0 {
			t.Errorf("Instances: %v, %v", list, err)
		}
		if _, _, err := r.Live(t.Context(), key.Thumbprint(), r.Now()); err != nil {
			t.Errorf("it was changed: %v", err)
		}
	})
}

func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		want := map[id.Agent]bool{}
		for n := range 7 {
			want[r.agent(t, id.Default, fmt.Sprintf("a%d", n)).ID] = true
			r.Pass(time.Millisecond)
		}
		a := r.agent(t, other, "elsewhere")
		keys := map[id.Key]bool{}
		for range 5 {
			k := newKey(t)
			if _, err := r.enrol(other, a.ID, k); err != nil {
				t.Fatal(err)
			}
			keys[k.Thumbprint()] = true
		}
		var names []string
		for after, more := (id.Agent{}), true; more; {
			list, err := r.List(t.Context(), id.Default, agents.Query{After: after, Limit: 3}, r.Now())
			if err != nil || len(list) > 3 {
				t.Fatal(list, err)
			}
			for _, a := range list {
				names, after = append(names, a.Name), a.ID
				delete(want, a.ID)
			}
			more = len(list) > 0
		}
		if len(want) != 0 || len(names) != 7 || !slices.IsSorted(names) {
			t.Errorf("listed %v", names)
		}
		n := 0
		for after, more := (id.Key{}), true; more; {
			list, err := r.Instances(t.Context(), other, a.ID, after, 2)
			if err != nil || len(list) > 2 {
				t.Fatal(list, err)
			}
			for _, i := range list {
				n, after = n+1, i.Key
				delete(keys, i.Key)
			}
			more = len(list) > 0
		}
		if n != 5 || len(keys) != 0 {
			t.Errorf("listed %d instances, missed %v", n, keys)
		}
		for _, limit := range []int{-1, 0, 201} {
			if list, err := r.List(t.Context(), id.Default, agents.Query{Limit: limit}, r.Now()); err != nil || len(list) != 7 {
				t.Errorf("limit %d: %d, %v", limit, len(list), err)
			}
		}
	})
}

func newP256(t testing.TB) jose.PublicKey {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.P256Key(&priv.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
