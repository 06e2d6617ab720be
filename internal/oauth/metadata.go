package oauth

import "slices"

// serverMetadata is RFC 8414 §2, as far as it is true of this server. What it says nothing of is not there.
type serverMetadata struct {
	Issuer            string   `json:"issuer"`
	Token             string   `json:"token_endpoint"`
	Device            string   `json:"device_authorization_endpoint"` // RFC 8628 §4
	JWKS              string   `json:"jwks_uri"`
	Grants            []string `json:"grant_types_supported"`
	AuthMethods       []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs          []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Introspection     string   `json:"introspection_endpoint"`
	IntrospectMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	Revocation        string   `json:"revocation_endpoint"`
	RevokeMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevokeAlgs        []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	DPoPAlgs          []string `json:"dpop_signing_alg_values_supported"`     // RFC 9449 §5.1
	Details           []string `json:"authorization_details_types_supported"` // RFC 9396 §10
}

func (f *face) metadata(*exchange) (any, error) {
	methods, algs := []string{"private_key_jwt"}, []string{"EdDSA", "Ed25519", "ES256"}
	return serverMetadata{
		Issuer: f.Issuer, Token: f.Issuer + "/oauth/token", Device: f.Issuer + "/oauth/device", JWKS: f.Issuer + "/oauth/jwks",
		Grants: []string{grantClientCredentials, grantExchange, grantJWTBearer, grantDeviceCode}, AuthMethods: methods, AuthAlgs: algs,
		Introspection: f.Issuer + "/oauth/introspect", IntrospectMethods: methods, IntrospectAlgs: algs,
		Revocation: f.Issuer + "/oauth/revoke", RevokeMethods: methods, RevokeAlgs: algs,
		DPoPAlgs: slices.Clone(algs), Details: []string{detailType},
	}, nil
}
