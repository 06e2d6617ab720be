package approvals_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

var statuses = []approvals.Status{
	approvals.Pending, approvals.Approved, approvals.Denied, approvals.Expired, approvals.Cancelled, approvals.Void, approvals.Spent,
}

// edges is policy.md §6, written out.
var edges = map[approvals.Status][]approvals.Status{
	approvals.Pending:  {approvals.Approved, approvals.Denied, approvals.Expired, approvals.Cancelled, approvals.Void},
	approvals.Approved: {approvals.Spent, approvals.Expired, approvals.Cancelled, approvals.Void},
}

func TestStatusesLeadWhereTheyMay(t *testing.T) {
	for _, from := range append(statuses, "", "unknown") {
		for _, to := range append(statuses, "", "unknown") {
			if got, want := from.To(to), slices.Contains(edges[from], to); got != want {
				t.Errorf("%s to %s: %v", from, to, got)
			}
		}
	}
}

// Every way to change an approval is tried from every status: it leads along an edge, or it changes nothing.
func TestEveryEdgeInTheStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		must := func(t *testing.T, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		actor := func(a approvals.Approval) string { return a.Object.Actor }
		moves := map[approvals.Status]func(t *testing.T, a approvals.Approval) error{
			approvals.Approved: func(t *testing.T, a approvals.Approval) error {
				_, err := g.vote(t, a, newPerson(), evidence.Approve)
				return err
			},
			approvals.Denied: func(t *testing.T, a approvals.Approval) error {
				_, err := g.vote(t, a, newPerson(), evidence.Refuse)
				return err
			},
			approvals.Spent:     func(t *testing.T, a approvals.Approval) error { return g.spend(a) },
			approvals.Cancelled: func(t *testing.T, a approvals.Approval) error { return g.cancel(a, actor(a)) },
			approvals.Void: func(t *testing.T, a approvals.Approval) error {
				g.void(t, id.Default, approvals.Ground{Approval: a.ID})
				return nil
			},
			approvals.Expired: func(t *testing.T, _ approvals.Approval) error {
				g.Pass(wait + ttl)
				g.expire(t)
				g.Pass(-wait - ttl)
				return nil
			},
		}
		path := map[approvals.Status][]approvals.Status{
			approvals.Approved: {approvals.Approved}, approvals.Denied: {approvals.Denied}, approvals.Expired: {approvals.Expired},
			approvals.Cancelled: {approvals.Cancelled}, approvals.Void: {approvals.Void}, approvals.Spent: {approvals.Approved, approvals.Spent},
		}
		for _, from := range statuses {
			for to, move := range moves {
				a := g.mustAsk(t)
				for _, step := range path[from] {
					must(t, moves[step](t, a))
				}
				if got := g.stored(t, a); got != from {
					t.Fatalf("could not bring it to %s: %s", from, got)
				}
				err := move(t, a)
				want := from
				if slices.Contains(edges[from], to) {
					want = to
					must(t, err)
				} else if err == nil && to != approvals.Void && to != approvals.Expired {
					t.Errorf("%s to %s was not refused", from, to)
				}
				if got := g.stored(t, a); got != want {
					t.Errorf("from %s, trying %s: %s, want %s", from, to, got, want)
				}
			}
		}
	})
}

func TestTimeThatRunsOutDenies(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		pending, approved := g.mustAsk(t), g.approved(t)
		status := func(a approvals.Approval) approvals.Status {
			t.Helper()
			s, err := g.StatusOf(t.Context(), id.Default, a.ID, g.Now())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		due := func() bool {
			t.Helper()
			d, err := g.Due(t.Context(), id.Default, g.Now())
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		g.Pass(ttl - time.Microsecond)
		if s := status(approved); s != approvals.Approved || due() || len(g.expire(t)) != 0 {
			t.Errorf("%s before its time is over", s)
		}
		g.Pass(time.Microsecond)
		if s := status(approved); s != approvals.Expired || !due() {
			t.Errorf("%s when its time is over", s)
		}
		wantCode(t, g.spend(approved), "approval_gone")
		if _, ok, err := g.ByDigest(t.Context(), id.Default, approved.Digest, g.Now()); ok || err != nil {
			t.Error("an overdue approval is found as live", err)
		}
		wantCode(t, g.cancel(approved, approved.Object.Actor), "expired")
		if got := g.expire(t); !slices.Equal(got, []id.Approval{approved.ID}) || due() {
			t.Errorf("expired %v", got)
		}
		g.Pass(wait - ttl)
		if s := status(pending); s != approvals.Expired {
			t.Errorf("%s when the time to vote is over", s)
		}
		_, err := g.vote(t, pending, newPerson(), evidence.Approve)
		wantCode(t, err, "expired")
		if got := g.expire(t); !slices.Equal(got, []id.Approval{pending.ID}) {
			t.Errorf("expired %v", got)
		}
		if got, err := g.Get(t.Context(), id.Default, pending.ID); err != nil || !got.ChangedAt.Equal(g.Now()) {
			t.Errorf("changed at %s, %v", got.ChangedAt, err)
		}
	})
}

