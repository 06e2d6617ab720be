package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/keyring"
)

// The life of an issuer's key (oauth.md §10): how long it signs, and how long before that it is published, so that every verifier has it.
const (
	keyLife = 90 * 24 * time.Hour
	keyLead = 24 * time.Hour
)

// FirstKey makes and publishes the issuer's key at the first start: a key that is not in the log signs nothing.
func (g *Guard) FirstKey(ctx context.Context) error {
	if _, err := g.Ring.Current(ctx, keyring.ForTokens); fault.Code(err) != "no_key" {
		return err
	}
	k, err := g.Ring.Make(keyring.ForTokens, g.Now())
	if err != nil {
		return err
	}
	d := ownKey(evidence.KeyPublished, k, k.Created)
	_, err = g.Log.Record(ctx, d, func(tx *audit.Tx) error { return g.Ring.Store(tx, k) })
	if fault.Code(err) == "key_exists" { // another process starts for the first time, too
		return nil
	}
	return err
}

// SweepKeys keeps the issuer's keys to their schedule: a day before a key has signed for 90 days the next one is published, and then takes over. It also
// ends what was begun: a rotation whose process stopped between publishing a key and turning to it. It is the server's own act, called each minute
// on every node; one of them does what is due.
func (g *Guard) SweepKeys(ctx context.Context) error {
	all, err := g.Ring.All(ctx, keyring.ForTokens)
	if err != nil {
		return err
	}
	var current, next keyring.State
	for _, k := range all {
		switch k.Status {
		case keyring.Current:
			current = k
		case keyring.Next:
			next = k
		}
	}
	now := g.Now()
	switch {
	case current.Key == nil:
		return g.FirstKey(ctx)
	case next.Key != nil && !now.Before(next.SignsFrom):
		_, err = g.turn(ctx, current.Key, next.Key)
	case next.Key == nil && !now.Before(current.SignsFrom.Add(keyLife-keyLead)):
		err = g.publishNext(ctx, current)
	}
	switch fault.Code(err) {
	case "key_rotated", "key_published": // by another node
		return nil
	}
	return err
}

func (g *Guard) publishNext(ctx context.Context, current keyring.State) error {
	now := g.Now()
	from := current.SignsFrom.Add(keyLife)
	if earliest := now.Add(keyLead); from.Before(earliest) {
		from = earliest
	}
	k, err := g.Ring.Make(keyring.ForTokens, now)
	if err != nil {
		return err
	}
	_, err = g.Log.Record(ctx, ownKey(evidence.KeyPublished, k, from), func(tx *audit.Tx) error { return g.Ring.Publish(tx, k, current.Kid, from) })
	return err
}

// turn has the next key sign from now on, and ends the one until now: in the order of events of every workspace, so that in none of them anything is
// signed with a key that has ended. What is to become of the old key was said when the new one was published.
func (g *Guard) turn(ctx context.Context, old, next *keyring.Key) (evidence.Receipt, error) {
	published, err := g.Log.First(ctx, id.Server, evidence.KeyPublished, next.Kid.String())
	if err != nil {
		return evidence.Receipt{}, err
	}
	as := keyring.Retired
	if published.What.Status == evidence.KeyCompromised {
		as = keyring.Compromised
	}
	d := ownKey(evidence.KeyRetired, old, time.Time{})
	d.Everywhere, d.Cause = true, published.ID
	what := *d.What
	what.Status = string(as)
	return g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		if err := g.Ring.Turn(tx, old.Kid, next.Kid, as, tx.Now()); err != nil {
			return err
		}
		final := what
		if as == keyring.Retired {
			final.Until = tx.Now().Add(inJWKS).UnixMicro()
		} else {
			ended, err := g.Ring.Condemn(tx, keyring.ForTokens, tx.Now().Add(-inJWKS))
			if err != nil {
				return err
			}
			for _, k := range ended {
				final.Ended = append(final.Ended, k.String())
			}
		}
		tx.Event().What = &final
		return nil
	})
}

// ownKey begins the event of an act of the server's own on one of its keys.
func ownKey(kind evidence.Kind, k *keyring.Key, from time.Time) evidence.Draft {
	d := evidence.Draft{Workspace: id.Server, Target: k.Kid.String()}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = kind, evidence.OK, evidence.ServerSub, "server"
	d.What = &evidence.What{Key: &k.Public, Use: keyring.ForTokens}
	if !from.IsZero() {
		d.What.From = from.UnixMicro()
	}
	return d
}

