package gateway

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

const gate = `@id("care") @approve("1 of release-manager") @reason("Somebody looks first.") forbid (principal, action == Action::"tool:sdk:write", resource);`

// gatedRig has a server whose tool write needs approval, and counts how often that ran.
func gatedRig(t *testing.T) (*rig, *atomic.Int32) {
	t.Helper()
	r := newRig(t)
	var runs atomic.Int32
	server := sdkServer()
	type words struct {
		Text string `json:"text"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "write"}, func(context.Context, *mcp.CallToolRequest, words) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint("run ", runs.Add(1))}}}, nil, nil
	})
	r.register(httpServer("x", serveSDK(t, server)), "sdk")
	r.publish(gate)
	r.holdTime, r.holdLegacy = 20*time.Second, 20*time.Second
	return r, &runs
}

func write(text string) *mcp.CallToolParams {
	return &mcp.CallToolParams{Name: "write", Arguments: map[string]any{"text": text}}
}

// TestLadder climbs each rung with the official client, to approval and to denial.
func TestLadder(t *testing.T) {
	for _, c := range []struct {
		name, revision string
		url            bool // the client can be sent to a page
	}{
		{"rung 2, modern with URL elicitation", modern, true},
		{"rung 3, legacy with URL elicitation", legacy, true},
		{"rung 4, modern without", modern, false},
		{"rung 4, legacy without", legacy, false},
	} {
		for _, choice := range []string{evidence.Approve, evidence.Refuse} {
			t.Run(c.name+", "+choice, func(t *testing.T) {
				r, runs := gatedRig(t)
				r.holdLegacy = 100 * time.Millisecond // so that the client is sent away
				a := r.agent("bot", "tool-user")
				var voting sync.WaitGroup
				defer voting.Wait()
				vote := func(approval id.Approval) {
					voting.Go(func() { r.vote(approval, choice) })
				}
				pages := 0
				opts := &mcp.ClientOptions{}
				if c.url {
					opts.Capabilities = &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}}
					opts.ElicitationHandler = func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
						rest, ok := strings.CutPrefix(req.Params.URL, r.http.URL+"/approvals/")
						if !ok || req.Params.Mode != "url" || !strings.Contains(req.Params.Message, "Somebody looks first.") {
							t.Errorf("sent to %+v", req.Params)
						}
						if pages++; pages == 1 {
							vote(id.Must[id.Approval](rest))
						}
						return &mcp.ElicitResult{Action: "accept"}, nil
					}
				} else {
					go func() {
						waitFor(t, "the question", func() bool { return r.count("approval.asked ask") == 1 })
						vote(r.waiting()[0])
					}()
				}
				decided := make(chan string, 1)
				opts.ElicitationCompleteHandler = func(_ context.Context, n *mcp.ElicitationCompleteNotificationRequest) {
					decided <- n.Params.ElicitationID
				}
				s := a.connect("sdk", c.revision, opts)
				res, err := s.CallTool(t.Context(), write("x"))
				if rpcCode(err) == codeURLElicitation { // the official client leaves this to its application
					e := elicitationOf(t, err)
					if _, err := opts.ElicitationHandler(t.Context(), &mcp.ElicitRequest{Params: e}); err != nil {
						t.Fatal(err)
					}
					if got := <-decided; got != e.ElicitationID {
						t.Errorf("told that %s is decided, not %s", got, e.ElicitationID)
					}
					res, err = s.CallTool(t.Context(), write("x"))
				}
				if err != nil {
					t.Fatal(err)
				}
				if c.url != (pages > 0) {
					t.Errorf("%d pages opened", pages)
				}
				if choice == evidence.Approve {
					if res.IsError || text(res) != "run 1" || runs.Load() != 1 {
						t.Errorf("approved: %q, %d runs", text(res), runs.Load())
					}
				} else if !res.IsError || !strings.Contains(fmt.Sprint(res.Meta[refusalKey]), "approval_denied") && !strings.Contains(fmt.Sprint(res.Meta[refusalKey]), "denied") || runs.Load() != 0 {
					t.Errorf("denied: %q %v, %d runs", text(res), res.Meta, runs.Load())
				}
				if n := r.count("approval.asked ask"); n != 1 {
					t.Errorf("asked %d times: %q", n, r.events())
				}
				if started := r.count("tool.started permit"); int32(started) != runs.Load() || started != r.count("tool.finished ok") {
					t.Errorf("the log has %q", r.events())
				}
			})
		}
	}
}

// elicitationOf is the one page that a URL elicitation error names.
func elicitationOf(t *testing.T, err error) *mcp.ElicitParams {
	t.Helper()
	var e *jsonrpc.Error
	var data struct {
		Elicitations []*mcp.ElicitParams `json:"elicitations"`
	}
	if !errors.As(err, &e) || stdjson.Unmarshal(e.Data, &data) != nil || len(data.Elicitations) != 1 {
		t.Fatal(err)
	}
	return data.Elicitations[0]
}

// retry is a raw call on rung 2 that carries a state.
func retry(arguments, state, action string) (string, []string) {
	more := ""
	if state != "" {
		more = `,"requestState":"` + state + `","inputResponses":{"approval":{"action":"` + action + `"}}`
	}
	return modernCall("write", arguments, `{"elicitation":{"url":{}}}`, more)
}

func stateOf(t *testing.T, body string) string {
	t.Helper()
	var m struct {
		Result struct {
			Type  string `json:"resultType"`
			State string `json:"requestState"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.Result.Type != "input_required" {
		t.Fatalf("%s (%v)", body, err)
	}
	return m.Result.State
}

// TestStateBoundOnce: a requestState serves its caller, arguments, method and server only, and an approval runs once however many ask at once.
func TestStateBoundOnce(t *testing.T) {
	r, runs := gatedRig(t)
	a, b := r.agent("one", "tool-user"), r.agent("two", "tool-user")
	access := a.token("sdk")
	ask := func(who agent, token, arguments, state string) answered {
		body, headers := retry(arguments, state, "accept")
		return who.post("sdk", token, body, headers...)
	}
	state := stateOf(t, ask(a, access, `{"text":"x"}`, "").body)
	if !strings.HasPrefix(state, statePrefix) || len(state) > 1<<10 {
		t.Errorf("state %q", state)
	}
	flipped := []byte(state)
	flipped[len(flipped)/2] ^= 1
	for name, got := range map[string]answered{
		"another caller":     ask(b, b.token("sdk"), `{"text":"x"}`, state),
		"other arguments":    ask(a, access, `{"text":"y"}`, state),
		"one bit":            ask(a, access, `{"text":"x"}`, string(flipped)),
		"cut short":          ask(a, access, `{"text":"x"}`, state[:20]),
		"made up":            ask(a, access, `{"text":"x"}`, "as1.AAAA"),
		"an upstream's":      ask(a, access, `{"text":"x"}`, "whatever"),
		"answers, no state":  a.post("sdk", access, modernBody(`{"text":"x"}`, `,"inputResponses":{}`), headersOf("write")...),
		"another spot":       a.post("sdk", access, strings.NewReplacer(`"write"`, `"greet"`, "tools/call", "prompts/get").Replace(modernBody(`{"who":"x"}`, `,"requestState":"`+state+`"`)), headerVersion, modern, headerMethod, "prompts/get", headerName, "greet"),
		"more padding":       ask(a, access, `{"text":"x"}`, state+"="),
		"a line break in it": ask(a, access, `{"text":"x"}`, state[:9]+`\n`+state[9:]),
	} {
		if got.status != 400 || !strings.Contains(got.body, "-32602") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := a.post("sdk", access, firstOf(retry(`{"text":"x"}`, state, "decline")), headersOf("write")...); !strings.Contains(got.body, "approval_pending") {
		t.Errorf("the person did not open the page: %s", got.body)
	}
	r.vote(r.waiting()[0], evidence.Approve)
	r.holdTime = 300 * time.Millisecond // those who come too late wait for another approval
	var all sync.WaitGroup
	var ran, waits atomic.Int32
	for range 32 {
		all.Go(func() {
			switch got := ask(a, access, `{"text":"x"}`, state); {
			case strings.Contains(got.body, "run 1"):
				ran.Add(1)
			case strings.Contains(got.body, "input_required") || strings.Contains(got.body, "approval_pending"):
				waits.Add(1)
			default:
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	all.Wait()
	if ran.Load() != 1 || runs.Load() != 1 || waits.Load() != 31 {
		t.Errorf("%d answers, %d runs, %d wait", ran.Load(), runs.Load(), waits.Load())
	}
	if n := r.count("tool.started permit"); n != 1 {
		t.Errorf("%d starts", n)
	}
}

func modernBody(arguments, more string) string {
	body, _ := modernCall("write", arguments, `{"elicitation":{"url":{}}}`, more)
	return body
}

func headersOf(tool string) []string {
	_, headers := modernCall(tool, "{}", "{}", "")
	return headers
}

func firstOf(body string, _ []string) string { return body }

// TestWaitingEnds: rounds are counted, and too many who wait are sent away at once.
func TestWaitingEnds(t *testing.T) {
	r, runs := gatedRig(t)
	r.holdTime = 50 * time.Millisecond
	a := r.agent("bot", "tool-user")
	access := a.token("sdk")
	body, headers := retry(`{"text":"x"}`, "", "")
	got := a.post("sdk", access, body, headers...)
	for round := 1; round <= maxRounds; round++ {
		body, headers = retry(`{"text":"x"}`, stateOf(t, got.body), "accept")
		got = a.post("sdk", access, body, headers...)
	}
	if !strings.Contains(got.body, "approval_pending") || !strings.Contains(got.body, `"approval":"apr_`) || !strings.Contains(got.body, "/approvals/apr_") {
		t.Errorf("after %d rounds: %s", maxRounds, got.body)
	}
	if n := r.count("approval.asked ask"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	r.holdTime = 20 * time.Second
	release := make([]func(), maxHolds)
	for i := range release {
		release[i], _ = r.holds.take(a.id.String(), maxHolds)
	}
	began := time.Now()
	body, headers = modernCall("write", `{"text":"x"}`, "{}", "")
	if got := a.post("sdk", access, body, headers...); !strings.Contains(got.body, "approval_pending") || time.Since(began) > 10*time.Second {
		t.Errorf("with all places taken: %s after %s", got.body, time.Since(began))
	}
	for _, f := range release {
		f()
	}
	if runs.Load() != 0 {
		t.Error("it ran")
	}
}

// TestHeldAnswersBeat: a held answer says now and then that it is alive, with progress if that was asked for; the client that leaves leaves
// the approval behind.
func TestHeldAnswersBeat(t *testing.T) {
	r, _ := gatedRig(t)
	r.beatTime = 50 * time.Millisecond
	a := r.agent("bot", "tool-user")
	access := a.token("sdk")
	body, headers := modernCall("write", `{"text":"x"}`, "{}", "")
	body = strings.Replace(body, `"_meta":{`, `"_meta":{"progressToken":"p",`, 1)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", r.guard.MCP(id.Default, "sdk"), strings.NewReader(body))
	r.must(err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := signing{a, access}.RoundTrip(req)
	r.must(err)
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("a held answer is %s", kind)
	}
	seen := make([]byte, 0, 1<<10)
	for !strings.Contains(string(seen), ": waiting") || !strings.Contains(string(seen), `"progressToken":"p"`) {
		n, err := resp.Body.Read(seen[len(seen):cap(seen)])
		if err != nil {
			t.Fatalf("%q, then %v", seen, err)
		}
		seen = seen[:len(seen)+n]
	}
	cancel()
	if len(r.waiting()) != 1 {
		t.Error("the approval went with the client")
	}
}

// TestComposition: what an upstream asks of the client goes through us, sealed, and comes back to it as it was.
func TestComposition(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	a := r.agent("bot", "tool-user")
	s := a.connect("sdk", modern, &mcp.ClientOptions{ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": "me"}}, nil
	}})
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "ask", Arguments: map[string]any{"text": ""}})
	if err != nil || text(res) != "upstream's own me" {
		t.Errorf("%+v, %v", res, err)
	}
	if n := r.count("tool.started permit"); n != 2 {
		t.Errorf("%d starts: each continuation is decided again", n)
	}
	access := a.token("sdk")
	can := `{"elicitation":{"form":{}}}`
	body, headers := modernCall("ask", `{"text":""}`, can, "")
	got := a.post("sdk", access, body, headers...)
	state := stateOf(t, got.body)
	if strings.Contains(got.body, "upstream's own") {
		t.Error("the upstream's state leaves as it is")
	}
	b := r.agent("other", "tool-user")
	body, headers = modernCall("ask", `{"text":""}`, can, `,"requestState":"`+state+`","inputResponses":{"who":{"action":"accept","content":{"name":"x"}}}`)
	if got := b.post("sdk", b.token("sdk"), body, headers...); got.status != 400 {
		t.Errorf("another's continuation: %+v", got)
	}
	if got := a.post("sdk", access, body, headers...); !strings.Contains(got.body, "upstream's own x") {
		t.Errorf("its own: %+v", got)
	}
	body, headers = modernCall("ask", `{"text":""}`, "{}", "")
	if got := a.post("sdk", access, body, headers...); !strings.Contains(got.body, "upstream_invalid") {
		t.Errorf("a client that did not say it can answer: %+v", got)
	}
}

func TestOldStatesAreWorthless(t *testing.T) {
	r, _ := gatedRig(t)
	now := time.Now()
	clock := &still{now: now}
	r.Clock = clock
	a := r.agent("bot", "tool-user")
	access := a.token("sdk")
	body, headers := retry(`{"text":"x"}`, "", "")
	state := stateOf(t, a.post("sdk", access, body, headers...).body)
	r.holdTime = 50 * time.Millisecond
	for _, c := range []struct {
		after time.Duration
		good  bool
	}{{stateTime - time.Second, true}, {stateTime, false}, {49 * time.Hour, false}} {
		clock.set(now.Add(c.after))
		body, headers := retry(`{"text":"x"}`, state, "accept")
		got := a.post("sdk", access, body, headers...)
		if good := strings.Contains(got.body, "input_required"); good != c.good {
			t.Errorf("%s later: %d %s", c.after, got.status, got.body)
		}
	}
}

// still is a clock that moves when told; timers are real.
type still struct {
	wall
	mu  sync.Mutex
	now time.Time
}

func (s *still) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *still) set(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = t
}
