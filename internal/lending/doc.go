// Package lending keeps the record of what was lent: every delegation with the signed statement that made it, how often it was used, and how it
// ended.
//
// Owns: delegations, their trees and their uses; which other servers' agents act under which of them.
//
// Promises: a statement is recorded once; a delegation is lent on only while its whole chain is live, and never wider, deeper or longer than
// its parent; no link of a chain is used more often than it says, whatever its descendants do at the same time; what has been revoked, with all
// that descends from it, is used no more once that transaction has committed.
//
// Tables: delegation, trusted_issuer.
package lending
