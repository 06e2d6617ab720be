package server

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/attorn/attorn/fault"
)

// node is a value of the configuration file: a text, a list or a mapping.
type node struct {
	line    int
	text    *string
	list    []node
	members []member // of a mapping, in the order of the file
	is      string   // "a value", "a list", "a mapping"
}

type member struct {
	name  string
	line  int
	value node
}

const maxConfigFile = 1 << 20 // bytes

// readYAML reads the one document of a configuration file. What YAML has beyond texts, lists and mappings (anchors, aliases, tags, merged
// keys, names that are no texts) is refused, and so is a name that appears twice. Code: config_file.
func readYAML(name string, text []byte) (node, error) {
	if len(text) > maxConfigFile {
		return node{}, fault.New(fault.TooLarge, "config_file", "%s is over %d bytes", name, maxConfigFile)
	}
	file, err := parser.ParseBytes(text, 0)
	var wrong *yaml.SyntaxError
	if errors.As(err, &wrong) && wrong.Token != nil {
		return node{}, badLine(name, wrong.Token.Position.Line, wrong.Message)
	} else if err != nil {
		return node{}, fault.New(fault.Invalid, "config_file", "%s is not YAML", name)
	}
	if len(file.Docs) > 1 {
		return node{}, fault.New(fault.Invalid, "config_file", "%s holds more than one document", name)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return node{is: "a mapping"}, nil
	}
	return plain(name, file.Docs[0].Body)
}

func badLine(name string, line int, why string) *fault.Error {
	return fault.New(fault.Invalid, "config_file", "%s, line %d: %s", name, line, strings.ReplaceAll(why, "\n", " "))
}

// plain is a node of the library's as one of ours.
func plain(name string, in ast.Node) (node, error) {
	out := node{line: lineOf(in), is: "a value"}
	switch in := in.(type) {
	case *ast.StringNode:
		out.text = &in.Value
	case *ast.LiteralNode:
		out.text = &in.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text := in.GetToken().Value // as it is written: what it is meant to be, its key knows
		out.text = &text
	case *ast.SequenceNode:
		out.is = "a list"
		for _, v := range in.Values {
			item, err := plain(name, v)
			if err != nil {
				return out, err
			}
			out.list = append(out.list, item)
		}
	case *ast.MappingValueNode:
		out.is = "a mapping"
		return out, out.add(name, in)
	case *ast.MappingNode:
		out.is = "a mapping"
		for _, v := range in.Values {
			if err := out.add(name, v); err != nil {
				return out, err
			}
		}
	case *ast.NullNode:
		return out, badLine(name, out.line, "there is no value")
	default:
		return out, badLine(name, out.line, "only texts, lists and mappings are understood, no anchors, aliases and tags")
	}
	return out, nil
}

func (n *node) add(name string, in *ast.MappingValueNode) error {
	key, ok := in.Key.(*ast.StringNode)
	if !ok {
		return badLine(name, lineOf(in.Key), "a name is a text")
	}
	for _, m := range n.members {
		if m.name == key.Value {
			return badLine(name, lineOf(key), key.Value+" is there already, on line "+number(m.line))
		}
	}
	value, err := plain(name, in.Value)
	n.members = append(n.members, member{key.Value, lineOf(key), value})
	return err
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}
