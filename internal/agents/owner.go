package agents

import (
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Grace is how long an agent whose owner cannot act goes on getting tokens: time to find it another.
const Grace = 30 * 24 * time.Hour

// Accountable is nil while somebody answers for the agent at now, or did until less than Grace ago; else the fault agent_ownerless. It is asked where
// authority begins: for new tokens, and for signatures that act without one.
func (a Agent) Accountable(now time.Time) error {
	if a.OwnerlessSince.IsZero() || now.Before(a.OwnerlessSince.Add(Grace)) {
		return nil
	}
	return fault.New(fault.Denied, "agent_ownerless", "nobody has answered for agent %s since %s: its owner is suspended or no member of the workspace",
		a.ID, a.OwnerlessSince.UTC().Format(time.RFC3339)).Try("have an administrator find it an owner: attorn agent owner %s USER --assign", a.Name)
}

// Assign makes somebody the owner at once, and ends an offer. Whether they may have it, and whether they agreed, is the caller's to check. Codes:
// not_found, wrong_state for an agent that has ended, unchanged.
func (room *Room) Assign(tx *audit.Tx, ws id.Workspace, agent id.Agent, owner id.User) (Agent, error) {
	a, err := liveForChange(tx, ws, agent)
	if err != nil {
		return a, err
	}
	if a.Owner == owner {
		return a, fault.New(fault.Conflict, "unchanged", "the agent's owner is %s already", owner).Try("there is nothing to do")
	}
	return setOwner(tx, ws, agent, owner)
}

// Offer offers the agent to somebody, who becomes its owner when they accept; an offer to its owner takes an earlier one back. Codes: not_found,
// wrong_state for an agent that has ended, unchanged.
func (room *Room) Offer(tx *audit.Tx, ws id.Workspace, agent id.Agent, to id.User) (Agent, error) {
	a, err := liveForChange(tx, ws, agent)
	if err != nil {
		return a, err
	}
	if to == a.Owner {
		to = id.User{}
	}
	if a.Offered == to {
		return a, fault.New(fault.Conflict, "unchanged", "the agent is offered to nobody else already").Try("there is nothing to do")
	}
	return setOffered(tx, ws, agent, to)
}

// Accept makes who was offered the agent its owner. Codes: not_found, wrong_state for an agent that has ended, not_offered.
func (room *Room) Accept(tx *audit.Tx, ws id.Workspace, agent id.Agent, owner id.User) (Agent, error) {
	a, err := liveForChange(tx, ws, agent)
	if err != nil {
		return a, err
	}
	if a.Offered != owner || owner.IsZero() {
		return a, fault.New(fault.Conflict, "not_offered", "the agent is not offered to %s", owner).Try("ask its owner to offer it: attorn agent owner %s %s", a.Name, owner)
	}
	return setOwner(tx, ws, agent, owner)
}

// OwnerGone notes that a person cannot answer for agents any more: suspended (ws is zero: anywhere), or no member of ws. Who is gone already stays
// gone since then.
func (room *Room) OwnerGone(tx *audit.Tx, ws id.Workspace, owner id.User) error {
	_, err := tx.Exec(`INSERT INTO owner_gone (owner, workspace, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, owner, ws.String(), tx.Now().UnixMicro())
	return err
}

// OwnerBack takes OwnerGone back.
func (room *Room) OwnerBack(tx *audit.Tx, ws id.Workspace, owner id.User) error {
	_, err := tx.Exec(`DELETE FROM owner_gone WHERE owner = $1 AND workspace = $2`, owner, ws.String())
	return err
}
