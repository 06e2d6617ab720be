package policy

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// File is one Cedar source of a bundle; its path names it in every message and in the manifest.
type File struct {
	Path string // "policies/prod.cedar"
	Text []byte
}

// Problem is something wrong with a bundle, at a place a person can go to.
type Problem struct {
	File      string
	Line, Col int // from 1; 0 when the whole file is meant
	Code      string
	Message   string
	Severity  string // SeverityError or SeverityWarning
}

// The severities. An error keeps a set from being made.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s: %s (%s)", p.File, p.Severity, p.Message, p.Code)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s (%s)", p.File, p.Line, p.Col, p.Severity, p.Message, p.Code)
}

// Set is a compiled bundle: immutable, safe for concurrent use, and the same for the same files in whatever order they came.
type Set struct {
	files    []File // by path
	manifest []byte
	digest   id.Digest
	byID     map[string]*compiled
	types    map[string]*Type
	rules    index // permits and hard forbids
	gates    index
	entities map[types.EntityType]resolved.Entity // that policies are typed by
	typed    *typed
	perms    *perms
	roles    heldRoles
	settings Settings
}

// compiled is one policy, ready to be asked.
type compiled struct {
	id      string
	forbid  bool
	reason  string    // @reason
	gate    gate      // zero for a permit and a hard forbid
	source  id.Digest // of the text from its first annotation or effect to its ";"
	ast     *xast.Policy
	policy  *cedar.Policy // the conditions alone: the scope is tested before. nil: there are none
	spares  contextSet    // of the context, that no condition names
	upfront []upfront     // what the conditions begin with
	whole   bool          // uses context other than by naming one of its members
	args    bool          // speaks of arguments, or of context as a whole
}

// reserved begins the paths of shipped files and the ids of their policies.
const reserved = "attorn/"

// manyUnscoped is how many policies may be asked about every request before Compile warns.
const manyUnscoped = 50

var (
	pathForm = regexp.MustCompile(`^(policies|attorn)(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+\.cedar$`)
	consumed = regexp.MustCompile("^(exact got|unexpected (effect|token)|invalid primary|expected|`.*` is )") // reported at the token after
	inputPos = regexp.MustCompile(`<input>:(\d+):(\d+)(?: "(?:[^"\\]|\\.)*")?:? ?`)
)

