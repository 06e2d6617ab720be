package guard_test

import (
	"context"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// device is a key that asks for a person.
type device struct {
	*rig
	signer jose.Signer
	codes  guard.DeviceCodes
}

func (r *rig) device(purpose tickets.Purpose) *device {
	r.t.Helper()
	d := &device{rig: r, signer: newSigner(r.t)}
	var err error
	d.codes, err = r.AskDevice(r.t.Context(), guard.DeviceAsk{Workspace: id.Default, Purpose: purpose}, d.credentials("/oauth/device"))
	r.ok(err)
	return d
}

func (d *device) credentials(path string) guard.Credentials {
	cr := d.keyCredentials(d.signer, path)
	cr.Face, cr.IP = "oauth", "203.0.113.7"
	return cr
}

// session is the person at a browser, signed in now.
func (p *party) session() *guard.Caller {
	p.t.Helper()
	secret, err := p.NewLink(p.t.Context(), p.api(), p.user)
	p.ok(err)
	cookie, _, _, err := p.SignInPage(p.t.Context(), secret, "", "")
	p.ok(err)
	c, _, err := p.Session(p.t.Context(), cookie, id.Default, "")
	p.ok(err)
	return c
}

func wants(t *testing.T, what string, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("%s: %v (%s), want %q", what, err, fault.Code(err), code)
	}
}

// Of 64 confirmations over all nodes one counts, and of 64 polls one has a token.
func TestDeviceOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 12)
		doors, d := s.doors(dsn), s.device(tickets.ForAgent)
		own := make([]id.Agent, 64)
		callers := make([]*guard.Caller, len(own))
		for i := range own {
			a, _, err := s.RegisterAgent(t.Context(), s.priya.api(), agents.NewAgent{Name: "a" + string(rune('a'+i%26)) + string(rune('a'+i/26))})
			s.ok(err)
			own[i], callers[i] = a.ID, s.priya.api()
		}
		got := inParallel(len(own), func(i int) string {
			_, err := doors[i%len(doors)].ConfirmDevice(context.Background(), callers[i], d.codes.User, guard.DeviceChoice{Agent: own[i]})
			return fault.Code(err)
		})
		if got[""] != 1 || got["user_code_unknown"]+got["too_many"]+got[""] != 64 {
			t.Errorf("confirmed: %v", got)
		}
		creds := make([]guard.Credentials, 64)
		for i := range creds {
			creds[i] = d.credentials("/oauth/token")
		}
		got = inParallel(len(creds), func(i int) string {
			_, made, err := doors[i%len(doors)].DeviceToken(context.Background(), d.codes.Device, creds[i])
			if err == nil && made.Key != d.signer.Public().Thumbprint() {
				return "another key"
			}
			return fault.Code(err)
		})
		if got[""] != 1 || got["ticket_spent"] != 63 {
			t.Errorf("collected: %v", got)
		}
	})
}

// Who confirms acts in their own authority alone.
func TestDeviceAuthority(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 12)
	ctx := t.Context()
	mayas, _, err := s.RegisterAgent(ctx, s.maya.api(), agents.NewAgent{Name: "mayas"})
	s.ok(err)
	priyas, _, err := s.RegisterAgent(ctx, s.priya.api(), agents.NewAgent{Name: "priyas"})
	s.ok(err)
	d := s.device(tickets.ForAgent)
	confirm := func(p *party, choice guard.DeviceChoice) error {
		_, err := s.ConfirmDevice(ctx, p.api(), d.codes.User, choice)
		return err
	}
	wants(t, "an agent that is another's", confirm(s.maya, guard.DeviceChoice{Agent: priyas.ID}), "no_permit")
	wants(t, "an agent that there is not", confirm(s.maya, guard.DeviceChoice{Agent: id.New[id.Agent](s.now)}), "not_found")
	wants(t, "none", confirm(s.maya, guard.DeviceChoice{}), "choice_invalid")
	wants(t, "two", confirm(s.maya, guard.DeviceChoice{Agent: mayas.ID, New: "x"}), "choice_invalid")
	wants(t, "a name that is taken", confirm(s.maya, guard.DeviceChoice{New: "priyas"}), "name_taken")
	wants(t, "an agent that confirms", confirm(s.deployer, guard.DeviceChoice{Agent: priyas.ID}), "not_a_person")
	_, _, _, err = s.EndAgent(ctx, s.priya.api(), mayas.ID, "suspend", "")
	s.ok(err)
	wants(t, "an agent that is suspended", confirm(s.maya, guard.DeviceChoice{Agent: mayas.ID}), "agent_suspended")
	r, err := s.Device(ctx, s.maya.api(), d.codes.User)
	s.ok(err)
	if len(r.Own) != 0 {
		t.Errorf("it offers %v", r.Own)
	}
	wants(t, "a new one", confirm(s.maya, guard.DeviceChoice{New: "mine"}), "")
	_, made, err := s.DeviceToken(ctx, d.codes.Device, d.credentials("/oauth/token"))
	s.ok(err)
	if made.Agent.Owner != s.maya.user || made.Name != "mine" {
		t.Errorf("%+v", made)
	}

	// What was confirmed and ended before it was told is told so.
	d = s.device(tickets.ForAgent)
	wants(t, "one more", confirm(s.priya, guard.DeviceChoice{Agent: priyas.ID}), "")
	_, _, _, err = s.EndInstance(ctx, s.priya.api(), d.signer.Public().Thumbprint(), "revoke", "")
	s.ok(err)
	_, _, err = s.DeviceToken(ctx, d.codes.Device, d.credentials("/oauth/token"))
	wants(t, "a revoked instance", err, "instance_revoked")

	// A key asks as often as it likes and becomes something once.
	one, two := s.device(tickets.ForAgent), &device{}
	*two = *one
	two.codes, err = s.AskDevice(ctx, guard.DeviceAsk{Workspace: id.Default, Purpose: tickets.ForAgent}, one.credentials("/oauth/device"))
	s.ok(err)
	_, err = s.ConfirmDevice(ctx, s.priya.api(), one.codes.User, guard.DeviceChoice{Agent: priyas.ID})
	s.ok(err)
	_, err = s.ConfirmDevice(ctx, s.priya.api(), two.codes.User, guard.DeviceChoice{Agent: priyas.ID})
	wants(t, "the same key again", err, "key_in_use")
	_, err = s.AskDevice(ctx, guard.DeviceAsk{Workspace: id.Default, Purpose: tickets.ForAgent}, one.credentials("/oauth/device"))
	wants(t, "a key that is an instance", err, "key_in_use")
}

