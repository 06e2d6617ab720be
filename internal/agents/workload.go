package agents

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// Admission is what Admit needs.
type Admission struct {
	Rule      TrustRule
	JWK       jose.PublicKey // whose holder proved possession
	Assertion id.Digest      // of what its issuer signed, not of the signature, which others could change
	Expires   time.Time      // after which the assertion is refused as old anyway
	Held      bool           // the key is, or was, a person's
}

// Admit makes a key an instance by an assertion that matched a rule, or renews the one that it is. An assertion is good for its first keys, as many as the
// rule says, over all nodes. Codes: rule_removed, assertion_bound, too_many_instances, instance_suspended, instance_rotated, instance_revoked, and those
// of Enrol. What was presented stays so even if the rest is refused, where the caller keeps it (audit.Tx.Refuse).
func (room *Room) Admit(tx *audit.Tx, n Admission) (i Instance, renewed bool, err error) {
	if ok, err := ruleLives(tx, n.Rule); err != nil {
		return Instance{}, false, err
	} else if !ok {
		return Instance{}, false, fault.New(fault.Unauthenticated, "rule_removed", "the trust rule was removed")
	}
	if err := forgetPresented(tx); err != nil { // rides along, so that the table does not grow for ever
		return Instance{}, false, err
	}
	key := n.JWK.Thumbprint()
	if ok, err := present(tx, n.Assertion, key, n.Rule.KeysPerAssertion, n.Expires); err != nil {
		return Instance{}, false, err
	} else if !ok {
		return Instance{}, false, fault.New(fault.Unauthenticated, "assertion_bound", "the assertion was presented with another key before, and is good for that alone").
			Try("get a new assertion for this key")
	}
	until := tx.Now().Add(time.Duration(n.Rule.InstanceTTL) * time.Second)
	is, err := scanInstance(tx.Row(`SELECT `+instanceColumns+` FROM instance WHERE key = $1`, key), instanceUnknown())
	if err == nil {
		i, err = room.renew(tx, is, n.Rule, until)
		return i, true, err
	} else if fault.Code(err) != "instance_unknown" {
		return Instance{}, false, err
	}
	if err := roomByRule(tx, n.Rule); err != nil {
		return Instance{}, false, err
	}
	i, err = enrol(tx, NewInstance{Workspace: n.Rule.Workspace, Agent: n.Rule.Agent, JWK: n.JWK, Trust: Workload, ExpiresAt: until, Rule: n.Rule.ID.String(), Held: n.Held})
	return i, false, err
}

// roomByRule refuses one more instance than the rule lets live.
func roomByRule(tx *audit.Tx, rule TrustRule) error {
	live, err := liveByRule(tx, rule)
	if err == nil && live >= rule.MaxInstances {
		err = fault.New(fault.Conflict, "too_many_instances", "%d instances of the agent live by this trust rule, which is its limit", live).
			Try("wait until one has expired, revoke one, or raise the rule's max_instances")
	}
	return err
}

// renew moves the end of an instance. Whoever its key names otherwise is not touched.
func (room *Room) renew(tx *audit.Tx, is Instance, rule TrustRule, until time.Time) (Instance, error) {
	if is.Trust != Workload || is.Workspace != rule.Workspace || is.Agent != rule.Agent {
		return Instance{}, keyInUse()
	}
	a, live, err := lockAgent(tx, rule.Workspace, rule.Agent)
	if err != nil {
		return Instance{}, err
	}
	if err := a.Live(tx.Now()); err != nil {
		return Instance{}, err
	}
	if expired := is.expired(tx.Now()); is.Status == Active && (expired || is.Rule != rule.ID.String()) { // it becomes one more by this rule
		if err := roomByRule(tx, rule); err != nil {
			return Instance{}, err
		}
		if expired && live >= MaxInstances {
			return Instance{}, tooMany(rule.Agent)
		}
	}
	after, err := renew(tx, is.Key, rule, until)
	if fault.Code(err) == "instance_unknown" {
		is.ExpiresAt, is.EndedAt = until, tx.Now() // what it is but for its time; a key that was replaced is renewed by the one that replaced it
		if ended := is.Live(tx.Now()); ended != nil {
			err = ended
		}
	}
	return after, err
}

// Presented reports whether the key presented the assertion before.
func (room *Room) Presented(ctx context.Context, assertion id.Digest, key id.Key) (bool, error) {
	return room.presented(ctx, assertion, key)
}
