// Package approvals keeps the calls that wait for people: what exactly is asked, who voted how, and whether the answer has been used.
//
// Owns: approvals and votes.
//
// Promises: an approval is bound for ever to the one object whose digest it has, and there is at most one live approval for a digest; it is
// approved only by its quorum of distinct people, none of them on the chain that asks; one denial denies; time that runs out denies; an
// approval is spent at most as often as it allows, however many try at once; a status that ended never changes again.
//
// Tables: approval, vote.
package approvals
