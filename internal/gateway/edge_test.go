package gateway

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/attorn/attorn/id"
)

// TestStrangersLearnNothing: without a token every endpoint looks the same, whether there is such a server or not.
func TestStrangersLearnNothing(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	a := r.agent("bot", "tool-user")
	known, unknown := a.post("sdk", "", "{"), a.post("none", "", "{")
	if known.status != 401 || unknown.status != 401 || strings.ReplaceAll(unknown.body, "none", "sdk") != known.body {
		t.Errorf("%d %s, %d %s", known.status, known.body, unknown.status, unknown.body)
	}
	lines := known.header.Values("WWW-Authenticate")
	meta := `resource_metadata="` + r.http.URL + `/.well-known/oauth-protected-resource/mcp/sdk", scope="tool:sdk:*"`
	if len(lines) != 2 || lines[0] != "Bearer "+meta || lines[1] != `DPoP algs="Ed25519 EdDSA ES256", `+meta {
		t.Errorf("challenge %q", lines)
	}
	if known.header.Get("DPoP-Nonce") == "" {
		t.Error("no nonce")
	}
	for name, path := range map[string]string{"sdk": "/mcp/sdk", "none": "/mcp/none", "other workspace": "/w/acme/mcp/sdk"} {
		got := a.send("GET", r.http.URL+"/.well-known/oauth-protected-resource"+path, "", "")
		if got.status != 200 || !strings.Contains(got.body, `"resource":"`+r.http.URL+path+`"`) || !strings.Contains(got.body, `"authorization_servers":["`+r.http.URL+`"]`) {
			t.Errorf("%s: metadata %d %s", name, got.status, got.body)
		}
	}
	for _, path := range []string{"/mcp/Sdk", "/mcp/attorn", "/mcp/-x", "/w/default/mcp/sdk", "/w/server/mcp/sdk", "/w/A/mcp/sdk", "/mcp/" + strings.Repeat("x", 41)} {
		if got := a.send("POST", r.http.URL+path, "", ""); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestEdge(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	a := r.agent("bot", "tool-user")
	access := a.token("sdk")
	body, headers := modernCall("echo", `{"text":"x"}`, "{}", "")
	url := r.guard.MCP(id.Default, "sdk")
	with := func(more ...string) []string { return append(append([]string{}, headers...), more...) }
	for name, c := range map[string]struct {
		got    answered
		status int
		holds  string
	}{
		"fine":                {a.post("sdk", access, body, headers...), 200, `"text":"x"`},
		"our own origin":      {a.post("sdk", access, body, with("Origin", r.http.URL)...), 200, `"text":"x"`},
		"a query":             {a.send("POST", url+"?x=1", access, body, headers...), 400, "no query"},
		"an empty query":      {a.send("POST", url+"?", access, body, headers...), 400, "no query"},
		"another page":        {a.post("sdk", access, body, with("Origin", "https://evil.example")...), 403, ""},
		"null origin":         {a.post("sdk", access, body, with("Origin", "null")...), 403, ""},
		"a rebound name":      {a.post("sdk", access, body, with("Host", "evil.example")...), 403, ""},
		"GET":                 {a.send("GET", url, access, ""), 405, ""},
		"PUT":                 {a.send("PUT", url, access, body), 405, ""},
		"text":                {a.post("sdk", access, body, with("Content-Type", "text/plain")...), 415, `"rule":"media"`},
		"gzip":                {a.post("sdk", access, body, with("Content-Encoding", "gzip")...), 415, `"rule":"media"`},
		"latin-1":             {a.post("sdk", access, body, with("Content-Type", "application/json; charset=latin1")...), 415, `"rule":"media"`},
		"too large":           {a.post("sdk", access, body+strings.Repeat(" ", maxBody), headers...), 413, `"rule":"size"`},
		"a batch":             {a.post("sdk", access, "["+body+"]", headers...), 400, `"rule":"batch"`},
		"not JSON":            {a.post("sdk", access, "{", headers...), 400, `"rule":"syntax"`},
		"a response":          {a.post("sdk", access, `{"jsonrpc":"2.0","id":1,"result":{}}`, headers...), 400, `"rule":"envelope"`},
		"other name in head":  {a.post("sdk", access, body, headerVersion, modern, headerMethod, "tools/call", headerName, "write"), 400, "-32020"},
		"no headers":          {a.post("sdk", access, body), 400, "-32020"},
		"unknown version":     {a.post("sdk", access, strings.Replace(body, modern, "2030-01-01", 1), headers...), 400, `"supported":["2026-07-28","2025-11-25"]`},
		"header alone modern": {a.post("sdk", access, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`, headerVersion, modern, headerMethod, "tools/list"), 400, `"rule":"meta"`},
		"unknown method":      {a.post("sdk", access, strings.ReplaceAll(body, "tools/call", "tools/run"), headerVersion, modern, headerMethod, "tools/run"), 404, "-32601"},
		"initialize modern":   {a.post("sdk", access, strings.ReplaceAll(body, "tools/call", "subscriptions/listen"), headerVersion, modern, headerMethod, "subscriptions/listen"), 404, "-32601"},
		"legacy, no session":  {a.post("sdk", access, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`), 400, "Mcp-Session-Id"},
		"a made-up session":   {a.post("sdk", access, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, headerSession, "x"), 404, "no such session"},
		"another scheme":      {a.post("sdk", access, body, with("Authorization", "Bearer "+access)...), 401, "-31001"},
		"no proof":            {a.post("sdk", access, body, with("DPoP", "")...), 401, "-31001"},
		"a proof elsewhere":   {a.post("sdk", access, body, with("DPoP", r.proof(a.key, "POST", url+"x", access))...), 401, "-31001"},
		"a foreign proof":     {a.post("sdk", access, body, with("DPoP", r.proof(newKey(t), "POST", url, access))...), 401, "-31001"},
		"not of the schema":   {a.post("sdk", access, strings.Replace(body, `"x"`, `1`, 1), headers...), 200, `"code":"schema"`},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.holds) {
			t.Errorf("%s: %d %s, want %d with %s", name, c.got.status, c.got.body, c.status, c.holds)
		}
		if c.status == 401 && !strings.Contains(c.got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: challenge %q", name, c.got.header.Values("WWW-Authenticate"))
		}
	}
	other := r.agent("other", "tool-user")
	r.register(here(t, "sdk"), "sdk2")
	if got := a.post("sdk2", access, body, headers...); got.status != 401 {
		t.Errorf("a token for another server: %d %s", got.status, got.body)
	}
	if got := other.post("sdk", access, body, headers...); got.status != 401 {
		t.Errorf("another agent's token: %d %s", got.status, got.body)
	}
	if n := r.count("tool.started permit"); n != 2 {
		t.Errorf("%d calls were started, want the two that were fine", n)
	}
}

// TestReplay: a proof is good for one request, whichever of many gets there first, for calls and for lists.
func TestReplay(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	a := r.agent("bot", "tool-user")
	access := a.token("sdk")
	call, headers := modernCall("echo", `{"text":"x"}`, "{}", "")
	list := strings.ReplaceAll(strings.ReplaceAll(call, "tools/call", "tools/list"), `"name":"echo","arguments":{"text":"x"},`, "")
	for name, c := range map[string]struct {
		body    string
		headers []string
	}{"call": {call, headers}, "list": {list, []string{headerVersion, modern, headerMethod, "tools/list"}}} {
		proof := r.proof(a.key, "POST", r.guard.MCP(id.Default, "sdk"), access)
		var mu sync.Mutex
		status := map[int]int{}
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				got := a.post("sdk", access, c.body, append(append([]string{}, c.headers...), "DPoP", proof)...)
				mu.Lock()
				defer mu.Unlock()
				status[got.status]++
				if got.status == 401 && !strings.Contains(strings.Join(got.header.Values("WWW-Authenticate"), " "), "invalid_dpop_proof") {
					t.Errorf("%s: challenge %q", name, got.header.Values("WWW-Authenticate"))
				}
			})
		}
		all.Wait()
		if status[200] != 1 || status[401] != 15 {
			t.Errorf("%s: one proof, 16 requests: %v", name, status)
		}
	}
	if n := r.count("tool.started permit"); n != 1 {
		t.Errorf("%d calls were started", n)
	}
}

