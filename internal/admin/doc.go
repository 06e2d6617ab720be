// Package admin is the face of attorn's own HTTP API. Its routes are the table in package api; one frame does what is the same for all, and an
// endpoint is one typed function that calls the guard.
//
// Owns: nothing. Promises: no endpoint runs before its caller is authenticated, unless its route is open; every refusal is a problem (RFC 9457)
// with a stable code; what is not a fault leaves as "internal" and a request id, and nothing else.
package admin
