// Package evidence is what an answer of attorn rests on, and how anybody checks it without attorn: the events of a log and their bytes, the
// Merkle tree over them (RFC 6962 §2.1), signed checkpoints and proofs (C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof),
// disclosures of values that the log holds only as digests, the digests that approvals and calls are bound to, signed votes, and the evidence
// pack with Verify.
//
// It is pure: no clock, disk or network. Everything that it reads may be hostile; each reader has a limit and one accepted form.
package evidence
