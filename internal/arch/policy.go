package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Policy is arch.txt, parsed and found consistent.
type Policy struct {
	module   string
	groups   map[string][]string
	powers   map[string]power
	common   []string // modules for every package
	tests    []string // modules for test files
	never    []edge
	only     []reserve
	owners   []string
	packages map[string]room
}

// power is what its holder may import and mention.
type power struct{ imports, calls []string }

// edge says that none of from may import any of to, itself aside.
type edge struct {
	from, to []string
	text     string
}

// reserve says that nobody but who may have a power.
type reserve struct {
	who   []string
	power string
	text  string
}

// room is the line of one package.
type room struct {
	imports, modules, may []string
}

// Parse reads the text of arch.txt and refuses one that contradicts itself: a word it does not know, a package twice, a line that takes what a
// rule forbids, a circle of imports.
func Parse(text string) (*Policy, error) {
	p := &Policy{groups: map[string][]string{}, powers: map[string]power{}, packages: map[string]room{}}
	var lines [][]string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, words)
		}
	}
	// Names first: a line may speak of a package that is named further down.
	for _, words := range lines {
		if err := p.declare(words); err != nil {
			return nil, fmt.Errorf("arch.txt: %q: %w", strings.Join(words, " "), err)
		}
	}
	for _, words := range lines {
		if err := p.read(words); err != nil {
			return nil, fmt.Errorf("arch.txt: %q: %w", strings.Join(words, " "), err)
		}
	}
	if p.module == "" {
		return nil, fmt.Errorf("arch.txt: no line module")
	}
	return p, p.consistent()
}

func (p *Policy) declare(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("too short")
	}
	if !slices.Contains([]string{"module", "group", "power", "common", "tests", "apart", "never", "only", "owners", "package"}, words[0]) {
		return fmt.Errorf("unknown word %s", words[0])
	}
	name, taken := words[1], false
	switch words[0] {
	case "group":
		_, taken = p.groups[name]
		p.groups[name] = words[2:]
	case "package":
		_, taken = p.packages[name]
		p.packages[name] = room{}
	case "power":
		if len(words) < 4 || (words[2] != "imports" && words[2] != "calls") {
			return fmt.Errorf("want: power NAME imports|calls …")
		}
		_, taken = p.powers[name]
		if words[2] == "imports" {
			p.powers[name] = power{imports: words[3:]}
		} else {
			p.powers[name] = power{calls: words[3:]}
		}
	}
	if taken {
		return fmt.Errorf("%s is named twice", name)
	}
	return nil
}

func (p *Policy) read(words []string) error {
	parts := sections(words[1:], "imports", "modules", "may")
	switch words[0] {
	case "module":
		p.module = words[1]
		return nil
	case "power":
		return nil
	case "common":
		p.common = parts["modules"]
		return nil
	case "tests":
		p.tests = parts["modules"]
		return nil
	}
	who, err := p.expand(parts[""])
	if err != nil {
		return err
	}
	imports, err := p.expand(parts["imports"])
	if err != nil {
		return err
	}
	for _, name := range parts["may"] {
		if _, ok := p.powers[name]; !ok {
			return fmt.Errorf("%s is no power", name)
		}
	}
	text := strings.Join(words, " ")
	switch words[0] {
	case "apart":
		p.never = append(p.never, edge{who, who, text})
	case "never":
		p.never = append(p.never, edge{who, imports, text})
	case "only":
		for _, name := range parts["may"] {
			p.only = append(p.only, reserve{who, name, text})
		}
	case "owners":
		p.owners = who
	case "package":
		p.packages[words[1]] = room{imports, parts["modules"], parts["may"]}
	}
	return nil
}

// sections cuts words at the keys; what stands before the first key is under "".
func sections(words []string, keys ...string) map[string][]string {
	parts, key := map[string][]string{}, ""
	for _, w := range words {
		if slices.Contains(keys, w) {
			key = w
			continue
		}
		parts[key] = append(parts[key], w)
	}
	return parts
}

// expand replaces groups by their packages, to any depth.
func (p *Policy) expand(names []string) ([]string, error) { return p.expandBelow(names, 0) }

func (p *Policy) expandBelow(names []string, depth int) ([]string, error) {
	if depth > 8 {
		return nil, fmt.Errorf("groups within groups without end")
	}
	var all []string
	for _, name := range names {
		if group, ok := p.groups[name]; ok {
			members, err := p.expandBelow(group, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, members...)
		} else if _, ok := p.packages[name]; ok {
			all = append(all, name)
		} else {
			return nil, fmt.Errorf("%s is neither a package nor a group", name)
		}
	}
	return all, nil
}

// consistent refuses a package's line that a rule above it forbids, and a circle.
func (p *Policy) consistent() error {
	for _, dir := range slices.Sorted(maps.Keys(p.packages)) {
		for _, to := range p.packages[dir].imports {
			if rule := p.forbids(dir, to); rule != "" {
				return fmt.Errorf("arch.txt: package %s imports %s, against: %s", dir, to, rule)
			}
		}
		for _, name := range p.packages[dir].may {
			if rule := p.reserved(dir, name); rule != "" {
				return fmt.Errorf("arch.txt: package %s may %s, against: %s", dir, name, rule)
			}
		}
		if circle := p.circle(dir, dir, nil); circle != nil {
			return fmt.Errorf("arch.txt: a circle of imports: %s", strings.Join(circle, " → "))
		}
	}
	return nil
}

// forbids returns the rule by which from may never import to, or "".
func (p *Policy) forbids(from, to string) string {
	for _, e := range p.never {
		if from != to && slices.Contains(e.from, from) && slices.Contains(e.to, to) {
			return e.text
		}
	}
	return ""
}

// reserved returns the rule by which dir may not have a power, or "".
func (p *Policy) reserved(dir, name string) string {
	for _, o := range p.only {
		if o.power == name && !slices.Contains(o.who, dir) {
			return o.text
		}
	}
	return ""
}

func (p *Policy) circle(start, at string, path []string) []string {
	path = append(path, at)
	for _, to := range p.packages[at].imports {
		if to == start && at != start {
			return append(path, to)
		}
		if to == at || slices.Contains(path, to) {
			continue
		}
		if found := p.circle(start, to, path); found != nil {
			return found
		}
	}
	return nil
}
