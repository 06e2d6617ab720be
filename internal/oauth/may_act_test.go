package oauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
)

// other is an agent beside the app.
type other struct {
	*flow
	agent  id.Agent
	signer jose.Signer
}

func (f *flow) other(name string) other {
	f.t.Helper()
	a, s := f.agent(name)
	return other{f, a, s}
}

// names is what an authorization request says, that the agent may act in the client's stead.
func (o other) names(more string) string {
	return fmt.Sprintf(`[{"type":"attorn_task","task":"T-1","delegate":%q%s}]`, o.agent, more)
}

// exchange asks for a token on the app's.
func (o other) exchange(n int, subject string, changes ...string) answer {
	v := url.Values{
		"grant_type": {grantExchange}, "subject_token": {subject}, "subject_token_type": {typeAccessToken}, "resource": {filesURL},
		"client_assertion_type": {assertionType}, "client_assertion": {o.assertion(o.signer, o.agent.String())},
	}
	for i := 0; i < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
	}
	return o.token(n, v, o.proof(o.signer, tokenPath))
}

// calls shows the agent's token at the MCP server.
func (o other) calls(a answer) error {
	own := *o.flow
	own.signer = o.signer
	return own.call(a)
}

// handed is a token of the app's that names the agent, and the agent's on it.
func (o other) handed(changes ...string) (app, agent answer) {
	o.t.Helper()
	app = o.good(o.redeem(o.code(o.query(append([]string{"authorization_details", o.names("")}, changes...)...))))
	agent = o.exchange(0, app.text("access_token"))
	if agent.status != 200 {
		o.t.Fatalf("%d %s", agent.status, agent.raw)
	}
	return app, agent
}

// TestMayAct: a token of the app's says who may act in its stead, as the person consented, and so does the next one; whom it names is lent to on it, in the
// person's name and below what the app was lent, and hands nothing on (RFC 8693 §4.4).
func TestMayAct(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		bot := f.other("deployer")
		first := f.good(f.redeem(f.code(f.query("authorization_details", bot.names(`,"max_uses":9`), "scope", "tool:files:read tool:files:write"))))
		c := f.claims(first)
		if c.MayAct != bot.agent || c.Act.Sub == bot.agent || c.Task != "T-1" {
			t.Fatalf("%+v", c)
		}
		f.pass(time.Minute)
		app := f.good(f.refresh(first.text("refresh_token"), "scope", "tool:files:read"))
		if d := f.claims(app); d.MayAct != bot.agent || d.Delegation != c.Delegation {
			t.Errorf("refreshed: %+v", d)
		}
		c = f.claims(app)
		f.pass(time.Minute)

		got := bot.exchange(0, app.text("access_token"))
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		d := f.claims(got)
		if d.Subject != f.user.String() || d.Act.Sub != bot.agent || d.Act.Act == nil || d.Act.Act.Sub != c.Act.Sub || d.Act.Act.Instance != c.JKT || d.Act.Act.Act != nil ||
			d.JKT != bot.signer.Public().Thumbprint() || !d.MayAct.IsZero() || d.Expires != c.Expires || d.Scope != "tool:files:read" || d.ClientID != bot.agent.String() || d.Task != "T-1" ||
			got.body["refresh_token"] != nil || got.body["delegation"] != nil {
			t.Errorf("%+v\n%s", d, got.raw)
		}
		f.ok(bot.calls(got))
		f.ok(f.call(app))

		chain, err := f.nodes[0].Lending.Chain(t.Context(), id.Default, d.Delegation)
		f.ok(err)
		if len(chain) != 2 || chain[0].ID != c.Delegation || chain[1].Link.Delegator.Attested.Token.ID != c.ID {
			t.Fatalf("%+v", chain)
		}
		f.ok(delegation.VerifyChain([]delegation.Link{chain[0].Link, chain[1].Link}, keysOf(t, f.serve(0, "GET", "/oauth/jwks", "", nil).raw)))
		st, at := chain[1].Link.Statement, chain[1].Link.Delegator.Attested
		if st.Delegator.User != f.user || st.MaxDepth != 0 || st.ExpiresAt != c.Expires || at.AuthTime != c.AuthTime || at.ACR != c.ACR || at.Token.JKT != c.JKT {
			t.Errorf("%+v %+v", st, at)
		}
		e := f.newest(evidence.TokenIssued)
		if e.What.Delegation != st.ID || e.What.Link != id.Sum([]byte(chain[1].Link.String())) || len(e.Who.Chain) != 3 || e.Who.Chain[1].Sub != c.Act.Sub.String() {
			t.Errorf("%s", e.Body)
		}

		again := bot.exchange(1, app.text("access_token"), "scope", "tool:files:read")
		if f.claims(again).Delegation != st.ID {
			t.Errorf("lent twice on one token: %s", again.raw)
		}
		refuses(t, bot.exchange(0, app.text("access_token"), "scope", "tool:files:write"), 400, "invalid_scope", "not_covered")
		refuses(t, bot.exchange(0, app.text("access_token"), "resource", flowIssuer+"/mcp/wiki"), 400, "invalid_scope", "not_covered")

		next := f.other("next")
		refuses(t, next.exchange(0, got.text("access_token")), 400, "invalid_grant", "not_lent") // nothing is handed on
		on := chain[1].Link.Statement
		digest, _ := on.Digest()
		on.ID, on.Parent, on.Delegate.Agent = id.New[id.Delegation](f.now()), &digest, next.agent
		on.Delegator = delegation.Delegator{Agent: bot.agent, Instance: d.JKT}
		signed, err := delegation.Sign(on, bot.signer)
		f.ok(err)
		raw, err := delegation.Encode(signed)
		f.ok(err)
		refuses(t, next.exchange(0, raw, "subject_token_type", typeDelegation), 400, "invalid_grant", "not_lent")

		// Uses are counted above, too.
		f.ok(spend(f, chain))
		if up, err := f.nodes[0].Lending.Get(t.Context(), id.Default, chain[0].ID); err != nil || up.Uses != 1 {
			t.Errorf("%d uses of what the app was lent: %v", up.Uses, err)
		}
	})
}

