package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// What is asked for.
func TestAskedRefused(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	ask := func(fields ...string) func() answer {
		return func() answer { return bot.ask(append([]string{"grant_type", "client_credentials"}, fields...)...) }
	}
	scope := func(name, s string) refusalCase {
		return refusalCase{name, ask("scope", s), 400, "invalid_scope", "malformed", ""}
	}
	target := func(name, s string) refusalCase {
		return refusalCase{name, ask("resource", s), 400, "invalid_target", "unknown_resource", "unknown_resource"}
	}
	refuseEach(t, w, []refusalCase{
		scope("two spaces", "attorn:a:b  attorn:c:d"), scope("space in front", " attorn:a:b"), scope("tab", "attorn:a:b\tattorn:c:d"),
		scope("stars", "attorn:**"), scope("quotation", `attorn:"x"`), scope("not ASCII", "attorn:é"),
		{"long scope", ask("scope", strings.Repeat("attorn:a:b ", 400)), 413, "invalid_request", "too_large", ""},
		{"other prefix", ask("scope", "tool:files:read"), 400, "invalid_scope", "not_covered", "not_covered"},
		{"everything", ask("scope", "*"), 400, "invalid_scope", "not_covered", "not_covered"},
		{"prefix of another service", ask("resource", resource, "scope", "wiki:acme:read"), 400, "invalid_scope", "not_covered", "not_covered"},
		{"prefix without end", ask("resource", resource, "scope", "repo:acmes:read"), 400, "invalid_scope", "not_covered", "not_covered"},
		target("unknown", "https://nowhere.example"), target("not a URL", "x"), target("other case", strings.ToUpper(resource)),
		target("slash at the end", resource+"/"), target("fragment", resource+"#x"), target("query", resource+"?x"),
		target("the issuer itself", w.URL), target("unknown MCP server", w.URL+"/mcp/none"), target("no MCP server", w.URL+"/mcp/"),
		target("odd MCP server", w.URL+"/mcp/../api"), target("API of another workspace", w.URL+"/w/other/api"),
	})
}

// The grants that are not the client's.
func TestGrantRefused(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	link := w.priya.lend(bot, terms{}, bare("repo:acme:*")...).String()
	not := func(name string, do func() answer) refusalCase {
		return refusalCase{name, do, 400, "unauthorized_client", "grant_not_allowed", ""}
	}
	seen := func(c refusalCase) refusalCase { c.event = "grant_not_allowed"; return c }
	refuseEach(t, w, []refusalCase{
		not("a person's client credentials", func() answer { return w.priya.ask("grant_type", "client_credentials") }), // in the log of no workspace
		seen(not("a service's client credentials for a service", func() answer {
			return w.wiki.ask("grant_type", "client_credentials", "resource", otherResource)
		})),
		not("a person's exchange", func() answer { return w.priya.exchange(link, typeDelegation) }),
		seen(not("a service's exchange", func() answer { return w.wiki.exchange(link, typeDelegation) })),
		seen(not("an agent's own key as a person's", func() answer { return bot.personAsk() })),
		seen(not("in a workspace that is not its own", func() answer { return bot.personAsk("workspace", "server") })),
	})
}

// A person's own key.
func TestPersonRefused(t *testing.T) {
	w := start(t, "")
	maya := w.invite("Maya Chen")
	stranger := &party{world: w, signer: newSigner(t), sub: maya.sub, user: maya.user}
	nobody := &party{world: w, signer: newSigner(t), sub: id.New[id.User](w.now()).String()}
	asPriya := &party{world: w, signer: maya.signer, sub: w.priya.sub}
	form := func(edit func(url.Values)) func() answer {
		return func() answer {
			f := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()})
			edit(f)
			return w.post(tokenPath, f, maya.proof(tokenPath, w.nonce()))
		}
	}
	field := func(name, value string) func() answer { return form(func(f url.Values) { f.Set(name, value) }) }
	failed := func(name string, do func() answer, event string) refusalCase {
		return refusalCase{name, do, 400, "invalid_grant", "", event}
	}
	bad := func(name string, do func() answer) refusalCase {
		return refusalCase{name, do, 400, "invalid_request", "malformed", ""}
	}
	refuseEach(t, w, []refusalCase{
		bad("no assertion", form(func(f url.Values) { f.Del("assertion") })),
		bad("client assertion too", field("client_assertion", maya.assertion())),
		bad("client assertion type too", field("client_assertion_type", assertionType)),
		bad("client_secret too", field("client_secret", "x")),
		bad("Basic too", func() answer {
			f := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()})
			return w.send("POST", tokenPath, f.Encode(), http.Header{"Dpop": {maya.proof(tokenPath, w.nonce())}, "Authorization": {"Basic eDp5"}})
		}),
		bad("workspace is no name", field("workspace", "Not A Name")),
		{"unknown workspace", field("workspace", "other"), 400, "invalid_grant", "principal_inactive", ""},
		{"server workspace", field("workspace", "server"), 400, "invalid_grant", "principal_inactive", ""},
		failed("other client_id", field("client_id", w.priya.sub), "invalid_client"),
		failed("not a JWS", field("assertion", "x"), ""),
		failed("another key", func() answer { return stranger.personAsk() }, "invalid_client"),
		failed("another person's key", func() answer { return asPriya.personAsk() }, "invalid_client"),
		failed("unknown person", func() answer { return nobody.personAsk() }, ""),
		failed("replayed", func() answer {
			once := maya.assertion()
			if got := field("assertion", once)(); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.raw)
			}
			return field("assertion", once)()
		}, "replayed"),
		{"proof by another key", func() answer {
			f := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()})
			return w.post(tokenPath, f, w.priya.proof(tokenPath, w.nonce()))
		}, 400, "invalid_dpop_proof", "binding", "dpop_binding"},
		{"no nonce", func() answer {
			return w.post(tokenPath, fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()}), maya.proof(tokenPath, ""))
		}, 400, "use_dpop_nonce", "", ""},
		{"more than the API has", field("scope", "tool:files:read"), 400, "invalid_scope", "not_covered", "not_covered"},
	})
	w.priya.api("POST", "/v1/users/"+maya.sub+"/suspend", api.Reason{}, nil)
	refuseEach(t, w, []refusalCase{failed("suspended", func() answer { return maya.personAsk() }, "invalid_client")})
}
