package policy

import (
	"maps"
	"slices"
	"strings"

	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// pathOf is the way to a member from a variable, as "context.args.env": for comparing and showing. Beyond a depth that arguments do not have there is none.
func pathOf(n xast.IsNode) (string, bool) {
	var names []string
	for {
		switch v := n.(type) {
		case xast.NodeTypeVariable:
			names = append(names, string(v.Name))
			slices.Reverse(names)
			return strings.Join(names, "."), true
		case xast.NodeTypeAccess:
			names, n = append(names, string(v.Value)), v.Arg
			if len(names) <= maxArgDepth+2 {
				continue
			}
		}
		return "", false
	}
}

// present is a set of paths that are surely there; "!" before one says that it surely is not.
type present map[string]bool

func (p present) has(path string) bool { return p[path] }

func (p present) and(o present) present {
	if len(p) == 0 {
		return o
	}
	all := maps.Clone(p)
	maps.Copy(all, o)
	return all
}

func (p present) or(o present) present {
	both := present{}
	for path := range p {
		if o[path] {
			both[path] = true
		}
	}
	return both
}

// reads goes through expressions and tells what they read.
type reads struct {
	member func(path string, sure present) // may be nil; sure is what is there for certain when it is read
}

// visit returns what is surely there, or not, if n is true, and if it is false.
func (r reads) visit(n xast.IsNode, sure present) (whenTrue, whenFalse present) {
	switch n := n.(type) {
	case xast.NodeTypeHas:
		r.visit(n.Arg, sure)
		if path, ok := pathOf(n.Arg); ok {
			path += "." + string(n.Value)
			return present{path: true}, present{"!" + path: true}
		}
		return nil, nil
	case xast.NodeTypeNot:
		t, f := r.visit(n.Arg, sure)
		return f, t
	case xast.NodeTypeAnd:
		lt, lf := r.visit(n.Left, sure)
		rt, rf := r.visit(n.Right, sure.and(lt))
		return lt.and(rt), lf.or(lt.and(rf))
	case xast.NodeTypeOr:
		lt, lf := r.visit(n.Left, sure)
		rt, rf := r.visit(n.Right, sure.and(lf))
		return lt.or(lf.and(rt)), lf.and(rf)
	case xast.NodeTypeIfThenElse:
		ct, cf := r.visit(n.If, sure)
		tt, tf := r.visit(n.Then, sure.and(ct))
		et, ef := r.visit(n.Else, sure.and(cf))
		return ct.and(tt).or(cf.and(et)), ct.and(tf).or(cf.and(ef))
	case xast.NodeTypeAccess:
		if path, ok := pathOf(n); ok && r.member != nil {
			r.member(path, sure)
		}
	}
	own := true
	xast.Inspect(xast.NewNode(n), func(below xast.IsNode) bool {
		if own {
			own = false
			return true
		}
		r.visit(below, sure)
		return false
	})
	return nil, nil
}

// sometimes are the members of the context that are not always there.
var sometimes = []string{
	"context.actor.agent", "context.subject", "context.delegation", "context.delegation.task", "context.delegation.purpose", "context.auth", "context.facts.ip",
}

// unguarded finds members that a policy reads though they may be absent: it cannot be evaluated then.
func (l *linter) unguarded(p *compiled) {
	reached := l.reached(p)
	said := map[string]bool{}
	sure := present{}
	r := reads{member: func(path string, sure present) {
		if !said[path] {
			said[path] = l.read(p, path, sure, reached)
		}
	}}
	for _, c := range p.ast.Conditions {
		whenTrue, whenFalse := r.visit(c.Body, sure)
		if c.Condition == xast.ConditionUnless {
			whenTrue = whenFalse
		}
		sure = sure.and(whenTrue)
	}
}

// reached are the tools that a policy's scope may be about.
func (l *linter) reached(p *compiled) (all []Action) {
	for _, a := range l.world.Actions {
		if p.meets(schemaAction{id: a.Name, parents: ActionParents(a.Name, a.Class)}, a.Resource) {
			all = append(all, a)
		}
	}
	return all
}

// read says, once, what is wrong with reading a path.
func (l *linter) read(p *compiled, path string, sure present, reached []Action) bool {
	words := strings.Split(strings.ReplaceAll(path, ".", "\x00.\x00"), "\x00")
	guard := strings.LastIndexByte(path, '.')
	args, isArgument := strings.CutPrefix(path, "context.args.")
	switch {
	case sure.has(path):
		return false
	case slices.Contains(sometimes, path):
		l.warn(p, words, "unguarded", "%s is not always there, and then this policy cannot be evaluated: test `%s has %s` first", path, path[:guard], path[guard+1:])
		return true
	case !isArgument || len(reached) == 0:
		return false
	}
	return l.argument(p, path, strings.Split(args, "."), words, reached)
}

// argument looks at an argument that is read untested.
func (l *linter) argument(p *compiled, path string, args, words []string, reached []Action) bool {
	guard := strings.LastIndexByte(path, '.')
	var known []string
	tools, without := 0, ""
	for _, a := range reached {
		if a.Shape == nil {
			continue
		}
		tools++
		fields := a.Shape.fields(args[:len(args)-1])
		known = append(known, slices.Sorted(maps.Keys(fields))...)
		field, there := fields[args[len(args)-1]]
		if without == "" && (!there || field.kind == argNone || field.optional) {
			without = a.Name
		}
	}
	name := args[len(args)-1]
	switch {
	case tools == 0 || without == "":
		return false
	case !slices.Contains(known, name):
		l.warn(p, words, "unknown_argument", "no tool that this policy is about has the argument %s%s", strings.Join(args, "."), meant(name, known))
	default:
		l.warn(p, words, "unguarded", "%s may be absent in %s, and then this policy cannot be evaluated: test `%s has %s` first", path, without, path[:guard], name)
	}
	return true
}

// fields are those of the record at a path of names.
func (s *Shape) fields(path []string) map[string]argField {
	t := s.args
	for _, name := range path {
		t = t.fields[name].argType
	}
	return t.fields
}
