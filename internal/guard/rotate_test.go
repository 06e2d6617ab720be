package guard_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/token"
)

func (r *rig) keys() []keyring.State {
	r.t.Helper()
	all, err := r.Ring.All(r.t.Context(), keyring.ForTokens)
	r.ok(err)
	return all
}

func (r *rig) jwks() (kids []id.Key) {
	r.t.Helper()
	all, err := r.PublishedKeys(r.t.Context())
	r.ok(err)
	for _, k := range all {
		kids = append(kids, k.Thumbprint())
	}
	return kids
}

func (r *rig) signing() id.Key {
	r.t.Helper()
	k, err := r.Ring.Current(r.t.Context(), keyring.ForTokens)
	r.ok(err)
	return k.Kid
}

// TestTheScheduleOver200Days: a key signs for 90 days; the next one is in every verifier's hands for a day before; the old one verifies what it signed
// for as long as that may live, and then is history.
func TestTheScheduleOver200Days(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := newRig(t, dsn)
		begin := r.now
		seen := map[id.Key]time.Time{r.signing(): r.now} // in the JWKS since
		gone := map[id.Key]time.Time{}
		last, turned := r.signing(), []time.Duration{}
		step := 30 * time.Minute
		for ; r.now.Sub(begin) < 200*24*time.Hour; r.now = r.now.Add(step) {
			r.ok(r.SweepKeys(t.Context()))
			now := r.jwks()
			for _, k := range now {
				if seen[k].IsZero() {
					seen[k] = r.now
				}
				if !gone[k].IsZero() {
					t.Fatalf("%s is back in the JWKS", k)
				}
			}
			for k := range seen {
				if !slices.Contains(now, k) && gone[k].IsZero() {
					gone[k] = r.now
				}
			}
			if k := r.signing(); k != last {
				turned = append(turned, r.now.Sub(begin))
				if known := r.now.Sub(seen[k]); known < 24*time.Hour {
					t.Errorf("a key signs that was published %s before", known)
				}
				if !slices.Contains(now, last) {
					t.Error("what was signed a moment ago verifies no more")
				}
				last = k
			}
			if len(now) > 2 || !slices.Contains(now, last) {
				t.Fatalf("%s: %d keys are published, the one that signs among them: %t", r.now, len(now), slices.Contains(now, last))
			}
		}
		if want := []time.Duration{90 * 24 * time.Hour, 180 * 24 * time.Hour}; !slices.Equal(turned, want) {
			t.Errorf("the key changed after %v, want %v", turned, want)
		}
		all := r.keys()
		if len(all) != 3 || len(gone) != 2 {
			t.Fatalf("%d keys were made, %d left the JWKS", len(all), len(gone))
		}
		for _, k := range all[:2] {
			if left := gone[k.Kid].Sub(k.Ended); left <= 61*time.Minute || left > 61*time.Minute+step {
				t.Errorf("a key left the JWKS %s after it had signed last", left)
			}
		}
		for kind, n := range map[evidence.Kind]int{evidence.KeyPublished: 3, evidence.KeyRetired: 2} {
			found, err := r.log.Search(t.Context(), id.Server, audit.Filter{Kind: kind})
			if err != nil || len(found) != n {
				t.Errorf("%d events %s, want %d; %v", len(found), kind, n, err)
			}
		}
	})
}

// TestClocksThatJump: a clock that is ahead for a while, or behind, leaves a key that signs and is published, and a person who can rotate it.
func TestClocksThatJump(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	p := r.firstOwner("Priya Nair")
	for _, jump := range []time.Duration{400 * 24 * time.Hour, -400 * 24 * time.Hour, -24 * time.Hour, time.Minute, 24 * time.Hour} {
		r.now = r.now.Add(jump)
		r.ok(r.SweepKeys(t.Context()))
		r.ok(r.SweepKeys(t.Context()))
		if !slices.Contains(r.jwks(), r.signing()) {
			t.Errorf("after a jump of %s the key that signs is not published", jump)
		}
	}
	r.now = r.now.Add(500 * 24 * time.Hour)
	r.ok(r.SweepKeys(t.Context()))
	r.now = r.now.Add(25 * time.Hour)
	r.ok(r.SweepKeys(t.Context()))                       // a key of the future signs
	r.now = r.now.Add(-525*24*time.Hour + 5*time.Minute) // past the proofs of the beginning, which were forgotten meanwhile
	if _, _, err := r.RotateKey(t.Context(), p.api(), guard.Rotation{Now: true, Reason: "the clock was wrong"}); err != nil {
		t.Errorf("nobody can rotate any more: %v", err)
	}
}

