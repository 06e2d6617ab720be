package evidence

import (
	"fmt"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

const (
	maxGrace   = 24 * time.Hour // of an old key
	maxSpawned = 24 * time.Hour // life of a spawned instance
	maxLineage = 1000           // keys that vouched for one another
)

// moment is a place in the workspace's log, and its time.
type moment struct{ rev, at int64 }

// origin is what is known of a key that was an instance's.
type origin struct {
	made    *entry // that made it one
	key     jose.PublicKey
	expires int64 // microseconds; 0: not by itself
}

// makesKey reports whether the event made a key an instance.
func (e Event) makesKey() bool {
	return e.Kind == InstanceEnrolled || e.Kind == InstanceSpawned || e.Kind == InstanceRotated
}

// instanceKey establishes that a key was an instance of the agent at a moment: the log had said so before, the key was enrolled, or a key that was live
// itself vouched for it, and so on up to one that was enrolled; and no other key had replaced it.
func (v *verifier) instanceKey(agent id.Agent, key id.Key, when moment, depth int) (origin, error) {
	made := v.before(when.rev, func(e *entry) bool { return e.makesKey() && e.What.Instance == key })
	switch {
	case made == nil && v.before(1<<62, func(e *entry) bool { return e.makesKey() && e.What.Instance == key }) != nil:
		return origin{}, wrong("the key %s was no instance's yet at #%d", key.Short(), when.rev)
	case made == nil:
		return origin{}, notShown("the enrolment of the instance %s is not in the pack", key.Short())
	case made.What.Agent != agent:
		return origin{}, wrong("the instance %s was enrolled for %s, not for %s", key.Short(), made.What.Agent, agent)
	case made.What.Key == nil || made.What.Key.Thumbprint() != key:
		return origin{}, wrong("the instance %s was enrolled with another key", key.Short())
	}
	o, err := v.vouched(made, depth)
	if err != nil {
		return o, err
	}
	if o.expires > 0 && when.at > o.expires+clocks.Microseconds() {
		return o, wrong("the instance %s had expired at %s", key.Short(), instant(o.expires))
	}
	var first *entry
	for i := range v.entries {
		e := &v.entries[i]
		if e.workspace != v.event.workspace || e.Kind != InstanceRotated || e.Outcome != OK || e.What == nil || e.What.Before != key {
			continue
		}
		if first != nil && first.Rev != e.Rev {
			return o, wrong("two keys have replaced %s, at #%d and #%d", key.Short(), min(first.Rev, e.Rev), max(first.Rev, e.Rev))
		}
		first = e
	}
	if first != nil && first.Rev < when.rev && when.at > first.What.Until+clocks.Microseconds() {
		return o, wrong("the key %s was replaced at #%d, and had ended at %s", key.Short(), first.Rev, instant(first.What.Until))
	}
	return o, nil
}

// vouched follows the entry that made a key an instance to the key that vouched for it, if it was not enrolled.
func (v *verifier) vouched(made *entry, depth int) (origin, error) {
	o := origin{made: made, key: *made.What.Key, expires: made.What.Until}
	if made.Kind == InstanceEnrolled {
		return o, nil
	}
	by, use := made.What.Parent, token.UseSpawn
	if made.Kind == InstanceRotated {
		by, use = made.What.Before, token.UseRotate
	}
	if depth >= maxLineage {
		return o, notShown("more than %d keys vouched for one another", maxLineage)
	}
	lender, err := id.Parse[id.Agent](made.Who.Sub)
	if err != nil || made.Who.Instance != by || by.IsZero() || use == token.UseRotate && lender != made.What.Agent {
		return o, wrong("at #%d the key %s was made an instance by another than the key that vouched for it", made.Rev, made.What.Instance.Short())
	}
	above, err := v.instanceKey(lender, by, moment{made.Rev, made.At}, depth+1)
	if err != nil {
		return o, err
	}
	if err := v.statement(made, use, above.key); err != nil {
		return o, err
	}
	if use == token.UseRotate {
		o.expires = above.expires
		v.told(fmt.Sprintf("%s replaced %s at #%d", made.What.Instance.Short(), by.Short(), made.Rev))
		return o, nil
	}
	if above.expires > 0 && o.expires > above.expires {
		return o, wrong("at #%d the instance %s was given more time than %s has, which spawned it", made.Rev, made.What.Instance.Short(), by.Short())
	}
	v.told(fmt.Sprintf("%s was spawned by %s at #%d", made.What.Instance.Short(), by.Short(), made.Rev))
	return o, nil
}

// statement verifies what the live key and the new one signed, and holds the entry to it.
func (v *verifier) statement(made *entry, use string, by jose.PublicKey) error {
	w := made.What
	voucher, ok := v.content[w.Voucher]
	possession, both := v.content[w.Possession]
	if w.Voucher.IsZero() || w.Possession.IsZero() {
		return wrong("at #%d nothing vouches for the key %s", made.Rev, w.Instance.Short())
	}
	if !ok || !both {
		return notShown("what vouches for the key %s is not in the pack", w.Instance.Short())
	}
	st, err := token.VerifyKeyStatement(string(voucher), string(possession), by, token.KeyWant{
		Use: use, Issuer: v.pack.Issuer, Now: time.UnixMicro(made.At), Past: held, Future: held,
	})
	if err != nil {
		return fault.Wrap(err, fault.Denied, fault.Code(err), "#%d: %s", made.Rev, err.Error())
	}
	if st.Workspace != made.workspace || st.Agent != w.Agent || st.Key.Thumbprint() != w.Instance {
		return wrong("at #%d the key %s was vouched for as another's", made.Rev, w.Instance.Short())
	}
	life := time.Duration(w.Until-made.At) * time.Microsecond
	switch {
	case use == token.UseRotate && (life != time.Duration(st.Expires-st.IssuedAt)*time.Second || life > maxGrace):
		return wrong("at #%d the old key was given another time than it asked for itself", made.Rev)
	case use == token.UseSpawn && (life <= 0 || life > maxSpawned || st.Expires > 0 && w.Until > st.Expires*1_000_000):
		return wrong("at #%d the instance %s was given more time than may be, or than was asked for it", made.Rev, w.Instance.Short())
	}
	return nil
}

// checkNewKey establishes, for an event that made a key an instance, that a live key vouched for it.
func (v *verifier) checkNewKey() (string, error) {
	e := v.event
	if e.What == nil || e.What.Key == nil || e.What.Key.Thumbprint() != e.What.Instance {
		return "", wrong("the event names another key than it makes an instance")
	}
	if _, err := v.vouched(e, 0); err != nil {
		return "", err
	}
	return strings.Join(v.lineage, "; "), nil
}

// told notes once how a key came to be.
func (v *verifier) told(s string) {
	for _, l := range v.lineage {
		if l == s {
			return
		}
	}
	v.lineage = append(v.lineage, s)
}

func instant(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05 UTC")
}

// Statement names what vouches for the key that the event made an instance: the two halves of a key statement (package token).
func (e Event) Statement() []id.Digest {
	if e.What == nil || e.What.Voucher.IsZero() {
		return nil
	}
	return []id.Digest{e.What.Voucher, e.What.Possession}
}
