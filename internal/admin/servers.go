package admin

import (
	"slices"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/catalog"
)

// addServer contacts, or runs, a server only after the guard permitted that, and the guard decides again when it is stored.
func addServer(x *request, in api.NewServer) (api.Server, error) {
	s := catalog.Server{
		Workspace: x.caller.Workspace(), Name: in.Name, Transport: "http", URL: in.URL, Command: in.Command, Env: in.Env, AllowPrivate: in.AllowPrivate, Environment: in.Environment,
		Status: "active", CreatedAt: x.Guard.Now(),
	}
	if in.URL == "" {
		s.Transport = "stdio"
	}
	if err := s.Check(); err != nil {
		return api.Server{}, err
	}
	if err := x.Guard.MayRegister(x.ctx, x.caller, s); err != nil {
		return api.Server{}, err
	}
	offer, err := x.Upstream.Inspect(x.ctx, s)
	if err != nil {
		return api.Server{}, err
	}
	s.Era = offer.Era
	if _, err := x.Guard.RegisterServer(x.ctx, x.caller, s, offer); err != nil {
		return api.Server{}, err
	}
	out := x.serverOf(s)
	for _, it := range offer.Items {
		t := catalog.Tool{Server: s.Name, Kind: it.Kind, Name: it.Name, SeenPin: it.Pin, Class: catalog.Destroy, Status: catalog.Quarantined}
		if it.Reason == "" {
			t.Pin, t.Class, t.Status = it.Pin, it.Class, catalog.Accepted
		}
		out.Tools = append(out.Tools, toolOf(t))
	}
	return out, nil
}

func servers(x *request, _ none) (api.List[api.Server], error) {
	found, err := x.Guard.Servers(x.ctx, x.caller)
	return page(found, 0, x.serverOf, nil), err
}

func oneServer(x *request, _ none) (api.Server, error) {
	found, err := x.Guard.Servers(x.ctx, x.caller)
	if err != nil {
		return api.Server{}, err
	}
	i := slices.IndexFunc(found, func(s catalog.Server) bool { return s.Name == x.path("name") })
	if i < 0 {
		return api.Server{}, unknownServer()
	}
	return x.serverOf(found[i]), nil
}

// server is the name in the path, if a server could have it.
func (x *request) server() (string, error) {
	if name := x.path("name"); catalog.ValidName(name) {
		return name, nil
	}
	return "", unknownServer()
}

func unknownServer() error {
	return fault.New(fault.NotFound, "unknown_server", "there is no such server").Try("see what there is: attorn mcp ls")
}

// serverOf leaves the variables out: they may hold what was meant for the server alone.
func (x *request) serverOf(s catalog.Server) api.Server {
	return api.Server{
		Name: s.Name, Transport: s.Transport, Resource: x.Guard.MCP(x.caller.Workspace(), s.Name), URL: s.URL, Command: s.Command, Environment: s.Environment, Era: s.Era,
		Status: s.Status, Suspended: !s.SuspendedAt.IsZero(), Created: when(s.CreatedAt),
	}
}

func removeServer(x *request, _ none) (api.Done, error) {
	name, err := x.server()
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.RemoveServer(x.ctx, x.caller, name)
	if err != nil {
		return api.Done{}, err
	}
	x.Upstream.Forget(x.caller.Workspace(), name)
	return api.Done{Event: got.ID, Rev: got.Rev}, nil
}

func tools(x *request, _ none) (api.List[api.Tool], error) {
	name, err := x.server()
	if err != nil {
		return api.List[api.Tool]{}, err
	}
	found, err := x.Guard.Tools(x.ctx, x.caller, name)
	return page(found, 0, toolOf, nil), err
}

func toolOf(t catalog.Tool) api.Tool {
	return api.Tool{
		Server: t.Server, Kind: string(t.Kind), Name: t.Name, Permission: t.Action(), Pin: t.Pin, SeenPin: t.SeenPin, Class: t.Class, Status: string(t.Status),
		Suspended: !t.SuspendedAt.IsZero(), OpenArguments: t.OpenArguments,
	}
}

func pinTool(x *request, in api.Pin) (api.Done, error) {
	name, err := x.server()
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.Pin(x.ctx, x.caller, name, x.path("segment"), in.Pin, in.Class, in.OpenArguments)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}
