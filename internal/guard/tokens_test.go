package guard_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// exchange gets a token for the MCP server files, and how good it is: its text.
func (p *party) exchange(subject, subjectType string) (string, error) {
	got, err := p.Exchange(p.t.Context(), p.client(), guard.TokenRequest{Resource: issuer + "/mcp/files", Subject: subject, SubjectType: subjectType})
	return got.Token, err
}

// own records a change as the server's own act.
func (s *story) own(kind evidence.Kind, what evidence.What, change func(*audit.Tx) error) {
	s.t.Helper()
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = kind, evidence.OK, evidence.ServerSub, "server", &what
	_, err := s.log.Record(s.t.Context(), d, change)
	s.ok(err)
}

// TestEndedTokensStayEnded: a token that was issued before anybody on its chain was suspended is never good again, for calls, at introspection and as a
// subject token; one of the same second, after the resume, is.
func TestEndedTokensStayEnded(t *testing.T) {
	cases := map[string]func(s *story, verb string) error{
		"the agent": func(s *story, verb string) error {
			_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.deployer.agent, verb, "")
			return err
		},
		"the instance": func(s *story, verb string) error {
			_, _, _, err := s.EndInstance(t.Context(), s.priya.api(), s.deployer.signer.Public().Thumbprint(), verb, "")
			return err
		},
		"the agent between": func(s *story, verb string) error {
			_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.bot.agent, verb, "")
			return err
		},
		"the instance between": func(s *story, verb string) error {
			_, _, _, err := s.EndInstance(t.Context(), s.priya.api(), s.bot.signer.Public().Thumbprint(), verb, "")
			return err
		},
		"the person": func(s *story, verb string) error {
			_, _, err := s.EndPerson(t.Context(), s.maya.api(), s.priya.user, verb, "")
			return err
		},
		"the workspace": func(s *story, verb string) error {
			s.own(evidence.WorkspaceChanged, evidence.What{Status: verb}, func(tx *audit.Tx) error {
				if verb == "suspend" {
					return s.People.Halt(tx, id.Default)
				}
				return s.People.Unhalt(tx, id.Default)
			})
			return nil
		},
	}
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, dsn string) {
				s := newStory(t, dsn, 1000)
				s.bind(s.maya, "owner", false)
				third := s.priya.register("third")
				s.deployerLends(third)
				call := s.call("write", `{"path":"staging/a"}`)
				old, err := s.deployer.exchange(s.leaf.String(), guard.TypeDelegation)
				s.ok(err)
				good := func(raw string) (string, bool, string) {
					v := s.start(s.deployer.caller(raw, issuer+"/mcp/files", issuer+"/mcp/files"), call)
					seen, err := s.Introspect(t.Context(), s.deployer.client(), raw)
					s.ok(err)
					_, err = third.exchange(raw, guard.TypeAccessToken)
					return v.Code, seen.Active, fault.Code(err)
				}
				if code, active, sub := good(old); code != "" || !active || sub != "" {
					t.Fatalf("before: %q %v %q", code, active, sub)
				}
				s.ok(do(s, "suspend"))
				if name == "the workspace" {
					if _, err := s.deployer.exchange(s.leaf.String(), guard.TypeDelegation); fault.Code(err) != "workspace_halted" {
						t.Errorf("a token in a halted workspace: %v", err)
					}
				}
				s.ok(do(s, "resume"))
				between, err := s.deployer.exchange(s.leaf.String(), guard.TypeDelegation)
				s.ok(err)
				s.ok(do(s, "suspend")) // again in the same second
				s.ok(do(s, "resume"))
				fresh, err := s.deployer.exchange(s.leaf.String(), guard.TypeDelegation)
				s.ok(err)
				if code, active, sub := good(between); code != "token_ended" || active || sub != "token_ended" {
					t.Errorf("the one between two ends: %q %v %q", code, active, sub)
				}
				for _, later := range []time.Duration{0, 4 * time.Second, time.Minute} {
					s.now = s.now.Add(later)
					if code, active, sub := good(old); code != "token_ended" || active || sub != "token_ended" {
						t.Errorf("%s later, the old one: %q %v %q", later, code, active, sub)
					}
					if code, active, sub := good(fresh); code != "" || !active || sub != "" {
						t.Errorf("%s later, the new one: %q %v %q", later, code, active, sub)
					}
				}
			})
		})
	}
}

// deployerLends lends below the leaf.
func (s *story) deployerLends(to *party) {
	s.t.Helper()
	middle := s.bot.lend(s.deployer, lent{under: s.root, ttl: time.Hour, depth: 1}, "tool:files:read", "tool:files:write")
	s.leaf = middle
	s.deployer.lend(to, lent{under: middle, ttl: time.Hour}, "tool:files:read", "tool:files:write")
}
