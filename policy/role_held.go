package policy

import (
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go/types"

	"github.com/attorn/attorn/delegation"
)

// heldRoles are the roles of a set as their holders have them. What depends on a request, the copies in scopes and the permissions with constraints, is made when first
// asked for and kept within a bound; it follows from its key alone, so a decision does not depend on what is kept.
type heldRoles struct {
	whole map[string]*heldRole // workspace-wide, by name
	kept  *keptRoles
}

type keptRoles struct {
	sync.RWMutex
	nodes  int // of the syntax trees that are kept
	scoped map[string]*heldRole
	wheres map[whereKey]*compiled
}

// heldRole is a role, or its copy in a scope.
type heldRole struct {
	*role
	holders string // with the scope
	scope   *types.EntityUID
	parents []types.EntityUID // the roles that it inherits, in the same scope
	copies  []*compiled       // of a copy: its policies without constraints
	rules   *index            // of copies
}

// whereKey is what the policy of a permission with constraints depends on, in one set.
type whereKey struct {
	holders string
	n       int
	kinds   [maxPaths]argKind
}

// maxKept bounds what is kept: nodes of syntax trees.
const maxKept = 500_000

func newHeldRoles(roles map[string]*role) heldRoles {
	h := heldRoles{map[string]*heldRole{}, &keptRoles{}}
	h.kept.room(maxKept + 1)
	for name, r := range roles {
		h.whole[name], _ = r.held(name, nil)
	}
	return h
}

// room makes room for so many nodes more.
func (k *keptRoles) room(nodes int) {
	if k.nodes+nodes > maxKept {
		k.nodes, k.scoped, k.wheres = 0, map[string]*heldRole{}, map[whereKey]*compiled{}
	}
	k.nodes += nodes
}

// held is r as its holders have it, workspace-wide or in a scope, and its size.
func (r *role) held(holders string, scope *types.EntityUID) (held *heldRole, nodes int) {
	held = &heldRole{role: r, holders: holders, scope: scope}
	at := strings.TrimPrefix(holders, r.Name)
	held.parents = make([]types.EntityUID, len(r.all))
	for i, parent := range r.all {
		held.parents[i] = types.NewEntityUID("Role", types.String(parent+at))
	}
	if nodes = len(held.parents) + 1; scope == nil {
		return held, nodes
	}
	for _, part := range r.plan {
		if !part.where {
			p := r.policy(part, part.tests(), holders, scope)
			n, _ := measure(p.ast, maxNodes)
			nodes, held.copies = nodes+n, append(held.copies, p)
		}
	}
	rules := newIndex(held.copies)
	held.rules = &rules
	return held, nodes
}

// find is the role that an entity of type Role names; nil if the bundle has none, or the scope is none.
func (h *heldRoles) find(holders string) *heldRole {
	if held := h.whole[holders]; held != nil || h.kept == nil {
		return held
	}
	name, scope, scoped := strings.Cut(holders, "@")
	whole := h.whole[name]
	if !scoped || whole == nil {
		return nil
	}
	k := h.kept
	k.RLock()
	held := k.scoped[holders]
	k.RUnlock()
	if held != nil {
		return held
	}
	named, err := ScopeEntity(scope)
	if err != nil {
		return nil
	}
	uid := entityUID(named)
	held, nodes := whole.held(holders, &uid)
	k.Lock()
	defer k.Unlock()
	k.room(nodes)
	k.scoped[holders] = held
	return held
}

// of are the roles of a principal.
func (h *heldRoles) of(q *asking) iter.Seq[*heldRole] {
	return func(yield func(*heldRole) bool) {
		for _, uid := range q.axes[0].in {
			if uid.Type != "Role" {
				continue
			}
			if held := h.find(string(uid.ID)); held != nil && !yield(held) {
				return
			}
		}
	}
}

// more appends the policies of a principal's roles that the index of the set does not have: the copies in scopes, and the permissions with constraints that cover the
// action, made for the shape of its arguments.
func (h *heldRoles) more(f found, r *request, q *asking) found {
	for held := range h.of(q) {
		if held.rules != nil {
			f = held.rules.lookup(f, q)
		}
		for _, part := range held.constrained(r) {
			if p := h.typed(held, part, r.shape); p != nil && q.meets(p) {
				f = append(f, p)
			}
		}
	}
	return f
}

// near are the policies that a principal has by roles, whether their scope is met or not, or would have by one more, workspace-wide, where the index of the set does not
// have them.
func (h *heldRoles) near(r *request, q *asking) (f found) {
	add := func(held *heldRole) {
		for _, part := range held.constrained(r) {
			if p := h.typed(held, part, r.shape); p != nil && !slices.Contains(f, p) {
				f = append(f, p)
			}
		}
	}
	for held := range h.of(q) {
		f = append(f, held.copies...)
		add(held)
	}
	for _, held := range h.whole {
		add(held)
	}
	return f
}

// loose are, for arguments that are not known, the policies of more; constraints are left out of the second list, of permits that some arguments may meet.
func (h *heldRoles) loose(r *request, q *asking) (scoped, maybe found) {
	for held := range h.of(q) {
		if held.rules != nil {
			scoped = held.rules.lookup(scoped, q)
		}
		for _, part := range held.constrained(r) {
			if !part.forbid {
				maybe = append(maybe, held.policy(*part, part.tests(), held.holders, held.scope))
			}
		}
	}
	return scoped, maybe
}

// constrained are the parts that have constraints and cover the permission that is asked for: of a service's own object it names the object, which the action does not.
func (held *heldRole) constrained(r *request) (parts []*rolePart) {
	if len(held.wheres) == 0 {
		return nil
	}
	asked, err := delegation.ParsePermission(r.facts.permission())
	if err != nil || !asked.Concrete() {
		return nil
	}
	for _, part := range held.wheres {
		if part.pattern.Covers(asked) {
			parts = append(parts, part)
		}
	}
	return parts
}

// typed is the policy of a permission with constraints on arguments of a shape; nil for a permit that no such arguments can meet.
func (h *heldRoles) typed(held *heldRole, part *rolePart, shape *Shape) *compiled {
	key := whereKey{holders: held.holders, n: part.n}
	for i, path := range part.paths {
		key.kinds[i] = shape.kindAt(strings.Split(path, ".")...)
	}
	k := h.kept
	k.RLock()
	p, known := k.wheres[key]
	k.RUnlock()
	if known {
		return p
	}
	nodes := 1
	if test, ok := part.whereTest(key.kinds); ok {
		p = held.policy(*part, test, held.holders, held.scope)
		nodes, _ = measure(p.ast, maxNodes)
	}
	k.Lock()
	defer k.Unlock()
	k.room(nodes)
	k.wheres[key] = p
	return p
}
