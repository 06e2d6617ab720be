package gateway

import (
	"encoding/json"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
)

// typescript is the official TypeScript client. It reads tools, calls what is free, what is hidden, and what needs approval.
const typescript = `
import { Client } from 'SDK/client/index.js';
import { StreamableHTTPClientTransport } from 'SDK/client/streamableHttp.js';
const client = new Client({ name: 'ts', version: '1' }, { capabilities: CAPABILITIES });
await client.connect(new StreamableHTTPClientTransport(new URL('URL')));
const out = { version: client.getServerVersion().name, tools: (await client.listTools()).tools.map(t => t.name) };
const call = async (name, text) => { try { return await client.callTool({ name, arguments: { text } }); } catch (e) { return { code: e.code, data: e.data }; } };
out.echo = await call('echo', 'hi');
out.fail = await call('fail', 'hi');
out.none = await call('none', 'hi');
out.write = await call('write', 'hi');
await client.close();
console.log(JSON.stringify(out));
`

// TestTypeScriptClient: the official TypeScript client, which speaks the legacy era, on rung 4 and on rung 3. It knows no DPoP: a shim adds the
// token and the proofs, as the SDK's bridge does.
func TestTypeScriptClient(t *testing.T) {
	r, runs := gatedRig(t)
	r.holdLegacy = 100 * time.Millisecond
	a := r.agent("bot", "tool-user")
	target, err := url.Parse(r.http.URL)
	r.must(err)
	shim := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target); p.Out.Host = target.Host }, Transport: signing{a, a.token("sdk")}, FlushInterval: -1,
	})
	t.Cleanup(shim.Close)
	type answer struct {
		Content []struct{ Text string }
		IsError bool
		Code    int
		Data    struct{ Elicitations []struct{ Mode, URL string } }
	}
	run := func(capabilities string) (out struct {
		Version                 string
		Tools                   []string
		Echo, Fail, None, Write answer
	},
	) {
		t.Helper()
		sdk, err := filepath.Abs("../../demo/node_modules/@modelcontextprotocol/sdk/dist/esm")
		r.must(err)
		script := strings.NewReplacer("SDK", "file://"+sdk, "CAPABILITIES", capabilities, "'URL'", "'"+shim.URL+"/mcp/sdk'").Replace(typescript)
		cmd := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e", script)
		raw, err := cmd.CombinedOutput()
		if err != nil || json.Unmarshal(raw, &out) != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		if out.Version != "both" || strings.Join(out.Tools, " ") != "ask echo fail wait write" {
			t.Errorf("%s offers %q", out.Version, out.Tools)
		}
		if len(out.Echo.Content) != 1 || out.Echo.Content[0].Text != "hi" || !out.Fail.IsError || out.None.Code != codeParams {
			t.Errorf("%+v", out)
		}
		return out
	}
	go func() {
		waitFor(t, "the question", func() bool { return r.count("approval.asked ask") == 1 })
		r.vote(r.waiting()[0], evidence.Approve)
	}()
	if out := run(`{}`); out.Write.IsError || len(out.Write.Content) != 1 || out.Write.Content[0].Text != "run 1" || runs.Load() != 1 {
		t.Errorf("rung 4: %+v", out.Write)
	}
	out := run(`{ elicitation: { url: {} } }`)
	if e := out.Write.Data.Elicitations; out.Write.Code != codeURLElicitation || len(e) != 1 || e[0].Mode != "url" || !strings.HasPrefix(e[0].URL, r.http.URL+"/approvals/apr_") {
		t.Errorf("rung 3: %+v", out.Write)
	}
	if runs.Load() != 1 {
		t.Errorf("%d runs", runs.Load())
	}
}
