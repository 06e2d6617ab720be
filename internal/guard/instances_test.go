package guard_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

func (p *party) instance() id.Key { return p.signer.Public().Thumbprint() }

// vouch signs a key statement for a new key, with change made to it.
func (p *party) vouch(use string, of id.Agent, fresh jose.Signer, life time.Duration, change func(*token.KeyStatement)) guard.KeyRequest {
	p.t.Helper()
	st := token.KeyStatement{
		Use: use, Issuer: issuer, Workspace: id.Default, Agent: of, Nonce: rand.Text(), IssuedAt: p.now.Unix(), Expires: p.now.Add(life).Unix(),
	}
	if change != nil {
		change(&st)
	}
	voucher, possession, err := token.SignKeyStatement(st, p.signer, fresh)
	p.ok(err)
	return guard.KeyRequest{Voucher: voucher, Possession: possession}
}

// rotated is the party with a new key.
func (p *party) rotated(grace time.Duration) *party {
	p.t.Helper()
	s := newSigner(p.t)
	_, fresh, _, err := p.Rotate(p.t.Context(), p.api(), p.instance(), p.vouch(token.UseRotate, p.agent, s, grace, nil))
	p.ok(err)
	if fresh.Key != s.Public().Thumbprint() {
		p.t.Fatalf("the new key is %s", fresh.Key)
	}
	return &party{rig: p.rig, signer: s, agent: p.agent}
}

func (p *party) spawned(of *party, life time.Duration) *party {
	p.t.Helper()
	s := newSigner(p.t)
	_, _, _, err := p.Spawn(p.t.Context(), p.api(), p.vouch(token.UseSpawn, of.agent, s, life, nil))
	p.ok(err)
	return &party{rig: p.rig, signer: s, agent: of.agent}
}

// only lends to this one instance.
func (p *party) lendOnly(to *party, l lent, permissions ...string) *delegation.Link {
	p.t.Helper()
	st := p.statement(to, l, permissions...)
	st.Delegate.Instance = to.instance()
	signed, err := delegation.Sign(st, p.signer)
	p.ok(err)
	link, err := p.Lend(p.t.Context(), p.api(), signed)
	p.ok(err)
	return &link
}

func (s *story) write(by *party, under *delegation.Link) string {
	s.t.Helper()
	got, err := by.exchange(under.String(), guard.TypeDelegation)
	if err != nil {
		return fault.Code(err)
	}
	v := s.start(by.caller(got, issuer+"/mcp/files", issuer+"/mcp/files"), s.call("write", `{"path":"staging/a"}`))
	return strings.TrimSpace(string(v.Outcome) + " " + v.Code)
}

// holds demands the code with which a key is refused at the token endpoint, "" for none.
func (p *party) holds(when, code string) {
	p.t.Helper()
	assertion, err := token.SignAssertion(p.signer, p.sub(), issuer, rand.Text(), p.now, time.Minute)
	p.ok(err)
	url := issuer + "/oauth/token"
	_, err = p.AuthenticateClient(p.t.Context(), guard.ClientProof{
		Method: "POST", URL: url, Assertion: assertion, DPoP: []string{p.proof(p.signer, "POST", url, "")}, NeedDPoP: true,
	})
	if fault.Code(err) != code {
		p.t.Errorf("%s: %v, want %q", when, err, code)
	}
}

