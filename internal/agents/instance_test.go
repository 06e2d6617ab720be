package agents_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

func TestEnrolledInstanceIsReadBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, key := r.agent(t, id.Default, "bot"), newKey(t)
		want := agents.Instance{
			Key: key.Thumbprint(), Workspace: id.Default, Agent: a.ID, JWK: key, Trust: agents.Enrolled, Status: agents.Active, CreatedAt: r.Now(),
			Line: key.Thumbprint(),
		}
		if i, err := r.enrol(id.Default, a.ID, key); err != nil || i != want {
			t.Errorf("enrolled %+v, %v", i, err)
		}
		if i, err := r.Instance(t.Context(), key.Thumbprint()); err != nil || i != want {
			t.Errorf("read %+v, %v", i, err)
		}
		gotA, i, err := r.Live(t.Context(), key.Thumbprint(), r.Now())
		if err != nil || gotA != a || i != want {
			t.Errorf("live %+v %+v, %v", gotA, i, err)
		}
	})
}

func TestEnrolRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b, elsewhere := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b"), r.agent(t, other, "c")
		short, err := r.register(id.Default, agents.NewAgent{Name: "short", ExpiresAt: r.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		suspended, revoked := r.agent(t, id.Default, "suspended"), r.agent(t, id.Default, "revoked")
		live, ended, fresh := newKey(t), newKey(t), newKey(t)
		for _, k := range []jose.PublicKey{live, ended} {
			if _, err := r.enrol(id.Default, a.ID, k); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			if err := verbs["suspend"].agent(r.Room, tx, id.Default, suspended.ID); err != nil {
				return err
			}
			if err := verbs["revoke"].agent(r.Room, tx, id.Default, revoked.ID); err != nil {
				return err
			}
			return verbs["revoke"].instance(r.Room, tx, id.Default, ended.Thumbprint())
		}); err != nil {
			t.Fatal(err)
		}
		r.Pass(time.Minute)
		for name, c := range map[string]struct {
			ws    id.Workspace
			agent id.Agent
			key   jose.PublicKey
			trust agents.Trust
			held  bool
			want  string
		}{
			"again":                 {id.Default, a.ID, live, agents.Enrolled, false, "key_in_use"},
			"another agent's":       {id.Default, b.ID, live, agents.Enrolled, false, "key_in_use"},
			"another workspace's":   {other, elsewhere.ID, live, agents.Enrolled, false, "key_in_use"},
			"revoked":               {id.Default, a.ID, ended, agents.Enrolled, false, "key_in_use"},
			"a person's":            {id.Default, a.ID, fresh, agents.Enrolled, true, "key_in_use"},
			"P-256":                 {id.Default, a.ID, newP256(t), agents.Enrolled, false, "alg_unsupported"},
			"P-256 of a device":     {id.Default, a.ID, newP256(t), agents.Device, false, "alg_unsupported"},
			"P-256 of a workload":   {id.Default, a.ID, newP256(t), agents.Workload, false, "alg_unsupported"},
			"no key":                {id.Default, a.ID, jose.PublicKey{}, agents.Enrolled, false, "alg_unsupported"},
			"no trust":              {id.Default, a.ID, fresh, "", false, "agent_invalid"},
			"other trust":           {id.Default, a.ID, fresh, "friend", false, "agent_invalid"},
			"no such agent":         {id.Default, id.New[id.Agent](r.Now()), fresh, agents.Enrolled, false, "not_found"},
			"no agent":              {id.Default, id.Agent{}, fresh, agents.Enrolled, false, "not_found"},
			"of a suspended agent":  {id.Default, suspended.ID, fresh, agents.Enrolled, false, "agent_suspended"},
			"of a revoked agent":    {id.Default, revoked.ID, fresh, agents.Enrolled, false, "agent_revoked"},
			"of an expired agent":   {id.Default, short.ID, fresh, agents.Enrolled, false, "agent_expired"},
			"in the wrong place":    {other, a.ID, fresh, agents.Enrolled, false, "not_found"},
			"after all that, fresh": {id.Default, a.ID, newKey(t), agents.Enrolled, false, ""},
		} {
			err := r.Do(c.ws, func(tx *audit.Tx) error {
				_, err := r.Enrol(tx, agents.NewInstance{Workspace: c.ws, Agent: c.agent, JWK: c.key, Trust: c.trust, Held: c.held})
				return err
			})
			if fault.Code(err) != c.want {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
		if _, err := r.Instance(t.Context(), fresh.Thumbprint()); fault.Code(err) != "instance_unknown" {
			t.Errorf("a refused key is an instance: %v", err)
		}
		for key, want := range map[id.Key]bool{live.Thumbprint(): true, ended.Thumbprint(): true, fresh.Thumbprint(): false} {
			var is bool
			if err := r.Do(other, func(tx *audit.Tx) (err error) { is, err = r.Known(tx, key); return err }); err != nil || is != want {
				t.Errorf("Known: %v, %v", is, err)
			}
		}
	})
}

