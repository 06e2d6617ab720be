package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestEveryProcessHears: what is killed at one process of the server ends at every other within two seconds, whoever follows the feed hears it, a call
// that runs there is cut, and the command prints when each confirmed. On SQLite there is one process.
func TestEveryProcessHears(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		n := newNodes(t, dsn)
		n.attorn("ann", "login", n.link, "--name", "Ann")
		n.attorn("ann", "mcp", "add", "slow", n.slow(), "--allow-private")
		n.attorn("ann", "agent", "create", "bot")
		n.attorn("ann", "role", "bind", "bot", "tool-user")
		token := n.attorn("ann", "agent", "enrol", "bot", "-o", "id")
		n.must(os.WriteFile(filepath.Join(n.dir, "token"), []byte(token), 0o600))
		n.attorn("bot", "agent", "join", "--server", n.url, "--token", "token", "--as", "bot")
		n.attorn("ann", "lend", "bot", "-p", "tool:slow:*")
		ann := n.client("ann", len(n.all)-1) // at the last process
		n.follow(n.client("ann", 0))
		bot, err := ann.Agent(t.Context(), "bot")
		n.must(err)
		best := time.Hour
		for range 5 { // machines are busy: one of five has to keep the promise
			call, err := start(n.command("bot", "mcp", "call", "slow", "wait"))
			n.must(err)
			t.Cleanup(call.kill)
			if !waitFor(func() bool { return n.waiting.Load() == 1 }) {
				t.Fatalf("the call does not run: %s%s", call.out.String(), call.talk.String())
			}
			began := time.Now()
			got, err := ann.Kill(t.Context(), api.Kill{Kind: "agent", ID: bot.ID.String(), Reason: "odd"})
			n.must(err)
			var all []api.Confirmation
			if !waitFor(func() bool {
				l, err := ann.Confirmations(t.Context(), got.Rev)
				n.must(err)
				all = l.Items
				done := 0
				for _, c := range all {
					if c.Confirmed {
						done++
					}
				}
				return done == len(n.all)+1
			}) {
				t.Fatalf("confirmed: %+v", all)
			}
			if !waitFor(call.hasEnded) || !strings.Contains(call.talk.String(), "agent_suspended") {
				t.Fatalf("the call was not cut: %s%s", call.out.String(), call.talk.String())
			}
			best = min(best, time.Since(began))
			n.attorn("ann", "agent", "resume", "bot")
		}
		t.Logf("all had confirmed, and the call was cut, after %s", best)
		if best > 2*time.Second {
			t.Errorf("at best it took %s until all had confirmed", best)
		}
		said := n.attorn("ann", "kill", "bot", "--reason", "odd", "--yes")
		if !strings.Contains(said, fmt.Sprintf("   %d of %[1]d in ", len(n.all)+1)) {
			t.Errorf("the command said %s", said)
		}
	})
}

// nodes are the processes of one server.
type nodes struct {
	t       *testing.T
	dir     string
	url     string
	link    string
	all     []*process
	ports   []string
	waiting atomic.Int64
}

func newNodes(t *testing.T, dsn string, settings ...string) *nodes {
	n := &nodes{t: t, dir: t.TempDir()}
	count := 2
	if strings.HasPrefix(dsn, "sqlite:") {
		count = 1
	}
	n.must(os.WriteFile(filepath.Join(n.dir, "sealing.key"), make([]byte, 32), 0o600))
	for i := range count {
		port, err := freePort()
		n.must(err)
		n.ports = append(n.ports, port)
		if i == 0 {
			n.url = "http://localhost:" + port
		}
		p, err := start(n.command("server", append([]string{
			"serve", "--url", n.url, "--listen", "localhost:" + port, "--data", filepath.Join(n.dir, fmt.Sprint("data", i)),
			"--sealing.key", filepath.Join(n.dir, "sealing.key"), "--storage.dsn", dsn,
		}, settings...)...))
		n.must(err)
		t.Cleanup(p.kill)
		n.all = append(n.all, p)
		_, err = p.says("ready in ")
		n.must(err)
		if i == 0 {
			link, err := p.says("  sign in   ")
			n.must(err)
			n.link = strings.Fields(link)[0]
		}
	}
	return n
}

func (n *nodes) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *nodes) command(who string, args ...string) *exec.Cmd {
	cmd := exec.Command("attorn", args...)
	cmd.Dir = n.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir, "TMPDIR=" + os.TempDir(), "ATTORN_HOME=" + filepath.Join(n.dir, "home", who)}
	return cmd
}

func (n *nodes) attorn(who string, args ...string) string {
	n.t.Helper()
	out, err := n.command(who, args...).Output()
	if err != nil {
		n.t.Fatalf("attorn %v: %v %s", args, err, err.(*exec.ExitError).Stderr)
	}
	return strings.TrimSpace(string(out))
}

// client is somebody's at one of the processes.
func (n *nodes) client(who string, node int) *attorn.Client {
	n.t.Helper()
	c := cli{home: filepath.Join(n.dir, "home", who)}
	a, err := c.account()
	n.must(err)
	signer, err := attorn.OpenKeyFile(filepath.Join(c.home, a.KeyFile))
	n.must(err)
	var d net.Dialer
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, "localhost:"+n.ports[node])
	}}}
	cl, err := attorn.NewClient(attorn.ClientConfig{Server: a.Server, Workspace: a.Workspace, User: a.User, Signer: signer, HTTP: hc})
	n.must(err)
	return cl
}

// follow follows the feed until the test ends.
func (n *nodes) follow(c *attorn.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for after := (attorn.FeedAfter{}); ctx.Err() == nil; {
			if f, err := c.Feed(ctx, after); err == nil {
				after = attorn.FeedAfter{Began: true, Rev: f.Rev, Server: f.Server}
			}
		}
	}()
	n.t.Cleanup(func() { cancel(); <-over })
}

// slow is an MCP server whose tool wait never comes back by itself.
func (n *nodes) slow() string {
	server := mcp.NewServer(&mcp.Implementation{Name: "slow", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "wait"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		n.waiting.Add(1)
		defer n.waiting.Add(-1)
		<-ctx.Done()
		return nil, nil, ctx.Err()
	})
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	n.t.Cleanup(h.Close)
	return h.URL
}
