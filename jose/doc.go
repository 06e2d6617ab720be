// Package jose is attorn's one way to read and sign untrusted bytes: strict JSON (RFC 8259, RFC 7493), its canonical form (RFC 8785), public
// keys as JWK with their thumbprints (RFC 7517, RFC 7638, RFC 8037), compact JWS (RFC 7515) with Ed25519 and ES256 and nothing else, and JSON objects that
// are signed as one.
//
// It is pure: no clock, disk or network. Every refusal is a fault with one of the codes malformed, too_large, alg_unsupported,
// alg_key_mismatch, signature_invalid, private_key, weak_key, typ_wrong, object_key_unknown, object_audience and object_time.
package jose
