package catalog

import (
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// Schema checks the arguments of calls of one definition. Safe for concurrent use.
type Schema struct {
	resolved *jsonschema.Resolved // of a tool
	raw      any                  // the same as plain JSON, to count the work
	prompt   map[string]bool      // of a prompt: argument names, true where required
	shape    *policy.Shape
}

// maxWork is how many times schemas may be applied to values in one check.
const maxWork = 200_000

// Check holds arguments, one JSON object in RFC 8785 form, to the schema: JSON Schema 2020-12 or draft-07 for a tool, the declared arguments
// for a prompt. Code: schema.
func (s *Schema) Check(arguments []byte) error {
	var v any
	if err := jose.Decode(arguments, &v, jose.Limits{Bytes: 4 << 20, Depth: 64, Values: 100_000}); err != nil {
		return refuseArguments(err.Error())
	}
	args, ok := v.(map[string]any)
	if !ok {
		return refuseArguments("they are not an object")
	}
	if s.prompt != nil {
		return s.checkPrompt(args)
	}
	w := work{root: s.raw, memo: map[pair]int{}}
	if w.apply(s.raw, args, 0); w.over {
		return refuseArguments("checking them would take too much work")
	}
	if err := s.resolved.Validate(args); err != nil {
		return refuseArguments("they do not fit the tool's input schema")
	}
	return nil
}

func (s *Schema) checkPrompt(args map[string]any) error {
	for name := range args {
		if _, ok := s.prompt[name]; !ok {
			return refuseArguments("the prompt has no such argument")
		}
	}
	for name, required := range s.prompt {
		if _, ok := args[name]; required && !ok {
			return refuseArguments("a required argument is missing")
		}
	}
	return nil
}

func refuseArguments(why string) error {
	return fault.New(fault.Invalid, "schema", "the arguments are refused: %s", why).Try("call it with arguments that fit its definition")
}

// compile reads an input schema. Its errors are for people.
func compile(raw []byte) (*Schema, error) {
	bad := func(why string) error { return fault.New(fault.Invalid, "schema", "%s", why) }
	if raw == nil {
		return nil, bad("there is none")
	}
	var plain any
	if err := jose.Decode(raw, &plain, definitionLimits); err != nil {
		return nil, err
	}
	root, ok := plain.(map[string]any)
	if !ok || root["type"] != "object" {
		return nil, bad(`it is not of type "object"`)
	}
	switch dialect, _ := root["$schema"].(string); dialect {
	case "", "https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#",
		"http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-07/schema", "https://json-schema.org/draft-07/schema#":
	default:
		return nil, bad("its dialect is neither 2020-12 nor draft-07")
	}
	delete(root, "$id") // a name for others; references of ours are pointers within
	if err := vet(root, root, 0); err != nil {
		return nil, err
	}
	clean, err := json.Marshal(root, json.Deterministic(true))
	if err != nil {
		return nil, bad("it is not acceptable JSON")
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(clean, &schema); err != nil {
		return nil, bad("a keyword has a value of the wrong type")
	}
	resolved, err := schema.Resolve(nil) // no loader: nothing is fetched
	if err != nil {
		return nil, bad("a reference or a pattern in it cannot be used")
	}
	return &Schema{resolved: resolved, raw: root}, nil
}

// schemaOf compiles the accepted definition of a tool or prompt.
func schemaOf(t Tool) (*Schema, error) {
	var d definition
	if err := jose.DecodeForeign(t.Definition, &d, definitionLimits); err != nil {
		return nil, err
	}
	shape, err := policy.ShapeOf(t.Definition)
	if err != nil {
		return nil, err
	}
	if t.Kind != KindPrompt {
		s, err := compile(d.InputSchema)
		if err != nil {
			return nil, err
		}
		s.shape = shape
		return s, nil
	}
	s := &Schema{prompt: map[string]bool{}, shape: shape}
	for _, a := range d.Arguments {
		s.prompt[a.Name] = a.Required
	}
	return s, nil
}

// schemas keeps compiled schemas by pin: what a pin names never changes.
type schemas struct {
	mu    sync.Mutex
	byPin map[id.Digest]*Schema
}

const maxSchemas = 2048

func (c *schemas) get(t Tool) (*Schema, error) {
	c.mu.Lock()
	s := c.byPin[t.Pin]
	c.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := schemaOf(t)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byPin == nil || len(c.byPin) >= maxSchemas {
		c.byPin = map[id.Digest]*Schema{} // rare, and cheap to fill again
	}
	c.byPin[t.Pin] = s
	return s, nil
}
