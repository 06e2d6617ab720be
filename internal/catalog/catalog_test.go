package catalog

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

type rig struct {
	*Room
	*audittest.Rig
	t *testing.T
}

// each opens a log and the room on every engine.
func each(t *testing.T, test func(r rig)) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := audittest.Open(t, dsn, start)
		test(rig{New(r.Reader), r, t})
	})
}

func item(t testing.TB, kind Kind, raw string) Item {
	t.Helper()
	it, err := ReadItem(kind, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return it
}

const (
	readTool  = `{"name":"look","description":"looks","inputSchema":{"type":"object","properties":{"at":{"type":"string"}},"required":["at"]},"annotations":{"readOnlyHint":true}}`
	writeTool = `{"name":"put","inputSchema":{"type":"object"}}`
)

func files(t testing.TB) (Server, Offer) {
	t.Helper()
	s := Server{
		Workspace: id.Default, Name: "files", Transport: "stdio", Environment: "prod", Command: []string{"node", "x.js"}, Env: map[string]string{"A": "b"},
	}
	bad := item(t, KindTool, `{"name":"a/b","inputSchema":{"type":"object"}}`)
	text, err := Instructions("Be kind.")
	if err != nil {
		t.Fatal(err)
	}
	return s, Offer{Era: Legacy, Items: []Item{item(t, KindTool, readTool), item(t, KindTool, writeTool), bad, item(t, KindPrompt, `{"name":"greet","arguments":[{"name":"who","required":true}]}`), text}}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("%v (%s), want code %q", err, fault.Code(err), code)
	}
}

func TestRegister(t *testing.T) {
	each(t, func(r rig) {
		t := r.t
		ctx := t.Context()
		s, offer := files(t)
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return Add(tx, s, offer) }); err != nil {
			t.Fatal(err)
		}
		got, err := r.Server(ctx, id.Default, "files")
		if err != nil || got.Era != Legacy || got.Status != "active" || got.Command[1] != "x.js" || got.Env["A"] != "b" || got.Environment != "prod" || !got.CreatedAt.Equal(start) {
			t.Errorf("%+v, %v", got, err)
		}
		look, err := r.Callable(ctx, id.Default, "files", "look")
		if err != nil || look.Status != Accepted || look.Class != Read || look.Pin != offer.Items[0].Pin || string(look.Definition) != string(offer.Items[0].Definition) {
			t.Errorf("%+v, %v", look, err)
		}
		if look.Action() != "tool:files:look" {
			t.Errorf("action %s", look.Action())
		}
		greet, err := r.Callable(ctx, id.Default, "files", "prompts/greet")
		if err != nil || greet.Kind != KindPrompt || greet.Action() != "tool:files:prompts/greet" {
			t.Errorf("%+v, %v", greet, err)
		}
		wantCode(t, r.Check(greet, []byte(`{}`)), "schema")
		wantCode(t, r.Check(greet, []byte(`{"who":"me","x":"y"}`)), "schema")
		wantCode(t, r.Check(greet, []byte(`{"who":"me"}`)), "")
		bad, err := r.Tool(ctx, id.Default, "files", KindTool, "a/b")
		if err != nil || bad.Status != Quarantined || len(bad.Definition) != 0 {
			t.Errorf("a name that is no permission: %+v, %v", bad, err)
		}
		wantCode(t, r.Check(bad, []byte(`{}`)), "tool_quarantined")
		resources, err := r.Callable(ctx, id.Default, "files", ResourcesRead)
		if err != nil || r.Check(resources, []byte(`{"uri":"x:y"}`)) != nil || resources.Action() != "tool:files:resources/read" {
			t.Errorf("%+v, %v", resources, err)
		}
		text, err := r.Callable(ctx, id.Default, "files", "server/instructions")
		if err != nil || text.Kind != KindInstructions || text.Segment() != "server/instructions" {
			t.Errorf("%+v, %v", text, err)
		}
		wantCode(t, r.Check(text, []byte(`{}`)), "unknown_tool")
		_, err = r.Callable(ctx, id.Default, "files", "none")
		wantCode(t, err, "unknown_tool")
		other, _ := id.ParseWorkspace("acme")
		_, err = r.Server(ctx, other, "files")
		wantCode(t, err, "unknown_server")
		_, err = r.Callable(ctx, other, "files", "look")
		wantCode(t, err, "unknown_tool")
		wantCode(t, r.Do(id.Default, func(tx *audit.Tx) error { return Add(tx, s, offer) }), "server_exists")

		wantCode(t, r.Do(id.Default, func(tx *audit.Tx) error { return Remove(tx, id.Default, "files") }), "")
		wantCode(t, r.Do(id.Default, func(tx *audit.Tx) error { return Remove(tx, id.Default, "files") }), "unknown_server")
		if all, err := r.Servers(ctx, id.Default); err != nil || len(all) != 0 {
			t.Errorf("a removed server is listed: %v, %v", all, err)
		}
		offer.Items, s.Environment = offer.Items[:1], ""
		wantCode(t, r.Do(id.Default, func(tx *audit.Tx) error { return Add(tx, s, offer) }), "")
		if all, err := r.Tools(ctx, id.Default, "files"); err != nil || len(all) != 1 {
			t.Errorf("tools of the one before remain: %v, %v", all, err)
		}
		if all, err := r.Servers(ctx, id.Default); err != nil || len(all) != 1 || all[0].Environment != "" {
			t.Errorf("the environment of the one before remains: %+v, %v", all, err)
		}
	})
}

