package guard_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

const files = issuer + "/mcp/files"

// ruled lets agents and people use tools, and writing only by a signed request.
const ruled = `
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" };
@id("signed") @stepup("proof=httpsig") @reason("Writing wants a signed request.") forbid (principal, action == Action::"tool:files:write", resource);
`

// sent is one request as a test makes it, with a message signature by its key over everything.
type sent struct {
	by       *party
	access   string // "": no token
	url      string
	audience string
	body     string
	nonce    string
	call     string // Attorn-Call-Digest
	at       time.Time
	key      jose.Signer // "": by's
}

func (s *story) credentials(q sent) guard.Credentials {
	s.t.Helper()
	h := http.Header{}
	cr := guard.Credentials{Method: http.MethodPost, URL: q.url, Header: h.Values, Face: "gateway"}
	if q.access != "" {
		h.Set("Authorization", "DPoP "+q.access)
		cr.Authorization, cr.DPoP = h.Values("Authorization"), []string{s.proof(q.by.signer, "POST", q.url, q.access)}
	}
	if q.call != "" {
		h.Set("Attorn-Call-Digest", q.call)
	}
	if q.key == nil {
		q.key = q.by.signer
	}
	if q.at.IsZero() {
		q.at = s.now
	}
	if q.nonce == "" {
		q.nonce = jose.EncodeBase64([]byte(id.New[id.Event](s.now).String()))
	}
	made, err := httpsig.Sign(q.key, httpsig.Request{Method: "POST", TargetURI: q.url, Header: h.Values, Body: []byte(q.body)},
		httpsig.Params{Audience: q.audience, Created: q.at, Nonce: q.nonce})
	s.ok(err)
	h.Set("Attorn-Audience", made.Audience)
	h.Set("Content-Digest", made.Digest)
	h.Set("Signature-Input", made.Input)
	h.Set("Signature", made.Signature)
	return cr
}

// lentToken is a token of the deployer for the server files.
func (s *story) lentToken() string {
	s.t.Helper()
	got, err := s.Exchange(s.t.Context(), s.deployer.client(), guard.TokenRequest{Resource: files, Subject: s.leaf.String(), SubjectType: guard.TypeDelegation})
	s.ok(err)
	return got.Token
}

// writing is a call as the gateway makes it.
func (s *story) writing() guard.Call {
	s.t.Helper()
	call := s.call("write", `{"path":"staging/a"}`)
	named, err := evidence.CallOf(files, call.Action, call.Arguments, call.Pin)
	s.ok(err)
	call.Digest, err = evidence.CallDigest(named)
	s.ok(err)
	return call
}

// arrive authenticates and holds the body to what was signed.
func (s *story) arrive(q sent) *guard.Caller {
	s.t.Helper()
	c, err := s.Authenticate(s.t.Context(), s.credentials(q), q.audience)
	s.ok(err)
	s.ok(c.CheckBody([]byte(q.body)))
	return c
}

func newSignedStory(t *testing.T, dsn string) *story {
	t.Helper()
	s := newStory(t, dsn, 100)
	s.priya.publish(ruled)
	return s
}

// Beside a token a message signature is the stronger proof that a policy can ask for, and the evidence of it holds by itself; so it does without a token, for an
// instance that acts for nobody.
func TestSignedRequestsAreProved(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newSignedStory(t, dsn)
		call := s.writing()
		v := s.start(s.deployer.tool(s.leaf), call)
		if v.Outcome != evidence.Deny || v.Code != "signature_needed" || !strings.Contains(v.Remedy, "Accept-Signature") {
			t.Fatalf("by a DPoP proof alone: %+v", v)
		}
		for name, q := range map[string]sent{
			"beside a token":                      {by: s.deployer, access: s.lentToken()},
			"beside a token, with the call":       {by: s.deployer, access: s.lentToken(), call: call.Digest.String()},
			"alone":                               {by: s.bot},
			"alone, with the digest of the call":  {by: s.bot, call: call.Digest.String()},
			"beside a token in the agent's right": {by: s.bot, access: s.ownToken(s.bot)},
		} {
			q.url, q.audience, q.body = files, files, `{"jsonrpc":"2.0"}`
			v := s.start(s.arrive(q), call)
			if v.Outcome != evidence.Permit {
				t.Errorf("%s: %+v", name, v)
				continue
			}
			e := s.event(v.Event)
			if e.Who.Proof == nil || e.Who.Proof.Type != "httpsig" || e.Who.Sub != q.by.sub() || e.Who.Instance != q.by.signer.Public().Thumbprint() {
				t.Errorf("%s: %s", name, e.Body)
			}
			if alone := q.access == ""; alone && (len(e.Who.Chain) != 0 || e.Under != nil) || e.Who.Owner != s.priya.user && alone {
				t.Errorf("%s: %s", name, e.Body)
			}
			if says, detail := s.answers(v.Event); says != [3]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Holds} {
				t.Errorf("%s: %v: %s", name, says, detail)
			}
		}
	})
}

