package catalog

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// MaxDefinition is the largest definition that is taken, in bytes.
const MaxDefinition = 256 << 10

var definitionLimits = jose.Limits{Bytes: MaxDefinition, Depth: 48, Values: 20_000}

// Item is one definition as a server offers it.
type Item struct {
	Kind       Kind
	Name       string
	Definition []byte // RFC 8785 form without icons and _meta
	Pin        id.Digest
	Class      string   // suggested by the annotations
	Hints      []string // what a person should look at before accepting; never decides
	Reason     string   // why it cannot be accepted; "" when it can
}

// Offer is what a server answered when it was asked what it offers.
type Offer struct {
	Era     string // Modern, Legacy or Both
	Items   []Item
	Skipped int // definitions that are no acceptable JSON, or have no name
}

// ReadItem takes one definition. The pin is the SHA-256 of the RFC 8785 form of the definition without icons and _meta, which may change
// freely and are not served. Code: definition_invalid.
func ReadItem(kind Kind, raw []byte) (Item, error) {
	members := map[string]jsontext.Value{}
	if err := jose.Decode(raw, &members, definitionLimits); err != nil {
		return Item{}, invalidDefinition(err)
	}
	delete(members, "icons")
	delete(members, "_meta")
	bare, err := json.Marshal(members, json.Deterministic(true))
	if err == nil {
		bare, err = jose.CanonicalRaw(bare, definitionLimits)
	}
	if err != nil {
		return Item{}, invalidDefinition(err)
	}
	var d definition
	if err := jose.DecodeForeign(bare, &d, definitionLimits); err != nil {
		return Item{}, invalidDefinition(err)
	}
	it := Item{Kind: kind, Name: d.Name, Definition: bare, Pin: id.Sum(bare), Class: suggest(kind, d), Hints: hints(d)}
	if kind == KindInstructions {
		it.Name = string(KindInstructions)
		return it, nil
	}
	if it.Name == "" || !storable(it.Name) {
		return Item{}, fault.New(fault.Invalid, "definition_invalid", "a definition has no name that could be stored")
	}
	it.Reason = refuseName(it.Name)
	if it.Reason == "" && kind == KindTool {
		if _, err := compile(d.InputSchema); err != nil {
			it.Reason = "its input schema cannot be checked: " + err.Error()
		}
	}
	return it, nil
}

// Instructions makes the item of a server's instructions.
func Instructions(text string) (Item, error) {
	raw, err := json.Marshal(map[string]string{"instructions": text})
	if err != nil {
		return Item{}, invalidDefinition(err)
	}
	return ReadItem(KindInstructions, raw)
}

func invalidDefinition(err error) error {
	return fault.Wrap(err, fault.Invalid, "definition_invalid", "a definition is not acceptable: %s", err)
}

// definition is what attorn reads of a tool's or prompt's definition (MCP 2026-07-28, Tool, Prompt).
type definition struct {
	Name        string         `json:"name"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	InputSchema jsontext.Value `json:"inputSchema"`
	Arguments   []struct {
		Name     string `json:"name"`
		Required bool   `json:"required"`
	} `json:"arguments"`
	Annotations struct {
		ReadOnly    *bool `json:"readOnlyHint"`
		Destructive *bool `json:"destructiveHint"`
	} `json:"annotations"`
}

// suggest reads the annotations with their defaults (MCP 2026-07-28, ToolAnnotations): not read-only, destructive.
func suggest(kind Kind, d definition) string {
	a := d.Annotations
	switch {
	case kind != KindTool, a.ReadOnly != nil && *a.ReadOnly:
		return Read
	case a.Destructive != nil && !*a.Destructive:
		return Write
	}
	return Destroy
}

// refuseName says why a name cannot be part of a permission: its last segment is the name, a slash there marks what is no tool.
func refuseName(name string) string {
	if len(name) > 128 {
		return "its name is over 128 bytes"
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.@", c) >= 0) {
			return "its name has other characters than letters, digits and -_.@"
		}
	}
	return ""
}

// storable reports whether both engines store a name: PostgreSQL takes no U+0000, nothing but UTF-8, and no more than 2,704 bytes in an index.
func storable(name string) bool {
	return len(name) <= 1<<10 && utf8.ValidString(name) && !strings.ContainsRune(name, 0)
}

// hints are for the person who accepts; they inform and never decide.
func hints(d definition) []string {
	var out []string
	texts := d.Name + d.Title + d.Description + string(d.InputSchema)
	if strings.ContainsFunc(texts, func(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Co) || r == '\u2800' || r == '\u3164' }) {
		out = append(out, "has invisible or direction-changing characters in its text")
	}
	if a := d.Annotations.ReadOnly; a != nil && *a {
		words := strings.FieldsFunc(strings.ToLower(d.Name), func(r rune) bool { return !unicode.IsLetter(r) })
		if slices.ContainsFunc(words, func(w string) bool { return changing[w] }) {
			out = append(out, "says that it only reads, but its name says otherwise")
		}
	}
	return out
}

var changing = maps.Collect(func(yield func(string, bool) bool) {
	for _, w := range strings.Fields("write delete remove create update edit move drop send set put post insert kill run exec deploy") {
		if !yield(w, true) {
			return
		}
	}
})
