package oauth_test

import (
	"testing"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/jose"
)

// An identity assertion does not stand for client authentication, and lends nothing where no provider may.
func TestIdentityAssertion(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("bot")
	idp := attorntest.NewPlatform(t)
	kid := idp.AddKey("ES256")
	payload, err := jose.Canonical(map[string]any{
		"iss": idp.Issuer, "sub": "omar-1", "aud": w.URL, "client_id": bot.sub, "jti": "one", "iat": w.now().Unix(), "exp": w.now().Unix() + 300, "scope": "repo:acme:read",
	})
	w.ok(err)
	assertion := idp.Sign(kid, map[string]any{"alg": "ES256", "kid": kid, "typ": "oauth-id-jag+jwt"}, payload)
	refusedAs(t, "no provider may", bot.ask("grant_type", grantJWTBearer, "assertion", assertion, "resource", resource), "invalid_grant", "untrusted_issuer")
	alone := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", assertion, "resource", resource})
	refusedAs(t, "no client", bot.foreign(alone), "invalid_client", "")
	if n := idp.Asked("/keys"); n != 0 {
		t.Errorf("a stranger's issuer was asked %d times", n)
	}
}
