package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
)

// TestOfficialClient drives the official client through the gateway to real servers, over both transports and in both eras.
func TestOfficialClient(t *testing.T) {
	r := newRig(t)
	a := r.agent("bot", "tool-user")
	r.register(stdioServer("x", "node", installed(t, "server-everything"), "stdio"), "every-stdio")
	r.register(httpServer("x", everythingHTTP(t)), "every-http")
	r.register(here(t, "sdk"), "sdk-stdio")
	r.register(httpServer("x", sdkHTTP(t)), "sdk-http")
	for _, c := range []struct{ server, revision, argument string }{
		{"every-stdio", legacy, "message"},
		{"every-http", legacy, "message"},
		{"sdk-stdio", legacy, "text"},
		{"sdk-stdio", modern, "text"},
		{"sdk-http", legacy, "text"},
		{"sdk-http", modern, "text"},
	} {
		t.Run(c.server+" "+c.revision, func(t *testing.T) {
			before := len(r.events())
			progress := make(chan string, 8) // the client handles notifications beside the answer
			s := a.connect(c.server, c.revision, &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, p *mcp.ProgressNotificationClientRequest) {
				progress <- fmt.Sprint(p.Params.ProgressToken, " ", p.Params.Message)
			}})
			if got := s.InitializeResult().ProtocolVersion; got != c.revision {
				t.Fatalf("speaks %s", got)
			}
			if s.InitializeResult().Instructions == "" {
				t.Error("no instructions")
			}
			list, err := s.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSortedFunc(list.Tools, func(a, b *mcp.Tool) int { return strings.Compare(a.Name, b.Name) }) || len(list.Tools) < 4 {
				t.Errorf("%d tools, or not sorted", len(list.Tools))
			}
			call := &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{c.argument: "héllo"}}
			call.SetProgressToken("p")
			res, err := s.CallTool(t.Context(), call)
			if err != nil || res.IsError || !strings.Contains(text(res), "héllo") {
				t.Fatalf("%+v, %v", res, err)
			}
			if strings.HasPrefix(c.server, "sdk") {
				select {
				case got := <-progress:
					if got != "p héllo" {
						t.Errorf("progress %q", got)
					}
				case <-time.After(10 * time.Second):
					t.Error("no progress came through")
				}
			}
			got := r.events()[before:]
			if !slices.Equal(got, []string{"tool.started permit", "tool.finished ok"}) {
				t.Errorf("the log has %q", got)
			}
			if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "nothing"}); rpcCode(err) != codeParams {
				t.Errorf("an unknown tool: %v", err)
			}
			prompts, err := s.ListPrompts(t.Context(), nil)
			if err != nil || len(prompts.Prompts) == 0 {
				t.Errorf("prompts: %v", err)
			}
			resources, err := s.ListResources(t.Context(), nil)
			if err != nil || len(resources.Resources) == 0 {
				t.Fatalf("resources: %v", err)
			}
			if res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: resources.Resources[0].URI}); err != nil || len(res.Contents) == 0 {
				t.Errorf("reading %s: %v", resources.Resources[0].URI, err)
			}
			if strings.HasPrefix(c.server, "sdk") {
				if res, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "greet", Arguments: map[string]string{"who": "me"}}); err != nil || len(res.Messages) != 1 {
					t.Errorf("prompt: %v", err)
				}
				if _, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "greet"}); rpcCode(err) != codeRefused {
					t.Errorf("a prompt without its argument: %v", err)
				}
				if res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "fail", Arguments: map[string]any{"text": ""}}); err != nil || !res.IsError || r.count("tool.finished tool_error") == 0 {
					t.Errorf("a failing tool: %+v, %v", res, err)
				}
			}
		})
	}
	if started, finished := r.count("tool.started permit"), len(r.events())-r.count("tool.started permit")-r.count("tool.refused deny"); started != finished {
		t.Errorf("%d started, %d finished: %q", started, finished, r.events())
	}
}

