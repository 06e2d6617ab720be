package api

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// PolicySchema is what policies of a workspace can be about, a page of it: the lists of roles and acts are in the first one.
type PolicySchema struct {
	Tools []PolicyTool `json:"tools"` // by action
	Roles []PolicyRole `json:"roles"`
	Acts  []string     `json:"acts"` // attorn's own
	Next  string       `json:"next,omitempty"`
}

// PolicyTool is a tool, prompt or the reading of resources of an MCP server, as people accepted it.
type PolicyTool struct {
	Action     string         `json:"action"`
	Class      string         `json:"class"`
	Definition jsontext.Value `json:"definition,omitzero"` // absent for reading resources
}

// PolicyRole is a role that somebody holds.
type PolicyRole struct {
	Role   string `json:"role"`
	People int    `json:"people"` // who hold it, also through groups
}

// Acts lists, sorted, the permissions of attorn's own acts: those of the routes, and those that a route takes besides.
func Acts() []string {
	all := []string{
		"attorn:agent:propose", "attorn:agent:tag", "attorn:challenge:answer", "attorn:challenge:ask", "attorn:decision:assert", "attorn:device:ask", "attorn:device:confirm", "attorn:device:deny",
		"attorn:owner:accept", "attorn:owner:assign", "attorn:policy:replay", "attorn:role:escalate", "attorn:server:run", "attorn:session:end", "attorn:session:use", "attorn:workspace:read",
	}
	for _, r := range routes {
		if r.Permission != "" {
			all = append(all, r.Permission)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
