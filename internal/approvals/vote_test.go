package approvals_test

import (
	"sync"
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

func TestQuorumIsOfDistinctPeople(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		a := g.mustAsk(t, quorum(3))
		maya, ines, omar := newPerson(), newPerson(), newPerson()
		for _, p := range []person{maya, ines} {
			got, err := g.vote(t, a, p, evidence.Approve)
			if err != nil || got.Status != approvals.Pending || !got.UseBy.IsZero() {
				t.Fatal(got.Status, err)
			}
			_, err = g.vote(t, a, p, evidence.Approve)
			wantCode(t, err, "already_voted")
			_, err = g.vote(t, a, p, evidence.Refuse)
			wantCode(t, err, "already_voted")
		}
		wantCode(t, g.spend(a), "approval_gone")
		g.Pass(wait / 2)
		got, err := g.vote(t, a, omar, evidence.Approve)
		if err != nil || got.Status != approvals.Approved || !got.UseBy.Equal(g.Now().Add(ttl)) {
			t.Fatal(got.Status, got.UseBy, err)
		}
		_, err = g.vote(t, a, newPerson(), evidence.Refuse)
		wantCode(t, err, "decided")
		votes, err := g.Votes(t.Context(), id.Default, a.ID)
		if err != nil || len(votes) != 3 || votes[2].Vote.Voter != omar.id {
			t.Fatalf("%d votes, %v", len(votes), err)
		}
		keys := func(id.Key) (jose.PublicKey, bool) { return g.server.Public(), true }
		for _, b := range votes {
			if err := b.Verify(keys); err != nil || b.Vote.Asks[0].Object != a.Digest {
				t.Error(err)
			}
		}
	})
}

func TestOneDenialDenies(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		a := g.mustAsk(t, quorum(2))
		if _, err := g.vote(t, a, newPerson(), evidence.Approve); err != nil {
			t.Fatal(err)
		}
		if got, err := g.vote(t, a, newPerson(), evidence.Refuse); err != nil || got.Status != approvals.Denied {
			t.Fatal(got.Status, err)
		}
		_, err := g.vote(t, a, newPerson(), evidence.Approve)
		wantCode(t, err, "decided")
		wantCode(t, g.spend(a), "approval_gone")
	})
}

func TestVoteRefuses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		owner, maya := newPerson(), newPerson()
		a := g.mustAsk(t, func(a *approvals.Ask) { a.Excluded = append(a.Excluded, owner.id.String()) })
		other := g.mustAsk(t)
		subject := person{a.Object.Subject, newKey()}
		plain := func(*evidence.Vote) {}
		for name, c := range map[string]struct {
			code     string
			voter    person
			eligible bool
			edit     func(*evidence.Vote)
		}{
			"the person it is for":      {"four_eyes", subject, true, plain},
			"the agent's owner":         {"four_eyes", owner, true, plain},
			"the owner, to deny":        {"four_eyes", owner, true, func(v *evidence.Vote) { v.Vote = evidence.Refuse }},
			"somebody without the role": {"not_eligible", maya, false, plain},
			"another object":            {"changed", maya, true, func(v *evidence.Vote) { v.Asks[0].Object = other.Digest }},
			"another approval":          {"vote_invalid", maya, true, func(v *evidence.Vote) { v.Asks[0].ID = other.ID }},
			"another stage":             {"vote_invalid", maya, true, func(v *evidence.Vote) { v.Asks[0].Stage = "security" }},
			"another issuer":            {"vote_invalid", maya, true, func(v *evidence.Vote) { v.Issuer = "http://else.example" }},
			"for somebody else":         {"vote_invalid", maya, true, func(v *evidence.Vote) { v.For = &owner.id }},
			"another workspace":         {"not_found", maya, true, func(v *evidence.Vote) { v.Workspace = id.Server }},
		} {
			v := g.ballotOf(a, c.voter, evidence.Approve)
			c.edit(&v)
			_, err := g.cast(t, a.ID, c.voter, v, c.eligible)
			if err == nil {
				t.Errorf("%s: counted", name)
				continue
			}
			t.Log(name, ":", err)
			wantCode(t, err, c.code)
		}
		v := g.ballotOf(a, maya, evidence.Approve)
		v.Workspace = id.Server // said to be of one workspace, cast in another
		err := g.Do(id.Default, func(tx *audit.Tx) error {
			sv, _ := evidence.SignVote(v, maya.key)
			ballot, err := evidence.Count(sv, delegation.DelegatorKey{JWK: maya.key.Public()}, tx.Now(), tx.Rev(), g.server)
			if err != nil {
				return err
			}
			_, err = g.Vote(tx, id.Default, a.ID, ballot, true)
			return err
		})
		wantCode(t, err, "vote_invalid")
		if votes, err := g.Votes(t.Context(), id.Default, a.ID); err != nil || len(votes) != 0 || g.stored(t, a) != approvals.Pending {
			t.Errorf("%d votes were counted, %v", len(votes), err)
		}
		if got, err := g.vote(t, a, maya, evidence.Approve); err != nil || got.Status != approvals.Approved {
			t.Error(got.Status, err)
		}
	})
}

func TestSpendIsForOneCallOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		a, other := g.approved(t), g.approved(t)
		swapped := a
		swapped.Digest = other.Digest
		wantCode(t, g.spend(swapped), "approval_gone")
		if err := g.spend(a); err != nil {
			t.Fatal(err)
		}
		wantCode(t, g.spend(a), "approval_gone")
		got, err := g.Get(t.Context(), id.Default, a.ID)
		if err != nil || got.Status != approvals.Spent || got.Uses != 1 {
			t.Errorf("%s after %d uses, %v", got.Status, got.Uses, err)
		}
		if _, ok, _ := g.ByDigest(t.Context(), id.Default, a.Digest, start); ok {
			t.Error("spent, and found as live")
		}
		undone := fault.New(fault.Conflict, "else", "something else failed")
		err = g.Do(id.Default, func(tx *audit.Tx) error {
			if err := g.Spend(tx, id.Default, other.ID, other.Digest); err != nil {
				return err
			}
			return undone
		})
		wantCode(t, err, "else")
		if err := g.spend(other); err != nil {
			t.Error("a spending that was undone counts:", err)
		}
	})
}

func TestSpentOnceByManyAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		a := all[0].approved(t)
		codes := audittest.Together(t, all, 64, func(g *rig, _ int) error { return g.spend(a) })
		if codes[""] != 1 || codes["approval_gone"] != 63 {
			t.Errorf("results: %v", codes)
		}
	})
}

func TestManyAsksAtOnceAreOne(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		same := ask()
		var mu sync.Mutex
		made, ids := 0, map[id.Approval]bool{}
		codes := audittest.Together(t, all, 64, func(g *rig, _ int) error {
			a := same
			a.ID = id.New[id.Approval](start)
			got, err := g.ask(a)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			ids[got.ID] = true
			if !got.Joined {
				made++
			}
			return nil
		})
		if made != 1 || len(ids) != 1 || codes[""] != 64 {
			t.Errorf("%d made, %d in all; results: %v", made, len(ids), codes)
		}
	})
}

func TestOnePersonsVotesAtOnceCountOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		a := all[0].mustAsk(t, quorum(2))
		maya := newPerson()
		codes := audittest.Together(t, all, 16, func(g *rig, _ int) error {
			_, err := g.vote(t, a, maya, evidence.Approve)
			return err
		})
		if codes[""] != 1 || codes["already_voted"] != 15 || all[0].stored(t, a) != approvals.Pending {
			t.Errorf("votes of one person: %v, %s", codes, all[0].stored(t, a))
		}
		if votes, err := all[0].Votes(t.Context(), id.Default, a.ID); err != nil || len(votes) != 1 {
			t.Errorf("%d votes, %v", len(votes), err)
		}
	})
}

// Approvals and a denial at once end in one decision, and it is the one that the votes make.
func TestVotesAtOnceDecideOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		a := all[0].mustAsk(t, quorum(2))
		var mu sync.Mutex
		ended := map[approvals.Status]int{}
		codes := audittest.Together(t, all, 12, func(g *rig, i int) error {
			choice := evidence.Approve
			if i%3 == 0 {
				choice = evidence.Refuse
			}
			got, err := g.vote(t, a, newPerson(), choice)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			ended[got.Status]++
			return nil
		})
		if ended[approvals.Approved]+ended[approvals.Denied] != 1 || ended[approvals.Pending] > 1 || codes[""]+codes["decided"] != 12 {
			t.Errorf("ended %v; results: %v", ended, codes)
		}
	})
}
