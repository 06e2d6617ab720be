package guard

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// What is kept of apps' metadata, and how often it is asked for (oauth.md §2, §12).
const (
	maxApps    = 1000 // held in memory
	maxAsking  = 64   // asked for at once
	maxPerHost = 10   // requests to a host, in a minute
	askTime    = 8 * time.Second
)

// apps keeps what apps with an address say about themselves, for as long as they say; errors are not kept. One request at a time asks for an address, and who
// comes meanwhile gets its answer.
type apps struct {
	mu     sync.Mutex
	held   map[string]heldApp
	asking map[string]*asking
	hosts  *Limiter
}

type heldApp struct {
	app          clients.App
	asked, until time.Time
}

// asking is a request that is under way.
type asking struct {
	done chan struct{} // closed when app and err are there
	app  clients.App
	err  error
}

func (a *apps) init() {
	a.held, a.asking, a.hosts = map[string]heldApp{}, map[string]*asking{}, NewLimiter(maxPerHost, time.Minute)
}

// good reports whether what is held may be used. A clock that was set back is no reason to believe it for longer.
func (h heldApp) good(now time.Time) bool { return now.Before(h.until) && !now.Before(h.asked) }

// keep holds an app. Where room runs out, what is over goes, or else any one.
func (a *apps) keep(app clients.App, now time.Time, life time.Duration) {
	if len(a.held) >= maxApps {
		for k, h := range a.held {
			if !h.good(now) {
				delete(a.held, k)
			}
		}
	}
	for k := range a.held {
		if len(a.held) < maxApps {
			break
		}
		delete(a.held, k)
	}
	a.held[app.ID] = heldApp{app, now, now.Add(life)}
}

// App reads what an app says about itself: by the address that its client_id is, from memory or from there, or from its registration. Codes: client_unknown,
// client_invalid, too_many, overloaded.
func (g *Guard) App(ctx context.Context, clientID string) (clients.App, error) {
	if app, err := id.Parse[id.App](clientID); err == nil {
		return g.Clients.App(ctx, app, g.Now())
	}
	if !clients.IsApp(clientID) {
		return clients.App{}, clients.UnknownApp()
	}
	return g.appAt(ctx, clientID, 0)
}

// appAt is what is at an address, and if it was held for longer than after, unless that is 0, what is there now.
func (g *Guard) appAt(ctx context.Context, address string, after time.Duration) (clients.App, error) {
	if err := clients.CheckAddress(address, g.LocalApps); err != nil {
		return clients.App{}, err
	}
	now := g.Now()
	g.apps.mu.Lock()
	if h, ok := g.apps.held[address]; ok && h.good(now) && (after == 0 || now.Sub(h.asked) < after) {
		g.apps.mu.Unlock()
		return h.app, nil
	}
	ask, ok := g.apps.asking[address]
	if !ok {
		if len(g.apps.asking) >= maxAsking {
			g.apps.mu.Unlock()
			return clients.App{}, fault.New(fault.Unavailable, "overloaded", "the metadata of too many apps is being asked for").Try("try again in a few seconds")
		}
		ask = &asking{done: make(chan struct{})}
		g.apps.asking[address] = ask
		go g.askApp(context.WithoutCancel(ctx), address, ask) // whoever asked first may leave
	}
	g.apps.mu.Unlock()
	select {
	case <-ask.done:
		return ask.app, ask.err
	case <-ctx.Done():
		return clients.App{}, ctx.Err()
	}
}

// askApp answers one asking.
func (g *Guard) askApp(ctx context.Context, address string, ask *asking) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var life time.Duration
	ask.err = fault.New(fault.Unavailable, "overloaded", "the app's metadata could not be read") // where what follows panics
	defer func() {
		g.apps.mu.Lock()
		defer g.apps.mu.Unlock()
		if ask.err == nil {
			g.apps.keep(ask.app, g.Now(), min(max(life, minKeyAge), maxKeyAge))
		}
		delete(g.apps.asking, address)
		close(ask.done)
	}()
	ask.app, life, ask.err = g.fetchApp(ctx, address)
}

