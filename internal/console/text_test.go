package console

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestShow(t *testing.T) {
	for in, want := range map[string]string{
		"Priya Nair":                 "Priya Nair",
		"Zoë 李 יעל ✓ “x” €":          "Zoë 李 יעל ✓ “x” €",
		"<b>&\"'":                    "<b>&\"'",
		"a\u202eb":                   "a⟨U+202E⟩b", // right-to-left override
		"a\u2066b\u2069":             "a⟨U+2066⟩b⟨U+2069⟩",
		"pay\u200bpal":               "pay⟨U+200B⟩pal",
		"\ufeffx":                    "⟨U+FEFF⟩x",
		"a\u00a0b":                   "a⟨U+00A0⟩b",
		"a\u3164b":                   "a⟨U+3164⟩b", // Hangul filler: a letter, and invisible
		"a\u2800b":                   "a⟨U+2800⟩b", // Braille blank
		"a\ufe0fb":                   "a⟨U+FE0F⟩b",
		"a\U000e0041b":               "a⟨U+E0041⟩b", // tag
		"a\nb\tc\x00\x1b[2J":         "a⟨U+000A⟩b⟨U+0009⟩c⟨U+0000⟩⟨U+001B⟩[2J",
		"a\u2028b":                   "a⟨U+2028⟩b",
		"\xff\xfe":                   "⟨0xFF⟩⟨0xFE⟩",
		"\ufffd":                     "\ufffd",
		"e\u0301":                    "e\u0301",
		"e\u0301\u0301\u0301\u0301z": "e\u0301\u0301\u0301⟨U+0301⟩z",
		"":                           "",
	} {
		if got := show(in).String(); got != want {
			t.Errorf("show(%q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever the text, what is to be read of it is visible, and nothing of it is lost.
func TestShowHidesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("a <\u202e")))).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "text") {
			s = rapid.String().Draw(t, "string")
		}
		plain, marks := 0, 0
		for _, p := range show(s) {
			if p.Mark {
				marks++
				continue
			}
			plain += utf8.RuneCountInString(p.Text)
			if i := strings.IndexFunc(p.Text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(p.Text) {
				t.Fatalf("%q shows %q", s, p.Text)
			}
		}
		if plain+marks != utf8.RuneCountInString(s) {
			t.Fatalf("%q is shown as %d characters and %d marks", s, plain, marks)
		}
	})
}

func TestArguments(t *testing.T) {
	flat := func(raw string) (string, bool) {
		all, long := arguments([]byte(raw))
		var b strings.Builder
		for _, a := range all {
			b.WriteString(a.Name.String() + ": " + a.Value.String() + "|")
		}
		return b.String(), long
	}
	for in, want := range map[string]string{
		`{}`:                                ``,
		`{"a":"5","b":5,"c":true,"d":null}`: `a: "5"|b: 5|c: true|d: null|`,
		`{"a":"x\ny\n"}`:                    "a: \"x\\n\ny\\n\"|",
		`{"a":"x\\ny"}`:                     `a: "x\\ny"|`,
		`{"a":"\u0007"}`:                    `a: "\u0007"|`,
		"{\"a\":\"\u202e\"}":                `a: "⟨U+202E⟩"|`,
		"{\"a\u200b\":1}":                   `a⟨U+200B⟩: 1|`,
		`{"a":{"b":[1,"x\ny"],"c":{}}}`:     "a: {\n  \"b\": [\n    1,\n    \"x\\n\ny\"\n  ],\n  \"c\": {}\n}|",
		`["x"]`:                             `: ["x"]|`,
		`nonsense`:                          `: nonsense|`,
		`{"a":`:                             `: {"a":|`,
		`{"a"`:                              `: {"a"|`,
	} {
		if got, long := flat(in); got != want || long {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	for _, c := range []struct {
		raw  string
		long bool
	}{
		{`{"a":"` + strings.Repeat(`x\n`, 39) + `x"}`, false},
		{`{"a":"` + strings.Repeat(`x\n`, 40) + `x"}`, true},
		{`{"a":[` + strings.Repeat(`1,`, 50) + `1]}`, true},
	} {
		if _, long := flat(c.raw); long != c.long {
			t.Errorf("%.20s…: %v", c.raw, long)
		}
	}
}

// Whatever arguments an agent sends, they come apart without a panic and without an invisible character.
func FuzzArguments(f *testing.F) {
	f.Add([]byte(`{"a":"x\ny","b":{"c":[1]}}`))
	f.Add([]byte(`{"a":"\u202e","\\n":"\\\n"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, _ := arguments(raw)
		for _, a := range all {
			for _, p := range append(a.Name, a.Value...) {
				if !p.Mark && p.Text != "\n" && strings.IndexFunc(p.Text, hidden) >= 0 {
					t.Errorf("%q shows %q", raw, p.Text)
				}
			}
		}
	})
}

func TestRelativeTimes(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", -4 * time.Second: "now", -5 * time.Second: "5 s ago", 5 * time.Second: "in 5 s", -59 * time.Second: "59 s ago", -time.Minute: "1 min ago",
		-59*time.Minute - 59*time.Second: "59 min ago", time.Hour: "in 1 h", 2*time.Hour - time.Second: "in 1 h 59 min", 11*time.Hour + 30*time.Minute: "in 11 h",
		24 * time.Hour: "in 1 day", -72 * time.Hour: "3 days ago", 8000 * time.Hour: "in 333 days",
	} {
		if got := at(now.Add(d), now); got.Rel != want || got.Machine != now.Add(d).Format(time.RFC3339) {
			t.Errorf("%s: %+v, want %q", d, got, want)
		}
	}
}

func TestNextIsAPageOfOurs(t *testing.T) {
	for in, want := range map[string]string{
		"/approvals/apr_06h0f90781vk507a4h5kak726g": "/approvals/apr_06h0f90781vk507a4h5kak726g",
		"/events/evt_06h0f90781vk507a4h5kak726g":    "/events/evt_06h0f90781vk507a4h5kak726g",
		"/approvals/apr_06h0f90781vk507a4h5kak726":  "/", "/approvals/apr_06h0f90781vk507a4h5kak726gg": "/", "//a": "/", "/signout": "/", "": "/", "/passkey\n": "/",
		"https://a/approvals/apr_06h0f90781vk507a4h5kak726g": "/",
	} {
		if got := next(in); got != want {
			t.Errorf("next(%q) = %q", in, got)
		}
	}
}

// A whole IPv6 network is one attempter; two IPv4 addresses are two.
