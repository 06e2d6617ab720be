package jose_test

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/jose"
)

// What is taken to be in RFC 8785 form as it stands is what the long way makes of it: of Go values, and of texts with every kind of number and escape.
func TestInFormIsTheForm(t *testing.T) {
	members := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "ab", "B", "", "é", "\u20ac", "\ufb33", "\U0001f600", "a\tb", "~", "\x7f"}), rapid.StringMatching(`[a-c]{0,3}`))
	number := rapid.SampledFrom([]string{"0", "-0", "1", "-1", "1.0", "1e2", "9007199254740991", "9007199254740992", "-9007199254740992", "12345678901234567890123", "0.5"})
	text := rapid.SampledFrom([]string{`"x"`, `"\u0061"`, `"\/"`, `"€ ü"`, `"{:,1"`, `"a\\"`, `":"`, "null", "true", "[]", "{}", "[ 1]", `{"b":1,"a":2}`, `{"a":2,"b":{"c":-0}}`})
	short := 0
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		var write func(depth int)
		write = func(depth int) {
			switch rapid.IntRange(0, 3+depth).Draw(t, "kind") {
			case 0:
				b.WriteString(number.Draw(t, "number"))
			case 1:
				b.WriteString(text.Draw(t, "text"))
			case 2:
				name, _ := json.Marshal(members.Draw(t, "string"))
				b.Write(name)
			case 3:
				b.WriteByte('[')
				for i := range rapid.IntRange(0, 3).Draw(t, "items") {
					if i > 0 {
						b.WriteByte(',')
					}
					write(depth - 1)
				}
				b.WriteByte(']')
			default:
				b.WriteByte('{')
				for i, name := range rapid.SliceOfNDistinct(members, 0, 4, rapid.ID[string]).Draw(t, "names") {
					if i > 0 {
						b.WriteByte(',')
					}
					quoted, _ := json.Marshal(name)
					b.Write(quoted)
					b.WriteByte(':')
					write(depth - 1)
				}
				b.WriteByte('}')
			}
		}
		write(4)
		raw, err := json.Marshal(jsontext.Value(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		long, errLong := jose.Integers(bytes.Clone(raw))
		if jose.InForm(raw) {
			short++
			if errLong != nil || !bytes.Equal(long, raw) {
				t.Fatalf("%s: %s, %v", raw, long, errLong)
			}
		}
		got, err := jose.Canonical(jsontext.Value(b.String()))
		if (err == nil) != (errLong == nil) || !bytes.Equal(got, long) {
			t.Fatalf("%s: %s, %v; the long way %s, %v", raw, got, err, long, errLong)
		}
	})
	if short == 0 {
		t.Error("nothing was short")
	}
	deep := strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40)
	if got, err := jose.Canonical(jsontext.Value(deep)); err != nil || string(got) != deep {
		t.Errorf("%s, %v", got, err)
	}
}

// pieces is of what texts are made that hold keys, or nearly.
func pieces() []string {
	b64 := base64.RawURLEncoding.EncodeToString
	return []string{
		`"kty"`, `"d"`, `"k"`, `"priv"`, `"OKP"`, `"x"`, `:`, `,`, `{`, `}`, `[`, `]`, ` `, `\`, `"`, `.`, `1`, okp, public, `"` + b64([]byte(okp)) + `"`, `" ` + b64([]byte(okp)) + `"`,
		"\"\u00a0" + b64([]byte(okp)) + `"`, `"e30.` + b64([]byte(okp)) + `"`, `"` + b64([]byte(public)) + `"`, "-----BEGIN PRIVATE KEY-----", `"x -----BEGIN PRIVATE KEY-----"`,
		`"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v_VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"`, `{"kty":"OKP","d":`, `{"d":1,"kty":"x"}`, `{"kty":"OKP","crv":"Ed25519","x":`, strings.Repeat("A", 17), strings.Repeat("e", 28),
	}
}

// What a walk through a JSON text finds is found without one, too; and in valid JSON nothing else is, but for names of members that are keys themselves.
func TestKeysAreFoundWithoutWalking(t *testing.T) {
	longName := regexp.MustCompile(`"[^"]{18,}" *:`)
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(`{"a":` + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces()), 0, 12).Draw(t, "pieces"), "") + `}`)
		walked, held := jose.WalkJWK(text), jose.HoldsPrivateKey(text)
		if walked && !held {
			t.Errorf("a walk finds more in %q", text)
		}
		if held && !walked && jsontext.Value(text).IsValid() && !longName.Match(text) && !bytes.Contains(text, []byte("-----BEGIN")) {
			t.Errorf("a walk finds less in %q", text)
		}
	})
}