// fetchApp asks for an app's metadata, and for its keys where they are elsewhere.
func (g *Guard) fetchApp(ctx context.Context, address string) (clients.App, time.Duration, error) {
	raw, life, err := g.fetchFor(ctx, address, address)
	if err != nil {
		return clients.App{}, 0, err
	}
	app, err := clients.ParseDocument(address, raw)
	if err != nil || app.KeysAt == "" {
		return app, life, err
	}
	set, age, err := g.fetchFor(ctx, address, app.KeysAt)
	if err != nil {
		return clients.App{}, 0, err
	}
	app.Keys, err = clients.ReadKeys(set, true)
	return app, min(max(life, minKeyAge), max(age, minKeyAge)), err
}

// fetchFor gets a document of the app at an address. Requests are counted by host; those for an app that was good before by its own address, so that nobody keeps
// others out by asking its host for what is not there. Whatever is wrong with an address, a stranger is told one thing: the answer is no way to look into a
// network.
func (g *Guard) fetchFor(ctx context.Context, app, address string) ([]byte, time.Duration, error) {
	u, err := url.Parse(app)
	if err != nil {
		return nil, 0, err
	}
	counted := u.Hostname()
	g.apps.mu.Lock()
	if _, ok := g.apps.held[app]; ok {
		counted = app
	}
	g.apps.mu.Unlock()
	if wait := g.apps.hosts.Take(counted, g.Now()); wait > 0 {
		return nil, 0, TooMany(wait)
	}
	var raw []byte
	var age time.Duration
	if g.Fetch == nil {
		err = fault.New(fault.Unavailable, "fetch_refused", "this server asks for no documents")
	} else {
		raw, age, err = g.Fetch.Metadata(ctx, address)
	}
	if err != nil {
		return nil, 0, fault.Wrap(err, fault.Invalid, "client_unknown", "the app's metadata cannot be had from its client_id").
			Try("see that it is served at that very address: status 200, Content-Type application/json, at most %d bytes", clients.MaxMetadata)
	}
	return raw, age, nil
}

// ClientRule is what a workspace lets an app do: by the most particular of its rules, or where it has none, everything but tokens that are bound to no key.
func (g *Guard) ClientRule(ctx context.Context, ws id.Workspace, clientID string) (clients.Rule, error) {
	if !clients.IsApp(clientID) {
		return clients.Rule{Workspace: ws, Allow: true}, nil
	}
	return g.Clients.RuleOf(ctx, ws, clientID)
}

// ClientStands says whether a workspace lets an app go on: with tokens that are bound to a key, or with bearer ones. Codes: client_denied, bearer_not_allowed.
func (g *Guard) ClientStands(ctx context.Context, ws id.Workspace, clientID string, bearer bool) error {
	r, err := g.ClientRule(ctx, ws, clientID)
	if app, no := id.Parse[id.App](clientID); err == nil && no == nil {
		if _, err = g.Clients.App(ctx, app, g.Now()); fault.Code(err) == "client_unknown" {
			return fault.New(fault.Denied, "client_denied", "the app is not registered any more").Try("register it again")
		}
	}
	switch {
	case err != nil:
		return err
	case !r.Allow:
		return fault.New(fault.Denied, "client_denied", "the workspace does not allow this app").Try("have an administrator allow it: attorn client allow %s", clientID)
	case bearer && !r.Bearer:
		return fault.New(fault.Denied, "bearer_not_allowed", "the workspace gives this app no tokens that are bound to no key").
			Try("use DPoP (RFC 9449), or have an administrator allow it: attorn client allow --bearer %s", clientID)
	}
	return nil
}

// ofApp is the client_id of the app whose agent this is, "" where it is none's. An agent is an app's from its first moment, or never.
func (g *Guard) ofApp(ctx context.Context, ws id.Workspace, asOf int64, agent id.Agent) (string, error) {
	return recall(g.memory, ws, asOf, g.Now(), "app "+agent.String(), func() (string, fact, error) {
		a, err := g.Clients.AppOf(ctx, ws, agent)
		return a.Client, fact{rests: []string{}}, unless(err, "not_found")
	})
}

// appStands says of an agent that is an app's whether the workspace lets that app go on: what it signed, and what it lent, is worth no more than it is itself. Codes:
// client_denied.
func (g *Guard) appStands(ctx context.Context, ws id.Workspace, asOf int64, agent id.Agent) error {
	client, err := g.ofApp(ctx, ws, asOf, agent)
	if err != nil || client == "" {
		return err
	}
	return g.ClientStands(ctx, ws, client, false)
}

