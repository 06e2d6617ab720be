package evidence_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

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
		{"key that ended with others", "keys", no, "had been removed", func(t *testing.T, s *story) {
			key := s.priya.Public().Thumbprint().String()
			onOther("policy", func(e *evidence.Event) {
				e.Kind, e.What = evidence.UserChanged, &evidence.What{User: user("priya"), Ended: []string{"x", key}}
			})(t, s)
		}},
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
		{"now of a later version", "now", "malformed", "version 1", func(_ *testing.T, s *story) { s.now = func(n *evidence.Now) { n.V = 2 } }},
		{"now with more", "now", "malformed", "", func(t *testing.T, s *story) {
			s.pack = func(p *evidence.Pack) { p.Now = signNow(t, s, `{"v":1,"more":1}`) }
		}},
		{"now in another form", "now", "malformed", "version 1", func(t *testing.T, s *story) {
			s.pack = func(p *evidence.Pack) {
				j, err := jose.Parse(p.Now, 0)
				s.must(err)
				p.Now = signNow(t, s, " "+string(j.Payload))
			}
		}},
		{"a token for what was said", "now", "typ_wrong", "", func(_ *testing.T, s *story) { s.pack = func(p *evidence.Pack) { p.Now = s.rawToken } }},
		{"no file of the bundle", "bundle", hidden, "policies/prod.cedar", onPack(func(p *evidence.Pack) {
			p.Content = slices.DeleteFunc(p.Content, func(c evidence.Content) bool { return string(c.Body) == prodGate })
		})},
	}
}