func TestDriftAndPin(t *testing.T) {
	each(t, func(r rig) {
		t := r.t
		ctx := t.Context()
		s, offer := files(t)
		wantCode(t, r.Do(id.Default, func(tx *audit.Tx) error { return Add(tx, s, offer) }), "")
		observe := func(items ...Item) (changes []Change) {
			t.Helper()
			wantCode(t, r.Do(id.Default, func(tx *audit.Tx) (err error) { changes, err = Observe(tx, id.Default, "files", items); return err }), "")
			return changes
		}
		tool := func(name string) Tool {
			t.Helper()
			got, err := r.Tool(ctx, id.Default, "files", KindTool, name)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if c := observe(offer.Items...); len(c) != 0 {
			t.Errorf("nothing changed: %v", c)
		}
		old := tool("look")
		changed := item(t, KindTool, strings.Replace(readTool, "looks", "looks away", 1))
		added := item(t, KindTool, `{"name":"new","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`)
		if c := observe(changed, added); len(c) != 2 || c[0].What != "drifted" || c[1].What != "new" {
			t.Errorf("%v", c)
		}
		if c := observe(changed, added); len(c) != 0 {
			t.Errorf("the same again: %v", c)
		}
		now := tool("look")
		if now.Status != Quarantined || now.Pin != old.Pin || string(now.Definition) != string(old.Definition) || now.SeenPin != changed.Pin {
			t.Errorf("%+v", now)
		}
		wantCode(t, r.Check(now, []byte(`{"at":"x"}`)), "tool_quarantined")
		if n := tool("new"); n.Status != Unaccepted || n.Class != Destroy || len(n.Definition) != 0 || !n.Pin.IsZero() {
			t.Errorf("%+v", n)
		}
		observe(offer.Items[0]) // it turns back: still nobody's to trust
		if n := tool("look"); n.Status != Quarantined {
			t.Errorf("%+v", n)
		}
		observe(changed)
		accept := func(name string, pin id.Digest, class string) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return Accept(tx, id.Default, "files", KindTool, name, pin, class, false) })
		}
		wantCode(t, accept("look", old.Pin, Read), "pin_changed")
		wantCode(t, accept("none", old.Pin, Read), "unknown_tool")
		wantCode(t, accept("look", changed.Pin, "harmless"), "malformed")
		wantCode(t, accept("look", changed.Pin, Write), "")
		if n := tool("look"); n.Status != Accepted || n.Pin != changed.Pin || n.Class != Write || !strings.Contains(string(n.Definition), "away") {
			t.Errorf("%+v", n)
		}
		wantCode(t, accept("new", added.Pin, Read), "")
		wantCode(t, accept("a/b", tool("a/b").SeenPin, Read), "definition_refused")
		wantCode(t, r.Do(id.Default, func(tx *audit.Tx) error { return Remove(tx, id.Default, "files") }), "")
		err := r.Do(id.Default, func(tx *audit.Tx) error { _, err := Observe(tx, id.Default, "files", nil); return err })
		wantCode(t, err, "unknown_server")
	})
}

func TestServerCheck(t *testing.T) {
	stdio := func(change func(*Server)) Server {
		s := Server{Name: "a", Transport: "stdio", Command: []string{"x"}}
		change(&s)
		return s
	}
	web := func(change func(*Server)) Server {
		s := Server{Name: "a", Transport: "http", URL: "https://example.com/mcp"}
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		s  Server
		ok bool
	}{
		"stdio":             {stdio(func(*Server) {}), true},
		"http":              {web(func(*Server) {}), true},
		"private http":      {web(func(s *Server) { s.URL, s.AllowPrivate = "http://127.0.0.1:1/mcp", true }), true},
		"plain http":        {web(func(s *Server) { s.URL = "http://example.com/mcp" }), false},
		"a user in it":      {web(func(s *Server) { s.URL = "https://me@example.com/" }), false},
		"a file":            {web(func(s *Server) { s.URL = "file:///etc/passwd" }), false},
		"a fragment":        {web(func(s *Server) { s.URL = "https://example.com/#x" }), false},
		"both":              {web(func(s *Server) { s.Command = []string{"x"} }), false},
		"no command":        {stdio(func(s *Server) { s.Command = nil }), false},
		"a null":            {stdio(func(s *Server) { s.Command = []string{"x", "a\x00b"} }), false},
		"its own PATH":      {stdio(func(s *Server) { s.Env = map[string]string{"PATH": "/tmp"} }), false},
		"a preload":         {stdio(func(s *Server) { s.Env = map[string]string{"LD_PRELOAD": "x"} }), false},
		"a variable":        {stdio(func(s *Server) { s.Env = map[string]string{"TOKEN": "x"} }), true},
		"no variable":       {stdio(func(s *Server) { s.Env = map[string]string{"A=B": "x"} }), false},
		"reserved":          {stdio(func(s *Server) { s.Name = "attorn" }), false},
		"capitals":          {stdio(func(s *Server) { s.Name = "A" }), false},
		"another transport": {stdio(func(s *Server) { s.Transport = "sse" }), false},
	} {
		if err := c.s.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && fault.Code(err) != "server_invalid" {
			t.Errorf("%s: code %s", name, fault.Code(err))
		}
	}
}

