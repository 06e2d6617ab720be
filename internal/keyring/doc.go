// Package keyring holds the server's own keys: the issuer's signing key, a key per log shard, and the sealing key from which everything that
// is encrypted at rest derives.
//
// Owns: server keys and what is sealed under the sealing key.
//
// Promises: a handle signs and never yields private bytes; a private key is stored only sealed; a key that is not in the log signs nothing
// (the caller records key.published in the transaction that stores it); retired keys stay known for verification.
//
// Tables: server_key, sealing.
package keyring
