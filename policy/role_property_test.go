package policy_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/policy"
)

// world is roles, a request and its arguments, drawn; and what the covering function says of it, without Cedar.
type world struct {
	roles   map[string]policy.Role
	parents []string // roles with their scopes
	action  string
	class   string
	kinds   map[string]string // of arguments, by path, as JSON Schema names them
	values  map[string]any    // of those that are sent
	nested  bool              // the argument o is there
}

var (
	roleActions = []string{
		"tool:db:read", "tool:db:read_all", "tool:db:sub:x", "tool:fs:write", "tool:fs:Read", "tool:db", "attorn:agent:read", "attorn:agent",
		"repo:acme/api:write", "ping", "a:b:c:d:e:f:g:h", "tool:a.b@c:x-y",
	}
	roleScopes = []string{"", "", "server:db", "server:fs", "tool:db:read", "environment:prod", "environment:qa", "noun:attorn", "nowhere"}
	roleTexts  = []string{
		"", "a", "a*", "*", `"`, `") || true //`, `\`, "/data/", "/data/x", "/data/../x", "data//x", ".", "..", "x/.", "/data/%2e%2e/", "日本", "日本語", "\u0085", "/data/\u0085",
		"/data/\x01", "a\u200b", "/", "./a", "../a", "a%25", "a%",
	}
	roleNumbers = []int64{0, 1, -1, 3, 4, 5, 1<<53 - 1, -(1<<53 - 1), 922_337_203_685_477, 922_337_203_685_478}
	rolePaths   = []string{"s", "n", "b", "d", "l", "o.s", "o.n", "o", "gone", "s.x", `q"uo`, "größe"}
	kindsOf     = map[string]string{"s": "string", "n": "integer", "b": "boolean", "d": "number", "l": "array", "o.s": "string", "o.n": "integer", `q"uo`: "string", "größe": "number"}
)

func drawPattern(t *rapid.T, action string) string {
	segments := strings.Split(action, ":")
	for i, s := range segments {
		switch rapid.IntRange(0, 5).Draw(t, "segment") {
		case 0:
			segments[i] = "*"
		case 1:
			segments[i] = s[:rapid.IntRange(1, len(s)).Draw(t, "stem")] + "*"
		case 2:
			if rapid.IntRange(0, 3).Draw(t, "other") == 0 {
				segments[i] = s + "x"
			}
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "final") == 0 {
		n := rapid.IntRange(0, len(segments)-1).Draw(t, "kept")
		segments = append(segments[:n:n], "*")
	}
	return strings.Join(segments, ":")
}

func drawValue(t *rapid.T) delegation.Value {
	switch rapid.IntRange(0, 2).Draw(t, "value") {
	case 0:
		return delegation.String(rapid.SampledFrom(slices.DeleteFunc(slices.Clone(roleTexts), func(s string) bool { return strings.ContainsAny(s, "\x01\u0085") })).Draw(t, "text"))
	case 1:
		return delegation.Int(rapid.SampledFrom(roleNumbers).Draw(t, "number"))
	}
	return delegation.Bool(rapid.Bool().Draw(t, "bool"))
}

func drawConstraint(t *rapid.T) (c delegation.Constraint) {
	for range rapid.IntRange(1, 2).Draw(t, "operators") {
		n := rapid.SampledFrom(roleNumbers).Draw(t, "bound")
		switch rapid.IntRange(0, 4).Draw(t, "operator") {
		case 0:
			c.In = append(c.In, drawValue(t), drawValue(t))
		case 1:
			v := drawValue(t)
			c.Equals = &v
		case 2:
			p := rapid.SampledFrom(roleTexts).Draw(t, "prefix")
			c.Prefix = &p
		case 3:
			c.Max = &n
		case 4:
			c.Min = &n
		}
	}
	return c
}

// drawPermission draws one that passes its check, near the action.
func drawPermission(t *rapid.T, action string) delegation.Permission {
	if rapid.IntRange(0, 3).Draw(t, "elsewhere") == 0 {
		action = rapid.SampledFrom(roleActions).Draw(t, "action")
	}
	p := delegation.Permission{Permission: drawPattern(t, action)}
	for range rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "constraints") {
		path, c := rapid.SampledFrom(rolePaths).Draw(t, "path"), drawConstraint(t)
		q := delegation.Permission{Permission: p.Permission, Where: map[string]delegation.Constraint{path: c}}
		if q.Check() == nil {
			if p.Where == nil {
				p.Where = q.Where
			}
			p.Where[path] = c
		}
	}
	return p
}

func drawWorld(t *rapid.T) world {
	w := world{
		roles: map[string]policy.Role{}, action: rapid.SampledFrom(roleActions).Draw(t, "asked"), values: map[string]any{}, kinds: kindsOf,
		class: rapid.SampledFrom([]string{"read", "write", "destroy"}).Draw(t, "class"), nested: rapid.IntRange(0, 3).Draw(t, "nested") > 0,
	}
	names := []string{"r0", "r1", "r2", "r3"}
	for i, name := range names {
		r := policy.Role{Name: name}
		for range rapid.IntRange(0, 3).Draw(t, "permissions") {
			r.Permissions = append(r.Permissions, drawPermission(t, w.action))
		}
		if rapid.IntRange(0, 2).Draw(t, "denies") == 0 {
			r.Deny = append(r.Deny, drawPermission(t, w.action))
		}
		if i > 0 && rapid.Bool().Draw(t, "inherits") {
			r.Inherits = slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.SampledFrom(names[:i]), 1, 2).Draw(t, "inherited"))))
		}
		if len(r.Permissions) > 0 && rapid.IntRange(0, 5).Draw(t, "classed") == 0 {
			r.Class = rapid.SampledFrom([]string{"read", "write", "destroy"}).Draw(t, "class of role")
		}
		w.roles[name] = r
	}
	for range rapid.IntRange(1, 3).Draw(t, "bindings") {
		w.parents = append(w.parents, policy.RoleUID(rapid.SampledFrom(append(names, "stranger")).Draw(t, "bound"), rapid.SampledFrom(roleScopes).Draw(t, "scope")).ID)
	}
	for _, path := range slices.Sorted(maps.Keys(w.kinds)) {
		kind := w.kinds[path]
		if rapid.IntRange(0, 3).Draw(t, "sent") == 0 {
			continue
		}
		switch kind {
		case "string":
			w.values[path] = rapid.SampledFrom(roleTexts).Draw(t, path)
		case "integer":
			w.values[path] = rapid.SampledFrom(append(roleNumbers, 1<<53, -(1<<60))).Draw(t, path)
		case "boolean":
			w.values[path] = rapid.Bool().Draw(t, path)
		case "number":
			w.values[path] = rapid.SampledFrom([]any{int64(3), int64(4), 3.5, -0.25, 4.0001, 0.00001, int64(922_337_203_685_477), int64(922_337_203_685_478)}).Draw(t, path)
		case "array":
			w.values[path] = []string{"a"}
		}
	}
	return w
}