func TestPins(t *testing.T) {
	base := item(t, KindTool, readTool)
	for name, c := range map[string]struct {
		raw  string
		same bool
	}{
		"spelled otherwise":  {`{ "inputSchema":{"required":["at"],"properties":{"at":{"type":"string"}},"type":"object"},"name":"look","annotations":{"readOnlyHint":true},"description":"looks"}`, true},
		"icons and _meta":    {strings.Replace(readTool, `{"name"`, `{"icons":[{"src":"x"}],"_meta":{"a":1},"name"`, 1), true},
		"_meta further down": {strings.Replace(readTool, `"type":"string"`, `"type":"string","_meta":1`, 1), false},
		"other description":  {strings.Replace(readTool, "looks", "Looks", 1), false},
		"other schema":       {strings.Replace(readTool, `"required":["at"]`, `"required":[]`, 1), false},
		"a hidden character": {strings.Replace(readTool, "looks", "looks\u200b", 1), false},
		"another annotation": {strings.Replace(readTool, "true", "false", 1), false},
	} {
		if it := item(t, KindTool, c.raw); (it.Pin == base.Pin) != c.same {
			t.Errorf("%s: same pin: %v", name, it.Pin == base.Pin)
		}
	}
	if strings.Contains(string(item(t, KindTool, `{"name":"a","inputSchema":{"type":"object"},"icons":[],"_meta":{"k":1}}`).Definition), "k") {
		t.Error("_meta is kept")
	}
	for name, raw := range map[string]string{
		"twice": `{"name":"a","name":"b"}`, "no object": `[]`, "no name": `{"inputSchema":{}}`, "a number": `{"name":5}`, "big": `{"name":"a","x":"` + strings.Repeat("x", MaxDefinition) + `"}`,
		"two to the 53 and one": `{"name":"a","inputSchema":{"type":"object","maxProperties":9007199254740993}}`,
	} {
		if _, err := ReadItem(KindTool, []byte(raw)); fault.Code(err) != "definition_invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClassesAndHints(t *testing.T) {
	tool := func(name, more string) Item {
		return item(t, KindTool, `{"name":"`+name+`","inputSchema":{"type":"object"}`+more+`}`)
	}
	for annotations, class := range map[string]string{
		"": Destroy, `,"annotations":{"readOnlyHint":true}`: Read, `,"annotations":{"readOnlyHint":false}`: Destroy,
		`,"annotations":{"destructiveHint":false}`: Write, `,"annotations":{"readOnlyHint":true,"destructiveHint":true}`: Read, `,"annotations":{}`: Destroy,
	} {
		if it := tool("x", annotations); it.Class != class {
			t.Errorf("%s: %s, want %s", annotations, it.Class, class)
		}
	}
	for name, refused := range map[string]bool{
		"read_file": false, "a.b-c_D9@x": false, "a/b": true, "a b": true, "a:b": true, "*": true, "é": true, strings.Repeat("x", 128): false, strings.Repeat("x", 129): true,
	} {
		if it := tool(name, ""); (it.Reason != "") != refused {
			t.Errorf("%q: %q", name, it.Reason)
		}
	}
	if it := tool("delete_file", `,"annotations":{"readOnlyHint":true}`); len(it.Hints) != 1 {
		t.Errorf("%q", it.Hints)
	}
	for _, c := range []string{"\u202e", "\u200b", "\u2066", "\U000e0041", "\ufeff"} {
		if it := tool("x", `,"description":"a`+c+`b"`); len(it.Hints) != 1 {
			t.Errorf("%U: %q", []rune(c), it.Hints)
		}
	}
	if it := tool("look", `,"description":"Schaut héllo 日本 😀"`); len(it.Hints) != 0 {
		t.Errorf("%q", it.Hints)
	}
	it, err := Instructions("Be kind.")
	if err != nil || it.Name != "instructions" || string(it.Definition) != `{"instructions":"Be kind."}` {
		t.Errorf("%+v, %v", it, err)
	}
}

func TestErrorsAreFaults(t *testing.T) {
	var f *fault.Error
	if !errors.As(unknownServer(), &f) || f.Kind != fault.NotFound {
		t.Error(f)
	}
}
