package admin

import (
	"cmp"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/people"
)

func asWorkspace(w people.Workspace) api.Workspace {
	out := api.Workspace{Name: w.Name, PublishOwner: w.PublishOwner}
	if w.CreatedAt.UnixMicro() > 0 { // the workspaces of every server were not made by anybody
		out.Created = when(w.CreatedAt)
	}
	return out
}

func createWorkspace(x *request, in api.NewWorkspace) (api.Workspace, error) {
	w, err := x.Guard.CreateWorkspace(x.ctx, x.caller, people.Workspace{Name: in.Name, PublishOwner: cmp.Or(in.PublishOwner, "id")})
	return asWorkspace(w), err
}

func workspaces(x *request, _ none) (api.List[api.Workspace], error) {
	found, err := x.Guard.Workspaces(x.ctx, x.caller)
	return page(found, 0, asWorkspace, nil), err
}

func (x *request) workspace() (id.Workspace, error) {
	return read(id.ParseWorkspace, "name", x.path("name"))
}

func oneWorkspace(x *request, _ none) (api.Workspace, error) {
	ws, err := x.workspace()
	if err != nil {
		return api.Workspace{}, err
	}
	w, err := x.Guard.Workspace(x.ctx, x.caller, ws)
	return asWorkspace(w), err
}

func setWorkspace(x *request, in api.WorkspaceSettings) (api.Done, error) {
	ws, err := x.workspace()
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.SetWorkspace(x.ctx, x.caller, people.Workspace{Name: ws, PublishOwner: in.PublishOwner})
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func addMember(x *request, in api.NewMember) (api.User, error) {
	p, seen, err := x.Guard.AddMember(x.ctx, x.caller, in.User)
	return userOf(p, seen), err
}

func removeMember(x *request, in api.Reason) (api.Ended, error) {
	u, err := x.user()
	if err != nil {
		return api.Ended{}, err
	}
	why, err := reasonOf(in)
	if err != nil {
		return api.Ended{}, err
	}
	ended, got, err := x.Guard.RemoveMember(x.ctx, x.caller, u, why)
	return api.Ended{Event: got.ID, Rev: got.Rev, Delegations: ended}, err
}
