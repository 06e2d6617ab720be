// Package token is attorn's access token: an RFC 9068 JWT with the chain of actors (RFC 8693 §4.1) and the key that it is bound to (RFC 7800),
// the client assertion (RFC 7523 §3) by which a client authenticates to get one, and the key statement by which one live key vouches for a new one,
// and what another server said of one of its agents, by which that agent acts here.
//
// It is pure: the caller supplies time and keys. It does not know what was revoked. Every refusal is a fault with one of the codes
// token_malformed, token_signature, token_issuer, token_audience, token_not_yet, token_expired, assertion_malformed, assertion_alg,
// assertion_subject, assertion_audience, assertion_time, key_statement_malformed, key_statement_signature, key_statement_use, key_statement_issuer,
// key_statement_time and foreign_malformed, foreign_refused.
package token
