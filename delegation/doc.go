// Package delegation is the signed statement "delegator lends delegate these permissions, until, for this task": its permissions and
// constraints, its bytes, its signatures, and the rule that a child narrows its parent in every dimension.
//
// A chain of statements, each signed by its delegator and countersigned by the server, verifies with the server's published keys alone
// (VerifyChain): no database, no network. The package is pure: it has no clock, so whether a statement is live now is the caller's to ask.
package delegation
