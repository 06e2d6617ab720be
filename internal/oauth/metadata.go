package oauth

import "slices"

// serverMetadata is RFC 8414 §2, as far as it is true of this server. What it says nothing of is not there.
type serverMetadata struct {
	Issuer            string   `json:"issuer"`
	Authorization     string   `json:"authorization_endpoint"`
	Pushed            string   `json:"pushed_authorization_request_endpoint"` // RFC 9126 §5
	Token             string   `json:"token_endpoint"`
	Device            string   `json:"device_authorization_endpoint"` // RFC 8628 §4
	JWKS              string   `json:"jwks_uri"`
	History           string   `json:"attorn_key_history_uri"` // of keys that verify what is older than a token
	Grants            []string `json:"grant_types_supported"`
	AuthMethods       []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs          []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Introspection     string   `json:"introspection_endpoint"`
	IntrospectMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	IntrospectSigns   []string `json:"introspection_signing_alg_values_supported"` // RFC 9701 §7
	Revocation        string   `json:"revocation_endpoint"`
	RevokeMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevokeAlgs        []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	DPoPAlgs          []string `json:"dpop_signing_alg_values_supported"`     // RFC 9449 §5.1
	Details           []string `json:"authorization_details_types_supported"` // RFC 9396 §10
	Scopes            []string `json:"scopes_supported"`                      // beside permissions
	Responses         []string `json:"response_types_supported"`
	ResponseModes     []string `json:"response_modes_supported"`
	Challenges        []string `json:"code_challenge_methods_supported"`               // RFC 7636, by RFC 8414 §2
	NamesIssuer       bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	Prompts           []string `json:"prompt_values_supported"`                        // Initiating User Registration via OpenID Connect §5
	ACRs              []string `json:"acr_values_supported"`                           // OpenID Connect Discovery §3, from here on
	Subjects          []string `json:"subject_types_supported"`
	IDTokenAlgs       []string `json:"id_token_signing_alg_values_supported"`
	Claims            []string `json:"claims_supported"`
	RequestObjects    bool     `json:"request_parameter_supported"`
	RequestURIs       bool     `json:"request_uri_parameter_supported"`
	ClaimsParameter   bool     `json:"claims_parameter_supported"`
	Registration      string   `json:"registration_endpoint,omitempty"`                  // RFC 7591
	Documents         bool     `json:"client_id_metadata_document_supported"`            // draft-ietf-oauth-client-id-metadata-document §6
	Profiles          []string `json:"authorization_grant_profiles_supported,omitempty"` // draft-ietf-oauth-identity-assertion-authz-grant §7.2
}

func (f *face) metadata(*exchange) (any, error) {
	methods, algs := []string{"private_key_jwt"}, []string{"EdDSA", "Ed25519", "ES256"}
	return serverMetadata{
		Issuer: f.Issuer, Token: f.Issuer + "/oauth/token", Device: f.Issuer + "/oauth/device", JWKS: f.Issuer + "/oauth/jwks",
		History:       f.Issuer + "/oauth/jwks/history",
		Authorization: f.Issuer + "/oauth/authorize", Pushed: f.Issuer + parPath,
		Grants:      []string{grantCode, grantRefresh, grantClientCredentials, grantExchange, grantJWTBearer, grantDeviceCode},
		AuthMethods: append(slices.Clone(methods), "none"), AuthAlgs: algs,
		Introspection: f.Issuer + "/oauth/introspect", IntrospectMethods: methods, IntrospectAlgs: algs, IntrospectSigns: []string{"EdDSA"},
		Revocation: f.Issuer + "/oauth/revoke", RevokeMethods: append(slices.Clone(methods), "none"), RevokeAlgs: algs,
		DPoPAlgs: slices.Clone(algs), Details: []string{detailType, taskType},
		Scopes: []string{"openid", "offline_access"}, Responses: []string{"code"}, ResponseModes: []string{"query"}, Challenges: []string{"S256"}, NamesIssuer: true,
		Prompts: []string{"none", "login", "consent", "select_account"}, ACRs: []string{"urn:attorn:acr:1", "urn:attorn:acr:2", "urn:attorn:acr:3"},
		Subjects: []string{"public"}, IDTokenAlgs: []string{"EdDSA"},
		Claims: []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "at_hash"}, RequestURIs: true,
		Registration: f.registration(), Documents: true, Profiles: f.profiles(),
	}, nil
}

// profiles says whether identity assertions are taken, and not whose.
func (f *face) profiles() []string {
	if len(f.Guard.Asserting) == 0 {
		return nil
	}
	return []string{"urn:ietf:params:oauth:grant-profile:id-jag"}
}
