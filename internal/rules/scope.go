package rules

import (
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

// maxScope is the length of a scope, in bytes.
const maxScope = 300

// CheckScope holds a scope to its form: "" for the whole workspace, "server:<name>", "tool:<server>:<tool>", "environment:<name>", or "<Type>:<id>" of a
// resource that a service has registered. That it exists is not asked: a role may be bound before what it is for is there. Code: scope_invalid.
func CheckScope(scope string) error {
	if scope == "" {
		return nil
	}
	kind, rest, ok := strings.Cut(scope, ":")
	ok = ok && rest != "" && len(scope) <= maxScope && printable(rest)
	switch kind {
	case "server", "environment":
		ok = ok && segment(rest)
	case "tool":
		server, tool, two := strings.Cut(rest, ":")
		ok = ok && two && segment(server) && segment(tool)
	default:
		ok = ok && typeName(kind)
	}
	if !ok {
		return fault.New(fault.Invalid, "scope_invalid", "a scope is server:NAME, tool:SERVER:TOOL, environment:NAME or TYPE:ID, at most %d bytes; none is the whole workspace", maxScope).
			Try("for example --scope environment:staging")
	}
	return nil
}

// printable reports whether s has only characters that a person can tell apart on a screen: ASCII but for spaces, quotes and backslashes.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// segment reports whether s is one segment of a permission without wildcards (authority.md §2).
func segment(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_./@", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// typeName reports whether s names a type of resource: a Cedar identifier that is none of attorn's own types.
func typeName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	switch s {
	case "", policy.TypeUser, policy.TypeAgent, "Group", "Role", "Workspace", "Noun", "Action", "Server", "Tool", "Environment", "server", "tool", "environment":
		return false
	}
	return true
}

// Grant is a role as a principal has it in policy's eyes: everywhere, or in a scope.
type Grant struct{ Role, Scope string }

// String is the identifier of the entity of type Role that the holder is in: "<role>" or "<role>@<scope>".
func (g Grant) String() string {
	if g.Scope == "" {
		return g.Role
	}
	return g.Role + "@" + g.Scope
}

// ParseGrant is the inverse of String.
func ParseGrant(s string) Grant {
	role, scope, _ := strings.Cut(s, "@")
	return Grant{role, scope}
}

func (g Grant) uid() policy.UID { return policy.UID{Type: "Role", ID: g.String()} }
