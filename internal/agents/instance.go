package agents

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// MaxInstances is how many instances that have not ended an agent may have; an old key in its grace is none beside the new one.
const MaxInstances = 100

// Trust says how an instance came to be trusted.
type Trust string

// The ways to be trusted (authority.md §1). All take a proof of possession of the key.
const (
	Enrolled Trust = "enrolled" // by a one-time token of an administrator or owner
	Device   Trust = "device"   // a person confirmed a code
	Workload Trust = "workload" // an assertion of a trusted platform matched a trust rule
	Spawned  Trust = "spawned"  // an active parent instance signed the key

	// Partner is an agent of another server that is trusted. It acts here under what was lent to the agent alone, with tokens that the other server's word
	// gave it: it is no client, signs no statement and no request without such a token, and is not among the agent's published keys.
	Partner Trust = "partner"
)

// NewInstance is what Enrol needs.
type NewInstance struct {
	Workspace id.Workspace
	Agent     id.Agent
	JWK       jose.PublicKey
	Trust     Trust
	ExpiresAt time.Time // zero: as long as its agent
	Rule      string    // the trust rule that it matched
	Held      bool      // the key is, or was, a person's
	App       bool      // the key is that of an app's DPoP proofs

	parent *Instance // Spawn knows
}

// Instance is one running copy of an agent. It is its key.
type Instance struct {
	Key       id.Key // thumbprint of JWK
	Workspace id.Workspace
	Agent     id.Agent
	JWK       jose.PublicKey
	Trust     Trust
	Status    Status // Active, Suspended, Rotated or Revoked
	CreatedAt time.Time
	EndedAt   time.Time // zero until it is revoked; of a rotated key when its grace ends

	Line        id.Key    // the first key of this running copy: its own, until it is rotated
	Parent      id.Key    // the instance that spawned it
	Predecessor id.Key    // the instance whose key it replaced
	Depth       int       // how many instances are above it
	ExpiresAt   time.Time // zero: as long as its agent
	Rule        string    // the trust rule that it matched
	LastUsedAt  time.Time // to the minute; zero: never. It is told, and nothing rests on it

	TokensFrom int64 // seconds: tokens with an iat up to it have ended, whatever the instance's status
}

// Live is nil while the instance itself may act at now, whatever its agent and what it rests on; else a fault with code instance_suspended,
// instance_expired, instance_rotated or instance_revoked.
func (i Instance) Live(now time.Time) error {
	switch {
	case i.Status != Revoked && i.expired(now):
		return fault.New(fault.Unauthenticated, "instance_expired", "the instance %s expired at %s", i.Key, i.ExpiresAt.UTC().Format(time.RFC3339)).
			Try("enrol a new key")
	case i.Status == Active, i.Status == Rotated && now.Before(i.EndedAt):
		return nil
	case i.Status == Rotated:
		return fault.New(fault.Unauthenticated, "instance_rotated", "the key %s was replaced by a newer one, and ended at %s", i.Key, i.EndedAt.UTC().Format(time.RFC3339)).
			Try("sign with the new key")
	case i.Status == Suspended:
		return fault.New(fault.Unauthenticated, "instance_suspended", "the instance %s is suspended", i.Key).
			Try("ask its owner or an administrator to resume it")
	}
	return fault.New(fault.Unauthenticated, "instance_revoked", "the instance %s was revoked; that is final", i.Key).Try("enrol a new key")
}

// Enrol makes a key an instance of the agent, active at once. That the key's holder proved possession is the caller's to check, and so is
// whether the key is, or was, a person's: Held says so (package people knows), and then it is refused. Only Ed25519 keys are instances; but an
// app's, which a person trusts as a device, may be a P-256 key. Such a one proves requests by DPoP: it authenticates no client, signs no messages and
// vouches for no other key.
// Codes: not_found for the agent, agent_pending, agent_suspended, agent_revoked, agent_expired, agent_invalid, alg_unsupported, key_in_use,
// too_many_instances.
func (room *Room) Enrol(tx *audit.Tx, n NewInstance) (Instance, error) {
	if n.Trust == Spawned {
		return Instance{}, invalid("an instance is spawned by an instance")
	}
	return enrol(tx, n)
}

