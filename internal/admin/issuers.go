package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
)

func trustIssuer(x *request, in api.NewTrustedIssuer) (api.TrustedIssuer, error) {
	r, _, err := x.Guard.TrustIssuer(x.ctx, x.caller, lending.Issuer{
		URL: in.Issuer, Prefix: in.Prefix, Agents: in.Agents, Agent: in.Agent, Delegation: in.Delegation, KeySet: in.KeySet, AllowPrivate: in.AllowPrivate,
		ExpiresAt: in.Expires,
	})
	if err != nil {
		return api.TrustedIssuer{}, err
	}
	return trustedIssuerOf(guard.TrustedIssuer{Issuer: r, Stands: r.Delegation}), nil
}

func trustedIssuers(x *request, _ none) (api.List[api.TrustedIssuer], error) {
	var none api.List[api.TrustedIssuer]
	after, err := read(id.Parse[id.Issuer], "after", x.query.Get("after"))
	if err != nil {
		return none, err
	}
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.TrustedIssuers(x.ctx, x.caller, after, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, trustedIssuerOf, func(r guard.TrustedIssuer) string { return r.ID.String() }), nil
}

func (x *request) issuer() (id.Issuer, error) {
	return read(id.Parse[id.Issuer], "id", x.path("id"))
}

func oneTrustedIssuer(x *request, _ none) (api.TrustedIssuer, error) {
	rule, err := x.issuer()
	if err != nil {
		return api.TrustedIssuer{}, err
	}
	r, err := x.Guard.TrustedIssuer(x.ctx, x.caller, rule)
	if err != nil {
		return api.TrustedIssuer{}, err
	}
	return trustedIssuerOf(r), nil
}

func removeIssuer(x *request, _ none) (api.Done, error) {
	rule, err := x.issuer()
	if err != nil {
		return api.Done{}, err
	}
	_, got, err := x.Guard.RemoveIssuer(x.ctx, x.caller, rule)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func trustedIssuerOf(r guard.TrustedIssuer) api.TrustedIssuer {
	digest, _ := r.Digest() // it was stored by its bytes
	return api.TrustedIssuer{
		ID: r.ID, Digest: digest, Issuer: r.URL, Prefix: r.Prefix, Agents: r.Agents, Agent: r.Agent, Delegation: r.Delegation, KeySet: r.KeySet,
		Stands: r.Stands, Closed: r.Closed, AllowPrivate: r.AllowPrivate, Expires: r.ExpiresAt, MadeBy: r.MadeBy, Created: when(r.CreatedAt),
	}
}