// TestEras: a modern request to a legacy server is answered so that clients of both eras fall back; a modern-only client is not served.
func TestEras(t *testing.T) {
	r := newRig(t)
	r.register(stdioServer("x", "node", installed(t, "server-filesystem"), t.TempDir()), "old")
	a := r.agent("bot", "tool-user")
	body, headers := modernCall("read_file", `{"path":"x"}`, "{}", "")
	got := a.post("old", a.token("old"), body, headers...)
	if got.status != 400 || strings.Contains(got.body, "jsonrpc") {
		t.Errorf("%+v", got)
	}
	s := a.connect("old", modern, nil) // the official client falls back
	if v := s.InitializeResult().ProtocolVersion; v != legacy {
		t.Errorf("speaks %s", v)
	}
}

// TestSessionsBelong: a legacy session is its caller's alone, ends with DELETE, and takes its child with it.
func TestSessionsBelong(t *testing.T) {
	r := newRig(t)
	r.register(here(t, "sdk"), "sdk")
	r.register(here(t, "sdk"), "sdk2")
	a, b := r.agent("one", "tool-user"), r.agent("two", "tool-user")
	const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
	const list = `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
	access := a.token("sdk")
	got := a.post("sdk", access, hello)
	sid := got.header.Get(headerSession)
	if got.status != 200 || sid == "" || !strings.Contains(got.body, `"protocolVersion":"2025-11-25"`) {
		t.Fatalf("%+v", got)
	}
	if strings.Contains(got.body, "listChanged") || strings.Contains(got.body, "subscribe") {
		t.Errorf("offers what it does not serve: %s", got.body)
	}
	if got := a.post("sdk", access, list, headerSession, sid); got.status != 200 {
		t.Errorf("its own session: %+v", got)
	}
	if got := b.post("sdk", b.token("sdk"), list, headerSession, sid); got.status != 404 {
		t.Errorf("another's session: %+v", got)
	}
	if got := a.post("sdk2", a.token("sdk2"), list, headerSession, sid); got.status != 404 {
		t.Errorf("the session at another server: %+v", got)
	}
	if got := b.send("DELETE", r.guard.MCP(id.Default, "sdk"), b.token("sdk"), "", headerSession, sid); got.status != 404 {
		t.Errorf("another's DELETE: %+v", got)
	}
	u := r.sessions.get(sid).up.(*stdioUpstream)
	if got := a.send("DELETE", r.guard.MCP(id.Default, "sdk"), access, "", headerSession, sid); got.status != http.StatusNoContent {
		t.Errorf("DELETE: %+v", got)
	}
	<-u.gone()
	if got := a.post("sdk", access, list, headerSession, sid); got.status != 404 {
		t.Errorf("an ended session: %+v", got)
	}
	for i := range maxSessionsAgent + 1 {
		got := a.post("sdk", access, hello)
		if ok := got.status == 200; ok != (i < maxSessionsAgent) || (!ok && got.status != 429) {
			t.Errorf("session %d: %d %s", i+1, got.status, got.body)
		}
	}
	r.Forget(id.Default, "sdk")
	if got := a.post("sdk", access, hello); got.status != 200 {
		t.Errorf("after all were ended: %+v", got)
	}
}
