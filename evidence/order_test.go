package evidence_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
)

// TestMembersStandInOrder: an event is written in RFC 8785 order at once, without being sorted.
func TestMembersStandInOrder(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(of.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[of] {
			return
		}
		seen[of] = true
		before := ""
		for i := range of.NumField() {
			f := of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			if name <= before {
				t.Errorf("%s: %s stands after %s", of, name, before)
			}
			before = name
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[evidence.Event]())
	if len(seen) < 15 {
		t.Errorf("%d types were looked at", len(seen))
	}
}
