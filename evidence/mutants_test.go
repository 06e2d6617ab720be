package evidence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// mutant is a story that goes wrong in one way, told by somebody who holds every key of the server. It must fail at line with code, and say why.
type mutant struct {
	name, line, code, says string
	twist                  func(t *testing.T, s *story)
}

const (
	no     = "evidence_wrong"
	hidden = "not_shown"
)

func onStatement(i int, f func(*delegation.Statement)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) {
		s.statement = func(n int, st *delegation.Statement) {
			if n == i || i < 0 {
				f(st)
			}
		}
	}
}

func onClaims(f func(*token.Claims)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.claims = f }
}

func onProof(f func(*dpop.Claims)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.proof = f }
}

func onAsk(f func(*evidence.Approval)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.ask = f }
}

func onVote(f func(*evidence.Vote)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.vote = f }
}

func onFacts(f func(*policy.Facts)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.facts = f }
}

func onEvent(f func(*evidence.Event)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.event = f }
}

func onOther(name string, f func(*evidence.Event)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) {
		s.other = func(n string, e *evidence.Event) {
			if n == name {
				f(e)
			}
		}
	}
}

func onPack(f func(*evidence.Pack)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.pack = f }
}

func mallory(t *testing.T) jose.Signer { return keyOf(t, "mallory") }

func delegationMutants() []mutant {
	staging := []delegation.Permission{{Permission: "tool:files:write_file", Where: map[string]delegation.Constraint{"path": {Prefix: ptr("staging/")}}}}
	return []mutant{
		{"expired", "live", no, "had expired at 2026-11-23 09:31:00", onStatement(1, func(st *delegation.Statement) { st.ExpiresAt = minute(31).Unix() })},
		{"expired at that second", "live", no, "had expired", onStatement(1, func(st *delegation.Statement) { st.ExpiresAt = minute(32).Unix() })},
		{"root expired", "live", no, "had expired", onStatement(-1, func(st *delegation.Statement) { st.ExpiresAt = minute(31).Unix() })},
		{"not begun", "live", no, "begins only", onStatement(-1, func(st *delegation.Statement) { st.NotBefore = minute(33).Unix() })},
		{"accepted later", "live", no, "accepted only at #20", func(_ *testing.T, s *story) { s.linkRev = 20 }},
		{"wider action", "chain", "widens", "permissions", onStatement(1, func(st *delegation.Statement) { st.Permissions = []delegation.Permission{{Permission: "tool:*"}} })},
		{"wider arguments", "chain", "widens", "narrower constraints", onStatement(1, func(st *delegation.Statement) { st.Permissions[0].Where = nil })},
		{"longer", "chain", "widens", "time", onStatement(1, func(st *delegation.Statement) { st.ExpiresAt++ })},
		{"earlier", "chain", "widens", "time", onStatement(1, func(st *delegation.Statement) { st.NotBefore-- })},
		{"deeper", "chain", "widens", "depth", onStatement(1, func(st *delegation.Statement) { st.MaxDepth = 2 })},
		{"lent on though forbidden", "chain", "widens", "may not be lent on", onStatement(0, func(st *delegation.Statement) { st.MaxDepth = 0 })},
		{"more uses", "chain", "widens", "uses", onStatement(0, func(st *delegation.Statement) { st.MaxUses = ptr(int64(5)) })},
		{"another task", "chain", "widens", "task", onStatement(0, func(st *delegation.Statement) { st.Task = "REL-480" })},
		{"another parent", "chain", "chain_broken", "another parent", onStatement(1, func(st *delegation.Statement) { st.Parent = ptr(id.Sum([]byte("x"))) })},
		{"foreign workspace", "chain", no, "another issuer or workspace", onStatement(-1, func(st *delegation.Statement) { st.Workspace, _ = id.ParseWorkspace("team-7") })},
		{"foreign workspace below", "chain", "chain_broken", "another issuer or workspace", onStatement(1, func(st *delegation.Statement) { st.Workspace, _ = id.ParseWorkspace("team-7") })},
		{"foreign issuer", "chain", no, "another issuer or workspace", onStatement(-1, func(st *delegation.Statement) { st.Issuer = "https://other.example" })},
		{"lent to another", "chain", "chain_broken", "is not the parent's delegate", onStatement(0, func(st *delegation.Statement) { st.Delegate.Agent = agent("eve") })},
		{"lent on to another", "chain", no, "for " + agent("deployer").String(), onStatement(1, func(st *delegation.Statement) { st.Delegate.Agent = agent("eve") })},
		{"lent on to another instance", "chain", no, "for another instance", onStatement(1, func(st *delegation.Statement) { st.Delegate.Instance = id.KeyOf(id.Sum([]byte("x"))) })},
		{"lent to one instance, lent on by another", "chain", "chain_broken", "one instance", onStatement(0, func(st *delegation.Statement) { st.Delegate.Instance = id.KeyOf(id.Sum([]byte("x"))) })},
		{"by another person", "chain", no, "is not by", onStatement(0, func(st *delegation.Statement) { st.Delegator.User = user("maya") })},
		{"by another instance", "chain", no, "by another instance", func(t *testing.T, s *story) {
			s.statement = func(i int, st *delegation.Statement) {
				if i == 1 {
					st.Delegator.Instance = mallory(t).Public().Thumbprint()
				}
			}
			s.lender = func(i int) jose.Signer { return []jose.Signer{s.priya, mallory(t)}[i] }
		}},
		{"signed by a key that is not hers", "keys", hidden, "registration of the key that signed for " + user("priya").String(), func(t *testing.T, s *story) {
			s.lender = func(i int) jose.Signer { return []jose.Signer{mallory(t), s.botKey}[i] }
		}},
		{"countersigned by another key", "chain", "key_unknown", "none of the trusted server's", func(t *testing.T, s *story) { s.linkKey = mallory(t) }},
		{"not covered", "covers", no, "the token does not cover", onStatement(1, func(st *delegation.Statement) { st.Permissions = staging })},
		{"covered by the token alone", "covers", no, "delegation", func(_ *testing.T, s *story) {
			s.statement = func(i int, st *delegation.Statement) {
				if i == 1 {
					st.Permissions = staging
				}
			}
			s.claims = func(c *token.Claims) { c.Scope = "tool:files:*" }
		}},
		{"a path that climbs out", "covers", no, "the token does not cover", func(_ *testing.T, s *story) {
			s.args = `{"content":"v2","path":"production/../etc/passwd"}`
		}},
	}
}

