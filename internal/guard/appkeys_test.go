package guard_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/token"
)

// TestAppAgentTakesNoKeys: the agent that an app is has the keys that the app shows, and no other: whoever else had one would be that agent without the app's proof, its
// grants and what the workspace says of it.
func TestAppAgentTakesNoKeys(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	ctx, c := t.Context(), s.priya.session()
	handle := s.begin(request(s.app(desktop), "tool:files:read"))
	x, err := s.Consent(ctx, c, handle)
	s.ok(err)
	_, err = s.GiveConsentAttested(ctx, c, handle, guard.ConsentChoice{Keep: []int{0}, TTL: time.Hour})
	s.ok(err)
	app := x.Delegate

	_, _, err = s.OfferEnrolment(ctx, s.priya.api(), app)
	wants(t, "an enrolment token", err, "app_instance")
	d := s.device(tickets.ForAgent)
	r, err := s.Device(ctx, s.priya.api(), d.codes.User)
	s.ok(err)
	for _, a := range r.Own {
		if a.ID == app {
			t.Errorf("a device is offered the app's agent %s", a.Name)
		}
	}
	_, err = s.ConfirmDevice(ctx, s.priya.api(), d.codes.User, guard.DeviceChoice{Agent: app})
	wants(t, "a device", err, "app_instance")
	_, _, err = s.AddTrustRule(ctx, s.priya.api(), agents.TrustRule{Issuer: "https://platform.example", Keys: agents.Discovery, Match: map[string]string{"sub": "x"}, Agent: app})
	wants(t, "a trust rule", err, "app_instance")
	_, _, _, err = s.Spawn(ctx, s.deployer.api(), s.deployer.vouch(token.UseSpawn, app, newSigner(t), time.Hour, nil))
	wants(t, "a child of another agent's", err, "app_instance")
}
