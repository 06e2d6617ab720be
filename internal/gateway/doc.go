// Package gateway is the face that agents' MCP clients talk to: POST /mcp/{server} in front of a registered MCP server, whatever its transport.
// It turns messages into guarded calls and decides nothing itself: package guard does.
//
// Promises:
//   - One strict decoder for both directions and transports (wire_*.go). What passes, every JSON reader understands alike; each refusal names
//     its rule in data.rule.
//   - What is sent on is what was judged: the envelope is written anew and arguments leave as the RFC 8785 bytes that were digested.
//   - Nothing is sent to an upstream before guard.Start returned a permit, and then once; every start gets one finish.
//   - Lists show accepted, stored definitions only, and only those that the caller could be permitted to use.
//
// Protocol revisions: 2026-07-28 ("modern", stateless) and 2025-11-25 ("legacy", sessions). Eras are not translated into one another.
package gateway
