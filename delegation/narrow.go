package delegation

import (
	"fmt"

	"github.com/attorn/attorn/fault"
)

// Narrows reports, by a nil error, that child may follow parent in a chain: it belongs to it, and is no wider in any dimension.
//
// It belongs to it (code chain_broken): the same issuer and workspace; the child's parent is the parent's digest; the child's delegator is
// the parent's delegate, with the parent's instance where that is bound. Or the child is lent in the stead of the parent's delegate
// (Statement.InStead): by the person whose root the parent is, to the agent that its may_act names.
//
// It narrows (code widens, the dimension in the reason):
//   - permissions: each is covered by one single permission of the parent (CoversAll);
//   - time: it begins no earlier and ends no later;
//   - depth: at most the parent's less one; what is lent in the delegate's stead takes none, and has none;
//   - uses: where both have a limit, no more than the parent's. A child without one under a parent with one is no wider, because uses are
//     counted at every link of the chain: a call by the child spends one of the parent's too, so the parent's limit binds the child whatever
//     the child says;
//   - task: the parent's where that names one. A child may name one where the parent does not, and may change the purpose.
//
// Both must have passed Check; the codes of Check are returned otherwise.
func Narrows(parent, child Statement) error {
	if err := child.Check(); err != nil {
		return err
	}
	if err := follows(parent, child); err != nil {
		return err
	}
	switch {
	case !CoversAll(parent.Permissions, child.Permissions):
		return widens("permissions: %s", uncovered(parent, child))
	case child.NotBefore < parent.NotBefore:
		return widens("time: it begins %s, before the parent's %s", seconds(child.NotBefore), seconds(parent.NotBefore))
	case child.ExpiresAt > parent.ExpiresAt:
		return widens("time: it ends %s, after the parent's %s", seconds(child.ExpiresAt), seconds(parent.ExpiresAt))
	case parent.MaxDepth == 0 && !child.InStead():
		return widens("depth: the parent may not be lent on")
	case child.MaxDepth >= parent.MaxDepth && !child.InStead():
		return widens("depth: at most %d more hops may follow it, not %d", parent.MaxDepth-1, child.MaxDepth)
	case child.MaxUses != nil && parent.MaxUses != nil && *child.MaxUses > *parent.MaxUses:
		return widens("uses: %d of the parent's %d", *child.MaxUses, *parent.MaxUses)
	case parent.Task != "" && child.Task != parent.Task:
		return widens("task: the parent was lent for one task, and this is not it")
	}
	return nil
}

func follows(parent, child Statement) error {
	digest, err := parent.Digest()
	if err != nil {
		return err
	}
	switch to, by := parent.Delegate, child.Delegator; {
	case child.Issuer != parent.Issuer || child.Workspace != parent.Workspace:
		return broken("it is of another issuer or workspace than its parent")
	case child.Parent == nil || *child.Parent != digest:
		return broken("it names another parent")
	case child.InStead() && (by.User != parent.Delegator.User || parent.Parent != nil):
		return broken("it is by a person, and its parent is no root of theirs")
	case child.InStead() && (parent.MayAct.IsZero() || child.Delegate.Agent != parent.MayAct):
		return broken("its parent does not say that %s may act", child.Delegate.Agent)
	case child.InStead():
		return nil
	case by.Agent != to.Agent:
		return broken("its delegator %s is not the parent's delegate %s", by.Agent, to.Agent)
	case !to.Instance.IsZero() && by.Instance != to.Instance:
		return broken("the parent was lent to one instance, and another one lends it on")
	}
	return nil
}

// uncovered says which permission the parent has no cover for. The constraints are not repeated: they can hold what was asked for.
func uncovered(parent, child Statement) string {
	for _, p := range child.Permissions {
		if coversOne(parent.Permissions, p) {
			continue
		}
		if pat, err := ParsePermission(p.Permission); err == nil {
			for _, q := range parent.Permissions {
				if wide, err := ParsePermission(q.Permission); err == nil && wide.Covers(pat) {
					return p.Permission + " is lent with narrower constraints by the parent"
				}
			}
		}
		return p.Permission + " is not lent by the parent"
	}
	return ""
}

func widens(reason string, args ...any) error {
	return fault.New(fault.Denied, "widens", "the delegation is wider than its parent in %s", fmt.Sprintf(reason, args...)).Try("lend at most what you were lent: `attorn delegation show` lists it")
}

func broken(reason string, args ...any) error {
	return fault.New(fault.Invalid, "chain_broken", "the delegation does not follow its parent: %s", fmt.Sprintf(reason, args...))
}
