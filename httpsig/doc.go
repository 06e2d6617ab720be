// Package httpsig signs HTTP requests and checks them: HTTP Message Signatures (RFC 9421) over a digest of the content (RFC 9530), in one profile.
//
//	Attorn-Audience: https://files.example/api
//	Content-Digest: sha-256=:…:
//	Signature-Input: attorn=("@method" "@target-uri" "attorn-audience" "content-digest");created=…;expires=…;nonce="…";keyid="…";tag="attorn-action"
//	Signature: attorn=:…:
//
// A signature covers the method, the whole target URI with its query, the audience and the content; Authorization and Attorn-Call-Digest where the request
// has them; and whatever plain field, @authority, @path or @query its signer adds. It is made with Ed25519 by the key whose RFC 7638 thumbprint is
// keyid, lives for at most 300 s, and has a nonce that is accepted once.
//
// The package is pure. Its caller supplies the time and the keys, and refuses a nonce that it has seen under the same key. Every refusal is a fault with one
// of the codes signature_required, signature_coverage, signature_expired, signature_key_unknown, signature_invalid (all Unauthenticated),
// signature_malformed and digest_mismatch (Invalid); a caller that saw a nonce before answers with Replayed.
package httpsig