// Compile parses and checks files and makes a set of them. The caller passes the files of Shipped too; a path under attorn/ that Shipped does not have is
// refused, so a bundle cannot add to the built-in roles. The set is nil exactly if one of the problems is an error. Codes: too_complex (see the
// bounds in guard.go), bad_text, bad_path, duplicate_path, reserved_path, syntax, unknown_annotation, misplaced_annotation, bad_annotation,
// unknown_flow, missing_id, duplicate_id, duplicate_type, unknown_type, those of ParseType, those of ParseRole, duplicate_role, role_unknown, role_cycle, test_invalid,
// settings_invalid; as a warning, unscoped.
func Compile(files []File) (*Set, []Problem) {
	c := compiler{byID: map[string]*compiled{}, types: map[string]*Type{}, roles: map[string]*role{}}
	sorted := slices.Clone(files)
	slices.SortStableFunc(sorted, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	total := 0
	for i, f := range sorted {
		total += len(f.Text)
		if !c.admit(f, i > 0 && sorted[i-1].Path == f.Path, total) {
			continue
		}
		sorted[i].Text = bytes.Clone(f.Text)
		c.read(sorted[i])
	}
	c.related()
	c.inherit()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	s := &Set{
		files: sorted, byID: c.byID, types: c.types, entities: entityTypes(c.types), typed: &typed{}, perms: &perms{}, roles: newHeldRoles(c.roles), settings: c.settings,
	}
	sums := make(map[string]string, len(sorted))
	for _, f := range sorted {
		sums[f.Path] = id.Sum(f.Text).String()
	}
	var err error
	if s.manifest, err = jose.Canonical(sums); err != nil {
		return nil, []Problem{{Code: "bad_path", Message: err.Error(), Severity: SeverityError}}
	}
	s.digest = id.Sum(s.manifest)
	var rules, gates []*compiled
	for _, p := range c.all {
		if p.gate.kind == "" {
			rules = append(rules, p)
		} else {
			gates = append(gates, p)
		}
	}
	s.rules, s.gates = newIndex(rules), newIndex(gates)
	if n := len(s.rules.any) + len(s.gates.any); n > manyUnscoped {
		return s, []Problem{{
			Code: "unscoped", Severity: SeverityWarning,
			Message: fmt.Sprintf("%d policies name neither principal, action nor resource in their scope, so every request asks each of them", n),
		}}
	}
	return s, nil
}

// Digest is the SHA-256 of Manifest and so names the bundle.
func (s *Set) Digest() id.Digest { return s.digest }

// Manifest is the RFC 8785 form of {path: base64url SHA-256 of the file's text}.
func (s *Set) Manifest() []byte { return bytes.Clone(s.manifest) }

// Files are the sources, by path.
func (s *Set) Files() []File {
	all := slices.Clone(s.files)
	for i := range all {
		all[i].Text = bytes.Clone(all[i].Text)
	}
	return all
}

type compiler struct {
	all      []*compiled
	byID     map[string]*compiled
	types    map[string]*Type
	roles    map[string]*role
	broken   []string // roles whose files have problems of their own
	settings Settings
	nodes    int
	problems []Problem
}

func (c *compiler) bad(p Problem) {
	if len(c.problems) < maxProblems {
		p.Severity = SeverityError
		c.problems = append(c.problems, p)
	}
}

// admit checks what can be said of a file without reading its policies.
func (c *compiler) admit(f File, again bool, total int) bool {
	p := Problem{File: f.Path}
	switch {
	case !goodPath(f.Path):
		p.File, p.Code = strings.ToValidUTF8(fmt.Sprintf("%.255s", f.Path), "�"), "bad_path"
		p.Message = "a path is policies/….cedar, roles/<name>.yaml, types/<name>.yaml, flows/<name>.yaml, tests/<name>_test.yaml or attorn.yaml, of letters, digits and - _ . and has at most 255 bytes"
	case again:
		p.Code, p.Message = "duplicate_path", "the same path twice"
	case strings.HasPrefix(f.Path, reserved) && !slices.ContainsFunc(Shipped(), func(s File) bool { return s.Path == f.Path }):
		p.Code, p.Message = "reserved_path", "attorn/ holds what is built in"
	case len(f.Text) > maxFile:
		p.Code, p.Message = "too_complex", fmt.Sprintf("the file has more than %d bytes", maxFile)
	case total > maxBundle:
		p.Code, p.Message = "too_complex", fmt.Sprintf("up to this file the bundle has more than %d bytes", maxBundle)
	default:
		return c.readable(f)
	}
	c.bad(p)
	return false
}

// Authored reports whether a file of this path can be one that people write for a bundle: no built-in one, and none that the API made.
func Authored(path string) bool {
	return goodPath(path) && !strings.HasPrefix(path, reserved) && !strings.HasPrefix(path, "store/")
}

func goodPath(path string) bool {
	return len(path) <= 255 && (path == settingsPath ||
		slices.ContainsFunc([]*regexp.Regexp{pathForm, typePath, rolePath, testPath}, func(form *regexp.Regexp) bool { return form.MatchString(path) }))
}

// readable says whether a file holds what its reader sees.
func (c *compiler) readable(f File) bool {
	off, what := badText(string(f.Text))
	if off < 0 {
		return true
	}
	s := scanner{src: string(f.Text), line: 1, col: 1}
	s.step(off)
	c.bad(Problem{File: f.Path, Line: s.line, Col: s.col, Code: "bad_text", Message: "the text holds " + what})
	return false
}

// read takes a file by its kind.
func (c *compiler) read(f File) {
	switch {
	case rolePath.MatchString(f.Path):
		c.role(f)
	case typePath.MatchString(f.Path):
		c.typed(f.Path, string(f.Text))
	case testPath.MatchString(f.Path):
		c.tested(f)
	case f.Path == settingsPath:
		c.settled(f)
	default:
		c.file(f.Path, string(f.Text))
	}
}

func (c *compiler) file(path, src string) {
	statements, problems := split(path, src)
	for _, p := range problems {
		c.bad(p)
	}
	for i, st := range statements {
		if len(c.problems) >= maxProblems {
			return
		}
		if len(c.all) == maxPolicies {
			c.bad(Problem{File: path, Line: st.line, Col: st.col, Code: "too_complex", Message: fmt.Sprintf("from here on the bundle has more than %d policies", maxPolicies)})
			return
		}
		c.policy(path, i+1, st)
	}
}

// policy compiles the n-th policy of a file.
func (c *compiler) policy(path string, n int, st statement) {
	at := Problem{File: path, Line: st.line, Col: st.col}
	var parsed cedarast.Policy
	if err := parsed.UnmarshalCedar([]byte(st.text)); err != nil {
		at.Code = "syntax"
		at.Line, at.Col, at.Message = place(err.Error(), st)
		c.bad(at)
		return
	}
	tree := (*xast.Policy)(&parsed)
	tree.Position = xast.Position{Filename: path, Offset: st.off, Line: st.line, Column: st.col}
	p := &compiled{
		id: fmt.Sprintf("%s#%d", path, n), forbid: tree.Effect == xast.EffectForbid,
		source: id.Sum([]byte(st.text)), ast: tree,
	}
	// `x has a.b` repeats x, so nesting it doubles the tree each time: a short text can make a tree that no memory holds.
	budget := min(8*st.tokens+64, maxNodes-c.nodes)
	nodes, whole := measure(tree, budget)
	if c.nodes += nodes; nodes > budget {
		at.Code, at.Message = "too_complex", "this policy's has tests repeat so much that it cannot be evaluated; test one step at a time"
		c.bad(at)
		return
	}
	p.whole, p.args = whole, whole || speaksOf(tree)&memberArgs != 0
	for _, w := range p.annotations(tree, strings.HasPrefix(path, reserved)) {
		where := at
		for _, k := range st.keys {
			if k.text == w.key {
				where.Line, where.Col = k.line, k.col
			}
		}
		where.Code, where.Message = w.code, w.message
		c.bad(where)
	}
	if other, ok := c.byID[p.id]; ok {
		at.Code, at.Message = "duplicate_id", fmt.Sprintf("another %s has the @id %q already", effect(other.forbid), p.id)
		c.bad(at)
		return
	}
	p.ready()
	c.byID[p.id] = p
	c.all = append(c.all, p)
}

func effect(forbid bool) string {
	if forbid {
		return "forbid"
	}
	return "permit"
}

// measure counts the nodes of a policy's conditions, stopping soon after it is over the budget, and says whether a condition uses context as a whole.
func measure(p *xast.Policy, budget int) (nodes int, whole bool) {
	uses, members := 0, 0
	isContext := func(n xast.IsNode) bool {
		v, ok := n.(xast.NodeTypeVariable)
		return ok && v.Name == "context"
	}
	for _, cond := range p.Conditions {
		xast.Inspect(xast.NewNode(cond.Body), func(n xast.IsNode) bool {
			nodes++
			switch v := n.(type) {
			case xast.NodeTypeVariable:
				if isContext(v) {
					uses++
				}
			case xast.NodeTypeAccess:
				if isContext(v.Arg) {
					members++
				}
			case xast.NodeTypeHas:
				if isContext(v.Arg) {
					members++
				}
			}
			return nodes <= budget
		})
	}
	return nodes, uses != members
}

// ready makes the conditions what Cedar evaluates.
func (c *compiled) ready() {
	if len(c.ast.Conditions) == 0 {
		return
	}
	bare := *c.ast
	bare.Principal, bare.Action, bare.Resource, bare.Annotations = xast.ScopeTypeAll{}, xast.ScopeTypeAll{}, xast.ScopeTypeAll{}, nil
	c.policy = cedar.NewPolicyFromAST((*cedarast.Policy)(&bare))
	c.upfront = upfronts(c.ast)
	if !c.whole {
		c.spares = allMembers &^ speaksOf(c.ast)
	}
}

// speaksOf are the members of the context that conditions name, if only to ask whether they are there.
func speaksOf(p *xast.Policy) (of contextSet) {
	add := func(arg xast.IsNode, name types.String) {
		if v, ok := arg.(xast.NodeTypeVariable); ok && v.Name == "context" {
			of |= memberOf(name)
		}
	}
	for _, cond := range p.Conditions {
		xast.Inspect(xast.NewNode(cond.Body), func(n xast.IsNode) bool {
			switch n := n.(type) {
			case xast.NodeTypeAccess:
				add(n.Arg, n.Value)
			case xast.NodeTypeHas:
				add(n.Arg, n.Value)
			}
			return true
		})
	}
	return of
}

// place turns a message of cedar-go into one about the file.
func place(message string, st statement) (line, col int, _ string) {
	line, col = 1, 1
	if m := inputPos.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		col, _ = strconv.Atoi(m[2])
		message = strings.TrimPrefix(inputPos.ReplaceAllString(message, ""), "parse error at ")
		if consumed.MatchString(message) {
			line, col = tokenBefore(st.text, line, col)
		}
	}
	message = plain(strings.TrimPrefix(message, "exact "), tokenAt(st.text, line, col))
	if line == 1 {
		col += st.col - 1
	}
	if strings.Contains(message, "value out of range") {
		message = "an integer beyond 64 bits"
	}
	if r := []rune(message); len(r) > 200 {
		message = string(r[:200]) + "…"
	}
	return st.line + line - 1, col, strings.ToValidUTF8(message, "�")
}

// tokenBefore is the place of the token before the one at a place, which stays if it is the end.
func tokenBefore(text string, line, col int) (int, int) {
	s := scanner{src: text, line: 1, col: 1}
	before := token{line: line, col: col}
	for {
		t, wrong := s.next()
		switch {
		case wrong != "" || t.kind == 0:
			return line, col
		case t.line == line && t.col == col:
			return before.line, before.col
		}
		before = t
	}
}
