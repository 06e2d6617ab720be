package rules_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

func uid(of, name string) policy.UID { return policy.UID{Type: of, ID: name} }

func TestResources(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		set := func(u policy.UID, principal string, parents ...policy.UID) error {
			return g.Do(id.Default, func(tx *audit.Tx) error {
				return g.SetResource(tx, id.Default, rules.Resource{UID: u, Parents: parents, Attrs: []byte(`{"a":1}`), Principal: principal})
			})
		}
		remove := func(u policy.UID) error {
			return g.Do(id.Default, func(tx *audit.Tx) error { return g.RemoveResource(tx, id.Default, u) })
		}
		root, sub, doc, ann := uid("folder", "root"), uid("folder", "sub"), uid("doc", "acme/x"), id.New[id.User](start).String()
		for _, c := range []struct {
			u         policy.UID
			principal string
			parents   []policy.UID
		}{{root, "", nil}, {sub, "", []policy.UID{root}}, {doc, "", []policy.UID{sub}}, {uid("user", "ann"), ann, nil}, {uid("identity", "CiR"), ann, nil}, {uid("doc", "b"), "", nil}} {
			if err := set(c.u, c.principal, c.parents...); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, set(root, "", sub), "resource_cycle")
		wantCode(t, set(root, "", root), "resource_cycle")
		wantCode(t, set(doc, "", uid("folder", "none")), "not_found")
		wantCode(t, set(uid("user", "ann2"), ann), "principal_taken")
		wantCode(t, set(uid("User", "x"), ""), "object_invalid")
		for _, bad := range []string{"", " x", "a\nb", "\xff", strings.Repeat("x", 256)} {
			wantCode(t, set(uid("doc", bad), ""), "object_invalid")
		}
		wantCode(t, remove(sub), "resource_in_use")
		wantCode(t, remove(uid("doc", "none")), "not_found")

		above, err := g.Above(t.Context(), id.Default, doc)
		var names []string
		for _, r := range above {
			names = append(names, r.UID.ID)
		}
		if err != nil || !slices.Equal(names, []string{"acme/x", "root", "sub"}) || !slices.Equal(above[0].Parents, []policy.UID{sub}) || string(above[0].Attrs) != `{"a":1}` {
			t.Errorf("%+v, %v", above, err)
		}
		_, err = g.Above(t.Context(), acme(), doc)
		wantCode(t, err, "not_found")
		for_, err := g.StandingFor(t.Context(), id.Default, ann, "usr_other")
		if err != nil || len(for_) != 2 || for_[0].UID != uid("identity", "CiR") || for_[1].Principal != ann {
			t.Errorf("%+v, %v", for_, err)
		}
		page, err := g.Resources(t.Context(), id.Default, "doc", "acme/x", 10)
		if err != nil || len(page) != 1 || page[0].UID.ID != "b" {
			t.Errorf("%+v, %v", page, err)
		}
		if err := set(doc, ""); err != nil { // out of its folder: nothing is in that any more
			t.Fatal(err)
		}
		for _, u := range []policy.UID{sub, root, doc} {
			if err := remove(u); err != nil {
				t.Error(err)
			}
		}
		wantCode(t, remove(doc), "not_found")
	})
}

func TestResourcesAreNotTooDeep(t *testing.T) {
	g := open(t, "sqlite:"+filepath.Join(t.TempDir(), "attorn.db"))
	err := g.Do(id.Default, func(tx *audit.Tx) error {
		for i := range 70 {
			r := rules.Resource{UID: uid("folder", fmt.Sprint(i)), Attrs: []byte(`{}`)}
			if i > 0 {
				r.Parents = []policy.UID{uid("folder", fmt.Sprint(i-1))}
			}
			if err := g.SetResource(tx, id.Default, r); err != nil {
				if i != 65 {
					return fmt.Errorf("at %d: %w", i, err)
				}
				return err
			}
		}
		return nil
	})
	wantCode(t, err, "object_invalid")
}
