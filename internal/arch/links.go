package arch

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	fence   = regexp.MustCompile("(?ms)^ *(```|~~~).*?^ *(```|~~~) *$")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)`)
	refer   = regexp.MustCompile(`(?m)^ {0,3}\[[^\]\n]+\]:\s*<?(\S+?)>?\s*$`)
	heading = regexp.MustCompile(`(?m)^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$`)
	scheme  = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)
)

// Links reads every Markdown file below root and returns a line for each link that leads nowhere: a file that is not there, or a heading that
// the file does not have. Links to other sites are not followed.
func Links(root fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." {
			if base := path.Base(name); base == "node_modules" || base == "testdata" || base == "bin" || base[0] == '.' {
				return fs.SkipDir
			}
		}
		if path.Ext(name) != ".md" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, target := range targets(string(text)) {
			if why := broken(root, name, target); why != "" {
				found = append(found, fmt.Sprintf("%s: the link %s leads nowhere: %s", name, target, why))
			}
		}
		return nil
	})
	return found, err
}

// targets are the links of a text, code left out.
func targets(text string) []string {
	text = code.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
	var all []string
	for _, m := range slices.Concat(link.FindAllStringSubmatch(text, -1), refer.FindAllStringSubmatch(text, -1)) {
		all = append(all, m[1])
	}
	return all
}

// broken says why a link from a file leads nowhere, or "".
func broken(root fs.FS, from, target string) string {
	if scheme.MatchString(target) || strings.HasPrefix(target, "//") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	if strings.HasPrefix(file, "/") || !fs.ValidPath(to) {
		return "it points out of the repository"
	}
	info, err := fs.Stat(root, to)
	if err != nil {
		return "there is no " + to
	}
	if anchor == "" || info.IsDir() || path.Ext(to) != ".md" {
		return ""
	}
	text, err := fs.ReadFile(root, to)
	if err != nil {
		return err.Error()
	}
	if !slices.Contains(anchors(string(text)), anchor) {
		return to + " has no heading for it"
	}
	return ""
}

// anchors are the names that a renderer gives to the headings of a text: lower case, letters, digits, hyphens for spaces, -1 and on for repeats.
func anchors(text string) []string {
	var all []string
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 0x7f:
				return r
			}
			return -1
		}, strings.ToLower(link.ReplaceAllString(m[1], "")))
		if n := seen[name]; n > 0 {
			all = append(all, fmt.Sprintf("%s-%d", name, n))
		} else {
			all = append(all, name)
		}
		seen[name]++
	}
	return all
}
