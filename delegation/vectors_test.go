package delegation_test

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

// run holds every case of a kind to what answer gives for it.
func run[In, OK any](t *testing.T, kind string, answer func(in In) (OK, error)) {
	t.Helper()
	cases, err := vectors.Load(kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			var in In
			code := ""
			if err := vectors.Decode(c.In, &in); err != nil {
				t.Fatal(err)
			}
			got, err := answer(in)
			if err != nil {
				code = fault.Code(err)
			}
			if code != c.Want.Error {
				t.Fatalf("%s: %v (code %q), want code %q, ok %s", c.Comment, err, code, c.Want.Error, c.Want.OK)
			}
			if err != nil {
				return
			}
			text, err := jose.Canonical(got)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := jose.CanonicalRaw(c.Want.OK, jose.Limits{}); err != nil || string(text) != string(want) {
				t.Errorf("%s: %s, want %s (%v)", c.Comment, text, want, err)
			}
		})
	}
}

// A case of kind "cover" asks whether permission a covers permission b, or whether permissions allow the action with args (a JSON text).
// Both are first read as strictly as any input, and checked.
type coverCase struct {
	A           jsontext.Value   `json:"a"`
	B           jsontext.Value   `json:"b"`
	Permissions []jsontext.Value `json:"permissions"`
	Action      string           `json:"action"`
	Args        string           `json:"args"`
}

func TestVectorsCover(t *testing.T) {
	run(t, "cover", func(in coverCase) (bool, error) {
		if in.A != nil {
			a, err := permission(in.A)
			if err != nil {
				return false, err
			}
			b, err := permission(in.B)
			return err == nil && delegation.Covers(a, b), err
		}
		var ps []delegation.Permission
		for _, raw := range in.Permissions {
			p, err := permission(raw)
			if err != nil {
				return false, err
			}
			ps = append(ps, p)
		}
		args, err := delegation.DecodeArgs([]byte(in.Args))
		return err == nil && delegation.Allows(ps, in.Action, args), err
	})
}

func permission(raw []byte) (p delegation.Permission, err error) {
	if err := jose.Decode(raw, &p, jose.Limits{}); err != nil {
		return p, err
	}
	return p, p.Check()
}
