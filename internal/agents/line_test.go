package agents_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

func (r rig) rotate(a id.Agent, by id.Key, key jose.PublicKey, grace time.Duration) (fresh agents.Instance, err error) {
	err = r.Do(id.Default, func(tx *audit.Tx) (err error) {
		_, fresh, err = r.Rotate(tx, agents.Rotation{Workspace: id.Default, Agent: a, By: by, JWK: key, Grace: grace})
		return err
	})
	return fresh, err
}

func (r rig) spawn(by id.Key, a id.Agent, until time.Time) (made agents.Instance, err error) {
	key, err := jose.Ed25519Key(newEd25519())
	if err != nil {
		return made, err
	}
	err = r.Do(id.Default, func(tx *audit.Tx) (err error) {
		made, err = r.Spawn(tx, agents.Child{Workspace: id.Default, By: by, Agent: a, JWK: key, Until: until})
		return err
	})
	return made, err
}

func (r rig) must(t testing.TB) func(agents.Instance, error) agents.Instance {
	return func(i agents.Instance, err error) agents.Instance {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
}

// instance is an enrolled one.
func (r rig) instance(t testing.TB, a id.Agent) agents.Instance {
	t.Helper()
	return r.must(t)(r.enrol(id.Default, a, newKey(t)))
}

// change does to an instance what the verb says.
func (r rig) change(t testing.TB, verb string, key id.Key) {
	t.Helper()
	if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs[verb].instance(r.Room, tx, id.Default, key) }); err != nil {
		t.Fatal(err)
	}
}

// is holds the code with which a key may not act, and that with which what it signed no longer counts; "" where they may.
func (r rig) is(t testing.TB, when string, key id.Key, acting, signed string) {
	t.Helper()
	_, err := r.Acting(t.Context(), key, r.Now())
	_, before := r.Signed(t.Context(), key, r.Now())
	if fault.Code(err) != acting || fault.Code(before) != signed {
		t.Errorf("%s: acting %v, want %q; signed %v, want %q", when, err, acting, before, signed)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a := r.agent(t, id.Default, "bot")
		first := r.instance(t, a.ID)
		second := r.must(t)(r.rotate(a.ID, first.Key, newKey(t), time.Hour))
		if second.Predecessor != first.Key || second.Line != first.Key || second.Trust != first.Trust || second.Status != agents.Active {
			t.Errorf("the new key: %+v", second)
		}
		old, err := r.Instance(t.Context(), first.Key)
		if err != nil || old.Status != agents.Rotated || !old.EndedAt.Equal(r.Now().Add(time.Hour)) || !old.Until().Equal(old.EndedAt) {
			t.Errorf("the old key: %+v, %v", old, err)
		}
		r.is(t, "in the grace", first.Key, "", "")
		r.is(t, "the new one", second.Key, "", "")
		s, err := r.Acting(t.Context(), first.Key, r.Now())
		if err != nil || !slices.Equal(s.Rests, []string{second.Key.String()}) {
			t.Errorf("what the old key rests on: %v, %v", s.Rests, err)
		}
		if _, err := r.rotate(a.ID, second.Key, newKey(t), 0); fault.Code(err) != "rotation_in_grace" {
			t.Errorf("a third key in the grace: %v", err)
		}
		r.Pass(time.Hour)
		r.is(t, "after the grace", first.Key, "instance_rotated", "")
		third := r.must(t)(r.rotate(a.ID, second.Key, newKey(t), 0))
		r.is(t, "at once", second.Key, "instance_rotated", "")
		r.is(t, "the third", third.Key, "", "")
		line, err := r.Line(t.Context(), id.Default, second.Key)
		if keys := keysOf(line); err != nil || !slices.Equal(keys, []id.Key{first.Key, second.Key, third.Key}) {
			t.Errorf("the line: %v, %v", keys, err)
		}
		if head, err := r.Head(t.Context(), id.Default, first.Key); err != nil || head.Key != third.Key {
			t.Errorf("the head: %v, %v", head.Key, err)
		}
		if _, err := r.Line(t.Context(), other, second.Key); fault.Code(err) != "not_found" {
			t.Errorf("the line in another workspace: %v", err)
		}
	})
}

func keysOf(all []agents.Instance) (keys []id.Key) {
	for _, i := range all {
		keys = append(keys, i.Key)
	}
	return keys
}

func TestRotationRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
		short := r.must(t)(r.spawn(r.instance(t, a.ID).Key, a.ID, r.Now().Add(time.Minute)))
		suspended, revoked, rotated, other := r.instance(t, a.ID), r.instance(t, a.ID), r.instance(t, a.ID), r.instance(t, b.ID)
		r.change(t, "suspend", suspended.Key)
		r.change(t, "revoke", revoked.Key)
		r.must(t)(r.rotate(a.ID, rotated.Key, newKey(t), time.Hour))
		r.Pass(time.Minute)
		live := r.instance(t, a.ID)
		for name, c := range map[string]struct {
			agent id.Agent
			by    id.Key
			key   jose.PublicKey
			grace time.Duration
			want  string
		}{
			"suspended":       {a.ID, suspended.Key, newKey(t), 0, "instance_suspended"},
			"revoked":         {a.ID, revoked.Key, newKey(t), 0, "instance_revoked"},
			"rotated":         {a.ID, rotated.Key, newKey(t), 0, "instance_rotated"},
			"expired":         {a.ID, short.Key, newKey(t), 0, "instance_expired"},
			"another agent's": {a.ID, other.Key, newKey(t), 0, "not_found"},
			"unknown":         {a.ID, newKey(t).Thumbprint(), newKey(t), 0, "not_found"},
			"no such agent":   {id.New[id.Agent](r.Now()), live.Key, newKey(t), 0, "not_found"},
			"to itself":       {a.ID, live.Key, live.JWK, 0, "key_in_use"},
			"to another's":    {a.ID, live.Key, other.JWK, 0, "key_in_use"},
			"to an ended one": {a.ID, live.Key, revoked.JWK, 0, "key_in_use"},
			"P-256":           {a.ID, live.Key, newP256(t), 0, "alg_unsupported"},
			"long grace":      {a.ID, live.Key, newKey(t), agents.MaxGrace + 1, "grace_invalid"},
			"negative grace":  {a.ID, live.Key, newKey(t), -1, "grace_invalid"},
		} {
			if i, err := r.rotate(c.agent, c.by, c.key, c.grace); fault.Code(err) != c.want {
				t.Errorf("%s: %+v, %v", name, i, err)
			}
		}
		r.is(t, "after all that", live.Key, "", "")
		r.must(t)(r.rotate(a.ID, live.Key, newKey(t), agents.MaxGrace))
	})
}

// TestOneSuccessor: of 64 rotations of one key at once, over all nodes, one succeeds.
func TestOneSuccessor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		a := nodes[0].agent(t, id.Default, "bot")
		first := nodes[0].instance(t, a.ID)
		fresh := make([]jose.PublicKey, 64)
		for i := range fresh {
			fresh[i] = newKey(t)
		}
		got := audittest.Together(t, nodes, len(fresh), func(r rig, i int) error {
			_, err := r.rotate(a.ID, first.Key, fresh[i], time.Hour)
			return err
		})
		if got[""] != 1 || got["instance_rotated"] != 63 {
			t.Errorf("%v", got)
		}
		if line, err := nodes[0].Line(t.Context(), id.Default, first.Key); err != nil || len(line) != 2 {
			t.Errorf("the line has %d keys, %v", len(line), err)
		}
	})
}

// A key in its grace stands and falls with the line; and so does everything below it.
func TestTheLineStandsAndFallsTogether(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]func(old, head id.Key) id.Key{
		"by the old key": func(old, _ id.Key) id.Key { return old },
		"by the head":    func(_, head id.Key) id.Key { return head },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, dsn string) {
				r := open(t, dsn)
				a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
				old := r.instance(t, a.ID)
				child := r.must(t)(r.spawn(old.Key, b.ID, time.Time{}))
				head := r.must(t)(r.rotate(a.ID, old.Key, newKey(t), time.Hour))
				late := r.must(t)(r.spawn(head.Key, b.ID, time.Time{}))
				heir := r.must(t)(r.rotate(b.ID, child.Key, newKey(t), time.Hour))
				below := r.must(t)(r.spawn(heir.Key, a.ID, time.Time{}))
				bystander := r.instance(t, a.ID)
				all := []id.Key{old.Key, head.Key, child.Key, heir.Key, late.Key, below.Key}
				each := func(when string, codes map[id.Key]string) {
					t.Helper()
					for n, k := range all {
						r.is(t, fmt.Sprintf("%s, %d", when, n), k, codes[k], codes[k])
					}
					r.is(t, when+", another instance", bystander.Key, "", "")
				}
				each("at first", nil)
				r.change(t, "suspend", by(old.Key, head.Key))
				each("suspended", map[id.Key]string{
					old.Key: "instance_suspended", head.Key: "instance_suspended", child.Key: "parent_ended", heir.Key: "parent_ended",
					late.Key: "parent_ended", below.Key: "parent_ended",
				})
				r.change(t, "resume", by(old.Key, head.Key))
				each("resumed", nil)
				var members []agents.Member
				if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
					if members, err = r.Family(tx, id.Default, a.ID, by(old.Key, head.Key)); err != nil {
						return err
					}
					return verbs["revoke"].instance(r.Room, tx, id.Default, by(old.Key, head.Key))
				}); err != nil {
					t.Fatal(err)
				}
				if len(members) != len(all) || slices.ContainsFunc(members, func(m agents.Member) bool { return !m.Live || !slices.Contains(all, m.Key) }) {
					t.Errorf("the family: %+v", members)
				}
				for n, k := range all {
					if _, err := r.Acting(t.Context(), k, r.Now()); err == nil {
						t.Errorf("%d acts after all was revoked", n)
					}
					if _, err := r.Signed(t.Context(), k, r.Now()); err == nil {
						t.Errorf("what %d signed counts after all was revoked", n)
					}
					if i, err := r.Instance(t.Context(), k); err != nil || i.Until().After(r.Now()) {
						t.Errorf("%d ends at %s, %v", n, i.Until(), err)
					}
				}
				r.is(t, "another instance", bystander.Key, "", "")
				for _, verb := range []string{"suspend", "resume", "revoke"} {
					if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs[verb].instance(r.Room, tx, id.Default, old.Key) }); fault.Code(err) != "wrong_state" {
						t.Errorf("%s afterwards: %v", verb, err)
					}
				}
			})
		})
	}
}

