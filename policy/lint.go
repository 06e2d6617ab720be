package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// World is what a workspace has beside its policies. What is nil is not known, and nothing is said about it.
type World struct {
	Actions []Action       // the tools that can be called
	Acts    []string       // attorn's own
	Holders map[string]int // how many people hold each role
}

// Lint finds what is allowed in a bundle but most likely not meant, as warnings, by place. Files under attorn/ are not looked at. Codes: unscoped, unmeetable, shadowed,
// unguarded, unknown_argument, unknown_action, unknown_tool, unknown_server, unknown_role, unknown_type, unused_role, loosened_by_risk, gate_principal.
func Lint(s *Set, w World) []Problem {
	l := linter{set: s, world: w, texts: map[string]string{}}
	for _, f := range s.files {
		l.texts[f.Path] = string(f.Text)
	}
	own := slices.DeleteFunc(s.ordered(), func(p *compiled) bool {
		return strings.HasPrefix(p.file(), reserved) || !strings.HasSuffix(p.file(), ".cedar")
	})
	l.known()
	for _, p := range own {
		l.scope(p)
		l.gate(p)
		l.risk(p)
		l.named(p)
		l.unguarded(p)
	}
	l.shadowed(own)
	l.unused()
	slices.SortStableFunc(l.found, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return l.found
}

type linter struct {
	set   *Set
	world World
	texts map[string]string // of files
	found []Problem

	actions, tools, servers, roles []string // that are known, sorted
}

// warn says something about a policy, at the first place in it where its tokens are words; without words, or where they are written otherwise, at its beginning.
func (l *linter) warn(p *compiled, words []string, code, format string, args ...any) {
	if len(l.found) == maxProblems {
		return
	}
	at := p.ast.Position
	w := Problem{File: at.Filename, Line: at.Line, Col: at.Column, Code: code, Message: fmt.Sprintf(format, args...), Severity: SeverityWarning}
	if line, col, ok := l.place(p, words); ok {
		w.Line, w.Col = line, col
	}
	l.found = append(l.found, w)
}

func (l *linter) place(p *compiled, words []string) (line, col int, ok bool) {
	at := p.ast.Position
	s := scanner{src: l.texts[at.Filename], off: at.Offset, line: at.Line, col: at.Column}
	var last []token // as many as there are words
	for len(words) > 0 {
		t, wrong := s.next()
		if wrong != "" || t.kind == 0 || t.text == ";" {
			return 0, 0, false
		}
		if last = append(last, t); len(last) > len(words) {
			last = last[1:]
		}
		if len(last) == len(words) && slices.EqualFunc(last, words, func(t token, word string) bool { return t.text == word }) {
			return last[0].line, last[0].col, true
		}
	}
	return 0, 0, false
}

// words are the tokens of a name of an entity as it is mostly written.
func words(e types.EntityUID) []string {
	var all []string
	for _, part := range strings.Split(string(e.Type), "::") {
		all = append(all, part, "::")
	}
	return append(all, fmt.Sprintf("%q", string(e.ID)))
}

// known lists what can be named.
func (l *linter) known() {
	for _, a := range l.world.Actions {
		l.actions = append(l.actions, a.Name)
		if rest, ok := strings.CutPrefix(a.Name, "tool:"); ok {
			server, _, _ := strings.Cut(rest, ":")
			l.tools, l.servers = append(l.tools, rest), append(l.servers, server)
		}
	}
	l.actions = append(l.actions, l.world.Acts...)
	for _, a := range l.set.typeActions() {
		l.actions = append(l.actions, a.Name)
	}
	for _, r := range l.set.Roles() {
		l.roles = append(l.roles, r.Name)
	}
	for name := range l.world.Holders {
		l.roles = append(l.roles, name)
	}
	for _, list := range []*[]string{&l.actions, &l.tools, &l.servers, &l.roles} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
}

func (l *linter) scope(p *compiled) {
	if len(scopeKeys(p.ast)) == 0 {
		l.warn(p, []string{effect(p.forbid), "("}, "unscoped", "this %s names neither principal, action nor resource in its scope: it is about everything, and every request asks it", effect(p.forbid))
	}
}

func (l *linter) gate(p *compiled) {
	switch p.gate.kind {
	case "":
		return
	case KindApprove:
		n, known := 0, false
		for _, heir := range l.set.Heirs(p.gate.role) { // who holds two counts twice: at worst the lint is silent
			more, held := l.world.Holders[heir]
			n, known = n+more, known || held
		}
		if l.world.Holders != nil && n < p.gate.quorum {
			if known || slices.Contains(l.roles, p.gate.role) {
				l.warn(p, []string{"@", "approve"}, "unmeetable", "this gate wants %d of %s, and %s: nobody could lift it", p.gate.quorum, p.gate.role, people(n))
			} else {
				l.warn(p, []string{"@", "approve"}, "unmeetable", "this gate wants %d of %s, and nobody holds that role%s", p.gate.quorum, p.gate.role, meant(p.gate.role, l.roles))
			}
		}
	case KindStepUp:
		if (p.gate.stepUp.ACR > 0 || p.gate.stepUp.Age > 0) && onlyAlone(p.ast) {
			l.warn(p, []string{"@", "stepup"}, "unmeetable", "this gate wants a person's sign-in, and applies only where an agent acts for nobody: nobody could lift it")
		}
	}
	e, named := onePrincipal(p.ast)
	if !named {
		return
	}
	l.warn(p, words(e), "gate_principal", "a gate is asked about everybody on the chain, so this one stops %s for whomever it acts, and whoever acts for it; where the agent that acts is meant, write "+
		"context.actor has agent && context.actor.agent == …, and for the person context has subject && context.subject == …", e)
}

// unused finds roles of the authors' that nobody holds, no role inherits and no policy names.
func (l *linter) unused() {
	if l.world.Holders == nil {
		return
	}
	used := map[string]bool{}
	for _, p := range l.set.byID {
		used[p.gate.role] = true
		if strings.HasPrefix(p.id, "role/") {
			continue
		}
		for _, e := range named(p.ast) {
			if name, _, _ := strings.Cut(string(e.ID), "@"); e.Type == "Role" {
				used[name] = true
			}
		}
	}
	for _, r := range l.set.Roles() {
		for _, other := range r.Inherits {
			used[other] = true
		}
	}
	for _, r := range l.set.Roles() {
		file := l.set.RoleFile(r.Name)
		if _, bound := l.world.Holders[r.Name]; bound || used[r.Name] || !strings.HasPrefix(file, "roles/") || len(l.found) == maxProblems {
			continue
		}
		l.found = append(l.found, Problem{File: file, Code: "unused_role", Message: fmt.Sprintf("nobody holds the role %s, and nothing names it", r.Name), Severity: SeverityWarning})
	}
}

func people(n int) string {
	switch n {
	case 0:
		return "nobody holds it"
	case 1:
		return "1 person holds it"
	}
	return fmt.Sprintf("%d people hold it", n)
}

// onePrincipal is the user or agent that a policy's scope or a condition compares principal with.
func onePrincipal(p *xast.Policy) (e types.EntityUID, named bool) {
	is := func(v types.EntityUID) {
		if !named && (v.Type == TypeUser || v.Type == TypeAgent) {
			e, named = v, true
		}
	}
	if eq, ok := p.Principal.(xast.ScopeTypeEq); ok {
		is(eq.Entity)
	}
	for _, c := range p.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			if eq, ok := n.(xast.NodeTypeEquals); ok {
				for _, pair := range [][2]xast.IsNode{{eq.Left, eq.Right}, {eq.Right, eq.Left}} {
					if v, ok := pair[1].(xast.NodeValue); ok && variable(pair[0]) == "principal" {
						if uid, ok := v.Value.(types.EntityUID); ok {
							is(uid)
						}
					}
				}
			}
			return true
		})
	}
	return e, named
}