// spend uses a chain once.
func spend(f *flow, chain []lending.Delegation) error {
	var ids []id.Delegation
	for _, d := range chain {
		ids = append(ids, d.ID)
	}
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.ClientChanged, evidence.OK, evidence.ServerSub, "test"
	_, err := f.nodes[0].log.Record(f.t.Context(), d, func(tx *audit.Tx) error {
		_, _, err := f.nodes[0].Lending.Use(tx, id.Default, ids)
		return err
	})
	return err
}

// suspends stops the person, and lets them go on.
func (f *flow) suspends(resume bool) {
	f.t.Helper()
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.UserSuspended, evidence.OK, evidence.ServerSub, "test", &evidence.What{User: f.user}
	_, err := f.nodes[0].log.Record(f.t.Context(), d, func(tx *audit.Tx) error {
		if _, err := f.nodes[0].People.Suspend(tx, id.Default, f.user); err != nil || !resume {
			return err
		}
		return f.nodes[0].People.Resume(tx, id.Default, f.user)
	})
	f.ok(err)
}

// TestMayActRefused: nobody else than whom the token names is lent to on it, and not when it is over.
func TestMayActRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		bot, stranger := f.other("deployer"), f.other("stranger")
		app := f.good(f.redeem(f.code(f.query("authorization_details", bot.names("")))))
		raw := app.text("access_token")
		refuses(t, stranger.exchange(0, raw), 400, "invalid_grant", "not_lent")
		_, rival := f.agent("rival") // a key of somebody else's, that says it is the agent's
		refuses(t, other{f, bot.agent, rival}.exchange(0, raw), 401, "invalid_client", "")
		if got := f.serve(0, "POST", tokenPath, url.Values{
			"grant_type": {grantExchange}, "subject_token": {raw}, "subject_token_type": {typeAccessToken}, "resource": {filesURL}, "client_id": {f.app},
		}.Encode(), http.Header{"Dpop": {f.proof(f.signer, tokenPath)}}); got.status/100 != 4 {
			t.Errorf("the app itself: %d %s", got.status, got.raw)
		}
		v := url.Values{"client_assertion_type": {assertionType}, "client_assertion": {f.assertion(bot.signer, bot.agent.String())}}
		v.Set("grant_type", grantExchange)
		v.Set("subject_token", raw)
		v.Set("subject_token_type", typeAccessToken)
		proof := f.proof(bot.signer, tokenPath)
		v.Set("resource", filesURL)
		if got := f.token(0, v, proof); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		if got := f.token(1, v, proof); got.status/100 != 4 {
			t.Errorf("replayed: %d %s", got.status, got.raw)
		}

		plain := f.good(f.redeem(f.code(f.query())))
		if !f.claims(plain).MayAct.IsZero() {
			t.Error("a token that nobody was asked about names somebody")
		}
		refuses(t, bot.exchange(0, plain.text("access_token")), 400, "invalid_grant", "not_lent")

		handle := f.asks(f.query("authorization_details", bot.names("")))
		x, err := f.nodes[0].Consent(t.Context(), f.priya, handle)
		f.ok(err)
		if len(x.Keys) != 1 || x.Keys[0] != bot.signer.Public().Thumbprint() {
			t.Errorf("%v", x.Keys)
		}
		resume, err := f.nodes[0].GiveConsentAttested(t.Context(), f.priya, handle, guard.ConsentChoice{Keep: []int{0}})
		f.ok(err)
		to, err := url.Parse(f.resume(0, resume, f.cookie).header.Get("Location"))
		f.ok(err)
		struck := f.good(f.redeem(to.Query().Get("code")))
		if !f.claims(struck).MayAct.IsZero() {
			t.Error("struck out, and named")
		}
		refuses(t, bot.exchange(0, struck.text("access_token")), 400, "invalid_grant", "not_lent")
		if got := f.claims(f.good(f.refresh(struck.text("refresh_token")))); !got.MayAct.IsZero() {
			t.Error("struck out, and named by the next one")
		}

		late := f.good(f.redeem(f.code(f.query("authorization_details", bot.names("")))))
		f.pass(time.Duration(f.claims(late).Expires-f.now().Unix()) * time.Second)
		refuses(t, bot.exchange(0, late.text("access_token")), 400, "invalid_grant", "expired") // within the leeway of clocks
	})
}

