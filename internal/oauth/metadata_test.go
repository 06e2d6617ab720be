package oauth_test

import (
	"reflect"
	"testing"

	"github.com/attorn/attorn/api"
)

func TestMetadata(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	got := w.send("GET", "/.well-known/oauth-authorization-server", "", nil)
	if got.status != 200 || got.body["issuer"] != w.URL || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %s %v", got.status, got.raw, got.header)
	}
	for member, path := range map[string]string{
		"token_endpoint": tokenPath, "introspection_endpoint": introspectPath, "revocation_endpoint": revokePath, "jwks_uri": "/oauth/jwks",
	} {
		if got.body[member] != w.URL+path {
			t.Errorf("%s is %v", member, got.body[member])
		}
		if there := w.send("GET", path, "", nil).status; there == 404 {
			t.Errorf("%s is not there", member)
		}
	}
	for _, member := range []string{"registration_endpoint", "userinfo_endpoint"} {
		if got.body[member] != nil {
			t.Errorf("the metadata promises %s", member)
		}
	}
	for _, grant := range got.body["grant_types_supported"].([]any) {
		if a := bot.ask("grant_type", grant.(string)); a.text("error") == "unsupported_grant_type" {
			t.Errorf("the metadata promises %v", grant)
		}
	}
	if again := w.send("GET", "/.well-known/openid-configuration", "", nil); string(again.raw) != string(got.raw) {
		t.Errorf("the OpenID form differs: %s", again.raw)
	}
	for member, want := range map[string]any{ // OpenID Connect Discovery §3, RFC 8414 §2, RFC 9207 §3, RFC 9126 §5
		"authorization_endpoint": w.URL + "/oauth/authorize", "pushed_authorization_request_endpoint": w.URL + "/oauth/par", "response_types_supported": []any{"code"},
		"code_challenge_methods_supported": []any{"S256"}, "authorization_response_iss_parameter_supported": true, "subject_types_supported": []any{"public"},
		"id_token_signing_alg_values_supported": []any{"EdDSA"}, "token_endpoint_auth_methods_supported": []any{"private_key_jwt", "none"},
		"authorization_details_types_supported": []any{"attorn_permission", "attorn_task"}, "client_id_metadata_document_supported": true,
		"introspection_signing_alg_values_supported": []any{"EdDSA"},
	} {
		if !reflect.DeepEqual(got.body[member], want) {
			t.Errorf("%s is %v", member, got.body[member])
		}
	}
}

func TestJWKS(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	path := "/oauth/agents/" + bot.sub + "/jwks"
	keys := func(path string) (kids []string) {
		got := w.send("GET", path, "", nil)
		if got.status != 200 || got.header.Get("Cache-Control") != "public, max-age=300" {
			t.Fatalf("%s: %d %s %v", path, got.status, got.raw, got.header)
		}
		for _, k := range got.body["keys"].([]any) {
			k := k.(map[string]any)
			if k["use"] != "sig" || k["alg"] != "EdDSA" || k["kty"] != "OKP" || k["d"] != nil {
				t.Errorf("%s", got.raw)
			}
			kids = append(kids, k["kid"].(string))
		}
		return kids
	}
	if got := keys("/oauth/jwks"); len(got) != 1 {
		t.Errorf("the issuer's keys are %v", got)
	}
	second := w.instance(bot)
	if got := keys(path); len(got) != 2 {
		t.Errorf("keys %v", got)
	}
	w.priya.api("POST", "/v1/instances/"+second.Public().Thumbprint().String()+"/suspend", api.Reason{}, nil)
	if got := keys(path); len(got) != 1 || got[0] != bot.signer.Public().Thumbprint().String() {
		t.Errorf("keys %v", got)
	}
	w.priya.api("POST", "/v1/agents/"+bot.sub+"/suspend", api.Reason{}, nil)
	if got := keys(path); len(got) != 0 {
		t.Errorf("a suspended agent has the keys %v", got)
	}
	for _, agent := range []string{"agt_00000000000000000000000000", "x", w.priya.sub, bot.sub + "0"} {
		refuses(t, w.send("GET", "/oauth/agents/"+agent+"/jwks", "", nil), 404, "invalid_request", "unknown")
	}
	refuses(t, w.send("POST", path, "", nil), 405, "invalid_request", "malformed")
}
