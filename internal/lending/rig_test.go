package lending_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
)

const issuer = "http://localhost:7070"

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// rig is the room on a real log.
type rig struct {
	*lending.Room
	*audittest.Rig
	server jose.Signer
}

func open(t testing.TB, dsn string) *rig {
	t.Helper()
	r := audittest.Open(t, dsn, start)
	return &rig{lending.New(r.Reader), r, newKey()}
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

// party is who lends and is lent to: a person with a registered key, or an agent with an instance.
type party struct {
	user  id.User
	agent id.Agent
	key   jose.Signer
}

func person() party { return party{user: id.New[id.User](start), key: newKey()} }
func agent() party  { return party{agent: id.New[id.Agent](start), key: newKey()} }

func (p party) name() string {
	if p.agent.IsZero() {
		return p.user.String()
	}
	return p.agent.String()
}

// statement is by lending to; under its parent, if that is not nil, and as wide as that allows.
func statement(parent *delegation.Statement, by, to party, edits ...func(*delegation.Statement)) delegation.Statement {
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](start), Issuer: issuer, Workspace: id.Default,
		Delegate:    delegation.Delegate{Agent: to.agent},
		Permissions: []delegation.Permission{{Permission: "tool:files:*"}},
		NotBefore:   start.Unix(), ExpiresAt: start.Add(2 * time.Hour).Unix(), MaxDepth: 8,
	}
	if by.agent.IsZero() {
		st.Delegator = delegation.Delegator{User: by.user}
	} else {
		st.Delegator = delegation.Delegator{Agent: by.agent, Instance: by.key.Public().Thumbprint()}
	}
	if parent != nil {
		digest, err := parent.Digest()
		if err != nil {
			panic(err)
		}
		st.Parent, st.NotBefore, st.ExpiresAt, st.MaxDepth, st.Task = &digest, parent.NotBefore, parent.ExpiresAt, parent.MaxDepth-1, parent.Task
	}
	for _, edit := range edits {
		edit(&st)
	}
	return st
}

func uses(n int64) func(*delegation.Statement) {
	return func(st *delegation.Statement) { st.MaxUses = &n }
}

// lendIn signs, countersigns and records a statement in a transaction.
func (g *rig) lendIn(tx *audit.Tx, st delegation.Statement, by party) (lending.Delegation, bool, error) {
	sd, err := delegation.Sign(st, by.key)
	if err != nil {
		return lending.Delegation{}, false, err
	}
	link, err := delegation.Countersign(sd, delegation.DelegatorKey{JWK: by.key.Public()}, tx.Now(), tx.Rev(), g.server)
	if err != nil {
		return lending.Delegation{}, false, err
	}
	return g.Lend(tx, st.Workspace, link)
}

func (g *rig) lend(t testing.TB, st delegation.Statement, by party) (d lending.Delegation, fresh bool, err error) {
	t.Helper()
	err = g.Do(id.Default, func(tx *audit.Tx) (err error) {
		d, fresh, err = g.lendIn(tx, st, by)
		return err
	})
	return d, fresh, err
}

func (g *rig) mustLend(t testing.TB, st delegation.Statement, by party) lending.Delegation {
	t.Helper()
	d, fresh, err := g.lend(t, st, by)
	if err != nil || !fresh {
		t.Fatalf("lend: fresh %v, %v", fresh, err)
	}
	return d
}

func (g *rig) use(chain ...id.Delegation) (left *int64, exhausted []id.Delegation, rev int64, err error) {
	err = g.Do(id.Default, func(tx *audit.Tx) (err error) {
		rev = tx.Rev()
		left, exhausted, err = g.Use(tx, id.Default, chain)
		return err
	})
	return left, exhausted, rev, err
}

func (g *rig) revoke(d id.Delegation) (ended []id.Delegation, rev int64, err error) {
	err = g.Do(id.Default, func(tx *audit.Tx) (err error) {
		rev = tx.Rev()
		ended, err = g.Revoke(tx, id.Default, d, "usr_x", "no longer needed")
		return err
	})
	return ended, rev, err
}

// line lends a chain of n links: a person to an agent to an agent …
func (g *rig) line(t testing.TB, n int, edit func(i int, st *delegation.Statement)) (chain []id.Delegation, last delegation.Statement, holder party) {
	t.Helper()
	by := person()
	var parent *delegation.Statement
	for i := range n {
		to := agent()
		st := statement(parent, by, to, func(st *delegation.Statement) {
			if edit != nil {
				edit(i, st)
			}
		})
		g.mustLend(t, st, by)
		chain, parent, by = append(chain, st.ID), &st, to
	}
	return chain, *parent, by
}

func wantCode(t interface {
	Helper()
	Errorf(format string, args ...any)
}, err error, code string,
) {
	t.Helper()
	if got := fault.Code(err); got != code {
		t.Errorf("code %q, want %q (%v)", got, code, err)
	}
}
