package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
)

// Role is what its holders may do, and what they may not whatever else permits it. It is stated in a file of a bundle, roles/<name>.yaml:
//
//	doc: people on call
//	inherits: [developer]
//	permissions:
//	  - tool:deploy:status
//	  - { permission: tool:deploy:run, where: { env: { in: [staging] } } }
//	deny: [tool:deploy:delete]
//	class: read          # narrows permissions, not deny, to actions of this class: read, write or destroy
//	max_binding: 30d
//
// A permission of deny whose constraints name an argument that a call lacks, or that has a type or form that they are not made for, denies that call. A number with places
// is compared as a number.
type Role struct {
	Name        string // the file's
	Doc         string
	Inherits    []string // roles whose permissions and denials its holders have too
	Permissions []delegation.Permission
	Deny        []delegation.Permission
	Class       string        // "" is any
	MaxBinding  time.Duration // how long a binding to it may last; 0 is for ever
}

// The bounds of a role.
const (
	maxRoles       = 5000 // in a bundle
	maxInherits    = 16   // named by one role
	maxInherited   = 100  // by one role, by way of others too
	maxInheritance = 10   // roles that inherit one another in a row
	maxPermissions = 1000
	maxRoleDoc     = 4096 // bytes
	maxMaxBinding  = 365 * 24 * time.Hour
)

var (
	rolePath    = regexp.MustCompile(`^(?:attorn/|store/)?roles/([a-z0-9][a-z0-9-]{0,63})\.yaml$`)
	roleName    = flowForm
	bindingForm = regexp.MustCompile(`^([1-9][0-9]{0,4})([mhd])$`)
)

// roleFile is a role as it is written.
type roleFile struct {
	Doc         string           `json:"doc"`
	Inherits    []string         `json:"inherits"`
	Permissions []rolePermission `json:"permissions"`
	Deny        []rolePermission `json:"deny"`
	Class       string           `json:"class"`
	MaxBinding  string           `json:"max_binding"`
}

// rolePermission is a permission's text, or its text and constraints.
type rolePermission delegation.Permission

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (p *rolePermission) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		return json.UnmarshalDecode(dec, &p.Permission)
	}
	return json.UnmarshalDecode(dec, (*delegation.Permission)(p))
}

// ParseRole reads the file of a role; its path gives the name. Whether the roles that it inherits exist is not looked at. Codes of problems: bad_path, too_complex, bad_text,
// syntax, unknown_key, permission_invalid, role_invalid, too_broad.
func ParseRole(path string, text []byte) (Role, []Problem) {
	r, problems := readRole(path, text)
	return r.Role, problems
}

// statedRole is a role, and where in its file its parts stand.
type statedRole struct {
	Role
	file string
	text []byte
	at   map[jsontext.Pointer]spot
}

func readRole(path string, text []byte) (statedRole, []Problem) {
	r := statedRole{file: path, text: text}
	m := rolePath.FindStringSubmatch(path)
	if m == nil {
		return r, []Problem{{File: path, Code: "bad_path", Message: "the file of a role is roles/<name>.yaml, its name letters a-z, digits and hyphens, at most 64", Severity: SeverityError}}
	}
	var f roleFile
	at, p := decodeYAMLAt(path, text, &f)
	if p != nil {
		return r, []Problem{*p}
	}
	r.at = at
	r.Role = Role{Name: m[1], Doc: f.Doc, Inherits: f.Inherits, Class: f.Class}
	for _, p := range f.Permissions {
		r.Permissions = append(r.Permissions, delegation.Permission(p))
	}
	for _, p := range f.Deny {
		r.Deny = append(r.Deny, delegation.Permission(p))
	}
	problems := r.check()
	if f.MaxBinding != "" {
		var ok bool
		if r.MaxBinding, ok = bindingTime(f.MaxBinding); !ok {
			problems = append(problems, r.problem("/max_binding", "role_invalid", "max_binding is a whole number of m, h or d, such as \"30d\", and at most 365d"))
		}
	}
	if len(problems) > maxProblems {
		problems = problems[:maxProblems]
	}
	return r, problems
}

func bindingTime(text string) (time.Duration, bool) {
	m := bindingForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, _ := strconv.Atoi(m[1]) // five digits
	d := time.Duration(n) * map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
	return d, d <= maxMaxBinding
}

// problem is one at a part of the file.
func (r *statedRole) problem(part jsontext.Pointer, code, format string, args ...any) Problem {
	at := r.at[part]
	return Problem{File: r.file, Line: at.line, Col: at.col, Code: code, Message: fmt.Sprintf(format, args...), Severity: SeverityError}
}

