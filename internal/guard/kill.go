package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Order is what the kill switch is told (authority.md §1).
type Order struct {
	Kind   string // agent, instance, user, delegation, tool or all
	ID     string // of it; a tool is "server:tool", or "server" for all of its tools; "" for all
	Reason string
	Revoke bool // for ever, where that is possible; a delegation always is
	DryRun bool // say what would end, and end nothing
}

// Killed is what became of an order.
type Killed struct {
	Receipt evidence.Receipt // zero after a dry run
	At      time.Time        // when the order came in
	Toll    Toll
	Undo    string // the command that takes it back; "" where it is for ever
}

// Kill ends something and all that descends from it, at once and in one transaction. Codes: those of the kind's own end; order_invalid.
func (g *Guard) Kill(ctx context.Context, c *Caller, o Order) (Killed, error) {
	undo, at := "", g.Now()
	if o.DryRun {
		if err := g.spend(ctx, c); err != nil {
			return Killed{}, err
		}
		c = c.rehearsing()
	}
	t, got, err := g.end(ctx, c, func() (e ending, err error) {
		e, undo, err = g.ordered(ctx, c, o)
		return e, err
	})
	if err != nil {
		return Killed{}, err
	}
	before := got.Rev
	if o.DryRun {
		if before, err = g.Log.Rev(ctx, c.ws); err != nil {
			return Killed{}, err
		}
	}
	if t.Tokens, err = g.tokensUnder(ctx, c.ws, before, o, t); err != nil { // it has ended: how many tokens there were is only told
		t.Tokens = 0
	}
	return Killed{got, at, t, undo}, nil
}

// ordered finds what is to end, and the command that would take it back.
func (g *Guard) ordered(ctx context.Context, c *Caller, o Order) (e ending, undo string, err error) {
	verb := "suspend"
	if o.Revoke {
		verb = "revoke"
	}
	switch o.Kind {
	case "agent":
		agent, err := id.Parse[id.Agent](o.ID)
		if err != nil {
			return e, "", badOrder("the id of an agent begins with agt_")
		}
		e, err = g.endAgent(ctx, c, agent, verb, o.Reason)
		return e, undoing(o, "attorn agent resume "+o.ID), err
	case "instance":
		key, err := id.ParseKey(o.ID)
		if err != nil {
			return e, "", badOrder("the id of an instance is its key's thumbprint")
		}
		e, err = g.endInstance(ctx, c, key, verb, o.Reason)
		return e, undoing(o, "attorn agent resume "+o.ID), err
	case "user":
		user, err := id.Parse[id.User](o.ID)
		if err != nil {
			return e, "", badOrder("the id of a user begins with usr_")
		}
		e, err = g.endPerson(ctx, c, user, verb, o.Reason)
		return e, "attorn user resume " + o.ID, err
	case "delegation":
		d, err := id.Parse[id.Delegation](o.ID)
		if err != nil {
			return e, "", badOrder("the id of a delegation begins with dlg_")
		}
		e, err = g.endDelegation(ctx, c, d, o.Reason)
		return e, "", err
	case "tool":
		if o.Revoke {
			return e, "", badOrder("a tool is suspended, not revoked; to take its server away for ever, remove it")
		}
		server, segment, _ := strings.Cut(o.ID, ":")
		return g.endTool(c, server, segment, verb, o.Reason), "attorn tool resume " + o.ID, nil
	case "all":
		if o.Revoke || o.ID != "" {
			return e, "", badOrder("a workspace is halted as a whole and until it is resumed: it takes no id and is not revoked")
		}
		return g.endAll(c, verb, o.Reason), "attorn workspace resume", nil
	}
	return e, "", badOrder("one can kill an agent, instance, user, delegation, tool or all")
}

func badOrder(reason string) error { return fault.New(fault.Invalid, "order_invalid", "%s", reason) }

func undoing(o Order, command string) string {
	if o.Revoke {
		return ""
	}
	return command
}

// latest is how far back in the log issued tokens are looked for, in events: on a busy server that is less than a token's life, and the count is too low.
const latest = 100_000

// tokensUnder counts the live tokens that ended with an order at a revision: those of the last token's life that have somebody or something on their
// chain that ended, and had not ended before.
func (g *Guard) tokensUnder(ctx context.Context, ws id.Workspace, rev int64, o Order, t Toll) (n int, err error) {
	gone, now := map[string]bool{o.ID: true, evidence.Workspace: o.Kind == "all"}, g.Now().Unix()
	for _, k := range t.Instances {
		gone[k.String()] = true
	}
	for _, d := range t.Delegations {
		gone[d.String()] = true
	}
	before := map[string]bool{}
	err = g.Log.Recent(ctx, ws, rev, latest, g.Now().Add(-g.TokenTTL-skew), func(e evidence.Event) {
		if ends(e) {
			for _, touched := range e.Touches() {
				before[touched] = before[touched] || touched != evidence.Workspace || e.Kind == evidence.WorkspaceChanged
			}
		}
		if e.Kind != evidence.TokenIssued || e.Outcome != evidence.OK || e.Under == nil || e.Under.Token == nil || e.Under.Token.Expires <= now {
			return
		}
		rests := restsOf(e)
		if slices.ContainsFunc(rests, func(s string) bool { return gone[s] }) && !slices.ContainsFunc(rests, func(s string) bool { return before[s] }) {
			n++
		}
	})
	return n, err
}

// ends says whether an event ends tokens; others that touch something do not.
func ends(e evidence.Event) bool {
	switch e.Kind {
	case evidence.AgentSuspended, evidence.AgentRevoked, evidence.InstanceSuspended, evidence.InstanceRevoked, evidence.UserSuspended,
		evidence.DelegationReplaced, evidence.DelegationRevoked, evidence.TokenRevoked:
		return true
	}
	return e.Kind == evidence.WorkspaceChanged && e.What != nil && e.What.Status == "halted"
}

// restsOf is what an issued token rests on, as its event tells it.
func restsOf(e evidence.Event) []string {
	rests := []string{e.Who.Sub, e.Who.Instance.String(), e.Under.Token.ID, e.Under.Delegation.String()}
	for _, h := range e.Who.Chain {
		rests = append(rests, h.Sub, h.Instance.String(), h.Delegation.String())
	}
	if strings.HasPrefix(e.Who.Sub, "agt_") {
		rests = append(rests, evidence.Workspace)
	}
	return slices.DeleteFunc(rests, func(s string) bool { return s == "" })
}