// rpcCode is the JSON-RPC code of an error of the official client.
func rpcCode(err error) int64 {
	var e *jsonrpc.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// TestFilesystem is the story's server: what is permitted happens on disk, what is refused does not.
func TestFilesystem(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.register(stdioServer("x", "node", installed(t, "server-filesystem"), dir), "files")
	a := r.agent("bot", "tool-user")
	s := a.connect("files", legacy, nil)
	write := func(name string) *mcp.CallToolResult {
		t.Helper()
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "write_file", Arguments: map[string]any{"path": filepath.Join(dir, name), "content": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := write("a.txt"); res.IsError {
		t.Fatal(text(res))
	}
	if _, err := os.Stat(filepath.Join(dir, "a.txt")); err != nil {
		t.Error(err)
	}
	r.publish(`@id("calm") @reason("Nobody writes today.") forbid (principal, action == Action::"tool:files:write_file", resource) when { context.args.path like "*.sh" };`)
	res := write("b.sh")
	if !res.IsError || !strings.Contains(text(res), "Nobody writes today.") || res.Meta[refusalKey] == nil {
		t.Errorf("%q %v", text(res), res.Meta)
	}
	if _, err := os.Stat(filepath.Join(dir, "b.sh")); err == nil {
		t.Error("a refused call ran")
	}
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "write_file", Arguments: map[string]any{"path": 5}})
	if err != nil || !res.IsError || !strings.Contains(text(res), "arguments are refused") {
		t.Errorf("arguments that do not fit the schema: %v, %v", res, err)
	}
}

// TestListsShowWhatCouldBe: an agent that may only read sees what reads; the rest does not exist for it, and its calls leave a refusal.
func TestListsShowWhatCouldBe(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	a := r.agent("reader", "tool-reader")
	s := a.connect("sdk", modern, nil)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	if !slices.Equal(names, []string{"ask", "echo", "fail", "wait"}) {
		t.Errorf("sees %q", names)
	}
	before := len(r.events())
	_, hidden := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "write", Arguments: map[string]any{"text": "x"}})
	_, absent := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "no-such", Arguments: map[string]any{"text": "x"}})
	if hidden == nil || absent == nil || hidden.Error() != absent.Error() || rpcCode(hidden) != codeParams {
		t.Errorf("a hidden tool: %v; one that does not exist: %v", hidden, absent)
	}
	if got := r.events()[before:]; !slices.Equal(got, []string{"tool.refused deny"}) {
		t.Errorf("the log has %q", got)
	}
	r.publish(`@id("care") @approve("1 of release-manager") @reason("Somebody looks first.") forbid (principal, action == Action::"tool:sdk:echo", resource);`)
	s = a.connect("sdk", modern, nil)
	if list, err = s.ListTools(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		if gated := tool.Meta[gateKey] != nil; gated != (tool.Name == "echo") {
			t.Errorf("%s is marked as gated: %v", tool.Name, gated)
		}
	}
}

// TestStepUp: a token that does not cover the call is told so only where more scope would help.
func TestStepUp(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	a := r.agent("bot", "tool-user")
	access := a.token("sdk", "tool:sdk:echo")
	body, headers := modernCall("write", `{"text":"x"}`, "{}", "")
	got := a.post("sdk", access, body, headers...)
	if got.status != 403 || !strings.Contains(got.body, "-31002") {
		t.Fatalf("%+v", got)
	}
	lines := got.header.Values("WWW-Authenticate")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "Bearer ") || !strings.Contains(lines[0], `error="insufficient_scope"`) || !strings.Contains(lines[0], `scope="tool:sdk:write"`) {
		t.Errorf("challenge %q", lines)
	}
	b := r.agent("reader", "tool-reader")
	got = b.post("sdk", b.token("sdk", "tool:sdk:echo"), body, headers...)
	if got.status == 403 || !strings.Contains(got.body, "Unknown tool") {
		t.Errorf("where more scope would not help: %+v", got)
	}
}

