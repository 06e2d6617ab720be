package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/internal/catalog"
)

// childMode is the variable that makes this test binary an MCP server on standard streams, of one kind or another.
const childMode = "GATEWAY_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		runChild(mode)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runChild(mode string) {
	in := bufio.NewScanner(os.Stdin)
	switch mode {
	case "sdk":
		_ = sdkServer().Run(context.Background(), &mcp.StdioTransport{}) // ends with its input
	case "stubborn": // ignores everything, and so does what it started
		signal.Ignore(syscall.SIGTERM)
		if os.Getenv("GRANDCHILD") == "" {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "GRANDCHILD=1")
			_ = cmd.Start()
			fmt.Fprintln(os.Stderr, "pids", os.Getpid(), cmd.Process.Pid)
		}
		select {}
	case "environment":
		fmt.Fprintln(os.Stderr, strings.Join(os.Environ(), "\n"))
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "crash": // greets, then ends in the middle of a call
		fmt.Println("Welcome!")
		in.Scan()
		fmt.Fprintln(os.Stderr, "out of cheese")
		os.Exit(3)
	case "answer": // answers each request with the text of ANSWER, its id in place of ID
		for in.Scan() {
			id := in.Text()[strings.Index(in.Text(), `"id":`)+5:]
			id = id[:strings.IndexAny(id, ",}")]
			fmt.Println(strings.ReplaceAll(os.Getenv("ANSWER"), "ID", id))
		}
	}
}

// sdkServer is a server of both eras, made with the official SDK.
func sdkServer() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "both", Version: "1"}, &mcp.ServerOptions{Instructions: "Be kind."})
	type words struct {
		Text string `json:"text"`
	}
	readOnly := &mcp.ToolAnnotations{ReadOnlyHint: true}
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "says it again", Annotations: readOnly}, func(ctx context.Context, r *mcp.CallToolRequest, in words) (*mcp.CallToolResult, any, error) {
		if token := r.Params.GetProgressToken(); token != nil {
			_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: 1, Message: in.Text})
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "fail", Annotations: readOnly}, func(context.Context, *mcp.CallToolRequest, words) (*mcp.CallToolResult, any, error) {
		return nil, nil, errors.New("it failed")
	})
	mcp.AddTool(s, &mcp.Tool{Name: "wait", Annotations: readOnly}, func(ctx context.Context, _ *mcp.CallToolRequest, _ words) (*mcp.CallToolResult, any, error) {
		select {
		case <-ctx.Done():
			fmt.Fprintln(os.Stderr, "cancelled at the server")
		case <-time.After(2 * time.Second): // a stateless legacy server never hears that a call was cancelled
		}
		return nil, nil, ctx.Err()
	})
	mcp.AddTool(s, &mcp.Tool{Name: "write"}, func(_ context.Context, _ *mcp.CallToolRequest, in words) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "wrote " + in.Text}}}, nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "ask", Annotations: readOnly}, func(_ context.Context, r *mcp.CallToolRequest, _ words) (*mcp.CallToolResult, any, error) {
		if answer, ok := r.Params.InputResponses["who"].(*mcp.ElicitResult); ok {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(r.Params.RequestState, " ", answer.Content["name"])}}}, nil, nil
		}
		return &mcp.CallToolResult{
			InputRequests: mcp.InputRequestMap{"who": &mcp.ElicitParams{Message: "Who?", RequestedSchema: map[string]any{
				"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}},
			}}},
			RequestState: "upstream's own",
		}, nil, nil
	})
	s.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: []*mcp.PromptArgument{{Name: "who", Required: true}}}, func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "hello " + r.Params.Arguments["who"]}}}}, nil
	})
	s.AddResource(&mcp.Resource{Name: "motd", URI: "test://motd"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: "test://motd", Text: "hi"}}}, nil
	})
	return s
}

type wall struct{}

func (wall) Now() time.Time                                  { return time.Now() }
func (wall) AfterFunc(d time.Duration, f func()) *time.Timer { return time.AfterFunc(d, f) }

