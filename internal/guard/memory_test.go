package guard_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// authenticate is client, and may fail.
func (p *party) authenticate() (*guard.Client, error) {
	p.t.Helper()
	assertion, err := token.SignAssertion(p.signer, p.sub(), issuer, rand.Text(), p.now, time.Minute)
	p.ok(err)
	url := issuer + "/oauth/token"
	return p.AuthenticateClient(p.t.Context(), guard.ClientProof{
		Method: "POST", URL: url, Assertion: assertion, DPoP: []string{p.proof(p.signer, "POST", url, "")}, NeedDPoP: true,
	})
}

// TestCacheForgets: what an exchange rests on is remembered, and whatever of it ends, by this process or another, ends the next exchange at once; what goes on
// again, goes on at once.
func TestCacheForgets(t *testing.T) {
	ctx := context.Background()
	verb := func(do func(s *story, verb string) error) (end, again func(*story) error) {
		return func(s *story) error { return do(s, "suspend") }, func(s *story) error { return do(s, "resume") }
	}
	type change struct {
		end, again func(*story) error
		code       string
		token      bool // it ends a token of the agent's own, too
	}
	cases := map[string]change{}
	add := func(name, code string, token bool, do func(s *story, verb string) error) {
		end, again := verb(do)
		cases[name] = change{end, again, code, token}
	}
	add("the agent", "agent_suspended", true, func(s *story, verb string) error {
		_, _, _, err := s.EndAgent(ctx, s.priya.api(), s.deployer.agent, verb, "")
		return err
	})
	add("the instance", "instance_suspended", true, func(s *story, verb string) error {
		_, _, _, err := s.EndInstance(ctx, s.priya.api(), s.deployer.instance(), verb, "")
		return err
	})
	add("the agent between", "agent_suspended", false, func(s *story, verb string) error {
		_, _, _, err := s.EndAgent(ctx, s.priya.api(), s.bot.agent, verb, "")
		return err
	})
	add("the instance between", "instance_suspended", false, func(s *story, verb string) error {
		_, _, _, err := s.EndInstance(ctx, s.priya.api(), s.bot.instance(), verb, "")
		return err
	})
	add("the person", "person_suspended", false, func(s *story, verb string) error {
		_, _, err := s.EndPerson(ctx, s.maya.api(), s.priya.user, verb, "")
		return err
	})
	add("the workspace", "workspace_halted", true, func(s *story, verb string) error {
		_, err := s.EndAll(ctx, s.priya.api(), verb, "")
		return err
	})
	cases["the root"] = change{func(s *story) error { s.revokeRoot(); return nil }, nil, "delegation_revoked", false}
	cases["the last link"] = change{func(s *story) error {
		_, _, err := s.Revoke(ctx, s.priya.api(), s.leaf.Statement.ID, "")
		return err
	}, nil, "delegation_revoked", false}
	cases["the MCP server"] = change{func(s *story) error {
		_, err := s.RemoveServer(ctx, s.priya.api(), "files")
		return err
	}, nil, "unknown_resource", true}
	cases["the last link's time"] = change{func(s *story) error { s.now = s.now.Add(time.Hour); return nil }, nil, "delegation_expired", false}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, dsn string) {
				s := newStory(t, dsn, 0)
				s.bind(s.maya, "owner", false)
				doors := s.doors(dsn)
				try := func(g *guard.Guard, link *delegation.Link) string {
					as := *s.deployer
					as.rig = &rig{Guard: g, t: t, log: s.log, now: s.now}
					client, err := as.authenticate()
					if err == nil && link == nil {
						_, err = g.ClientCredentials(ctx, client, guard.TokenRequest{Resource: issuer + "/mcp/files"})
					} else if err == nil {
						_, err = g.Exchange(ctx, client, guard.TokenRequest{Resource: issuer + "/mcp/files", Subject: link.String(), SubjectType: guard.TypeDelegation})
					}
					if fault.Code(err) == "invalid_client" { // of which a stranger is told nothing else
						return fault.Code(fault.Of(err).Unwrap())
					}
					return fault.Code(err)
				}
				for range 3 {
					for _, g := range doors {
						if a, b := try(g, s.leaf), try(g, nil); a != "" || b != "" {
							t.Fatalf("before: %q %q", a, b)
						}
					}
				}
				s.ok(c.end(s))
				for n, g := range doors {
					if got := try(g, s.leaf); got != c.code {
						t.Errorf("process %d exchanges: %q", n, got)
					}
					if got := try(g, nil); c.token && got != c.code || !c.token && got != "" {
						t.Errorf("process %d gives the agent its own token: %q", n, got)
					}
				}
				if c.again == nil {
					return
				}
				s.ok(c.again(s))
				for n, g := range doors {
					if a, b := try(g, s.leaf), try(g, nil); a != "" || b != "" {
						t.Errorf("process %d, after it goes on: %q %q", n, a, b)
					}
				}
			})
		})
	}
}

