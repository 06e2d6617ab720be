package main

import (
	"os"
	"regexp"
)

// masks are what differs each time that a story is told, and what stands for it.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\b(usr|agt|dlg|evt|dec|apr|req)_[0-9a-v]{26}`), "${1}_…"},
	{regexp.MustCompile(`\b(usr|agt|dlg|evt|dec|apr)_…[0-9a-v]{6}\b`), "${1}_…"}, // shortened by attorn
	{regexp.MustCompile(`\bbundle [A-Za-z0-9_-]{8}(…|\b)`), "bundle KEY…"},
	{regexp.MustCompile(`[A-Za-z0-9_-]{43,}`), "KEY…"},                                 // keys, digests, secrets
	{regexp.MustCompile(`[A-Za-z0-9_-]{2,3}[A-Za-z0-9-]…([A-Za-z0-9_-]{3})?`), "KEY…"}, // shortened by attorn, or by a page
	{regexp.MustCompile(`(localhost|127\.0\.0\.1):[0-9]+`), "localhost:7070"},
	{regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]{8,15}( UTC|Z)`), "TIME"},
	{regexp.MustCompile(`\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b( UTC on [0-9]+ [A-Z][a-z]{2})?`), "TIME"},
	{regexp.MustCompile(`\b([0-9]+ (d|h|min|s) )+left\b`), "TIME left"},
	{regexp.MustCompile(`(?m)^[0-9]+( +evt_)`), "N$1"},
	{regexp.MustCompile(`\bready in [0-9.]+ s\b`), "ready in 0.2 s"},
	{regexp.MustCompile(`#[0-9]+`), "#N"}, // others write to the log too
	{regexp.MustCompile(`\bcheckpoint (of )?[0-9]+\b`), "checkpoint ${1}N"},
	{regexp.MustCompile(`\b[0-9]+ entries\b`), "N entries"},
	{regexp.MustCompile(`\btoken [A-Za-z0-9_-]{22} `), "token JTI "},
}

// masked is a text without them.
func masked(s string) string {
	for _, m := range masks {
		s = m.what.ReplaceAllString(s, m.with)
	}
	return s
}

// flipBit flips one bit in the middle of a file.
func flipBit(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	return os.WriteFile(file, raw, 0o600)
}
