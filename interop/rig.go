package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// rig is a running attorn with a person, an MCP server behind its gateway, and a place on this machine where apps' metadata is.
type rig struct {
	bin, clients, suite string
	dir                 string // of this run
	url                 string // the issuer
	resource            string // the MCP server, as clients know it
	docs                string // where metadata documents are, and where the browser is asked to go
	browser             *browser
	server              *exec.Cmd
	close               []func()
}

const (
	redirectPath = "/callback"
	redirect     = "http://127.0.0.1/callback" // with any port (RFC 8252 §7.3)
)

func start(ctx context.Context, bin, clients, suite string) (r *rig, err error) {
	r = &rig{bin: bin, clients: clients, suite: suite}
	if r.dir, err = os.MkdirTemp("", "interop-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	link, err := r.serve(ctx)
	if err != nil {
		return nil, err
	}
	upstream, err := r.upstream()
	if err != nil {
		return nil, err
	}
	if err := r.serveDocuments(ctx); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"login", link, "--name", "Priya Nair"},
		{"role", "bind", "me", "tool-user"},
		{"mcp", "add", "notes", upstream, "--allow-private"},
		{"policy", "publish", filepath.Join(clients, "policy")},
		{"client", "allow", "--bearer", "*", "--reason", "clients that cannot do DPoP"},
	} {
		if _, err := r.attorn(ctx, args...); err != nil {
			return nil, err
		}
	}
	again, err := r.attorn(ctx, "user", "link", "me")
	if err != nil {
		return nil, err
	}
	r.resource = r.url + "/mcp/notes"
	r.browser, err = signIn(r.url, again)
	return r, err
}

// serve starts the server, where apps may register themselves, and returns the first person's sign-in link.
func (r *rig) serve(ctx context.Context) (link string, err error) {
	address, err := free()
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(address)
	config := filepath.Join(r.dir, "attorn.yaml")
	if err := os.WriteFile(config, []byte("oauth:\n  registration: open\n"), 0o600); err != nil {
		return "", err
	}
	r.server = exec.CommandContext(ctx, r.bin, "dev", "--config", config, "--data", filepath.Join(r.dir, "data"), "--listen", "localhost:"+port)
	r.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of ours is not the server's: it is stopped by us
	r.server.Cancel = func() error { return r.server.Process.Signal(syscall.SIGTERM) }
	talk := &bytes.Buffer{}
	r.server.Stderr = talk
	out, err := r.server.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := r.server.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		for word := range strings.FieldsSeq(lines.Text()) {
			if before, _, found := strings.Cut(word, "/signin/link#"); found {
				r.url = before
				go io.Copy(io.Discard, out) // the server must never block on us
				return word, nil
			}
		}
	}
	return "", fmt.Errorf("the server did not start: %s", talk)
}

// upstream is an MCP server of the Go SDK.
func (r *rig) upstream() (url string, err error) {
	s := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	type in struct {
		Text string `json:"text"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "Says what it is told", Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
		func(_ context.Context, _ *mcp.CallToolRequest, in in) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
		})
	return r.listen(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
}

// serveDocuments serves each app's metadata, and lets clients that are processes of their own send the browser somewhere: POST /browser with the address.
func (r *rig) serveDocuments(ctx context.Context) (err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /app/{name}", func(w http.ResponseWriter, q *http.Request) {
		doc := map[string]any{
			"client_id": r.docs + q.URL.Path, "client_name": q.PathValue("name"), "redirect_uris": []string{redirect},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
		}
		if raw, err := os.ReadFile(filepath.Join(r.dir, q.PathValue("name")+".jwks")); err == nil {
			doc["token_endpoint_auth_method"], doc["jwks"] = "private_key_jwt", json.RawMessage(raw)
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(doc)
	})
	mux.HandleFunc("POST /browser", func(w http.ResponseWriter, q *http.Request) {
		address, err := io.ReadAll(io.LimitReader(q.Body, 64<<10))
		var back string
		if err == nil {
			back, err = r.browser.decide(ctx, string(address), q.URL.Query().Get("verdict") != "refuse")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.WriteString(w, back)
	})
	r.docs, err = r.listen(mux)
	return err
}

func (r *rig) listen(h http.Handler) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go s.Serve(l)
	r.close = append(r.close, func() { s.Close() })
	return "http://" + l.Addr().String(), nil
}

// attorn is one command of the first person's.
func (r *rig) attorn(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.bin, args...)
	cmd.Env = append(os.Environ(), "ATTORN_HOME="+filepath.Join(r.dir, "home"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("attorn %s: %s", args[0], bytes.TrimSpace(exit.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}

func (r *rig) stop() {
	if r.server != nil && r.server.Process != nil {
		r.server.Process.Signal(syscall.SIGTERM)
		r.server.Wait()
	}
	for _, c := range r.close {
		c()
	}
	os.RemoveAll(r.dir)
}

// free is an address on this machine that nobody listens on.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
