package guard_test

import (
	"net/http"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/explain"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

func (s *story) explainer() *explain.Explainer {
	return explain.New(explain.Config{
		Issuer: issuer, Log: s.log, People: s.People, Agents: s.Agents, Lending: s.Lending, Rules: s.Rules, Catalog: s.Catalog, Clients: s.Clients,
		Signer: s.Signer, Now: s.Guard.Config.Now,
	})
}

// answers are what an explanation of e says to its three questions.
func (s *story) answers(e id.Event) (says [3]evidence.Verdict, detail string) {
	s.t.Helper()
	x := s.explainer()
	a, err := x.Answer(s.t.Context(), id.Default, e)
	s.ok(err)
	for i, q := range a.Report.Answers {
		says[i], detail = q.Verdict, detail+" | "+q.Detail
	}
	return says, detail
}

// from is the deployer's caller at an address, and its call as the gateway makes it.
func (s *story) from(ip string) (*guard.Caller, guard.Call) {
	s.t.Helper()
	url := issuer + "/mcp/files"
	got, err := s.Exchange(s.t.Context(), s.deployer.client(), guard.TokenRequest{Resource: url, Subject: s.leaf.String(), SubjectType: guard.TypeDelegation})
	s.ok(err)
	c, err := s.Authenticate(s.t.Context(), guard.Credentials{
		Method: http.MethodPost, URL: url, Authorization: []string{"DPoP " + got.Token}, DPoP: []string{s.proof(s.deployer.signer, "POST", url, got.Token)}, IP: ip,
	}, url)
	s.ok(err)
	call := s.call("write", `{"path":"staging/a"}`)
	named, err := evidence.CallOf(url, call.Action, call.Arguments, call.Pin)
	s.ok(err)
	call.Digest, err = evidence.CallDigest(named)
	s.ok(err)
	return c, call
}

func TestAnExplanationAsksTheSameQuestionAgain(t *testing.T) {
	yes := [3]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Holds}
	no := [3]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Fails}
	for name, c := range map[string]struct {
		later func(s *story)
		want  [3]evidence.Verdict
	}{
		"nothing happens": {func(*story) {}, yes},
		"a publication is sent twice": {func(s *story) {
			c := s.priya.signed()
			s.ok(s.Self(s.t.Context(), c))
			if _, err := s.Publish(s.t.Context(), guard.Again(c), guard.Candidate{Files: []policy.File{{Path: "policies/x.cedar", Text: []byte(`permit (principal, action, resource);`)}}}); fault.Code(err) != "replayed" {
				s.t.Fatal(err)
			}
		}, yes},
		"the definition drifts": {func(s *story) {
			item, err := catalog.ReadItem(catalog.KindTool, []byte(`{"name":"write","description":"other","inputSchema":{"type":"object"}}`))
			s.ok(err)
			s.ok(s.Observe(s.t.Context(), id.Default, "files", []catalog.Item{item}))
		}, no},
		"the server is removed": {func(s *story) {
			_, err := s.RemoveServer(s.t.Context(), s.priya.api(), "files")
			s.ok(err)
		}, no},
		"the root is revoked": {func(s *story) { s.revokeRoot() }, no},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, dbtest.SQLite(t), 10)
			s.t = t
			s.priya.publish(`
				@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
				@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" };
				@id("inside") forbid (principal, action in Action::"call", resource) unless { context.facts has ip && context.facts.ip.isInRange(ip("10.0.0.0/8")) };`)
			if name == "a publication is sent twice" { // between the publication and the decision
				c.later(s)
			}
			v := s.start(s.from("10.1.2.3"))
			if v.Outcome != evidence.Permit {
				t.Fatalf("%+v", v)
			}
			if name != "a publication is sent twice" {
				c.later(s)
			}
			if says, detail := s.answers(v.Event); says != c.want {
				t.Errorf("got %v, want %v: %s", says, c.want, detail)
			}
		})
	}
}
