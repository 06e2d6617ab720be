// Package tickets is the room of single-use secrets and of tokens that were ended before their time.
//
// Owns: tickets (sign-in links, agent enrolments, WebAuthn challenges, authorization requests, codes and refresh tokens, invitations of apps), device codes, and the identifiers of revoked tokens.
//
// Promises: a ticket is spent at most once, over all nodes and under any concurrency; a secret is never stored, only its SHA-256; a ticket
// opens nothing of another kind; an ended token stays ended until it would have expired anyway.
//
// Tables: ticket, device_code, ended_token.
package tickets
