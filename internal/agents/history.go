package agents

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Span is a time: from Since until before Until, or, where that is zero, on.
type Span struct{ Since, Until time.Time }

// Key is the key of an instance with the time in which it was good.
type Key struct {
	Instance
	Until     time.Time // the earliest of its end, its expiry and its agent's; zero: no end is known
	Suspended []Span    // oldest first
}

// History is an agent with a page of all keys that it ever had.
type History struct {
	Agent
	Suspended []Span
	Keys      []Key
}

// History reads an agent of whichever workspace with its keys, ended ones too, in the order of their names: paging as Instances. They are public. A key
// that rests on another instance was suspended with that one, too; this tells of its own line. Code: not_found.
func (room *Room) History(ctx context.Context, agent id.Agent, after id.Key, limit int) (History, error) {
	a, err := room.anywhere(ctx, agent)
	if err != nil {
		return History{}, err
	}
	instances, err := room.Instances(ctx, a.Workspace, a.ID, after, limit)
	if err != nil {
		return History{}, err
	}
	return room.history(ctx, a, instances)
}

// history adds when the agent and its instances were suspended.
func (room *Room) history(ctx context.Context, a Agent, instances []Instance) (History, error) {
	h := History{Agent: a, Keys: make([]Key, len(instances))}
	all, err := room.suspensions(ctx, a.Workspace, a.ID)
	lines := map[id.Key][]Span{}
	for _, s := range all {
		lines[s.key] = append(lines[s.key], s.Span)
	}
	h.Suspended = lines[id.Key{}]
	for i, in := range instances {
		h.Keys[i] = Key{Instance: in, Until: in.Until(), Suspended: lines[in.Line]}
		if u := h.Keys[i].Until; !a.ExpiresAt.IsZero() && (u.IsZero() || a.ExpiresAt.Before(u)) {
			h.Keys[i].Until = a.ExpiresAt
		}
	}
	return h, err
}

// KeysAt reads the keys of an agent that could act at some moment of the second that begins at: in a fixed order, at most as many as an agent has, with
// those that were rotated in that second. Code: not_found.
func (room *Room) KeysAt(ctx context.Context, agent id.Agent, at time.Time) ([]jose.PublicKey, error) {
	a, err := room.anywhere(ctx, agent)
	if err != nil {
		return nil, err
	}
	instances, err := room.during(ctx, a, at, at.Add(time.Second))
	if err != nil {
		return nil, err
	}
	h, err := room.history(ctx, a, instances)
	if err != nil {
		return nil, err
	}
	var keys []jose.PublicKey
	for _, k := range h.Keys {
		if k.Trust != Partner && (k.Until.IsZero() || k.Until.After(at)) && !covers(h.Suspended, at) && !covers(k.Suspended, at) {
			keys = append(keys, k.JWK)
		}
	}
	return keys, nil
}

// covers reports whether one of the times has the whole second that begins at.
func covers(all []Span, at time.Time) bool {
	return slices.ContainsFunc(all, func(s Span) bool {
		return !s.Since.After(at) && (s.Until.IsZero() || !s.Until.Before(at.Add(time.Second)))
	})
}