func requestMutants() []mutant {
	return []mutant{
		{"token for another resource", "token", "token_audience", "another resource", onClaims(func(c *token.Claims) { c.Audience = issuer + "/mcp/other" })},
		{"token of another issuer", "token", "token_issuer", "another issuer", onClaims(func(c *token.Claims) { c.Issuer = "https://other.example" })},
		{"token expired", "token", "token_expired", "expired", onClaims(func(c *token.Claims) { c.IssuedAt, c.Expires = minute(20).Unix(), minute(25).Unix() })},
		{"token issued later", "token", "token_not_yet", "later", onClaims(func(c *token.Claims) { c.IssuedAt, c.Expires = minute(35).Unix(), minute(40).Unix() })},
		{"token of another person", "token", no, "another person", onClaims(func(c *token.Claims) { c.Subject = user("maya").String() })},
		{"token with an actor less", "token", no, "another number of actors", onClaims(func(c *token.Claims) { c.Act.Act = nil })},
		{"token with another actor", "token", no, "actor", onClaims(func(c *token.Claims) { c.Act.Sub = agent("eve") })},
		{"token with another earlier actor", "token", no, "actor", onClaims(func(c *token.Claims) { c.Act.Act.Sub = agent("eve") })},
		{"token with another earlier instance", "token", no, "actor", onClaims(func(c *token.Claims) { c.Act.Act.Instance = c.JKT })},
		{"token of another key", "token", no, "instance", onClaims(func(c *token.Claims) {
			c.JKT = id.KeyOf(id.Sum([]byte("x")))
			c.Act.Instance = c.JKT
		})},
		{"token of another workspace", "token", no, "another workspace", onClaims(func(c *token.Claims) { c.Workspace, _ = id.ParseWorkspace("team-7") })},
		{"token of another delegation", "token", no, "delegation", onClaims(func(c *token.Claims) { c.Delegation = id.Must[id.Delegation](text("dlg", "root")) })},
		{"token for another task", "chain", no, "another task", onClaims(func(c *token.Claims) { c.Task = "REL-482" })},
		{"token without the permission", "covers", no, "the token does not cover", onClaims(func(c *token.Claims) { c.Details = nil })},
		{"token signed by another key", "token", "token_signature", "not signed by a key of the issuer", func(t *testing.T, s *story) { s.tokenKey = mallory(t) }},
		{"token of an older sign-in", "facts", no, "another sign-in", onClaims(func(c *token.Claims) { c.AuthTime -= 3600 })},
		{"token of a weaker sign-in", "facts", no, "another sign-in", onClaims(func(c *token.Claims) { c.ACR = "urn:attorn:acr:1" })},
		{"proof for another URL", "proof", "dpop_binding", "", onProof(func(c *dpop.Claims) { c.URL = issuer + "/mcp/other" })},
		{"proof for another method", "proof", "dpop_binding", "", onProof(func(c *dpop.Claims) { c.Method = "GET" })},
		{"proof for another token", "proof", "dpop_binding", "", onProof(func(c *dpop.Claims) { c.AccessToken = "x" })},
		{"proof for no token", "proof", "dpop_binding", "", onProof(func(c *dpop.Claims) { c.AccessToken = "" })},
		{"old proof", "proof", "dpop_time", "", onProof(func(c *dpop.Claims) { c.IssuedAt = minute(29.9) })},
		{"proof of the future", "proof", "dpop_time", "", onProof(func(c *dpop.Claims) { c.IssuedAt = minute(34.1) })},
		{"proof by another key", "proof", "dpop_binding", "", func(t *testing.T, s *story) { s.proofKey = mallory(t) }},
	}
}

