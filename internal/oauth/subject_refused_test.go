package oauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// The subject token, and everybody on its chain.
func TestSubjectRefused(t *testing.T) {
	w := start(t, "")
	maya := w.invite("Maya Chen")
	bot, deployer, canary := w.agentNamed("release-bot"), w.agentNamed("deployer"), w.agentNamed("canary")
	second := &party{world: w, signer: w.instance(canary), sub: canary.sub, agent: canary.agent}
	root := w.priya.lend(bot, terms{depth: 2, ttl: 48 * time.Hour}, bare("repo:acme:*")...)
	middle := bot.lend(deployer, terms{under: root, depth: 1, ttl: 48 * time.Hour}, bare("repo:acme:read", "repo:acme:write")...)
	flat := w.priya.lend(bot, terms{ttl: 48 * time.Hour}, bare("repo:acme:*")...)

	exchange := func(p *party, subject, kind string) func() answer {
		return func() answer { return p.exchange(subject, kind, "resource", resource) }
	}
	delegated := func(p *party, subject string) func() answer { return exchange(p, subject, typeDelegation) }
	// handed is a statement that deployer signs for canary, edited.
	handed := func(edit func(*delegation.Statement)) func() answer {
		return func() answer {
			return canary.exchange(deployer.sign(deployer.statement(canary, terms{under: middle, edit: edit}, bare("repo:acme:read")...)), typeDelegation, "resource", resource)
		}
	}
	bad := func(name string, do func() answer, reason, event string) refusalCase {
		return refusalCase{name, do, 400, "invalid_grant", reason, event}
	}
	form := func(name string, fields ...string) refusalCase {
		return refusalCase{name, func() answer { return bot.ask(append([]string{"grant_type", grantExchange}, fields...)...) }, 400, "invalid_request", "malformed", ""}
	}
	two := []string{"subject_token", root.String(), "subject_token_type", typeDelegation}
	refuseEach(t, w, []refusalCase{
		form("no subject token", two[2:]...), form("no type", two[:2]...),
		form("other type", "subject_token", root.String(), "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
		form("refresh token asked for", append(two, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")...),
		form("actor token without its type", append(two, "actor_token", "x")...),
		form("actor token of another type", append(two, "actor_token", root.String(), "actor_token_type", typeDelegation)...),
		{"no actor token", func() answer {
			return bot.exchange(root.String(), typeDelegation, "actor_token", "x", "actor_token_type", typeAccessToken)
		}, 400, "invalid_request", "malformed", "token_malformed"},
		form("actor token type alone", append(two, "actor_token_type", typeAccessToken)...),
		{"audience", func() answer { return bot.exchange(root.String(), typeDelegation, "audience", resource) }, 400, "invalid_target", "unknown_resource", ""},
		{"not a JWS", delegated(bot, "x"), 400, "invalid_request", "malformed", "malformed"},
		{"as an access token", exchange(bot, root.String(), typeAccessToken), 400, "invalid_request", "malformed", "token_malformed"},
		{"long", delegated(bot, strings.Repeat("a", 17<<10)), 413, "invalid_request", "too_large", "too_large"},

		bad("for another agent", delegated(deployer, root.String()), "not_lent", "not_lent"),
		bad("by nobody here", handed(func(st *delegation.Statement) { d := id.Sum([]byte("x")); st.Parent = &d }), "not_lent", "not_lent"),
		bad("of another server", handed(func(st *delegation.Statement) { st.Issuer = "https://other.example" }), "not_lent", "not_lent"),
		bad("of another workspace", handed(func(st *delegation.Statement) { st.Workspace = workspace(t, "other") }), "not_lent", "not_lent"),
		bad("for another instance", handed(func(st *delegation.Statement) { st.Delegate.Instance = second.signer.Public().Thumbprint() }), "not_lent", "not_lent"),
		bad("wider permissions", handed(func(st *delegation.Statement) { st.Permissions = bare("repo:acme:*") }), "not_lent", "widens"),
		bad("longer", handed(func(st *delegation.Statement) { st.ExpiresAt = root.Statement.ExpiresAt + 1 }), "not_lent", "widens"),
		bad("deeper", handed(func(st *delegation.Statement) { st.MaxDepth = 1 }), "not_lent", "widens"),
		bad("expired", handed(func(st *delegation.Statement) { st.ExpiresAt = w.now().Unix() }), "expired", "delegation_expired"),
		bad("not begun", handed(func(st *delegation.Statement) { st.NotBefore = w.now().Unix() + 60 }), "delegation_ended", "delegation_not_yet"),
		bad("under one that may not be lent on", func() answer {
			return deployer.exchange(bot.sign(bot.statement(deployer, terms{under: flat}, bare("repo:acme:read")...)), typeDelegation, "resource", resource)
		}, "not_lent", "widens"),
		bad("signed by another key", func() answer {
			st := deployer.statement(canary, terms{under: middle}, bare("repo:acme:read")...)
			st.Delegator.Instance = second.signer.Public().Thumbprint()
			return canary.exchange(second.sign(st), typeDelegation, "resource", resource)
		}, "binding", "key_mismatch"),
		bad("signature changed", func() answer {
			raw := deployer.sign(deployer.statement(canary, terms{under: middle}, bare("repo:acme:read")...))
			other := deployer.sign(deployer.statement(canary, terms{under: middle}, bare("repo:acme:read")...))
			return canary.exchange(raw[:strings.LastIndexByte(raw, '.')]+other[strings.LastIndexByte(other, '.'):], typeDelegation, "resource", resource)
		}, "binding", "signature_invalid"),
		bad("countersigned by a stranger", func() answer {
			return bot.exchange(resigned(t, newSigner(t), root.String(), nil, nil), typeDelegation)
		}, "binding", "signature_invalid"),
		bad("countersigned by another server", func() answer {
			s := newSigner(t)
			return bot.exchange(resigned(t, s, root.String(), func(h map[string]any) { h["kid"] = s.Public().Thumbprint().String() }, nil), typeDelegation)
		}, "untrusted_issuer", "key_unknown"),
		bad("access token of another server", func() answer {
			s := newSigner(t)
			raw := bot.under(root).text("access_token")
			return deployer.exchange(resigned(t, s, raw, nil, nil), typeAccessToken)
		}, "untrusted_issuer", "token_signature"),
		{"nothing lent for the resource", func() answer { return deployer.exchange(middle.String(), typeDelegation, "resource", otherResource) }, 400, "invalid_scope", "not_covered", "not_covered"},
		{"more than was lent", func() answer {
			return deployer.exchange(middle.String(), typeDelegation, "resource", resource, "scope", "repo:acme:read repo:acme:delete")
		}, 400, "invalid_scope", "not_covered", "not_covered"},
	})

	// Whatever ends on the chain ends the exchange.
	fromMaya := maya.lend(bot, terms{ttl: 48 * time.Hour}, bare("repo:acme:*")...)
	w.priya.api("POST", "/v1/users/"+maya.sub+"/suspend", api.Reason{}, nil)
	bound := w.priya.lend(canary, terms{ttl: 48 * time.Hour, edit: func(st *delegation.Statement) { st.Delegate.Instance = second.signer.Public().Thumbprint() }}, bare("repo:acme:*")...)
	short := w.priya.lend(bot, terms{ttl: time.Minute}, bare("repo:acme:*")...)
	ended := w.priya.lend(bot, terms{ttl: 48 * time.Hour, depth: 1}, bare("repo:acme:*")...)
	below := bot.lend(deployer, terms{under: ended, ttl: 48 * time.Hour}, bare("repo:acme:*")...)
	w.priya.api("POST", "/v1/delegations/"+ended.Statement.ID.String()+"/revoke", api.Reason{}, nil)
	if got := second.exchange(bound.String(), typeDelegation, "resource", resource); got.status != 200 {
		t.Errorf("the instance that it is lent to: %d %s", got.status, got.raw)
	}
	botToken := bot.under(root).text("access_token")
	w.priya.api("POST", "/v1/agents/"+bot.sub+"/suspend", api.Reason{}, nil)
	refuseEach(t, w, []refusalCase{
		bad("suspended middle agent", delegated(deployer, middle.String()), "principal_inactive", "agent_suspended"),
		bad("new statement under a suspended agent", handed(nil), "principal_inactive", "agent_suspended"),
		bad("access token of a suspended agent", exchange(deployer, botToken, typeAccessToken), "principal_inactive", "agent_suspended"),
	})
	w.priya.api("POST", "/v1/agents/"+bot.sub+"/resume", api.Reason{}, nil)
	refuseEach(t, w, []refusalCase{
		bad("suspended person", delegated(bot, fromMaya.String()), "principal_inactive", "person_suspended"),
		bad("for another instance of the agent", delegated(canary, bound.String()), "not_lent", "not_lent"),
		bad("expired record", delegated(bot, short.String()), "expired", "delegation_expired"),
		bad("revoked", delegated(bot, ended.String()), "delegation_ended", "delegation_revoked"),
		bad("revoked above", delegated(deployer, below.String()), "delegation_ended", "delegation_revoked"),
		{"resumed, and all is well", func() answer { return deployer.exchange(middle.String(), typeDelegation) }, 400, "invalid_scope", "not_covered", "not_covered"},
	})
	if got := deployer.exchange(middle.String(), typeDelegation, "resource", resource); got.status != 200 {
		t.Errorf("after resuming: %d %s", got.status, got.raw)
	}
}

func workspace(t testing.TB, name string) id.Workspace {
	t.Helper()
	ws, err := id.ParseWorkspace(name)
	if err != nil {
		t.Fatal(err)
	}
	return ws
}
