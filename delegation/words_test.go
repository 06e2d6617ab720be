package delegation_test

import (
	"testing"

	"github.com/attorn/attorn/delegation"
)

func TestWords(t *testing.T) {
	prefix, four, staging := "staging/", int64(4), delegation.String("staging")
	got := delegation.Words(map[string]delegation.Constraint{
		"replicas": {Max: &four}, "path": {Prefix: &prefix}, "env": {Equals: &staging}, "dry": {In: []delegation.Value{delegation.Bool(true), delegation.Int(1)}},
	})
	want := "dry is one of true, 1 and env is staging and path begins with staging/ and replicas is at most 4"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
