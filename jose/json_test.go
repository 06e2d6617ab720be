package jose_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func TestDefaultLimits(t *testing.T) {
	for code, text := range map[string]string{
		"":                           `"` + strings.Repeat("a", 64<<10-2) + `"`,
		"too_large":                  `"` + strings.Repeat("a", 64<<10-1) + `"`,
		" values":                    `[` + strings.Repeat("1,", 9998) + `1]`,
		"too_large values":           `[` + strings.Repeat("1,", 9999) + `1]`,
		" depth":                     strings.Repeat("[", 32) + strings.Repeat("]", 32),
		"too_large depth":            strings.Repeat("[", 33) + strings.Repeat("]", 33),
		"too_large depth unfinished": strings.Repeat("[", 10000),
	} {
		var v any
		want, _, _ := strings.Cut(code, " ")
		if err := jose.Decode([]byte(text), &v, jose.Limits{}); fault.Code(err) != want {
			t.Errorf("%.20s…, %d bytes: %v, want code %q", text, len(text), err, want)
		}
	}
}

// A limit counts exactly: the text passes with what it has, and with one less it does not.
func TestLimitsCountExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(value(3).Draw(t, "value"), jsontext.Multiline(rapid.Bool().Draw(t, "multiline")))
		if err != nil {
			t.Fatal(err)
		}
		depth, values := count(t, raw)
		exact := jose.Limits{Bytes: len(raw), Depth: depth, Values: values}
		less := []jose.Limits{exact, exact, exact}
		less[0].Bytes--
		less[1].Depth--
		less[2].Values--
		var v any
		if err := jose.Decode(raw, &v, exact); err != nil {
			t.Fatalf("%s within %+v: %v", raw, exact, err)
		}
		for _, l := range less {
			if l.Bytes == 0 || l.Depth <= 0 || l.Values == 0 { // zero means the default
				continue
			}
			if err := jose.Decode(raw, &v, l); fault.Code(err) != "too_large" {
				t.Errorf("%s within %+v: %v", raw, l, err)
			}
		}
	})
}

// count walks the text with the parser's own tokens.
func count(t *rapid.T, raw []byte) (depth, values int) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		name, length := dec.StackIndex(dec.StackDepth())
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return depth, values
		}
		if err != nil {
			t.Fatal(err)
		}
		depth = max(depth, dec.StackDepth())
		isName := name == '{' && length%2 == 0
		if k := tok.Kind(); k != '}' && k != ']' && !isName {
			values++
		}
	}
}

func value(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Just[any](true),
		rapid.Map(rapid.Int64Range(-1<<53+1, 1<<53-1), func(n int64) any { return n }),
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.StringMatching(`[\[\]{},:"\\ 0-9]*`), func(s string) any { return s }),
	)
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(
		leaf,
		rapid.Map(rapid.SliceOfN(value(depth-1), 0, 4), func(s []any) any { return s }),
		rapid.Map(rapid.MapOfN(rapid.String(), value(depth-1), 0, 4), func(m map[string]any) any { return m }),
	)
}

// The canonical form is one form: it is its own, whatever order and space the text had, and says what the text said.
func TestCanonicalIsOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := value(3).Draw(t, "value")
		want, err := jose.Canonical(v)
		if err != nil {
			t.Fatal(err)
		}
		spaced, err := json.Marshal(v, jsontext.Multiline(true), jsontext.EscapeForHTML(true))
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(spaced)
		for _, raw := range [][]byte{want, spaced} {
			got, err := jose.CanonicalRaw(raw, jose.Limits{})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %s, %v, want %s", raw, got, err, want)
			}
		}
		if !bytes.Equal(spaced, before) {
			t.Error("CanonicalRaw changed its input")
		}
	})
}

// Every finite double passes in its shortest text and comes out as the same double; two texts share a form only if their numbers are equal.
func TestNumbersKeepTheirValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return
		}
		text := strconv.AppendFloat(nil, f, "eEfgG"[rapid.IntRange(0, 4).Draw(t, "format")], -1, 64)
		got, err := jose.CanonicalRaw(text, jose.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if back, err := strconv.ParseFloat(string(got), 64); err != nil || back != f {
			t.Errorf("%s became %s", text, got)
		}
		if f == 0 {
			return
		}
		longer := strconv.FormatFloat(f, 'e', 16, 64)
		mantissa, exp, _ := strings.Cut(longer, "e")
		if out, err := jose.CanonicalRaw([]byte(mantissa+"1e"+exp), jose.Limits{}); err == nil {
			t.Errorf("%s1e%s passed as %s", mantissa, exp, out)
		} else if !errors.Is(err, jose.ErrNumber) || fault.Code(err) != "malformed" {
			t.Error(err)
		}
	})
}

