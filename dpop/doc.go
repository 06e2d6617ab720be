// Package dpop makes and checks DPoP proofs (RFC 9449): a JWT signed for one request by the key that a token is bound to.
//
// It is pure. Its caller supplies the time, and refuses a proof that was seen before: Proof.Key and Proof.JTI name it once. Every refusal is an
// unauthenticated fault with one of the codes dpop_malformed, dpop_binding, dpop_time and dpop_nonce_required.
package dpop
