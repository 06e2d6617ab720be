package policy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The bounds of a YAML file of a bundle.
const (
	maxYAML      = 64 << 10 // bytes
	maxYAMLDepth = 16       // lists and mappings inside one another
)

// DecodeYAML reads a text that people write as files of bundles are written (see ParseType), strictly, into what into points at.
func DecodeYAML(name string, text []byte, into any) []Problem {
	if p := decodeYAML(name, text, into); p != nil {
		return []Problem{*p}
	}
	return nil
}

// decodeYAML reads the one document of a file of a bundle into what into points at, by way of JSON: plain texts, numbers, true and false, lists and mappings.
// What YAML has beyond them (anchors, aliases, tags, merged keys, further documents, empty values) is refused, as is a name that is there twice or that into does
// not know; so a file says the same to a person and to every reader of YAML. Codes: too_complex, bad_text, syntax.
func decodeYAML(path string, text []byte, into any) *Problem {
	_, p := decodeYAMLAt(path, text, into)
	return p
}

// decodeYAMLAt is decodeYAML, and says where each name and value stands.
func decodeYAMLAt(path string, text []byte, into any) (map[jsontext.Pointer]spot, *Problem) {
	d := yamlFile{path: path, at: map[jsontext.Pointer]spot{}}
	return d.at, d.decode(text, into)
}

func (d *yamlFile) decode(text []byte, into any) *Problem {
	if p := d.admit(text); p != nil {
		return p
	}
	file, err := parser.ParseBytes(text, 0)
	var wrong *yaml.SyntaxError
	switch {
	case errors.As(err, &wrong) && wrong.Token != nil && wrong.Token.Position != nil:
		return d.bad(wrong.Token.Position.Line, wrong.Token.Position.Column, "syntax", strings.ToValidUTF8(strings.ReplaceAll(wrong.Message, "\n", " "), "�"))
	case err != nil:
		return d.bad(0, 0, "syntax", "this is not YAML")
	case len(file.Docs) != 1 || file.Docs[0].Body == nil:
		return d.bad(0, 0, "syntax", "a file holds one document")
	}
	if p := d.value("", file.Docs[0].Body, 0); p != nil {
		return p
	}
	err = json.Unmarshal(d.out.Bytes(), into, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		at := d.at[semantic.JSONPointer]
		name := semantic.JSONPointer.LastToken()
		switch {
		case errors.Is(err, json.ErrUnknownName):
			return d.bad(at.line, at.col, "unknown_key", fmt.Sprintf("%q is not known here", name))
		case semantic.Err != nil && semantic.JSONValue == nil:
			return d.bad(at.line, at.col, "syntax", semantic.Err.Error())
		}
		return d.bad(at.line, at.col, "syntax", fmt.Sprintf("%q has a value of another type than it takes", name))
	} else if err != nil {
		return d.bad(0, 0, "syntax", err.Error())
	}
	return nil
}

type spot struct{ line, col int }

// yamlFile is a file on its way to JSON.
type yamlFile struct {
	path string
	out  bytes.Buffer
	at   map[jsontext.Pointer]spot // where each value stands in the file
}

func (d *yamlFile) bad(line, col int, code, message string) *Problem {
	return &Problem{File: d.path, Line: line, Col: col, Code: code, Message: message, Severity: SeverityError}
}

// admit refuses what could make the parser recurse or work without bound, before it sees it.
func (d *yamlFile) admit(text []byte) *Problem {
	if len(text) > maxYAML {
		return d.bad(0, 0, "too_complex", fmt.Sprintf("the file has more than %d bytes", maxYAML))
	}
	if off, what := badText(string(text)); off >= 0 {
		at := scanner{src: string(text), line: 1, col: 1}
		at.step(off)
		return d.bad(at.line, at.col, "bad_text", "the text holds "+what)
	}
	for n, line := range bytes.Split(text, []byte("\n")) {
		depth, inline := 0, 0
		for i, c := range line {
			switch c {
			case '[', '{':
				depth++
			case '-', '?':
				if i+1 == len(line) || line[i+1] == ' ' {
					inline++
				}
			case ' ':
				if i > 200 && len(bytes.TrimLeft(line[:i], " ")) == 0 {
					return d.bad(n+1, i, "too_complex", "this line is indented by more than 200")
				}
			case '\t':
				if len(bytes.TrimLeft(line[:i], " ")) == 0 {
					return d.bad(n+1, i+1, "syntax", "a line is indented with spaces")
				}
			}
		}
		if depth > 64 || inline > 64 {
			return d.bad(n+1, 1, "too_complex", "this line holds too many lists and mappings inside one another")
		}
	}
	return nil
}

