package approvals_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/jose"
)

const (
	issuer = "http://localhost:7070"
	wait   = 30 * time.Minute
	ttl    = 10 * time.Minute
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// rig is the room on a real log.
type rig struct {
	*approvals.Room
	*audittest.Rig
	server jose.Signer
}

func open(t testing.TB, dsn string) *rig {
	t.Helper()
	r := audittest.Open(t, dsn, start)
	return &rig{approvals.New(r.Reader), r, newKey()}
}

func newKey() jose.Signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s, err := jose.NewSigner(private)
	if err != nil {
		panic(err)
	}
	return s
}

// person is a voter with a registered key.
type person struct {
	id  id.User
	key jose.Signer
}

func newPerson() person { return person{id.New[id.User](start), newKey()} }

// ask is one by a new agent for a new person, for one call; edits change it before its digests are made.
func ask(edits ...func(*approvals.Ask)) approvals.Ask {
	subject, actor := id.New[id.User](start), id.New[id.Agent](start).String()
	a := approvals.Ask{
		ID: id.New[id.Approval](start), Quorum: 1, Role: "release-manager", Excluded: []string{subject.String(), actor}, Wait: wait, TTL: ttl,
		Arguments: []byte(`{"env":"production"}`), Reason: "Production needs a release manager.", Asked: id.New[id.Event](start), Delegation: id.New[id.Delegation](start),
		Object: evidence.Approval{
			Issuer: issuer, Workspace: id.Default, Gate: "prod-deploy", GateSHA256: id.Sum([]byte("forbid")), Actor: actor, Subject: subject,
			Chain: []id.Digest{id.Sum([]byte("root"))}, Task: "REL-481", Action: "tool:deploy:run", Resource: evidence.Resource{Type: "Tool", ID: "deploy:run"},
			Pin: id.Sum([]byte("pin")), Binds: []string{"args"}, Call: id.Sum([]byte("call")),
		},
	}
	for _, edit := range edits {
		edit(&a)
	}
	a.Object.Flow = string(rune('0'+a.Quorum)) + " of " + a.Role
	a.Object.FlowSHA256, a.Object.ArgsSHA256 = id.Sum([]byte(a.Object.Flow)), id.Sum(a.Arguments)
	return a
}

func quorum(n int) func(*approvals.Ask) { return func(a *approvals.Ask) { a.Quorum = n } }

func (g *rig) ask(a approvals.Ask) (got approvals.Asked, err error) {
	err = g.Do(id.Default, func(tx *audit.Tx) (err error) {
		got, err = g.Ask(tx, a.Object.Workspace, a)
		return err
	})
	return got, err
}

func (g *rig) mustAsk(t testing.TB, edits ...func(*approvals.Ask)) approvals.Approval {
	t.Helper()
	got, err := g.ask(ask(edits...))
	if err != nil || got.Joined {
		t.Fatalf("ask: joined %v, %v", got.Joined, err)
	}
	return got.Approval
}

// ballotOf is the vote as a person signs it.
func (g *rig) ballotOf(a approvals.Approval, p person, choice string) evidence.Vote {
	now := g.Now().Unix()
	return evidence.Vote{
		V: 1, Typ: "attorn-vote", Issuer: issuer, Workspace: a.Object.Workspace, Vote: choice, Reuse: evidence.ReuseOnce, Voter: p.id, Reason: "as agreed",
		Asks: []evidence.Asked{{ID: a.ID, Stage: a.Role, Object: a.Digest}}, At: now, ExpiresAt: now + 60, Nonce: rand.Text(),
	}
}

func (g *rig) cast(t testing.TB, a id.Approval, p person, v evidence.Vote, eligible bool) (got approvals.Approval, err error) {
	t.Helper()
	signed, err := evidence.SignVote(v, p.key)
	if err != nil {
		t.Fatal(err)
	}
	err = g.Do(id.Default, func(tx *audit.Tx) error {
		ballot, err := evidence.Count(signed, delegation.DelegatorKey{JWK: p.key.Public()}, tx.Now(), tx.Rev(), g.server)
		if err != nil {
			return err
		}
		got, err = g.Vote(tx, v.Workspace, a, ballot, eligible)
		return err
	})
	return got, err
}

func (g *rig) vote(t testing.TB, a approvals.Approval, p person, choice string) (approvals.Approval, error) {
	t.Helper()
	return g.cast(t, a.ID, p, g.ballotOf(a, p, choice), true)
}

func (g *rig) approved(t testing.TB, edits ...func(*approvals.Ask)) approvals.Approval {
	t.Helper()
	a, err := g.vote(t, g.mustAsk(t, edits...), newPerson(), evidence.Approve)
	if err != nil || a.Status != approvals.Approved {
		t.Fatalf("approve: %s, %v", a.Status, err)
	}
	return a
}

func (g *rig) spend(a approvals.Approval) error {
	return g.Do(id.Default, func(tx *audit.Tx) error { return g.Spend(tx, a.Object.Workspace, a.ID, a.Digest) })
}

func (g *rig) cancel(a approvals.Approval, by string) error {
	return g.Do(id.Default, func(tx *audit.Tx) error { return g.Cancel(tx, a.Object.Workspace, a.ID, by) })
}

func (g *rig) void(t testing.TB, ws id.Workspace, ground approvals.Ground) (ended []id.Approval) {
	t.Helper()
	if err := g.Do(id.Default, func(tx *audit.Tx) (err error) {
		ended, err = g.VoidAll(tx, ws, ground)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return ended
}

func (g *rig) expire(t testing.TB) (ended []id.Approval) {
	t.Helper()
	if err := g.Do(id.Default, func(tx *audit.Tx) (err error) {
		ended, err = g.Expire(tx, id.Default)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return ended
}

// stored is the status as it is written down.
func (g *rig) stored(t testing.TB, a approvals.Approval) approvals.Status {
	t.Helper()
	got, err := g.Get(t.Context(), a.Object.Workspace, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got.Status
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Errorf("code %q, want %q (%v)", got, code, err)
	}
}
