// Package guard is the one door. Whatever anybody wants of attorn passes here: guard authenticates the request, resolves its chain, decides, and
// records. Faces hand it what came in and render what comes back; rooms change state only inside the transactions that guard opens.
//
// The decision follows authority.md §5, in its order, and each step is one function: Authenticate (0), resolve (1), covers (2), the schema
// (3), policy.Decide (4, 5), and the commit (6, 7), in which uses, approvals and proofs are spent together with the event.
//
// Owns: no tables. Promises: nothing is permitted that is not in the log; what cannot be recorded is denied; a refusal changes nothing but
// the log and the proofs it used.
package guard
