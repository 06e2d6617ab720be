package policy

import (
	"embed"
	"slices"
	"strings"
)

//go:embed attorn/*.cedar attorn/roles/*.yaml
var shipped embed.FS

// Shipped are the files that every bundle has: the built-in roles, and the Cedar text of the rules that hold in every workspace. Their paths begin with attorn/ and are
// kept for ever, so that old bundles still compile.
func Shipped() []File {
	var all []File
	for _, dir := range []string{"attorn", "attorn/roles"} {
		entries, _ := shipped.ReadDir(dir) // they are in the binary
		for _, e := range entries {
			if !e.IsDir() {
				path := dir + "/" + e.Name()
				text, _ := shipped.ReadFile(path)
				all = append(all, File{Path: path, Text: text})
			}
		}
	}
	return all
}

// ActionParents lists, sorted, the groups that an action belongs to: for "tool:files:read_file" of class "read" these are "call", "read", "tool:*" and
// "tool:files:*"; for "repo:write" of a resource type, of class write, "call", "write" and "repo:*"; for "attorn:agent:create" they are "attorn:*" and "attorn:agent:*". What is of no known class counts as "destroy". An action outside
// the grammar of permissions belongs to nothing.
func ActionParents(action, class string) []string {
	segments := segmentsOf(action)
	if segments == nil {
		return nil
	}
	var parents []string
	for i := 1; i < len(segments); i++ {
		parents = append(parents, strings.Join(segments[:i], ":")+":*")
	}
	if segments[0] != "attorn" && (segments[0] == "tool" || class != "") {
		if class != "read" && class != "write" {
			class = "destroy"
		}
		parents = append(parents, "call", class)
	}
	slices.Sort(parents)
	return parents
}

// segmentsOf splits a concrete permission, or returns nil for what is none: at most 8 segments and 255 bytes, each segment of letters, digits and -_./@.
func segmentsOf(action string) []string {
	if len(action) > 255 {
		return nil
	}
	segments := strings.Split(action, ":")
	if len(segments) > 8 {
		return nil
	}
	for _, s := range segments {
		if s == "" {
			return nil
		}
		for i := range len(s) {
			if c := s[i]; !identByte(c) && strings.IndexByte("-./@", c) < 0 {
				return nil
			}
		}
	}
	return segments
}