// TestInstanceRotation: what a key lent while it was live stays good when another one replaces it; what was lent to it alone ends with it; and all of it ends
// when the running copy is revoked.
func TestInstanceRotation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 100)
		bound := s.priya.lendOnly(s.bot, lent{ttl: time.Hour}, "tool:files:write")
		old := s.bot
		access, err := old.exchange(s.root.String(), guard.TypeDelegation)
		s.ok(err)
		call := func() string {
			v := s.start(old.caller(access, issuer+"/mcp/files", issuer+"/mcp/files"), s.call("write", `{"path":"staging/a"}`))
			return strings.TrimSpace(string(v.Outcome) + " " + v.Code)
		}
		fresh := old.rotated(time.Minute)
		e := s.newest(audit.Filter{Kind: evidence.InstanceRotated})
		w := e.What
		if w.Agent != old.agent || w.Instance != fresh.instance() || w.Before != old.instance() || w.Key.Thumbprint() != fresh.instance() || w.Status != "enrolled" ||
			w.Until != s.now.Add(time.Minute).UnixMicro() || e.Who.Sub != old.agent.String() || e.Who.Instance != old.instance() {
			t.Errorf("the event: %s", e.Body)
		}
		s.stated(e, token.UseRotate, old.signer.Public())
		if touches := e.Touches(); !slices.Contains(touches, old.instance().String()) || !slices.Contains(touches, fresh.instance().String()) {
			t.Errorf("it touches %v", touches)
		}
		if got := call(); got != "permit" {
			t.Errorf("in the grace, the old key's token: %s", got)
		}
		old.holds("in the grace, the old key", "")
		if got := s.write(fresh, bound); got != "not_lent" {
			t.Errorf("what was lent to the old key alone, with the new one: %s", got)
		}
		if got := s.write(old, bound); got != "permit" {
			t.Errorf("what was lent to the old key alone, in the grace: %s", got)
		}
		s.now = s.now.Add(time.Minute)
		if got := call(); got != "deny instance_rotated" {
			t.Errorf("after the grace, the old key's token: %s", got)
		}
		old.holds("after the grace", "invalid_client")
		if got := s.write(fresh, s.root); got != "permit" {
			t.Errorf("what was lent to the agent: %s", got)
		}
		if got := s.write(s.deployer, s.leaf); got != "permit" {
			t.Errorf("what the old key lent: %s", got)
		}
		again := fresh.rotated(0)
		fresh.holds("replaced at once", "invalid_client")
		if got := s.write(s.deployer, s.leaf); got != "permit" {
			t.Errorf("what the oldest key lent: %s", got)
		}
		line, err := s.Line(t.Context(), s.priya.api(), fresh.instance())
		s.ok(err)
		if len(line) != 3 || line[0].Key != old.instance() || line[2].Key != again.instance() || line[1].Event != e.ID || line[1].Rev != e.Rev || line[0].Rev == 0 {
			t.Errorf("the line: %+v", line)
		}

		_, ended, _, err := s.EndInstance(t.Context(), s.priya.api(), old.instance(), "revoke", "it was stolen long ago")
		s.ok(err)
		e = s.newest(audit.Filter{Kind: evidence.InstanceRevoked})
		if e.What.Instance != again.instance() || !slices.Contains(ended, s.leaf.Statement.ID) || !slices.Contains(ended, bound.Statement.ID) {
			t.Errorf("revoked: %v, %s", ended, e.Body)
		}
		again.holds("revoked", "invalid_client")
		if got := s.write(s.deployer, s.leaf); got != "delegation_revoked" {
			t.Errorf("what the oldest key lent, after all: %s", got)
		}
	})
}

// stated demands that an event keeps both halves of the statement.
func (s *story) stated(e audit.Entry, use string, by jose.PublicKey) {
	s.t.Helper()
	voucher, err := s.log.Content(s.t.Context(), e.What.Voucher)
	s.ok(err)
	possession, err := s.log.Content(s.t.Context(), e.What.Possession)
	s.ok(err)
	st, err := token.VerifyKeyStatement(string(voucher), string(possession), by, token.KeyWant{Use: use, Issuer: issuer, Now: time.UnixMicro(e.At)})
	if err != nil || st.Key.Thumbprint() != e.What.Instance || st.Agent != e.What.Agent {
		s.t.Errorf("the statement: %+v, %v", st, err)
	}
}

