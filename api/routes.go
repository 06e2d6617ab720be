package api

import "slices"

// Route is one endpoint. The admin face mounts exactly these: a route without an endpoint, or the reverse, does not start.
type Route struct {
	Name       string // of the operation, unique: an endpoint's and a client method's
	Method     string
	Path       string   // under "" for the workspace default and under /w/{ws} for others; {name} is one segment, {name...} several
	Query      []string // the parameters that it takes, each at most once
	Permission string   // what it takes; "" for what everybody may ask about themselves
	Status     int      // of success
	Open       bool     // takes no access token, and is not repeated under /w/{ws}
	Signed     bool     // a person with a registered key signs the whole request (RFC 9421): a policy asks for it
	Body       int64    // bytes of a body at most; 0 is 1 MiB
	Doc        string   // one line
}

var routes = []Route{
	{Name: "SignIn", Method: "POST", Path: "/v1/signin", Status: 200, Open: true, Doc: "Spend a one-time sign-in link and register the key that signed the request's DPoP proof as the person's own."},
	{Name: "Me", Method: "GET", Path: "/v1/me", Status: 200, Doc: "Say who the caller is."},

	{Name: "Invite", Method: "POST", Path: "/v1/users", Permission: "attorn:user:invite", Status: 201, Doc: "Add a person and make their one-time sign-in link."},
	{Name: "Users", Method: "GET", Path: "/v1/users", Query: page, Permission: "attorn:user:read", Status: 200, Doc: "List the workspace's people."},
	{Name: "FindUser", Method: "GET", Path: "/v1/find/user", Query: []string{"name"}, Permission: "attorn:user:find", Status: 200, Doc: "Find a member by exact name or by id, and learn both; every member may, unless a policy forbids it."},
	{Name: "UserDetail", Method: "GET", Path: "/v1/users/{id}", Permission: "attorn:user:read", Status: 200, Doc: "Read a member with groups, roles, keys and what stopped them; me needs no permission."},
	{Name: "NewLink", Method: "POST", Path: "/v1/users/{id}/link", Permission: "attorn:user:link", Status: 201, Doc: "Make a one-time sign-in link for the caller, who is me; or anew, for who may invite, for somebody who never signed in."},
	{Name: "SuspendUser", Method: "POST", Path: "/v1/users/{id}/suspend", Permission: "attorn:user:suspend", Status: 200, Doc: "Stop a person, their tokens and what they lent: from the workspace default everywhere, from another in it alone."},
	{Name: "ResumeUser", Method: "POST", Path: "/v1/users/{id}/resume", Permission: "attorn:user:resume", Status: 200, Doc: "End a person's suspension."},

	{Name: "Recover", Method: "POST", Path: "/v1/users/{id}/recover", Permission: "attorn:user:recover", Status: 201, Doc: "Make a one-time link for a person who lost every key. Spending it ends all that they had, and for a day they neither vote nor lend nor administer."},
	{Name: "SignOutEverywhere", Method: "POST", Path: "/v1/users/{id}/signout", Permission: "attorn:user:signout", Status: 200, Doc: "End every session, token and other command-line key of a person; me needs no permission."},
	{Name: "UserKeys", Method: "GET", Path: "/v1/users/{id}/keys", Permission: "attorn:user:read", Status: 200, Doc: "List what a person signs in with; me needs no permission."},
	{Name: "EndUserKey", Method: "DELETE", Path: "/v1/users/{id}/keys/{key}", Permission: "attorn:user:endkey", Status: 200, Doc: "Remove a key of a person with all that it opened; me needs no permission, but keeps one."},
	{Name: "AddMember", Method: "POST", Path: "/v1/members", Permission: "attorn:user:invite", Status: 201, Doc: "Make somebody who has an account, and is in another workspace of the caller's, a member."},
	{Name: "RemoveMember", Method: "POST", Path: "/v1/members/{id}/remove", Permission: "attorn:user:remove", Status: 200, Doc: "End a membership with its roles, groups and what was lent by it."},

	{Name: "CreateGroup", Method: "POST", Path: "/v1/groups", Permission: "attorn:group:create", Status: 201, Doc: "Make a group."},
	{Name: "Groups", Method: "GET", Path: "/v1/groups", Permission: "attorn:group:read", Status: 200, Doc: "List the workspace's groups."},
	{Name: "Group", Method: "GET", Path: "/v1/groups/{name}", Permission: "attorn:group:read", Status: 200, Doc: "Read a group with its members and roles."},
	{Name: "DeleteGroup", Method: "POST", Path: "/v1/groups/{name}/delete", Permission: "attorn:group:delete", Status: 200, Doc: "End a group with its memberships and roles."},
	{Name: "AddToGroup", Method: "POST", Path: "/v1/groups/{name}/members", Permission: "attorn:group:add", Status: 201, Doc: "Put a person or an agent into a group, which gives them its roles."},
	{Name: "RemoveFromGroup", Method: "POST", Path: "/v1/groups/{name}/members/remove", Permission: "attorn:group:remove", Status: 200, Doc: "Take somebody out of a group."},

	{Name: "CreateWorkspace", Method: "POST", Path: "/v1/workspaces", Permission: "attorn:workspace:create", Status: 201, Doc: "Make a workspace, whose owner the caller is; the server's administrators do, in the workspace default."},
	{Name: "Workspaces", Method: "GET", Path: "/v1/workspaces", Status: 200, Doc: "List the workspaces that the caller is a member of; for the server's administrators, all."},
	{Name: "Workspace", Method: "GET", Path: "/v1/workspaces/{name}", Status: 200, Doc: "Read a workspace."},
	{Name: "SetWorkspace", Method: "PUT", Path: "/v1/workspaces/{name}", Permission: "attorn:workspace:set", Status: 200, Doc: "Change the settings of the workspace that the request is in."},

	{Name: "CreateAgent", Method: "POST", Path: "/v1/agents", Permission: "attorn:agent:create", Status: 201, Doc: "Register an agent."},
	{Name: "ImportAgents", Method: "POST", Path: "/v1/import/agents", Permission: "attorn:agent:create", Status: 200, Doc: "Register up to 200 agents, each decided and recorded for itself; those that are there already and no different are left as they are."},
	{Name: "BulkAgents", Method: "POST", Path: "/v1/bulk/agents", Permission: "attorn:agent:read", Status: 200, Doc: "Change up to 200 agents, each decided and recorded for itself with the permission of that change; the answer says what became of each."},
	{Name: "Agents", Method: "GET", Path: "/v1/agents", Query: []string{"q", "status", "owner", "tag", "group", "ownerless", "after", "limit"}, Permission: "attorn:agent:read", Status: 200, Doc: "List the workspace's agents: whose name begins with q, with a status, owner, tag (name=value) or group, or without anybody who answers for them; owner=me needs no permission."},
	{Name: "Agent", Method: "GET", Path: "/v1/agents/{id}", Status: 200, Doc: "Read an agent by id or name."},
	{Name: "AgentDetail", Method: "GET", Path: "/v1/agents/{id}/detail", Status: 200, Doc: "Read an agent by id or name; its owner, and who may read agents, are also told its groups, roles and instances, and what stopped it."},
	{Name: "OfferEnrolment", Method: "POST", Path: "/v1/agents/{id}/enrolment", Permission: "attorn:agent:enrol", Status: 201, Doc: "Make a one-time token that enrols one instance of the agent."},
	{Name: "ChangeAgent", Method: "POST", Path: "/v1/agents/{id}/change", Permission: "attorn:agent:change", Status: 200, Doc: "Change what is said about an agent, or when it ends; tags take attorn:agent:tag, which owners do not have of themselves."},
	{Name: "HandOver", Method: "POST", Path: "/v1/agents/{id}/owner", Permission: "attorn:owner:offer", Status: 200, Doc: "Offer an agent to a new owner, accept what one is offered, or, with attorn:owner:assign, make somebody its owner at once."},
	{Name: "ApproveAgent", Method: "POST", Path: "/v1/agents/{id}/approve", Permission: "attorn:agent:approve", Status: 200, Doc: "Let a proposed agent act."},
	{Name: "SuspendAgent", Method: "POST", Path: "/v1/agents/{id}/suspend", Permission: "attorn:agent:suspend", Status: 200, Doc: "Stop an agent and all its instances."},
	{Name: "ResumeAgent", Method: "POST", Path: "/v1/agents/{id}/resume", Permission: "attorn:agent:resume", Status: 200, Doc: "End an agent's suspension."},
	{Name: "RevokeAgent", Method: "POST", Path: "/v1/agents/{id}/revoke", Permission: "attorn:agent:revoke", Status: 200, Doc: "End an agent, its instances and what was lent by and to it, for ever."},
	{Name: "Instances", Method: "GET", Path: "/v1/agents/{id}/instances", Permission: "attorn:agent:read", Status: 200, Doc: "List an agent's instances."},
	{Name: "SuspendInstance", Method: "POST", Path: "/v1/instances/{key}/suspend", Permission: "attorn:instance:suspend", Status: 200, Doc: "Stop one instance."},
	{Name: "ResumeInstance", Method: "POST", Path: "/v1/instances/{key}/resume", Permission: "attorn:instance:resume", Status: 200, Doc: "End an instance's suspension."},
	{Name: "RevokeInstance", Method: "POST", Path: "/v1/instances/{key}/revoke", Permission: "attorn:instance:revoke", Status: 200, Doc: "End one instance for ever."},
	{Name: "Line", Method: "GET", Path: "/v1/instances/{key}/line", Permission: "attorn:instance:read", Status: 200, Doc: "Read the history of a running copy: its keys, the first one first, and who vouched for each."},
	{Name: "Rotate", Method: "POST", Path: "/v1/instances/{key}/rotate", Permission: "attorn:instance:rotate", Status: 200, Doc: "Replace the calling instance's own key by one that it vouches for."},
	{Name: "Spawn", Method: "POST", Path: "/v1/spawn", Permission: "attorn:instance:spawn", Status: 201, Doc: "Make a key that the calling instance vouches for an instance below it."},
	{Name: "Enrol", Method: "POST", Path: "/v1/enrol", Status: 201, Open: true, Doc: "Spend an enrolment token and make the key that signed the request's DPoP proof an instance."},

	{Name: "Device", Method: "GET", Path: "/v1/device/{code}", Status: 200, Doc: "Read what the holder of a key asks a person for, under the code that it shows."},
	{Name: "ConfirmDevice", Method: "POST", Path: "/v1/device/{code}/confirm", Permission: "attorn:agent:enrol", Status: 200, Doc: "Make the waiting key an instance of an agent, or the caller's own key; a person does it, and a new agent takes attorn:agent:create."},
	{Name: "DenyDevice", Method: "POST", Path: "/v1/device/{code}/deny", Status: 200, Doc: "Refuse what waits under the code."},

	{Name: "AddTrustRule", Method: "POST", Path: "/v1/trust-rules", Permission: "attorn:trust:add", Status: 201, Doc: "Let workloads of another platform become instances of an agent."},
	{Name: "TrustRules", Method: "GET", Path: "/v1/trust-rules", Query: []string{"agent", "after", "limit"}, Permission: "attorn:trust:read", Status: 200, Doc: "List trust rules."},
	{Name: "TrustRule", Method: "GET", Path: "/v1/trust-rules/{id}", Permission: "attorn:trust:read", Status: 200, Doc: "Read a trust rule."},
	{Name: "RemoveTrustRule", Method: "DELETE", Path: "/v1/trust-rules/{id}", Permission: "attorn:trust:remove", Status: 200, Doc: "Take a trust rule away; instances that it let in live until they expire."},
	{Name: "TrustIssuer", Method: "POST", Path: "/v1/issuers", Permission: "attorn:issuer:trust", Status: 201, Doc: "Let agents of another server act as an agent of this workspace, under what was lent to it."},
	{Name: "TrustedIssuers", Method: "GET", Path: "/v1/issuers", Query: []string{"after", "limit"}, Permission: "attorn:issuer:read", Status: 200, Doc: "List the rules for other servers."},
	{Name: "TrustedIssuer", Method: "GET", Path: "/v1/issuers/{id}", Permission: "attorn:issuer:read", Status: 200, Doc: "Read a rule for another server."},
	{Name: "RemoveIssuer", Method: "DELETE", Path: "/v1/issuers/{id}", Permission: "attorn:issuer:remove", Status: 200, Doc: "Take a rule for another server away, with everything that came by it."},
	{Name: "TestTrust", Method: "POST", Path: "/v1/trust-rules/test", Permission: "attorn:trust:read", Status: 200, Doc: "Say which trust rules an assertion matches, or which claim does not; nothing of it is spent or kept."},

	{Name: "Lend", Method: "POST", Path: "/v1/delegations", Permission: "attorn:delegation:lend", Status: 201, Doc: "Hand in a signed delegation; the answer is its countersigned link."},
	{Name: "Delegations", Method: "GET", Path: "/v1/delegations", Query: []string{"delegator", "delegate", "task", "status", "before", "limit"}, Permission: "attorn:delegation:read", Status: 200, Doc: "List delegations, newest first: by delegator, delegate, task and status; me is the caller, who needs no permission for their own."},
	{Name: "Delegation", Method: "GET", Path: "/v1/delegations/{id}", Permission: "attorn:delegation:read", Status: 200, Doc: "Read a delegation."},
	{Name: "Chain", Method: "GET", Path: "/v1/delegations/{id}/chain", Permission: "attorn:delegation:read", Status: 200, Doc: "Read a delegation's links, the root first: the portable chain, which verifies offline."},
	{Name: "Tree", Method: "GET", Path: "/v1/delegations/{id}/tree", Permission: "attorn:delegation:read", Status: 200, Doc: "Read a delegation and all that descends from it, parents before children."},
	{Name: "Replace", Method: "POST", Path: "/v1/delegations/{id}/replace", Permission: "attorn:delegation:lend", Status: 200, Doc: "Narrow or renew a delegation: a signed one takes its place, and it ends with all that descends from it, in one transaction; it also takes attorn:delegation:revoke. The answer lists what ended."},
	{Name: "RevokeDelegation", Method: "POST", Path: "/v1/delegations/{id}/revoke", Permission: "attorn:delegation:revoke", Status: 200, Doc: "End a delegation and all that descends from it."},

	{Name: "Kill", Method: "POST", Path: "/v1/kill", Status: 200, Doc: "End an agent, instance, user, delegation, tool or all, with everything that descends from it; it takes what suspending, revoking or halting that takes."},
	{Name: "ResumeTool", Method: "POST", Path: "/v1/tools/resume", Permission: "attorn:tool:resume", Status: 200, Doc: "End the suspension of a tool, or of all that an MCP server offers."},
	{Name: "ResumeWorkspace", Method: "POST", Path: "/v1/workspace/resume", Permission: "attorn:workspace:halt", Status: 200, Doc: "End a halt of the workspace."},
	{Name: "Feed", Method: "GET", Path: "/v1/feed", Query: []string{"after", "server", "wait", "process"}, Permission: "attorn:feed:read", Status: 200, Doc: "Follow what ends: asking after a revision confirms that what ended up to it is applied. Registered services need no permission."},
	{Name: "Confirmations", Method: "GET", Path: "/v1/confirmations", Query: []string{"rev"}, Permission: "attorn:feed:read", Status: 200, Doc: "Say which processes and followers have applied what ended up to a revision."},

	{Name: "AddServer", Method: "POST", Path: "/v1/servers", Permission: "attorn:server:add", Status: 201, Doc: "Ask an MCP server what it offers, and put it behind the gateway; a command also takes attorn:server:run."},
	{Name: "Servers", Method: "GET", Path: "/v1/servers", Status: 200, Doc: "List the MCP servers."},
	{Name: "Server", Method: "GET", Path: "/v1/servers/{name}", Status: 200, Doc: "Read an MCP server."},
	{Name: "RemoveServer", Method: "DELETE", Path: "/v1/servers/{name}", Permission: "attorn:server:remove", Status: 200, Doc: "Take an MCP server from the gateway."},
	{Name: "Tools", Method: "GET", Path: "/v1/servers/{name}/tools", Permission: "attorn:server:read", Status: 200, Doc: "List a server's tools, prompts and instructions with their pins."},
	{Name: "PinTool", Method: "POST", Path: "/v1/servers/{name}/tools/{segment...}/pin", Permission: "attorn:tool:pin", Status: 200, Doc: "Accept a tool's definition by the pin that was shown."},
	{Name: "AddService", Method: "POST", Path: "/v1/services", Permission: "attorn:client:register", Status: 201, Doc: "Register a resource server."},
	{Name: "Services", Method: "GET", Path: "/v1/services", Query: page, Permission: "attorn:client:read", Status: 200, Doc: "List the resource servers."},
	{Name: "RemoveService", Method: "DELETE", Path: "/v1/services/{id}", Permission: "attorn:client:remove", Status: 200, Doc: "End a resource server, by id or name."},
	{Name: "Apps", Method: "GET", Path: "/v1/clients", Query: []string{"client", "person", "after", "limit"}, Permission: "attorn:client:read", Status: 200, Doc: "List the apps that people consented to; me needs no permission."},
	{Name: "App", Method: "GET", Path: "/v1/clients/show", Query: []string{"client"}, Permission: "attorn:client:read", Status: 200, Doc: "Read an app as it describes itself now, and what the workspace lets it do."},
	{Name: "InviteApp", Method: "POST", Path: "/v1/clients/invite", Permission: "attorn:client:invite", Status: 201, Doc: "Make a one-time token by which an app registers itself."},
	{Name: "RemoveApp", Method: "DELETE", Path: "/v1/clients/{id}", Permission: "attorn:client:remove", Status: 200, Doc: "End an app that registered itself at the workspace."},
	{Name: "ClientRules", Method: "GET", Path: "/v1/client-rules", Query: page, Permission: "attorn:client:read", Status: 200, Doc: "List the workspace's rules about apps."},
	{Name: "SetClientRule", Method: "PUT", Path: "/v1/client-rules", Permission: "attorn:client:rule", Status: 200, Doc: "Say what the workspace lets an app do, all apps of a host, or all; the most particular rule decides."},
	{Name: "RemoveClientRule", Method: "POST", Path: "/v1/client-rules/remove", Permission: "attorn:client:rule", Status: 200, Doc: "Take a rule about apps away."},

	{Name: "Publish", Method: "PUT", Path: "/v1/policy", Permission: "attorn:policy:publish", Status: 200, Signed: true, Body: maxBundleBody, Doc: "Make files the live policies, beside the built-in ones and what the API made."},
	{Name: "Rollback", Method: "POST", Path: "/v1/policy/rollback", Permission: "attorn:policy:rollback", Status: 200, Signed: true, Doc: "Make a bundle that was published before the live one again."},
	{Name: "Policy", Method: "GET", Path: "/v1/policy", Permission: "attorn:policy:read", Status: 200, Doc: "Read the live policies."},
	{Name: "PolicySchema", Method: "GET", Path: "/v1/policy/schema", Query: page, Permission: "attorn:policy:read", Status: 200, Doc: "List what policies can be about: every tool that people accepted, with its class and definition; the roles that somebody holds, and attorn's own acts."},
	{Name: "Bundle", Method: "GET", Path: "/v1/policy/bundles/{bundle}", Permission: "attorn:policy:read", Status: 200, Doc: "Read a bundle that was published: by its digest or an unambiguous beginning of it, or as live or previous."},
	{Name: "Replay", Method: "POST", Path: "/v1/policy/replay", Permission: "attorn:policy:replay", Status: 200, Body: maxBundleBody, Doc: "Decide again, by a candidate, what was really asked since a time; the answer is lines of JSON, the last one the outcome."},
	{Name: "PolicyLog", Method: "GET", Path: "/v1/policy/log", Query: []string{"before", "limit"}, Permission: "attorn:policy:read", Status: 200, Doc: "List who made which bundle the live one, newest first."},
	{Name: "Bind", Method: "POST", Path: "/v1/bindings", Permission: "attorn:role:bind", Status: 201, Doc: "Give a person, an agent or a group a role: everywhere or in a scope, for ever or for a time, at once or to be activated by its holder."},
	{Name: "Bindings", Method: "GET", Path: "/v1/bindings", Query: []string{"principal"}, Permission: "attorn:role:read", Status: 200, Doc: "List who has which role; of one principal and their groups, which everybody may ask about themselves (me)."},
	{Name: "Permissions", Method: "GET", Path: "/v1/permissions/{principal}", Permission: "attorn:role:read", Status: 200, Doc: "List what roles permit and deny a principal (me, or an id, or group:NAME) now, with the way to each; everybody may ask about themselves."},
	{Name: "Unbind", Method: "POST", Path: "/v1/bindings/remove", Permission: "attorn:role:bind", Status: 200, Doc: "Take a role away."},
	{Name: "Activate", Method: "POST", Path: "/v1/bindings/activate", Permission: "attorn:role:activate", Status: 200, Doc: "Have a role of one's own for a time that is bound to be activated, for a reason."},
	{Name: "Deactivate", Method: "POST", Path: "/v1/bindings/deactivate", Permission: "attorn:role:activate", Status: 200, Doc: "End what one has activated of a role, before its time."},
	{Name: "Duties", Method: "GET", Path: "/v1/sod", Permission: "attorn:sod:read", Status: 200, Doc: "List the sets of roles that are held apart (separation of duties), with who holds too many of them."},
	{Name: "SetDuties", Method: "PUT", Path: "/v1/sod/{name}", Permission: "attorn:sod:write", Status: 200, Doc: "Hold roles apart: of the set nobody may hold more than a number."},
	{Name: "RemoveDuties", Method: "DELETE", Path: "/v1/sod/{name}", Permission: "attorn:sod:write", Status: 200, Doc: "Hold them apart no longer."},

	{Name: "ResourceTypes", Method: "GET", Path: "/v1/resource-types", Permission: "attorn:resource:read", Status: 200, Doc: "List the types of services' own objects."},
	{Name: "ResourceType", Method: "GET", Path: "/v1/resource-types/{name}", Permission: "attorn:resource:read", Status: 200, Doc: "Read a type with its file."},
	{Name: "SetResourceType", Method: "PUT", Path: "/v1/resource-types/{name}", Permission: "attorn:resource:write", Status: 200, Doc: "Make a type of a service's own objects, or change one that was made so; it makes a new bundle."},
	{Name: "RemoveResourceType", Method: "DELETE", Path: "/v1/resource-types/{name}", Permission: "attorn:resource:write", Status: 200, Doc: "Take a type away that no object is of."},
	{Name: "Resources", Method: "GET", Path: "/v1/resources/{type}", Query: page, Permission: "attorn:resource:read", Status: 200, Doc: "List the objects of a type that are kept here."},
	{Name: "Resource", Method: "GET", Path: "/v1/resource", Query: []string{"type", "id"}, Permission: "attorn:resource:read", Status: 200, Doc: "Read an object."},
	{Name: "SetResource", Method: "PUT", Path: "/v1/resource", Permission: "attorn:resource:write", Status: 200, Doc: "Keep an object, or change one: its attributes and what it is in become these."},
	{Name: "RemoveResource", Method: "POST", Path: "/v1/resource/remove", Permission: "attorn:resource:write", Status: 200, Doc: "End an object that nothing is in."},

	{Name: "Evaluation", Method: "POST", Path: "/access/v1/evaluation", Permission: "attorn:decision:check", Status: 200, Doc: "Decide whether a subject may do something with an object of a service's own (AuthZEN 1.0); without proof of who acts it also takes attorn:decision:assert."},
	{Name: "Evaluations", Method: "POST", Path: "/access/v1/evaluations", Permission: "attorn:decision:check", Status: 200, Doc: "Decide up to 1,000 of these at once."},
	{Name: "SearchSubject", Method: "POST", Path: "/access/v1/search/subject", Permission: "attorn:decision:check", Status: 200, Doc: "Find who would be permitted; it also takes attorn:decision:assert."},
	{Name: "SearchResource", Method: "POST", Path: "/access/v1/search/resource", Permission: "attorn:decision:check", Status: 200, Doc: "Find the objects with which it would be permitted; it also takes attorn:decision:assert."},
	{Name: "SearchAction", Method: "POST", Path: "/access/v1/search/action", Permission: "attorn:decision:check", Status: 200, Doc: "Find what would be permitted; it also takes attorn:decision:assert."},

	{Name: "Approvals", Method: "GET", Path: "/v1/approvals", Query: []string{"status", "before", "limit"}, Permission: "attorn:approval:read", Status: 200, Doc: "List approvals, newest first; without the permission, those that the caller could vote on or that are asked in their name."},
	{Name: "Approval", Method: "GET", Path: "/v1/approvals/{id}", Query: []string{"wait"}, Permission: "attorn:approval:read", Status: 200, Doc: "Read an approval; wait, at most 45s, holds the answer until it is decided. Who asks and who may vote need no permission."},
	{Name: "ProposeVote", Method: "POST", Path: "/v1/approvals/{id}/proposal", Status: 200, Doc: "Make the statement that the caller signs to vote."},
	{Name: "Vote", Method: "POST", Path: "/v1/approvals/{id}/vote", Permission: "attorn:approval:vote", Status: 200, Doc: "Hand in a signed vote; it takes the role that the approval names."},
	{Name: "CancelApproval", Method: "POST", Path: "/v1/approvals/{id}/cancel", Permission: "attorn:approval:cancel", Status: 200, Doc: "Withdraw an approval that was asked for."},

	{Name: "Events", Method: "GET", Path: "/v1/events", Query: []string{"agent", "person", "target", "task", "thread", "kind", "refused", "before", "limit"}, Permission: "attorn:log:read", Status: 200, Doc: "Search the log, newest first; me is the caller, who needs no permission for their own."},
	{Name: "Event", Method: "GET", Path: "/v1/events/{id}", Permission: "attorn:log:read", Status: 200, Doc: "Read an event; those that name the caller need no permission."},
	{Name: "Why", Method: "GET", Path: "/v1/events/{id}/why", Permission: "attorn:decision:explain", Status: 200, Doc: "Explain an event: who, under whose authority, should it have been allowed, and what proves it."},
	{Name: "Explain", Method: "GET", Path: "/v1/decisions/{event}/explanation", Query: []string{"with"}, Permission: "attorn:decision:explain", Status: 200, Doc: "Explain a decision, by its id or its event's: which policies applied to everybody on its chain, and what was nearest to a permit; with another bundle that was published (live, previous, or its digest), for who may simulate too."},
	{Name: "ExplainWith", Method: "POST", Path: "/v1/decisions/{event}/explanation", Permission: "attorn:decision:explain", Status: 200, Doc: "Explain what policies that are not live would have decided, for who may simulate too."},
	{Name: "Simulate", Method: "POST", Path: "/v1/policy/simulate", Permission: "attorn:policy:simulate", Status: 200, Doc: "Explain what policy would decide on a request that nobody makes; nothing is permitted or spent."},
	{Name: "Pack", Method: "GET", Path: "/v1/events/{id}/pack", Permission: "attorn:decision:explain", Status: 200, Doc: "Get the evidence about an event as a file that verifies offline."},
	{Name: "Head", Method: "GET", Path: "/v1/log", Status: 200, Doc: "Read the newest checkpoint of the workspace's log."},
	{Name: "Keys", Method: "GET", Path: "/v1/keys", Permission: "attorn:key:read", Status: 200, Doc: "List the server's own keys, oldest first, those of its logs among them."},
	{Name: "RotateKey", Method: "POST", Path: "/v1/keys/rotate", Permission: "attorn:key:rotate", Status: 200, Doc: "Change the issuer's key, or that of a log."},
	{Name: "Trust", Method: "GET", Path: "/v1/trust", Status: 200, Open: true, Doc: "Get the trust policy by which evidence of this server is verified."},
}

var page = []string{"after", "limit"}

// Routes lists every endpoint of the API.
func Routes() []Route { return slices.Clone(routes) }

// maxBundleBody is the largest body that has a bundle, in bytes: of 8 MiB of text, written as JSON.
const maxBundleBody = 16 << 20

// HasBody reports whether requests of the route carry a body.
func (r Route) HasBody() bool { return r.Method == "POST" || r.Method == "PUT" }