// arguments are the sent values and the schema of all.
func (w world) arguments(t *rapid.T) (raw []byte, shape *policy.Shape) {
	if strings.HasPrefix(w.action, "attorn:") {
		return nil, nil
	}
	args, properties := map[string]any{}, map[string]any{}
	sent, inner := map[string]any{}, map[string]any{}
	for path, kind := range w.kinds {
		schema := map[string]any{"type": kind}
		if kind == "array" {
			schema["items"] = map[string]any{"type": "string"}
		}
		if name, below := strings.CutPrefix(path, "o."); below {
			inner[name] = schema
			if v, ok := w.values[path]; ok {
				sent[name] = v
			}
			continue
		}
		properties[path] = schema
		if v, ok := w.values[path]; ok {
			args[path] = v
		}
	}
	properties["o"] = map[string]any{"type": "object", "properties": inner}
	if w.nested {
		args["o"] = sent
	}
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	definition, err := json.Marshal(map[string]any{"name": "t", "inputSchema": map[string]any{"type": "object", "properties": properties}})
	if err != nil {
		t.Fatal(err)
	}
	if shape, err = policy.ShapeOf(definition); err != nil {
		t.Fatal(err)
	}
	return raw, shape
}

func (w world) facts(t *rapid.T) (policy.Facts, *policy.Shape) {
	raw, shape := w.arguments(t)
	f := roleFacts(w.action, w.class, raw, w.parents...)
	if f.Resource.Type == "Noun" {
		f.Resource.Type = "noun"
	}
	if f.Arguments != nil {
		if err := f.Arguments.Canonicalize(); err != nil {
			t.Fatal(err)
		}
	}
	return f, shape
}

func (w world) set(t *rapid.T) *policy.Set {
	files := []policy.File{}
	for name, r := range w.roles {
		files = append(files, policy.File{Path: "roles/" + name + ".yaml", Text: r.Text()})
	}
	s, problems := policy.Compile(files)
	if s == nil {
		t.Fatal(problems)
	}
	return s
}

