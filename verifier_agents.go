package attorn

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// How long an agent's key is believed to be live after the issuer said so, and how many are kept.
const (
	agentFresh = time.Minute
	maxAgents  = 16384
)

// agentKey is a key that a live instance of an agent signs with; zero where there is none.
type agentKey struct {
	key    jose.PublicKey
	caller *Caller // who signs with it, for nobody: shared by all such requests, never changed
	read   time.Time
}

// question is one that the issuer is being asked; whoever wants to know the same waits for its answer.
type question struct {
	forgot uint64
	done   chan struct{}
	is     agentKey
	err    error
}

// agentKeys are the keys that were asked for, those that nobody has too.
type agentKeys struct {
	url  string // of the issuer's directory
	http *http.Client

	mu        sync.Mutex
	known     map[id.Key]agentKey
	asked     map[id.Key]*question
	forgot    uint64 // how often anything was: an answer that was asked for before may be of before
	strangers strangers
}

// find gives the key with this thumbprint if a live instance signs with it, and no key otherwise. Codes: issuer_unreachable, overloaded.
func (k *agentKeys) find(ctx context.Context, kid id.Key, from string, now time.Time) (agentKey, error) {
	k.mu.Lock()
	found, ok := k.known[kid]
	if ok && now.Sub(found.read).Abs() < agentFresh {
		k.mu.Unlock()
		return found, nil
	}
	if q := k.asked[kid]; q != nil && q.forgot == k.forgot {
		k.mu.Unlock()
		select {
		case <-q.done:
			return q.is, q.err
		case <-ctx.Done():
			return agentKey{}, unreachableIssuer(k.url)
		}
	}
	if found.caller == nil && !k.strangers.may(from, now) { // however many strangers there are, those who were known are asked about
		k.mu.Unlock()
		return agentKey{}, fault.New(fault.Unavailable, "overloaded", "this service is asked by more keys that it does not know than it can look up").Try("try again in a few seconds")
	}
	q := &question{forgot: k.forgot, done: make(chan struct{})}
	if k.asked == nil {
		k.asked = map[id.Key]*question{}
	}
	k.asked[kid] = q
	k.mu.Unlock()
	defer close(q.done)
	found, q.err = k.ask(context.WithoutCancel(ctx), kid) // others wait for it, who are not gone when the first is
	found.read = now
	q.is = found
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked[kid] == q {
		delete(k.asked, kid)
	}
	if k.forgot != q.forgot || q.err != nil {
		return q.is, q.err
	}
	if len(k.known) >= maxAgents {
		maps.DeleteFunc(k.known, func(_ id.Key, is agentKey) bool { return is.caller == nil })
	}
	if len(k.known) >= maxAgents {
		clear(k.known)
	}
	k.known[kid] = found
	return found, nil
}

// ask reads the issuer's key directory for one key.
func (k *agentKeys) ask(ctx context.Context, kid id.Key) (agentKey, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	err := fetchDocument(ctx, k.http, k.url+"?keyid="+url.QueryEscape(kid.String()), &set)
	if fault.Code(err) == "not_found" {
		return agentKey{}, nil
	} else if err != nil {
		return agentKey{}, unreachableIssuer(k.url)
	}
	for _, raw := range set.Keys {
		key, err := jose.ParseJWK(raw)
		if err != nil || key.Thumbprint() != kid {
			continue
		}
		var of struct {
			Agent     id.Agent     `json:"agent"`
			Workspace id.Workspace `json:"ws"`
		}
		if err := jose.DecodeForeign(raw, &of, jose.Limits{}); err != nil || of.Agent.IsZero() {
			continue // a key of the issuer's own signs no requests
		}
		return agentKey{key: key, caller: &Caller{Workspace: of.Workspace, Agent: of.Agent, Instance: kid, Proofs: []string{"httpsig"}}}, nil
	}
	return agentKey{}, nil
}

// forget drops what was known of a key, or of all.
func (k *agentKeys) forget(kids ...id.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgot++
	for _, kid := range kids {
		delete(k.known, kid)
	}
	if len(kids) == 0 {
		clear(k.known)
	}
}

// forgetAgent drops what was known of an agent's keys.
func (k *agentKeys) forgetAgent(agent id.Agent) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgot++
	for kid, is := range k.known {
		if is.caller != nil && is.caller.Agent == agent {
			delete(k.known, kid)
		}
	}
}
