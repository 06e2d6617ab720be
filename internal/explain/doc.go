// Package explain answers, for any event: who did it, under whose authority, should it have been allowed, and what proves it. It makes one
// evidence pack and reads it as a stranger would, so the API, the console, `attorn why` and an auditor's laptop cannot disagree.
//
// Owns: no tables. Promises: it only reads.
package explain
