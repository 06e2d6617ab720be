package guard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// another signs the party in on another machine.
func (p *party) another() *party {
	p.t.Helper()
	secret, err := p.NewLink(p.t.Context(), p.api(), p.user)
	p.ok(err)
	return p.signInBy(dashed(p.t), secret, "")
}

// dashed makes a key whose thumbprint begins with a dash, as one in 64 does: it is a name like any other.
func dashed(t testing.TB) jose.Signer {
	t.Helper()
	for {
		if s := newSigner(t); strings.HasPrefix(s.Public().Thumbprint().String(), "-") {
			return s
		}
	}
}

// browser opens a console session of the party by a link of their own.
func (p *party) browser() (string, *guard.Caller) {
	p.t.Helper()
	secret, err := p.NewLink(p.t.Context(), p.api(), p.user)
	p.ok(err)
	session, _, _, err := p.SignInPage(p.t.Context(), secret, "", "")
	p.ok(err)
	c, _, err := p.Session(p.t.Context(), session, id.Default, "")
	p.ok(err)
	return session, c
}

func (p *party) thumbprint() string { return p.signer.Public().Thumbprint().String() }

// TestAKeyEndsWithAllThatItOpened: removed by its person from another machine, it gets no token, its tokens and sessions are over, and it is told apart in
// the log by name, so that what it signed before stays proved.
func TestAKeyEndsWithAllThatItOpened(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		laptop := s.maya.another()
		session, _ := laptop.browser()
		mine, _ := s.maya.browser()
		old, err := laptop.token()
		s.ok(err)
		spare, err := s.NewLink(t.Context(), laptop.api(), s.maya.user)
		s.ok(err)
		k, err := s.KeysOf(t.Context(), s.maya.api(), s.maya.user)
		if err != nil || len(k.Keys) != 2 || k.This != s.maya.thumbprint() || k.Keys[0].UsedAt.IsZero() || k.Keys[0].Label != "test" {
			t.Fatalf("%+v, %v", k, err)
		}
		_, err = s.EndKey(t.Context(), s.maya.api(), s.maya.user, laptop.thumbprint())
		s.ok(err)
		if _, err := s.Whoami(t.Context(), laptop.caller(old.Token, issuer+"/api", issuer+"/v1/x")); fault.Code(err) != "key_ended" {
			t.Errorf("its token: %v", err)
		}
		if _, _, err := s.Guard.Session(t.Context(), session, id.Default, ""); fault.Code(err) != "session_unknown" {
			t.Errorf("the session that it opened: %v", err)
		}
		if _, _, _, err := s.SignInPage(t.Context(), spare, "", ""); fault.Code(err) != "key_ended" {
			t.Errorf("the link that it made: %v", err)
		}
		if _, _, err := s.Guard.Session(t.Context(), mine, id.Default, ""); err != nil {
			t.Errorf("another key's session: %v", err)
		}
		if _, err := s.EndKey(t.Context(), s.maya.api(), s.maya.user, laptop.thumbprint()); fault.Code(err) != "not_found" {
			t.Errorf("again: %v", err)
		}
		e := s.newest(audit.Filter{Kind: evidence.UserPasskeyChanged, Person: s.maya.user})
		if e.What.Status != evidence.KeyRemoved || e.What.Key == nil || !e.EndsKey(s.maya.user, laptop.thumbprint()) || !slices.Contains(e.Touches(), laptop.thumbprint()) {
			t.Errorf("%s", s.event(e.ID).Body)
		}
	})
}

