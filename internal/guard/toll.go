package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
)

// Toll is what ended with something: all that descends from it. What had ended before is not in it.
type Toll struct {
	Instances   []id.Key
	Delegations []id.Delegation
	Approvals   []id.Approval
	Sessions    int64 // of the console
	Tokens      int   // live ones of the latest issued; Kill alone counts them
}

// maxEnded bounds, in bytes, the list of what ended that an event holds, and maxList the one that is kept beside it: an event is small. One that does not
// list all ends whatever anybody keeps of the workspace (evidence.Event.Touches), and a permit depends on its whole chain anyway.
const (
	maxEnded = 18 << 10
	maxList  = 1 << 20
)

// record notes in the event what ended beside what it is about.
func (t *Toll) record(tx *audit.Tx) {
	about := t.tell(*tx.Event().What, tx.Keep)
	tx.Event().What = &about
}

// tell is what an event is about, with what ended beside it. The list that is too long for it is kept.
func (t *Toll) tell(about evidence.What, keep func(evidence.Content)) evidence.What {
	var all []string
	for _, k := range t.Instances {
		if k != about.Instance {
			all = append(all, k.String())
		}
	}
	for _, d := range t.Delegations {
		if d != about.Delegation {
			all = append(all, d.String())
		}
	}
	if len(all) == 0 {
		return about
	}
	list, n := strings.Join(all, "\n")+"\n", 0
	for bytes := 0; n < len(all) && bytes+len(all[n])+3 <= maxEnded; n++ {
		bytes += len(all[n]) + 3
	}
	about.Ended = slices.Clone(all[:n])
	if n < len(all) {
		about.Count = int64(len(all))
		if len(list) <= maxList {
			doc := evidence.ContentOf([]byte(list))
			keep(doc)
			about.List = doc.Digest
		}
	}
	return about
}

// lent ends what rests on these, or makes it stand still, and the approvals that rest on that.
func (g *Guard) lent(tx *audit.Tx, ws id.Workspace, t *Toll, of lending.Of, revoke bool, by, why string) error {
	all, live, err := g.Lending.Standing(tx, ws, of)
	if err != nil {
		return err
	}
	t.Delegations = live
	if revoke {
		if t.Delegations, err = g.Lending.RevokeAll(tx, ws, of, by, why); err != nil {
			return err
		}
	}
	return g.void(tx, ws, t, approvals.Ground{Delegations: all})
}

func (g *Guard) void(tx *audit.Tx, ws id.Workspace, t *Toll, ground approvals.Ground) error {
	ended, err := g.Approvals.VoidAll(tx, ws, ground)
	t.Approvals = append(t.Approvals, ended...)
	return err
}

// voidAsked ends what the instances that ended had asked for themselves, of one agent or of several that they are of.
func (g *Guard) voidAsked(ctx context.Context, tx *audit.Tx, ws id.Workspace, t *Toll, of map[id.Agent]bool) error {
	for agent := range of {
		asks, err := g.Approvals.Asks(tx, ws, agent.String())
		if err != nil {
			return err
		}
		for approval, asked := range asks {
			e, err := g.Log.Event(ctx, ws, asked) // committed long before this transaction
			if err != nil && fault.Code(err) != "not_found" {
				return err
			}
			if err == nil && !slices.Contains(t.Instances, e.Who.Instance) {
				continue
			}
			if err := g.void(tx, ws, t, approvals.Ground{Approval: approval}); err != nil {
				return err
			}
		}
	}
	return nil
}

// familyOf is what stands and falls with an agent's instances, or with one of them, and what these signed and were lent. It is read before they end.
func (g *Guard) familyOf(tx *audit.Tx, ws id.Workspace, t *Toll, agent id.Agent, instance id.Key) (of lending.Of, whose map[id.Agent]bool, err error) {
	members, err := g.Agents.Family(tx, ws, agent, instance)
	if err != nil {
		return of, nil, err
	}
	whose = map[id.Agent]bool{}
	if instance.IsZero() {
		of.Principals = []string{agent.String()}
	}
	for _, m := range members {
		if m.Live {
			t.Instances, whose[m.Agent] = append(t.Instances, m.Key), true
		}
		if !instance.IsZero() || m.Agent != agent {
			of.Keys = append(of.Keys, m.Key)
		}
	}
	return of, whose, nil
}
