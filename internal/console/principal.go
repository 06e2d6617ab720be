package console

import (
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/lending"
)

// principal is a person, an agent or a tool on a page: never a name without what identifies it.
type principal struct {
	Kind  string // human, agent, tool, server: the shape
	Name  shown
	ID    string
	Short string
}

func (x *request) principal(sub string) principal {
	p := principal{Kind: "server", ID: sub, Short: sub}
	if u, err := id.Parse[id.User](sub); err == nil {
		p.Kind, p.Short = "human", u.Short()
	} else if a, err := id.Parse[id.Agent](sub); err == nil {
		p.Kind, p.Short = "agent", a.Short()
	} else {
		p.Name = show(sub)
		return p
	}
	name, ok := x.names[sub]
	if !ok {
		name = x.Explain.Name(x.ctx, x.caller.Workspace(), sub)
		x.names[sub] = name
	}
	if p.Name = show(name); name == "" {
		p.Name = show("no name")
	}
	return p
}

// pill is a state as a word with a shape; the colour only repeats it.
type pill struct {
	Kind string // ok, no, wait, plain
	Word string
}

func agentPill(a agents.Agent, x *request) pill {
	switch {
	case a.Status == agents.Active && a.Live(x.now) != nil:
		return pill{"no", "Expired"}
	case a.Status == agents.Active:
		return pill{"ok", "Active"}
	case a.Status == agents.Suspended:
		return pill{"wait", "Suspended"}
	case a.Status == agents.Revoked:
		return pill{"no", "Revoked"}
	}
	return pill{"wait", "Pending"}
}

func instancePill(i agents.Instance, now time.Time) pill {
	switch i.StatusAt(now) {
	case agents.Active:
		return pill{"ok", "Active"}
	case agents.Suspended:
		return pill{"wait", "Suspended"}
	case agents.Expired:
		return pill{"no", "Expired"}
	case agents.Rotated:
		if i.Live(now) == nil {
			return pill{"wait", "Replaced, good for a while"}
		}
		return pill{"plain", "Replaced"}
	}
	return pill{"no", "Revoked"}
}

// chainPill is how a delegation stands, the last of its chain: it may have ended with one above it.
func chainPill(chain []lending.Delegation, status lending.Status, now time.Time) pill {
	switch status {
	case lending.Active:
		if err := lending.Live(chain, now); fault.Code(err) == "delegation_not_yet" {
			return pill{"wait", "Not begun"}
		} else if err != nil {
			return pill{"plain", "Ended above"}
		}
		return pill{"ok", "Active"}
	case lending.Exhausted:
		return pill{"plain", "Used up"}
	case lending.Expired:
		return pill{"plain", "Expired"}
	}
	return pill{"no", "Revoked"}
}

func approvalPill(s approvals.Status) pill {
	switch s {
	case approvals.Pending:
		return pill{"wait", "Waiting"}
	case approvals.Approved:
		return pill{"ok", "Approved"}
	case approvals.Spent:
		return pill{"ok", "Approved and used"}
	case approvals.Denied:
		return pill{"no", "Denied"}
	case approvals.Expired:
		return pill{"plain", "Expired"}
	case approvals.Cancelled:
		return pill{"plain", "Withdrawn"}
	}
	return pill{"plain", "Void"}
}

func outcomePill(o evidence.Outcome) pill {
	switch o {
	case evidence.Permit:
		return pill{"ok", "Permitted"}
	case evidence.OK:
		return pill{"plain", "Done"}
	case evidence.Deny:
		return pill{"no", "Denied"}
	case evidence.Ask:
		return pill{"wait", "Waiting"}
	case evidence.ToolError, evidence.RPCError:
		return pill{"no", "Failed at the tool"}
	case evidence.Cancelled:
		return pill{"plain", "Cancelled"}
	}
	return pill{"no", "Cut off"}
}

// riskPill is how much harm a tool of a class can do; what nobody classified is destroy.
func riskPill(class string) pill {
	switch class {
	case "read":
		return pill{"plain", "Low risk"}
	case "write":
		return pill{"wait", "Medium risk"}
	}
	return pill{"no", "High risk"}
}