// Suspending the running copy that a key was rotated in stops what that key lent, and nothing else does.
func TestWhatAnOldKeyLentStopsWithTheRunningCopy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 100)
		fresh := s.bot.rotated(0)
		for _, c := range []struct{ verb, want string }{{"suspend", "instance_suspended"}, {"resume", "permit"}} {
			_, _, _, err := s.EndInstance(t.Context(), s.priya.api(), fresh.instance(), c.verb, "")
			s.ok(err)
			if got := s.write(s.deployer, s.leaf); got != c.want {
				t.Errorf("%s: %s", c.verb, got)
			}
		}
	})
}

func TestRotationRefuses(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 100)
	rotate := func(by *party, key id.Key, in guard.KeyRequest) func() error {
		return func() error {
			_, _, _, err := s.Rotate(t.Context(), by.api(), key, in)
			return err
		}
	}
	with := func(change func(*token.KeyStatement)) guard.KeyRequest {
		return s.bot.vouch(token.UseRotate, s.bot.agent, newSigner(t), 0, change)
	}
	a, b := with(nil), with(nil)
	other := s.priya.register("other")
	twin := &party{rig: s.rig, signer: s.twin(s.bot), agent: s.bot.agent}
	for _, c := range []struct {
		name, want string
		do         func() error
	}{
		{"by a person", "agent_needed", rotate(s.priya, s.bot.instance(), with(nil))},
		{"by another agent", "not_this_instance", rotate(other, s.bot.instance(), other.vouch(token.UseRotate, s.bot.agent, newSigner(t), 0, nil))},
		{"by another instance of the agent", "not_this_instance", rotate(twin, s.bot.instance(), twin.vouch(token.UseRotate, s.bot.agent, newSigner(t), 0, nil))},
		{"with another's voucher", "key_statement_signature", rotate(twin, s.bot.instance(), with(nil))},
		{"into another agent", "agent_mismatch", rotate(s.bot, s.bot.instance(), with(func(st *token.KeyStatement) { st.Agent = other.agent }))},
		{"in another workspace", "workspace_mismatch", rotate(s.bot, s.bot.instance(), with(func(st *token.KeyStatement) { st.Workspace = id.Server }))},
		{"for another server", "key_statement_issuer", rotate(s.bot, s.bot.instance(), with(func(st *token.KeyStatement) { st.Issuer = "https://other.example" }))},
		{"with a statement that spawns", "key_statement_use", rotate(s.bot, s.bot.instance(), with(func(st *token.KeyStatement) { st.Use = token.UseSpawn; st.Expires += 60 }))},
		{"with an old statement", "key_statement_time", rotate(s.bot, s.bot.instance(), with(func(st *token.KeyStatement) { st.IssuedAt -= 61; st.Expires -= 61 }))},
		{"with a statement of the future", "key_statement_time", rotate(s.bot, s.bot.instance(), with(func(st *token.KeyStatement) { st.IssuedAt += 31; st.Expires += 31 }))},
		{"without possession", "key_statement_signature", rotate(s.bot, s.bot.instance(), guard.KeyRequest{Voucher: a.Voucher, Possession: b.Possession})},
		{"with two vouchers", "key_statement_signature", rotate(s.bot, s.bot.instance(), guard.KeyRequest{Voucher: a.Voucher, Possession: a.Voucher})},
		{"with nothing", "key_statement_malformed", rotate(s.bot, s.bot.instance(), guard.KeyRequest{})},
		{"for a day and a second", "grace_invalid", rotate(s.bot, s.bot.instance(), s.bot.vouch(token.UseRotate, s.bot.agent, newSigner(t), 24*time.Hour+time.Second, nil))},
		{"to a person's key", "key_in_use", rotate(s.bot, s.bot.instance(), s.bot.vouch(token.UseRotate, s.bot.agent, s.maya.signer, 0, nil))},
		{"to another instance's key", "key_in_use", rotate(s.bot, s.bot.instance(), s.bot.vouch(token.UseRotate, s.bot.agent, other.signer, 0, nil))},
	} {
		rev, err := s.log.Rev(t.Context(), id.Default)
		s.ok(err)
		if err := c.do(); fault.Code(err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
			continue
		}
		if e := s.newest(audit.Filter{Refused: true}); e.Rev < rev || e.Why.Code != c.want {
			t.Errorf("%s: no event says so", c.name)
		}
		s.bot.holds(c.name, "")
	}
	s.ok(rotate(s.bot, s.bot.instance(), a)())
}