// TestOneKeyIsMade: of 64 callers on all nodes that find a key due, one publishes the next; of 64 that find its time come, one turns to it; and of 64
// people who change the same key at once, one does.
func TestOneKeyIsMade(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		doors := s.doors(dsn)
		sweep := func() {
			t.Helper()
			if got := inParallel(64, func(i int) string { return fault.Code(doors[i%len(doors)].SweepKeys(context.Background())) }); got[""] != 64 {
				t.Errorf("sweeps: %v", got)
			}
		}
		first := s.signing()
		s.now = s.now.Add(89 * 24 * time.Hour)
		sweep()
		if all := s.keys(); len(all) != 2 || all[1].Status != keyring.Next || s.signing() != first {
			t.Fatalf("a day before: %d keys", len(all))
		}
		s.now = s.now.Add(24 * time.Hour)
		sweep()
		all := s.keys()
		if len(all) != 2 || all[0].Status != keyring.Retired || all[1].Status != keyring.Current {
			t.Fatalf("when its time has come: %d keys, %s and %s", len(all), all[0].Status, all[1].Status)
		}
		callers := make([]*guard.Caller, 64)
		for i := range callers {
			callers[i] = s.priya.api()
		}
		var made atomic.Int64
		got := inParallel(64, func(i int) string {
			_, _, err := doors[i%len(doors)].RotateKey(context.Background(), callers[i], guard.Rotation{Now: true, Reason: "drill"})
			if err == nil {
				made.Add(1)
			}
			return fault.Code(err)
		})
		if got[""]+got["key_rotated"] != 64 || got[""] == 0 {
			t.Errorf("rotations at once: %v", got)
		}
		current, n := 0, 0
		for _, k := range s.keys() {
			if k.Status == keyring.Current {
				current++
			}
			n++
		}
		if current != 1 || n != 2+int(made.Load()) {
			t.Errorf("%d keys after %d rotations, %d of them current", n, made.Load(), current)
		}
		for _, d := range doors { // every node signs with the new one from its next signature on
			k, err := d.Signer(t.Context())
			if err != nil || k.Public().Thumbprint() != s.signing() {
				t.Errorf("a node signs with another key, %v", err)
			}
		}
	})
}

// TestRotation: the ways of it, and what they leave of what the old key signed.
func TestRotation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		call := s.call("write", `{"path":"staging/a"}`)
		old := s.signing()
		oldKey, err := s.Ring.Find(t.Context(), old)
		s.ok(err)

		// Published, not signing.
		next, _, err := s.RotateKey(t.Context(), s.priya.api(), guard.Rotation{})
		s.ok(err)
		if next.Status != keyring.Next || s.signing() != old || !slices.Contains(s.jwks(), next.Kid) || !next.SignsFrom.Equal(s.now.Add(24*time.Hour)) {
			t.Errorf("a published key: %+v", next)
		}
		if _, _, err := s.RotateKey(t.Context(), s.priya.api(), guard.Rotation{}); fault.Code(err) != "key_published" {
			t.Errorf("a second next key: %v", err)
		}

		// At once: what the old key signed goes on, and the key that waited is gone.
		before := s.deployer.tool(s.leaf)
		now, _, err := s.RotateKey(t.Context(), s.priya.api(), guard.Rotation{Now: true, Reason: "drill"})
		s.ok(err)
		if now.Status != keyring.Current || s.signing() != now.Kid || slices.Contains(s.jwks(), next.Kid) || !slices.Contains(s.jwks(), old) {
			t.Errorf("a key that signs at once: %+v", now)
		}
		if v := s.start(before, call); v.Outcome != evidence.Permit {
			t.Errorf("a token of before: %+v", v)
		}
		if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome != evidence.Permit {
			t.Errorf("a token of the new key: %+v", v)
		}
		s.now = s.now.Add(time.Minute)
		if code := s.forged(oldKey); code != "token_signature" {
			t.Errorf("a token that the old key signs after its end: %q", code)
		}

		// Compromised: its tokens end, what it countersigned does not.
		before = s.deployer.tool(s.leaf)
		last, _, err := s.RotateKey(t.Context(), s.priya.api(), guard.Rotation{Compromised: true, Reason: "INC-212"})
		s.ok(err)
		if got := s.jwks(); !slices.Equal(got, []id.Key{last.Kid}) {
			t.Errorf("%d keys are published", len(got))
		}
		if v, err := s.Start(t.Context(), before, call); err != nil || v.Code != "token_signature" {
			t.Errorf("a token of the key that somebody else may have: %+v, %v", v, err)
		}
		if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome != evidence.Permit {
			t.Errorf("a new token on the old delegation: %+v", v)
		}
		e := s.newest(audit.Filter{Kind: evidence.KeyRetired})
		if !slices.Equal(e.Touches(), append(slices.Clone(e.What.Ended), evidence.IssuerKey)) || !slices.Contains(e.What.Ended, now.Kid.String()) || !slices.Contains(e.What.Ended, old.String()) {
			t.Errorf("the end of the keys: %+v", e.What)
		}
	})
}

