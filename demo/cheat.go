package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func (s *story) cheats() error {
	s.chapter("What must fail, each with its reason")
	s.step("an agent with the same name and another key asks for a token", s.impostor(), exitNoSignIn, "invalid_client")
	s.step("a thief sends deployer's request, proof and all, a second time", s.replay(), exitDenied, "replayed")
	s.hidden()
	s.step("deployer writes outside what it was lent", s.run("deployer", write("secrets/key", "x")...), exitDenied, "not_lent")
	s.step("deployer writes to staging/../production/", s.run("deployer", write("staging/../production/app.yaml", "x")...), exitDenied, "not_lent")

	changed := s.begin("deployer", write("production/app.yaml", "version: 6.66")...)
	asked, err := s.pending(changed)
	if err != nil {
		return err
	}
	s.step("Priya approves a call of her own chain", s.run("priya", "approve", asked), exitDenied, "four_eyes")
	s.run("maya", "deny", asked, "--reason", "that is not what was agreed")
	s.step("the approved call with one argument changed asks anew, and Maya denies it", <-changed, exitDenied, "approval_denied")

	again := s.begin("deployer", write("production/app.yaml", "version: 4.81")...)
	if asked, err = s.pending(again); err != nil {
		return err
	}
	s.run("maya", "deny", asked, "--reason", "once is enough")
	s.step("the approved call a second time asks anew, and Maya denies it", <-again, exitDenied, "approval_denied")
	return nil
}

// hidden: a tool that was not lent does not exist for the agent; the log has the reason.
func (s *story) hidden() {
	r := s.run("deployer", "mcp", "call", "files", "read_text_file", "path=production/app.yaml")
	r.talk += "; in the log: " + lastRefusal(s.run("priya", "audit", "tail", "--kind", "tool.refused", "-n", "1", "-o", "json").out)
	r.out = ""
	s.step("deployer calls a tool that it was not lent", r, 1, "tool:files:read_text_file (not_lent)")
}

// lastRefusal reads, from what the log's newest events are in JSON, what was refused and why.
func lastRefusal(out string) string {
	var told struct {
		Items []struct {
			Body struct {
				Did struct{ Action string }
				Why struct{ Code string }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Items) == 0 {
		return "nothing"
	}
	e := told.Items[0].Body
	return e.Did.Action + " (" + e.Why.Code + ")"
}

// said turns what an SDK call came to into what a command would have said.
func said(err error) result {
	f := fault.Of(err)
	switch {
	case err == nil:
		return result{out: "permitted"}
	case f == nil:
		return result{code: 1, talk: err.Error()}
	case f.Kind == fault.Denied:
		return result{code: exitDenied, talk: fmt.Sprintf("%s (%s)", f.Reason, f.Code)}
	case f.Kind == fault.Unauthenticated:
		return result{code: exitNoSignIn, talk: fmt.Sprintf("%s (%s)", f.Reason, f.Code)}
	}
	return result{code: 1, talk: fmt.Sprintf("%s (%s)", f.Reason, f.Code)}
}

// impostor says it is deployer, with a key of its own.
func (s *story) impostor() result {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return said(err)
	}
	signer, err := jose.NewSigner(private)
	if err != nil {
		return said(err)
	}
	agent, err := id.Parse[id.Agent](s.deployer)
	if err != nil {
		return said(err)
	}
	a, err := attorn.Open(s.ctx, attorn.AgentConfig{Server: s.url, ID: agent, Name: "deployer", Signer: signer})
	if err != nil {
		return said(err)
	}
	_, err = a.Token(s.ctx, s.url+"/mcp/files", attorn.TokenRequest{})
	return said(err)
}

// session is deployer itself, in this process, so that its requests can be watched.
func (s *story) session(base http.RoundTripper) (*attorn.Agent, *mcp.ClientSession, error) {
	a, err := attorn.Open(s.ctx, attorn.AgentConfig{KeyFile: filepath.Join(s.home("deployer"), "keys", "deployer.jwk")})
	if err != nil {
		return nil, nil, err
	}
	lent, err := a.Delegations(s.ctx)
	if err != nil {
		return nil, nil, err
	}
	url := s.url + "/mcp/files"
	client := mcp.NewClient(&mcp.Implementation{Name: "deployer", Version: "1"}, nil)
	session, err := client.Connect(s.ctx, &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: a.Transport(base, url, attorn.TokenRequest{Delegation: lent[0].Link.String()})}, DisableStandaloneSSE: true,
	}, nil)
	return a, session, err
}

func writeStaging(ctx context.Context, s *mcp.ClientSession) result {
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "write_file", Arguments: map[string]any{"path": "staging/app.yaml", "content": "version: 4.82"}})
	if err != nil {
		return result{code: 1, talk: err.Error()}
	}
	return refusal(res)
}

// refusal reads what the gateway says of a call.
func refusal(res *mcp.CallToolResult) result {
	if r, ok := res.Meta["io.github.attorn/refusal"].(map[string]any); ok {
		return result{code: exitDenied, talk: fmt.Sprintf("%v (%v)", r["reason"], r["code"])}
	}
	return result{out: "permitted"}
}

// tap keeps the last request that passed, as a thief on the way would.
type tap struct {
	mu   sync.Mutex
	last *http.Request
	body []byte
}

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte("tools/call")) {
			t.mu.Lock()
			t.last, t.body = r.Clone(context.WithoutCancel(r.Context())), body
			t.mu.Unlock()
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// replay lets deployer write once, and sends the same bytes again.
func (s *story) replay() result {
	t := &tap{}
	_, session, err := s.session(t)
	if err != nil {
		return said(err)
	}
	defer session.Close()
	if r := writeStaging(s.ctx, session); r.code != 0 {
		return r
	}
	t.last.Body = io.NopCloser(bytes.NewReader(t.body))
	res, err := http.DefaultTransport.RoundTrip(t.last)
	if err != nil {
		return said(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return said(err)
	}
	return result{code: exitDenied, talk: fmt.Sprintf("HTTP %d: %s", res.StatusCode, answer)}
}