// twin is another instance of the agent.
func (s *story) twin(p *party) jose.Signer {
	s.t.Helper()
	secret, _, err := s.OfferEnrolment(s.t.Context(), s.priya.api(), p.agent)
	s.ok(err)
	k := newSigner(s.t)
	_, _, err = s.Enrol(s.t.Context(), secret, s.keyCredentials(k, "/v1/enrol"))
	s.ok(err)
	return k
}

// TestTwoProcessesRotateOnce: of 64 rotations of one key at once, over all nodes, each to another key, one succeeds.
func TestTwoProcessesRotateOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1)
		doors := s.doors(dsn)
		callers, in := make([]*guard.Caller, 64), make([]guard.KeyRequest, 64)
		for i := range callers {
			callers[i], in[i] = s.bot.api(), s.bot.vouch(token.UseRotate, s.bot.agent, newSigner(t), time.Hour, nil)
		}
		got := inParallel(len(callers), func(i int) string {
			_, _, _, err := doors[i%len(doors)].Rotate(context.Background(), callers[i], s.bot.instance(), in[i])
			return fault.Code(err)
		})
		if got[""] != 1 || got["instance_rotated"]+got["unsettled"] != 63 {
			t.Errorf("%v", got)
		}
		found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.InstanceRotated, Limit: 200})
		s.ok(err)
		if len(found) != 1 {
			t.Errorf("%d events say that it was rotated", len(found))
		}
	})
}

// TestSpawning: a child acts with its own key under what it was lent, as long as everybody above it may act.
func TestSpawning(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 100)
		child := s.bot.spawned(s.deployer, 10*time.Minute)
		e := s.newest(audit.Filter{Kind: evidence.InstanceSpawned})
		w := e.What
		if w.Agent != s.deployer.agent || w.Parent != s.bot.instance() || w.Instance != child.instance() || w.Until != s.now.Add(10*time.Minute).UnixMicro() ||
			e.Who.Instance != s.bot.instance() || w.Status != "spawned" {
			t.Errorf("the event: %s", e.Body)
		}
		s.stated(e, token.UseSpawn, s.bot.signer.Public())
		link := s.bot.lendOnly(child, lent{under: s.root, ttl: 5 * time.Minute}, "tool:files:write")
		if got := s.write(child, link); got != "permit" {
			t.Errorf("the child: %s", got)
		}
		if got := s.write(s.deployer, link); got != "not_lent" {
			t.Errorf("what was lent to the child alone, with another instance: %s", got)
		}
		access, err := child.exchange(link.String(), guard.TypeDelegation)
		s.ok(err)
		call := func() string {
			v := s.start(child.caller(access, issuer+"/mcp/files", issuer+"/mcp/files"), s.call("write", `{"path":"staging/a"}`))
			return strings.TrimSpace(string(v.Outcome) + " " + v.Code)
		}
		_, _, _, err = s.EndInstance(t.Context(), s.priya.api(), s.bot.instance(), "suspend", "")
		s.ok(err)
		if e := s.newest(audit.Filter{Kind: evidence.InstanceSuspended}); len(e.What.Ended) != 3 || !slices.Contains(e.What.Ended, child.instance().String()) ||
			!slices.Contains(e.What.Ended, link.Statement.ID.String()) { // and what the child was lent with
			t.Errorf("what stops with it: %s", e.Body)
		}
		if got := call(); got != "deny parent_ended" {
			t.Errorf("with its parent suspended: %s", got)
		}
		_, _, _, err = s.EndInstance(t.Context(), s.priya.api(), s.bot.instance(), "resume", "")
		s.ok(err)
		if got := call(); got != "deny token_ended" {
			t.Errorf("the token from before: %s", got)
		}
		if got := s.write(child, link); got != "permit" {
			t.Errorf("resumed: %s", got)
		}
		fresh := s.bot.rotated(0)
		if got := s.write(child, link); got != "permit" {
			t.Errorf("its parent rotated: %s", got)
		}
		_, ended, _, err := s.EndInstance(t.Context(), s.priya.api(), fresh.instance(), "revoke", "")
		s.ok(err)
		e = s.newest(audit.Filter{Kind: evidence.InstanceRevoked})
		if !slices.Contains(e.What.Ended, child.instance().String()) || !slices.Contains(ended, link.Statement.ID) {
			t.Errorf("what ends with it: %v, %s", ended, e.Body)
		}
		child.holds("with its parent revoked", "invalid_client")
		if i, err := s.Agents.Instance(t.Context(), child.instance()); err != nil || i.Status != agents.Revoked {
			t.Errorf("the child is %s, %v", i.Status, err)
		}
	})
}

