package api

import "github.com/attorn/attorn/id"

// PersonKey is one of the keys that a person signs in with: a passkey, named by its credential, or a command-line key, named by its thumbprint.
type PersonKey struct {
	Key     string `json:"key"`
	Kind    string `json:"kind"` // "passkey" or "key"
	Label   string `json:"label"`
	Created string `json:"created"`
	Used    string `json:"used,omitempty"` // when it last signed in
	This    bool   `json:"this"`           // the one that this request is made by
}

// SignedOut is the answer to signing out everywhere: how many command-line keys ended.
type SignedOut struct {
	Event id.Event `json:"event"`
	Rev   int64    `json:"rev"`
	Keys  int      `json:"keys"`
}

// NewGroup makes a group.
type NewGroup struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Group is a set of people and agents. Members and Roles are there where one group is read.
type Group struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Created     string        `json:"created"`
	Members     []GroupMember `json:"members,omitempty"`
	Roles       []string      `json:"roles,omitempty"`
}

// GroupMember is somebody in a group; Source is the upstream provider that says so, "" where an administrator does.
type GroupMember struct {
	Member  string `json:"member"`
	Source  string `json:"source,omitempty"`
	Created string `json:"created"`
}

// Membership puts somebody into a group, or takes them out.
type Membership struct {
	Member string `json:"member"`
	Reason string `json:"reason,omitempty"`
}

// NewWorkspace makes a workspace. PublishOwner, "id" where it is empty, says what public identity documents tell of an agent's owner: none, id or name.
type NewWorkspace struct {
	Name         id.Workspace `json:"name"`
	PublishOwner string       `json:"publish_owner,omitempty"`
}

// Workspace is a tenant inside the server.
type Workspace struct {
	Name         id.Workspace `json:"name"`
	PublishOwner string       `json:"publish_owner"`
	Created      string       `json:"created,omitempty"` // absent for those that every server has
}

// WorkspaceSettings are what can be changed of a workspace.
type WorkspaceSettings struct {
	PublishOwner string `json:"publish_owner"`
}

// NewMember makes somebody who has an account a member of the workspace.
type NewMember struct {
	User id.User `json:"user"`
}
