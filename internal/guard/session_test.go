package guard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"

	"github.com/attorn/attorn/attorntest"
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

// newPasskey is a browser's answer to who asks c for a new passkey, and what signs in by it afterwards.
func (r *rig) newPasskey(c *guard.Caller) (*attorntest.SoftPasskey, []byte) {
	r.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.ok(err)
	key := attorntest.NewSoftPasskey(private)
	key.UserHandle = []byte(c.Sub())
	asked, err := r.BeginPasskey(r.t.Context(), c)
	r.ok(err)
	challenge, err := jose.DecodeBase64(asked.Challenge)
	r.ok(err)
	return key, key.Register(challenge, asked.RP.ID, issuer)
}

// passkeySession is the person at a browser, signed in by a passkey that they just made.
func (p *party) passkeySession() (cookie string, c *guard.Caller) {
	p.t.Helper()
	first := p.session()
	key, answer := p.newPasskey(first)
	_, err := p.FinishPasskey(p.t.Context(), first, answer, "test")
	p.ok(err)
	asked, err := p.BeginSignIn(p.t.Context())
	p.ok(err)
	challenge, err := jose.DecodeBase64(asked.Challenge)
	p.ok(err)
	cookie, _, err = p.FinishSignIn(p.t.Context(), key.SignIn(challenge, asked.RPID, issuer), "")
	p.ok(err)
	c, _, err = p.Session(p.t.Context(), cookie, id.Default, "")
	p.ok(err)
	return cookie, c
}

func upstream(n int) guard.Identity {
	return guard.Identity{
		Provider: "corp", Issuer: "https://id.example", Subject: fmt.Sprint("s", n), Workspace: id.Default, Auth: evidence.Auth{Level: 2},
		Token: fmt.Sprint("token ", n),
	}
}

// TestAnEndedSessionDoesNothing: what a request of a session does comes before the session's end or not at all, whatever the request had read until then.
func TestAnEndedSessionDoesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		ctx := t.Context()
		cookie, c := s.maya.passkeySession()
		s.ok(s.LinkUpstream(ctx, c, guard.Trip{Link: s.maya.user}, upstream(0)))
		_, answer := s.newPasskey(c)
		mine, theirs, refused := s.device(tickets.ForPerson), s.device(tickets.ForAgent), s.device(tickets.ForAgent)
		before, err := s.KeysOf(ctx, s.maya.api(), s.maya.user)
		s.ok(err)
		s.ok(s.SignOut(ctx, cookie))
		for name, do := range map[string]func() error{
			"asks for a passkey": func() error { _, err := s.BeginPasskey(ctx, c); return err },
			"adds a passkey":     func() error { _, err := s.FinishPasskey(ctx, c, answer, "late"); return err },
			"adds a key":         func() error { _, err := s.ConfirmDevice(ctx, c, mine.codes.User, guard.DeviceChoice{}); return err },
			"adds an instance": func() error {
				_, err := s.ConfirmDevice(ctx, c, theirs.codes.User, guard.DeviceChoice{New: "late"})
				return err
			},
			"refuses a device":   func() error { _, err := s.DenyDevice(ctx, c, refused.codes.User); return err },
			"adds an account":    func() error { return s.LinkUpstream(ctx, c, guard.Trip{Link: s.maya.user}, upstream(1)) },
			"removes an account": func() error { return s.UnlinkUpstream(ctx, c, upstream(0).Issuer, upstream(0).Subject) },
			"removes a key":      func() error { _, err := s.EndKey(ctx, c, s.maya.user, s.maya.thumbprint()); return err },
			"makes a link":       func() error { _, err := s.NewLink(ctx, c, s.maya.user); return err },
			"registers an agent": func() error { _, _, err := s.RegisterAgent(ctx, c, agents.NewAgent{Name: "late"}); return err },
		} {
			wants(t, name, do(), "session_unknown")
		}
		after, err := s.KeysOf(ctx, s.maya.api(), s.maya.user)
		if err != nil || len(after.Keys) != len(before.Keys) || len(after.Passkeys) != len(before.Passkeys) {
			t.Errorf("%+v, %v", after, err)
		}
		if linked, err := s.People.IdentitiesOf(ctx, s.maya.user); err != nil || len(linked) != 1 {
			t.Errorf("%v, %v", linked, err)
		}
		for _, d := range []*device{mine, theirs, refused} {
			if _, err := s.Device(ctx, s.maya.api(), d.codes.User); err != nil {
				t.Errorf("a device was decided: %v", err)
			}
		}
	})
}