func TestSpawnedInstancesEnd(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 100)
	child := s.bot.spawned(s.deployer, 10*time.Minute)
	second, third := s.bot.spawned(s.deployer, 10*time.Minute), s.bot.spawned(s.bot, 0+time.Hour)
	end := func(by *party, of *party) string {
		_, _, _, err := s.EndInstance(t.Context(), by.api(), of.instance(), "revoke", "done")
		return fault.Code(err)
	}
	if got := end(s.deployer, child); got != "no_permit" {
		t.Errorf("by another instance of its agent: %q", got)
	}
	if got := end(second, child); got != "no_permit" {
		t.Errorf("by a sibling: %q", got)
	}
	if got := end(child, s.bot); got != "no_permit" {
		t.Errorf("the parent by its child: %q", got)
	}
	if got := end(child, child); got != "" {
		t.Errorf("by itself: %q", got)
	}
	child.holds("ended", "invalid_client")
	fresh := s.bot.rotated(time.Hour)
	if got := end(s.bot, second); got != "no_permit" {
		t.Errorf("by its parent's old key: %q", got)
	}
	if got := end(fresh, second); got != "" {
		t.Errorf("by its parent's new key: %q", got)
	}
	s.now = s.now.Add(time.Hour)
	third.holds("expired", "invalid_client")
	_, _, _, err := s.EndInstance(t.Context(), s.priya.api(), s.deployer.instance(), "suspend", "")
	s.ok(err)
	if e := s.newest(audit.Filter{Kind: evidence.InstanceSuspended}); len(e.What.Ended) != 0 {
		t.Errorf("nobody is below it: %s", e.Body)
	}
}

func TestSpawningIsDecidedByPolicy(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 100)
	theirs := s.maya.register("theirs")
	spawn := func(by *party, in guard.KeyRequest) error {
		_, _, _, err := s.Spawn(t.Context(), by.api(), in)
		return err
	}
	with := func(by, of *party, change func(*token.KeyStatement)) guard.KeyRequest {
		return by.vouch(token.UseSpawn, of.agent, newSigner(t), time.Hour, change)
	}
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"one of its own agent", "", spawn(s.bot, with(s.bot, s.bot, nil))},
		{"one of an agent with the same owner", "", spawn(s.bot, with(s.bot, s.deployer, nil))},
		{"one of another's agent", "no_permit", spawn(s.bot, with(s.bot, theirs, nil))},
		{"by a person", "agent_needed", spawn(s.priya, with(s.bot, s.bot, nil))},
		{"with another's voucher", "key_statement_signature", spawn(s.deployer, with(s.bot, s.bot, nil))},
		{"one of no agent", "not_found", spawn(s.bot, with(s.bot, s.bot, func(st *token.KeyStatement) { st.Agent = id.New[id.Agent](s.now) }))},
		{"with a statement that rotates", "key_statement_use", spawn(s.bot, with(s.bot, s.bot, func(st *token.KeyStatement) { st.Use = token.UseRotate }))},
		{"elsewhere", "workspace_mismatch", spawn(s.bot, with(s.bot, s.bot, func(st *token.KeyStatement) { st.Workspace = id.Server }))},
	} {
		if fault.Code(c.err) != c.want {
			t.Errorf("%s: %v, want %q", c.name, c.err, c.want)
		}
	}
	s.priya.publish(rulesOfTheStory + `@id("spawn") permit (principal is Agent, action == Action::"attorn:instance:spawn", resource) when { resource has owner };`)
	s.ok(spawn(s.bot, with(s.bot, theirs, nil)))
	s.priya.publish(rulesOfTheStory + `@id("no-spawn") @reason("Nobody spawns.") forbid (principal, action == Action::"attorn:instance:spawn", resource);`)
	if err := spawn(s.bot, with(s.bot, s.bot, nil)); fault.Code(err) != "forbidden" {
		t.Errorf("forbidden: %v", err)
	}
}

