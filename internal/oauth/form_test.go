package oauth

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
)

// What net/url encodes is read back, each parameter once, the empty ones not.
func TestFormRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOfN(rapid.StringN(1, 20, 40), rapid.StringN(0, 40, 200), 0, 60).Draw(t, "in")
		values := url.Values{}
		for name, value := range in {
			if strings.Contains(name+value, "\x00") || !utf8.ValidString(name+value) {
				return
			}
			values.Set(name, value)
		}
		f, err := parseForm(values.Encode())
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range in {
			if f[name] != value {
				t.Fatalf("%q is %q, not %q", name, f[name], value)
			}
		}
		for name, value := range f {
			if value == "" || in[name] != value {
				t.Fatalf("%q is made up", name)
			}
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "a=b", "a=b&a=c", "a", "=", "&&", "a=%", "a=%zz", "a=%ff", "a=+&b=%2B", "a=b;c=d", "a=\x00", "%61=b&a=c", "a=%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseForm(body)
		if err != nil {
			if k := fault.Of(err); k == nil || k.Kind != fault.Invalid && k.Kind != fault.TooLarge {
				t.Fatalf("%v", err)
			}
			return
		}
		theirs, err := url.ParseQuery(strings.ReplaceAll(body, ";", "%3B"))
		if err != nil {
			t.Fatalf("accepted what net/url refuses: %v", err)
		}
		for name, value := range got {
			if !text(name) || !text(value) || value == "" || len(theirs[name]) != 1 || theirs[name][0] != value {
				t.Fatalf("%q=%q, net/url says %q", name, value, theirs[name])
			}
		}
	})
}

func FuzzScope(f *testing.F) {
	f.Add("a:b c:*")
	f.Add(" ")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readScope(s)
		if err != nil || s == "" {
			return
		}
		var back []string
		for _, p := range got {
			if p.Check() != nil {
				t.Fatalf("%q is no permission", p.Permission)
			}
			back = append(back, p.Permission)
		}
		if strings.Join(back, " ") != s {
			t.Fatalf("%q became %q", s, back)
		}
	})
}

func FuzzDetails(f *testing.F) {
	f.Add(`[{"type":"attorn_permission","permission":"repo:acme:write","where":{"branch":{"prefix":"feature/"}},"locations":["https://r"]}]`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readDetails(s, "https://r")
		if err != nil {
			if c := fault.Code(err); c != "details_malformed" && c != "too_large" {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, p := range got {
			if p.Check() != nil || !delegation.Covers(p, p) {
				t.Fatalf("%+v is no permission", p)
			}
		}
	})
}
