package evidence_test

import (
	"bytes"
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

func eventMutants() []mutant {
	other := id.Sum([]byte("x"))
	otherKey := id.KeyOf(other)
	return []mutant{
		{"event that says deny", "decision", hidden, "does not decide", onEvent(func(e *evidence.Event) { e.Outcome = evidence.Deny })},
		{"event that says forbidden", "decision", no, "policy says permit, not deny", onEvent(func(e *evidence.Event) { e.Outcome, e.Why.Code = evidence.Deny, "forbidden" })},
		{"event that says ask", "decision", no, "policy says permit, not ask", onEvent(func(e *evidence.Event) { e.Outcome = evidence.Ask })},
		{"event without the gate", "decision", no, "gates that were lifted", onEvent(func(e *evidence.Event) { e.Why.Waived = nil })},
		{"event with another gate", "decision", no, "gates that were lifted", onEvent(func(e *evidence.Event) { e.Why.Waived = []string{"other"} })},
		{"event of another bundle", "bundle", hidden, "not in the pack", onEvent(func(e *evidence.Event) { e.Why.Bundle = other })},
		{"event of other facts", "facts", hidden, "not in the pack", onEvent(func(e *evidence.Event) { e.Why.Facts = other })},
		{"event of another engine", "bundle", hidden, "decided by", onEvent(func(e *evidence.Event) { e.Why.Engine = "cedar-go/2" })},
		{"event decided before the bundle", "bundle", hidden, "publication", onEvent(func(e *evidence.Event) { e.Why.AsOf = 7 })},
		{"event with another owner", "keys", no, "belonged to", onEvent(func(e *evidence.Event) { e.Who.Owner = user("priya") })},
		{"event of another agent", "chain", no, "another actor", onEvent(func(e *evidence.Event) { e.Who.Sub = agent("eve").String() })},
		{"event of another instance", "token", no, "instance", onEvent(func(e *evidence.Event) { e.Who.Instance = otherKey })},
		{"event of another middle instance", "token", no, "actor", onEvent(func(e *evidence.Event) { e.Who.Chain[1].Instance = otherKey })},
		{"event with a chain of one", "token", no, "number of actors", onEvent(func(e *evidence.Event) { e.Who.Chain = e.Who.Chain[:1] })},
		{"event without a chain", "token", no, "acting for nobody", onEvent(func(e *evidence.Event) { e.Who.Chain = nil })},
		{"event with an agent at the root", "token", no, "another person", onEvent(func(e *evidence.Event) { e.Who.Chain = e.Who.Chain[1:] })},
		{"event with the links exchanged", "chain", "chain_broken", "no parent", onEvent(func(e *evidence.Event) {
			c := e.Who.Chain
			c[1].Link, c[2].Link = c[2].Link, c[1].Link
		})},
		{"event with one link twice", "chain", "chain_broken", "", onEvent(func(e *evidence.Event) { e.Who.Chain[2].Link = e.Who.Chain[1].Link })},
		{"event with an unknown link", "chain", hidden, "not in the pack", onEvent(func(e *evidence.Event) { e.Who.Chain[1].Link = other })},
		{"event with another delegation in the chain", "chain", no, "is not by", onEvent(func(e *evidence.Event) { e.Who.Chain[1].Delegation = e.Who.Chain[2].Delegation })},
		{"event with a link that is none", "chain", "malformed", "", onEvent(func(e *evidence.Event) { e.Who.Chain[1].Link = e.Why.Facts })},
		{"event of another statement", "chain", no, "another actor or statement", onEvent(func(e *evidence.Event) { e.Under.Statement = other })},
		{"event of another delegation", "token", no, "delegation", onEvent(func(e *evidence.Event) { e.Under.Delegation = e.Who.Chain[1].Delegation })},
		{"event of another task", "chain", no, "another task", onEvent(func(e *evidence.Event) { e.Under.Task = "REL-1" })},
		{"event without a token", "token", no, "names no token", onEvent(func(e *evidence.Event) { e.Under.Token = nil })},
		{"event with another jti", "token", no, "another one than the event", onEvent(func(e *evidence.Event) { e.Under.Token.ID = "x" })},
		{"event with another key id", "token", no, "another one than the event", onEvent(func(e *evidence.Event) { e.Under.Token.Kid = otherKey })},
		{"event with another expiry", "token", no, "another one than the event", onEvent(func(e *evidence.Event) { e.Under.Token.Expires++ })},
		{"event with another token", "token", hidden, "not in the pack", onEvent(func(e *evidence.Event) { e.Under.Token.SHA256 = other })},
		{"event with facts for a token", "token", "token_malformed", "", onEvent(func(e *evidence.Event) { e.Under.Token.SHA256 = e.Why.Facts })},
		{"event without authority", "token", no, "names no token", onEvent(func(e *evidence.Event) { e.Under = nil })},
		{"event of another proof", "details", no, "not the proof that the event names", onEvent(func(e *evidence.Event) { e.Who.Proof.SHA256 = other })},
		{"event without a proof", "details", no, "not the proof that the event names", onEvent(func(e *evidence.Event) { e.Who.Proof = nil })},
		{"event with another kind of proof", "facts", no, "another proof", onEvent(func(e *evidence.Event) { e.Who.Proof.Type = "jws" })},
		{"event of another action", "token", no, "is not what the action", onEvent(func(e *evidence.Event) { e.Did.Action = "tool:files:read_file" })},
		{"event of another tool", "covers", "digest_mismatch", "call digest", onEvent(func(e *evidence.Event) { e.Did.Action, e.Did.Resource.ID = "tool:files:read_file", "files:read_file" })},
		{"event of another server", "token", "token_audience", "", onEvent(func(e *evidence.Event) { e.Did.Action, e.Did.Resource.ID = "tool:db:write_file", "db:write_file" })},
		{"event of no tool", "token", no, "no call of a tool", onEvent(func(e *evidence.Event) { e.Did.Action = "attorn:agent:revoke" })},
		{"event of another definition", "covers", "digest_mismatch", "call digest", onEvent(func(e *evidence.Event) { e.Did.Pin = other })},
		{"event of another call", "covers", "digest_mismatch", "call digest", onEvent(func(e *evidence.Event) { e.Did.Digest = other })},
		{"event of other arguments", "details", "disclosure_mismatch", "not what the event sealed", onEvent(func(e *evidence.Event) { e.Did.Args = evidence.Seal([]byte("x")) })},
		{"event of another address", "details", "disclosure_mismatch", "not what the event sealed", onEvent(func(e *evidence.Event) { e.Where.IP = evidence.Seal([]byte("x")) })},
		{"event before its kind", "kind", hidden, "not known to this version", onEvent(func(e *evidence.Event) { e.Kind = "tool.dreamt" })},
		{"event that finishes", "kind", hidden, "the decision behind it", onEvent(func(e *evidence.Event) { e.Kind = evidence.ToolFinished })},
		{"event without a decision", "kind", hidden, "no decision by policy", onEvent(func(e *evidence.Event) { e.Why = nil })},
		{"event with an approval of nothing", "approvals", no, "for no gate", onEvent(func(e *evidence.Event) { e.Under.Approvals[0].Ask = other })},
		{"event with another approval's name", "approvals", no, "something else", onEvent(func(e *evidence.Event) { e.Under.Approvals[0].ID = id.Must[id.Approval](text("apr", "x")) })},
		{"event with an unknown vote", "approvals", hidden, "not in the pack", onEvent(func(e *evidence.Event) { e.Under.Approvals[0].Votes[0] = other })},
		{"event long after", "token", "token_expired", "", onEvent(func(e *evidence.Event) { e.At = minute(60).UnixMicro() })},
		{"event long before", "token", "token_signature", "", onEvent(func(e *evidence.Event) { e.At = minute(-60).UnixMicro() })},
	}
}

func logMutants() []mutant {
	return []mutant{
		{"issuer key for logs", "token", "token_signature", "", onOther("key", func(e *evidence.Event) { e.What.Use = "log" })},
		{"issuer key published later", "token", "token_signature", "", onOther("key", func(e *evidence.Event) { e.At = minute(33).UnixMicro() })},
		{"issuer key that was refused", "token", "token_signature", "", onOther("key", func(e *evidence.Event) { e.Outcome = evidence.Deny })},
		{"server log whose opening was refused", "server log", no, "does not open it", onOther("opened", func(e *evidence.Event) { e.Outcome = evidence.Deny })},
		{"log whose opening was refused", "log", hidden, "opening of the log", onOther("log", func(e *evidence.Event) { e.Outcome = evidence.Deny })},
		{"enrolment that was refused", "keys", hidden, "enrolment", onOther("deployer key", func(e *evidence.Event) { e.Outcome = evidence.Deny })},
		{"no issuer key", "issuer keys", no, "publishes no key", onOther("key", func(e *evidence.Event) { e.What.Key = nil })},
		{"server log opened with another key", "server log", no, "another key, than the trusted one", func(t *testing.T, s *story) {
			onOther("opened", func(e *evidence.Event) { e.What.Log.VKey = logSigner(t, "x").String() })(t, s)
		}},
		{"server log opened by something else", "server log", no, "does not open it", onOther("opened", func(e *evidence.Event) { e.Kind = evidence.SystemStarted })},
		{"server log opened elsewhere", "server log", no, "does not begin there", onOther("opened", func(e *evidence.Event) { e.What.Log.Base = 7 })},
		{"log opened with another key", "event", "signature_invalid", "", func(t *testing.T, s *story) {
			k, err := evidence.NewLogSigner(s.log.signer.Name(), mallory(t))
			if err != nil {
				t.Fatal(err)
			}
			onOther("log", func(e *evidence.Event) { e.What.Log.VKey = k.String() })(t, s)
		}},
		{"log opened with a key of another name", "log", no, "not its own", func(t *testing.T, s *story) {
			onOther("log", func(e *evidence.Event) { e.What.Log.VKey = logSigner(t, "x").String() })(t, s)
		}},
		{"log opened under another origin", "log", no, "not its own", onOther("log", func(e *evidence.Event) { e.What.Log.Origin = "other.example/log/default/2026" })},
		{"log opened for another workspace", "log", no, "not its own", onOther("log", func(e *evidence.Event) { e.What.Log.Workspace, _ = id.ParseWorkspace("team-7") })},
		{"log opened elsewhere", "event", no, "does not begin there", onOther("log", func(e *evidence.Event) { e.What.Log.Base = 7 })},
		{"log not opened", "log", hidden, "opening of the log", onOther("log", func(e *evidence.Event) { e.Kind = evidence.LogRead })},
		{"instance enrolled for another agent", "keys", no, "was enrolled for", onOther("deployer key", func(e *evidence.Event) { e.What.Agent = agent("eve") })},
		{"instance enrolled with another key", "keys", no, "with another key", func(t *testing.T, s *story) {
			onOther("deployer key", func(e *evidence.Event) { e.What.Key = ptr(mallory(t).Public()) })(t, s)
		}},
		{"instance enrolled without its key", "keys", no, "with another key", onOther("deployer key", func(e *evidence.Event) { e.What.Key = nil })},
		{"instance never enrolled", "keys", hidden, "enrolment", onOther("deployer key", func(e *evidence.Event) { e.Kind = evidence.InstanceRevoked })},
		{"middle instance never enrolled", "keys", hidden, "enrolment", onOther("bot key", func(e *evidence.Event) { e.What.Instance = id.Key{} })},
		{"agent of another owner", "keys", no, "belonged to", onOther("deployer", func(e *evidence.Event) { e.What.User = user("maya") })},
		{"agent never registered", "keys", hidden, "registration of", onOther("bot", func(e *evidence.Event) { e.What.Agent = agent("eve") })},
		{"key of another person", "keys", hidden, "registration of the key", onOther("priya", func(e *evidence.Event) { e.What.User = user("maya") })},
		{"key that was removed", "keys", no, "had been removed", onOther("priya", func(e *evidence.Event) { e.What.Status = evidence.KeyRemoved })},
		{"another bundle published", "bundle", no, "is another one", onOther("policy", func(e *evidence.Event) { e.What.Bundle = id.Sum([]byte("x")) })},
	}
}

func packMutants() []mutant {
	foreign := func(t *testing.T) *story { // the same story, told by somebody else
		s := newStory(t)
		var err error
		s.log.signer, err = evidence.NewLogSigner(s.log.signer.Name(), mallory(t))
		if err != nil {
			t.Fatal(err)
		}
		s.tell()
		return s
	}
	return []mutant{
		{"trust in another log", "server log", no, "nothing that is trusted", func(t *testing.T, s *story) {
			s.trust = func([]evidence.LogKey) string {
				return evidence.TrustPolicy(logSigner(t, "other.example/log/server/2026").LogKey)
			}
		}},
		{"trust in the workspace's log alone", "server log", no, "nothing that is trusted", func(_ *testing.T, s *story) {
			s.trust = func(logs []evidence.LogKey) string { return evidence.TrustPolicy(logs[1]) }
		}},
		{"trust in another key", "server log", "signature_invalid", "", func(t *testing.T, s *story) {
			k, err := evidence.NewLogSigner(s.server.signer.Name(), mallory(t))
			if err != nil {
				t.Fatal(err)
			}
			s.trust = func([]evidence.LogKey) string { return evidence.TrustPolicy(k.LogKey) }
		}},
		{"another issuer", "server log", no, "is not the server", onPack(func(p *evidence.Pack) { p.Issuer = "https://other.example" })},
		{"another scheme", "token", "token_issuer", "", onPack(func(p *evidence.Pack) { p.Issuer = "http://attorn.example" })},
		{"no server log", "server log", no, "nothing of a server log", onPack(func(p *evidence.Pack) { p.Entries = p.Entries[3:] })},
		{"question about another event", "event", no, "it is the event", onPack(func(p *evidence.Pack) { p.Question.Event = event("x") })},
		{"question about another place", "event", no, "it is the event", onPack(func(p *evidence.Pack) { p.Question.Rev = 1 })},
		{"question about nothing", "event", no, "not in the pack", onPack(func(p *evidence.Pack) { p.Question.Rev = 99 })},
		{"body changed", "event", "not_in_log", "body does not hash to its leaf", onPack(func(p *evidence.Pack) {
			e := &p.Entries[len(p.Entries)-1]
			e.Body = bytes.Replace(e.Body, []byte("REL-481"), []byte("REL-482"), 1)
		})},
		{"another body changed", "others", "not_in_log", "default #4: body does not hash to its leaf", onPack(func(p *evidence.Pack) {
			e := &p.Entries[6]
			e.Body = append(bytes.TrimSuffix(e.Body, []byte("}")), ' ', '}')
		})},
		{"server body changed", "server log", "not_in_log", "server #1", onPack(func(p *evidence.Pack) { p.Entries[1].Body = append(p.Entries[1].Body, '\n') })},
		{"proofs exchanged", "event", "not_in_log", "body does not hash to its leaf", onPack(func(p *evidence.Pack) {
			a, b := &p.Entries[len(p.Entries)-1], &p.Entries[3]
			a.Proof, b.Proof = b.Proof, a.Proof
		})},
		{"events exchanged", "event", "evidence_wrong", "does not begin there", onPack(func(p *evidence.Pack) {
			a, b := &p.Entries[len(p.Entries)-1], &p.Entries[3]
			a.Proof, b.Proof, a.Body, b.Body = b.Proof, a.Proof, b.Body, a.Body
		})},
		{"workspaces exchanged", "server log", no, "nothing that is trusted", onPack(func(p *evidence.Pack) {
			p.Entries[3].Workspace, p.Entries[3].Rev = id.Server, 9
		})},
		{"an entry of another workspace's log", "others", no, "another workspace's log", onPack(func(p *evidence.Pack) {
			p.Entries[9].Workspace, _ = id.ParseWorkspace("team-7")
		})},
		{"an entry that is no event", "others", no, "is no event", func(t *testing.T, s *story) {
			s.pack = func(p *evidence.Pack) { rewrite(t, s, p, 2, []byte("hello")) }
		}},
		{"an entry that says it is another", "others", no, "says of itself", func(t *testing.T, s *story) {
			s.pack = func(p *evidence.Pack) {
				rewrite(t, s, p, 2, bytes.Replace(s.log.bodies[2], []byte(`"rev":2`), []byte(`"rev":3`), 1))
			}
		}},
		{"the log opened twice", "log", no, "again", func(_ *testing.T, s *story) {
			s.pack = func(p *evidence.Pack) {
				opening := s.log.opening()
				s.happens(s.server, "again", 1, evidence.LogOpened, evidence.What{Log: &opening})
				for i := range 3 {
					p.Entries[i] = s.server.entry(int64(i))
				}
				p.Entries = append(p.Entries, s.server.entry(3))
			}
		}},
		{"two servers, both trusted", "server log", no, "mixes the logs of two servers", func(t *testing.T, s *story) {
			other := &ledger{t: t, ws: id.Server, signer: logSigner(t, "other.example/log/server/2026")}
			s.trust = func(logs []evidence.LogKey) string { return evidence.TrustPolicy(logs[0], other.signer.LogKey) }
			s.pack = func(p *evidence.Pack) {
				opening := other.opening()
				s.happens(other, "opened", 0, evidence.LogOpened, evidence.What{Log: &opening})
				s.happens(other, "a", 0, evidence.SystemStarted, evidence.What{})
				s.happens(other, "b", 0, evidence.SystemStarted, evidence.What{})
				s.happens(other, "c", 0, evidence.SystemStarted, evidence.What{})
				p.Entries = append(p.Entries, other.entry(3))
			}
		}},
		{"foreign log", "event", "signature_invalid", "", func(t *testing.T, s *story) {
			f := foreign(t)
			s.pack = func(p *evidence.Pack) { p.Entries[len(p.Entries)-1] = f.log.entry(11) }
		}},
		{"two heads", "others", no, "two checkpoints", func(_ *testing.T, s *story) {
			s.pack = func(p *evidence.Pack) {
				s.happens(s.log, "later", 50, evidence.SystemStopped, evidence.What{})
				p.Entries[4] = s.log.entry(2)
			}
		}},
		{"foreign detail", "details", no, "seals no such member", onPack(func(p *evidence.Pack) { p.Details[0].Field = "name" })},
		{"details exchanged", "details", "disclosure_mismatch", "", onPack(func(p *evidence.Pack) {
			p.Details[0].Field, p.Details[2].Field = p.Details[2].Field, p.Details[0].Field
		})},
		{"detail of an event that is not there", "details", no, "not in the pack", onPack(func(p *evidence.Pack) { p.Details[0].Rev = 99 })},
		{"arguments not shown", "covers", hidden, "not disclosed", onPack(func(p *evidence.Pack) { p.Details = p.Details[1:] })},
		{"address not shown", "facts", hidden, "not disclosed", onPack(func(p *evidence.Pack) { p.Details = slices.Delete(p.Details, 1, 2) })},
		{"proof not shown", "proof", hidden, "not in the pack", onPack(func(p *evidence.Pack) { p.Details = p.Details[:2] })},
		{"now by another key", "now", "key_unknown", "", func(t *testing.T, s *story) { s.nowKey = mallory(t) }},
		{"now about another event", "now", no, "another event", func(_ *testing.T, s *story) { s.now = func(n *evidence.Now) { n.Event = event("x") } }},
		{"now about another workspace", "now", no, "another event", func(_ *testing.T, s *story) { s.now = func(n *evidence.Now) { n.Workspace = id.Server } }},
		{"now said before", "now", no, "another event", func(_ *testing.T, s *story) { s.now = func(n *evidence.Now) { n.Rev = 10 } }},
		{"a token for what was said", "now", "typ_wrong", "", func(_ *testing.T, s *story) { s.pack = func(p *evidence.Pack) { p.Now = s.rawToken } }},
		{"no file of the bundle", "bundle", hidden, "policies/prod.cedar", onPack(func(p *evidence.Pack) {
			p.Content = slices.DeleteFunc(p.Content, func(c evidence.Content) bool { return string(c.Body) == prodGate })
		})},
	}
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
	all := slices.Concat(delegationMutants(), requestMutants(), approvalMutants(), factMutants(), eventMutants(), logMutants(), packMutants())
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
