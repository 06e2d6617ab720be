// Package people is the room of users.
//
// Owns: workspaces, persons, their memberships, groups, passkeys, registered keys, identities at other providers, invitations and console sessions, and
// who was recovered by whom.
//
// Promises: a person belongs to the server, and is seen from a workspace only while a member of it; a suspended person has no session, and no
// lookup by passkey, key or session answers with them; a key or passkey belongs to one person for ever; what was opened with one ends with it; a
// session's secret is stored only as its SHA-256; a recovered person has none of the keys that they had before. Who somebody is at another provider is
// its issuer and their subject there, of one person for ever, and never an email address: that finds an invitation, once, and is stored only as a
// keyed digest.
//
// Tables: person, membership, passkey, person_key, console_session, workspace, principal_group, group_member, upstream_identity, invitation, tie.
package people
