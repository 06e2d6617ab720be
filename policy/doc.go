// Package policy compiles a set of Cedar policies and decides on it. It is pure: a decision depends on the set, on one Facts value and on the
// approvals handed in, and on nothing else, so that evidence can be decided again years later, offline.
//
// # How a request is decided
//
// For every principal of the chain (the current actor, earlier actors, the person) Cedar is asked separately, and the answers are joined:
//
//  1. A hard forbid that matches any principal denies (forbidden); one that cannot be evaluated denies too (policy_error).
//  2. A principal without a permit denies (no_permit). A permit that cannot be evaluated does not permit.
//  3. A gate, which is a forbid with @approve or @stepup, that matches or cannot be evaluated asks; only evidence lifts it.
//  4. What is left is a permit.
//
// Plain Cedar differs in two points: it skips a forbid that cannot be evaluated, and it reads a gate as a forbid.
//
// # What a policy sees
//
// Principals are User::"usr_…" and Agent::"agt_…"; the action is Action::"<permission>", with the parents that Facts.ActionParents lists
// (see the function ActionParents: "tool:files:*", "call", "read" …); the resource is whatever the caller names. The context is
//
//	{ actor: { agent?: Agent, instance, origin, proof: String }, subject?: User, chain: Set<Agent>,
//	  delegation?: { id: String, depth: Long, task?, purpose?: String }, auth?: { acr, age: Long },
//	  facts: { now: datetime, ip?: ipaddr, risk: Long }, perm: { n: Long, s0 … s7: String }, args?: { … } }
//
// Along the chain only principal changes. agent, subject and chain are derived from the principals, so they cannot contradict them. perm is the
// action split at ":"; an action outside the grammar of permissions has n = 0 and empty segments, so only a policy written for it permits it.
//
// args is the call's arguments as the tool's accepted definition types them (Shape): an integer is a Long, and one beyond int64 is refused (schema); a boolean, a
// string or a list of strings is a Bool or String; a number is a decimal, and absent if it has more than four places or is out of range; an object with
// properties is a Record, a list a Set; what may be null is absent where it is. Choices between types, mappings from any name and what lies too deep have no
// type in Cedar: policy does not see them, and digests still cover them. An argument that the definition does not declare is refused (schema).
//
// # Roles
//
// A role (see Role) is a file of the bundle, roles/<name>.yaml, and becomes Cedar as a tree, never as text: a permit and, for what it denies, a hard forbid for
// principal in Role::"<name>", whose conditions test context.perm, which is derived here, so they hold whatever parents a caller gives an action; a class alone needs the
// parent Action::"read" and its like. Holders in a scope are in Role::"<name>@<scope>" (see ScopeEntity), and the same policies then hold for resources in what the scope
// names. What a role inherits are parents of the entity Role, which the set adds to those of the facts, in every scope alike. A permission with constraints becomes one
// policy for each combination of the types that its arguments have: a permit for which they have the wrong one is left out, a denial for which they have it matches.
//
// Shipped returns the built-in roles under attorn/roles/, and attorn/own.cedar: permits for what is one's own, by the attributes owner, delegator, delegate, requester and
// subject of the resource, and the hard forbid that no agent votes.
package policy

// Engine names what evaluates the policies; the same set and facts give the same outcome under the same engine.
const Engine = "cedar-go/1.9.0"