// TestMayActNamed: who is named is another agent of the workspace that can act; and a token without a key names nobody.
func TestMayActNamed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		bot, gone := f.other("deployer"), f.other("gone")
		_, _, _, err := f.nodes[0].EndAgent(t.Context(), f.priya, gone.agent, "revoke", "")
		f.ok(err)
		app := f.claims(f.good(f.redeem(f.code(f.query()))))
		elsewhere := other{f, id.New[id.Agent](f.now()), nil}
		for name, o := range map[string]other{"revoked": gone, "of no workspace of this": elsewhere, "an app's": {f, app.Act.Sub, nil}} {
			got := f.serve(0, "GET", "/oauth/authorize?"+f.query("authorization_details", o.names("")).Encode(), "", nil)
			to, err := url.Parse(got.header.Get("Location"))
			f.ok(err)
			if got.status != 303 || to.Query().Get("error") != "invalid_authorization_details" {
				t.Errorf("%s: %d %v", name, got.status, got.header)
			}
		}
		handle := f.asks(f.query("authorization_details", bot.names("")))
		_, _, _, err = f.nodes[0].EndAgent(t.Context(), f.priya, bot.agent, "suspend", "")
		f.ok(err)
		if _, err := f.nodes[0].GiveConsentAttested(t.Context(), f.priya, handle, guard.ConsentChoice{Keep: []int{0}, MayAct: true}); err == nil {
			t.Error("who cannot act any more was named")
		}
		_, _, _, err = f.nodes[0].EndAgent(t.Context(), f.priya, bot.agent, "resume", "")
		f.ok(err)

		f.bearer(true)
		got := f.token(0, f.redeem(f.code(f.query("authorization_details", bot.names("")))), "")
		if got.status != 200 || got.text("token_type") != "Bearer" {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		if !f.claims(got).MayAct.IsZero() {
			t.Error("a token without a key names somebody")
		}
		refuses(t, bot.exchange(0, got.text("access_token")), 400, "invalid_grant", "not_lent")
	})
}

