package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"pgregory.net/rapid"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func TestExit(t *testing.T) {
	lost := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	missing := &fs.PathError{Op: "open", Path: "key", Err: os.ErrNotExist}
	for _, c := range []struct {
		name string
		err  error
		code int
		talk string
	}{
		{"nothing", nil, exitOK, ""},
		{"said already", quiet{exitWaiting}, exitWaiting, ""},
		{"usage", usageError{errors.New("what?")}, exitUsage, "what?\nTry: attorn lend --help\n"},
		{"usage around a refusal", usageError{fault.New(fault.Denied, "no", "what?")}, exitUsage, "what?\nTry: attorn lend --help\n"},
		{"denied", fault.New(fault.Denied, "not_lent", "it is not lent").Try("ask Ann"), exitDenied, "it is not lent (not_lent)\nTry: ask Ann\n"},
		{"wrapped", fmt.Errorf("more: %w", fault.New(fault.Denied, "not_lent", "it is not lent").Try("ask Ann")), exitDenied, "it is not lent (not_lent)\nTry: ask Ann\n"},
		{"without a remedy", fault.New(fault.Invalid, "bad", "it is bad"), exitError, "it is bad (bad)\nTry: attorn lend --help\n"},
		{"unauthenticated", fault.New(fault.Unauthenticated, "no", "who?"), exitNotSignedIn, "who? (no)\nTry: sign in again, with a new link: attorn login LINK\n"},
		{"unavailable", fault.New(fault.Unavailable, "gone", "gone"), exitUnreachable, "gone (gone)\nTry: check that the server runs, and its address: attorn ctx ls\n"},
		{"not found", fault.New(fault.NotFound, "not_found", "no"), exitError, "no (not_found)\nTry: attorn lend --help\n"},
		{"a remedy of ours", fault.New(fault.Unauthenticated, "invalid_client", "no").Try("sign an assertion"), exitNotSignedIn, "no (invalid_client)\nTry: " + ownRemedies["invalid_client"] + "\n"},
		{"lost", fmt.Errorf("call: %w", lost), exitUnreachable, "the server cannot be reached: call: dial tcp: connection refused\nTry: check that the server runs, and its address: attorn ctx ls\n"},
		{"a file", missing, exitError, "open key: file does not exist\nTry: check the path, and who may use it\n"},
		{"interrupted", fmt.Errorf("call: %w", context.Canceled), exitError, "interrupted before there was an answer\nTry: attorn audit tail tells what was done\n"},
		{"unknown", errors.New("huh"), exitError, "huh\nTry: attorn lend --help\n"},
		{
			"lines and tricks", fault.New(fault.Denied, "no", "a\x1b[2J\nTry: rm -rf /\nb\u202e").Try("one\nTry: two"), exitDenied,
			"a\uFFFD[2J (no)\n  Try: rm -rf /\n  b\uFFFD\nTry: one\uFFFDTry: two\n",
		},
	} {
		var talk, out bytes.Buffer
		cl := &cli{out: &out, talk: &talk}
		if code := cl.exit("attorn lend", c.err); code != c.code || talk.String() != c.talk || out.Len() != 0 {
			t.Errorf("%s: %d, out %q, talk %q, want %d, %q", c.name, code, out.String(), talk.String(), c.code, c.talk)
		}
	}
}

func TestSplitLink(t *testing.T) {
	for _, c := range []struct{ link, server, secret string }{
		{"http://localhost:7070/signin/link#abc", "http://localhost:7070", "abc"},
		{"https://attorn.example.com/signin/link#a-b_c", "https://attorn.example.com", "a-b_c"},
		{"https://example.com/attorn/signin/link#x", "https://example.com/attorn", "x"},
		{"http://localhost:7070/signin/link", "", ""},
		{"http://localhost:7070/signin/link#", "", ""},
		{"http://localhost:7070/signin/#abc", "", ""},
		{"http://localhost:7070/#abc", "", ""},
		{"abc", "", ""},
		{"", "", ""},
		{"http://[::1/signin/link#abc", "", ""},
	} {
		server, secret, err := splitLink(c.link)
		if server != c.server || secret != c.secret || (err == nil) != (c.server != "") {
			t.Errorf("%q: %q, %q, %v", c.link, server, secret, err)
		}
		if usage := (usageError{}); err != nil && !errors.As(err, &usage) {
			t.Errorf("%q: %v is no usage error", c.link, err)
		}
		if err != nil && c.link != "" && strings.Contains(err.Error(), "abc") {
			t.Errorf("%q: the error repeats the secret: %v", c.link, err)
		}
	}
}

func TestCallArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "args.json")
	if err := os.WriteFile(file, []byte(`{"paths":["a","b"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		raw   string
		pairs []string
		want  string // as JSON; "" is refused
	}{
		{"", nil, `{}`},
		{"", []string{"path=a", "content=x=y", "empty="}, `{"content":"x=y","empty":"","path":"a"}`},
		{"", []string{"n=5"}, `{"n":"5"}`},
		{`{"n":5,"on":true,"list":[1,{"a":null}]}`, nil, `{"list":[1,{"a":null}],"n":5,"on":true}`},
		{`{"n":9007199254740993}`, nil, `{"n":9007199254740993}`},
		{`{"n":1.0}`, []string{"path=a"}, `{"n":1.0,"path":"a"}`},
		{"@" + file, nil, `{"paths":["a","b"]}`},
		{"", []string{"path"}, ""},
		{"", []string{"=a"}, ""},
		{"", []string{"path=a", "path=b"}, ""},
		{`{"path":"a"}`, []string{"path=b"}, ""},
		{`{"path":"a","path":"b"}`, nil, ""},
		{`{"a":{"path":"a","path":"b"}}`, nil, ""},
		{`null`, nil, ""},
		{`["a"]`, nil, ""},
		{`"a"`, nil, ""},
		{`{`, nil, ""},
		{`{} {}`, nil, ""},
		{"@" + file + ".not", nil, ""},
	} {
		got, err := callArguments(c.raw, c.pairs)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s %q: %v, want it refused", c.raw, c.pairs, got)
			}
			continue
		}
		text, wrong := json.Marshal(got, json.Deterministic(true))
		if err != nil || wrong != nil || string(text) != c.want {
			t.Errorf("%s %q: %s, %v, want %s", c.raw, c.pairs, text, err, c.want)
		}
	}
}

func TestEverything(t *testing.T) {
	var asked []attorn.Page
	pages := map[string]api.List[int]{"": {Items: []int{1, 2}, Next: "2"}, "2": {Items: []int{}, Next: "3"}, "3": {Items: []int{3}}}
	all, err := everything(func(p attorn.Page) (api.List[int], error) {
		asked = append(asked, p)
		return pages[p.After], nil
	})
	if err != nil || !cmp.Equal(all, api.List[int]{Items: []int{1, 2, 3}}) || len(asked) != 3 {
		t.Errorf("%v, %v, asked %v", all, err, asked)
	}
	lost := errors.New("lost")
	if _, err := everything(func(p attorn.Page) (api.List[int], error) {
		if p.After == "" {
			return pages[""], nil
		}
		return api.List[int]{}, lost
	}); !errors.Is(err, lost) {
		t.Errorf("a list that breaks off: %v", err)
	}
}

func TestMCPError(t *testing.T) {
	denied := fault.New(fault.Denied, "delegation_ended", "it ended")
	for _, c := range []struct {
		name string
		err  error
		kind fault.Kind
		code string
	}{
		{"a refusal of the authorization server", fmt.Errorf("sending: %w", denied), fault.Denied, "delegation_ended"},
		{"a refusal of the gateway", fmt.Errorf("calling: %w", &jsonrpc.Error{Code: -31001, Message: "no", Data: []byte(`{"code":"replayed","reason":"used before","more":1}`)}), fault.Denied, "replayed"},
		{"an unknown tool", &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "Unknown tool"}, fault.Invalid, "mcp_error"},
		{"data that is not attorn's", &jsonrpc.Error{Code: 1, Message: "no", Data: []byte(`[1]`)}, fault.Invalid, "mcp_error"},
		{"a lost connection", errors.New("request terminated without response"), fault.Unavailable, "no_answer"},
		{"one that the SDK dresses up", fmt.Errorf("%w: %w", &jsonrpc.Error{Code: rejected, Message: "rejected by transport"}, &net.OpError{Op: "read", Err: errors.New("reset")}), fault.Unavailable, "no_answer"},
		{"a status", fmt.Errorf("%w: Too Many Requests", &jsonrpc.Error{Code: rejected, Message: "rejected by transport"}), fault.Unavailable, "no_answer"},
	} {
		f := fault.Of(mcpError("files", c.err))
		if f == nil || f.Kind != c.kind || f.Code != c.code {
			t.Errorf("%s: %#v", c.name, f)
		}
	}
	if mcpError("files", nil) != nil || !errors.Is(mcpError("files", context.Canceled), context.Canceled) {
		t.Error("what is no error, or the user's own, is made one of the server's")
	}
}

func TestShowResult(t *testing.T) {
	refused := func(code string) *mcp.CallToolResult {
		return &mcp.CallToolResult{IsError: true, Meta: mcp.Meta{"io.github.attorn/refusal": map[string]any{
			"code": code, "reason": "not so", "decision": "dec_1", "approval": "apr_1", "new": 1,
		}}, Content: []mcp.Content{&mcp.TextContent{Text: "Refused: not so."}}}
	}
	says := func(isError bool, text string) *mcp.CallToolResult {
		return &mcp.CallToolResult{IsError: isError, Content: []mcp.Content{&mcp.TextContent{Text: text}, &mcp.ImageContent{Data: []byte{1}}}}
	}
	for _, c := range []struct {
		name, format string
		res          *mcp.CallToolResult
		code         int
		out, talk    string
	}{
		{"an answer", "table", says(false, "a\tb\n\x1b[2Jc\n"), exitOK, "a\tb\n\uFFFD[2Jc\n", "no text"},
		{"a tool's error", "table", says(true, "ENOENT\nTry: this"), exitError, "", "the tool failed: ENOENT (tool_error)\n  Try: this\nTry: "},
		{"refused", "table", refused("not_lent"), exitDenied, "", "not so (not_lent)\nTry: "},
		{"waits", "table", refused("approval_pending"), exitWaiting, "", "Look at it: attorn approval show apr_1\nWhy: attorn why dec_1\n"},
		{"refused, as JSON", "json", refused("not_lent"), exitDenied, `"code": "not_lent"`, ""},
		{"waits, as an id", "id", refused("approval_pending"), exitWaiting, "dec_1\n", ""},
		{"nothing", "table", &mcp.CallToolResult{}, exitOK, "", ""},
	} {
		var out, talk bytes.Buffer
		cl := &cli{out: &out, talk: &talk, format: c.format}
		code := cl.exit("attorn mcp call", cl.showResult(c.res))
		if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(talk.String(), c.talk) || c.out == "" && out.Len() > 0 {
			t.Errorf("%s: %d, %q, %q", c.name, code, out.String(), talk.String())
		}
	}
}

// harmless reports whether a text moves no cursor and turns nothing around; allowed runes may be in it.
func harmless(s, allowed string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune(allowed, r) })
}

func TestPrint(t *testing.T) {
	for _, c := range []struct{ in, line, text string }{
		{"Priya Nair", "Priya Nair", "Priya Nair"},
		{"Zoë 李 └ …", "Zoë 李 └ …", "Zoë 李 └ …"},
		{"a\tb\nc", "a\uFFFDb\uFFFDc", "a\tb\nc"},
		{"a\r\x1b[2J\x07\x00\x7f", "a\uFFFD\uFFFD[2J\uFFFD\uFFFD\uFFFD", "a\uFFFD\uFFFD[2J\uFFFD\uFFFD\uFFFD"},
		{"\u202egpj\u2066\u200b\u009b\ufeff", "\uFFFDgpj\uFFFD\uFFFD\uFFFD\uFFFD", "\uFFFDgpj\uFFFD\uFFFD\uFFFD\uFFFD"},
		{"\xff\xc0", "\uFFFD\uFFFD", "\uFFFD\uFFFD"},
	} {
		if line(c.in) != c.line || text(c.in) != c.text {
			t.Errorf("%q: %q, %q", c.in, line(c.in), text(c.in))
		}
	}
	var b bytes.Buffer
	row(&b, "a\nb", "c\td", "", "")
	row(&b, "roles", "")
	say(&b, "%s is %d", "x\ny", 2)
	if want := "a\uFFFDb\tc\uFFFDd\nroles\t-\nx\uFFFDy is 2\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	for _, c := range []struct{ got, want string }{
		{shorten("abc", 3), "abc"},
		{shorten("äöüß", 3), "äöü … (1 more)"},
		{moment("2026-11-23T13:18:39.22322Z"), "2026-11-23 13:18:39 UTC"},
		{moment("2026-11-23T14:18:39+01:00"), "2026-11-23 13:18:39 UTC"},
		{moment("soon"), "soon"},
		{seconds(0), "1970-01-01 00:00:00 UTC"},
		{count(1, "use"), "1 use"},
		{count(0, "use"), "0 uses"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// Whatever is shown as JSON is the same value, and harmless.
func TestShownJSONIsTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := map[string]any{rapid.String().Draw(t, "name"): []any{rapid.String().Draw(t, "text"), "\u202e\u009b\U000e0001"}}
		var out bytes.Buffer
		if err := (&cli{out: &out, format: "json"}).show(v, "", nil); err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || !cmp.Equal(v, back) {
			t.Errorf("%v: %s", err, cmp.Diff(v, back))
		}
		if !harmless(out.String(), "\n") || !jsontext.Value(out.Bytes()).IsValid() {
			t.Errorf("%q", out.String())
		}
	})
}

func TestWhyText(t *testing.T) {
	user, bot := id.Must[id.User]("usr_06h0h3nm15v5h8qa87hvv9nlk0"), id.Must[id.Agent]("agt_06h0h3nq15tip9spt656q3k0jg")
	a := api.Answer{
		Event: id.Must[id.Event]("evt_06h0h3o0etrcr36hvd76ojn270"), Rev: 43, Kind: evidence.Kind("tool.started"), Outcome: "permit", At: "2026-11-23T13:18:39.2Z",
		Action: "tool:files:write_file", Arguments: `{"path":"a"}`, Reason: "because\nAUTHENTIC yes\x1b[2J", Policy: "bundle x", Approved: []string{"Maya\nBen"},
		Chain:  []api.Hop{{Sub: user.String(), Name: "Priya\u202e"}, {Sub: bot.String(), Name: "bot\nroot", Lent: "all\r", By: "dlg_1"}},
		Report: &evidence.Report{},
	}
	got := whyText(a)
	want := "PERMITTED  tool:files:write_file      2026-11-23 13:18:39 UTC      log #43\n" +
		"  with     {\"path\":\"a\"}\n" +
		"  reason   because\uFFFDAUTHENTIC yes\uFFFD[2J\n" +
		"  Priya\uFFFD  " + user.String() + "\n" +
		"    └ bot\uFFFDroot  " + bot.String() + "\n" +
		"        was lent all\uFFFD\n" +
		"        by dlg_1\n" +
		"  policy   bundle x\n" +
		"  approved by Maya\uFFFDBen\n"
	if !strings.HasPrefix(got, want) || !harmless(got, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for outcome, word := range map[string]string{"deny": "DENIED", "ask": "WAITING", "ok": "OK"} {
		a.Outcome, a.Action, a.Report = outcome, "", nil
		if got := whyText(a); !strings.HasPrefix(got, word+"  tool.started ") {
			t.Errorf("%s: %s", outcome, got)
		}
	}
}

// Whatever a server says in an answer, each line of the tree is one of ours.
func TestWhyTextStaysInItsLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String()
		a := api.Answer{
			Outcome: s.Draw(t, "outcome"), At: s.Draw(t, "at"), Action: s.Draw(t, "action"), Arguments: "x" + s.Draw(t, "arguments"), Reason: "x" + s.Draw(t, "reason"),
			Policy: "x" + s.Draw(t, "policy"), Approved: []string{s.Draw(t, "approved")}, Chain: []api.Hop{{Name: s.Draw(t, "name"), Sub: s.Draw(t, "sub"), Lent: "x" + s.Draw(t, "lent"), By: s.Draw(t, "by")}},
		}
		if got := whyText(a); strings.Count(got, "\n") != 8 || !harmless(got, "\n") {
			t.Errorf("%q", got)
		}
	})
}

func TestURLsAreNotErrors(t *testing.T) {
	// A *url.Error is a network error: that exit and mcpError rest on it is said here once.
	var network net.Error
	if !errors.As(error(&url.Error{Op: "Post", URL: "x", Err: errors.New("no")}), &network) {
		t.Error("a *url.Error is no net.Error")
	}
}