// forged is the code that a token for Priya, made with one of the issuer's keys and nothing else, is refused with.
func (s *story) forged(k *keyring.Key) string {
	s.t.Helper()
	c := token.Claims{
		Issuer: issuer, Subject: s.priya.user.String(), Audience: issuer + "/api", ClientID: s.priya.user.String(), Scope: "attorn:*", JKT: s.priya.signer.Public().Thumbprint(),
		ID: "forged-" + s.now.String(), IssuedAt: s.now.Unix(), Expires: s.now.Add(time.Minute).Unix(), Workspace: id.Default, Session: s.priya.signer.Public().Thumbprint().String(),
	}
	raw, err := token.Issue(c, k.Signer())
	s.ok(err)
	return fault.Code(s.Self(s.t.Context(), s.priya.caller(raw, issuer+"/api", issuer+"/v1/x")))
}

// TestARotationIsEnded: a process that stopped between publishing a key and turning to it is followed by another that ends what it began, and knows that the
// old key is compromised.
func TestARotationIsEnded(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	old := s.signing()
	k, err := s.Ring.Make(keyring.ForTokens, s.now)
	s.ok(err)
	d := evidence.Draft{Workspace: id.Server, Target: k.Kid.String()}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.KeyPublished, evidence.OK, evidence.ServerSub, "server"
	d.What = &evidence.What{Key: &k.Public, Use: keyring.ForTokens, From: s.now.UnixMicro(), Status: evidence.KeyCompromised}
	_, err = s.log.Record(t.Context(), d, func(tx *audit.Tx) error { return s.Ring.Publish(tx, k, old, s.now) })
	s.ok(err)
	oldKey, err := s.Ring.Find(t.Context(), k.Kid)
	s.ok(err)
	if code := s.forged(oldKey); code != "token_signature" {
		t.Errorf("a token of a key that does not sign yet: %q", code)
	}
	s.ok(s.SweepKeys(t.Context()))
	st, err := s.Ring.State(t.Context(), old)
	s.ok(err)
	if s.signing() != k.Kid || st.Status != keyring.Compromised {
		t.Errorf("the old key is %s", st.Status)
	}
}

// TestNoPermitFollowsTheEndOfItsKey: of calls and tokens that race with the end of a compromised key, none comes after that end in the order of the
// workspace's log, and nothing is countersigned with it there.
func TestNoPermitFollowsTheEndOfItsKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 200)
		doors := s.doors(dsn)
		call := s.call("write", `{"path":"staging/a"}`)
		var callers []*guard.Caller
		for range 32 {
			callers = append(callers, s.deployer.tool(s.leaf))
		}
		clients := make([]*guard.Client, 32)
		for i := range clients {
			clients[i] = s.deployer.client()
		}
		admin := s.priya.api()
		inParallel(64, func(i int) string {
			switch door := doors[i%len(doors)]; {
			case i == 10:
				_, _, err := door.RotateKey(context.Background(), admin, guard.Rotation{Compromised: true, Reason: "INC-212"})
				return fault.Code(err)
			case i < 32:
				_, err := door.Start(context.Background(), callers[i], call)
				return fault.Code(err)
			default:
				_, err := door.ClientCredentials(context.Background(), clients[i-32], guard.TokenRequest{})
				return fault.Code(err)
			}
		})
		end := s.newest(audit.Filter{Kind: evidence.KeyRetired})
		found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Limit: 200})
		s.ok(err)
		after := 0
		for _, e := range found {
			if e.Rev > end.Rev && (e.Outcome == evidence.Permit || e.Kind == evidence.TokenIssued && e.Outcome == evidence.OK) {
				if after++; e.Under.Token.Kid == end.What.Key.Thumbprint() {
					t.Errorf("#%d %s rests on a key that ended at #%d", e.Rev, e.Kind, end.Rev)
				}
			}
		}
		t.Logf("%d permits and tokens after the end", after)
	})
}

// onRead is the door of s with a clock that lets something happen when it is read for the nth time: the decision has read a part of the state by then.
func (s *story) onRead(n int, happens func()) *guard.Guard {
	cfg := s.Guard.Config
	cfg.Now = func() time.Time {
		if n--; n == 0 {
			happens()
		}
		return s.now
	}
	return guard.New(cfg)
}

