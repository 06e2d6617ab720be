package gateway

import (
	"bytes"
	stdjson "encoding/json"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/attorn/attorn/jose"
)

// wireCase is one message as a client may send it. Rule is the one that it breaks; where none is broken, Args are the arguments as they leave.
type wireCase struct {
	ID   string `json:"id"`
	Era  string `json:"era"` // "" is both
	In   string `json:"in"`
	Rule string `json:"rule"`
	Code int    `json:"code"`
	Args string `json:"args"`
}

func wireCases(t testing.TB) []wireCase {
	t.Helper()
	raw, err := os.ReadFile("testdata/wire.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []wireCase
	if err := stdjson.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		// Shorthands, so that the cases show what they are about.
		cases[i].In = strings.ReplaceAll(cases[i].In, "META", `{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`)
		for _, long := range []struct {
			word string
			n    int
		}{{"LONG128", 128}, {"LONG129", 129}, {"LONG2049", 2049}, {"LONG24577", 24577}} {
			cases[i].In = strings.ReplaceAll(cases[i].In, long.word, strings.Repeat("x", long.n))
		}
		cases[i].In = strings.ReplaceAll(cases[i].In, "DEEP", strings.Repeat("[", 70)+strings.Repeat("]", 70))
		cases[i].In = strings.ReplaceAll(cases[i].In, "BOM", "\ufeff")
		cases[i].In = strings.ReplaceAll(cases[i].In, "BADUTF8", "\xff\xfe")
	}
	return cases
}

// decodeAll is the decoder's whole path for a gated message.
func decodeAll(in []byte, era string) (message, gatedCall, *rpcError) {
	m, bad := decodeMessage(in, maxBody)
	if bad != nil || !gated(m.Method) {
		return m, gatedCall{}, bad
	}
	c, bad := decodeGated(m, era)
	return m, c, bad
}

func TestWireRules(t *testing.T) {
	for _, c := range wireCases(t) {
		for _, era := range []string{modern, legacy} {
			if c.Era != "" && c.Era != era {
				continue
			}
			t.Run(c.ID+"/"+era, func(t *testing.T) {
				_, call, bad := decodeAll([]byte(c.In), era)
				if c.Rule == "" {
					if bad != nil {
						t.Fatalf("refused by %s: %s", bad.Rule, bad.Message)
					}
					if c.Args != "" && string(call.Arguments) != c.Args {
						t.Errorf("arguments leave as %s, want %s", call.Arguments, c.Args)
					}
					return
				}
				if bad == nil {
					t.Fatalf("passed; rule %s should have refused it", c.Rule)
				}
				if bad.Rule != c.Rule || bad.Code != c.Code {
					t.Errorf("refused by %s %d (%s), want %s %d", bad.Rule, bad.Code, bad.Message, c.Rule, c.Code)
				}
			})
		}
	}
}

// TestReadersAgree shows what passes to readers in other languages: they must take the message as it came and the one that is sent on alike.
func TestReadersAgree(t *testing.T) {
	type pair struct {
		ID   string `json:"id"`
		In   string `json:"in"`
		Sent string `json:"sent"`
	}
	var pairs []pair
	for _, c := range wireCases(t) {
		if c.Rule != "" {
			continue
		}
		m, call, bad := decodeAll([]byte(c.In), modern)
		if bad != nil || !gated(m.Method) {
			continue
		}
		pairs = append(pairs, pair{c.ID, c.In, string(encodeGated(call, modern, 7, resume{}).body())})
	}
	if len(pairs) < 10 {
		t.Fatalf("only %d messages pass", len(pairs))
	}
	input, err := stdjson.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		var in, sent struct {
			Method string
			Params struct{ Name, URI, Arguments any }
		}
		if stdjson.Unmarshal([]byte(p.In), &in) != nil || stdjson.Unmarshal([]byte(p.Sent), &sent) != nil {
			t.Fatalf("%s: Go cannot read it", p.ID)
		}
		if in.Params.Arguments == nil && in.Params.URI == nil {
			in.Params.Arguments = map[string]any{}
		}
		if !reflect.DeepEqual(in, sent) {
			t.Errorf("%s: Go reads %+v and sends %+v", p.ID, in, sent)
		}
	}
	for name, reader := range map[string][]string{
		"JavaScript": {"node", "-e", `
			const assert = require('assert'), read = s => JSON.parse(s, (_, v) => v === 0 ? 0 : v); // -0 leaves as 0 (RFC 8785 3.2.2.3), which is equal
			const pick = m => ({m: m.method, n: m.params.name, u: m.params.uri, a: m.params.arguments ?? (m.params.uri ? undefined : {})});
			for (const p of JSON.parse(require('fs').readFileSync(0, 'utf8'))) assert.deepStrictEqual(pick(read(p.sent)), pick(read(p.in)), p.id);`},
		"Python": {"python3", "-c", `
import json, sys
pick = lambda m: (m["method"], m["params"].get("name"), m["params"].get("uri"), m["params"].get("arguments", {} if "name" in m["params"] else None))
for p in json.load(sys.stdin):
    assert pick(json.loads(p["sent"])) == pick(json.loads(p["in"])), p["id"]`},
	} {
		if _, err := exec.LookPath(reader[0]); err != nil && name == "Python" {
			t.Log("python3 is not installed: its reader was not asked")
			continue
		}
		cmd := exec.Command(reader[0], reader[1:]...)
		cmd.Stdin = bytes.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s reads what passes differently: %v\n%s", name, err, out)
		}
	}
}

