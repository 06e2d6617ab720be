package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
)

// bareGateway is a gateway as far as talking to upstreams goes.
func bareGateway(t testing.TB) *Gateway {
	t.Helper()
	g := &Gateway{
		Config:  Config{Clock: wall{}, Log: slog.New(slog.DiscardHandler), Stdio: true, Dir: t.TempDir(), Path: os.Getenv("PATH"), Lang: "C.UTF-8"},
		public:  newClient(false),
		private: newClient(true),
	}
	g.places.init()
	g.sessions.init()
	g.holds.init()
	return g
}

// installed is the entry of one of the demo's MCP servers.
func installed(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../demo/node_modules/@modelcontextprotocol/" + name + "/dist/index.js")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%s is not installed: run npm ci in demo, as make test does (%v)", name, err)
	}
	return path
}

func stdioServer(name string, command ...string) catalog.Server {
	return catalog.Server{Workspace: id.Default, Name: name, Transport: "stdio", Command: command, Status: "active"}
}

// everythingHTTP runs server-everything over Streamable HTTP and returns its URL.
func everythingHTTP(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command("node", installed(t, "server-everything"), "streamableHttp")
	cmd.Env = append(os.Environ(), "PORT="+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitFor(t, "server-everything to listen", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "http://127.0.0.1:" + port + "/mcp"
}

// sdkHTTP serves sdkServer over Streamable HTTP in both eras.
func sdkHTTP(t testing.TB) string {
	t.Helper()
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return sdkServer() }, &mcp.StreamableHTTPOptions{Stateless: true})
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func httpServer(name, url string) catalog.Server {
	return catalog.Server{Workspace: id.Default, Name: name, Transport: "http", URL: url, AllowPrivate: true, Status: "active"}
}

func TestInspect(t *testing.T) {
	for name, c := range map[string]struct {
		server func(t *testing.T) catalog.Server
		era    string
		has    map[string]string // names with their class or kind
	}{
		"filesystem over stdio": {
			func(t *testing.T) catalog.Server {
				return stdioServer("files", "node", installed(t, "server-filesystem"), t.TempDir())
			},
			catalog.Legacy,
			map[string]string{"read_text_file": "tool read", "write_file": "tool destroy", "create_directory": "tool write"},
		},
		"everything over stdio": {
			func(t *testing.T) catalog.Server {
				return stdioServer("every", "node", installed(t, "server-everything"), "stdio")
			},
			catalog.Legacy,
			map[string]string{"echo": "tool read", "simple-prompt": "prompt read", "instructions": "instructions read"},
		},
		"everything over HTTP": {
			func(t *testing.T) catalog.Server { return httpServer("every", everythingHTTP(t)) },
			catalog.Legacy,
			map[string]string{"echo": "tool read", "simple-prompt": "prompt read"},
		},
		"the Go SDK over stdio": {
			func(t *testing.T) catalog.Server { return here(t, "sdk") },
			catalog.Both,
			map[string]string{"echo": "tool read", "write": "tool destroy", "greet": "prompt read", "instructions": "instructions read"},
		},
		"the Go SDK over HTTP": {
			func(t *testing.T) catalog.Server { return httpServer("sdk", sdkHTTP(t)) },
			catalog.Both,
			map[string]string{"echo": "tool read", "greet": "prompt read"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := bareGateway(t)
			offer, err := g.Inspect(t.Context(), c.server(t))
			if err != nil {
				t.Fatal(err)
			}
			if offer.Era != c.era {
				t.Errorf("era %s, want %s", offer.Era, c.era)
			}
			for name, want := range c.has {
				i := slices.IndexFunc(offer.Items, func(it catalog.Item) bool { return it.Name == name })
				if i < 0 {
					t.Errorf("%s is not offered", name)
				} else if it := offer.Items[i]; string(it.Kind)+" "+it.Class != want || it.Reason != "" || it.Pin.IsZero() {
					t.Errorf("%s is a %s %s (%s), want %s", name, it.Kind, it.Class, it.Reason, want)
				}
			}
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	g := bareGateway(t)
	for name, s := range map[string]catalog.Server{
		"no such program":   stdioServer("x", "no-such-program-anywhere"),
		"no MCP server":     stdioServer("x", "true"),
		"private address":   {Workspace: id.Default, Name: "x", Transport: "http", URL: strings.Replace(sdkHTTP(t), "http://", "https://", 1)},
		"nobody listens":    httpServer("x", "http://127.0.0.1:1/mcp"),
		"link-local always": httpServer("x", "http://169.254.169.254/mcp"),
		"a bad name":        stdioServer("attorn", "true"),
	} {
		if offer, err := g.Inspect(t.Context(), s); err == nil {
			t.Errorf("%s: offers %d items", name, len(offer.Items))
		}
	}
	g.Stdio = false
	if _, err := g.Inspect(t.Context(), here(t, "sdk")); err == nil {
		t.Error("a command was run though that is not configured")
	}
}

// upstreamOf is an HTTP upstream of somebody else's making.
func upstreamOf(t testing.TB, revision string, h http.HandlerFunc) *httpUpstream {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return newHTTPUpstream(newClient(true), wall{}, s.URL, revision)
}

func TestHTTPAnswers(t *testing.T) {
	type handler = func(w http.ResponseWriter)
	plain := func(body string) handler {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}
	}
	events := func(body string) handler {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, body)
		}
	}
	const ok = `{"jsonrpc":"2.0","id":5,"result":{}}`
	for name, c := range map[string]struct {
		answer  handler
		code    string
		outcome evidence.Outcome
	}{
		"result":            {plain(ok), "", ""},
		"error":             {plain(`{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"m"}}`), "", ""},
		"events":            {events(": hi\n\nid: 1\ndata:\n\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"id\":5,\"result\":{}}\r\n\r\n"), "", ""},
		"another event":     {events("event: other\ndata: junk\n\ndata: " + ok + "\n\n"), "", ""},
		"other id":          {plain(`{"jsonrpc":"2.0","id":6,"result":{}}`), "upstream_invalid", evidence.Lost},
		"id as text":        {plain(`{"jsonrpc":"2.0","id":"5","result":{}}`), "upstream_invalid", evidence.Lost},
		"twice":             {plain(`{"jsonrpc":"2.0","id":5,"result":{"a":1,"a":1}}`), "upstream_invalid", evidence.Lost},
		"not JSON":          {plain("<html>"), "upstream_invalid", evidence.Lost},
		"too large":         {plain(`{"jsonrpc":"2.0","id":5,"result":{"x":"` + strings.Repeat("x", maxResult) + `"}}`), "response_too_large", evidence.Cut},
		"event too large":   {events("data: " + strings.Repeat("x", maxEvent+1) + "\n\n"), "upstream_invalid", evidence.Lost},
		"carriage return":   {events("data: {\rdata: x}\n\n"), "upstream_invalid", evidence.Lost},
		"broken event":      {events("data: {\"jsonrpc\":\"2.0\"}\n\n"), "upstream_invalid", evidence.Lost},
		"other id in event": {events("data: {\"jsonrpc\":\"2.0\",\"id\":6,\"result\":{}}\n\n"), "upstream_invalid", evidence.Lost},
		"no answer":         {events(": nothing\n\n"), "upstream_unavailable", evidence.Lost},
		"half an event":     {events("data: " + ok + "\n"), "upstream_unavailable", evidence.Lost},
		"HTML":              {func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html") }, "upstream_invalid", evidence.Lost},
		"coding": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			plain(ok)(w)
		}, "upstream_invalid", evidence.Lost},
		"redirect": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "upstream_invalid", evidence.Lost},
		"500": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, "upstream_unavailable", evidence.Lost},
		"401": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }, "upstream_invalid", evidence.Lost},
		"400 and error": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","error":{"code":-32020,"message":"m"}}`)
		}, "", ""},
		"400 and result": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, ok)
		}, "upstream_invalid", evidence.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int32
			u := upstreamOf(t, modern, func(w http.ResponseWriter, r *http.Request) {
				seen.Add(1)
				c.answer(w)
			})
			_, err := u.call(t.Context(), outbound{ID: 5, Method: "tools/call", Name: "x"}, func(message) {})
			code, outcome := outcomeOf(err)
			if code != c.code || outcome != c.outcome || (err == nil) != (c.code == "") {
				t.Errorf("%v (%s %s), want %q %q", err, code, outcome, c.code, c.outcome)
			}
			if n := seen.Load(); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

