package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

// The bounds of a directory of policies, a little over those of a bundle, which the compiler then names.
const (
	maxPolicyFile  = 1<<20 + 1
	maxPolicyBytes = 9 << 20
	maxPolicyFiles = 25_000
)

// bundleDir is a directory of policies as people keep it.
type bundleDir struct {
	dir      string
	files    []policy.File    // by path
	problems []policy.Problem // of files that cannot be part of a bundle
	ignored  []string         // what is none of the bundle's business
}

// bundleParts are what a directory of policies has.
var bundleParts = []string{"policies", "roles", "types", "flows", "tests"}

// readBundle reads DIR's attorn.yaml, policies/**/*.cedar, roles/, types/, flows/ and tests/. What a link leads to outside of DIR is not read.
func readBundle(dir string) (bundleDir, error) {
	b := bundleDir{dir: dir}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return b, err
	}
	defer root.Close()
	top, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return b, err
	}
	size := 0
	for _, e := range top {
		switch name := e.Name(); {
		case name == "attorn.yaml" || slices.Contains(bundleParts, name):
			err = fs.WalkDir(root.FS(), name, func(p string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				return b.take(root, p, d, &size)
			})
			if err != nil {
				return b, err
			}
		case !strings.HasPrefix(name, "."):
			b.ignored = append(b.ignored, name)
		}
	}
	if !slices.ContainsFunc(b.files, func(f policy.File) bool { return strings.HasPrefix(f.Path, "policies/") }) && len(b.problems) == 0 {
		return b, usageError{fmt.Errorf("there are no policies in %s: they are read from %s", dir, path.Join(dir, "policies", "*.cedar"))}
	}
	return b, nil
}

// take reads one file, or says why it is no part of the bundle.
func (b *bundleDir) take(root *os.Root, p string, d fs.DirEntry, size *int) error {
	bad := func(format string, args ...any) error {
		b.problems = append(b.problems, policy.Problem{File: p, Code: "bad_path", Message: fmt.Sprintf(format, args...), Severity: policy.SeverityError})
		return nil
	}
	hidden := strings.HasPrefix(path.Base(p), ".")
	info, err := root.Stat(p)
	switch {
	case hidden && d.IsDir():
		return fs.SkipDir
	case hidden || strings.HasSuffix(p, ".md"):
		return nil
	case err != nil && d.Type()&fs.ModeSymlink != 0:
		return bad("this link leads out of the directory, or nowhere")
	case err != nil:
		return err
	case d.IsDir():
		return nil
	case !info.Mode().IsRegular():
		return bad("this is no file, but a directory behind a link or a device")
	case !policy.Authored(p):
		return bad("this is no part of a bundle: %s", partsOf(p))
	case len(b.files) == maxPolicyFiles || *size > maxPolicyBytes:
		return fault.New(fault.TooLarge, "too_complex", "%s has more files, or larger ones, than a bundle holds", b.dir)
	}
	f, err := root.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPolicyFile))
	b.files = append(b.files, policy.File{Path: p, Text: text})
	*size += len(text)
	return err
}

// partsOf says what files the part of a bundle that p lies in has.
func partsOf(p string) string {
	switch part, _, _ := strings.Cut(p, "/"); part {
	case "policies":
		return "policies are policies/….cedar, their names letters, digits and - _ ."
	case "tests":
		return "tests are tests/<name>_test.yaml"
	case "roles", "types", "flows":
		return part + " are " + part + "/<name>.yaml"
	}
	return "see attorn policy init"
}

// posted is the bundle as the API takes it.
func (b *bundleDir) posted() []api.PolicyFile {
	var all []api.PolicyFile
	for _, f := range b.files {
		all = append(all, api.PolicyFile{Path: f.Path, Text: string(f.Text)})
	}
	return all
}

// compile compiles the bundle with what is built in; of a directory with files that are no part of it there is no set.
func (b *bundleDir) compile() (*policy.Set, []policy.Problem) {
	set, problems := policy.Compile(append(policy.Shipped(), b.files...))
	if problems = append(slices.Clone(b.problems), problems...); len(b.problems) > 0 {
		set = nil
	}
	return set, problems
}

// refuse is what publishing says of a directory with files that are no part of a bundle.
func (b *bundleDir) refuse() error {
	if len(b.problems) == 0 {
		return nil
	}
	var all []error
	for _, p := range b.problems {
		all = append(all, errors.New(p.File+": "+p.Message))
	}
	return fault.New(fault.Invalid, "bad_path", "%s holds files that are no part of a bundle:\n%v", b.dir, errors.Join(all...)).Try("attorn policy check %s", b.dir)
}