// TestForwardedIsDigested: the arguments in the request that leaves are the bytes that were digested, whatever the client's spelling.
func TestForwardedIsDigested(t *testing.T) {
	for _, c := range wireCases(t) {
		_, call, bad := decodeAll([]byte(c.In), modern)
		if c.Rule != "" || bad != nil || call.Method == "" || call.URI != "" {
			continue
		}
		sent, bad := decodeMessage(encodeGated(call, modern, 7, resume{}).body(), maxBody)
		if bad != nil {
			t.Fatalf("%s: what is sent breaks rule %s", c.ID, bad.Rule)
		}
		if !bytes.Contains(sent.Params, append([]byte(`"arguments":`), call.Arguments...)) {
			t.Errorf("%s: %s was digested, %s leaves", c.ID, call.Arguments, sent.Params)
		}
	}
}

func TestMetaIsCut(t *testing.T) {
	in := `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"t","_meta":{
		"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{},"roots":{},"elicitation":{"url":{}},"x":1},
		"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"progressToken":"mine","traceparent":"00-1","baggage":"who=me","com.example/x":1,
		"io.github.attorn/refusal":{}}}}`
	_, call, bad := decodeAll([]byte(in), modern)
	if bad != nil {
		t.Fatal(bad.Message)
	}
	want := `{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}},` +
		`"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"traceparent":"00-1","progressToken":7}`
	if got := string(encodeMeta(call.Meta, modern, 7)); got != want {
		t.Errorf("modern _meta leaves as\n%s, want\n%s", got, want)
	}
	_, call, bad = decodeAll([]byte(in), legacy)
	if got := string(encodeMeta(call.Meta, legacy, 7)); bad != nil || got != `{"progressToken":7}` {
		t.Errorf("legacy _meta leaves as %s (%v)", got, bad)
	}
}

func TestHeaders(t *testing.T) {
	definition := []byte(`{"inputSchema":{"properties":{"n":{"type":"integer","x-mcp-header":"Count"},"o":{"properties":{"r":{"type":"string","x-mcp-header":"Region"}}},"b":{"x-mcp-header":"Bare"}}}}`)
	bs := bindings(definition)
	if len(bs) != 3 {
		t.Fatalf("%d bindings", len(bs))
	}
	h := func(pairs ...string) http.Header {
		out := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			out.Add(pairs[i], pairs[i+1])
		}
		return out
	}
	all := []string{headerVersion, modern, headerMethod, "tools/call", headerName, "t"}
	for name, c := range map[string]struct {
		h    http.Header
		name string
		ok   bool
	}{
		"right":            {h(all...), "t", true},
		"encoded":          {h(headerVersion, modern, headerMethod, "tools/call", headerName, "=?base64?w6k=?="), "é", true},
		"twice":            {h(append([]string{headerName, "t"}, all...)...), "t", false},
		"missing":          {h(headerVersion, modern, headerName, "t"), "t", false},
		"other":            {h(all...), "u", false},
		"case":             {h(headerVersion, modern, headerMethod, "Tools/call", headerName, "t"), "t", false},
		"two spellings":    {h(headerVersion, modern, headerMethod, "tools/call", headerName, "=?base64?dB==?="), "t", false},
		"no base64":        {h(headerVersion, modern, headerMethod, "tools/call", headerName, "=?base64?%%?="), "t", false},
		"raw bytes":        {h(headerVersion, modern, headerMethod, "tools/call", headerName, "é"), "é", false},
		"no UTF-8 inside":  {h(headerVersion, modern, headerMethod, "tools/call", headerName, "=?base64?/w==?="), "\xff", false},
		"line break there": {h(headerVersion, modern, headerMethod, "tools/call", headerName, "=?base64?dA\n==?="), "t", false},
	} {
		if bad := checkHeaders(c.h, modern, "tools/call", c.name); (bad == nil) != c.ok {
			t.Errorf("%s: %v", name, bad)
		} else if bad != nil && (bad.Code != codeHeader || bad.status(modern) != http.StatusBadRequest) {
			t.Errorf("%s: %d, status %d", name, bad.Code, bad.status(modern))
		}
	}
	args := `{"n":42,"o":{"r":"eu"},"b":null}`
	for name, c := range map[string]struct {
		args string
		h    http.Header
		ok   bool
	}{
		"right":         {args, h("Mcp-Param-Count", "42", "Mcp-Param-Region", "eu"), true},
		"numerically":   {args, h("Mcp-Param-Count", "42.0", "Mcp-Param-Region", "eu"), true},
		"hexadecimal":   {args, h("Mcp-Param-Count", "0x2a", "Mcp-Param-Region", "eu"), false},
		"infinite":      {args, h("Mcp-Param-Count", "Inf", "Mcp-Param-Region", "eu"), false},
		"other number":  {args, h("Mcp-Param-Count", "43", "Mcp-Param-Region", "eu"), false},
		"other text":    {args, h("Mcp-Param-Count", "42", "Mcp-Param-Region", "us"), false},
		"missing":       {args, h("Mcp-Param-Count", "42"), false},
		"of null":       {args, h("Mcp-Param-Count", "42", "Mcp-Param-Region", "eu", "Mcp-Param-Bare", "null"), false},
		"of nothing":    {`{}`, h("Mcp-Param-Count", "42"), false},
		"unknown":       {`{}`, h("Mcp-Param-Other", "1"), true},
		"twice":         {`{"n":1}`, h("Mcp-Param-Count", "1", "Mcp-Param-Count", "1"), false},
		"absent parent": {`{"o":1,"n":1}`, h("Mcp-Param-Count", "1"), true},
	} {
		if bad := checkParamHeaders(c.h, bs, []byte(c.args)); (bad == nil) != c.ok {
			t.Errorf("param %s: %v", name, bad)
		}
	}
	for _, s := range []string{"plain", "é", " padded ", "a\nb", "=?base64?x?=", "", "\x7f"} {
		if got, ok := decodeHeader(encodeHeader(s)); !ok || got != s {
			t.Errorf("%q travels as %q and arrives as %q", s, encodeHeader(s), got)
		}
	}
}

