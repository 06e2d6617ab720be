package oauth_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/token"
)

func TestClientCredentials(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")

	got := bot.issued("grant_type", "client_credentials", "resource", resource, "scope", "repo:acme:read repo:acme:issues:*")
	c := w.claims(got)
	if c.Subject != bot.sub || c.Act != nil || !c.Delegation.IsZero() || c.ClientID != bot.sub || c.Audience != resource || c.Workspace != id.Default {
		t.Errorf("%+v", c)
	}
	if c.JKT != bot.signer.Public().Thumbprint() || c.Scope != "repo:acme:read repo:acme:issues:*" || c.Expires-c.IssuedAt != 300 {
		t.Errorf("%+v", c)
	}
	if got.text("token_type") != "DPoP" || got.body["expires_in"] != 300.0 || got.text("scope") != c.Scope || got.body["issued_token_type"] != nil {
		t.Errorf("%s", got.raw)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
		"Access-Control-Allow-Origin": "*",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
	if got.header.Get("DPoP-Nonce") == "" || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
		t.Error("no nonce for the next request")
	}

	if c := w.claims(bot.issued("grant_type", "client_credentials")); c.Audience != w.URL+"/api" || c.Scope != "attorn:*" {
		t.Errorf("without a resource: %+v", c)
	}
	if c := w.claims(bot.issued("grant_type", "client_credentials", "scope", "", "resource", "")); c.Audience != w.URL+"/api" {
		t.Errorf("what is empty is not absent: %+v", c)
	}
	if c := w.claims(bot.issued("grant_type", "client_credentials", "client_id", bot.sub, "unknown", "x")); c.Subject != bot.sub {
		t.Errorf("with client_id and an unknown parameter: %+v", c)
	}
}

func TestAlgorithmNames(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		form := bot.with("grant_type", "client_credentials")
		form.Set("client_assertion", renamed(t, bot.signer, form.Get("client_assertion"), alg))
		if got := w.post("/oauth/token", form, renamed(t, bot.signer, bot.proof("/oauth/token", w.nonce()), alg)); got.status != 200 {
			t.Errorf("%s: %d %s", alg, got.status, got.raw)
		}
	}
}

func TestPersonsOwnKey(t *testing.T) {
	w := start(t, "")
	got := w.priya.personAsk()
	c := w.claims(got)
	if c.Subject != w.priya.sub || c.Session != w.priya.signer.Public().Thumbprint().String() || c.Act != nil || !c.Delegation.IsZero() || c.Audience != w.URL+"/api" {
		t.Errorf("%+v", c)
	}
	if got := w.priya.personAsk("workspace", "default", "client_id", w.priya.sub, "scope", "attorn:agent:read"); got.text("scope") != "attorn:agent:read" {
		t.Errorf("%d %s", got.status, got.raw)
	}
}

// A chain of three: the person stays in sub, and the agents nest in act, the current one outermost (RFC 8693 §4.1).
func TestExchangeOverThreeHops(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		w := start(t, dsn)
		bot, deployer, canary := w.agentNamed("release-bot"), w.agentNamed("deployer"), w.agentNamed("canary")
		root := w.priya.lend(bot, terms{depth: 3}, bare("repo:acme:*")...)
		middle := bot.lend(deployer, terms{under: root, depth: 1}, bare("repo:acme:read", "repo:acme:write")...)
		narrow := delegation.Permission{Permission: "repo:acme:write", Where: whereEquals(t, "branch", "main")}
		leaf := deployer.sign(deployer.statement(canary, terms{under: middle, edit: func(st *delegation.Statement) { st.Task = "task-7" }}, narrow))

		for _, hop := range []struct {
			who    *party
			got    answer
			agents []*party
			scope  string
		}{
			{bot, bot.under(root), []*party{bot}, "repo:acme:*"},
			{deployer, deployer.under(middle), []*party{deployer, bot}, "repo:acme:read repo:acme:write"},
			{canary, canary.exchange(leaf, typeDelegation, "resource", resource), []*party{canary, deployer, bot}, ""},
			{canary, canary.exchange(leaf, typeDelegation, "resource", resource), []*party{canary, deployer, bot}, ""}, // now it is recorded
		} {
			if hop.got.status != 200 || hop.got.text("issued_token_type") != typeAccessToken {
				t.Fatalf("%d %s", hop.got.status, hop.got.raw)
			}
			c := w.claims(hop.got)
			var want []token.Actor
			for _, a := range hop.agents {
				want = append(want, token.Actor{Sub: a.agent, Instance: a.signer.Public().Thumbprint()})
			}
			var have []token.Actor
			for _, a := range c.Actors() {
				have = append(have, token.Actor{Sub: a.Sub, Instance: a.Instance})
			}
			if c.Subject != w.priya.sub || !slices.Equal(have, want) || c.ClientID != hop.who.sub || c.Scope != hop.scope || hop.got.text("scope") != hop.scope {
				t.Errorf("%s: %+v, actors %v, want %v", hop.who.sub, c, have, want)
			}
			if hop.who == canary && (c.Task != "task-7" || len(c.Details) != 1 || c.Details[0].Permission != "repo:acme:write" || c.Details[0].Where["branch"].Equals == nil) {
				t.Errorf("the constraint is lost: %+v", c)
			}
		}
	})
}