// Rotation says how the issuer's key is to be changed: by itself, a new key is published and signs in a day.
type Rotation struct {
	Now         bool         // the new key signs at once
	Compromised bool         // and whoever has the old one, or one before it that is still published, can do nothing with it: tokens that they signed end
	Log         id.Workspace // instead of the issuer's: the key of this workspace's log, which goes on in a new shard at once
	Reason      string       // for a rotation that is not the ordinary one
}

// RotateKey changes the issuer's key, and returns the new one. Codes: those of a refusal, and key_published, key_rotated.
func (g *Guard) RotateKey(ctx context.Context, c *Caller, r Rotation) (keyring.State, evidence.Receipt, error) {
	if !r.Log.IsZero() {
		return g.rotateLog(ctx, c, r)
	}
	var none keyring.State
	current, err := g.Ring.Current(ctx, keyring.ForTokens)
	if err != nil {
		return none, evidence.Receipt{}, err
	}
	now := g.Now()
	k, err := g.Ring.Make(keyring.ForTokens, now)
	if err != nil {
		return none, evidence.Receipt{}, err
	}
	r.Now = r.Now || r.Compromised
	from := now
	if !r.Now {
		from = now.Add(keyLead)
	}
	as := keyring.Retired
	if r.Compromised {
		as = keyring.Compromised
	}
	d := ownKey(evidence.KeyPublished, k, from)
	d.What.Status = string(as)
	a := act{
		action: "attorn:key:rotate", noun: "key:" + keyring.ForTokens, kind: d.Kind, target: d.Target, what: d.What, also: []id.Workspace{id.Server},
		personal: g.reason(c, r.Reason),
	}
	if err := g.serverWide(c); err != nil {
		return none, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		if r.Now { // a key that waits for its turn gives way
			if err := g.Ring.Withdraw(tx, keyring.ForTokens, as, tx.Now()); err != nil {
				return err
			}
		}
		return g.Ring.Publish(tx, k, current.Kid, from)
	})
	if err != nil {
		return none, got, err
	}
	if r.Now {
		_, err := g.turn(ctx, current.Key, k)
		if err != nil && fault.Code(err) != "key_rotated" { // where the sweep was faster, it is done
			return none, got, err
		}
	}
	st, err := g.Ring.State(ctx, k.Kid)
	return st, got, err
}

// rotateLog has a log go on in a new shard, under another key. What was asked is recorded first; the log itself says the rest.
func (g *Guard) rotateLog(ctx context.Context, c *Caller, r Rotation) (keyring.State, evidence.Receipt, error) {
	var none keyring.State
	a := act{
		action: "attorn:key:rotate", noun: "key:log:" + r.Log.String(), kind: evidence.DecisionMade, target: r.Log.String(), what: &evidence.What{Use: evidence.UseLog},
		also: []id.Workspace{id.Server}, personal: g.reason(c, r.Reason),
	}
	if err := g.serverWide(c); err != nil {
		return none, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	head, err := g.Log.Head(ctx, r.Log)
	if err != nil {
		return none, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	roll := audit.Roll{Workspace: r.Log, From: head.Log, As: keyring.Retired}
	if r.Compromised {
		roll.As = keyring.Compromised
	}
	what := *a.what
	what.Status, a.what = string(roll.As), &what
	got, err := g.do(ctx, c, a, nil)
	if err != nil {
		return none, got, err
	}
	roll.Cause = got.ID
	if err := g.Log.Roll(ctx, roll); err != nil {
		return none, got, err
	}
	if head, err = g.Log.Head(ctx, r.Log); err != nil {
		return none, got, err
	}
	st, err := g.Ring.Current(ctx, head.Shard.Origin)
	return st, got, err
}

// Keys lists the server's own keys, oldest first, with the logs' keys among them.
func (g *Guard) Keys(ctx context.Context, c *Caller) ([]keyring.State, error) {
	a := act{action: "attorn:key:read", noun: "key"}
	if err := g.serverWide(c); err != nil {
		return nil, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	if err := g.may(ctx, c, a); err != nil {
		return nil, err
	}
	return g.Ring.All(ctx, "")
}

// serverWide keeps what belongs to the whole server to the workspace that its first administrator is of: to administer another one is no right to it.
func (g *Guard) serverWide(c *Caller) error {
	if c.ws == id.Default {
		return nil
	}
	return fault.New(fault.Denied, "server_act", "the server's keys are changed by its administrators, in the workspace %s", id.Default).
		Try("use an account in the workspace %s", id.Default)
}