func TestResponses(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		rule string
	}{
		"result":          {`{"jsonrpc":"2.0","id":7,"result":{}}`, ""},
		"error":           {`{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"m"}}`, ""},
		"error, no id":    {`{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}`, ""},
		"both":            {`{"jsonrpc":"2.0","id":7,"result":{},"error":{}}`, "envelope"},
		"neither":         {`{"jsonrpc":"2.0","id":7}`, "envelope"},
		"no id":           {`{"jsonrpc":"2.0","result":{}}`, "envelope"},
		"result is text":  {`{"jsonrpc":"2.0","id":7,"result":"x"}`, "envelope"},
		"and a method":    {`{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}`, "envelope"},
		"deep duplicate":  {`{"jsonrpc":"2.0","id":7,"result":{"content":[{"a":1,"a":2}]}}`, "duplicate"},
		"RESULT":          {`{"jsonrpc":"2.0","id":7,"RESULT":{},"result":{}}`, "envelope"},
		"a batch":         {`[{"jsonrpc":"2.0","id":7,"result":{}}]`, "batch"},
		"two values":      {`{"jsonrpc":"2.0","id":7,"result":{}}{}`, "syntax"},
		"fraction for id": {`{"jsonrpc":"2.0","id":7.0,"result":{}}`, "envelope"},
	} {
		m, bad := decodeMessage([]byte(c.in), maxResult)
		switch {
		case c.rule == "" && bad != nil:
			t.Errorf("%s: refused by %s", name, bad.Rule)
		case c.rule != "" && (bad == nil || bad.Rule != c.rule):
			t.Errorf("%s: %v, want rule %s", name, bad, c.rule)
		case c.rule == "" && m.ID != nil && !ownResponse(m, 7):
			t.Errorf("%s: not taken for the answer to 7", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range wireCases(f) {
		f.Add([]byte(c.In))
	}
	f.Add([]byte(`{"jsonrpc":"2.0","id":7,"result":{"content":[]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, era := range []string{modern, legacy} {
			m, c, bad := decodeAll(in, era)
			if bad != nil {
				if bad.Rule == "" || bad.Code == 0 {
					t.Fatalf("a refusal without rule: %+v", bad)
				}
				continue
			}
			if m.Method == "" || !gated(m.Method) {
				continue
			}
			sent := encodeGated(c, era, 7, resume{}).body()
			again, bad := decodeMessage(sent, maxBody+1<<10)
			if bad != nil || again.Method != m.Method || bytes.ContainsAny(sent, "\n\r") {
				t.Fatalf("%q leaves as %q: %v", in, sent, bad)
			}
			if fixed, err := jose.CanonicalRaw(c.Arguments, jose.Limits{Bytes: maxBody, Depth: maxDepth, Values: maxValues}); err != nil || !bytes.Equal(fixed, c.Arguments) {
				t.Fatalf("arguments %q are not in canonical form: %v", c.Arguments, err)
			}
			var theirs struct { // a reader that ignores case and lets the last one win
				Method string
				Params struct{ Name, URI string }
			}
			if err := stdjson.Unmarshal(in, &theirs); err != nil || theirs.Method != m.Method || theirs.Params.Name != c.Name || theirs.Params.URI != c.URI {
				t.Fatalf("%q: a lax reader takes it for %+v (%v), we for %s %s%s", in, theirs, err, m.Method, c.Name, c.URI)
			}
		}
	})
}
