package people

import (
	"context"

	"github.com/attorn/attorn/id"
)

// What a workspace tells everybody about who answers for its agents.
const (
	PublishNone = "none"
	PublishID   = "id"
	PublishName = "name" // beside the id
)

// PublishOwner reads what the workspace publishes of its agents' owners. Code: workspace_unknown.
func (room *Room) PublishOwner(ctx context.Context, ws id.Workspace) (what string, err error) {
	err = one(room.r.Row(ctx, `SELECT publish_owner FROM workspace WHERE name = $1`, ws), unknownWorkspace(ws), &what)
	return what, err
}
