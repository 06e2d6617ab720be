package guard_test

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// A private key that was sent is in the log of whom it is about: the holder of the key beside it, before the client that is claimed; of nobody that is known, nothing.
func TestNotePrivateKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		ctx := t.Context()
		theirs := newSigner(t).Public().Thumbprint()
		for _, c := range []struct {
			what, claimed string
			public        id.Key
			who           string
			names         bool // the key
		}{
			{"an agent's key", "", s.bot.signer.Public().Thumbprint(), s.bot.agent.String(), true},
			{"an agent's key, in another's name", s.deployer.agent.String(), s.bot.signer.Public().Thumbprint(), s.bot.agent.String(), true},
			{"a person's key", "", s.maya.signer.Public().Thumbprint(), s.maya.user.String(), true},
			{"an unknown key, in an agent's name", s.bot.agent.String(), theirs, s.bot.agent.String(), false},
			{"no public part, in a person's name", s.maya.user.String(), id.Key{}, s.maya.user.String(), false},
			{"an unknown key", "", theirs, "", false},
			{"an agent that does not exist", id.New[id.Agent](s.now).String(), theirs, "", false},
			{"no name at all", "x", id.Key{}, "", false},
		} {
			for _, admitted := range []bool{false, true} {
				before, err := s.log.Rev(ctx, id.Default)
				s.ok(err)
				who, err := s.NotePrivateKey(ctx, c.public, c.claimed, "oauth", "192.0.2.7", func(who string) bool {
					if who != c.who {
						t.Errorf("%s: it is asked about %q", c.what, who)
					}
					return admitted
				})
				s.ok(err)
				after, err := s.log.Rev(ctx, id.Default)
				s.ok(err)
				if who != c.who || (after-before == 1) != (admitted && c.who != "") {
					t.Errorf("%s: about %q, want %q; %d events", c.what, who, c.who, after-before)
				}
				if !admitted || c.who == "" {
					continue
				}
				e := s.newest(audit.Filter{}).Event
				if e.Kind != evidence.TokenRefused || e.Why.Code != "private_key" || e.Who.Sub != evidence.ServerSub || e.Where.IP == nil ||
					strings.Contains(e.Why.Reason, "public key "+c.public.String()+":") != c.names {
					t.Errorf("%s: %s %+v %+v", c.what, e.Kind, e.Why, e.Where)
				}
			}
		}
	})
}