// value writes a node as JSON.
func (d *yamlFile) value(at jsontext.Pointer, n ast.Node, depth int) *Problem {
	where := spot{}
	if t := n.GetToken(); t != nil && t.Position != nil {
		where = spot{t.Position.Line, t.Position.Column}
	}
	if _, known := d.at[at]; !known {
		d.at[at] = where
	}
	if depth > maxYAMLDepth {
		return d.bad(where.line, where.col, "too_complex", fmt.Sprintf("lists and mappings more than %d deep", maxYAMLDepth))
	}
	switch n := n.(type) {
	case *ast.StringNode:
		return d.text(where, n.Value)
	case *ast.LiteralNode:
		return d.text(where, n.Value.Value)
	case *ast.BoolNode:
		d.out.WriteString(strconv.FormatBool(n.Value))
	case *ast.IntegerNode, *ast.FloatNode:
		return d.number(where, n.GetToken().Value)
	case *ast.SequenceNode:
		d.out.WriteByte('[')
		for i, v := range n.Values {
			if i > 0 {
				d.out.WriteByte(',')
			}
			if p := d.value(at.AppendToken(strconv.Itoa(i)), v, depth+1); p != nil {
				return p
			}
		}
		d.out.WriteByte(']')
	case *ast.MappingValueNode:
		return d.mapping(at, []*ast.MappingValueNode{n}, depth)
	case *ast.MappingNode:
		return d.mapping(at, n.Values, depth)
	case *ast.NullNode:
		return d.bad(where.line, where.col, "syntax", "there is no value; leave the key out")
	default:
		return d.bad(where.line, where.col, "syntax", "only texts, numbers, true, false, lists and mappings are understood: no anchors, aliases or tags")
	}
	return nil
}

func (d *yamlFile) text(where spot, s string) *Problem {
	if _, what := badText(s); what != "" {
		return d.bad(where.line, where.col, "bad_text", "the text holds "+what)
	}
	quoted, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return d.bad(where.line, where.col, "bad_text", "the text is not UTF-8")
	}
	d.out.Write(quoted)
	return nil
}

// number takes what JSON and YAML read alike.
func (d *yamlFile) number(where spot, s string) *Problem {
	if v := jsontext.Value(s); v.IsValid() && v.Kind() == '0' {
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) {
			d.out.WriteString(s)
			return nil
		}
	}
	return d.bad(where.line, where.col, "syntax", "a number is written as in JSON; put quotation marks around a text")
}

func (d *yamlFile) mapping(at jsontext.Pointer, members []*ast.MappingValueNode, depth int) *Problem {
	d.out.WriteByte('{')
	for i, m := range members {
		key, ok := m.Key.(*ast.StringNode)
		if !ok {
			return d.bad(m.Key.GetToken().Position.Line, m.Key.GetToken().Position.Column, "syntax", "a name is a text; put quotation marks around it")
		}
		where := spot{key.GetToken().Position.Line, key.GetToken().Position.Column}
		below := at.AppendToken(key.Value)
		if _, again := d.at[below]; again {
			return d.bad(where.line, where.col, "syntax", fmt.Sprintf("%q is there already", key.Value))
		}
		d.at[below] = where
		if i > 0 {
			d.out.WriteByte(',')
		}
		if p := d.text(where, key.Value); p != nil {
			return p
		}
		d.out.WriteByte(':')
		if p := d.value(below, m.Value, depth+1); p != nil {
			return p
		}
	}
	d.out.WriteByte('}')
	return nil
}