// fit is what there is to say of an argument: whether it is there in a form that the constraint is made for, and whether the constraint then holds.
func (w world) fit(path string, c delegation.Constraint) (fits, holds bool) {
	kind, v := w.kinds[path], w.values[path]
	if v == nil || kind == "array" || strings.HasPrefix(path, "o.") && !w.nested || strings.HasPrefix(w.action, "attorn:") {
		return false, false
	}
	list := c.In
	if c.Equals != nil {
		list = []delegation.Value{*c.Equals}
	}
	if list != nil { // of which one at least could be an argument's
		list = slices.DeleteFunc(slices.Clone(list), func(v delegation.Value) bool {
			n, number := v.Plain().(int64)
			ok := kind == "number" && number && n <= 922_337_203_685_477 && n >= -922_337_203_685_477
			switch v.Plain().(type) {
			case string:
				ok = kind == "string"
			case bool:
				ok = kind == "boolean"
			case int64:
				ok = ok || kind == "integer"
			}
			return !ok || !c.Holds(v.Plain())
		})
		if len(list) == 0 {
			return false, false
		}
	}
	switch v := v.(type) {
	case string:
		if list == nil && c.Prefix == nil {
			return false, false
		}
		self := delegation.Constraint{Prefix: &v} // which holds for exactly what stays
		return list != nil || self.Holds(v), c.Holds(v)
	case bool:
		return list != nil, c.Holds(v)
	case int64:
		if kind == "number" {
			return w.decimal(float64(v), c, list)
		}
		return (list != nil || c.Prefix == nil) && v >= -(1<<53-1) && v <= 1<<53-1, c.Holds(v)
	case float64:
		return w.decimal(v, c, list)
	}
	return false, false
}

func (w world) decimal(v float64, c delegation.Constraint, list []delegation.Value) (fits, holds bool) {
	switch {
	case v == 0.00001 || v > 922_337_203_685_477:
		return false, false
	case list != nil:
		return true, v == math.Trunc(v) && c.Holds(int64(v))
	case c.Prefix != nil, c.Min != nil && *c.Min > 922_337_203_685_477, c.Max != nil && *c.Max < -922_337_203_685_477:
		return false, false
	}
	return true, (c.Max == nil || v <= float64(*c.Max)) && (c.Min == nil || v >= float64(*c.Min))
}

// says is the covering function's answer.
func (w world) says() (permit, deny bool) {
	asked, err := delegation.ParsePermission(w.action)
	if err != nil {
		return false, false
	}
	for _, held := range w.parents {
		name, scope, _ := strings.Cut(held, "@")
		if !w.within(scope) {
			continue
		}
		for _, r := range w.closure(name) {
			for _, p := range r.Permissions {
				pattern, _ := delegation.ParsePermission(p.Permission)
				ok := pattern.Covers(asked) && (r.Class == "" || slices.Contains(policy.ActionParents(w.action, w.class), r.Class))
				for path, c := range p.Where {
					fits, holds := w.fit(path, c)
					ok = ok && fits && holds
				}
				permit = permit || ok
			}
			for _, p := range r.Deny {
				pattern, _ := delegation.ParsePermission(p.Permission)
				ok := pattern.Covers(asked)
				for path, c := range p.Where {
					fits, holds := w.fit(path, c)
					ok = ok && (!fits || holds)
				}
				deny = deny || ok
			}
		}
	}
	return permit, deny
}

func (w world) closure(name string) (all []policy.Role) {
	r, ok := w.roles[name]
	if !ok {
		return nil
	}
	all = append(all, r)
	for _, parent := range r.Inherits {
		all = append(all, w.closure(parent)...)
	}
	return all
}

func (w world) within(scope string) bool {
	segments := strings.Split(w.action, ":")
	tool := len(segments) > 2 && segments[0] == "tool"
	switch scope {
	case "":
		return true
	case "nowhere":
		return false
	case "noun:attorn":
		return !tool && segments[0] == "attorn"
	case "environment:prod":
		return tool
	case "tool:db:read":
		return tool && segments[1] == "db" && segments[2] == "read"
	}
	return tool && scope == "server:"+segments[1]
}

func TestRoleCompilerIsTheCoveringFunction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		f, shape := w.facts(t)
		s := w.set(t)
		d := policy.Decide(s, shape, f, nil)
		if shape != nil {
			if err := policy.RolesType(s, shape, f); err != nil {
				t.Fatalf("it does not type: %v\n%s", err, w)
			}
		}
		permit, deny := w.says()
		want := policy.CodeNoPermit
		switch {
		case deny:
			want = policy.CodeForbidden
		case permit:
			want = ""
		}
		if d.Code != want || len(d.Errors) > 0 {
			t.Fatalf("%+v, the covering function says %q\n%s", d, want, w)
		}
		if d.Outcome == policy.Permit && !policy.Visible(s, f) {
			t.Fatalf("permitted and hidden\n%s", w)
		}
	})
}

