package catalog

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/attorn/attorn/fault"
)

// Keywords by what their schemas apply to: the same value, its members, its elements.
var (
	inPlaceLists = []string{"allOf", "anyOf", "oneOf"}
	inPlaceOnes  = []string{"not", "if", "then", "else"}
	inPlaceMaps  = []string{"dependentSchemas", "dependencies"}
	memberOnes   = []string{"additionalProperties", "unevaluatedProperties", "propertyNames"}
	elementOnes  = []string{"items", "additionalItems", "contains", "unevaluatedItems"}
	definedMaps  = []string{"properties", "patternProperties", "$defs", "definitions"}
	refused      = []string{"$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor", "$id", "$vocabulary"}
	keywords     = slices.Concat(inPlaceLists, inPlaceOnes, inPlaceMaps, memberOnes, elementOnes, definedMaps, refused, []string{"$ref", "prefixItems", "$schema", "type"})
)

// vet walks every schema and refuses what cannot be bounded or would leave the document: references that are no pointer within, names that
// make other references, keywords in another case (which some readers take for the keyword), more than 32 levels.
func vet(root, schema any, depth int) error {
	bad := func(why string) error { return fault.New(fault.Invalid, "schema", "%s", why) }
	s, ok := schema.(map[string]any)
	if _, boolean := schema.(bool); boolean {
		return nil
	}
	if !ok || depth > 32 {
		return bad("it holds something that is no schema, or is nested too deep")
	}
	for name := range s {
		if slices.Contains(refused, name) || (!slices.Contains(keywords, name) && slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, name) })) {
			return bad("the keyword " + strconv.Quote(name) + " is not supported")
		}
	}
	if ref, has := s["$ref"]; has {
		if _, ok := follow(root, ref); !ok {
			return bad("a $ref does not point into the schema itself")
		}
	}
	for _, child := range children(s) {
		if err := vet(root, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// children are all schemas right inside s.
func children(s map[string]any) []any {
	var out []any
	for _, k := range append(slices.Clone(inPlaceLists), "prefixItems") {
		list, _ := s[k].([]any)
		out = append(out, list...)
	}
	for _, k := range slices.Concat(inPlaceMaps, definedMaps) {
		object, _ := s[k].(map[string]any)
		for _, v := range object {
			if _, names := v.([]any); names && k == "dependencies" {
				continue // draft-07: names that must be there too
			}
			out = append(out, v)
		}
	}
	for _, k := range slices.Concat(inPlaceOnes, memberOnes, elementOnes) {
		switch v := s[k].(type) {
		case nil:
		case []any: // draft-07: items by position
			out = append(out, v...)
		default:
			out = append(out, v)
		}
	}
	return out
}

// follow resolves a $ref that is a JSON pointer into root (RFC 6901 §6).
func follow(root, ref any) (any, bool) {
	text, ok := ref.(string)
	if !ok || !strings.HasPrefix(text, "#") || strings.ContainsRune(text, '%') {
		return nil, false
	}
	if text == "#" {
		return root, true
	}
	if !strings.HasPrefix(text, "#/") {
		return nil, false
	}
	at := root
	for step := range strings.SplitSeq(text[2:], "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch v := at.(type) {
		case map[string]any:
			at, ok = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if ok = err == nil && i >= 0 && i < len(v) && strconv.Itoa(i) == step; ok {
				at = v[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	_, object := at.(map[string]any)
	_, boolean := at.(bool)
	return at, object || boolean
}

// work counts, from above, how many times schemas would be applied to values: without it, two references per level to the level below take
// 2^depth steps. Each pair of schema and value is counted once and remembered.
type work struct {
	root any
	memo map[pair]int
	over bool
}

type pair struct{ schema, value any }

// apply is the number of applications for schema on value; a schema that applies itself to the same value is over at once.
func (w *work) apply(schema, value any, depth int) int {
	s, ok := schema.(map[string]any)
	if !ok || w.over {
		return 0
	}
	key := pair{identity(s), identity(value)}
	if n, seen := w.memo[key]; seen {
		w.over = w.over || n == 0 // in progress: it applies itself
		return n
	}
	if len(w.memo) > maxWork || depth > 4096 {
		w.over = true
		return 1
	}
	w.memo[key] = 0
	n := 1 + ownWork(s, value)
	add := func(schema, value any) {
		if n += w.apply(schema, value, depth+1); n > maxWork {
			w.over = true
		}
	}
	if ref, has := s["$ref"]; has {
		target, _ := follow(w.root, ref)
		add(target, value)
	}
	for _, k := range inPlaceLists {
		list, _ := s[k].([]any)
		for _, v := range list {
			add(v, value)
		}
	}
	for _, k := range inPlaceOnes {
		add(s[k], value)
	}
	for _, k := range inPlaceMaps {
		object, _ := s[k].(map[string]any)
		for _, v := range object {
			add(v, value)
		}
	}
	if n += w.below(s, value, add); n > maxWork {
		w.over = true
	}
	w.memo[key] = n
	return n
}

// ownWork weighs keywords whose cost is not constant.
func ownWork(s map[string]any, value any) int {
	n := 0
	if list, ok := s["enum"].([]any); ok {
		n += len(list)
	}
	if text, ok := value.(string); ok && s["pattern"] != nil {
		n += len(text) / 256
	}
	return n
}

// below applies what s says of a value's members or elements, and counts the walk over them.
func (w *work) below(s map[string]any, value any, add func(schema, value any)) (walked int) {
	switch v := value.(type) {
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			if m, ok := v[name]; ok {
				add(p, m)
			}
		}
		every := has(s, memberOnes)
		if patterns, ok := s["patternProperties"].(map[string]any); ok {
			every = append(every, slices.Collect(maps.Values(patterns))...)
		}
		if walked = len(every) * (len(v)/8 + 1); walked > maxWork {
			return walked
		}
		for _, e := range every {
			for _, m := range v {
				add(e, m)
			}
		}
	case []any:
		for _, e := range has(s, append(slices.Clone(elementOnes), "prefixItems")) {
			walked += len(v) / 8
			list, byPosition := e.([]any)
			for i, m := range v {
				if w.over {
					return walked
				}
				if !byPosition {
					add(e, m)
				} else if i < len(list) {
					add(list[i], m)
				}
			}
		}
	}
	return walked
}

// has are the values of those of the keywords that s has.
func has(s map[string]any, keywords []string) (values []any) {
	for _, k := range keywords {
		if v, ok := s[k]; ok {
			values = append(values, v)
		}
	}
	return values
}

// identity tells values apart: containers by where they are, strings by their length, the rest together, since nothing lies below them.
func identity(v any) any {
	switch t := v.(type) {
	case string:
		return len(t)
	case map[string]any:
		return reflect.ValueOf(v).Pointer()
	case []any:
		r := reflect.ValueOf(v)
		return [2]uintptr{r.Pointer(), uintptr(r.Len())}
	}
	return nil
}
