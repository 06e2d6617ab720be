package console_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

const browserTests = "testdata/browser"

// node is a script of testdata/browser in a process of its own: a line of JSON in, a line out.
type node struct {
	t   testing.TB
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Scanner
}

// startNode runs a script until the test ends. It is ended by the end of its input; if that does not help, by its process's number.
func startNode(t testing.TB, script string, args ...string) *node {
	t.Helper()
	if _, err := os.Stat(filepath.Join(browserTests, "node_modules", ".package-lock.json")); err != nil {
		t.Fatalf("the packages of %s are not installed; run: npm --prefix internal/console/%s ci --no-audit --no-fund", browserTests, browserTests)
	}
	cmd := exec.Command("node", append([]string{filepath.Join(browserTests, script)}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; the tests need Node.js 20 or newer", err)
	}
	n := &node{t: t, in: in, out: bufio.NewScanner(out)}
	n.out.Buffer(nil, 1<<20)
	t.Cleanup(func() {
		in.Close()
		kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", script, err)
		}
	})
	return n
}

// line is the next line that it writes.
func (n *node) line() string {
	n.t.Helper()
	if !n.out.Scan() {
		n.t.Fatalf("it ended: %v", n.out.Err())
	}
	return n.out.Text()
}

// tell writes a line and reads the answer.
func (n *node) tell(v any) string {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	raw, err := json.Marshal(v)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.in.Write(append(raw, '\n')); err != nil {
		n.t.Fatal(err)
	}
	return n.line()
}

// account is somebody's at the provider.
type account struct {
	Claims map[string]any `json:"claims"`
	ACR    string         `json:"acr,omitzero"`
	AMR    []string       `json:"amr,omitzero"`
}

// certified is the OpenID provider that oidc-provider makes.
type certified struct {
	*node
	issuer string
}

func startProvider(t testing.TB, redirect, secret, alg string, inToken bool, users map[string]account) *certified {
	t.Helper()
	settings := map[string]any{"redirect": redirect, "secret": nil, "alg": alg, "inToken": inToken, "users": users}
	if secret != "" {
		settings["secret"] = secret
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	c := &certified{node: startNode(t, "provider.mjs", string(raw))}
	c.issuer = strings.TrimSpace(c.line())
	return c
}

// setUsers changes what it says of people.
func (c *certified) setUsers(users map[string]account) {
	c.t.Helper()
	if got := c.tell(users); got != "changed" {
		c.t.Fatal(got)
	}
}
