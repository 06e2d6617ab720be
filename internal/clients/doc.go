// Package clients is the room of resource servers: services that accept attorn's tokens and ask about them.
//
// Owns: services with their resources, permission prefixes and keys.
//
// Promises: a resource, which is the audience of tokens, belongs to one service of the whole server, so that a token of one workspace is
// never addressed to a service of another; every resource is in one form, compared byte for byte.
//
// Tables: service_client.
package clients