// TestMayActEnds: whatever ends the token that something was lent on, ends that: at once, and for good.
func TestMayActEnds(t *testing.T) {
	revoke := func(f *flow, raw string) {
		t := f.t
		form := url.Values{"token": {raw}, "client_id": {f.app}}
		if got := f.serve(0, "POST", "/oauth/revoke", form.Encode(), http.Header{"Dpop": {f.proof(f.signer, "/oauth/revoke")}}); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.raw)
		}
	}
	end := func(f *flow, agent id.Agent, verbs ...string) {
		for _, verb := range verbs {
			_, _, _, err := f.nodes[0].EndAgent(t.Context(), f.priya, agent, verb, "")
			f.ok(err)
		}
	}
	for _, c := range []struct {
		name string
		gone bool // what was lent on it is revoked, and does not stand still alone
		by   func(f *flow, app answer, bot other)
	}{
		{"delegation revoked", true, func(f *flow, app answer, _ other) {
			_, _, err := f.nodes[0].Revoke(t.Context(), f.priya, f.claims(app).Delegation, "")
			f.ok(err)
		}},
		{"itself revoked", true, func(f *flow, app answer, bot other) {
			st := f.claims(app).SteadID(app.text("access_token"))
			_, _, err := f.nodes[0].Revoke(t.Context(), f.priya, st, "")
			f.ok(err)
		}},
		{"refresh token used twice", true, func(f *flow, app answer, _ other) {
			f.good(f.refresh(app.text("refresh_token")))
			f.pass(11 * time.Second)
			refuses(t, f.bound(f.refresh(app.text("refresh_token"))), 400, "invalid_grant", "spent")
		}},
		{"refresh token revoked", true, func(f *flow, app answer, _ other) { revoke(f, app.text("refresh_token")) }},
		{"token revoked", true, func(f *flow, app answer, _ other) { revoke(f, app.text("access_token")) }},
		{"killed", true, func(f *flow, app answer, _ other) {
			_, err := f.nodes[0].Kill(t.Context(), f.priya, guard.Order{Kind: "agent", ID: f.claims(app).Act.Sub.String(), Revoke: true})
			f.ok(err)
		}},
		{"app's key killed", true, func(f *flow, app answer, _ other) {
			_, err := f.nodes[0].Kill(t.Context(), f.priya, guard.Order{Kind: "instance", ID: f.claims(app).JKT.String(), Revoke: true})
			f.ok(err)
		}},
		{"app suspended", false, func(f *flow, app answer, _ other) { end(f, f.claims(app).Act.Sub, "suspend") }},
		{"app suspended and resumed", false, func(f *flow, app answer, _ other) { end(f, f.claims(app).Act.Sub, "suspend", "resume") }},
		{"app denied", false, func(f *flow, _ answer, _ other) { f.deny() }},
		{"narrowed", true, func(f *flow, app answer, _ other) {
			old, err := f.nodes[0].Lending.Get(t.Context(), id.Default, f.claims(app).Delegation)
			f.ok(err)
			st := old.Link.Statement
			st.ID, st.MayAct = id.New[id.Delegation](f.now()), id.Agent{}
			key, err := f.nodes[0].Ring.Current(t.Context(), keyring.ForTokens)
			f.ok(err)
			d := evidence.Draft{Workspace: id.Default}
			d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.DelegationReplaced, evidence.OK, f.user.String(), "test", &evidence.What{Delegation: st.ID, Replaces: old.ID}
			_, err = f.nodes[0].log.Record(t.Context(), d, func(tx *audit.Tx) error {
				link, err := delegation.Countersign(delegation.Signed{Statement: st, Signature: old.Link.Signature}, old.Link.Delegator, tx.Now(), tx.Event().Rev, key.Signer())
				if err == nil {
					_, err = f.nodes[0].Lending.Replace(tx, id.Default, old.ID, link, f.user.String())
				}
				return err
			})
			f.ok(err)
			if next := f.claims(f.good(f.refresh(app.text("refresh_token")))); !next.MayAct.IsZero() || next.Delegation != st.ID {
				t.Errorf("narrowed, and the next token names somebody: %+v", next)
			}
		}},
		{"person suspended", false, func(f *flow, _ answer, _ other) { f.suspends(false) }},
		{"person suspended and resumed", false, func(f *flow, _ answer, _ other) { f.suspends(true) }},
		{"agent suspended", false, func(f *flow, _ answer, bot other) { end(f, bot.agent, "suspend") }},
		{"workspace halted and resumed", false, func(f *flow, _ answer, _ other) {
			for _, verb := range []string{"suspend", "resume"} {
				_, err := f.nodes[0].EndAll(t.Context(), f.priya, verb, "")
				f.ok(err)
			}
		}},
		{"expired", false, func(f *flow, app answer, _ other) {
			f.pass(time.Duration(f.claims(app).Expires-f.now().Unix()) * time.Second)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, dsn string) {
				f := startFlow(t, dsn)
				bot := f.other("deployer")
				app, got := bot.handed()
				link, err := f.nodes[0].Lending.Get(t.Context(), id.Default, f.claims(got).Delegation)
				f.ok(err)
				f.ok(bot.calls(got))
				if again := bot.exchange(0, link.Link.String(), "subject_token_type", typeDelegation); again.status != 200 { // what it rests on is remembered now
					t.Fatalf("%d %s", again.status, again.raw)
				}
				f.pass(time.Second)
				c.by(f, app, bot)
				f.pass(2 * time.Second)
				if err := bot.calls(got); err == nil {
					t.Error("its token goes on")
				}
				if again := bot.exchange(0, app.text("access_token")); again.status == 200 {
					t.Errorf("exchanged again: %s", again.raw)
				}
				if again := bot.exchange(1, link.Link.String(), "subject_token_type", typeDelegation); again.status == 200 {
					t.Errorf("what was lent goes on: %s", again.raw)
				}
				after, err := f.nodes[0].Lending.Get(t.Context(), id.Default, link.ID)
				f.ok(err)
				if (after.Status == lending.Revoked) != c.gone {
					t.Errorf("%s", after.Status)
				}
			})
		})
	}
}