func variable(n xast.IsNode) string {
	v, _ := n.(xast.NodeTypeVariable)
	return string(v.Name)
}

// onlyAlone reports whether a policy surely applies only where no person is on the chain.
func onlyAlone(p *xast.Policy) bool {
	for _, c := range p.Conditions {
		whenTrue, whenFalse := reads{}.visit(c.Body, nil)
		if c.Condition == xast.ConditionUnless {
			whenTrue, whenFalse = whenFalse, whenTrue
		}
		if whenTrue.has("!context.subject") {
			return true
		}
	}
	return false
}

// risk finds policies that permit more where the risk is low: it is 0, too, where nothing measures it.
func (l *linter) risk(p *compiled) {
	for _, c := range p.ast.Conditions {
		if p.forbid != (c.Condition == xast.ConditionUnless) {
			continue
		}
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			if path, ok := pathOf(n); ok && path == "context.facts.risk" {
				l.warn(p, []string{"context", ".", "facts", ".", "risk"}, "loosened_by_risk",
					"this loosens what is permitted by the risk, which is 0 where nothing measures it; forbid where it is high instead")
				return false
			}
			return true
		})
	}
}

// named looks at everything that a policy names.
func (l *linter) named(p *compiled) {
	seen := map[types.EntityUID]bool{}
	for _, scope := range []xast.IsScopeNode{p.ast.Principal, p.ast.Resource} {
		switch s := scope.(type) {
		case xast.ScopeTypeIs:
			l.typeName(p, s.Type)
		case xast.ScopeTypeIsIn:
			l.typeName(p, s.Type)
		}
	}
	for _, axis := range scopeKeys(p.ast) {
		for _, k := range axis {
			if !k.isType && !seen[k.uid] {
				seen[k.uid] = true
				l.name(p, k.uid)
			}
		}
	}
	for _, c := range p.ast.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			switch is := n.(type) {
			case xast.NodeTypeIs:
				l.typeName(p, is.EntityType)
			case xast.NodeTypeIsIn:
				l.typeName(p, is.EntityType)
			}
			if v, ok := n.(xast.NodeValue); ok {
				if e, ok := v.Value.(types.EntityUID); ok && !seen[e] {
					seen[e] = true
					l.name(p, e)
				}
			}
			return true
		})
	}
	if p.gate.kind == KindApprove && p.gate.role != "" && l.world.Holders == nil {
		l.role(p, p.gate.role, []string{"@", "approve"})
	}
}