// TestNoChildIsPermittedAfterItsParentsEnd: calls of a child race with the suspension of what it rests on, at another door; no permit stands after it.
func TestNoChildIsPermittedAfterItsParentsEnd(t *testing.T) {
	for name, end := range map[string]func(s *story, g *guard.Guard, admin *guard.Caller) error{
		"the parent": func(s *story, g *guard.Guard, admin *guard.Caller) error {
			_, _, _, err := g.EndInstance(context.Background(), admin, s.bot.instance(), "suspend", "")
			return err
		},
		"the parent, in an event that does not say what is below": func(s *story, g *guard.Guard, _ *guard.Caller) error {
			d := evidence.Draft{Workspace: id.Default}
			d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.InstanceSuspended, evidence.OK, evidence.ServerSub, "server"
			d.What = &evidence.What{Instance: s.bot.instance()}
			_, err := g.Log.Record(context.Background(), d, func(tx *audit.Tx) error {
				_, err := g.Agents.SuspendInstance(tx, id.Default, s.bot.instance())
				return err
			})
			return err
		},
		"the parent's agent": func(s *story, g *guard.Guard, admin *guard.Caller) error {
			_, _, _, err := g.EndAgent(context.Background(), admin, s.bot.agent, "suspend", "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, dsn string) {
				s := newStory(t, dsn, 1000)
				doors := s.doors(dsn)
				child := s.bot.spawned(s.deployer, time.Hour)
				link := s.priya.lendOnly(child, lent{ttl: time.Hour}, "tool:files:write")
				call := s.call("write", `{"path":"staging/a"}`)
				callers := make([]*guard.Caller, 64)
				for i := range callers {
					callers[i] = child.tool(link)
				}
				admin := s.priya.api()
				got := inParallel(len(callers)+1, func(i int) string {
					if i == len(callers)/2 {
						if err := end(s, doors[len(doors)-1], admin); err != nil {
							return err.Error()
						}
						return "ended"
					}
					v, err := doors[0].Start(context.Background(), callers[min(i, len(callers)-1)], call)
					if err != nil {
						return err.Error()
					}
					return strings.TrimSpace(string(v.Outcome) + " " + v.Code)
				})
				kind := evidence.InstanceSuspended
				if name == "the parent's agent" {
					kind = evidence.AgentSuspended
				}
				ended := s.newest(audit.Filter{Kind: kind})
				if got["ended"] != 1 || ended.Who.Sub != evidence.ServerSub && !slices.Contains(ended.What.Ended, child.instance().String()) {
					t.Errorf("%v, %s", got, ended.Body)
				}
				found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.ToolStarted, Limit: 200})
				s.ok(err)
				for _, e := range found {
					if e.Outcome == evidence.Permit && e.Rev > ended.Rev {
						t.Errorf("permitted at #%d, after the end at #%d", e.Rev, ended.Rev)
					}
				}
			})
		})
	}
}
