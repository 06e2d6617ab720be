package evidence

import (
	"fmt"
	"slices"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// checkKeys looks for the entries of the log that say whose keys these are: each agent's registration with its owner, each instance's enrolment, the
// person's key.
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
	for _, h := range hops {
		agent, err := id.Parse[id.Agent](h.Sub)
		if err != nil {
			continue
		}
		if err := v.checkAgent(agent, h.Instance); err != nil {
			return "", err
		}
	}
	if len(v.event.Who.Chain) == 0 {
		return "the instance was enrolled", nil
	}
	if v.links == nil {
		return "", notShown("the chain is not in the pack")
	}
	where, err := v.personKey(v.links[0].Statement.Delegator.User, v.links[0].Delegator)
	return fmt.Sprintf("instances were enrolled; the key of %s %s", hops[0].Sub, where), err
}

func (v *verifier) checkAgent(agent id.Agent, instance id.Key) error {
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
	enrolled := v.last(func(e *entry) bool { return e.Kind == InstanceEnrolled && e.What.Instance == instance })
	switch {
	case enrolled == nil:
		return notShown("the enrolment of the instance %s is not in the pack", instance.Short())
	case enrolled.What.Agent != agent:
		return wrong("the instance %s was enrolled for %s, not for %s", instance.Short(), enrolled.What.Agent, agent)
	case enrolled.What.Key == nil || enrolled.What.Key.Thumbprint() != instance:
		return wrong("the instance %s was enrolled with another key", instance.Short())
	}
	return nil
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
func (v *verifier) last(match func(*entry) bool) *entry {
	var found *entry
	for i := range v.entries {
		e := &v.entries[i]
		if e.workspace == v.event.workspace && e.Rev < v.event.Rev && e.Outcome == OK && e.What != nil && match(e) && (found == nil || e.Rev > found.Rev) {
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