// ownToken is a token of an agent that acts for nobody.
func (s *story) ownToken(p *party) string {
	s.t.Helper()
	got, err := s.ClientCredentials(s.t.Context(), p.client(), guard.TokenRequest{Resource: files})
	s.ok(err)
	return got.Token
}

// Each rule of a signed request broken alone.
func TestSignedRequestsAreRefused(t *testing.T) {
	s := newSignedStory(t, dbtest.SQLite(t))
	ctx := t.Context()
	token := s.lentToken()
	base := sent{by: s.deployer, access: token, url: files, audience: files, body: "x"}
	for name, c := range map[string]struct {
		change func(q *sent)
		then   func(cr *guard.Credentials, h http.Header)
		at     string // where it is asked
		code   string
	}{
		"nothing":                   {},
		"by another instance's key": {change: func(q *sent) { q.key = s.bot.signer }, code: "signature_key_unknown"},
		"by a stranger, alone":      {change: func(q *sent) { q.access, q.key = "", newSigner(t) }, code: "signature_key_unknown"},
		"by a person's key, alone":  {change: func(q *sent) { q.access, q.key = "", s.priya.signer }, code: "signature_key_unknown"},
		"in another workspace, alone": {change: func(q *sent) {
			q.access, q.url, q.audience = "", issuer+"/w/other/mcp/files", issuer+"/w/other/mcp/files"
		}, code: "signature_key_unknown", at: issuer + "/w/other/mcp/files"},
		"for another audience":   {change: func(q *sent) { q.audience = issuer + "/api" }, code: "signature_invalid"},
		"too old":                {change: func(q *sent) { q.at = s.now.Add(-91 * time.Second) }, code: "signature_expired"},
		"old enough":             {change: func(q *sent) { q.at = s.now.Add(-90 * time.Second) }},
		"ahead":                  {change: func(q *sent) { q.at = s.now.Add(31 * time.Second) }, code: "signature_expired"},
		"just ahead":             {change: func(q *sent) { q.at = s.now.Add(30 * time.Second) }},
		"of another method":      {then: func(cr *guard.Credentials, h http.Header) { cr.Method = "GET"; cr.DPoP = []string{s.getProof(token)} }, code: "signature_invalid"},
		"with another token":     {then: func(_ *guard.Credentials, h http.Header) { h.Set("Authorization", "DPoP other") }, code: "signature_invalid"},
		"without a part":         {then: func(_ *guard.Credentials, h http.Header) { h.Del("Signature") }, code: "signature_malformed"},
		"without the DPoP proof": {then: func(cr *guard.Credentials, _ http.Header) { cr.DPoP = nil }, code: "dpop_malformed"},
		"of somebody else beside a token": {then: func(_ *guard.Credentials, h http.Header) {
			h.Set("Signature-Input", strings.Replace(h.Get("Signature-Input"), "attorn-action", "web-bot-auth", 1))
		}},
		"of somebody else alone": {change: func(q *sent) { q.access = "" }, then: func(_ *guard.Credentials, h http.Header) {
			h.Set("Signature-Input", strings.Replace(h.Get("Signature-Input"), "attorn-action", "web-bot-auth", 1))
		}, code: "token_missing"},
	} {
		q := base
		if c.change != nil {
			c.change(&q)
		}
		cr := s.credentials(q)
		if c.then != nil {
			h := http.Header{}
			for _, n := range []string{"Authorization", "Attorn-Audience", "Content-Digest", "Signature-Input", "Signature"} {
				h[n] = cr.Header(n)
			}
			cr.Header = h.Values
			c.then(&cr, h)
		}
		if c.at == "" {
			c.at = files
		}
		if _, err := s.Authenticate(ctx, cr, c.at); fault.Code(err) != c.code {
			t.Errorf("%s: %v (%s), want %q", name, err, fault.Code(err), c.code)
		}
	}
}

