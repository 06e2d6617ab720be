package agents

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Rotated is the status of a key that another one has replaced: it is good until EndedAt, and never again. Only an active instance is rotated, once.
//
// The keys that replaced one another are a line, which is one running copy for ever; its head is the one that none has replaced. What is done to any of
// them is done to the running copy: whoever stole a key and rotated it must not keep it.
const Rotated Status = "rotated"

// Expired is a status that is never stored: it follows from ExpiresAt.
const Expired Status = "expired"

// StatusAt is how the instance stands at now, by itself: Expired where its time is over.
func (i Instance) StatusAt(now time.Time) Status {
	if i.Status != Revoked && i.Status != Rotated && i.expired(now) {
		return Expired
	}
	return i.Status
}

func (i Instance) expired(now time.Time) bool {
	return !i.ExpiresAt.IsZero() && !now.Before(i.ExpiresAt)
}

// Until is when the key's time is over, as far as that is known: the earlier of its end and its expiry. Zero: no end is known.
func (i Instance) Until() time.Time {
	if i.EndedAt.IsZero() || !i.ExpiresAt.IsZero() && i.ExpiresAt.Before(i.EndedAt) {
		return i.ExpiresAt
	}
	return i.EndedAt
}

// Standing is an instance and its agent with all that they rest on: the head of its line, and whoever spawned it, up to an instance that nobody
// spawned. Instance.TokensFrom is the latest of all of those instances', and of the agents' above.
type Standing struct {
	Agent    Agent
	Instance Instance
	Rests    []string  // the keys and agents that it rests on beside its own two
	Until    time.Time // when time alone ends it, as far as that is known; zero: never
}

func (s *Standing) endsBy(times ...time.Time) {
	for _, t := range times {
		if !t.IsZero() && (s.Until.IsZero() || t.Before(s.Until)) {
			s.Until = t
		}
	}
}

// Acting reads who the key is, if they may act at now: the instance, its agent, and all that it rests on. Codes: instance_unknown, instance_suspended,
// instance_expired, instance_rotated, instance_revoked, agent_pending, agent_suspended, agent_revoked, agent_expired, parent_ended.
func (room *Room) Acting(ctx context.Context, key id.Key, now time.Time) (Standing, error) {
	return room.standing(ctx, key, now, false)
}

// Signed is Acting for the key under something that was accepted earlier: a key that was rotated since does not void what it signed while it was live,
// as long as its line lives.
func (room *Room) Signed(ctx context.Context, key id.Key, now time.Time) (Standing, error) {
	return room.standing(ctx, key, now, true)
}

// Live is Acting for whoever needs nothing else.
func (room *Room) Live(ctx context.Context, key id.Key, now time.Time) (Agent, Instance, error) {
	s, err := room.Acting(ctx, key, now)
	return s.Agent, s.Instance, err
}

func (room *Room) standing(ctx context.Context, key id.Key, now time.Time, before bool) (Standing, error) {
	a, i, err := room.both(ctx, key)
	if err != nil {
		return Standing{}, err
	}
	if a.Status == Revoked { // which is why the instance is revoked, too
		return Standing{}, a.Live(now)
	}
	if i.Status != Rotated || !before {
		if err := i.Live(now); err != nil {
			return Standing{}, err
		}
	}
	if err := a.Live(now); err != nil {
		return Standing{}, err
	}
	s := Standing{Agent: a, Instance: i}
	s.endsBy(a.ExpiresAt)
	if i.Status != Rotated || !before {
		s.endsBy(i.Until())
	}
	if i.Status != Rotated && i.Parent.IsZero() {
		return s, nil
	}
	return s, room.rests(ctx, &s, now)
}

// rests reads the heads of the lines that an instance rests on, its own first.
func (room *Room) rests(ctx context.Context, s *Standing, now time.Time) error {
	up, err := room.above(ctx, s.Instance.Key)
	if err != nil {
		return err
	}
	for n, p := range up {
		err := p.Instance.Live(now)
		if err == nil {
			err = p.Agent.Live(now)
		}
		if err != nil && n > 0 {
			err = fault.Wrap(err, fault.Unauthenticated, "parent_ended", "the instance %s lives no longer than %s, from which it descends: %v", s.Instance.Key, p.Instance.Key, err).
				Try("spawn or enrol a new one")
		}
		if err != nil {
			*s = Standing{}
			return err
		}
		s.endsBy(p.Instance.Until(), p.Agent.ExpiresAt)
		s.Instance.TokensFrom = max(s.Instance.TokensFrom, p.Instance.TokensFrom)
		if p.Instance.Key != s.Instance.Key {
			s.Rests = append(s.Rests, p.Instance.Key.String())
		}
		if n > 0 {
			s.Instance.TokensFrom = max(s.Instance.TokensFrom, p.Agent.TokensFrom)
			s.Rests = append(s.Rests, p.Agent.ID.String())
		}
	}
	return nil
}

// Line reads the keys of the running copy that key is one of, the first one first: at most maxLine, the newest. Code: not_found.
func (room *Room) Line(ctx context.Context, ws id.Workspace, key id.Key) ([]Instance, error) {
	found, err := room.line(ctx, ws, key)
	if err == nil && len(found) == 0 {
		err = notFound("instance")
	}
	return found, err
}

// Head reads the instance that stands for key's running copy now. Code: not_found.
func (room *Room) Head(ctx context.Context, ws id.Workspace, key id.Key) (Instance, error) {
	return scanInstance(room.r.Row(ctx, headOf, ws, key), notFound("instance"))
}

// SuspendInstance stops the running copy that key is of, and with it what it spawned, until ResumeInstance. The instance that it returns, here and
// below, is the line's head. Codes: not_found, wrong_state.
func (room *Room) SuspendInstance(tx *audit.Tx, ws id.Workspace, key id.Key) (Instance, error) {
	return moveInstance(tx, ws, key, Active, Suspended)
}

// ResumeInstance ends a suspension. Codes: not_found, wrong_state.
func (room *Room) ResumeInstance(tx *audit.Tx, ws id.Workspace, key id.Key) (Instance, error) {
	return moveInstance(tx, ws, key, Suspended, Active)
}

// RevokeInstance ends the running copy that key is of, and all that it spawned, for ever. Codes: not_found, wrong_state.
func (room *Room) RevokeInstance(tx *audit.Tx, ws id.Workspace, key id.Key) (Instance, error) {
	head, err := scanInstance(tx.Row(headOf+tx.ForUpdate(), ws, key), notFound("instance"))
	if err != nil {
		return head, err
	}
	if head.Status == Revoked {
		return head, wrongState("instance "+head.Key.String(), Revoked, Revoked)
	}
	if err := revokeFamily(tx, ws, head.Agent, head.Key); err != nil {
		return head, err
	}
	return revokeInstance(tx, ws, head.Key)
}

// Member is a key of a family.
type Member struct {
	Agent id.Agent
	Key   id.Key
	Live  bool // it has not ended, though it may be suspended
}

// Family lists, inside the transaction, the keys that stand and fall with an agent's instances, or with the line of one of them: all keys of these
// lines, and of the live lines that they spawned, of whichever agent. It is read before they end.
func (room *Room) Family(tx *audit.Tx, ws id.Workspace, agent id.Agent, key id.Key) ([]Member, error) {
	return family(tx, ws, agent, key)
}
