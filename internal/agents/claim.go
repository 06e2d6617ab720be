package agents

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxClaimDepth = 8

// claimPath takes the name of a claim apart. One that begins with a slash is a JSON Pointer (RFC 6901) into the claims, for claims that are objects, as
// Kubernetes's kubernetes.io is; any other is the name of a claim as it is, dots and slashes too.
func claimPath(name string) ([]string, bool) {
	pointer, ok := strings.CutPrefix(name, "/")
	if !ok {
		return []string{name}, true
	}
	path := strings.Split(pointer, "/")
	for i, part := range path {
		if bare := strings.ReplaceAll(strings.ReplaceAll(part, "~0", ""), "~1", ""); part == "" || strings.Contains(bare, "~") {
			return nil, false
		}
		path[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return path, len(path) <= maxClaimDepth
}

// claimText is the value of a claim as a pattern is held against it: a text, an integer or a boolean. Lists, objects, null, and what is not there have
// none.
func claimText(claims map[string]jsontext.Value, name string) (string, bool) {
	path, ok := claimPath(name)
	if !ok {
		return "", false
	}
	for _, part := range path[:len(path)-1] {
		inner := map[string]jsontext.Value{}
		if v := claims[part]; v.Kind() != '{' || json.Unmarshal(v, &inner) != nil {
			return "", false
		}
		claims = inner
	}
	v := claims[path[len(path)-1]]
	switch v.Kind() {
	case '"':
		var text string
		err := json.Unmarshal(v, &text)
		return text, err == nil
	case '0':
		return string(v), !strings.ContainsAny(string(v), ".eE")
	case 't', 'f':
		return string(v), true
	}
	return "", false
}
