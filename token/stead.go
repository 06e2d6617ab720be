package token

import (
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// SteadID is the delegation that the issuer makes of a token with MayAct: of one token always the same. raw is the token.
func (c Claims) SteadID(raw string) id.Delegation {
	return id.From[id.Delegation](time.Unix(c.IssuedAt, 0), id.Sum([]byte(raw)))
}

// InStead is what a token with MayAct (RFC 8693 §4.4) lets the issuer lend, and the attestation that it lends by: in the person's name, to the agent that may act,
// all that the token permits, from when it was issued until it expires, under the parent that the token rests on. It says nothing that the token and the parent
// do not, so that whoever has the three can compare. raw is the token, whose claims c are. Code: not_lent, where the parent is not what the token rests on, or does
// not say that the agent may act; those of Statement.Check and delegation.Narrows.
func (c Claims) InStead(raw string, parent delegation.Statement) (delegation.Statement, delegation.Attestation, error) {
	st := delegation.Statement{
		Version: 1, ID: c.SteadID(raw), Issuer: c.Issuer, Workspace: c.Workspace, Delegator: parent.Delegator, Delegate: delegation.Delegate{Agent: c.MayAct},
		Permissions: c.Permissions(), NotBefore: c.IssuedAt, ExpiresAt: c.Expires, Task: parent.Task,
	}
	at := delegation.Attestation{
		Method: delegation.ByMayAct, Issuer: c.Issuer, AuthTime: c.AuthTime, ACR: c.ACR, Token: &delegation.TokenRef{ID: c.ID, SHA256: id.Sum([]byte(raw)), JKT: c.JKT},
	}
	to := parent.Delegate
	if c.MayAct.IsZero() || c.MayAct != parent.MayAct || c.Act == nil || c.Delegation != parent.ID || c.Task != parent.Task || c.Subject != parent.Delegator.User.String() ||
		c.Act.Sub != to.Agent || !to.Instance.IsZero() && to.Instance != c.JKT {
		return st, at, fault.New(fault.Denied, "not_lent", "what the token rests on does not say that the agent may act").Try("have a person lend to it: attorn lend %s", c.MayAct)
	}
	digest, err := parent.Digest()
	if err != nil {
		return st, at, err
	}
	st.Parent = &digest
	return st, at, delegation.Narrows(parent, st)
}
