package policy

import "fmt"

// settingsPath is the file of a bundle that says how it is kept.
const settingsPath = "attorn.yaml"

// Settings are what attorn.yaml says. Nothing of it changes a decision.
type Settings struct {
	MinCoverage int `json:"min_coverage"` // per cent of the policies that tests must have seen match and not match, for `attorn policy test` to pass
}

// Settings are those of the bundle; the zero value without a file.
func (s *Set) Settings() Settings { return s.settings }

func (c *compiler) settled(f File) {
	p := decodeYAML(f.Path, f.Text, &c.settings)
	if p == nil && (c.settings.MinCoverage < 0 || c.settings.MinCoverage > 100) {
		p = &Problem{File: f.Path, Code: "settings_invalid", Message: fmt.Sprintf("min_coverage is 0 to 100, not %d", c.settings.MinCoverage)}
	}
	if p != nil {
		c.bad(*p)
	}
}

// tested reads a file of tests, which must say what it means before anything is published with it.
func (c *compiler) tested(f File) {
	_, problems := readTable(f.Path, f.Text)
	for _, p := range problems {
		c.bad(p)
	}
}