// With the lender's access token instead of the delegation.
func TestExchangeOfAnAccessToken(t *testing.T) {
	w := start(t, "")
	bot, deployer := w.agentNamed("release-bot"), w.agentNamed("deployer")
	root := w.priya.lend(bot, terms{depth: 1}, bare("repo:acme:*")...)
	botToken := bot.under(root).text("access_token")
	asDeployer := func(fields ...string) answer {
		return deployer.exchange(botToken, typeAccessToken, append([]string{"resource", resource}, fields...)...)
	}

	refuses(t, asDeployer(), 400, "invalid_grant", "not_lent")
	first := bot.lend(deployer, terms{under: root}, bare("repo:acme:*")...)
	if c := w.claims(asDeployer()); c.Subject != w.priya.sub || c.Delegation != first.Statement.ID || len(c.Actors()) != 2 {
		t.Errorf("%+v", c)
	}
	narrow := bot.exchange(root.String(), typeDelegation, "resource", resource, "scope", "repo:acme:read").text("access_token")
	if got := deployer.exchange(narrow, typeAccessToken, "resource", resource); got.text("scope") != "repo:acme:read" {
		t.Errorf("the exchange gives more than its subject token: %s", got.raw)
	}
	refuses(t, deployer.exchange(narrow, typeAccessToken, "resource", resource, "scope", "repo:acme:write"), 400, "invalid_scope", "not_covered")
	bot.lend(deployer, terms{under: root}, bare("repo:acme:read")...)
	refuses(t, asDeployer(), 400, "invalid_request", "ambiguous_delegation")
	refuses(t, bot.exchange(botToken, typeAccessToken, "resource", resource), 400, "invalid_grant", "not_lent")
	refuses(t, deployer.exchange(w.priya.personAsk().text("access_token"), typeAccessToken), 400, "invalid_grant", "not_lent")
	w.pass(6 * time.Minute)
	refuses(t, asDeployer(), 400, "invalid_grant", "expired")
}

// A token never outlives what it rests on.
func TestTokenEndsWithTheDelegation(t *testing.T) {
	w := start(t, "")
	bot, deployer := w.agentNamed("release-bot"), w.agentNamed("deployer")
	root := w.priya.lend(bot, terms{depth: 1, ttl: 2 * time.Minute}, bare("repo:acme:*")...)
	leaf := bot.lend(deployer, terms{under: root, ttl: time.Hour}, bare("repo:acme:*")...)
	got := deployer.under(leaf)
	if c := w.claims(got); c.Expires != root.Statement.ExpiresAt || got.body["expires_in"].(float64) > 120 {
		t.Errorf("the token ends %d, the root %d: %s", c.Expires, root.Statement.ExpiresAt, got.raw)
	}
}