// TestWhoRemovesWhichKey: oneself, never the last one; the server's administrators, also the last.
func TestWhoRemovesWhichKey(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	omar := s.priya.invite("Omar")
	end := func(by, whose *party, name string) error {
		_, err := s.EndKey(t.Context(), by.api(), whose.user, name)
		return err
	}
	for name, c := range map[string]struct {
		by, whose *party
		key, code string
	}{
		"one's last":            {s.maya, s.maya, s.maya.thumbprint(), "lockout"},
		"another's":             {omar, s.maya, s.maya.thumbprint(), "no_permit"},
		"another's as own":      {omar, omar, s.maya.thumbprint(), "not_found"},
		"none":                  {omar, omar, "x", "not_found"},
		"the key of nobody":     {s.priya, &party{user: id.New[id.User](s.now)}, "x", "not_found"},
		"by an administrator":   {s.priya, s.maya, s.maya.thumbprint(), ""},
		"with an agent's hands": {s.bot, s.maya, "x", "not_found"},
	} {
		if name == "by an administrator" {
			continue // last
		}
		if err := end(c.by, c.whose, c.key); fault.Code(err) != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
	if _, err := s.KeysOf(t.Context(), omar.api(), s.maya.user); fault.Code(err) != "no_permit" {
		t.Errorf("reading another's keys: %v", err)
	}
	if k, err := s.KeysOf(t.Context(), s.priya.api(), s.maya.user); err != nil || len(k.Keys) != 1 || k.This != "" {
		t.Errorf("an administrator reads %+v, %v", k, err)
	}
	s.ok(end(s.priya, s.maya, s.maya.thumbprint()))
	if _, _, err := s.People.PersonByKey(t.Context(), s.maya.signer.Public().Thumbprint()); fault.Code(err) != "key_ended" {
		t.Errorf("%v", err)
	}
}

// TestAnOldSessionRemovesNothing: in the browser a key is removed within minutes of signing in.
func TestAnOldSessionRemovesNothing(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	laptop := s.maya.another()
	_, c := s.maya.browser()
	s.now = s.now.Add(6 * time.Minute)
	if _, err := s.EndKey(t.Context(), c, s.maya.user, laptop.thumbprint()); fault.Code(err) != "sign_in_old" {
		t.Errorf("%v", err)
	}
	_, c = s.maya.browser()
	if _, err := s.EndKey(t.Context(), c, s.maya.user, laptop.thumbprint()); err != nil {
		t.Errorf("a fresh one: %v", err)
	}
}

// TestTheLastOfTwoKeysStays: of two machines that remove each other's key at once one is left.
func TestTheLastOfTwoKeysStays(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		laptop := s.maya.another()
		both := []*party{s.maya, laptop}
		callers := []*guard.Caller{s.maya.api(), laptop.api()}
		codes := audittest.Together(t, []*rig{s.rig}, 2, func(r *rig, i int) error {
			_, err := r.EndKey(t.Context(), callers[i], s.maya.user, both[1-i].thumbprint())
			return err
		})
		if keys, err := s.People.KeysOf(t.Context(), s.maya.user); err != nil || len(keys) != 1 || codes[""] != 1 {
			t.Errorf("%d keys left, %v, %v", len(keys), codes, err)
		}
	})
}

// TestSignOutEverywhere: every session, token, link and other machine's key is over; the key in hand stays.
func TestSignOutEverywhere(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		laptop := s.maya.another()
		session, _ := s.maya.browser()
		old, err := s.maya.token()
		s.ok(err)
		spare, err := s.NewLink(t.Context(), laptop.api(), s.maya.user)
		s.ok(err)
		n, _, err := s.SignOutEverywhere(t.Context(), s.maya.api(), s.maya.user, "")
		if err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if _, _, err := s.Guard.Session(t.Context(), session, id.Default, ""); fault.Code(err) != "session_unknown" {
			t.Errorf("the session: %v", err)
		}
		if _, err := s.Whoami(t.Context(), s.maya.caller(old.Token, issuer+"/api", issuer+"/v1/x")); fault.Code(err) != "token_ended" {
			t.Errorf("the token: %v", err)
		}
		if _, _, err := s.People.PersonByKey(t.Context(), laptop.signer.Public().Thumbprint()); fault.Code(err) != "key_ended" {
			t.Errorf("the laptop: %v", err)
		}
		if _, _, err := s.SignIn(t.Context(), spare, "", "", s.keyCredentials(newSigner(t), "/v1/signin")); fault.Code(err) != "ticket_spent" {
			t.Errorf("the spare link: %v", err)
		}
		if _, err := s.Whoami(t.Context(), s.maya.api()); err != nil {
			t.Errorf("the key in hand: %v", err)
		}
		e := s.newest(audit.Filter{Kind: evidence.UserChanged, Person: s.maya.user})
		if !e.EndsKey(s.maya.user, laptop.thumbprint()) || e.EndsKey(s.maya.user, s.maya.thumbprint()) {
			t.Errorf("%s", s.event(e.ID).Body)
		}
		// From a browser, a person without a passkey would lock themselves out.
		_, c := s.maya.browser()
		if _, _, err := s.SignOutEverywhere(t.Context(), c, s.maya.user, ""); fault.Code(err) != "lockout" {
			t.Errorf("without a passkey: %v", err)
		}
		if _, _, err := s.SignOutEverywhere(t.Context(), s.maya.api(), s.priya.user, ""); fault.Code(err) != "no_permit" {
			t.Errorf("another: %v", err)
		}
		if n, _, err := s.SignOutEverywhere(t.Context(), s.priya.api(), s.maya.user, "stolen laptop"); err != nil || n != 1 {
			t.Errorf("by an administrator: %d, %v", n, err)
		}
		if _, _, err := s.People.PersonByKey(t.Context(), s.maya.signer.Public().Thumbprint()); fault.Code(err) != "key_ended" {
			t.Errorf("her last key: %v", err)
		}
	})
}