func approvalMutants() []mutant {
	other := id.Sum([]byte("x"))
	return []mutant{
		{"asked by another issuer", "approvals", no, "another iss", onAsk(func(a *evidence.Approval) { a.Issuer = "https://other.example" })},
		{"asked in another workspace", "approvals", no, "another ws", onAsk(func(a *evidence.Approval) { a.Workspace = id.Server })},
		{"asked at another gate", "approvals", no, "for no gate that asked", onAsk(func(a *evidence.Approval) { a.Gate = "other" })},
		{"asked at the gate before it changed", "approvals", no, "another gate", onAsk(func(a *evidence.Approval) { a.GateSHA256 = other })},
		{"asked by another flow", "approvals", no, "another flow", onAsk(func(a *evidence.Approval) { a.Flow = "1 of anybody" })},
		{"asked by the flow before it changed", "approvals", no, "another flow", onAsk(func(a *evidence.Approval) { a.FlowSHA256 = other })},
		{"asked for another actor", "approvals", no, "another actor", onAsk(func(a *evidence.Approval) { a.Actor = agent("eve").String() })},
		{"asked for one instance", "approvals", no, "another instance", onAsk(func(a *evidence.Approval) { a.Instance = id.KeyOf(other) })},
		{"asked for another person", "approvals", no, "another subject", onAsk(func(a *evidence.Approval) { a.Subject = user("eve") })},
		{"asked for another chain", "approvals", no, "another chain", onAsk(func(a *evidence.Approval) { a.Chain[0] = other })},
		{"asked for a shorter chain", "approvals", no, "another chain", onAsk(func(a *evidence.Approval) { a.Chain = a.Chain[1:] })},
		{"asked for another task", "approvals", no, "another task", onAsk(func(a *evidence.Approval) { a.Task = "" })},
		{"asked for another action", "approvals", no, "another action", onAsk(func(a *evidence.Approval) { a.Action = "tool:files:read_file" })},
		{"asked for another resource", "approvals", no, "another resource", onAsk(func(a *evidence.Approval) { a.Resource.ID = "files:read_file" })},
		{"asked for another definition", "approvals", no, "another pin", onAsk(func(a *evidence.Approval) { a.Pin = other })},
		{"asked for other arguments", "approvals", no, "another args", onAsk(func(a *evidence.Approval) { a.ArgsSHA256 = id.Sum([]byte(`{"path":"production/other.txt"}`)) })},
		{"asked for another call", "approvals", no, "another call", onAsk(func(a *evidence.Approval) { a.Call = other })},
		{"voted against", "approvals", no, "voted against", onVote(func(v *evidence.Vote) { v.Vote = evidence.Refuse })},
		{"voted on another approval", "approvals", no, "something else", onVote(func(v *evidence.Vote) { v.Asks[0].ID = id.Must[id.Approval](text("apr", "x")) })},
		{"voted on another object", "approvals", no, "something else", onVote(func(v *evidence.Vote) { v.Asks[0].Object = other })},
		{"voted in another workspace", "approvals", no, "another issuer or workspace", onVote(func(v *evidence.Vote) { v.Workspace = id.Server })},
		{"voted at another issuer", "approvals", no, "another issuer or workspace", onVote(func(v *evidence.Vote) { v.Issuer = "https://other.example" })},
		{"voted in another's place", "approvals", no, "in another's place", onVote(func(v *evidence.Vote) { v.For = ptr(user("omar")) })},
		{"voted in another's name", "approvals", hidden, "registration of the key that signed for " + user("omar").String(), onVote(func(v *evidence.Vote) { v.Voter = user("omar") })},
		{"counted by another key", "approvals", "key_unknown", "none of the trusted server's", func(t *testing.T, s *story) { s.countKey = mallory(t) }},
		{"counted after the act", "approvals", no, "counted only after", func(_ *testing.T, s *story) { s.countAt = minute(33) }},
		{"counted at a later place", "approvals", no, "counted only after", func(_ *testing.T, s *story) { s.countRev = 11 }},
		{"counted twice", "approvals", no, "voted twice", func(_ *testing.T, s *story) {
			s.votes = 2
			s.bundle = strings.Replace(prodGate, "1 of", "2 of", 1)
		}},
		{"one vote of two", "approvals", no, "1 votes, its gate wants 2", func(_ *testing.T, s *story) { s.bundle = strings.Replace(prodGate, "1 of", "2 of", 1) }},
		{"no vote", "approvals", no, "0 votes", func(_ *testing.T, s *story) { s.votes = 0 }},
		{"used too late", "approvals", no, "used later than 10m", func(_ *testing.T, s *story) { s.countAt = minute(21) }},
		{"by another passkey", "approvals", hidden, "registration of the key", func(t *testing.T, s *story) {
			s.voteKey = func(v evidence.Vote) (evidence.SignedVote, delegation.DelegatorKey) {
				c, _ := v.Challenge()
				p := passkeyOf(t, "mallory")
				return evidence.SignedVote{Vote: v, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: p.sign(t, c)}}, p.delegatorKey(t)
			}
		}},
		{"by a passkey that was removed", "approvals", no, "had been removed", onOther("maya", func(e *evidence.Event) { e.What.Status = evidence.KeyRemoved })},
		{"by the requester", "approvals", "four_eyes", "may not vote", func(t *testing.T, s *story) {
			s.vote = func(v *evidence.Vote) { v.Voter = user("priya") }
			s.voteKey = func(v evidence.Vote) (evidence.SignedVote, delegation.DelegatorKey) {
				sv, err := evidence.SignVote(v, s.priya)
				if err != nil {
					t.Fatal(err)
				}
				return sv, delegation.DelegatorKey{JWK: s.priya.Public()}
			}
		}},
		{"by the agent's owner", "approvals", "four_eyes", "may not vote", func(_ *testing.T, s *story) {
			s.vote = func(v *evidence.Vote) { v.Voter = user("omar") }
			s.other = func(name string, e *evidence.Event) {
				if name == "maya" {
					e.What.User = user("omar")
				}
			}
		}},
		{"by somebody without the role", "approvals", "not_eligible", "takes the role", onFacts(func(f *policy.Facts) {
			f.Entities = slices.DeleteFunc(f.Entities, func(e policy.Entity) bool { return e.UID.Type == "Group" })
		})},
	}
}