// What an agent's instances spawned of other agents stops with the agent, and ends with it.
func TestTheAgentTakesWhatItSpawnedAlong(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
		top, own := r.instance(t, a.ID), r.instance(t, b.ID)
		child := r.must(t)(r.spawn(top.Key, b.ID, time.Time{}))
		below := r.must(t)(r.spawn(child.Key, b.ID, time.Time{}))
		s, err := r.Acting(t.Context(), below.Key, r.Now())
		if want := []string{child.Key.String(), b.ID.String(), top.Key.String(), a.ID.String()}; err != nil || !slices.Equal(s.Rests, want) {
			t.Errorf("it rests on %v, %v; want %v", s.Rests, err, want)
		}
		do := func(verb string) {
			t.Helper()
			if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs[verb].agent(r.Room, tx, id.Default, a.ID) }); err != nil {
				t.Fatal(err)
			}
		}
		do("suspend")
		r.is(t, "suspended", below.Key, "parent_ended", "parent_ended")
		r.is(t, "its own", own.Key, "", "")
		do("resume")
		r.is(t, "resumed", below.Key, "", "")
		var keys []id.Key
		if err := r.Do(id.Default, func(tx *audit.Tx) (err error) { _, keys, err = r.Revoke(tx, id.Default, a.ID); return err }); err != nil {
			t.Fatal(err)
		}
		if len(keys) != 3 || slices.Contains(keys, own.Key) {
			t.Errorf("ended with the agent: %v", keys)
		}
		r.is(t, "revoked", below.Key, "instance_revoked", "instance_revoked")
		r.is(t, "its own", own.Key, "", "")
	})
}

func TestSpawning(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
		top := r.instance(t, a.ID)
		for name, c := range map[string]struct{ asked, until time.Time }{
			"nothing asked": {time.Time{}, r.Now().Add(agents.MaxSpawned)},
			"less":          {r.Now().Add(time.Hour), r.Now().Add(time.Hour)},
			"more":          {r.Now().Add(48 * time.Hour), r.Now().Add(agents.MaxSpawned)},
		} {
			i := r.must(t)(r.spawn(top.Key, b.ID, c.asked))
			if !i.ExpiresAt.Equal(c.until) || i.Parent != top.Key || i.Trust != agents.Spawned || i.Agent != b.ID || i.Depth != 1 || i.Line != i.Key {
				t.Errorf("%s: %+v", name, i)
			}
		}
		child := r.must(t)(r.spawn(top.Key, b.ID, r.Now().Add(time.Hour)))
		if below := r.must(t)(r.spawn(child.Key, a.ID, r.Now().Add(2*time.Hour))); !below.ExpiresAt.Equal(child.ExpiresAt) {
			t.Errorf("it outlives its parent: %+v", below)
		}
		r.must(t)(r.rotate(a.ID, top.Key, newKey(t), time.Hour))
		if _, err := r.spawn(top.Key, b.ID, time.Time{}); fault.Code(err) != "instance_rotated" {
			t.Errorf("by a key in its grace: %v", err)
		}
		r.Pass(time.Hour)
		r.is(t, "expired", child.Key, "instance_expired", "instance_expired")
		if got, err := r.Instance(t.Context(), child.Key); err != nil || got.StatusAt(r.Now()) != agents.Expired {
			t.Errorf("%s, %v", got.StatusAt(r.Now()), err)
		}
		if _, err := r.spawn(child.Key, b.ID, time.Time{}); fault.Code(err) != "instance_expired" {
			t.Errorf("by an expired one: %v", err)
		}
		if _, err := r.spawn(newKey(t).Thumbprint(), b.ID, time.Time{}); fault.Code(err) != "not_found" {
			t.Errorf("by nobody: %v", err)
		}
		if _, err := r.enrolAs(agents.Spawned, b.ID, newKey(t)); fault.Code(err) != "agent_invalid" {
			t.Errorf("spawned by nobody: %v", err)
		}
	})
}

