package people

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Workspace is a tenant inside the server.
type Workspace struct {
	Name         id.Workspace
	PublishOwner string // what public identity documents say of an agent's owner: "none", "id" or "name"
	CreatedAt    time.Time
}

// CreateWorkspace makes a workspace without members. Codes: workspace_invalid, workspace_exists.
func (room *Room) CreateWorkspace(tx *audit.Tx, w Workspace) (Workspace, error) {
	if err := w.check(); err != nil {
		return w, err
	}
	w.CreatedAt = stored(tx.Now())
	n, err := tx.Exec(`INSERT INTO workspace (name, publish_owner, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, w.Name, w.PublishOwner, w.CreatedAt.UnixMicro())
	if err == nil && n == 0 {
		err = WorkspaceExists(w.Name)
	}
	return w, err
}

// SetWorkspace changes a workspace's settings. Codes: workspace_invalid, workspace_unknown.
func (room *Room) SetWorkspace(tx *audit.Tx, w Workspace) error {
	if err := w.check(); err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE workspace SET publish_owner = $2 WHERE name = $1`, w.Name, w.PublishOwner)
	if err == nil && n == 0 {
		err = unknownWorkspace(w.Name)
	}
	return err
}

func (w Workspace) check() error {
	switch w.PublishOwner {
	case PublishNone, PublishID, PublishName:
		return nil
	}
	return fault.New(fault.Invalid, "workspace_invalid", "public documents name an agent's owner by none, id or name, not %.20q", w.PublishOwner)
}

// WorkspaceExists is the refusal of a name that is taken.
func WorkspaceExists(ws id.Workspace) error {
	return fault.New(fault.Conflict, "workspace_exists", "there is a workspace %s already", ws).Try("take another name")
}

const workspaceColumns = `name, publish_owner, created_at`

func (w *Workspace) into() []any {
	return []any{&w.Name, &w.PublishOwner, micros{&w.CreatedAt}}
}

// Workspace reads a workspace. Code: workspace_unknown.
func (room *Room) Workspace(ctx context.Context, ws id.Workspace) (w Workspace, err error) {
	err = one(room.r.Row(ctx, `SELECT `+workspaceColumns+` FROM workspace WHERE name = $1`, ws), unknownWorkspace(ws), w.into()...)
	return w, err
}

// AllWorkspaces lists the server's workspaces by name, but not the server's own.
func (room *Room) AllWorkspaces(ctx context.Context) ([]Workspace, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+workspaceColumns+` FROM workspace WHERE name <> $1 ORDER BY name`, id.Server)
	return all(rows, err, (*Workspace).into)
}
