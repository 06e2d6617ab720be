package delegation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Words says constraints for people: "path begins with staging/ and replicas is at most 4", in the order of the arguments' names.
func Words(where map[string]Constraint) string {
	var all []string
	for _, path := range slices.Sorted(maps.Keys(where)) {
		for _, w := range where[path].words() {
			all = append(all, path+" "+w)
		}
	}
	return strings.Join(all, " and ")
}

func (c Constraint) words() (all []string) {
	if c.Equals != nil {
		all = append(all, "is "+c.Equals.String())
	}
	if len(c.In) > 0 {
		var members []string
		for _, v := range c.In {
			members = append(members, v.String())
		}
		all = append(all, "is one of "+strings.Join(members, ", "))
	}
	if c.Prefix != nil {
		all = append(all, "begins with "+*c.Prefix)
	}
	if c.Min != nil {
		all = append(all, fmt.Sprintf("is at least %d", *c.Min))
	}
	if c.Max != nil {
		all = append(all, fmt.Sprintf("is at most %d", *c.Max))
	}
	return all
}