func (w world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v asks %s of class %s with %q\n", w.parents, w.action, w.class, w.values)
	for _, name := range slices.Sorted(maps.Keys(w.roles)) {
		fmt.Fprintf(&b, "%s:\n%s", name, w.roles[name].Text())
	}
	return b.String()
}

// TestRolesAskedInAnyOrder: what was asked of a set before changes nothing.
func TestRolesAskedInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		asked := w.set(t)
		for range rapid.IntRange(1, 4).Draw(t, "before") {
			other := drawWorld(t)
			other.roles = w.roles
			f, shape := other.facts(t)
			policy.Decide(asked, shape, f, nil)
		}
		f, shape := w.facts(t)
		want := policy.Decide(w.set(t), shape, f, nil)
		equal(t, "what was asked before matters", want, policy.Decide(asked, shape, f, nil))
		equal(t, "asked again", want, policy.Decide(asked, shape, f, nil))
		equal(t, "without an index", want, policy.Decide(policy.Flat(asked), shape, f, nil))
	})
}

func TestADenialNeverLoosens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		f, shape := w.facts(t)
		before := policy.Decide(w.set(t), shape, f, nil)
		name := rapid.SampledFrom([]string{"r0", "r1", "r2", "r3"}).Draw(t, "role")
		r := w.roles[name]
		r.Deny = append(slices.Clone(r.Deny), drawPermission(t, w.action))
		w.roles[name] = r
		if after := policy.Decide(w.set(t), shape, f, nil); before.Outcome != policy.Permit && after.Outcome == policy.Permit || before.Code == policy.CodeForbidden && after.Code != before.Code {
			t.Fatalf("%+v became %+v\n%s", before, after, w)
		}
	})
}

// TestWhatIsCoveredIsPermitted: a role with a permission that covers another's permits what that permits, and a denial that covers another denies what it denies but for
// arguments that are absent or of another form, which the narrower one names and the wider does not.
func TestWhatIsCoveredIsPermitted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		wide, narrow := drawPermission(t, w.action), drawPermission(t, w.action)
		if rapid.Bool().Draw(t, "same where") {
			narrow.Where = maps.Clone(wide.Where)
		}
		if !delegation.Covers(wide, narrow) {
			return
		}
		w.parents = []string{"r0"}
		f, shape := w.facts(t)
		w.roles = map[string]policy.Role{"r0": {Name: "r0", Permissions: []delegation.Permission{narrow}}}
		by := policy.Decide(w.set(t), shape, f, nil)
		w.roles["r0"] = policy.Role{Name: "r0", Permissions: []delegation.Permission{wide}}
		if d := policy.Decide(w.set(t), shape, f, nil); by.Outcome == policy.Permit && d.Outcome != policy.Permit {
			t.Fatalf("%v covers %v: %+v", wide, narrow, d)
		}
	})
}

// TestPrefixesStay: a prefix holds for exactly the texts that delegation's does, and in a denial for the texts that could lead elsewhere too.
func TestPrefixesStay(t *testing.T) {
	pieces := []string{"/", "/", ".", "..", "a", "a", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%25", "%", "\\", "\x00", "\x7f", "\u0085", "日", "*", "\n"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 5).Draw(t, "pieces"), "")
		prefix := text[:rapid.IntRange(0, len(text)).Draw(t, "cut")]
		if rapid.Bool().Draw(t, "other") {
			prefix = rapid.SampledFrom([]string{"a", "/", "/a/", "日", "*"}).Draw(t, "prefix")
		}
		p := delegation.Permission{Permission: "x:y", Where: map[string]delegation.Constraint{"p": {Prefix: &prefix}}}
		if p.Check() != nil {
			return
		}
		w := world{action: "x:y", kinds: map[string]string{"p": "string"}, values: map[string]any{"p": text}, parents: []string{"r"}}
		for _, r := range []policy.Role{
			{Permissions: []delegation.Permission{p}}, {Permissions: []delegation.Permission{{Permission: "*"}}, Deny: []delegation.Permission{p}},
		} {
			w.roles = map[string]policy.Role{"r": r}
			f, shape := w.facts(t)
			permit, deny := w.says()
			if d := policy.Decide(w.set(t), shape, f, nil); (d.Outcome == policy.Permit) != (permit && !deny) {
				t.Fatalf("%q with the prefix %q: %+v", text, prefix, d)
			}
		}
	})
}
