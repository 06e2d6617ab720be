package db

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

// The version that a database keeps is how many migrations it has had, so their numbers have no gap: one that came in below another would be taken for it.
func TestMigrationsAreCounted(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations, "migrations/*")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for i, name := range names {
		if want := fmt.Sprintf("migrations/%04d_", i+1); !strings.HasPrefix(name, want) {
			t.Errorf("%s stands where %s… should", name, want)
		}
	}
}
