// Package vectors holds the conformance cases of attorn's public formats as JSON, one folder a kind. Every SDK runs all of them.
//
// A file is {"kind","spec","cases":[{"id","comment","in","want"}]}; want is {"ok":…} or {"error":"code"}. What a kind's in and ok mean is said
// by the runner beside the package that the kind belongs to.
package vectors

import (
	"embed"
	"fmt"
	"io/fs"
	"path"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:embed */*.json
var files embed.FS

// FS is every file, as <kind>/<name>.json.
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

// Load reads every case of a kind in a stable order. It refuses a kind without cases, a file of another kind, unknown members, an id that
// appears twice, and a case without in or with anything but one of ok and error.
func Load(kind string) ([]Case, error) { return load(files, kind) }

func load(fsys fs.FS, kind string) ([]Case, error) {
	names, err := fs.Glob(fsys, path.Join(kind, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []Case
	seen := map[string]string{}
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		cases, err := read(raw, kind)
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

func read(raw []byte, kind string) ([]Case, error) {
	var f file
	if err := json.Unmarshal(raw, &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if f.Kind != kind || f.Spec == "" || len(f.Cases) == 0 {
		return nil, fmt.Errorf("not a file of kind %q with spec and cases", kind)
	}
	for i, c := range f.Cases {
		if c.ID == "" || c.Comment == "" || c.In == nil || (c.Want.OK == nil) == (c.Want.Error == "") {
			return nil, fmt.Errorf("case %d (%q) lacks id, comment or in, or has not exactly one of ok and error", i+1, c.ID)
		}
	}
	return f.Cases, nil
}

// Decode reads a case's in, or the ok of its want, into v and refuses members that v does not have.
func Decode(raw jsontext.Value, v any) error {
	return json.Unmarshal(raw, v, json.RejectUnknownMembers(true))
}