// noApp refuses an agent that is an app's as a client of its own: the app is the client, with its own proof and its own grants. Code: app_instance.
func (g *Guard) noApp(ctx context.Context, ws id.Workspace, agent id.Agent) error {
	asOf, err := g.memory.asOf(ctx, ws)
	if err != nil {
		return err
	}
	client, err := g.ofApp(ctx, ws, asOf, agent)
	if err == nil && client != "" {
		err = fault.New(fault.Denied, "app_instance", "the key is that of an app's tokens, and the app is the client: it redeems codes and refresh tokens").
			Try("send the app's client_id")
	}
	return err
}

// takesKeys refuses to give a key to an agent that is an app's: its keys are those that the app shows when it redeems what a person consented to. Code: app_instance.
func (g *Guard) takesKeys(ctx context.Context, ws id.Workspace, agent id.Agent) error {
	err := g.noApp(ctx, ws, agent)
	if fault.Code(err) == "app_instance" {
		err = fault.New(fault.Conflict, "app_instance", "the agent is an app's, and has the app's keys alone").Try("register an agent of its own: attorn agent create NAME")
	}
	return err
}

// ProvenApp is an app that a request was proved to come from, as far as that can be: one without keys has no secret, and only says who it is.
type ProvenApp struct {
	clients.App
	Once  []evidence.Nonce // of the assertion, for the grant's commit to spend; none without keys
	Raw   []byte           // the assertion
	Proof evidence.ProofRef
}

// ProveApp proves the app that a request is from: by a client assertion where its metadata has keys, and then always; else its client_id is all there is. A
// request that sends what the app's metadata does not say is refused (RFC 6749 §2.3). Nothing is spent yet. Codes: invalid_client, too_many.
func (g *Guard) ProveApp(ctx context.Context, p ClientProof) (ProvenApp, error) {
	if p.Assertion == "" {
		app, err := g.App(ctx, p.ClientID)
		if err != nil {
			return ProvenApp{}, unprovenApp(err)
		}
		if app.Proves {
			return ProvenApp{}, invalidClient(nil)
		}
		return ProvenApp{App: app}, nil
	}
	a, j, err := token.ParseAssertion(p.Assertion, g.Issuer, g.Now(), g.headers.Of(p.Assertion))
	if err != nil {
		return ProvenApp{}, invalidClient(err)
	}
	if p.ClientID != "" && p.ClientID != a.Subject {
		return ProvenApp{}, invalidClient(nil)
	}
	app, key, err := g.appKey(ctx, a.Subject, a.Kid)
	if err != nil {
		return ProvenApp{}, err
	}
	if err := j.Verify(key); err != nil {
		return ProvenApp{}, invalidClient(err)
	}
	return ProvenApp{
		App: app, Once: []evidence.Nonce{{Kind: "assertion", Key: a.Kid.String(), ID: id.Sum([]byte(a.JTI)), Expires: a.Expires.Add(skew)}},
		Raw: []byte(a.Raw), Proof: evidence.ProofRef{Type: "jws", SHA256: id.Sum([]byte(a.Raw))},
	}, nil
}

// appKey finds the app's key that an assertion names. A key that is not there has the metadata asked for again, at most once a minute: apps change their keys.
func (g *Guard) appKey(ctx context.Context, clientID string, kid id.Key) (clients.App, jose.PublicKey, error) {
	app, err := g.App(ctx, clientID)
	if err == nil && app.Proves {
		key, ok := app.Key(kid)
		if !ok && !app.DynamicallyRegistered {
			if app, err = g.appAt(ctx, clientID, refetch); err == nil {
				key, ok = app.Key(kid)
			}
		}
		if ok && app.Proves {
			return app, key, nil
		}
	}
	return clients.App{}, jose.PublicKey{}, unprovenApp(err)
}

// unprovenApp is invalidClient, but for one that was asked for too often: that is not what the client did wrong.
func unprovenApp(err error) error {
	if RetryAfter(err) > 0 {
		return err
	}
	return invalidClient(err)
}
