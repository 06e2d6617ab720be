package main

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"path/filepath"
	"slices"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
)

func (a account) sub() string {
	if !a.Agent.IsZero() {
		return a.Agent.String()
	}
	return a.User.String()
}

// client is the server's API as the current person.
func (c *cli) client(context.Context) (*attorn.Client, account, error) {
	a, err := c.account()
	if err != nil {
		return nil, a, err
	}
	if a.User.IsZero() {
		return nil, a, fault.New(fault.Denied, "person_needed", "the context is an agent's (%s); this takes a person", a.Name).Try("use --context with a person's account: attorn ctx ls")
	}
	cl, err := c.clientOf(a)
	return cl, a, err
}

func (c *cli) clientOf(a account) (*attorn.Client, error) {
	signer, err := attorn.OpenKeyFile(filepath.Join(c.home, a.KeyFile))
	if err != nil {
		return nil, err
	}
	return attorn.NewClient(attorn.ClientConfig{Server: a.Server, Workspace: a.Workspace, User: a.User, Signer: signer})
}

// agent is the current context's agent.
func (c *cli) agent(ctx context.Context) (*attorn.Agent, account, error) {
	a, err := c.account()
	if err != nil {
		return nil, a, err
	}
	if a.Agent.IsZero() {
		return nil, a, fault.New(fault.Denied, "agent_needed", "the context is a person's (%s); this takes an agent", a.Name).Try("use --context with an agent's account: attorn ctx ls")
	}
	ag, err := c.openAgent(ctx, a)
	return ag, a, err
}

// openAgent opens an account's agent, also one that is at home at another server.
func (c *cli) openAgent(ctx context.Context, a account) (*attorn.Agent, error) {
	p, err := c.partner(ctx, a)
	if err != nil {
		return nil, err
	}
	if p != nil {
		return attorn.Open(ctx, attorn.AgentConfig{Server: a.Server, Workspace: a.Workspace, Name: a.Name, Partner: p})
	}
	return attorn.Open(ctx, attorn.AgentConfig{Server: a.Server, Workspace: a.Workspace, ID: a.Agent, KeyFile: filepath.Join(c.home, a.KeyFile), Evidence: a.evidence()})
}

// everything reads a list page by page.
func everything[T any](read func(attorn.Page) (api.List[T], error)) (api.List[T], error) {
	return atMost(0, read)
}

// atMost reads a list page by page until it has so many; 0 is all.
func atMost[T any](most int, read func(attorn.Page) (api.List[T], error)) (api.List[T], error) {
	all := api.List[T]{Items: []T{}}
	p := attorn.Page{}
	for {
		p.Limit = 200
		if most > 0 {
			p.Limit = min(p.Limit, most-len(all.Items))
		}
		l, err := read(p)
		if err != nil {
			return all, err
		}
		all.Items = append(all.Items, l.Items...)
		if p.After = l.Next; p.After == "" || len(all.Items) == most {
			return all, nil
		}
	}
}

// sorted yields a map in the order of its keys.
func sorted[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
