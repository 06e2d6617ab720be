package agents

import (
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// The bounds of spawning.
const (
	MaxSpawned  = 24 * time.Hour // life of an instance that was spawned
	MaxDepth    = 8              // instances above one another, beside the first
	MaxChildren = 50             // of one running copy, that have not ended
)

// Child is what Spawn needs.
type Child struct {
	Workspace id.Workspace
	By        id.Key         // the parent, which signed the child's key
	Agent     id.Agent       // the child's
	JWK       jose.PublicKey // the child's key, whose holder proved possession
	Until     time.Time      // when it ends at the latest; zero: as late as may be
	Held      bool           // the key is, or was, a person's
}

// Spawn makes an instance below an active one, of the same agent or another one of the workspace: whether it may be is the caller's to decide. It lives
// until the earliest of Until, MaxSpawned and its parent's expiry, and never longer than its parent's line. Codes: those of Enrol, of Instance.Live for the
// parent, not_found, spawn_too_deep, too_many_children.
func (room *Room) Spawn(tx *audit.Tx, n Child) (Instance, error) {
	now := tx.Now()
	parent, err := lockInstance(tx, n.Workspace, n.By)
	if err != nil {
		return Instance{}, err
	}
	if err := parent.Live(now); err != nil {
		return Instance{}, err
	}
	if parent.Status == Rotated {
		return Instance{}, fault.New(fault.Conflict, "instance_rotated", "the key %s has been replaced, and makes no further ones", parent.Key).
			Try("sign with the key that replaced it")
	}
	if parent.Depth >= MaxDepth {
		return Instance{}, fault.New(fault.Denied, "spawn_too_deep", "there are %d instances above %s already, which is the limit", parent.Depth, parent.Key).
			Try("spawn from an instance further up")
	}
	children, err := countChildren(tx, parent.Line)
	if err != nil {
		return Instance{}, err
	}
	if children >= MaxChildren {
		return Instance{}, fault.New(fault.Conflict, "too_many_children", "the instance %s has spawned %d that have not ended, which is the limit", parent.Key, children).
			Try("end those that are done")
	}
	until := now.Add(MaxSpawned)
	for _, t := range []time.Time{n.Until, parent.ExpiresAt} {
		if !t.IsZero() && t.Before(until) {
			until = t
		}
	}
	return enrol(tx, NewInstance{Workspace: n.Workspace, Agent: n.Agent, JWK: n.JWK, Trust: Spawned, ExpiresAt: until, Held: n.Held, parent: &parent})
}

func countChildren(tx *audit.Tx, line id.Key) (n int, err error) {
	err = tx.Row(`SELECT count(*) FROM instance p JOIN instance c ON c.parent = p.key
		WHERE p.line = $1 AND c.expires_at > $2 AND c.status IN ('active', 'suspended')`, line, tx.Now().UnixMicro()).Scan(&n)
	return n, err
}