func TestHTTPHeadersAreOurs(t *testing.T) {
	var got http.Header
	u := upstreamOf(t, modern, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":5,"result":{}}`)
	})
	o := outbound{ID: 5, Method: "tools/call", Name: "é", Headers: http.Header{"Mcp-Param-A": {"1"}}}
	if _, err := u.call(t.Context(), o, func(message) {}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "User-Agent": "attorn", "Content-Length": got.Get("Content-Length"),
		headerVersion: modern, headerMethod: "tools/call", headerName: "=?base64?w6k=?=", "Mcp-Param-A": "1",
	}
	for name, values := range got {
		if len(values) != 1 || values[0] != want[name] {
			t.Errorf("sends %s: %q", name, values)
		}
	}
	if len(got) != len(want) {
		t.Errorf("sends %d headers, want %d", len(got), len(want))
	}
}

// TestLegacyHTTPSession: the session id is kept and sent, a request of the server's is answered, a lost session ends the connection, an ended
// call is cancelled at the server.
func TestLegacyHTTPSession(t *testing.T) {
	var posted, cancelled atomic.Value
	release := make(chan struct{})
	u := upstreamOf(t, legacy, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch s := string(body); {
		case strings.Contains(s, `"initialize"`):
			w.Header().Set(headerSession, "abc")
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}`)
		case r.Header.Get(headerSession) != "abc" || r.Header.Get(headerVersion) != legacy || r.Header.Get(headerMethod) != "":
			t.Errorf("a request without its session, or with modern headers: %v", r.Header)
		case strings.Contains(s, `"cancelled"`), strings.Contains(s, "notifications/cancelled"):
			cancelled.Store(s)
			w.WriteHeader(http.StatusAccepted)
		case strings.Contains(s, `"asks"`):
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"id\":\"s1\",\"method\":\"roots/list\"}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n\n")
		case strings.Contains(s, `"s1"`):
			posted.Store(s)
			w.WriteHeader(http.StatusAccepted)
		case strings.Contains(s, `"hangs"`):
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			<-release
		default:
			http.NotFound(w, r)
		}
	})
	defer close(release)
	params := func(name string) []byte { return []byte(`{"name":"` + name + `"}`) }
	if _, err := bareGateway(t).head(t.Context(), u, outbound{ID: 1, Method: "initialize"}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.call(t.Context(), outbound{ID: 2, Method: "tools/call", Params: params("asks")}, func(message) {}); err != nil {
		t.Fatal(err)
	}
	if s, _ := posted.Load().(string); !strings.Contains(s, `"error"`) || !strings.Contains(s, "-32601") {
		t.Errorf("the server's request was answered with %q", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := u.call(ctx, outbound{ID: 3, Method: "tools/call", Params: params("hangs")}, func(message) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if s, _ := cancelled.Load().(string); !strings.Contains(s, `"requestId":3`) {
		t.Errorf("the server was told %q", s)
	}
	_, err := u.call(t.Context(), outbound{ID: 4, Method: "tools/call", Params: params("gone")}, func(message) {})
	if code, outcome := outcomeOf(err); code != "upstream_unavailable" || outcome != evidence.RPCError {
		t.Errorf("a lost session: %v", err)
	}
	<-u.gone()
}

func TestMayDial(t *testing.T) {
	for text, want := range map[string]string{
		"8.8.8.8": "public", "2606:4700::1111": "public", "127.0.0.1": "private", "::1": "private", "10.1.2.3": "private", "172.31.0.1": "private",
		"192.168.1.1": "private", "100.64.0.1": "private", "fd12::1": "private", "::ffff:127.0.0.1": "private", "64:ff9b::7f00:1": "private",
		"2002:7f00:1::": "private", "169.254.169.254": "never", "169.254.1.1": "never", "fe80::1": "never", "fd00:ec2::254": "never", "0.0.0.0": "never",
		"::": "never", "224.0.0.1": "never", "255.255.255.255": "never", "ff02::1": "never", "168.63.129.16": "never", "100.100.100.200": "never",
		"192.0.0.192": "never", "::ffff:169.254.169.254": "never", "64:ff9b::a9fe:a9fe": "never", "2002:a9fe:a9fe::": "never", "::169.254.169.254": "never",
		"fe80::1%eth0": "never", "2001::1": "never", "8.8.4.4": "public", "172.32.0.1": "public",
	} {
		a := netip.MustParseAddr(text)
		got := "never"
		if mayDial(a, true) {
			got = "private"
		}
		if mayDial(a, false) {
			got = "public"
			if !mayDial(a, true) {
				got = "absurd"
			}
		}
		if got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

func TestNamesAreCheckedWhenDialled(t *testing.T) {
	_, err := newClient(false).Get(strings.Replace(sdkHTTP(t), "127.0.0.1", "localhost", 1))
	if !errors.Is(err, errAddress) {
		t.Errorf("a name for loopback: %v", err)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("data: x\n\n")
	f.Add("id: 1\r\nevent: message\r\ndata: {\r\ndata: }\r\n\r\n:c\n\n")
	f.Add("data\n\ndata:\rdata: y\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		n := 0
		err := readEvents(strings.NewReader(in), func(data []byte) error {
			n++
			if len(data) == 0 || len(data) > maxEvent || strings.Contains(string(data), "\r") {
				t.Fatalf("an event %q from %q", data, in)
			}
			return nil
		})
		if err == nil && strings.Contains(strings.ReplaceAll(in, "\r\n", "\n"), "\r") && strings.HasSuffix(in, "\n") {
			t.Fatalf("%q was read though a line ends in a lone carriage return", in)
		}
		if n > strings.Count(in, "data") {
			t.Fatalf("%d events in %q", n, in)
		}
	})
}
