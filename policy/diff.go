package policy

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	cedarast "github.com/cedar-policy/cedar-go/ast"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// How something differs between two bundles.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Difference is what one bundle has otherwise than another. All lists are sorted.
type Difference struct {
	Files    []FileChange
	Policies []PolicyChange
	Roles    []string // whose holders' authority a change of policies is about: those that a changed policy names, and those of changed files below roles/
}

// FileChange is a file that differs, if only in layout.
type FileChange struct {
	Path, How string
}

// PolicyChange is a policy that means something else, or is there in one bundle alone. Where it stands is in the later bundle; of one that was removed, in the earlier.
type PolicyChange struct {
	ID, How, Effect string // Effect: permit, forbid, gate
	File            string
	Line            int
}

// Empty reports whether the bundles decide alike.
func (d Difference) Empty() bool { return len(d.Files) == 0 }

// Diff says what b has otherwise than a. Policies are compared by @id and by what they say: layout, comments and the order of files change nothing. One without an @id
// is known by what it says and its file, since its number changes with what stands above it.
func Diff(a, b *Set) Difference {
	var d Difference
	before, after := digests(a), digests(b)
	for path, sum := range after {
		if was, ok := before[path]; !ok {
			d.Files = append(d.Files, FileChange{path, Added})
		} else if was != sum {
			d.Files = append(d.Files, FileChange{path, Changed})
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			d.Files = append(d.Files, FileChange{path, Removed})
		}
	}
	slices.SortFunc(d.Files, func(x, y FileChange) int { return strings.Compare(x.Path, y.Path) })
	roles := map[string]bool{}
	for _, f := range d.Files {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(f.Path, "store/"), ".yaml"); ok && strings.HasPrefix(name, "roles/") {
			roles[strings.TrimPrefix(name, "roles/")] = true
		}
	}
	d.policies(a, b, roles)
	d.Roles = slices.Sorted(maps.Keys(roles))
	return d
}

func digests(s *Set) map[string]string {
	all := make(map[string]string, len(s.files))
	for _, f := range s.files {
		all[f.Path] = string(f.Text)
	}
	return all
}

func (d *Difference) policies(a, b *Set, roles map[string]bool) {
	old, now := byMeaning(a), byMeaning(b)
	note := func(p *compiled, how string) {
		d.Policies = append(d.Policies, PolicyChange{p.id, how, p.effect(), p.ast.Position.Filename, p.ast.Position.Line})
		for _, r := range p.roles() {
			roles[r] = true
		}
	}
	for key, p := range now {
		was, ok := old[key]
		if !ok {
			note(p, Added)
		} else if !bytes.Equal(was.said(), p.said()) {
			note(p, Changed)
			for _, r := range was.roles() {
				roles[r] = true
			}
		}
	}
	for key, p := range old {
		if _, ok := now[key]; !ok {
			note(p, Removed)
		}
	}
	slices.SortFunc(d.Policies, func(x, y PolicyChange) int {
		return strings.Compare(x.ID+"\x00"+x.How, y.ID+"\x00"+y.How)
	})
}

// byMeaning are a set's policies by what they are known by in another one.
func byMeaning(s *Set) map[string]*compiled {
	all := make(map[string]*compiled, len(s.byID))
	for name, p := range s.byID {
		if file, _, numbered := strings.Cut(name, "#"); numbered && file == p.ast.Position.Filename { // several that say the same are as good as one
			name = file + "#" + string(p.said())
		}
		all[name] = p
	}
	return all
}

// said is a policy without its layout.
func (p *compiled) said() []byte {
	raw, err := (*cedarast.Policy)(p.ast).MarshalJSON()
	if err != nil { // a policy that was parsed has a JSON form; one that had none differs from all
		return []byte(p.source.String())
	}
	return raw
}

func (p *compiled) effect() string {
	if p.gate.kind != "" {
		return "gate"
	}
	return effect(p.forbid)
}

// roles are those that a policy's scope is about, without their scopes.
func (p *compiled) roles() []string {
	var uid xast.IsScopeNode = p.ast.Principal
	var names []string
	switch s := uid.(type) {
	case xast.ScopeTypeIn:
		names = roleOf(string(s.Entity.Type), string(s.Entity.ID))
	case xast.ScopeTypeIsIn:
		names = roleOf(string(s.Entity.Type), string(s.Entity.ID))
	}
	return names
}

func roleOf(kind, name string) []string {
	if kind != "Role" {
		return nil
	}
	name, _, _ = strings.Cut(name, "@")
	return []string{name}
}