// An app's key may be a P-256 key; nothing else is told apart by that word, and such an instance gets no successor of its kind.
func TestAppsKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a := r.agent(t, id.Default, "desktop")
		enrol := func(key jose.PublicKey, trust agents.Trust, app bool) (i agents.Instance, err error) {
			err = r.Do(id.Default, func(tx *audit.Tx) error {
				i, err = r.Enrol(tx, agents.NewInstance{Workspace: id.Default, Agent: a.ID, JWK: key, Trust: trust, App: app})
				return err
			})
			return i, err
		}
		key := newP256(t)
		for trust, app := range map[agents.Trust]bool{agents.Enrolled: true, agents.Workload: true, agents.Device: false} {
			if _, err := enrol(key, trust, app); fault.Code(err) != "alg_unsupported" {
				t.Errorf("%s, an app's: %t: %v", trust, app, err)
			}
		}
		if _, err := enrol(jose.PublicKey{}, agents.Device, true); fault.Code(err) != "alg_unsupported" {
			t.Errorf("no key: %v", err)
		}
		i, err := enrol(key, agents.Device, true)
		if err != nil || i.JWK != key || i.Trust != agents.Device {
			t.Fatalf("%+v, %v", i, err)
		}
		if got, err := r.Instance(t.Context(), key.Thumbprint()); err != nil || got.JWK != key || got.Status != agents.Active {
			t.Errorf("%+v, %v", got, err)
		}
		if keys, err := r.LiveKeys(t.Context(), a.ID, r.Now()); err != nil || len(keys) != 1 || keys[0] != key {
			t.Errorf("%v, %v", keys, err)
		}
		if _, err := enrol(key, agents.Device, true); fault.Code(err) != "key_in_use" {
			t.Errorf("again: %v", err)
		}
		if _, err := enrol(newKey(t), agents.Device, true); err != nil {
			t.Errorf("Ed25519: %v", err)
		}
		if _, err := r.rotate(a.ID, key.Thumbprint(), newP256(t), 0); fault.Code(err) != "alg_unsupported" {
			t.Errorf("rotated: %v", err)
		}
	})
}

