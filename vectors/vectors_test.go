package vectors

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEveryKindLoads(t *testing.T) {
	all, err := Kinds()
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, kind := range all {
		cases, err := Load(kind)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: %d cases", kind, len(cases))
	}
	if _, err := Load("none"); err == nil {
		t.Error("a kind without files loaded")
	}
}

const whole = `{"kind":"k","spec":"s","cases":[{"id":"a","comment":"c","in":1,"want":{"ok":null}}]}`

func TestLoadRefuses(t *testing.T) {
	one := func(text string) fs.FS { return fstest.MapFS{"k/a.json": {Data: []byte(text)}} }
	if cases, err := load(one(whole), "k"); err != nil || len(cases) != 1 || string(cases[0].Want.OK) != "null" {
		t.Fatal(cases, err)
	}
	for _, change := range [][2]string{
		{`"kind":"k"`, `"kind":"x"`},
		{`"kind":"k",`, ``},
		{`"spec":"s"`, `"spec":""`},
		{`"spec":"s"`, `"spec":"s","more":1`},
		{`"id":"a"`, `"id":"a","skip":true`},
		{`"id":"a"`, `"id":""`},
		{`"id":"a"`, `"id":"a","id":"b"`},
		{`"in":1,`, ``},
		{`{"ok":null}`, `{}`},
		{`{"ok":null}`, `{"ok":1,"error":"x"}`},
		{`{"ok":null}`, `{"err":"x"}`},
		{`"cases":[`, `"cases":[{"id":"a","comment":"c","in":1,"want":{"ok":null}},`},
	} {
		if _, err := load(one(strings.Replace(whole, change[0], change[1], 1)), "k"); err == nil {
			t.Errorf("loaded with %s", change[1])
		}
	}
	if _, err := load(fstest.MapFS{"k/a.json": {Data: []byte(whole)}, "k/b.json": {Data: []byte(whole)}}, "k"); err == nil {
		t.Error("loaded with one id in two files")
	}
}
