package guard_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/token"
)

// from authenticates at the token endpoint from an address.
func (p *party) from(ip string) *guard.Client {
	p.t.Helper()
	assertion, err := token.SignAssertion(p.signer, p.sub(), issuer, rand.Text(), p.now, time.Minute)
	p.ok(err)
	url := issuer + "/oauth/token"
	c, err := p.AuthenticateClient(p.t.Context(), guard.ClientProof{
		Method: "POST", URL: url, Assertion: assertion, DPoP: []string{p.proof(p.signer, "POST", url, "")}, NeedDPoP: true, IP: ip,
	})
	p.ok(err)
	return c
}

func (s *story) seen() []audit.Entry {
	s.t.Helper()
	found, err := s.log.Search(s.t.Context(), id.Default, audit.Filter{Kind: evidence.InstanceSeen, Limit: 200})
	s.ok(err)
	return found
}

// TestPlaces: a running copy's first place is no news; each further network is, once, whoever asks for how many tokens where; its key does not matter.
func TestPlaces(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1)
		doors := s.doors(dsn)
		news := 0
		for _, c := range []struct {
			ip   string
			news int
		}{
			{"", 0},
			{"192.0.2.7", 0},
			{"192.0.2.200", 0},
			{"::ffff:192.0.2.9", 0},
			{"192.0.3.7", 1},
			{"192.0.3.8", 0},
			{"2001:db8:1:2::3", 1},
			{"2001:db8:1:ffff::3", 0},
			{"2001:db8:2:2::3", 1},
			{"192.0.2.7", 0},
			{"no address", 0},
		} {
			_, err := s.ClientCredentials(t.Context(), s.bot.from(c.ip), guard.TokenRequest{})
			s.ok(err)
			news += c.news
			if got := len(s.seen()); got != news {
				t.Errorf("%q: %d events, want %d", c.ip, got, news)
			}
		}
		e := s.seen()[0]
		if e.What.Instance != s.bot.instance() || e.What.Agent != s.bot.agent || e.Who.Sub != s.bot.agent.String() || e.Where.IP == nil || e.Outcome != evidence.OK {
			t.Errorf("the event: %s", e.Body)
		}
		raw, err := s.log.Detail(t.Context(), e, "ip")
		s.ok(err)
		if ip, err := e.Where.IP.Open(raw, "ip"); err != nil || string(ip) != `"2001:db8:2:2::3"` {
			t.Errorf("the address: %s, %v", ip, err)
		}
		if by := s.event(e.Cause); by.Kind != evidence.TokenIssued {
			t.Errorf("it was caused by %s", by.Kind)
		}

		fresh := s.bot.rotated(0)
		_, err = s.ClientCredentials(t.Context(), fresh.from("192.0.3.7"), guard.TokenRequest{})
		s.ok(err)
		if got := len(s.seen()); got != news {
			t.Error("a new key is the same running copy, where it was before")
		}
		_, err = s.ClientCredentials(t.Context(), s.deployer.from("192.0.3.7"), guard.TokenRequest{})
		s.ok(err)
		clients := make([]*guard.Client, 32)
		for i := range clients {
			clients[i] = s.deployer.from("198.51.100.1")
		}
		inParallel(len(clients), func(i int) string {
			_, err := doors[i%len(doors)].ClientCredentials(context.Background(), clients[i], guard.TokenRequest{})
			return fault.Code(err)
		})
		if got := len(s.seen()); got != news+1 {
			t.Errorf("many at once from one new place: %d events, want %d", got, news+1)
		}
	})
}

// A proof that was stolen and is sent again from elsewhere makes no place known.
func TestAReplayMakesNoPlaceKnown(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 1)
	_, err := s.ClientCredentials(t.Context(), s.bot.from("192.0.2.7"), guard.TokenRequest{})
	s.ok(err)
	url := issuer + "/oauth/token"
	assertion, err := token.SignAssertion(s.bot.signer, s.bot.sub(), issuer, rand.Text(), s.now, time.Minute)
	s.ok(err)
	p := guard.ClientProof{Method: "POST", URL: url, Assertion: assertion, DPoP: []string{s.proof(s.bot.signer, "POST", url, "")}, NeedDPoP: true, IP: "192.0.2.7"}
	for _, ip := range []string{"192.0.2.7", "198.51.100.1"} {
		p.IP = ip
		c, err := s.AuthenticateClient(t.Context(), p)
		s.ok(err)
		_, err = s.ClientCredentials(t.Context(), c, guard.TokenRequest{})
		if stolen := ip != "192.0.2.7"; (fault.Code(err) == "invalid_client") != stolen {
			t.Errorf("%s: %v", ip, err)
		}
	}
	if len(s.seen()) != 0 {
		t.Error("the thief's place is told as the agent's")
	}
	_, err = s.ClientCredentials(t.Context(), s.bot.from("198.51.100.1"), guard.TokenRequest{})
	s.ok(err)
	if len(s.seen()) != 1 {
		t.Error("the agent itself at the new place is news")
	}
}

// TestLastUse: when an instance was last used is known at once to the process that saw it, and to all after the sweep; it takes no write in between.
func TestLastUse(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1)
		doors := s.doors(dsn)
		last := func(g *guard.Guard) time.Time {
			all, err := g.Instances(t.Context(), s.priya.api(), s.bot.agent)
			s.ok(err)
			i := slices.IndexFunc(all, func(i agents.Instance) bool { return i.Key == s.bot.instance() })
			return all[i].LastUsedAt
		}
		s.now = s.now.Add(90 * time.Second)
		s.bot.api()
		minute := s.now.Truncate(time.Minute)
		if got := last(doors[0]); !got.Equal(minute) {
			t.Errorf("before the sweep: %s, want %s", got, minute)
		}
		if i, err := s.Agents.Instance(t.Context(), s.bot.instance()); err != nil || !i.LastUsedAt.IsZero() {
			t.Errorf("written before the sweep: %s, %v", i.LastUsedAt, err)
		}
		s.now = s.now.Add(10 * time.Second)
		late := &party{rig: s.rig, signer: s.twin(s.bot), agent: s.bot.agent}
		late.api()
		all, err := s.Instances(t.Context(), s.priya.api(), s.bot.agent)
		s.ok(err)
		for _, i := range all {
			if i.Key == late.instance() && !i.LastUsedAt.Equal(i.CreatedAt) {
				t.Errorf("joined %s, used %s", i.CreatedAt, i.LastUsedAt)
			}
		}
		rev, err := s.log.Rev(t.Context(), id.Default)
		s.ok(err)
		s.ok(s.SweepUses(t.Context()))
		for n, g := range doors {
			if got := last(g); !got.Equal(minute) {
				t.Errorf("after the sweep, node %d: %s, want %s", n, got, minute)
			}
		}
		if i, err := s.Agents.Instance(t.Context(), s.bot.instance()); err != nil || !i.LastUsedAt.Equal(minute) {
			t.Errorf("written by the sweep: %s, %v", i.LastUsedAt, err)
		}
		s.ok(s.SweepUses(t.Context()))
		found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Limit: 200})
		s.ok(err)
		if slices.ContainsFunc(found, func(e audit.Entry) bool { return e.Rev >= rev && e.Who.Sub == evidence.ServerSub }) {
			t.Error("the sweep left an event")
		}
	})
}