func TestLiveSaysWhatEnded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		if _, _, err := r.Live(t.Context(), newKey(t).Thumbprint(), r.Now()); fault.Code(err) != "instance_unknown" {
			t.Error(err)
		}
		if _, _, err := r.Live(t.Context(), id.Key{}, r.Now()); fault.Code(err) != "instance_unknown" {
			t.Error(err)
		}
		for name, c := range map[string]struct {
			agent, instance string // verbs
			pass            time.Duration
			want            string
		}{
			"fine":               {"", "", time.Hour - time.Microsecond, ""},
			"expired":            {"", "", time.Hour, "agent_expired"},
			"instance suspend":   {"", "suspend", 0, "instance_suspended"},
			"instance revoked":   {"", "revoke", 0, "instance_revoked"},
			"agent suspended":    {"suspend", "", 0, "agent_suspended"},
			"agent revoked":      {"revoke", "", 0, "agent_revoked"},
			"both suspended":     {"suspend", "suspend", 0, "instance_suspended"},
			"suspended and late": {"suspend", "", time.Hour, "agent_suspended"},
		} {
			a, err := r.register(id.Default, agents.NewAgent{Name: strings.ReplaceAll(name, " ", "-"), ExpiresAt: r.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			key := newKey(t)
			if _, err := r.enrol(id.Default, a.ID, key); err != nil {
				t.Fatal(err)
			}
			if err := r.Do(id.Default, func(tx *audit.Tx) error {
				if c.instance != "" {
					if err := verbs[c.instance].instance(r.Room, tx, id.Default, key.Thumbprint()); err != nil {
						return err
					}
				}
				if c.agent != "" {
					return verbs[c.agent].agent(r.Room, tx, id.Default, a.ID)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			gotA, i, err := r.Live(t.Context(), key.Thumbprint(), r.Now().Add(c.pass))
			if fault.Code(err) != c.want || (err != nil) != (gotA.ID.IsZero() && i.Key.IsZero()) {
				t.Errorf("%s: %+v %+v %v", name, gotA, i, err)
			}
		}
	})
}

func TestRevokedAgentTakesItsInstancesAlong(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
		var want []string
		for n := range 4 {
			k := newKey(t)
			if _, err := r.enrol(id.Default, a.ID, k); err != nil {
				t.Fatal(err)
			}
			want = append(want, k.Thumbprint().String())
			if n < 2 { // one suspended, one revoked before
				v := verbs[[]string{"suspend", "revoke"}[n]]
				if err := r.Do(id.Default, func(tx *audit.Tx) error { return v.instance(r.Room, tx, id.Default, k.Thumbprint()) }); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := want[1]
		want = slices.Delete(want, 1, 2)
		slices.Sort(want)
		bystander := newKey(t)
		if _, err := r.enrol(id.Default, b.ID, bystander); err != nil {
			t.Fatal(err)
		}
		r.Pass(time.Hour)
		var got []string
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, ended, err := r.Revoke(tx, id.Default, a.ID)
			got = nil
			for _, k := range ended {
				got = append(got, k.String())
			}
			return err
		}); err != nil || !slices.Equal(got, want) {
			t.Errorf("ended %v, %v; want %v", got, err, want)
		}
		list, err := r.Instances(t.Context(), id.Default, a.ID, id.Key{}, 10)
		if err != nil || len(list) != 4 {
			t.Fatal(list, err)
		}
		for _, i := range list {
			at := r.Now()
			if i.Key.String() == before {
				at = at.Add(-time.Hour)
			}
			if i.Status != agents.Revoked || !i.EndedAt.Equal(at) {
				t.Errorf("%+v", i)
			}
		}
		if _, _, err := r.Live(t.Context(), bystander.Thumbprint(), r.Now()); err != nil {
			t.Error(err)
		}
	})
}

// Of 64 enrolments of one key, for two agents in two workspaces, on every node, one succeeds.
func TestOneKeyIsEnrolledOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		spaces := []id.Workspace{id.Default, other}
		bots := []agents.Agent{all[0].agent(t, id.Default, "bot"), all[0].agent(t, other, "bot")}
		key := newKey(t)
		codes := audittest.Together(t, all, 64, func(r rig, n int) error {
			w := n % 2
			_, err := r.enrol(spaces[w], bots[w].ID, key)
			return err
		})
		if codes[""] != 1 || codes["key_in_use"] != 63 {
			t.Errorf("results: %v", codes)
		}
	})
}

// Of 64 enrolments of different keys for an agent with room for three, three succeed.
func TestLimitOfInstancesHolds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		r := all[0]
		a := r.agent(t, id.Default, "bot")
		var first id.Key
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			for range agents.MaxInstances - 3 {
				i, err := r.Enrol(tx, agents.NewInstance{Workspace: id.Default, Agent: a.ID, JWK: newKey(t), Trust: agents.Enrolled})
				if err != nil {
					return err
				}
				first = i.Key
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		codes := audittest.Together(t, all, 64, func(r rig, n int) error {
			key := newKey(t)
			// Recorded in two logs: the limit must not rest on the lock of one.
			return r.Do([]id.Workspace{id.Default, other}[n%2], func(tx *audit.Tx) error {
				_, err := r.Enrol(tx, agents.NewInstance{Workspace: id.Default, Agent: a.ID, JWK: key, Trust: agents.Enrolled})
				return err
			})
		})
		if codes[""] != 3 || codes["too_many_instances"] != 61 {
			t.Errorf("results: %v", codes)
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs["revoke"].instance(r.Room, tx, id.Default, first) }); err != nil {
			t.Fatal(err)
		}
		if _, err := r.enrol(id.Default, a.ID, newKey(t)); err != nil {
			t.Errorf("a revoked instance still takes a place: %v", err)
		}
	})
}

