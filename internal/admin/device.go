package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/guard"
)

func device(x *request, _ none) (api.Device, error) {
	r, err := x.Guard.Device(x.ctx, x.caller, x.path("code"))
	if err != nil {
		return api.Device{}, err
	}
	return api.Device{
		UserCode: r.UserCode, Purpose: string(r.Purpose), Workspace: r.Workspace, Client: guard.CommandLine, Key: r.Key.Thumbprint(), JWK: r.Key,
		Name: r.Name, Address: r.IP, Asked: when(r.CreatedAt), Expires: when(r.ExpiresAt),
	}, nil
}

func confirmDevice(x *request, in api.ConfirmDevice) (api.DeviceMade, error) {
	made, err := x.Guard.ConfirmDevice(x.ctx, x.caller, x.path("code"), guard.DeviceChoice{Agent: in.Agent, New: in.New})
	if err != nil {
		return api.DeviceMade{}, err
	}
	out := api.DeviceMade{Workspace: made.Workspace, Name: made.Name}
	if made.User.IsZero() {
		out.Agent, out.Instance = made.Agent.ID, made.Key
	} else {
		out.User, out.Key = made.User, made.Key
	}
	return out, nil
}

func denyDevice(x *request, _ none) (api.Done, error) {
	got, err := x.Guard.DenyDevice(x.ctx, x.caller, x.path("code"))
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}