func (r rig) enrolAs(trust agents.Trust, a id.Agent, key jose.PublicKey) (i agents.Instance, err error) {
	err = r.Do(id.Default, func(tx *audit.Tx) (err error) {
		i, err = r.Enrol(tx, agents.NewInstance{Workspace: id.Default, Agent: a, JWK: key, Trust: trust})
		return err
	})
	return i, err
}

func TestSpawningIsBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		r := nodes[0]
		a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
		top := r.instance(t, a.ID)
		at := top
		for depth := 1; depth <= agents.MaxDepth; depth++ {
			if at = r.must(t)(r.spawn(at.Key, a.ID, time.Time{})); at.Depth != depth {
				t.Errorf("depth %d: %+v", depth, at)
			}
		}
		r.is(t, "at the bottom", at.Key, "", "")
		if _, err := r.spawn(at.Key, a.ID, time.Time{}); fault.Code(err) != "spawn_too_deep" {
			t.Errorf("deeper: %v", err)
		}
		r.change(t, "suspend", top.Key)
		r.is(t, "at the bottom of what is suspended", at.Key, "parent_ended", "parent_ended")
		r.change(t, "resume", top.Key)

		wide := r.instance(t, a.ID)
		got := audittest.Together(t, nodes, 64, func(r rig, _ int) error {
			_, err := r.spawn(wide.Key, b.ID, r.Now().Add(time.Minute))
			return err
		})
		if got[""] != agents.MaxChildren || got["too_many_children"] != 64-agents.MaxChildren {
			t.Errorf("64 at once: %v", got)
		}
		heir := r.must(t)(r.rotate(a.ID, wide.Key, newKey(t), 0))
		if _, err := r.spawn(heir.Key, b.ID, time.Time{}); fault.Code(err) != "too_many_children" {
			t.Errorf("by the key that replaced the parent's: %v", err)
		}
		for range agents.MaxInstances - agents.MaxChildren {
			r.instance(t, b.ID)
		}
		if _, err := r.enrol(id.Default, b.ID, newKey(t)); fault.Code(err) != "too_many_instances" {
			t.Errorf("one more than may be: %v", err)
		}
		for _, n := range nodes {
			n.Pass(time.Minute)
		}
		r.must(t)(r.enrol(id.Default, b.ID, newKey(t))) // what has expired does not count
		r.must(t)(r.spawn(heir.Key, b.ID, time.Time{}))
	})
}

// The tokens that ended with a running copy stay ended, whatever it is called now.
func TestEndedTokensFollowTheLine(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
		old := r.instance(t, a.ID)
		child := r.must(t)(r.spawn(old.Key, b.ID, time.Time{}))
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.EndInstanceTokens(tx, id.Default, old.Key, token.EndMark(tx.Now())) }); err != nil {
			t.Fatal(err)
		}
		head := r.must(t)(r.rotate(a.ID, old.Key, newKey(t), time.Hour))
		for name, key := range map[string]id.Key{"old": old.Key, "head": head.Key, "child": child.Key} {
			if s, err := r.Acting(t.Context(), key, r.Now()); err != nil || s.Instance.TokensFrom < r.Now().Unix() {
				t.Errorf("%s: %d, %v", name, s.Instance.TokensFrom, err)
			}
		}
		r.Pass(time.Minute)
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.EndTokens(tx, id.Default, a.ID, token.EndMark(tx.Now())) }); err != nil {
			t.Fatal(err)
		}
		if s, err := r.Acting(t.Context(), child.Key, r.Now()); err != nil || s.Instance.TokensFrom < r.Now().Unix() {
			t.Errorf("below the agent: %d, %v", s.Instance.TokensFrom, err)
		}
	})
}