func TestVoidEndsWhatRestsOnIt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		acme, _ := id.ParseWorkspace("acme")
		for name, ground := range map[string]func(approvals.Approval) approvals.Ground{
			"itself":   func(a approvals.Approval) approvals.Ground { return approvals.Ground{Approval: a.ID} },
			"actor":    func(a approvals.Approval) approvals.Ground { return approvals.Ground{Actor: a.Object.Actor} },
			"subject":  func(a approvals.Approval) approvals.Ground { return approvals.Ground{Subject: a.Object.Subject} },
			"resource": func(a approvals.Approval) approvals.Ground { return approvals.Ground{Resource: a.Object.Resource} },
			"delegation": func(a approvals.Approval) approvals.Ground {
				many := make([]id.Delegation, 1200) // more than one statement names
				for i := range many {
					many[i] = id.New[id.Delegation](start)
				}
				many[1100] = a.Delegation
				return approvals.Ground{Delegations: many}
			},
		} {
			tool := func(a *approvals.Ask) { a.Object.Resource.ID = "deploy:" + name }
			a, b, other := g.mustAsk(t, tool), g.approved(t), g.mustAsk(t)
			if got := g.void(t, acme, ground(a)); got != nil {
				t.Errorf("%s: another workspace's were ended", name)
			}
			if got := g.void(t, id.Default, ground(a)); !slices.Equal(got, []id.Approval{a.ID}) || g.stored(t, a) != approvals.Void {
				t.Errorf("%s: ended %v", name, got)
			}
			if got := g.void(t, id.Default, approvals.Ground{Approval: b.ID}); len(got) != 1 {
				t.Errorf("%s: approved, and not ended", name)
			}
			if got := g.void(t, id.Default, approvals.Ground{}); got != nil || g.stored(t, other) != approvals.Pending {
				t.Errorf("no ground ended %v", got)
			}
			wantCode(t, g.spend(b), "approval_gone")
			_, err := g.vote(t, a, newPerson(), evidence.Approve)
			wantCode(t, err, "changed")
		}
	})
}

func TestOnlyWhoAskedWithdraws(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		a, b := g.mustAsk(t), g.mustAsk(t)
		wantCode(t, g.cancel(a, b.Object.Actor), "not_requester")
		wantCode(t, g.cancel(a, ""), "not_requester")
		nobody := g.mustAsk(t, func(a *approvals.Ask) { a.Object.Subject, a.Object.Chain = id.User{}, nil })
		wantCode(t, g.cancel(nobody, ""), "not_requester")
		if err := g.cancel(a, a.Object.Subject.String()); err != nil || g.stored(t, a) != approvals.Cancelled {
			t.Error(err)
		}
		wantCode(t, g.cancel(a, a.Object.Actor), "withdrawn")
		err := g.Do(id.Default, func(tx *audit.Tx) error { return g.Cancel(tx, id.Server, b.ID, b.Object.Actor) })
		wantCode(t, err, "not_found")
	})
}

func TestReadsKeepToTheWorkspace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		var want []id.Approval
		for range 3 {
			want = append(want, g.mustAsk(t).ID)
		}
		a := g.approved(t)
		got, err := g.Get(t.Context(), id.Default, a.ID)
		if err != nil || got.Object.Task != "REL-481" || got.Wait != wait || got.TTL != ttl || got.Asked != a.Asked || string(got.Arguments) != `{"env":"production"}` ||
			!got.UseBy.Equal(start.Add(ttl)) || !got.ExpiresAt.Equal(start.Add(wait)) || !got.CreatedAt.Equal(start) || got.Delegation != a.Delegation {
			t.Errorf("%+v, %v", got, err)
		}
		if digest, err := got.Object.Digest(); err != nil || digest != got.Digest {
			t.Error("the stored object has another digest", err)
		}
		var paged []id.Approval
		for before := (id.Approval{}); ; before = paged[len(paged)-1] {
			page, err := g.List(t.Context(), id.Default, approvals.Pending, before, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, p := range page {
				paged = append(paged, p.ID)
			}
		}
		if len(paged) != 3 || !slices.Contains(paged, want[0]) || !slices.Contains(paged, want[1]) || !slices.Contains(paged, want[2]) {
			t.Errorf("paged %v, want %v", paged, want)
		}
		if votes, err := g.Votes(t.Context(), id.Default, a.ID); err != nil || len(votes) != 1 || votes[0].Vote.Vote != evidence.Approve {
			t.Errorf("%d votes, %v", len(votes), err)
		}
		if all, err := g.List(t.Context(), id.Server, approvals.Pending, id.Approval{}, 10); err != nil || len(all) != 0 {
			t.Error("another workspace lists", len(all), err)
		}
		if votes, err := g.Votes(t.Context(), id.Server, a.ID); err != nil || len(votes) != 0 {
			t.Error("another workspace sees votes", err)
		}
		if _, ok, err := g.ByDigest(t.Context(), id.Server, a.Digest, start); ok || err != nil {
			t.Error("another workspace finds it", err)
		}
		_, err = g.Get(t.Context(), id.Server, a.ID)
		wantCode(t, err, "not_found")
		_, err = g.StatusOf(t.Context(), id.Server, a.ID, start)
		wantCode(t, err, "not_found")
		err = g.Do(id.Default, func(tx *audit.Tx) error { return g.Spend(tx, id.Server, a.ID, a.Digest) })
		wantCode(t, err, "approval_gone")
		if g.stored(t, a) != approvals.Approved {
			t.Error("spent from another workspace")
		}
	})
}
