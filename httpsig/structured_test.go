package httpsig

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"
)

// text writes a member as it was read, so that another parser can say whether it was read rightly.
func (m member) text() string {
	var b strings.Builder
	b.WriteString(m.label + "=")
	if m.list {
		b.WriteByte('(')
		for i, it := range m.items {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(it.written())
		}
		b.WriteByte(')')
	}
	b.WriteString(m.written())
	return b.String()
}

func (i item) written() string {
	var b strings.Builder
	b.WriteString(i.bare.written())
	for _, p := range i.params {
		b.WriteString(";" + p.name + "=" + p.value.written())
	}
	return b.String()
}

func (b bare) written() string {
	switch b.kind {
	case kindString:
		return `"` + b.text + `"`
	case kindBytes:
		return ":" + b.text + ":"
	case kindBoolean:
		return "?" + b.text
	case kindDate:
		return "@" + b.text
	case kindDisplay:
		return `%"` + b.text + `"`
	}
	return b.text
}

// other reads a dictionary with another library, and says how often that has a label or a parameter twice in one place, or too many.
func other(text string) (canonical string, ok bool) {
	dict, err := httpsfv.UnmarshalDictionary([]string{text})
	if err != nil {
		return "", false
	}
	canonical, err = httpsfv.Marshal(dict)
	return canonical, err == nil
}

var fields = []string{
	``, ` `, "\t", `a`, `a,`, `a, b`, "a \t,\tb", `,a`, `a=1 b=2`, `a=1,a=2`, `a;x;x`, `a;x=1; y="z"`, `a ;x`, `a=(1 2;x=?0);y, b`, `a=("x";sf "y");z=1`, `a=()`, `a=(`, `a=( 1  2 )`, `a=(1"b")`,
	`a="x\"y\\"`, `a="\x"`, `a="`, `a="é"`, `a=-0`, `a=-`, `a=007`, `a=999999999999999`, `a=9999999999999990`, `a=1.`, `a=1.123`, `a=1.1234`, `a=123456789012.1`,
	`a=1234567890123.1`, `a=1.1.1`, `a=@12`, `a=@1.5`, `a=@-3`, `a=@`, `a=tok:en/*`, `a=*`, `a=T`, `a=?1`, `a=?2`, `a=?`, `a=::`, `a=:YQ==:`, `a=:YQ=:`, `a=:YQ:`, `a=:YR==:`, `a=:Y Q=:`, `a=:YQ==`,
	"a=:YQ\n==:", `a=%"x%c3%a9"`, `a=%"%C3%A9"`, `a=%"%ff"`, `a=%"%f`, `a=%"x`, `a=%x`, `A=1`, `*a=1`, `a=`, `a==1`, `a=[`, "a=\x00", "a\x00", `a="x";y="z`,
	`attorn=("@method" "@target-uri");created=1;expires=2;nonce="AAECAwQFBgcICQoLDA0ODw";keyid="x";tag="attorn-action"`,
}

// Every dictionary is read as another library reads it, or refused by both; but what stands twice, or too often, is refused by ours alone.
func differs(t *testing.T, text string) {
	s := scanner{text: text}
	members, ok := s.dictionary()
	canonical, theirs := other(text)
	if ok != theirs && (ok || !s.many && !s.twice) {
		t.Fatalf("%q: accepted %v, by the other %v", text, ok, theirs)
	}
	if !ok {
		return
	}
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = m.text()
	}
	if again, ok := other(strings.Join(all, ", ")); !ok || again != canonical {
		t.Errorf("%q: %q, want %q", text, again, canonical)
	}
}

func TestDictionary(t *testing.T) {
	for _, text := range fields {
		differs(t, text)
	}
	for _, text := range []string{`a=1, b, a=1`, `a;x=1;x=1`, `a=(1;x;x)`, `a=(1);x;y;x`, strings.Repeat("a;", 33) + "a"} {
		s := scanner{text: text}
		if _, ok := s.dictionary(); ok || !s.twice {
			t.Errorf("%q: accepted, or for another reason refused", text)
		}
	}
	var names []string
	for i := range 2 * maxNames {
		names = append(names, "a"+strings.Repeat("b", i))
	}
	for _, sep := range []string{",", ";"} {
		for n, want := range map[int]bool{maxNames: true, maxNames + 1: false, 2 * maxNames: false} {
			text := strings.Join(names[:n], sep)
			if sep == ";" {
				text = "z;" + text
			}
			s := scanner{text: text}
			if _, ok := s.dictionary(); ok != want || s.many == want {
				t.Errorf("%d names with %q between: %v", n, sep, ok)
			}
		}
	}
}

func FuzzDictionary(f *testing.F) {
	for _, text := range fields {
		f.Add(text)
	}
	f.Fuzz(differs)
}

// Fields finds what http.Header.Values finds.
func TestFields(t *testing.T) {
	h := http.Header{}
	names := append(append([]string{"signature", "signature-input", "x-other", "host", "x"}, always[:]...), ifPresent[:]...)
	for i, name := range names {
		if i%2 == 0 {
			h.Add(name, "one")
			h.Add(name, "of "+name)
		}
	}
	for i, name := range append(names, "absent", "", "@method", "no name") {
		got := Fields(h)(name)
		if !slices.Equal(got, h.Values(name)) || i < len(names) && (i%2 == 0) != (len(got) == 2) {
			t.Errorf("%q: %q, want %q", name, got, h.Values(name))
		}
	}
	for _, name := range []string{"signature", "signature-input", "attorn-audience", "content-digest", "authorization", "attorn-call-digest"} {
		h.Set(name, name)
		if got := Fields(h)(name); len(got) != 1 || got[0] != name {
			t.Errorf("%q: %q", name, got)
		}
	}
}
