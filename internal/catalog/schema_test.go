package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func TestSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		schema   string
		good     []string
		bad      []string
		unusable bool
	}{
		"empty":         {schema: `{"type":"object"}`, good: []string{`{}`, `{"a":1}`}, bad: []string{`[]`, `"x"`}},
		"types":         {schema: `{"type":"object","properties":{"n":{"type":"integer","minimum":1},"s":{"type":"string","maxLength":3}},"required":["n"],"additionalProperties":false}`, good: []string{`{"n":1}`, `{"n":2,"s":"abc"}`}, bad: []string{`{}`, `{"n":0}`, `{"n":1.5}`, `{"n":"1"}`, `{"n":1,"s":"abcd"}`, `{"n":1,"x":1}`, `{"N":1}`}},
		"enum":          {schema: `{"type":"object","properties":{"e":{"enum":["a",1,null,{"x":[1]}]}}}`, good: []string{`{"e":"a"}`, `{"e":1}`, `{"e":null}`, `{"e":{"x":[1]}}`}, bad: []string{`{"e":"b"}`, `{"e":{"x":[2]}}`}},
		"combination":   {schema: `{"type":"object","oneOf":[{"required":["a"]},{"required":["b"]}]}`, good: []string{`{"a":1}`}, bad: []string{`{}`, `{"a":1,"b":1}`}},
		"reference":     {schema: `{"type":"object","properties":{"t":{"$ref":"#/$defs/tree"}},"$defs":{"tree":{"type":"object","properties":{"l":{"$ref":"#/$defs/tree"},"v":{"type":"integer"}}}}}`, good: []string{`{"t":{"l":{"l":{"v":1}}}}`}, bad: []string{`{"t":{"l":{"l":{"v":"x"}}}}`}},
		"draft-07":      {schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","definitions":{"a":{"type":"string"}},"properties":{"x":{"$ref":"#/definitions/a"},"l":{"items":[{"type":"string"}],"additionalItems":false}},"dependencies":{"x":["y"]}}`, good: []string{`{"x":"a","y":1}`, `{"l":["a"]}`}, bad: []string{`{"x":1,"y":1}`, `{"x":"a"}`, `{"l":["a","b"]}`}},
		"pattern":       {schema: `{"type":"object","properties":{"s":{"pattern":"^a+$"}}}`, good: []string{`{"s":"aa"}`}, bad: []string{`{"s":"b"}`}},
		"an $id":        {schema: `{"$id":"https://example.com/x","type":"object","properties":{"a":{"$ref":"#/$defs/s"}},"$defs":{"s":{"type":"string"}}}`, good: []string{`{"a":"x"}`}, bad: []string{`{"a":1}`}},
		"list":          {schema: `{"type":"array"}`, unusable: true},
		"no type":       {schema: `{}`, unusable: true},
		"a boolean":     {schema: `true`, unusable: true},
		"remote":        {schema: `{"type":"object","properties":{"a":{"$ref":"https://example.com/schema.json"}}}`, unusable: true},
		"file":          {schema: `{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`, unusable: true},
		"dangling":      {schema: `{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}`, unusable: true},
		"inner $id":     {schema: `{"type":"object","properties":{"a":{"$id":"https://example.com/","type":"string"}}}`, unusable: true},
		"anchor":        {schema: `{"type":"object","$defs":{"a":{"$anchor":"x"}}}`, unusable: true},
		"dynamic":       {schema: `{"type":"object","properties":{"a":{"$dynamicRef":"#x"}}}`, unusable: true},
		"other case":    {schema: `{"type":"object","properties":{"a":{"$Ref":"#/x"}}}`, unusable: true},
		"look-behind":   {schema: `{"type":"object","properties":{"a":{"pattern":"(?<=a)b"}}}`, unusable: true},
		"draft-04":      {schema: `{"$schema":"http://json-schema.org/draft-04/schema#","type":"object"}`, unusable: true},
		"wrong keyword": {schema: `{"type":"object","required":"a"}`, unusable: true},
		"deep":          {schema: `{"type":"object","not":` + strings.Repeat(`{"not":`, 33) + `{}` + strings.Repeat(`}`, 34), unusable: true},
	} {
		s, err := compile([]byte(c.schema))
		if (err != nil) != c.unusable {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, in := range c.good {
			if err := s.Check([]byte(in)); err != nil {
				t.Errorf("%s: %s: %v", name, in, err)
			}
		}
		for _, in := range c.bad {
			if err := s.Check([]byte(in)); fault.Code(err) != "schema" {
				t.Errorf("%s: %s passes (%v)", name, in, err)
			}
		}
	}
	if _, err := compile(nil); err == nil {
		t.Error("no schema is a schema")
	}
}

// TestWorkIsBounded: schemas that take exponential work, or go round in a circle, end in a refusal, and soon.
func TestWorkIsBounded(t *testing.T) {
	var doubling strings.Builder
	doubling.WriteString(`{"type":"object","properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{`)
	for i := range 30 {
		fmt.Fprintf(&doubling, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	doubling.WriteString(`"d30":{}}}`)
	for name, c := range map[string]struct{ schema, in string }{
		"twice per level of the schema":   {doubling.String(), `{"x":1}`},
		"twice per level of the value":    {`{"type":"object","allOf":[{"properties":{"x":{"$ref":"#"}}},{"properties":{"x":{"$ref":"#"}}}]}`, strings.Repeat(`{"x":`, 40) + `{}` + strings.Repeat(`}`, 40)},
		"a circle":                        {`{"type":"object","$ref":"#"}`, `{}`},
		"a wider circle":                  {`{"type":"object","anyOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#/$defs/b"}},"b":{"$ref":"#/$defs/a"}}}`, `{}`},
		"a long enumeration of long list": {`{"type":"object","properties":{"l":{"items":{"enum":[` + strings.Repeat(`"x",`, 2000) + `"y"]}}}}`, `{"l":[` + strings.Repeat(`"a",`, 5000) + `"y"]}`},
		"many schemas on a long object":   {`{"type":"object","properties":{"o":{"allOf":[` + strings.Repeat(`{"additionalProperties":true},`, 4000) + `{}]}}}`, `{"o":{` + longObject() + `}}`},
		"patterns on a long text":         {`{"type":"object","properties":{"s":{"anyOf":[` + strings.Repeat(`{"pattern":"(a*)*b"},`, 500) + `{"pattern":"c"}]}}}`, `{"s":"` + strings.Repeat("a", 1<<20) + `"}`},
	} {
		s, err := compile([]byte(c.schema))
		if err != nil {
			continue // refused as a whole is fine
		}
		began := time.Now()
		if err := s.Check([]byte(c.in)); fault.Code(err) != "schema" {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
	s, err := compile([]byte(`{"type":"object","properties":{"l":{"items":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check([]byte(`{"l":[` + strings.Repeat(`{"a":"x"},`, 20_000) + `{"a":"y"}]}`)); err != nil {
		t.Errorf("an ordinary long list is refused: %v", err)
	}
}

func longObject() string {
	var b strings.Builder
	for i := range 90_000 {
		fmt.Fprintf(&b, `"k%d":1,`, i)
	}
	return b.String() + `"z":1`
}

func TestSchemasAreKeptByPin(t *testing.T) {
	var c schemas
	for i := range maxSchemas + 10 {
		def := fmt.Sprintf(`{"name":"a","inputSchema":{"type":"object","maxProperties":%d}}`, i)
		tool := Tool{Kind: KindTool, Definition: []byte(def), Pin: id.Sum([]byte(def))}
		a, err := c.get(tool)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := c.get(tool); b != a {
			t.Fatal("compiled again")
		}
		if len(c.byPin) > maxSchemas {
			t.Fatalf("%d are kept", len(c.byPin))
		}
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`, `{"n":1}`)
	f.Add(`{"type":"object","allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"items":{"enum":[1]}}}}`, `{"a":[1]}`)
	f.Add(`{"type":"object","$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"]},"items":[true]}`, `{"a":[]}`)
	f.Fuzz(func(t *testing.T, schema, in string) {
		it, err := ReadItem(KindTool, []byte(`{"name":"a","inputSchema":`+schema+`}`))
		if err != nil || it.Reason != "" {
			return
		}
		s, err := compile([]byte(schema))
		if err != nil {
			t.Fatalf("%q was accepted and does not compile: %v", schema, err)
		}
		canonical, err := jose.CanonicalRaw([]byte(in), jose.Limits{})
		if err != nil {
			return
		}
		if err := s.Check(canonical); err != nil && fault.Code(err) != "schema" {
			t.Fatalf("%q on %q: %v", schema, in, err)
		}
	})
}