// TestAKeyEndsMeanwhile: wherever in a decision the key ends, nothing that rests on it is permitted or issued afterwards; a token that was about to be
// signed with the old key is signed with the new one.
func TestAKeyEndsMeanwhile(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 100)
	call := s.call("write", `{"path":"staging/a"}`)
	if rests, err := s.Rests(t.Context(), s.deployer.tool(s.leaf)); err != nil || !slices.Contains(rests, s.signing().String()) {
		t.Errorf("a permit rests on %v, and not on the key of its token; %v", rests, err)
	}
	for n := 1; n <= 6; n++ {
		for name, act := range map[string]func(*guard.Guard, *guard.Caller, *guard.Client) error{
			"call": func(g *guard.Guard, c *guard.Caller, _ *guard.Client) error {
				v, err := g.Start(t.Context(), c, call)
				if v.Outcome == evidence.Permit {
					err = errors.Join(err, s.restsOnTheLiving(v.Event))
				}
				return err
			},
			"token": func(g *guard.Guard, _ *guard.Caller, c *guard.Client) error {
				if _, err := g.ClientCredentials(t.Context(), c, guard.TokenRequest{}); err != nil {
					return err
				}
				return s.restsOnTheLiving(s.newest(audit.Filter{Kind: evidence.TokenIssued}).ID)
			},
		} {
			caller, client, admin := s.deployer.tool(s.leaf), s.deployer.client(), s.priya.api()
			err := act(s.onRead(n, func() {
				_, _, err := s.RotateKey(t.Context(), admin, guard.Rotation{Compromised: true, Reason: "INC-212"})
				s.ok(err)
			}), caller, client)
			if err != nil && fault.Code(err) != "token_signature" {
				t.Errorf("%s, read %d: %v", name, n, err)
			}
		}
	}
}

// restsOnTheLiving is an error where the event's token is by a key that had ended before it in the log.
func (s *story) restsOnTheLiving(e id.Event) error {
	found := s.event(e)
	end, err := s.log.First(s.t.Context(), id.Default, evidence.KeyRetired, found.Under.Token.Kid.String())
	if err == nil && end.Rev < found.Rev {
		return fmt.Errorf("#%d %s rests on a key that ended at #%d", found.Rev, found.Kind, end.Rev)
	}
	return nil
}

// TestAServerThatWasOff: a key that is long due is published for a day all the same before it signs.
func TestAServerThatWasOff(t *testing.T) {
	r := newRig(t, dbtest.SQLite(t))
	old := r.signing()
	r.now = r.now.Add(200 * 24 * time.Hour)
	for range 24 {
		r.ok(r.SweepKeys(t.Context()))
		if r.signing() != old || len(r.jwks()) != 2 {
			t.Fatal("it signs before verifiers have it, or is not published")
		}
		r.now = r.now.Add(time.Hour)
	}
	if r.ok(r.SweepKeys(t.Context())); r.signing() == old {
		t.Error("the old key signs for ever")
	}
}

// TestPacksAcrossRotations: what was decided before a rotation and what was decided after it both verify, by the keys of their own moment.
func TestPacksAcrossRotations(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.priya.publish(`permit (principal, action, resource);`)
	yes := [3]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Holds}
	var events []id.Event
	for _, r := range []guard.Rotation{{}, {Now: true, Reason: "drill"}, {Compromised: true, Reason: "INC-212"}} {
		v := s.start(s.from("10.1.2.3"))
		if v.Outcome != evidence.Permit {
			t.Fatalf("%+v", v)
		}
		events = append(events, v.Event)
		_, _, err := s.RotateKey(t.Context(), s.priya.api(), r)
		s.ok(err)
		s.now = s.now.Add(time.Minute)
	}
	events = append(events, s.start(s.from("10.1.2.3")).Event)
	for i, e := range events {
		if says, detail := s.answers(e); says != yes {
			t.Errorf("call %d: %v %s", i, says, detail)
		}
	}
}

// TestWhoRotates: whoever may, in the server's own workspace.
func TestWhoRotates(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	if _, _, err := s.RotateKey(t.Context(), s.maya.api(), guard.Rotation{}); fault.Code(err) != "no_permit" {
		t.Errorf("somebody rotates the server's key: %v", err)
	}
	if _, err := s.Keys(t.Context(), s.maya.api()); fault.Code(err) != "no_permit" {
		t.Errorf("somebody reads the server's keys: %v", err)
	}
	if _, _, err := s.RotateKey(t.Context(), s.deployer.api(), guard.Rotation{Compromised: true}); fault.Code(err) != "no_permit" {
		t.Errorf("an agent rotates the server's key: %v", err)
	}
	if n := len(s.keys()); n != 1 {
		t.Errorf("%d keys", n)
	}
}