// TestMayActOnce: however many ask at once, on however many nodes, one token lends once.
func TestMayActOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		bot := f.other("deployer")
		app := f.good(f.redeem(f.code(f.query("authorization_details", bot.names("")))))
		var wg sync.WaitGroup
		var mu sync.Mutex
		lent := map[id.Delegation]int{}
		for n := range 64 {
			wg.Go(func() {
				got := bot.exchange(n, app.text("access_token"))
				if got.status == 429 {
					return
				}
				if got.status != 200 {
					t.Errorf("%d %s", got.status, got.raw)
					return
				}
				c := f.claims(got)
				mu.Lock()
				defer mu.Unlock()
				lent[c.Delegation]++
			})
		}
		wg.Wait()
		all, err := f.nodes[0].Lending.List(t.Context(), id.Default, lending.Query{Parent: f.claims(app).Delegation, Limit: 200})
		f.ok(err)
		if len(all) != 1 || len(lent) != 1 || lent[all[0].ID] == 0 {
			t.Errorf("%d delegations, %v", len(all), lent)
		}
	})
}

// TestMayActOfAgent: an agent that is a client of its own hands its tokens on as an app does, also those that it gets by the delegation; the end of one ends what
// was lent on it, and nothing else. Its own token, without anybody, names nobody.
func TestMayActOfAgent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		lead, bot := f.other("lead"), f.other("deployer")
		q := f.query("client_id", lead.agent.String(), "redirect_uri", "https://bot.example/cb", "client_assertion_type", assertionType,
			"client_assertion", f.assertion(lead.signer, lead.agent.String()), "authorization_details", bot.names(""))
		uri := f.serve(0, "POST", "/oauth/par", q.Encode(), nil).text("request_uri")
		to, err := url.Parse(f.resume(0, f.consents(f.asks(url.Values{"client_id": {lead.agent.String()}, "request_uri": {uri}})), f.cookie).header.Get("Location"))
		f.ok(err)
		first := f.token(0, f.redeem(to.Query().Get("code"), "client_id", lead.agent.String(), "redirect_uri", "https://bot.example/cb", "client_assertion_type", assertionType,
			"client_assertion", f.assertion(lead.signer, lead.agent.String())), f.proof(lead.signer, tokenPath))
		if first.status != 200 || f.claims(first).MayAct != bot.agent {
			t.Fatalf("%d %s", first.status, first.raw)
		}
		second := lead.exchange(0, first.text("delegation"), "subject_token_type", typeDelegation)
		if second.status != 200 || f.claims(second).MayAct != bot.agent {
			t.Fatalf("%d %s", second.status, second.raw)
		}
		one, two := bot.exchange(0, first.text("access_token")), bot.exchange(0, second.text("access_token"))
		if one.status != 200 || two.status != 200 || f.claims(one).Delegation == f.claims(two).Delegation {
			t.Fatalf("%s\n%s", one.raw, two.raw)
		}
		if c := f.claims(two); c.Act.Act.Sub != lead.agent || c.Subject != f.user.String() {
			t.Errorf("%+v", c)
		}
		form := url.Values{"token": {first.text("access_token")}, "client_assertion_type": {assertionType}, "client_assertion": {f.assertion(lead.signer, lead.agent.String())}}
		if got := f.serve(0, "POST", "/oauth/revoke", form.Encode(), nil); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		if f.live(f.claims(one).Delegation) || bot.calls(one) == nil {
			t.Error("the token was revoked, and what was lent on it goes on")
		}
		if e := f.newest(evidence.DelegationRevoked); e.What.Delegation != f.claims(one).Delegation || e.Rev != f.newest(evidence.TokenRevoked).Rev-1 {
			t.Errorf("%s", e.Body)
		}
		f.ok(bot.calls(two))
		if got := bot.exchange(0, first.text("access_token")); got.status == 200 {
			t.Errorf("revoked, and exchanged: %s", got.raw)
		}
		alone := f.token(0, url.Values{"grant_type": {"client_credentials"}, "resource": {filesURL}, "client_assertion_type": {assertionType}, "client_assertion": {f.assertion(lead.signer, lead.agent.String())}},
			f.proof(lead.signer, tokenPath))
		if alone.status != 200 || !f.claims(alone).MayAct.IsZero() {
			t.Fatalf("%d %s", alone.status, alone.raw)
		}
		refuses(t, bot.exchange(0, alone.text("access_token")), 400, "invalid_grant", "not_lent")
	})
}