func (l *linter) name(p *compiled, e types.EntityUID) {
	name := string(e.ID)
	unknown := func(code, what string, known []string) {
		if len(known) > 0 && !slices.Contains(known, name) {
			l.warn(p, words(e), code, "there is no %s %q%s", what, name, meant(name, known))
		}
	}
	switch e.Type {
	case "Action":
		l.action(p, e, name)
	case "Tool":
		if !strings.Contains(name, ":resources/") {
			unknown("unknown_tool", "tool", l.tools)
		}
	case "Server":
		unknown("unknown_server", "MCP server", l.servers)
	case "Role":
		l.role(p, name, words(e))
	default:
		l.typeName(p, e.Type)
	}
}

// typeName looks at the name of a type of entities.
func (l *linter) typeName(p *compiled, name types.EntityType) {
	if _, known := l.set.entities[name]; known || name == "Action" {
		return
	}
	var all []string
	for known := range l.set.entities {
		all = append(all, string(known))
	}
	at := strings.Split(strings.ReplaceAll(string(name), "::", "\x00::\x00"), "\x00")
	l.warn(p, at, "unknown_type", "there is no type %s: nothing is ever of it%s", name, meant(string(name), all))
}

// action looks at an action or group of actions.
func (l *linter) action(p *compiled, e types.EntityUID, name string) {
	groups := []string{"call", "read", "write", "destroy", "tool:*", "attorn:*"}
	switch {
	case len(l.actions) == 0 || slices.Contains(groups, name) || slices.Contains(l.actions, name):
		return
	case strings.HasSuffix(name, "/read") && strings.HasPrefix(name, "tool:"): // resources of a server, which are no tool of its
		return
	}
	if group, ok := strings.CutSuffix(name, ":*"); ok {
		if slices.ContainsFunc(l.actions, func(a string) bool { return strings.HasPrefix(a, group+":") }) {
			return
		}
		if server, ok := strings.CutPrefix(group, "tool:"); ok && !strings.Contains(server, ":") {
			l.warn(p, words(e), "unknown_server", "there is no MCP server %q%s", server, meant(server, l.servers))
			return
		}
	}
	known := l.actions
	if strings.HasPrefix(name, "tool:") {
		l.warn(p, words(e), "unknown_tool", "there is no tool %q%s", strings.TrimPrefix(name, "tool:"), meant(name, known))
	} else if strings.HasPrefix(name, "attorn:") || !strings.Contains(name, ":") {
		l.warn(p, words(e), "unknown_action", "there is no action %q%s", name, meant(name, append(groups, known...)))
	}
}

// role looks at the name of a role. A role that votes needs no file: without knowing who holds what, only a name that is close to another is doubted.
func (l *linter) role(p *compiled, name string, at []string) {
	name, _, _ = strings.Cut(name, "@")
	if slices.Contains(l.roles, name) {
		return
	}
	switch near := meant(name, l.roles); {
	case l.world.Holders != nil:
		l.warn(p, at, "unknown_role", "there is no role %q, and nobody holds one of that name%s", name, near)
	case near != "":
		l.warn(p, at, "unknown_role", "there is no file of a role %q%s", name, near)
	}
}
