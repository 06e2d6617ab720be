package gateway

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/jose"
)

// Keys of _meta (MCP 2026-07-28, basic/index "_meta").
const (
	metaPrefix       = "io.modelcontextprotocol/"
	metaVersion      = metaPrefix + "protocolVersion"
	metaCapabilities = metaPrefix + "clientCapabilities"
)

// requestMeta is what remains of a request's _meta. No digest covers it, so only what the protocol itself defines passes (rule meta).
type requestMeta struct {
	Version      string
	Progress     jsontext.Value // the client's progress token, or nil; upstreams get one of ours
	Capabilities clientFeatures
	pass         []member // sorted by name, without the three above
}

type member struct {
	name  string
	value jsontext.Value
}

// clientFeatures is what a client said that it can do, as far as the gateway lets upstreams know: elicitation. Sampling and roots are cut.
type clientFeatures struct {
	Form bool // elicitation in form mode
	URL  bool // elicitation in URL mode
}

// capabilities are read as others' format: clients may declare more, which is not passed on.
type capabilities struct {
	Elicitation *struct {
		Form jsontext.Value `json:"form"`
		URL  jsontext.Value `json:"url"`
	} `json:"elicitation"`
}

// features reads a capabilities object. An empty elicitation object means form mode (MCP 2026-07-28, client/elicitation "Capabilities").
func features(raw jsontext.Value) (clientFeatures, *rpcError) {
	var c capabilities
	if raw.Kind() != '{' {
		return clientFeatures{}, broken("meta", codeParams, "client capabilities must be an object")
	}
	if err := foreign(raw, &c); err != nil {
		return clientFeatures{}, broken("meta", codeParams, "client capabilities: "+reasonOf(err))
	}
	if c.Elicitation == nil {
		return clientFeatures{}, nil
	}
	f := clientFeatures{Form: c.Elicitation.Form.Kind() == '{', URL: c.Elicitation.URL.Kind() == '{'}
	if c.Elicitation.Form == nil && c.Elicitation.URL == nil {
		f.Form = true
	}
	return f, nil
}

// encode is the capabilities object that an upstream gets.
func (f clientFeatures) encode() jsontext.Value {
	switch {
	case f.Form && f.URL:
		return jsontext.Value(`{"elicitation":{"form":{},"url":{}}}`)
	case f.Form:
		return jsontext.Value(`{"elicitation":{"form":{}}}`)
	case f.URL:
		return jsontext.Value(`{"elicitation":{"url":{}}}`)
	}
	return jsontext.Value(`{}`)
}

// decodeMeta reads _meta; a modern one must have version and capabilities. The version is checked by whoever knows which are served.
func decodeMeta(raw jsontext.Value, revision string) (requestMeta, *rpcError) {
	var m requestMeta
	members := map[string]jsontext.Value{}
	if raw != nil {
		if raw.Kind() != '{' {
			return m, broken("meta", codeParams, "_meta must be an object")
		}
		if err := jose.Decode(raw, &members, jose.Limits{Bytes: maxBody, Depth: maxDepth, Values: maxValues}); err != nil {
			return m, broken("meta", codeParams, "_meta: "+reasonOf(err))
		}
	}
	if token, ok := members["progressToken"]; ok {
		if m.Progress = decodeID(token); m.Progress == nil {
			return m, broken("size", codeRequest, "progressToken must be a string or an integer, at most 128 bytes")
		}
	}
	if revision != modern {
		return m, nil // 2025-11-25 defines no other key that a request of ours may carry
	}
	var ok bool
	if m.Version, ok = decodeString(members[metaVersion]); !ok {
		return m, broken("meta", codeParams, "_meta lacks "+metaVersion)
	}
	var bad *rpcError
	if m.Capabilities, bad = features(members[metaCapabilities]); bad != nil {
		return m, broken("meta", codeParams, "_meta lacks "+metaCapabilities+" or it is not an object")
	}
	for name, value := range members {
		reserved := strings.HasPrefix(name, metaPrefix) && name != metaVersion && name != metaCapabilities
		if reserved || name == "traceparent" || name == "tracestate" {
			m.pass = append(m.pass, member{name, value})
		}
	}
	slices.SortFunc(m.pass, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return m, nil
}
