package id_test

import (
	"encoding"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/id"
)

func TestIdentifiersRoundTripAndSortByTime(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	var all []string
	for i := range 100 {
		a := id.New[id.Agent](at.Add(time.Duration(i) * time.Millisecond))
		got, err := id.Parse[id.Agent](a.String())
		if err != nil || got != a {
			t.Fatalf("Parse(%q) = %v, %v", a, got, err)
		}
		all = append(all, a.String())
	}
	if !slices.IsSorted(all) {
		t.Error("identifiers made in order do not sort in order")
	}
}

func TestParseTakesOneFormOnly(t *testing.T) {
	good := id.New[id.User](time.Unix(1795427523, 0)).String()
	for _, bad := range []string{
		"", "usr_", strings.ToUpper(good), "agt_" + good[4:], good + "0", good[:len(good)-1], good[:len(good)-1] + "v", " " + good, good[:10] + "\n" + good[11:],
	} {
		if v, err := id.Parse[id.User](bad); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", bad, v)
		}
	}
}

func TestDecisionAndEventShareTheirNumber(t *testing.T) {
	e := id.New[id.Event](time.Unix(1795427523, 0))
	d := id.DecisionOf(e)
	if d.String()[4:] != e.String()[4:] || id.EventOf(d) != e {
		t.Errorf("decision %s of event %s", d, e)
	}
}

func TestDigestTakesOneFormOnly(t *testing.T) {
	good := id.Sum([]byte("x")).String()
	if d, err := id.ParseDigest(good); err != nil || d != id.Sum([]byte("x")) {
		t.Fatal(d, err)
	}
	for _, bad := range []string{"", good + "=", good[:42], good[:42] + "\n", good[:42] + "B", strings.Repeat("+", 43)} {
		if _, err := id.ParseDigest(bad); err == nil {
			t.Errorf("ParseDigest(%q) passed", bad)
		}
	}
}

func TestWorkspaceForm(t *testing.T) {
	for s, ok := range map[string]bool{"default": true, "a": true, "team-7": true, "": false, "-a": false, "A": false, "a_b": false, strings.Repeat("a", 41): false, "a\n": false} {
		if _, err := id.ParseWorkspace(s); (err == nil) != ok {
			t.Errorf("ParseWorkspace(%q): %v", s, err)
		}
	}
}

func TestNullScansToZero(t *testing.T) {
	a := id.New[id.Agent](time.Unix(1, 0))
	if err := a.Scan(nil); err != nil || !a.IsZero() {
		t.Error(a, err)
	}
	if v, err := a.Value(); v != nil || err != nil {
		t.Error(v, err)
	}
}

// What is written into a text that is being put together is what String says.
func TestAppendTextIsString(t *testing.T) {
	d := id.Sum([]byte("x"))
	for _, v := range []interface {
		fmt.Stringer
		encoding.TextAppender
		encoding.TextMarshaler
	}{
		id.New[id.Agent](time.Unix(1795427523, 0)), id.Agent{}, id.New[id.Issuer](time.Unix(1, 0)), d, id.Digest{}, id.KeyOf(d), id.Key{}, id.Default, id.Workspace{},
	} {
		added, err := v.AppendText([]byte("before "))
		if err != nil || string(added) != "before "+v.String() {
			t.Errorf("%T %q: %q, %v", v, v, added, err)
		}
		if whole, err := v.MarshalText(); err != nil || string(whole) != v.String() {
			t.Errorf("%T %q: %q, %v", v, v, whole, err)
		}
	}
}