// here is this test binary as a server to register.
func here(t testing.TB, mode string, env ...string) catalog.Server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := catalog.Server{Name: "child", Transport: "stdio", Command: []string{self}, Env: map[string]string{childMode: mode}, Status: "active"}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		s.Env[name] = value
	}
	return s
}

func configOf(t testing.TB, s catalog.Server) childConfig {
	return childConfig{
		Command: s.Command, Env: s.Env, Path: os.Getenv("PATH"), Lang: "C.UTF-8", Dir: t.TempDir(), Clock: wall{},
		Log: slog.New(slog.DiscardHandler),
	}
}

func startChild(t testing.TB, mode string, env ...string) *stdioUpstream {
	t.Helper()
	u, err := startStdio(configOf(t, here(t, mode, env...)), modern, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.close)
	return u
}

func outcomeOf(err error) (string, evidence.Outcome) {
	var up *upstreamError
	if errors.As(err, &up) {
		return up.code, up.outcome
	}
	return "", ""
}

func TestChildIsStoppedWithItsWholeGroup(t *testing.T) {
	u := startChild(t, "stubborn")
	var own, grand int
	waitFor(t, "the child's greeting", func() bool {
		n, _ := fmt.Sscanf(u.child.stderr.tail(200), "pids %d %d", &own, &grand)
		return n == 2
	})
	began := time.Now()
	u.close()
	if took := time.Since(began); took < waitClosed+waitTerminated {
		t.Errorf("killed after %s, before it had its time to end", took)
	}
	for _, pid := range []int{own, grand} {
		waitFor(t, "process "+strconv.Itoa(pid)+" to be gone", func() bool { return !running(pid) })
	}
}

// running tells a process that runs from one that is gone, or waits as a zombie for whoever inherited it.
func running(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	return !strings.Contains(string(stat), ") Z ")
}

// waitFor polls for what another process does.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func TestChildSeesNothingOfOurs(t *testing.T) {
	t.Setenv("ATTORN_SECRET", "do not tell")
	u := startChild(t, "environment", "DECLARED=value-of-it", "LAST=1")
	waitFor(t, "the child's environment", func() bool { return strings.Contains(u.child.stderr.tail(1<<14), "LAST=") })
	got := u.child.stderr.tail(1 << 14)
	for _, line := range strings.Fields(got) {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "PATH", "LANG", "LAST", childMode:
		case "HOME", "TMPDIR":
			if info, err := os.Stat(value); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s is %s: %v", name, value, err)
			}
		case "DECLARED":
			if value != "***" {
				t.Errorf("a declared value is logged: %s", line)
			}
		default:
			t.Errorf("the child sees %s", line)
		}
	}
}

func TestCrashLosesTheCall(t *testing.T) {
	u := startChild(t, "crash")
	_, err := u.call(t.Context(), outbound{ID: 1, Method: "tools/call", Params: []byte(`{"name":"x"}`)}, nil)
	if code, outcome := outcomeOf(err); code != "upstream_unavailable" || outcome != evidence.Lost {
		t.Errorf("the call ended as %s, %s: %v", code, outcome, err)
	}
	<-u.gone()
	_, err = u.call(t.Context(), outbound{ID: 2, Method: "tools/call"}, nil)
	if code, outcome := outcomeOf(err); code != "upstream_unavailable" || outcome != evidence.RPCError {
		t.Errorf("a call to a child that has ended: %s, %s: %v", code, outcome, err)
	}
	waitFor(t, "its last words", func() bool { return strings.Contains(u.child.stderr.tail(100), "out of cheese") })
}

func TestStdioAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		code   string // "" is an answer
	}{
		"result":                {`{"jsonrpc":"2.0","id":ID,"result":{}}`, ""},
		"a word before":         {"hello\n" + `{"jsonrpc":"2.0","id":ID,"result":{}}`, ""},
		"another's answer":      {`{"jsonrpc":"2.0","id":99,"result":{}}` + "\n" + `{"jsonrpc":"2.0","id":ID,"result":{}}`, ""},
		"a ping before":         {`{"jsonrpc":"2.0","id":"p","method":"ping"}` + "\n" + `{"jsonrpc":"2.0","id":ID,"result":{}}`, ""},
		"a member twice":        {`{"jsonrpc":"2.0","id":ID,"result":{"a":1,"a":2}}`, "upstream_unavailable"},
		"a batch":               {`[{"jsonrpc":"2.0","id":ID,"result":{}}]`, "upstream_unavailable"},
		"an unknown member":     {`{"jsonrpc":"2.0","id":ID,"result":{},"x":1}`, "upstream_unavailable"},
		"half a message a line": {`{"jsonrpc":"2.0",` + "\n" + `"id":ID,"result":{}}`, "upstream_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := startChild(t, "answer", "ANSWER="+c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			m, err := u.call(ctx, outbound{ID: 5, Method: "tools/call"}, func(message) {})
			if code, _ := outcomeOf(err); code != c.code || (err == nil) != (c.code == "") || (err == nil && m.Result == nil) {
				t.Errorf("%v, want code %q", err, c.code)
			}
		})
	}
}

// TestSharedChildKeepsCallersApart: many calls at once on one child, each with progress; everybody gets their own answer and progress only.
func TestSharedChildKeepsCallersApart(t *testing.T) {
	u := startChild(t, "sdk")
	g := bareGateway(t)
	if _, err := g.discoverUpstream(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			text := fmt.Sprint("caller ", i)
			meta := requestMeta{Progress: []byte(`"same"`)} // every client may choose the same token
			o := encodeGated(gatedCall{Method: "tools/call", Name: "echo", Arguments: []byte(`{"text":"` + text + `"}`), Meta: meta}, modern, g.ids.Add(1), resume{})
			var notes []string
			m, err := u.call(t.Context(), o, func(n message) { notes = append(notes, string(encodeNote(n, o.ID, meta.Progress))) })
			if err != nil || !strings.Contains(string(m.Result), `"`+text+`"`) {
				t.Errorf("%s got %s, %v", text, m.Result, err)
			}
			for _, n := range notes {
				if !strings.Contains(n, `"message":"`+text+`"`) || !strings.Contains(n, `"progressToken":"same"`) {
					t.Errorf("%s got the progress %s", text, n)
				}
			}
			if len(notes) != 1 {
				t.Errorf("%s got %d notes", text, len(notes))
			}
		})
	}
	all.Wait()
}

func TestEndingACallCancelsItAtTheChild(t *testing.T) {
	u := startChild(t, "sdk")
	g := bareGateway(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := encodeGated(gatedCall{Method: "tools/call", Name: "wait", Arguments: []byte(`{"text":""}`)}, modern, g.ids.Add(1), resume{})
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := u.call(ctx, o, func(message) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	waitFor(t, "the server to hear of it", func() bool { return strings.Contains(u.child.stderr.tail(100), "cancelled at the server") })
}

func TestBackoff(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	s := &spot{}
	if s.mayStart(now) != nil {
		t.Error("a first start is held back")
	}
	for i, c := range []struct {
		after time.Duration // since the last crash
		may   bool
	}{{0, false}, {time.Second, true}, {time.Second, false}, {2 * time.Second, true}, {3 * time.Second, false}, {4 * time.Second, true}} {
		if i%2 == 0 {
			s.crashes = append(s.crashes, now)
		}
		if err := s.mayStart(now.Add(c.after)); (err == nil) != c.may {
			t.Errorf("%d crashes, %s later: %v", len(s.crashes), c.after, err)
		}
	}
	s.crashes = append(s.crashes, now, now)
	if s.mayStart(now.Add(100*time.Second)) == nil {
		t.Error("started after five crashes in two minutes")
	}
	if s.mayStart(now.Add(121*time.Second)) != nil {
		t.Error("held back though the crashes are long past")
	}
}