// TestDrift: a definition that changes at the server stops calls until somebody accepts exactly what changed.
func TestDrift(t *testing.T) {
	r := newRig(t)
	server := sdkServer()
	url := serveSDK(t, server)
	r.register(httpServer("x", url), "sdk")
	a := r.agent("bot", "tool-user")
	s := a.connect("sdk", modern, nil)
	call := func(tool string) (*mcp.CallToolResult, error) {
		return s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"text": "x"}})
	}
	if res, err := call("write"); err != nil || res.IsError {
		t.Fatal(err, res)
	}
	nothing := func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		t.Error("the changed tool ran")
		return nil, nil, nil
	}
	mcp.AddTool(server, &mcp.Tool{Name: "write", Description: "sends it to somebody else too"}, nothing)
	mcp.AddTool(server, &mcp.Tool{Name: "added"}, nothing)
	r.places.stale(placeKey{id.Default, "sdk"})
	res, err := call("write")
	if err != nil || !res.IsError || !strings.Contains(fmt.Sprint(res.Meta[refusalKey]), "tool_quarantined") {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, err := call("added"); rpcCode(err) != codeParams {
		t.Errorf("a tool that nobody accepted: %v", err)
	}
	if r.count("tool.drifted ok") != 1 || r.count("tool.added ok") != 1 {
		t.Errorf("the log has %q", r.events())
	}
	s = a.connect("sdk", modern, nil)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil || slices.ContainsFunc(list.Tools, func(t *mcp.Tool) bool { return t.Name == "write" || t.Name == "added" }) {
		t.Errorf("quarantined tools are listed: %v", err)
	}
	tool, err := r.catalog.Callable(t.Context(), id.Default, "sdk", "write")
	r.must(err)
	if _, err := r.guard.Pin(t.Context(), r.priya.caller, "sdk", "write", tool.Pin, catalog.Destroy, false); err == nil {
		t.Error("the old pin was accepted")
	}
	_, err = r.guard.Pin(t.Context(), r.priya.caller, "sdk", "write", tool.SeenPin, catalog.Destroy, false)
	r.must(err)
	s = a.connect("sdk", modern, nil)
	if list, err = s.ListTools(t.Context(), nil); err != nil || !slices.ContainsFunc(list.Tools, func(t *mcp.Tool) bool { return t.Name == "write" && t.Description != "" }) {
		t.Errorf("the accepted definition is not listed: %v", err)
	}
}

// TestCrashIsOnRecord: a server that dies in a call leaves a finish that says so, and the next call starts it again after a while.
func TestCrashIsOnRecord(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	a := r.agent("bot", "tool-user")
	access := a.token("sdk")
	body, headers := modernCall("wait", `{"text":"x"}`, "{}", "")
	done := make(chan answered, 1)
	go func() { done <- a.post("sdk", access, body, headers...) }()
	waitFor(t, "the call to start", func() bool { return r.count("tool.started permit") == 1 })
	up, err := r.shared(t.Context(), mustServer(r, "sdk"))
	r.must(err)
	waitFor(t, "the call to be sent", func() bool {
		u := up.(*stdioUpstream)
		u.mu.Lock()
		defer u.mu.Unlock()
		return len(u.waiting) == 1
	})
	kill(up.(*stdioUpstream).child.cmd.Process)
	got := <-done
	if got.status != 200 || !strings.Contains(got.body, `"isError":true`) || !strings.Contains(got.body, "upstream_unavailable") {
		t.Errorf("%+v", got)
	}
	if r.count("tool.finished lost") != 1 {
		t.Errorf("the log has %q", r.events())
	}
	if got := a.post("sdk", access, body, headers...); !strings.Contains(got.body, "in a moment") || r.count("tool.started permit") != 1 {
		t.Errorf("right after the crash: %+v", got)
	}
	clock := &still{now: time.Now().Add(firstWait)}
	r.Clock = clock
	echo, headers := modernCall("echo", `{"text":"again"}`, "{}", "")
	if got := a.post("sdk", access, echo, headers...); !strings.Contains(got.body, "again") {
		t.Errorf("after the backoff: %+v", got)
	}
}

// TestDisconnectCancels: a client that goes away ends its call at the server, and the record says so.
func TestDisconnectCancels(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk-stdio")
	r.register(httpServer("x", sdkHTTP(t)), "sdk-http")
	a := r.agent("bot", "tool-user")
	for i, c := range []struct{ server, revision string }{{"sdk-stdio", modern}, {"sdk-stdio", legacy}, {"sdk-http", modern}, {"sdk-http", legacy}} {
		s := a.connect(c.server, c.revision, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			waitFor(t, "the call to start", func() bool { return r.count("tool.started permit") == i+1 })
			cancel()
		}()
		if _, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "wait", Arguments: map[string]any{"text": ""}}); err == nil {
			t.Errorf("%v: the call came back", c)
		}
		waitFor(t, "the finish", func() bool { return r.count("tool.finished cancelled") == i+1 })
	}
}