func factMutants() []mutant {
	entity := func(f *policy.Facts, uid string) *policy.Entity {
		return &f.Entities[slices.IndexFunc(f.Entities, func(e policy.Entity) bool { return e.UID.ID == uid })]
	}
	return []mutant{
		{"facts with the chain turned", "facts", no, "another chain", onFacts(func(f *policy.Facts) { f.Principals[0], f.Principals[1] = f.Principals[1], f.Principals[0] })},
		{"facts without the middle", "facts", no, "another chain", onFacts(func(f *policy.Facts) { f.Principals = slices.Delete(f.Principals, 1, 2) })},
		{"facts without the person", "facts", no, "another chain", onFacts(func(f *policy.Facts) { f.Principals, f.Auth = f.Principals[:2], nil })},
		{"facts of another action", "facts", no, "another action", onFacts(func(f *policy.Facts) { f.Action = "tool:files:read_file" })},
		{"facts of other groups", "facts", no, "group of actions", onFacts(func(f *policy.Facts) { f.ActionParents = []string{"call"} })},
		{"facts of another resource", "facts", no, "another resource", onFacts(func(f *policy.Facts) { f.Resource.ID = "files:x" })},
		{"facts of another instance", "facts", no, "another instance", onFacts(func(f *policy.Facts) { f.Actor.Instance = "x" })},
		{"facts of another proof", "facts", no, "another proof", onFacts(func(f *policy.Facts) { f.Actor.Proof = "httpsig" })},
		{"facts of another delegation", "facts", no, "another delegation", onFacts(func(f *policy.Facts) { f.Delegation.ID = "dlg" })},
		{"facts of another task", "facts", no, "another delegation", onFacts(func(f *policy.Facts) { f.Delegation.Task = "" })},
		{"facts of another time", "facts", no, "another moment", onFacts(func(f *policy.Facts) { f.Now -= (3 * time.Minute).Microseconds() })},
		{"facts of a better sign-in", "facts", no, "another sign-in", onFacts(func(f *policy.Facts) { f.Auth.Age = 0 })},
		{"facts of another owner", "facts", no, "another owner", onFacts(func(f *policy.Facts) {
			entity(f, agent("deployer").String()).Attrs["owner"] = policy.UID{Type: "User", ID: user("x").String()}
		})},
		{"facts without an owner", "facts", no, "another owner", onFacts(func(f *policy.Facts) { entity(f, agent("deployer").String()).Attrs = nil })},
		{"facts without the actor's role", "decision", no, "policy says deny", onFacts(func(f *policy.Facts) { entity(f, agent("deployer").String()).Parents = nil })},
		{"facts without the person's role", "decision", no, "policy says deny", onFacts(func(f *policy.Facts) { entity(f, user("priya").String()).Parents = nil })},
		{"facts that kept other arguments", "facts", no, "other arguments", func(_ *testing.T, s *story) {
			s.event = func(e *evidence.Event) {
				f := s.factsOf(*e)
				f.Arguments = []byte(`{"path":"staging/x"}`)
				b, err := f.Bytes()
				s.must(err)
				e.Why.Facts = s.keep(b)
			}
		}},
		{"policies in another form", "bundle", no, "not those of the bundle", func(_ *testing.T, s *story) {
			s.event = func(e *evidence.Event) {
				e.Why.Bundle = s.keep(append([]byte(" "), s.compile().Manifest()...))
			}
		}},
		{"policies that are none", "bundle", no, "do not compile", func(_ *testing.T, s *story) {
			s.event = func(e *evidence.Event) {
				e.Why.Bundle = s.keep([]byte(`{"policies/x.cedar":"` + s.keep([]byte("permit everything")).String() + `"}`))
			}
		}},
		{"facts for policies", "bundle", "malformed", "", func(_ *testing.T, s *story) {
			s.event = func(e *evidence.Event) { e.Why.Bundle = e.Why.Facts }
		}},
		{"forbidden by policy", "decision", no, "policy says deny", func(_ *testing.T, s *story) {
			s.bundle, s.approved = `@id("never") forbid (principal, action, resource);`, false
		}},
		{"not approved", "decision", no, "policy says ask", func(_ *testing.T, s *story) { s.approved = false }},
		{"an approval that nothing asked for", "approvals", no, "for no gate that asked", onEvent(func(e *evidence.Event) { e.Under.Approvals = append(e.Under.Approvals, e.Under.Approvals[0]) })},
	}
}