func (s *story) getProof(access string) string {
	return s.proof(s.deployer.signer, "GET", files, access)
}

// Nothing is decided on a signed request whose body was not held to what was signed; nor is a call that the signature says is another.
func TestNothingIsDecidedOnAnUncheckedBody(t *testing.T) {
	s := newSignedStory(t, dbtest.SQLite(t))
	ctx := t.Context()
	for _, access := range []string{"", s.lentToken()} {
		q := sent{by: s.deployer, access: access, url: files, audience: files, body: "x"}
		if access == "" {
			q.by = s.bot
		}
		c, err := s.Authenticate(ctx, s.credentials(q), files)
		s.ok(err)
		for _, body := range []string{"", "y", "xx"} {
			wants(t, "another body", c.CheckBody([]byte(body)), "digest_mismatch")
		}
		_, err = s.Start(ctx, c, s.writing())
		wants(t, "a call", err, "internal")
		wants(t, "a read", s.Self(ctx, c), "internal")
		_, err = s.Visible(ctx, c, nil)
		wants(t, "a list", err, "internal")
		wants(t, "an act", s.May(ctx, c, "attorn:agent:read", "workspace"), "internal")
		s.ok(c.CheckBody([]byte("x")))
		if v := s.start(c, s.writing()); v.Outcome != evidence.Permit {
			t.Errorf("the body that was signed: %+v", v)
		}
		q.nonce, q.call = "", id.Sum([]byte("another call")).String()
		if v := s.start(s.arrive(q), s.writing()); v.Outcome != evidence.Deny || v.Code != "call_digest_mismatch" {
			t.Errorf("another call: %+v", v)
		}
	}
}

// What ends an instance ends what it signs.
func TestEndedInstancesSignNothing(t *testing.T) {
	s := newSignedStory(t, dbtest.SQLite(t))
	q := sent{by: s.bot, url: files, audience: files}
	c := s.arrive(q)
	_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.bot.agent, "suspend", "")
	s.ok(err)
	for _, c := range []*guard.Caller{c, s.arrive(q)} {
		if v := s.start(c, s.writing()); v.Outcome != evidence.Deny || v.Code != "agent_suspended" {
			t.Errorf("%+v", v)
		}
		wants(t, "a read", s.Self(t.Context(), c), "agent_suspended")
	}
}

// A signature counts once: of 64 over all nodes, whatever they ask for, and beside however many fresh DPoP proofs.
func TestSignatureOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newSignedStory(t, dsn)
		doors := s.doors(dsn)
		for name, access := range map[string]string{"alone": "", "beside a token": s.lentToken()} {
			for what, ask := range map[string]func(g *guard.Guard, c *guard.Caller) string{
				"a call": func(g *guard.Guard, c *guard.Caller) string {
					v, err := g.Start(context.Background(), c, s.writing())
					if err != nil {
						return fault.Code(err)
					}
					return v.Code
				},
				"a read": func(g *guard.Guard, c *guard.Caller) string { return fault.Code(g.Self(context.Background(), c)) },
			} {
				q := sent{by: s.deployer, access: access, url: files, audience: files, body: "x"}
				q.nonce = jose.EncodeBase64([]byte(id.New[id.Event](s.now).String()))
				if access == "" {
					q.by = s.bot
				}
				callers := make([]*guard.Caller, 64)
				for i := range callers {
					callers[i] = s.arrive(q)
				}
				got := inParallel(len(callers), func(i int) string { return ask(doors[i%len(doors)], callers[i]) })
				if got[""] != 1 || got["signature_replayed"] != 63 && !(access != "" && what == "a read" && got["replayed"] == 63) {
					t.Errorf("%s, %s: %v", name, what, got)
				}
			}
		}
	})
}
