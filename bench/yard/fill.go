package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/server"
	"github.com/attorn/attorn/jose"
)

// perPerson is how many delegations a made-up person stands above: one to their own agent, the others from that to agents of others.
const perPerson = 100

// filler lends as the product's own code does, through the rooms and the log, but for the requests themselves: who asked, and whether policy let them. Every
// statement is signed, held to its parent and countersigned, and each is an event. Keys and choices are seeded, so that the same number makes the same tree.
type filler struct {
	url     string
	log     *audit.Log
	key     *keyring.Key
	people  *people.Room
	agents  *agents.Room
	lending *lending.Room
	all     []holder
}

type holder struct {
	person id.User
	agent  id.Agent
	signer jose.Signer // of the agent's instance and, in this made-up world, of the person as well
}

// fill makes a product's database in dir and n delegations in it.
func fill(ctx context.Context, dir, url string, n int) error {
	s, err := server.Open(ctx, server.Config{Dev: true, URL: url, Listen: "127.0.0.1:0", Data: dir, Node: "bench"}) // its keys, its policies
	if err != nil {
		return err
	}
	s.Close()
	r, w, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "attorn.db"))
	if err != nil {
		return err
	}
	defer w.Close()
	seal, err := os.ReadFile(filepath.Join(dir, "sealing.key"))
	if err != nil {
		return err
	}
	sealer, err := keyring.NewSealer(seal)
	if err != nil {
		return err
	}
	ring, err := keyring.Open(ctx, r, sealer)
	if err != nil {
		return err
	}
	own, err := ring.Current(ctx, keyring.ForTokens)
	if err != nil {
		return err
	}
	log, err := audit.Open(ctx, audit.Config{Reader: r, Writer: w, Ring: ring, Issuer: url, Node: "bench", Now: time.Now})
	if err != nil {
		return err
	}
	defer log.Close()
	f := &filler{url: url, log: log, key: own.Key, people: people.New(r), agents: agents.New(r), lending: lending.New(r)}
	f.all = make([]holder, max(2, (n+perPerson-1)/perPerson))
	if err := together(len(f.all), func(i int) error { return f.enrol(ctx, i) }); err != nil {
		return err
	}
	return together(len(f.all), func(i int) error { return f.lend(ctx, i, max(1, min(perPerson, n-i*perPerson))) })
}

// together does n things, 64 at a time.
func together(n int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *filler) record(ctx context.Context, kind evidence.Kind, who, target string, change func(*audit.Tx) error) error {
	d := evidence.Draft{Workspace: id.Default, Target: target}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = kind, evidence.OK, who, "server", &evidence.What{}
	_, err := f.log.Record(ctx, d, change)
	return err
}

func (f *filler) enrol(ctx context.Context, i int) error {
	seed := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	raw := make([]byte, ed25519.SeedSize)
	seed.Read(raw)
	signer, err := jose.NewSigner(ed25519.NewKeyFromSeed(raw))
	if err != nil {
		return err
	}
	now := time.Now()
	h := holder{person: id.New[id.User](now), agent: id.New[id.Agent](now), signer: signer}
	f.all[i] = h
	err = f.record(ctx, evidence.UserAdded, evidence.ServerSub, h.person.String(), func(tx *audit.Tx) error {
		tx.Event().What.User = h.person
		if _, err := f.people.Add(tx, people.NewPerson{ID: h.person, Name: fmt.Sprintf("Person %d", i)}); err != nil {
			return err
		}
		return f.people.Join(tx, id.Default, h.person)
	})
	if err != nil {
		return err
	}
	return f.record(ctx, evidence.AgentRegistered, h.person.String(), h.agent.String(), func(tx *audit.Tx) error {
		tx.Event().What.Agent = h.agent
		if _, err := f.agents.Register(tx, agents.NewAgent{ID: h.agent, Workspace: id.Default, Name: fmt.Sprintf("made-up-%d", i), Owner: h.person}); err != nil {
			return err
		}
		_, err := f.agents.Enrol(tx, agents.NewInstance{Workspace: id.Default, Agent: h.agent, JWK: h.signer.Public(), Trust: agents.Enrolled})
		return err
	})
}

// lend makes the delegations of one person: n in all.
func (f *filler) lend(ctx context.Context, i, n int) error {
	h, now := f.all[i], time.Now()
	root := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](now), Issuer: f.url, Workspace: id.Default, Delegator: delegation.Delegator{User: h.person},
		Delegate: delegation.Delegate{Agent: h.agent}, Permissions: []delegation.Permission{{Permission: "files:api:*"}},
		NotBefore: now.Add(-time.Minute).Unix(), ExpiresAt: now.Add(24 * time.Hour).Unix(), MaxDepth: 2,
	}
	parent, err := root.Digest()
	if err != nil {
		return err
	}
	all := []delegation.Statement{root}
	choose := rand.New(rand.NewPCG(uint64(i), 4))
	for range n - 1 {
		st := root
		st.ID, st.Parent, st.MaxDepth = id.New[id.Delegation](now), &parent, 1
		st.Delegator = delegation.Delegator{Agent: h.agent, Instance: h.signer.Public().Thumbprint()}
		st.Delegate = delegation.Delegate{Agent: f.all[(i+1+choose.IntN(len(f.all)-1))%len(f.all)].agent}
		all = append(all, st)
	}
	return f.hand(ctx, h, all)
}

// hand records statements with an event each, in one commit.
func (f *filler) hand(ctx context.Context, h holder, all []delegation.Statement) error {
	signed := make([]delegation.Signed, len(all))
	for i, st := range all {
		var err error
		if signed[i], err = delegation.Sign(st, h.signer); err != nil {
			return err
		}
	}
	drafts := make([]evidence.Draft, len(all))
	for i, st := range all {
		d := evidence.Draft{Workspace: id.Default, Target: st.ID.String()}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.DelegationLent, evidence.OK, h.agent.String(), "server", &evidence.What{}
		if st.Parent == nil {
			d.Who.Sub = h.person.String()
		}
		drafts[i] = d
	}
	last := len(all) - 1
	_, err := f.log.Record(ctx, drafts[last], func(tx *audit.Tx) error {
		for i := range all {
			link, err := delegation.Countersign(signed[i], delegation.DelegatorKey{JWK: h.signer.Public()}, tx.Now(), tx.Rev()+int64(i), f.key.Signer())
			if err != nil {
				return err
			}
			d, _, err := f.lending.Lend(tx, id.Default, link)
			if err != nil {
				return err
			}
			doc := evidence.ContentOf([]byte(d.Link.String()))
			if i == last {
				tx.Keep(doc)
				tx.Event().What.Delegation, tx.Event().What.Link = d.ID, doc.Digest
				return nil
			}
			e := drafts[i]
			e.What = &evidence.What{Delegation: d.ID, Link: doc.Digest}
			e.Content = []evidence.Content{doc}
			tx.Before(e)
		}
		return nil
	})
	return err
}