func TestAuthorizationDetails(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	root := w.priya.lend(bot, terms{}, bare("repo:acme:*")...)
	ask := func(fields ...string) answer {
		return bot.exchange(root.String(), typeDelegation, append([]string{"resource", resource}, fields...)...)
	}
	const one = `[{"type":"attorn_permission","permission":"repo:acme:write","where":{"branch":{"prefix":"feature/"}},"locations":["` + resource + `"]}]`
	c := w.claims(ask("authorization_details", one, "scope", "repo:acme:read"))
	if c.Scope != "repo:acme:read" || len(c.Details) != 1 || *c.Details[0].Where["branch"].Prefix != "feature/" {
		t.Errorf("%+v", c)
	}
	for name, text := range map[string]string{
		"not an array":   `{"type":"attorn_permission","permission":"repo:acme:write"}`,
		"another type":   `[{"type":"payment","permission":"repo:acme:write"}]`,
		"unknown member": `[{"type":"attorn_permission","permission":"repo:acme:write","actions":["x"]}]`,
		"member twice":   `[{"type":"attorn_permission","permission":"repo:acme:write","permission":"repo:acme:read"}]`,
		"other case":     `[{"TYPE":"attorn_permission","permission":"repo:acme:write"}]`,
		"no permission":  `[{"type":"attorn_permission"}]`,
		"bad permission": `[{"type":"attorn_permission","permission":"repo:**"}]`,
		"bad constraint": `[{"type":"attorn_permission","permission":"repo:acme:write","where":{"branch":{}}}]`,
		"other location": `[{"type":"attorn_permission","permission":"repo:acme:write","locations":["` + otherResource + `"]}]`,
		"trailing":       `[] []`,
		"not JSON":       `[`,
		"float":          `[{"type":"attorn_permission","permission":"repo:acme:write","where":{"n":{"max":1.5}}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, ask("authorization_details", text), 400, "invalid_authorization_details", "malformed")
		})
	}
	refuses(t, ask("authorization_details", `["`+strings.Repeat("x", 4<<10)+`"]`), 413, "invalid_request", "too_large")
	refuses(t, ask("authorization_details", one, "scope", "repo:acme:*"), 400, "invalid_authorization_details", "malformed")
	wide := `[{"type":"attorn_permission","permission":"repo:other:write"}]`
	refuses(t, ask("authorization_details", wide), 400, "invalid_authorization_details", "not_covered")
}

// NonceFirst: a challenge burns nothing, so that the retry may be the same request with a new proof.
func TestNonceFirst(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	form := bot.with("grant_type", "client_credentials")
	for name, nonce := range map[string]string{"none": "", "forged": strings.Repeat("A", 32)} {
		got := w.post("/oauth/token", form, bot.proof("/oauth/token", nonce))
		refuses(t, got, 400, "use_dpop_nonce", "")
		if got.header.Get("DPoP-Nonce") == "" {
			t.Errorf("%s: no nonce to go on with", name)
		}
	}
	old := w.nonce()
	w.pass(5 * time.Minute)
	form = bot.with("grant_type", "client_credentials")
	got := w.post("/oauth/token", form, bot.proof("/oauth/token", old))
	refuses(t, got, 400, "use_dpop_nonce", "")
	if n, e := w.refused(); n != 0 {
		t.Errorf("a challenge is in the log: %+v", e)
	}
	if got := w.post("/oauth/token", form, bot.proof("/oauth/token", got.header.Get("DPoP-Nonce"))); got.status != 200 {
		t.Errorf("the retry: %d %s", got.status, got.raw)
	}
	last := w.nonce()
	w.pass(2 * time.Minute) // one window on
	if got := w.post("/oauth/token", bot.with("grant_type", "client_credentials"), bot.proof("/oauth/token", last)); got.status != 200 {
		t.Errorf("with the nonce of the last window: %d %s", got.status, got.raw)
	}
}

func whereEquals(t testing.TB, path, value string) map[string]delegation.Constraint {
	t.Helper()
	var c map[string]delegation.Constraint
	if err := unmarshal(`{"`+path+`":{"equals":"`+value+`"}}`, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// refuses demands an error answer in its one form.
func refuses(t testing.TB, got answer, status int, name, reason string) {
	t.Helper()
	if got.status != status || got.text("error") != name || got.text("reason") != reason {
		t.Errorf("got %d %s, want %d %s %s", got.status, got.raw, status, name, reason)
	}
	if got.text("error_description") == "" || got.text("remedy") == "" {
		t.Errorf("the refusal does not say what failed, or what mends it: %s", got.raw)
	}
	for member := range got.body {
		if !slices.Contains([]string{"error", "error_description", "error_uri", "reason", "remedy", "event"}, member) {
			t.Errorf("the refusal has %s: %s", member, got.raw)
		}
	}
	if uri := got.text("error_uri"); !strings.Contains(uri, "/docs/errors/"+name) && status != 500 {
		t.Errorf("error_uri is %q", uri)
	}
	if strings.ContainsFunc(got.text("error_description"), func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		t.Errorf("error_description has characters that RFC 6749 §5.2 does not allow: %s", got.raw)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", got.header)
	}
	if (status == 401) != (got.header.Get("WWW-Authenticate") != "") {
		t.Errorf("WWW-Authenticate %q with status %d", got.header.Get("WWW-Authenticate"), status)
	}
}

// A statement that was lent at the exchange is as well documented as any other: what is done under it can be proved from the log.
func TestLentAtExchangeIsKept(t *testing.T) {
	w := start(t, "")
	bot, deployer := w.agentNamed("release-bot"), w.agentNamed("deployer")
	root := w.priya.lend(bot, terms{depth: 1}, bare("attorn:agent:create")...)
	st := bot.sign(bot.statement(deployer, terms{under: root}, bare("attorn:agent:create")...))
	access := deployer.exchange(st, typeDelegation).text("access_token")
	deployer.json("POST", "/v1/agents", api.NewAgent{Name: "made-by-deployer"}, deployer.prove("POST", "/v1/agents", "", access), access)

	var list api.List[api.Event]
	w.priya.api("GET", "/v1/events?limit=1&agent="+deployer.sub, nil, &list)
	e, err := evidence.ParseEvent(list.Items[0].Body)
	w.ok(err)
	if len(e.Who.Chain) != 3 {
		t.Fatalf("the newest event is %s", list.Items[0].Body)
	}
	path := "/v1/events/" + e.ID.String() + "/pack"
	got := w.priya.json("GET", path, nil, w.priya.prove("GET", path, "", w.priya.access), w.priya.access)
	pack, err := evidence.ReadPack(got.raw)
	w.ok(err)
	for _, hop := range e.Who.Chain[1:] {
		if !slices.ContainsFunc(pack.Content, func(c evidence.Content) bool { return c.Digest == hop.Link }) {
			t.Errorf("the pack lacks the link to %s", hop.Sub)
		}
	}
}