func TestCanonicalOfGoValues(t *testing.T) {
	type record struct {
		Z int64  `json:"z"`
		A string `json:"a,omitzero"`
	}
	for _, c := range []struct {
		in   any
		want string
	}{
		{record{Z: 1<<53 - 1, A: "é"}, `{"a":"é","z":9007199254740991}`},
		{record{}, `{"z":0}`},
		{map[string]any{"b": []int{}, "a": nil}, `{"a":null,"b":[]}`},
		{3.0, `3`},
		{record{Z: 1 << 53}, ""},
		{1.5, ""},
		{math.NaN(), ""},
		{math.Inf(1), ""},
		{1e21, ""},
		{uint64(math.MaxUint64), ""},
		{"\xff", ""},
		{func() {}, ""},
		{jsontext.Value(`{"a":1,"a":2}`), ""},
		{jsontext.Value(`{`), ""},
	} {
		got, err := jose.Canonical(c.in)
		if string(got) != c.want || (c.want == "") != (fault.Code(err) == "malformed") {
			t.Errorf("%#v: %s, %v", c.in, got, err)
		}
	}
}

// A refusal says where and why, and repeats no value of the input.
func TestReasonsRepeatNoValue(t *testing.T) {
	const secret = "5ecr3t"
	for text, says := range map[string]string{
		`{"count":"` + secret + `"}`:                    `"/count"`,
		`{"name":"` + secret + `","name":1}`:            "same member twice",
		`{"other":"` + secret + `"}`:                    `an unknown member at "/other"`,
		`{"name":"` + secret + `\ud800"}`:               `"/name"`,
		`{"name":"` + secret:                            "",
		`{"count":` + strings.Repeat("9", 30) + `}`:     `"/count"`,
		`{"` + strings.Repeat("long", 50) + `\r\n":1}`:  "…",
		`{"nested":{"nested":{"list":["a","b",false]}}`: `"/nested/nested/list/2"`,
	} {
		var p probe
		err := jose.Decode([]byte(text), &p, jose.Limits{})
		if fault.Code(err) != "malformed" || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), secret) || strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 300 {
			t.Errorf("%s: %v", text, err)
		}
	}
	var holder struct {
		Key   id.Key `json:"key"`
		Count int64  `json:"count"`
	}
	for _, text := range []string{`{"key":"` + secret + `"}`, `{"count":"` + secret + `"}`, `{"count":90125.5}`} {
		err := jose.Decode([]byte(text), &holder, jose.Limits{})
		if cause := errors.Unwrap(err); cause == nil || strings.Contains(cause.Error(), secret) || strings.Contains(cause.Error(), "90125") {
			t.Errorf("%s: the cause is %v", text, cause)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"name":"x","nested":{"list":["a"]}}`, `{"a":1,"a":1}`, `[1.0,1e2,-0,9007199254740993]`, "\ufeff{}", `"\ud800"`, `{"count":1e400}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var own, foreign probe
		var v jsontext.Value
		errOwn, errForeign := jose.Decode(raw, &own, jose.Limits{}), jose.DecodeForeign(raw, &foreign, jose.Limits{})
		errAny := jose.Decode(raw, &v, jose.Limits{})
		if errOwn == nil && errForeign != nil || errForeign == nil && errAny != nil {
			t.Errorf("the stricter accepts more: %v, %v, %v", errOwn, errForeign, errAny)
		}
		for _, err := range []error{errOwn, errForeign, errAny} {
			if c := fault.Code(err); c != "" && c != "malformed" && c != "too_large" {
				t.Errorf("code %q", c)
			}
		}
		out, err := jose.CanonicalRaw(raw, jose.Limits{})
		if err == nil && errAny != nil {
			t.Errorf("CanonicalRaw accepts what Decode does not: %v", errAny)
		}
		if err == nil {
			if again, err := jose.CanonicalRaw(out, jose.Limits{Bytes: 1 << 20}); err != nil || !bytes.Equal(again, out) {
				t.Errorf("%q is not its own canonical form: %q, %v", out, again, err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := []byte(`{"name":"x","count":3,"list":["a","b","c"],"nested":{"name":"y","nested":{"count":1}}}`)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		var p probe
		if err := jose.Decode(raw, &p, jose.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCanonicalRaw(b *testing.B) {
	raw := []byte(`{"name":"x","count":3,"list":["a","b",1.5],"nested":{"name":"y","nested":{"count":1}}}`)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := jose.CanonicalRaw(raw, jose.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
