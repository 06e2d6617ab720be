// Package vectors holds the conformance cases of attorn's public formats as JSON, in a folder for each package. Every SDK runs all of them.
//
// A file is {"kind","spec","cases":[{"id","comment","in","want"}]}; want is {"ok":…} or {"error":"code"}. What a kind's in and ok mean is said
// by the runner beside the package that the kind belongs to.
package vectors

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:embed */*.json
var files embed.FS

// FS is every file, as <package>/<name>.json.
func FS() fs.FS { return files }

// Case is one conformance case. ID is unique within its kind.
type Case struct {
	ID      string         `json:"id"`
	Comment string         `json:"comment"`
	In      jsontext.Value `json:"in"`
	Want    Want           `json:"want"`
}

// Want is what a case expects: a value in OK or the code of a refusal in Error, never both.
type Want struct {
	OK    jsontext.Value `json:"ok"`
	Error string         `json:"error"`
}

type file struct {
	Kind  string `json:"kind"`
	Spec  string `json:"spec"`
	Cases []Case `json:"cases"`
}

// Kinds names every kind that a file has, sorted.
func Kinds() ([]string, error) { return kinds(files) }

func kinds(fsys fs.FS) ([]string, error) {
	names, err := fs.Glob(fsys, "*/*.json")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range names {
		kind, _, err := open(fsys, name)
		if err != nil {
			return nil, err
		}
		all = append(all, kind)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Load reads every case of a kind in a stable order. It refuses a kind without cases, unknown members, an id that appears twice, and a case
// without in or with anything but one of ok and error.
func Load(kind string) ([]Case, error) { return load(files, kind) }

func load(fsys fs.FS, kind string) ([]Case, error) {
	names, err := fs.Glob(fsys, "*/*.json")
	if err != nil {
		return nil, err
	}
	var all []Case
	seen := map[string]string{}
	for _, name := range names {
		have, raw, err := open(fsys, name)
		if err != nil {
			return nil, err
		}
		if have != kind {
			continue
		}
		cases, err := read(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, c := range cases {
			if other, twice := seen[c.ID]; twice {
				return nil, fmt.Errorf("%s: id %q is already in %s", name, c.ID, other)
			}
			seen[c.ID] = name
		}
		all = append(all, cases...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no cases of kind %q", kind)
	}
	return all, nil
}

// open reads a file and the kind that it says it is.
func open(fsys fs.FS, name string) (kind string, raw []byte, err error) {
	if raw, err = fs.ReadFile(fsys, name); err != nil {
		return "", nil, err
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return "", nil, fmt.Errorf("%s: %w", name, err)
	}
	if f.Kind == "" {
		return "", nil, fmt.Errorf("%s: no kind", name)
	}
	return f.Kind, raw, nil
}

func read(raw []byte) ([]Case, error) {
	var f file
	if err := json.Unmarshal(raw, &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if f.Spec == "" || len(f.Cases) == 0 {
		return nil, errors.New("not a file with spec and cases")
	}
	for i, c := range f.Cases {
		if c.ID == "" || c.In == nil || (c.Want.OK == nil) == (c.Want.Error == "") {
			return nil, fmt.Errorf("case %d (%q) lacks id or in, or has not exactly one of ok and error", i+1, c.ID)
		}
	}
	return f.Cases, nil
}

// Decode reads a case's in, or the ok of its want, into v and refuses members that v does not have.
func Decode(raw jsontext.Value, v any) error {
	return json.Unmarshal(raw, v, json.RejectUnknownMembers(true))
}