// Whatever is done in whatever order, Live says what the transitions of authority.md §1 say, and nothing revoked ever lives again.
func TestLifeFollowsTheTable(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	rapid.Check(t, func(rt *rapid.T) {
		a, key := r.agent(t, id.Default, id.New[id.Agent](r.Now()).String()[4:]), newKey(t)
		if _, err := r.enrol(id.Default, a.ID, key); err != nil {
			rt.Fatal(err)
		}
		agent, instance := agents.Active, agents.Active
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) [2]string {
			return [2]string{rapid.SampledFrom([]string{"agent", "instance"}).Draw(rt, "what"), rapid.SampledFrom([]string{"suspend", "resume", "revoke", "suspend", "resume"}).Draw(rt, "verb")}
		}), 1, 8).Draw(rt, "steps")
		for _, s := range steps {
			v, at := verbs[s[1]], &instance
			err := r.Do(id.Default, func(tx *audit.Tx) error {
				if s[0] == "agent" {
					at = &agent
					return v.agent(r.Room, tx, id.Default, a.ID)
				}
				return v.instance(r.Room, tx, id.Default, key.Thumbprint())
			})
			if legal := at.May(v.to); legal != (err == nil) || !legal && fault.Code(err) != "wrong_state" {
				rt.Fatalf("%s %s that is %s: %v", s[1], s[0], *at, err)
			}
			if err == nil {
				*at = v.to
				if agent == agents.Revoked {
					instance = agents.Revoked
				}
			}
			want := ""
			switch {
			case agent == agents.Revoked:
				want = "agent_revoked"
			case instance != agents.Active:
				want = "instance_" + string(instance)
			case agent != agents.Active:
				want = "agent_" + string(agent)
			}
			if _, _, err := r.Live(t.Context(), key.Thumbprint(), r.Now()); fault.Code(err) != want {
				rt.Fatalf("after %v: %v, want %q", s, err, want)
			}
			if _, err := r.enrol(id.Default, a.ID, key); err == nil {
				rt.Fatal("the key was enrolled again")
			}
		}
	})
}

// The keys that anybody may verify an agent's signatures with: of active instances, and none once the agent itself may not act.
func TestLiveKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		bot := r.agent(t, id.Default, "bot")
		short, err := r.register(id.Default, agents.NewAgent{Name: "short", ExpiresAt: r.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		live, suspended, revoked := newKey(t), newKey(t), newKey(t)
		for _, k := range []jose.PublicKey{live, suspended, revoked} {
			if _, err := r.enrol(id.Default, bot.ID, k); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.enrol(id.Default, short.ID, newKey(t)); err != nil {
			t.Fatal(err)
		}
		keys := func(a agents.Agent, want ...jose.PublicKey) {
			t.Helper()
			if got, err := r.LiveKeys(t.Context(), a.ID, r.Now()); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s has %d live keys, want %d: %v", a.Name, len(got), len(want), err)
			}
			if found, err := r.Anywhere(t.Context(), a.ID); err != nil || found.Workspace != id.Default || found.Name != a.Name {
				t.Errorf("read %+v, %v", found, err)
			}
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			if err := verbs["suspend"].instance(r.Room, tx, id.Default, suspended.Thumbprint()); err != nil {
				return err
			}
			return verbs["revoke"].instance(r.Room, tx, id.Default, revoked.Thumbprint())
		}); err != nil {
			t.Fatal(err)
		}
		keys(bot, live)
		r.Pass(time.Minute)
		keys(short)
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs["suspend"].agent(r.Room, tx, id.Default, bot.ID) }); err != nil {
			t.Fatal(err)
		}
		keys(bot)
		none := id.New[id.Agent](r.Now())
		if _, err := r.LiveKeys(t.Context(), none, r.Now()); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if _, err := r.Anywhere(t.Context(), none); fault.Code(err) != "not_found" {
			t.Error(err)
		}
	})
}