func TestLastUse(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a := r.agent(t, id.Default, "a")
		one, two := r.instance(t, a.ID), r.instance(t, a.ID)
		used := func(at time.Time, keys ...id.Key) {
			t.Helper()
			if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.Used(tx, at, keys) }); err != nil {
				t.Fatal(err)
			}
		}
		keys := []id.Key{one.Key}
		for range 600 {
			keys = append(keys, newKey(t).Thumbprint())
		}
		used(r.Now(), append(keys, two.Key)...)
		used(r.Now().Add(time.Minute), one.Key)
		used(r.Now(), one.Key)
		used(r.Now())
		for key, want := range map[id.Key]time.Time{one.Key: r.Now().Add(time.Minute), two.Key: r.Now()} {
			if i, err := r.Instance(t.Context(), key); err != nil || !i.LastUsedAt.Equal(want) {
				t.Errorf("%s, %v; want %s", i.LastUsedAt, err, want)
			}
		}
	})
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		r := nodes[0]
		a := r.agent(t, id.Default, "a")
		line := r.instance(t, a.ID).Key
		before := func(place string) (known bool) {
			t.Helper()
			if err := r.Do(id.Default, func(tx *audit.Tx) (err error) { known, err = r.SeenBefore(tx, line, place); return err }); err != nil {
				t.Fatal(err)
			}
			return known
		}
		at := func(r rig, place string) error {
			return r.Do(id.Default, func(tx *audit.Tx) error {
				fresh, err := r.SeenAt(tx, line, place)
				if err == nil && !fresh {
					err = fault.New(fault.Conflict, "seen", "seen")
				}
				return err
			})
		}
		if first, again := before("home"), before("home"); !first || !again {
			t.Error("the first place is no news")
		}
		if before("work") {
			t.Error("a second place is")
		}
		if before("work") {
			t.Error("to ask is not to take down")
		}
		if got := audittest.Together(t, nodes, 64, func(r rig, _ int) error { return at(r, "work") }); got[""] != 1 || got["seen"] != 63 {
			t.Errorf("64 at once: %v", got)
		}
		if !before("work") {
			t.Error("what was taken down is known")
		}
		for i := range agents.MaxPlaces {
			r.Pass(time.Second)
			if i == agents.MaxPlaces/2 && !before("home") {
				t.Error("home is known")
			}
			if err := at(r, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if before("work") || !before("home") || !before(fmt.Sprint(agents.MaxPlaces-1)) {
			t.Error("the latest places are remembered")
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error { _, err := r.SeenBefore(tx, newKey(t).Thumbprint(), "x"); return err }); fault.Code(err) != "not_found" {
			t.Error(errors.New("nobody was seen"), err)
		}
	})
}

// The keys that are published are those that may act: not a child's whose parent stands still, nor an old one's whose line does.
func TestLiveKeysOfLines(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, b := r.agent(t, id.Default, "a"), r.agent(t, id.Default, "b")
		old, own := r.instance(t, a.ID), r.instance(t, b.ID)
		head := r.must(t)(r.rotate(a.ID, old.Key, newKey(t), time.Hour))
		child := r.must(t)(r.spawn(head.Key, b.ID, time.Time{}))
		below := r.must(t)(r.spawn(child.Key, b.ID, r.Now().Add(time.Minute)))
		live := func(when string, of agents.Agent, want ...id.Key) {
			t.Helper()
			keys, err := r.LiveKeys(t.Context(), of.ID, r.Now())
			var got []id.Key
			for _, k := range keys {
				got = append(got, k.Thumbprint())
			}
			slices.SortFunc(want, func(a, b id.Key) int { return strings.Compare(a.String(), b.String()) })
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %v, %v; want %v", when, got, err, want)
			}
		}
		live("both keys", a, old.Key, head.Key)
		live("the family", b, own.Key, child.Key, below.Key)
		r.Pass(time.Minute)
		live("one has expired", b, own.Key, child.Key)
		r.change(t, "suspend", old.Key)
		live("suspended", a)
		live("below what is suspended", b, own.Key)
		r.change(t, "resume", old.Key)
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs["suspend"].agent(r.Room, tx, id.Default, a.ID) }); err != nil {
			t.Fatal(err)
		}
		live("below an agent that is suspended", b, own.Key)
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return verbs["resume"].agent(r.Room, tx, id.Default, a.ID) }); err != nil {
			t.Fatal(err)
		}
		r.Pass(time.Hour)
		live("after the grace", a, head.Key)
		live("resumed", b, own.Key, child.Key)
	})
}
