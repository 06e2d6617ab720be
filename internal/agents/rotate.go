package agents

import (
	"database/sql"
	"errors"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// MaxGrace is how long an old key may be good beside the one that replaced it.
const MaxGrace = 24 * time.Hour

// Rotation is what Rotate needs.
type Rotation struct {
	Workspace id.Workspace
	Agent     id.Agent
	By        id.Key         // the key that is replaced, which signed the new one
	JWK       jose.PublicKey // the new key, whose holder proved possession
	Grace     time.Duration  // 0 to MaxGrace: how long By stays good
	Held      bool           // the key is, or was, a person's
}

// Rotate replaces the key of an active instance. The new instance is the same running copy: same trust, same parent, same expiry; the old one is
// rotated and ends after the grace. A key has one successor, ever, and a line at most two live keys. Codes: those of Enrol but for
// too_many_instances, not_found for the instance, instance_suspended, instance_expired, instance_rotated, instance_revoked, grace_invalid,
// rotation_in_grace.
func (room *Room) Rotate(tx *audit.Tx, n Rotation) (old, fresh Instance, err error) {
	now := tx.Now()
	if n.Grace < 0 || n.Grace > MaxGrace {
		return old, fresh, fault.New(fault.Invalid, "grace_invalid", "the old key stays good for 0 to %d hours", int(MaxGrace.Hours())).Try("take a shorter grace")
	}
	if n.JWK.Type() != "Ed25519" {
		return old, fresh, notEd25519()
	}
	a, _, err := lockAgent(tx, n.Workspace, n.Agent)
	if err != nil {
		return old, fresh, err
	}
	if err := a.Live(now); err != nil {
		return old, fresh, err
	}
	if n.Held {
		return old, fresh, keyInUse()
	}
	if old, err = replaced(tx, n, now.Add(n.Grace)); err != nil {
		return old, fresh, err
	}
	fresh = Instance{
		Key: n.JWK.Thumbprint(), Workspace: n.Workspace, Agent: n.Agent, JWK: n.JWK, Trust: old.Trust, Status: Active, CreatedAt: stored(now),
		Line: old.Line, Parent: old.Parent, Predecessor: old.Key, Depth: old.Depth, ExpiresAt: old.ExpiresAt, Rule: old.Rule, TokensFrom: old.TokensFrom,
	}
	if ok, err := insertInstance(tx, fresh); err != nil {
		return old, fresh, err
	} else if !ok {
		return old, fresh, keyInUse()
	}
	return old, fresh, nil
}

// replaced makes the old key a rotated one, or says why it is not to be.
func replaced(tx *audit.Tx, n Rotation, end time.Time) (Instance, error) {
	unknown := notFound("instance")
	is, err := lockInstance(tx, n.Workspace, n.By)
	if err != nil {
		return is, err
	}
	if is.Agent != n.Agent {
		return is, unknown
	}
	if err := is.Live(tx.Now()); err != nil {
		return is, err
	}
	if is.Status == Rotated {
		return is, fault.New(fault.Conflict, "instance_rotated", "the key %s has been replaced: a key has one successor, ever", is.Key).
			Try("sign with the key that replaced it; if nobody here made that one, have the instance revoked")
	}
	var grace int64
	err = tx.Row(`SELECT ended_at FROM instance WHERE key = $1 AND ended_at > $2`, is.Predecessor, tx.Now().UnixMicro()).Scan(&grace)
	if err == nil {
		return is, fault.New(fault.Conflict, "rotation_in_grace", "the key that this one replaced is good until %s: two keys of a running copy are live at most",
			time.UnixMicro(grace).UTC().Format(time.RFC3339)).Try("rotate again after that; if a key may be known to others, have the instance revoked and enrol a new one")
	} else if !errors.Is(err, sql.ErrNoRows) {
		return is, err
	}
	return scanInstance(tx.Row(`UPDATE instance SET status = 'rotated', ended_at = $3 WHERE workspace = $1 AND key = $2 AND status = 'active'
		RETURNING `+instanceColumns, n.Workspace, n.By, end.UnixMicro()), unknown)
}
