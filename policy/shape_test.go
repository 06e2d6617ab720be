package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

func TestShapeOf(t *testing.T) {
	for name, c := range map[string]struct {
		definition, want, left string
	}{
		"types":        {`{"inputSchema":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"boolean"},"d":{"type":"number"}},"required":["a","d"]}}`, `{ "a": Long, "b"?: String, "c"?: Bool, "d"?: decimal }`, ""},
		"nested":       {`{"inputSchema":{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"array","items":{"type":"string"}}},"required":["b"]}},"required":["a"]}}`, `{ "a": { "b": Set<String> } }`, ""},
		"names":        {`{"inputSchema":{"type":"object","properties":{"a b\"":{"type":"string"}}}}`, `{ "a b\""?: String }`, ""},
		"prompt":       {`{"name":"p","arguments":[{"name":"to","required":true},{"name":"cc"}]}`, `{ "cc"?: String, "to": String }`, ""},
		"no arguments": {`{"name":"p"}`, `{ }`, ""},
		"left out":     {`{"inputSchema":{"type":"object","properties":{"u":{"type":["integer","string"]},"m":{"type":"object"},"o":{"type":"object","properties":{"x":{}}},"e":{"enum":[1,2]}}}}`, `{ "o"?: { } }`, "e m o.x u"},
		"root by ref":  {`{"inputSchema":{"type":"object","$ref":"#/$defs/R","$defs":{"R":{"type":"object","properties":{"a":{"type":"string"}}}}}}`, `{ "a"?: String }`, ""},
		"choice":       {`{"inputSchema":{"type":"object","properties":{"a":{"oneOf":[{"type":"integer"},{"type":"string"}]}}}}`, `{ }`, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := policy.ShapeOf([]byte(c.definition))
			if err != nil {
				t.Fatal(err)
			}
			if s.String() != c.want || strings.Join(s.LeftOut(), " ") != c.left {
				t.Errorf("%s, left out %q", s, s.LeftOut())
			}
		})
	}
	for name, text := range map[string]string{
		"no JSON": `{`, "no object": `{"inputSchema":{"type":"string"}}`, "no schema": `{"inputSchema":7}`, "twice": `{"inputSchema":{"type":"object"},"inputSchema":{"type":"object"}}`,
	} {
		if s, err := policy.ShapeOf([]byte(text)); err == nil || fault.Code(err) == "" {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

// A schema whose references multiply has a shape of bounded size.
func TestShapeIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"inputSchema":{"type":"object","$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{`)
	for i := range 30 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"p` + string(rune('a'+i%26)) + string(rune('a'+i/26)) + `":{"$ref":"#/$defs/A"}`)
	}
	b.WriteString(`}}}}}`)
	s, err := policy.ShapeOf([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.String()); n > 1<<20 || !slices.IsSorted(s.LeftOut()) {
		t.Errorf("%d bytes", n)
	}
}

func FuzzShapeOf(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"type":["integer","null"]},"b":{"$ref":"#/properties/a"}},"required":["a"]}`), []byte(`{"a":1,"b":2}`))
	f.Add([]byte(`{"type":"object","properties":{"a":{"type":"array","items":{"anyOf":[{"type":"null"},{"enum":["x"]}]}}}}`), []byte(`{"a":["x"]}`))
	f.Fuzz(func(t *testing.T, schema, args []byte) {
		s, err := policy.ShapeOf(append(append([]byte(`{"inputSchema":`), schema...), '}'))
		if err != nil {
			return
		}
		for _, open := range []bool{false, true} {
			if _, err := policy.Project(s, args, open); err != nil && fault.Code(err) == "" {
				t.Fatal(err)
			}
		}
	})
}
