package oauth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// An exchange's answer is RFC 8693 §2.2.1, and kept by nobody on the way (RFC 6749 §5.1).
func TestExchangeAnswer(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	root := w.priya.lend(bot, terms{}, bare("repo:acme:*")...)
	for name, fields := range map[string][]string{
		"all that was lent": {"resource", resource},
		"as asked":          {"resource", resource, "scope", "repo:acme:*", "requested_token_type", typeAccessToken},
	} {
		got := bot.exchange(root.String(), typeDelegation, fields...)
		c := w.claims(got)
		if got.status != 200 || got.text("issued_token_type") != typeAccessToken || got.text("token_type") != "DPoP" || got.text("scope") != "repo:acme:*" || got.body["expires_in"] != 300.0 {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
		if c.JKT != bot.signer.Public().Thumbprint() || got.body["refresh_token"] != nil {
			t.Errorf("%s: %+v %s", name, c, got.raw)
		}
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", name, got.header)
		}
	}
}

// The metadata is one JSON object without empty members, and names no algorithm that proves nothing (RFC 8414 §2, §3.2).
func TestMetadataForm(t *testing.T) {
	w := start(t, "")
	const path = "/.well-known/oauth-authorization-server"
	got := w.send("GET", path, "", nil)
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" || got.text("issuer") != w.URL {
		t.Fatalf("%d %v %s", got.status, got.header, got.raw)
	}
	for member, value := range got.body {
		switch v := value.(type) {
		case nil:
			t.Errorf("%s is null", member)
		case string:
			if v == "" || strings.HasSuffix(member, "_endpoint") && !strings.HasPrefix(v, w.URL+"/") {
				t.Errorf("%s is %q", member, v)
			}
		case []any:
			if len(v) == 0 {
				t.Errorf("%s is empty", member)
			}
			algorithms := strings.HasSuffix(member, "_alg_values_supported")
			if algorithms && (slices.Contains(v, any("none")) || slices.ContainsFunc(v, func(a any) bool { return strings.HasPrefix(a.(string), "HS") })) {
				t.Errorf("%s has %v", member, v)
			}
		}
	}
	for _, role := range []string{"token", "introspection", "revocation"} {
		if methods, _ := got.body[role+"_endpoint_auth_methods_supported"].([]any); slices.Contains(methods, any("private_key_jwt")) == (got.body[role+"_endpoint_auth_signing_alg_values_supported"] == nil) {
			t.Errorf("%s: %v without algorithms, or the reverse", role, methods)
		}
	}
	if algs, _ := got.body["dpop_signing_alg_values_supported"].([]any); !slices.Equal(algs, []any{"EdDSA", "Ed25519", "ES256"}) {
		t.Errorf("algorithms of proofs: %v", algs)
	}
	refuses(t, w.send("POST", path, "", nil), 405, "invalid_request", "malformed")
}

// Every answer of the token endpoint has one nonce for the next request, of characters that a header and a claim may have (RFC 9449 §8.1, §8.2).
func TestNonceHeader(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	form := bot.with("grant_type", "client_credentials")
	seen := map[string]bool{}
	for name, got := range map[string]answer{
		"nothing":      w.send("POST", tokenPath, "", nil),
		"no nonce":     w.post(tokenPath, form, bot.proof(tokenPath, "")),
		"a token":      bot.issued("grant_type", "client_credentials"),
		"bad grant":    bot.ask("grant_type", "password"),
		"not a method": w.send("GET", tokenPath, "", nil),
	} {
		all := got.header.Values("DPoP-Nonce")
		if name == "not a method" && len(all) == 0 {
			continue
		}
		if len(all) != 1 || all[0] == "" || strings.ContainsFunc(all[0], func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%s: %q", name, all)
			continue
		}
		seen[all[0]] = true
		if next := w.post(tokenPath, bot.with("grant_type", "client_credentials"), bot.proof(tokenPath, all[0])); next.status != http.StatusOK {
			t.Errorf("%s: its nonce is refused: %d %s", name, next.status, next.raw)
		}
	}
	if len(seen) == 0 {
		t.Error("no nonces")
	}
}