// Only members of the workspace that a device asks in see what it asks; a console session acts in any of its person's.
func TestDeviceWorkspace(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 12)
	other, err := id.ParseWorkspace("other")
	s.ok(err)
	d := &device{rig: s.rig, signer: newSigner(t)}
	d.codes, err = s.AskDevice(t.Context(), guard.DeviceAsk{Workspace: other, Purpose: tickets.ForAgent}, d.credentials("/oauth/device"))
	s.ok(err)
	_, err = s.Device(t.Context(), s.priya.api(), d.codes.User)
	wants(t, "a token of another workspace", err, "user_code_unknown")
	_, err = s.Device(t.Context(), s.priya.session(), d.codes.User)
	wants(t, "a session of no member", err, "user_code_unknown")
	_, err = s.DenyDevice(t.Context(), s.priya.session(), d.codes.User)
	wants(t, "refusing, of no member", err, "user_code_unknown")
}

// A person's own key: by a session of now, once, and it is the person's in the log.
func TestDeviceForAPerson(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 12)
	ctx := t.Context()
	d, c := s.device(tickets.ForPerson), s.maya.session()
	s.now = s.now.Add(5*time.Minute + time.Second)
	_, err := s.ConfirmDevice(ctx, c, d.codes.User, guard.DeviceChoice{})
	wants(t, "an old session", err, "sign_in_old")
	_, err = s.ConfirmDevice(ctx, s.maya.api(), d.codes.User, guard.DeviceChoice{})
	wants(t, "a key", err, "sign_in_old")
	_, err = s.ConfirmDevice(ctx, s.deployer.api(), d.codes.User, guard.DeviceChoice{})
	wants(t, "an agent", err, "not_a_person")
	made, err := s.ConfirmDevice(ctx, s.maya.session(), d.codes.User, guard.DeviceChoice{})
	s.ok(err)
	if made.User != s.maya.user || made.Key != d.signer.Public().Thumbprint() {
		t.Errorf("%+v", made)
	}
	issued, made, err := s.DeviceToken(ctx, d.codes.Device, d.credentials("/oauth/token"))
	s.ok(err)
	if made.User != s.maya.user || made.Name != "Maya Chen" || issued.Token == "" {
		t.Errorf("%+v", made)
	}
	p := &party{rig: s.rig, signer: d.signer, user: s.maya.user}
	who, err := s.Whoami(ctx, p.api())
	s.ok(err)
	if who.ID != s.maya.user {
		t.Errorf("%+v", who)
	}
	found, err := s.log.Search(ctx, id.Default, audit.Filter{Person: s.maya.user, Limit: 20})
	s.ok(err)
	for _, e := range found {
		if e.Kind == evidence.UserPasskeyChanged && e.What.Key != nil && *e.What.Key == d.signer.Public() && e.Who.Sub == s.maya.sub() && e.Outcome == evidence.OK {
			return
		}
	}
	t.Error("the key's registration is not in the log")
}
