// Package catalog is the room of MCP servers and what they offer: tools, prompts and instructions, each with the one definition that a person
// accepted and its pin.
//
// Owns: which servers are registered, how they are reached, which definitions agents are shown, the class of each tool.
//
// Promises: a definition is served only as it was accepted, without icons and _meta; one that changed at the server is quarantined until a
// person accepts exactly what was seen; schemas never reach the network and cost bounded work.
//
// Tables: mcp_server, mcp_tool.
package catalog
