package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// Recover makes a one-time link for a person who lost every key. Spending it ends all that they had, and for a day they neither vote nor lend nor
// administer.
func (c *Client) Recover(ctx context.Context, u id.User, reason string) (api.Link, error) {
	return ask[api.Link](ctx, c.door, "Recover", []string{u.String()}, nil, api.Reason{Reason: reason})
}

// SignOutEverywhere ends every session and token of a person ("me" is the caller), and every command-line key but the one that the client signs with.
func (c *Client) SignOutEverywhere(ctx context.Context, user, reason string) (api.SignedOut, error) {
	out, err := ask[api.SignedOut](ctx, c.door, "SignOutEverywhere", []string{user}, nil, api.Reason{Reason: reason})
	if err == nil {
		c.door.tokens.forget()
	}
	return out, err
}

// UserKeys lists what a person ("me" is the caller) signs in with.
func (c *Client) UserKeys(ctx context.Context, user string) (api.List[api.PersonKey], error) {
	return ask[api.List[api.PersonKey]](ctx, c.door, "UserKeys", []string{user}, nil, nil)
}

// EndUserKey removes a key of a person ("me" is the caller), by its name in UserKeys, with all that it opened.
func (c *Client) EndUserKey(ctx context.Context, user, key string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "EndUserKey", []string{user, key}, nil, nil)
}

// AddMember makes somebody who has an account, and is in another workspace of the caller's, a member of the client's workspace.
func (c *Client) AddMember(ctx context.Context, u id.User) (api.User, error) {
	return ask[api.User](ctx, c.door, "AddMember", nil, nil, api.NewMember{User: u})
}

// RemoveMember ends a membership with its roles, groups and what was lent by it.
func (c *Client) RemoveMember(ctx context.Context, u id.User, reason string) (api.Ended, error) {
	return c.end(ctx, "RemoveMember", u.String(), reason)
}

// CreateGroup makes a group.
func (c *Client) CreateGroup(ctx context.Context, in api.NewGroup) (api.Group, error) {
	return ask[api.Group](ctx, c.door, "CreateGroup", nil, nil, in)
}

// Groups lists the workspace's groups.
func (c *Client) Groups(ctx context.Context) (api.List[api.Group], error) {
	return ask[api.List[api.Group]](ctx, c.door, "Groups", nil, nil, nil)
}

// Group reads a group with its members and roles.
func (c *Client) Group(ctx context.Context, name string) (api.Group, error) {
	return ask[api.Group](ctx, c.door, "Group", []string{name}, nil, nil)
}

// DeleteGroup ends a group with its memberships and roles.
func (c *Client) DeleteGroup(ctx context.Context, name, reason string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "DeleteGroup", []string{name}, nil, api.Reason{Reason: reason})
}

// AddToGroup puts a person or an agent into a group, which gives them its roles.
func (c *Client) AddToGroup(ctx context.Context, group string, in api.Membership) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "AddToGroup", []string{group}, nil, in)
}

// RemoveFromGroup takes somebody out of a group.
func (c *Client) RemoveFromGroup(ctx context.Context, group string, in api.Membership) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveFromGroup", []string{group}, nil, in)
}

// CreateWorkspace makes a workspace, whose owner the caller is.
func (c *Client) CreateWorkspace(ctx context.Context, in api.NewWorkspace) (api.Workspace, error) {
	return ask[api.Workspace](ctx, c.door, "CreateWorkspace", nil, nil, in)
}

// Workspaces lists the workspaces that the caller is a member of; for the server's administrators, all.
func (c *Client) Workspaces(ctx context.Context) (api.List[api.Workspace], error) {
	return ask[api.List[api.Workspace]](ctx, c.door, "Workspaces", nil, nil, nil)
}

// Workspace reads a workspace.
func (c *Client) Workspace(ctx context.Context, ws id.Workspace) (api.Workspace, error) {
	return ask[api.Workspace](ctx, c.door, "Workspace", []string{ws.String()}, nil, nil)
}

// SetWorkspace changes the settings of the client's workspace.
func (c *Client) SetWorkspace(ctx context.Context, in api.WorkspaceSettings) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "SetWorkspace", []string{c.door.ws.String()}, nil, in)
}
