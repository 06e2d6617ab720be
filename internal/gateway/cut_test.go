package gateway

import (
	"context"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/internal/guard"
)

// follow lets the rig's process hear what ends, as a server does.
func (r *rig) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); r.guard.Follow(ctx, "n1") }()
	r.t.Cleanup(func() { cancel(); <-over })
}

func (r *rig) kill(kind, what string) {
	r.t.Helper()
	_, err := r.guard.Kill(context.WithoutCancel(r.t.Context()), r.priya.caller, guard.Order{Kind: kind, ID: what, Reason: "odd"})
	r.must(err)
}

// resume takes a kill back.
func (r *rig) resume(kind string, a agent) {
	r.t.Helper()
	ctx := context.WithoutCancel(r.t.Context())
	var err error
	switch kind {
	case "agent":
		_, _, _, err = r.guard.EndAgent(ctx, r.priya.caller, a.id, "resume", "")
	case "instance":
		_, _, _, err = r.guard.EndInstance(ctx, r.priya.caller, a.key.Public().Thumbprint(), "resume", "")
	case "all":
		_, err = r.guard.EndAll(ctx, r.priya.caller, "resume", "")
	default:
		server, tool, _ := strings.Cut(strings.TrimPrefix(kind, "tool "), ":")
		_, err = r.guard.EndTool(ctx, r.priya.caller, server, tool, "resume", "")
	}
	r.must(err)
}

// TestRunningCallsAreCut: a call that runs when what it was permitted on ends is cut, whatever ends it; the client is told why, and the log that it was
// cut. What something else ends or changes goes on.
func TestRunningCallsAreCut(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.register(here(t, "sdk"), "sdk-stdio")
	r.register(httpServer("x", sdkHTTP(t)), "sdk-http")
	a, other := r.agent("bot", "tool-user"), r.agent("other", "tool-user")
	n := 0
	for _, c := range []struct{ server, revision, kind, code string }{
		{"sdk-http", modern, "agent", "agent_suspended"},
		{"sdk-stdio", modern, "instance", "instance_suspended"},
		{"sdk-http", legacy, "tool sdk-http:wait", "tool_suspended"},
		{"sdk-stdio", modern, "tool sdk-stdio", "tool_suspended"},
		{"sdk-http", modern, "all", "workspace_halted"},
		{"sdk-stdio", legacy, "agent", "agent_suspended"},
	} {
		t.Run(c.kind+" "+c.server+" "+c.revision, func(t *testing.T) {
			n++
			s := a.connect(c.server, c.revision, nil)
			go func() {
				waitFor(t, "the call to start", func() bool { return r.count("tool.started permit") == n })
				r.kill("agent", other.id.String()) // which is nothing to this call
				r.resume("agent", other)
				r.publish("// a policy of no effect\n" + strings.Repeat("//\n", n) + `permit (principal, action, resource) when { context.perm.s0 == "tool" };`)
				what := map[string]string{"agent": a.id.String(), "instance": a.key.Public().Thumbprint().String()}[c.kind]
				if tool, ok := strings.CutPrefix(c.kind, "tool "); ok {
					r.kill("tool", tool)
				} else {
					r.kill(c.kind, what)
				}
			}()
			res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "wait", Arguments: map[string]any{"text": ""}})
			if err != nil || !res.IsError || !strings.Contains(text(res), "was ended while it ran") {
				t.Errorf("the call came back with %+v, %v", res, err)
			} else if refusal, _ := res.Meta[refusalKey].(map[string]any); refusal["code"] != c.code {
				t.Errorf("the refusal says %v", res.Meta)
			}
			waitFor(t, "the finish", func() bool { return r.count("tool.finished cut") == n })
			if c.kind == "agent" && c.revision == legacy {
				waitFor(t, "the session to end", func() bool {
					r.sessions.mu.Lock()
					defer r.sessions.mu.Unlock()
					for _, open := range r.sessions.all {
						if open.sub == a.id.String() && open.place.server == c.server {
							return false
						}
					}
					return true
				})
			}
			r.resume(c.kind, a)
		})
	}
}

// TestWaitsEnd: what waits for people ends with the authority to wait.
func TestWaitsEnd(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.publish(`@id("may") permit (principal, action, resource) when { context.perm.s0 == "tool" };
@id("ask") @approve("1 of release-manager") @reason("somebody looks") forbid (principal, action == Action::"tool:sdk:echo", resource);`)
	r.register(httpServer("x", sdkHTTP(t)), "sdk")
	a := r.agent("bot")
	access := a.token("sdk")
	body, headers := modernCall("echo", `{"text":"x"}`, "{}", "")
	done := make(chan answered, 1)
	go func() { done <- a.post("sdk", access, body, headers...) }()
	waitFor(t, "the approval", func() bool { return len(r.waiting()) == 1 })
	r.kill("instance", a.key.Public().Thumbprint().String())
	if got := <-done; !strings.Contains(got.body, "approval_void") {
		t.Errorf("the wait ended with %+v", got)
	}
	if len(r.waiting()) != 0 {
		t.Error("the approval still waits")
	}
}