func signNow(t *testing.T, s *story, payload string) string {
	t.Helper()
	compact, err := jose.Sign(evidence.TypeNow, []byte(payload), s.issuerKey)
	s.must(err)
	return compact
}

// rewrite makes the workspace's log anew with another body, as only its own server can.
func rewrite(t *testing.T, s *story, p *evidence.Pack, rev int, body []byte) {
	s.log.bodies[rev] = body
	s.log.tree, s.log.front = memory{}, evidence.Frontier{}
	for i, b := range s.log.bodies {
		s.log.tree.add(t, int64(i), b)
		s.log.front.Append(tlog.RecordHash(b))
	}
	for i, e := range p.Entries {
		if e.Workspace == id.Default {
			p.Entries[i] = s.log.entry(e.Rev)
		}
	}
}

// TestMutants: every way in which a story goes wrong is found, at its own line and for its own reason; and it is the only thing that is wrong, since
// the story without it verifies.
func TestMutants(t *testing.T) {
	all := slices.Concat(delegationMutants(), requestMutants(), signatureMutants(), approvalMutants(), factMutants(), eventMutants(), logMutants(), packMutants())
	t.Logf("%d mutants", len(all))
	if len(all) < 200 {
		t.Errorf("%d mutants, at least 200 are wanted", len(all))
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			s := newStory(t)
			m.twist(t, s)
			pack, trust := s.tell()
			r, err := evidence.Verify(pack, []byte(trust))
			if err != nil {
				t.Fatal(err)
			}
			f := r.FirstFailure
			if r.OK() || f == nil || f.Name != m.line || f.Code != m.code || !strings.Contains(f.Detail, m.says) {
				t.Errorf("want %s %s %q, got %+v\n%s", m.line, m.code, m.says, f, r.Tree())
			}
		})
	}
}