func enrol(tx *audit.Tx, n NewInstance) (Instance, error) {
	now := tx.Now()
	if kind := n.JWK.Type(); kind != "Ed25519" && (kind != "P-256" || !n.App || n.Trust != Device) {
		return Instance{}, notEd25519()
	}
	if !slices.Contains([]Trust{Enrolled, Device, Workload, Spawned, Partner}, n.Trust) {
		return Instance{}, invalid("no instance comes to be trusted as %q", n.Trust)
	}
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now) {
		return Instance{}, invalid("the instance's end lies in the past")
	}
	a, live, err := lockAgent(tx, n.Workspace, n.Agent)
	if err != nil {
		return Instance{}, err
	}
	if err := a.Live(now); err != nil {
		return Instance{}, err
	}
	if n.Held {
		return Instance{}, keyInUse()
	}
	if live >= MaxInstances {
		return Instance{}, tooMany(n.Agent)
	}
	i := Instance{
		Key: n.JWK.Thumbprint(), Workspace: n.Workspace, Agent: n.Agent, JWK: n.JWK, Trust: n.Trust, Status: Active, CreatedAt: stored(now),
		Line: n.JWK.Thumbprint(), ExpiresAt: stored(n.ExpiresAt), Rule: n.Rule,
	}
	if n.parent != nil {
		i.Parent, i.Depth = n.parent.Key, n.parent.Depth+1
	}
	if ok, err := insertInstance(tx, i); err != nil {
		return Instance{}, err
	} else if !ok {
		return Instance{}, keyInUse()
	}
	return i, nil
}

func tooMany(agent id.Agent) error {
	return fault.New(fault.Conflict, "too_many_instances", "agent %s has %d instances that have not ended, which is the limit", agent, MaxInstances).
		Try("revoke instances that no longer run")
}

func notEd25519() error {
	return fault.New(fault.Invalid, "alg_unsupported", "an instance's key is an Ed25519 key").Try("make an Ed25519 key pair")
}

func keyInUse() error {
	return fault.New(fault.Conflict, "key_in_use", "this key names somebody already, or did: a key is enrolled once").Try("make a new key pair")
}

// Known reports whether the key is or was an instance of any agent, in any workspace, so that nobody else is given its name.
func (room *Room) Known(tx *audit.Tx, key id.Key) (bool, error) { return known(tx, key) }

// Taken is Known outside a change, which may find something else a moment later.
func (room *Room) Taken(ctx context.Context, key id.Key) (bool, error) { return room.taken(ctx, key) }

// Instance reads the instance that is key. A thumbprint is the name itself, the same in every workspace, and the caller proved or saw the
// key; whoever reads on behalf of a workspace compares Instance.Workspace. Code: instance_unknown.
func (room *Room) Instance(ctx context.Context, key id.Key) (Instance, error) {
	return room.instance(ctx, key)
}

// Instances reads the instances of an agent of the workspace, revoked ones too, in a fixed order: paging as List.
func (room *Room) Instances(ctx context.Context, ws id.Workspace, agent id.Agent, after id.Key, limit int) ([]Instance, error) {
	return room.listInstances(ctx, ws, agent, after, page(limit))
}

// Latest reads an agent's instances that have not ended at now, all of them, and then those that came last, 200 at most.
func (room *Room) Latest(ctx context.Context, ws id.Workspace, agent id.Agent, now time.Time) ([]Instance, error) {
	found, err := room.lasting(ctx, ws, agent, now)
	if err != nil {
		return nil, err
	}
	more, err := room.latest(ctx, ws, agent)
	for _, i := range more {
		if len(found) < maxPage && !slices.ContainsFunc(found, func(f Instance) bool { return f.Key == i.Key }) {
			found = append(found, i)
		}
	}
	return found, err
}

// Anywhere reads an agent of whichever workspace it is, for who was told its id by the agent itself. Code: not_found.
func (room *Room) Anywhere(ctx context.Context, agent id.Agent) (Agent, error) {
	return room.anywhere(ctx, agent)
}

// LiveKeys reads the keys of the agent's instances that may act at now, in a fixed order: none where the agent may not. They are public, and
// so is the agent's id, in whichever workspace it is. Code: not_found.
func (room *Room) LiveKeys(ctx context.Context, agent id.Agent, now time.Time) ([]jose.PublicKey, error) {
	a, err := room.anywhere(ctx, agent)
	if err != nil || a.Live(now) != nil {
		return nil, err
	}
	instances, err := room.active(ctx, a, now)
	if err != nil {
		return nil, err
	}
	stopped, err := room.stopped(ctx, a, now)
	keys := make([]jose.PublicKey, 0, len(instances))
	for _, in := range instances {
		if !slices.Contains(stopped, in.Key) && in.Trust != Partner {
			keys = append(keys, in.JWK)
		}
	}
	return keys, err
}

func instanceUnknown() error {
	return fault.New(fault.Unauthenticated, "instance_unknown", "no instance has this key").Try("enrol the key first, or sign with the key that was enrolled")
}