// TestCacheForgetsWhatAResourceIs: a URL that is another service's from now on gives what that one's prefix says.
func TestCacheForgetsWhatAResourceIs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 0)
		doors := s.doors(dsn)
		const url = "https://svc.example/api"
		register := func(name, prefix string) {
			t.Helper()
			_, err := s.RegisterService(t.Context(), s.priya.api(), clients.NewService{Name: name, Resource: url, Prefix: prefix, Key: newSigner(t).Public()})
			s.ok(err)
		}
		register("one", "svc:one")
		for _, want := range []string{"svc:one:*", "svc:two:*"} {
			for range 3 {
				for n, g := range doors {
					as := *s.bot
					as.rig = &rig{Guard: g, t: t, log: s.log, now: s.now}
					got, err := g.ClientCredentials(t.Context(), as.client(), guard.TokenRequest{Resource: url})
					s.ok(err)
					if got.Permissions[0].Permission != want {
						t.Errorf("process %d: %v, want %s", n, got.Permissions, want)
					}
				}
			}
			if want == "svc:one:*" {
				_, err := s.RemoveService(t.Context(), s.priya.api(), "one")
				s.ok(err)
				register("two", "svc:two")
			}
		}
	})
}

// TestCacheForgetsTheIssuersKey: each process signs with the new key from its next token on.
func TestCacheForgetsTheIssuersKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 0)
		doors := s.doors(dsn)
		kid := func(g *guard.Guard) id.Key {
			as := *s.bot
			as.rig = &rig{Guard: g, t: t, log: s.log, now: s.now}
			got, err := g.ClientCredentials(t.Context(), as.client(), guard.TokenRequest{Resource: issuer + "/mcp/files"})
			s.ok(err)
			j, err := jose.Parse(got.Token, 0)
			s.ok(err)
			kid, err := id.ParseKey(j.Header.Kid)
			s.ok(err)
			return kid
		}
		before := s.signing()
		for range 2 {
			for _, g := range doors {
				if got := kid(g); got != before {
					t.Fatalf("%s signs", got)
				}
			}
		}
		_, _, err := s.RotateKey(t.Context(), s.priya.api(), guard.Rotation{Now: true, Reason: "drill"})
		s.ok(err)
		if s.signing() == before {
			t.Fatal("nothing was rotated")
		}
		for n, g := range doors {
			if got := kid(g); got != s.signing() {
				t.Errorf("process %d signs with %s", n, got)
			}
		}
	})
}

// TestCacheCountsUses: what counts uses is read each time, so that a delegation that a call used up gives no further token.
func TestCacheCountsUses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 2)
		for n := range 2 {
			if _, err := s.deployer.exchange(s.leaf.String(), guard.TypeDelegation); err != nil {
				t.Fatalf("with %d uses left: %v", 2-n, err)
			}
			s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"staging/a"}`))
		}
		if _, err := s.deployer.exchange(s.leaf.String(), guard.TypeDelegation); fault.Code(err) != "delegation_exhausted" {
			t.Errorf("with none left: %v", err)
		}
	})
}
