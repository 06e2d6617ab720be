// Package clients is the room of what asks the authorization server: services that accept attorn's tokens and ask about them, and apps that people consent to.
//
// Owns: services with their resources, permission prefixes and keys; what apps say about themselves, the agents that they became, and the workspaces' rules
// about them.
//
// Promises: a resource, which is the audience of tokens, belongs to one service of the whole server, so that a token of one workspace is
// never addressed to a service of another; every resource, client_id and redirect URI is in one form, compared byte for byte; of the rules about an app the
// most particular one decides; an app that registered itself and that nobody consents to is gone after a day.
//
// Tables: service_client, app, client_rule, app_agent.
package clients
