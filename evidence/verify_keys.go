package evidence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// checkKeys looks for the entries of the log that say whose keys these are: each agent's registration with its owner, where each instance's key comes
// from, the person's key.
func (v *verifier) checkKeys() (string, error) {
	hops := v.event.Who.Chain
	if v.person() {
		user, err := id.Parse[id.User](v.event.Who.Sub)
		if err != nil || v.signer.IsZero() {
			return "", notShown("the proof is not in the pack")
		}
		where, err := v.personKey(user, delegation.DelegatorKey{JWK: v.signer})
		return fmt.Sprintf("the key of %s %s", user, where), err
	}
	if len(hops) == 0 {
		hops = []Hop{{Sub: v.event.Who.Sub, Instance: v.event.Who.Instance}}
	}
	for i, h := range hops {
		agent, err := id.Parse[id.Agent](h.Sub)
		if err != nil {
			continue
		}
		when := moment{v.event.Rev, v.event.At}
		if i < len(hops)-1 { // whose key signed what is lent to the next, and need not have been live any longer
			if v.links == nil {
				continue
			}
			when = moment{v.links[i].Rev, v.links[i].At}
		}
		if err := v.checkAgent(agent, h.Instance, when); err != nil {
			return "", err
		}
	}
	said := "the instance was enrolled"
	if len(v.event.Who.Chain) > 0 {
		said = "instances were enrolled"
	}
	if len(v.lineage) > 0 {
		said = strings.Join(v.lineage, "; ")
	}
	if len(v.event.Who.Chain) == 0 {
		return said, nil
	}
	if v.links == nil {
		return "", notShown("the chain is not in the pack")
	}
	where, err := v.personKey(v.links[0].Statement.Delegator.User, v.links[0].Delegator)
	return fmt.Sprintf("%s; the key of %s %s", said, hops[0].Sub, where), err
}

func (v *verifier) checkAgent(agent id.Agent, instance id.Key, when moment) error {
	owner, ok := v.owner(agent)
	if !ok {
		return notShown("the registration of %s is not in the pack", agent)
	}
	if v.event.Who.Sub == agent.String() && owner != v.event.Who.Owner {
		return wrong("%s belonged to %s, not to %s", agent, owner, v.event.Who.Owner)
	}
	if instance.IsZero() {
		return notShown("%s acted without a key: whoever had the token could", agent)
	}
	_, err := v.instanceKey(agent, instance, when, 0)
	return err
}

// owner is whose the agent was: What.User of the last agent.registered or agent.changed before the event that names one.
func (v *verifier) owner(agent id.Agent) (id.User, bool) {
	e := v.last(func(e *entry) bool {
		return (e.Kind == AgentRegistered || e.Kind == AgentChanged) && e.What.Agent == agent && !e.What.User.IsZero()
	})
	if e == nil {
		return id.User{}, false
	}
	return e.What.User, true
}

// last finds the last entry of the event's workspace before the event, of those with a What, that match accepts. A refused enrolment is none.
func (v *verifier) last(match func(*entry) bool) *entry { return v.before(v.event.Rev, match) }

func (v *verifier) before(rev int64, match func(*entry) bool) *entry {
	var found *entry
	for i := range v.entries {
		e := &v.entries[i]
		if e.workspace == v.event.workspace && e.Rev < rev && e.Outcome == OK && e.What != nil && match(e) && (found == nil || e.Rev > found.Rev) {
			found = e
		}
	}
	return found
}

// personKey looks for the entry that gave a person this key.
func (v *verifier) personKey(user id.User, key delegation.DelegatorKey) (string, error) {
	if key.Attested != nil {
		return "is none: the server attests the sign-in", nil
	}
	e := v.last(func(e *entry) bool {
		if (e.Kind != UserAdded && e.Kind != UserPasskeyChanged) || e.What.User != user {
			return false
		}
		if key.Passkey != nil {
			return e.What.COSE != "" && e.What.COSE == jose.EncodeBase64(key.Passkey.Key.Bytes())
		}
		return e.What.Key != nil && !key.JWK.IsZero() && e.What.Key.Thumbprint() == key.JWK.Thumbprint()
	})
	switch {
	case e == nil:
		return "", notShown("the registration of the key that signed for %s is not in the pack", user)
	case e.What.Status == KeyRemoved:
		return "", wrong("the key that signed for %s had been removed at #%d", user, e.Rev)
	}
	name := e.What.Credential
	if e.What.Key != nil {
		name = e.What.Key.Thumbprint().String()
	}
	if gone := v.last(func(e *entry) bool { return e.EndsKey(user, name) }); gone != nil && gone.Rev > e.Rev {
		return "", wrong("the key that signed for %s had been removed at #%d", user, gone.Rev)
	}
	return fmt.Sprintf("was registered at #%d", e.Rev), nil
}

// EndsKey reports whether the event takes a key from a person, by its thumbprint or a passkey's credential: removed alone, or with others by signing out
// everywhere or by recovery.
func (e Event) EndsKey(user id.User, name string) bool {
	return (e.Kind == UserPasskeyChanged || e.Kind == UserChanged) && e.What != nil && e.What.User == user && name != "" && slices.Contains(e.What.Ended, name)
}

// KeyRemoved is What.Status of a user.passkey_changed that takes a key away.
const KeyRemoved = "removed"

// Recovered is What.Status of the user.passkey_changed by which a person who had lost every key was let in again by an administrator's link: What.Ended
// are the keys that they had, and Key, where there is one, is their first new one.
const Recovered = "recovered"
