//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// oldest is the first major version that attorn runs on.
const oldest = 15

// binaries is one installed PostgreSQL server.
type binaries struct {
	dir     string // holds initdb and postgres
	version string // "15.18"
	major   int
}

var printed = regexp.MustCompile(`\(PostgreSQL\) ((\d+)[.0-9a-z]*)`)

// places are the directories that may hold a server: the path, and where Debian, Red Hat's packages and Homebrew put theirs.
func places(path string) []string {
	dirs := filepath.SplitList(path)
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"} {
		more, _ := filepath.Glob(pattern) // the pattern is well formed
		dirs = append(dirs, more...)
	}
	return dirs
}

// findBinaries returns the newest server in dirs.
func findBinaries(dirs []string) (binaries, error) {
	var all []binaries
	for _, dir := range dirs {
		// A link to postgres may stand alone on the path; its target's directory has the rest.
		server, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil {
			continue
		}
		dir := filepath.Dir(server)
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		out, err := exec.Command(server, "--version").Output()
		if m := printed.FindSubmatch(out); err == nil && m != nil {
			major, _ := strconv.Atoi(string(m[2])) // digits
			all = append(all, binaries{dir: dir, version: string(m[1]), major: major})
		}
	}
	if len(all) == 0 {
		return binaries{}, fmt.Errorf("no PostgreSQL server is installed. Try: apt-get install postgresql, or set %s to the URL of a server, as its superuser", variable)
	}
	newest := slices.MaxFunc(all, func(a, b binaries) int { return a.major - b.major })
	if newest.major < oldest {
		return binaries{}, fmt.Errorf("PostgreSQL %s in %s is too old: attorn needs %d or newer", newest.version, newest.dir, oldest)
	}
	return newest, nil
}
