package agents_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/token"
)

// A key of another server's agent comes by one rule at a time, and ends with it.
func TestAdmitPartner(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, other := r.agent(t, id.Default, "guest").ID, r.agent(t, id.Default, "other").ID
		one, two := id.New[id.Issuer](r.Now()), id.New[id.Issuer](r.Now())
		jwk := newKey(t)
		admit := func(agent id.Agent, rule id.Issuer, until time.Duration) (i agents.Instance, err error) {
			err = r.Do(id.Default, func(tx *audit.Tx) error {
				i, err = r.AdmitPartner(tx, agents.PartnerAdmission{Workspace: id.Default, Agent: agent, Rule: rule, JWK: jwk, Until: tx.Now().Add(until)})
				return err
			})
			return i, err
		}
		first, err := admit(a, one, time.Hour)
		if err != nil || first.Trust != agents.Partner || first.Rule != one.String() {
			t.Fatalf("%+v, %v", first, err)
		}
		if i, err := admit(a, one, time.Minute); err != nil || !i.ExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("its end came nearer: %v, %v", i.ExpiresAt, err)
		}
		for what, do := range map[string]func() (agents.Instance, error){
			"by another rule": func() (agents.Instance, error) { return admit(a, two, time.Hour) },
			"as another":      func() (agents.Instance, error) { return admit(other, one, time.Hour) },
		} {
			if _, err := do(); fault.Code(err) != "key_in_use" {
				t.Errorf("%s: %v", what, err)
			}
		}
		if keys, err := r.LiveKeys(t.Context(), a, r.Now()); err != nil || len(keys) != 0 {
			t.Errorf("it is published: %v, %v", keys, err)
		}
		end := func(rule id.Issuer) (ended []id.Key) {
			if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
				ended, err = r.EndPartners(tx, id.Default, a, rule, token.EndMark(tx.Now()))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return ended
		}
		if ended := end(two); len(ended) != 0 {
			t.Errorf("another rule's end ended %v", ended)
		}
		if ended := end(one); len(ended) != 1 || ended[0] != first.Key {
			t.Errorf("ended %v", ended)
		}
		if _, err := r.Acting(t.Context(), first.Key, r.Now()); fault.Code(err) != "instance_expired" {
			t.Errorf("after its rule: %v", err)
		}
		back, err := admit(a, two, time.Hour)
		if err != nil || back.Rule != two.String() || back.TokensFrom == 0 {
			t.Errorf("by the next rule: %+v, %v", back, err)
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, err := r.Enrol(tx, agents.NewInstance{Workspace: id.Default, Agent: a, JWK: jwk, Trust: agents.Enrolled})
			return err
		}); fault.Code(err) != "key_in_use" {
			t.Errorf("enrolled: %v", err)
		}
	})
}