// TestNothingFollowsASignOut: of what a session does on all nodes at once while its person is signed out everywhere, nothing stands after that in the log, and
// no key that was added before it is left.
func TestNothingFollowsASignOut(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		doors, ctx := s.doors(dsn), context.Background()
		_, c := s.maya.passkeySession()
		const each = 6
		var answers [each][]byte
		var devices [each]*device
		for i := range each {
			_, answers[i] = s.newPasskey(c)
			devices[i] = s.device(tickets.ForPerson)
		}
		admin := s.priya.api()
		got := inParallel(8*each, func(i int) string {
			g, n := doors[i%len(doors)], i%each
			var err error
			switch i / each {
			case 0:
				_, err = g.FinishPasskey(ctx, c, answers[n], "")
			case 1:
				_, err = g.ConfirmDevice(ctx, c, devices[n].codes.User, guard.DeviceChoice{})
			case 2:
				err = g.LinkUpstream(ctx, c, guard.Trip{Link: s.maya.user}, upstream(n))
			case 3:
				if n == each/2 {
					if _, _, err := g.SignOutEverywhere(ctx, admin, s.maya.user, ""); err != nil {
						t.Error(err)
					}
					return "the end"
				}
				fallthrough
			default:
				_, _, err = g.RegisterAgent(ctx, c, agents.NewAgent{Name: fmt.Sprint("late", i)})
			}
			return fault.Code(err)
		})
		if refused := got["session_unknown"] + got["unsettled"]; got[""]+got["the end"]+refused != 8*each {
			t.Errorf("%v", got)
		}
		found, err := s.log.Search(ctx, id.Default, audit.Filter{Limit: 200})
		s.ok(err)
		end := slices.IndexFunc(found, func(e audit.Entry) bool { return e.What != nil && e.What.Status == "signed out everywhere" })
		for _, e := range found[:end] { // the newest first
			if e.Who.Sub == s.maya.user.String() && e.Outcome != evidence.Deny {
				t.Errorf("#%d follows the end at #%d: %s", e.Rev, found[end].Rev, e.Body)
			}
		}
		if keys, err := s.People.KeysOf(ctx, s.maya.user); err != nil || len(keys) != 0 {
			t.Errorf("keys that are left: %v, %v", keys, err)
		}
	})
}

// TestAnEndedAccountOpensNothing: an account at a provider that is removed while it signs in opens no session.
func TestAnEndedAccountOpensNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		doors, ctx := s.doors(dsn), context.Background()
		_, c := s.maya.passkeySession()
		s.ok(s.LinkUpstream(ctx, c, guard.Trip{Link: s.maya.user}, upstream(0)))
		sessions := make([]string, 64)
		got := inParallel(len(sessions), func(i int) (code string) {
			g := doors[i%len(doors)]
			if i == len(sessions)/2 {
				if err := g.UnlinkUpstream(ctx, c, upstream(0).Issuer, upstream(0).Subject); err != nil {
					t.Error(err)
				}
				return "the end"
			}
			var err error
			sessions[i], _, err = g.SignInUpstream(ctx, upstream(0), "")
			return fault.Code(err)
		})
		if got[""]+got["identity_ended"] != len(sessions)-1 {
			t.Errorf("%v", got)
		}
		for _, cookie := range sessions {
			if _, _, err := s.Session(ctx, cookie, id.Default, ""); fault.Code(err) != "session_unknown" {
				t.Errorf("a session is left: %v", err)
			}
		}
	})
}