// check holds what a role says, apart from other roles, to its rules.
func (r *statedRole) check() (wrong []Problem) {
	bad := func(part jsontext.Pointer, code, format string, args ...any) {
		wrong = append(wrong, r.problem(part, code, format, args...))
	}
	if len(r.Doc) > maxRoleDoc {
		bad("/doc", "role_invalid", "doc has more than %d bytes", maxRoleDoc)
	}
	if len(r.Inherits) > maxInherits {
		bad("/inherits", "role_invalid", "a role inherits at most %d others", maxInherits)
	}
	for i, name := range r.Inherits {
		part := jsontext.Pointer("/inherits").AppendToken(strconv.Itoa(i))
		switch {
		case !roleName.MatchString(name):
			bad(part, "role_invalid", "the name of a role is letters a-z, digits and hyphens, at most 64")
		case slices.Contains(r.Inherits[:i], name):
			bad(part, "role_invalid", "it inherits %q twice", name)
		}
	}
	if n := len(r.Permissions) + len(r.Deny); n > maxPermissions {
		bad("/permissions", "too_broad", "a role has at most %d permissions and denials, this one %d", maxPermissions, n)
	}
	for key, list := range map[string][]delegation.Permission{"permissions": r.Permissions, "deny": r.Deny} {
		for i, p := range list {
			if err := p.Check(); err != nil {
				bad(jsontext.Pointer("/"+key).AppendToken(strconv.Itoa(i)), fault.Code(err), "%s", err)
			}
		}
	}
	switch {
	case r.Class == "":
	case r.Class != "read" && r.Class != "write" && r.Class != "destroy":
		bad("/class", "role_invalid", "class is read, write or destroy")
	case len(r.Permissions) == 0:
		bad("/class", "role_invalid", "class narrows permissions, and there are none; tool:* are all tools")
	}
	slices.SortStableFunc(wrong, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	return wrong
}

// Text is the file that states r: ParseRole reads it back to the same role. The same role has the same text.
func (r Role) Text() []byte {
	var b strings.Builder
	quoted := func(s string) string {
		q, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "�")) // cannot fail
		return string(q)
	}
	if r.Doc != "" {
		b.WriteString("doc: " + quoted(r.Doc) + "\n")
	}
	if len(r.Inherits) > 0 {
		b.WriteString("inherits:\n")
		for _, name := range r.Inherits {
			b.WriteString("  - " + quoted(name) + "\n")
		}
	}
	for _, list := range []struct {
		key string
		all []delegation.Permission
	}{{"permissions", r.Permissions}, {"deny", r.Deny}} {
		if len(list.all) > 0 {
			b.WriteString(list.key + ":\n")
		}
		for _, p := range list.all {
			b.WriteString("  - ")
			if len(p.Where) == 0 {
				b.WriteString(quoted(p.Permission) + "\n")
				continue
			}
			b.WriteString("permission: " + quoted(p.Permission) + "\n    where:\n")
			for _, path := range slices.Sorted(maps.Keys(p.Where)) {
				c, _ := json.Marshal(p.Where[path]) // of texts, numbers and booleans
				b.WriteString("      " + quoted(path) + ": " + string(c) + "\n")
			}
		}
	}
	if r.Class != "" {
		b.WriteString("class: " + r.Class + "\n")
	}
	if r.MaxBinding > 0 {
		unit, name := time.Minute, "m"
		switch {
		case r.MaxBinding%(24*time.Hour) == 0:
			unit, name = 24*time.Hour, "d"
		case r.MaxBinding%time.Hour == 0:
			unit, name = time.Hour, "h"
		}
		b.WriteString("max_binding: " + strconv.FormatInt(int64(r.MaxBinding/unit), 10) + name + "\n")
	}
	if b.Len() == 0 {
		return []byte("{}\n")
	}
	return []byte(b.String())
}

// ScopeEntity is what a binding's scope names: server:<name>, tool:<server>:<tool>, environment:<name>, or <type>:<id> of a registered type. The empty scope is the workspace,
// and names nothing. Code: scope_invalid.
func ScopeEntity(scope string) (UID, error) {
	kind, name, _ := strings.Cut(scope, ":")
	u := UID{kind, name}
	switch kind {
	case "server":
		u.Type = "Server"
	case "environment":
		u.Type = "Environment"
	case "tool":
		u.Type = "Tool"
		if server, tool, ok := strings.Cut(name, ":"); !ok || server == "" || tool == "" {
			name = ""
		}
	case "Server", "Environment", "Tool", "Action", "Role":
		name = ""
	}
	if name == "" || name[0] == ':' || len(scope) > maxScope || u.check() != nil {
		return UID{}, fault.New(fault.Invalid, "scope_invalid", "a scope is server:<name>, tool:<server>:<tool>, environment:<name> or <type>:<id>, and has at most %d bytes", maxScope)
	}
	if _, what := badText(scope); what != "" {
		return UID{}, fault.New(fault.Invalid, "scope_invalid", "the scope holds %s", what)
	}
	return u, nil
}

const maxScope = 512 // bytes

// RoleUID names a role as a parent of its holders, workspace-wide or in a scope (see ScopeEntity).
func RoleUID(role, scope string) UID {
	if scope != "" {
		role += "@" + scope
	}
	return UID{"Role", role}
}
