package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
)

func serverKeys(x *request, _ none) (api.List[api.ServerKey], error) {
	found, err := x.Guard.Keys(x.ctx, x.caller)
	return page(found, 0, x.keyOf, nil), err
}

func (x *request) keyOf(k keyring.State) api.ServerKey {
	out := api.ServerKey{
		Key: k.Kid, Use: evidence.UseToken, JWK: k.Public, Status: string(k.Status), Published: guard.Published(k, x.Guard.Now()),
		SignsFrom: when(k.SignsFrom), Created: when(k.Created), Ended: when(k.Ended),
	}
	if k.Purpose != keyring.ForTokens {
		out.Use, out.Log = evidence.UseLog, k.Purpose
	}
	return out
}

func rotateKey(x *request, in api.RotateKey) (api.RotatedKey, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	switch {
	case err != nil:
		return api.RotatedKey{}, err
	case why == "" && (in.Now || in.Compromised || !in.Log.IsZero()):
		return api.RotatedKey{}, fault.New(fault.Invalid, "reason_missing", "a rotation that is not the ordinary one needs a reason").Try("say why: --reason …")
	}
	made, got, err := x.Guard.RotateKey(x.ctx, x.caller, guard.Rotation{Now: in.Now, Compromised: in.Compromised, Log: in.Log, Reason: why})
	if err != nil {
		return api.RotatedKey{}, err
	}
	return api.RotatedKey{ServerKey: x.keyOf(made), Event: got.ID, Rev: got.Rev}, nil
}
