package policy

import (
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestDecodeYAML(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":          {"a: x\nb: [1, 2.5]\nc: {d: true}\n", `{"a":"x","b":[1,2.5],"c":{"d":true}}`},
		"block":          {"a:\n  - b: 1\n    c: \"2\"\n  - e\n", `{"a":[{"b":1,"c":"2"},"e"]}`},
		"comment":        {"# one\na: x # two\n", `{"a":"x"}`},
		"literal":        {"a: |\n  one\n  two\n", `{"a":"one\ntwo\n"}`},
		"a permission":   {"- tool:github:*\n- attorn:*:read\n", `["tool:github:*","attorn:*:read"]`},
		"twice":          {"a: 1\na: 2\n", "syntax 2"},
		"twice below":    {"x:\n  a: 1\n  a: 2\n", "syntax 3"},
		"anchor":         {"a: &x 1\nb: 2\n", "syntax 1"},
		"alias":          {"a: 1\nb: *a\n", "syntax"},
		"tag":            {"a: !!str 1\n", "syntax 1"},
		"merge":          {"a: {b: 1}\nc:\n  <<: {d: 1}\n", "syntax 3"},
		"null":           {"a:\nb: 1\n", "syntax 1"},
		"tilde":          {"a: ~\n", "syntax 1"},
		"two documents":  {"a: 1\n---\nb: 2\n", "syntax 0"},
		"no document":    {"", "syntax 0"},
		"octal":          {"a: 0o17\n", "syntax 1"},
		"leading zero":   {"a: 017\n", "syntax 1"},
		"infinity":       {"a: .inf\n", "syntax 1"},
		"hidden":         {"a: \"x\\u202ey\"\n", "bad_text 1"},
		"number as name": {"1: a\n", "syntax 1"},
		"deep":           {"a: " + strings.Repeat("[", 30) + strings.Repeat("]", 30), "too_complex 1"},
		"deeper":         {"a: " + strings.Repeat("[", 30_000), "too_complex 1"},
		"dashes":         {strings.Repeat("- ", 30_000) + "a", "too_complex 1"},
		"big":            {"a: " + strings.Repeat("x", maxYAML), "too_complex 0"},
		"unfinished":     {"a: [1\n", "syntax"},
		"tab":            {"a:\n\tb: 1\n", "syntax 2"},
	} {
		t.Run(name, func(t *testing.T) {
			var got jsontext.Value
			p := decodeYAML("f.yaml", []byte(c.in), &got)
			if p == nil {
				if string(got) != c.want {
					t.Fatalf("%s", got)
				}
				return
			}
			code, line, _ := strings.Cut(c.want, " ")
			if p.Code != code || line != "" && strconv.Itoa(p.Line) != line {
				t.Fatalf("%s", p)
			}
		})
	}
}

func TestDecodeYAMLIntoAForm(t *testing.T) {
	type form struct {
		Name string   `json:"name"`
		List []string `json:"list"`
	}
	for name, c := range map[string]struct{ in, want string }{
		"known":        {"name: a\nlist: [b]\n", ""},
		"unknown":      {"name: a\nlits: [b]\n", "f.yaml:2:1: error: \"lits\" is not known here (unknown_key)"},
		"another type": {"name: a\nlist:\n  - b\n  - 7\n", "f.yaml:4:5: error: \"1\" has a value of another type than it takes (syntax)"},
	} {
		t.Run(name, func(t *testing.T) {
			var got form
			p := decodeYAML("f.yaml", []byte(c.in), &got)
			if p == nil && c.want != "" || p != nil && p.String() != c.want {
				t.Fatalf("%v", p)
			}
		})
	}
}

func FuzzDecodeYAML(f *testing.F) {
	for _, s := range []string{"a: 1", "- - - a", "? a\n: b", "a: [b, {c: d}]", "%YAML 1.2\n---\na: b\n...", "a: >-\n  b\n\n  c", "\"a\\u0041\": 'b'", "a: &b [*b]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v jsontext.Value
		if p := decodeYAML("f.yaml", text, &v); (p == nil) != v.IsValid() {
			t.Fatalf("%v and %s", p, v)
		}
	})
}
