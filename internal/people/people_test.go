package people_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/people"
)

var other = id.Server // a second workspace

// person adds somebody who is a member of the workspaces.
func (r rig) person(t testing.TB, name string, in ...id.Workspace) people.Person {
	t.Helper()
	var p people.Person
	if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
		if p, err = r.Add(tx, people.NewPerson{Name: name}); err != nil {
			return err
		}
		for _, ws := range in {
			if err := r.Join(tx, ws, p.ID); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (r rig) suspend(ws id.Workspace, person id.User) (n int64, err error) {
	err = r.Do(ws, func(tx *audit.Tx) (err error) { n, err = r.Suspend(tx, ws, person); return err })
	return n, err
}

func (r rig) resume(ws id.Workspace, person id.User) error {
	return r.Do(ws, func(tx *audit.Tx) error { return r.Resume(tx, ws, person) })
}

func TestAddedPersonIsReadBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		want := people.Person{ID: id.New[id.User](r.Now()), Name: "Priya Ö. 文", Status: people.Active, CreatedAt: r.Now()}
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			p, err := r.Add(tx, people.NewPerson{ID: want.ID, Name: want.Name})
			if p != want {
				t.Errorf("added %+v", p)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Person(t.Context(), id.Default, want.ID); fault.Code(err) != "not_found" {
			t.Errorf("a member of nothing is seen: %v", err)
		}
		join := func(ws id.Workspace, person id.User) error {
			return r.Do(ws, func(tx *audit.Tx) error { return r.Join(tx, ws, person) })
		}
		if err := join(id.Default, want.ID); err != nil {
			t.Fatal(err)
		}
		if p, err := r.Person(t.Context(), id.Default, want.ID); err != nil || p != want {
			t.Errorf("read %+v, %v", p, err)
		}
		if err := join(id.Default, want.ID); fault.Code(err) != "already_member" {
			t.Error(err)
		}
		if err := join(id.Default, id.New[id.User](r.Now())); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if err := join(other, want.ID); err != nil {
			t.Fatal(err)
		}
		if ws, err := r.Workspaces(t.Context(), want.ID); err != nil || !slices.Equal(ws, []id.Workspace{id.Default, other}) {
			t.Error(ws, err)
		}
	})
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	for _, name := range []string{"", " ", " Priya", "Priya\t", "Pri\nya", "Pri\x00ya", "\xff", strings.Repeat("x", 101), "\x1b[31mroot"} {
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, err := r.Add(tx, people.NewPerson{Name: name})
			return err
		}); fault.Code(err) != "person_invalid" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		priya, maya, elsewhere := r.person(t, "Priya", id.Default), r.person(t, "Maya", id.Default, other), r.person(t, "Eve", other)
		twin := r.person(t, "Maya", id.Default)
		for text, want := range map[string]people.Person{"Priya": priya, priya.ID.String(): priya, maya.ID.String(): maya, twin.ID.String(): twin} {
			if p, err := r.Find(t.Context(), id.Default, text); err != nil || p != want {
				t.Errorf("Find(%s): %+v, %v", text, p, err)
			}
		}
		_, err := r.Find(t.Context(), id.Default, "Maya")
		if fault.Code(err) != "ambiguous" || !strings.Contains(err.Error(), maya.ID.String()) || !strings.Contains(err.Error(), twin.ID.String()) {
			t.Errorf("two of one name: %v", err)
		}
		if p, err := r.Find(t.Context(), other, "Maya"); err != nil || p != maya {
			t.Errorf("in the workspace of one of them: %+v, %v", p, err)
		}
		_, none := r.Find(t.Context(), id.Default, "Nobody")
		for _, text := range []string{"Nobody", "Eve", elsewhere.ID.String(), "", "priya", "Priya ", "Pri%", "\x00", "\xff", strings.Repeat("x", 5000)} {
			if p, err := r.Find(t.Context(), id.Default, text); fault.Code(err) != "not_found" || err.Error() != none.Error() {
				t.Errorf("Find(%.20q): %+v, %v", text, p, err)
			}
		}
	})
}

func TestMembersPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		r.person(t, "stranger", other)
		var want []people.Person
		for _, name := range []string{"e", "d", "c", "b", "a"} {
			r.Pass(time.Millisecond)
			want = append(want, r.person(t, name, id.Default))
		}
		var got []people.Person
		for after, more := (id.User{}), true; more; {
			page, err := r.Members(t.Context(), id.Default, after, 2)
			if err != nil || len(page) > 2 {
				t.Fatal(page, err)
			}
			if more = len(page) > 0; more {
				got, after = append(got, page...), page[len(page)-1].ID
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("listed %+v", got)
		}
		for _, limit := range []int{-1, 0, 201} {
			if page, err := r.Members(t.Context(), id.Default, id.User{}, limit); err != nil || len(page) != 5 {
				t.Error(limit, page, err)
			}
		}
	})
}

func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p := r.person(t, "Priya", id.Default)
		steps := []struct {
			do   string
			ws   id.Workspace
			want string
			is   people.Status
		}{
			{"resume", id.Default, "wrong_state", people.Active},
			{"suspend", other, "not_found", people.Active}, // not a member there
			{"suspend", id.Default, "", people.Suspended},
			{"suspend", id.Default, "wrong_state", people.Suspended},
			{"resume", other, "not_found", people.Suspended},
			{"resume", id.Default, "", people.Active},
			{"suspend", id.Default, "", people.Suspended},
		}
		for n, s := range steps {
			var err error
			if s.do == "suspend" {
				_, err = r.suspend(s.ws, p.ID)
			} else {
				err = r.resume(s.ws, p.ID)
			}
			if fault.Code(err) != s.want {
				t.Errorf("%d, %s: %v", n, s.do, err)
			}
			got, err := r.Person(t.Context(), id.Default, p.ID)
			if err != nil || got.Status != s.is || (got.Live() == nil) != (s.is == people.Active) {
				t.Errorf("%d, %s: %+v, %v", n, s.do, got, err)
			}
		}
		_, theirs := r.suspend(other, p.ID)
		_, none := r.suspend(other, id.New[id.User](r.Now()))
		if theirs.Error() != none.Error() {
			t.Errorf("a stranger's answer differs: %v, %v", theirs, none)
		}
	})
}

// Recovery leaves no key and no account at another provider; the ties of who made the link reach the person.
func TestRecover(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p, ada, old := r.person(t, "Priya", id.Default), r.person(t, "Ada", id.Default), r.person(t, "Old", id.Default)
		if err := r.linkIdentity(p.ID, acme, "1"); err != nil {
			t.Fatal(err)
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.Vouch(tx, ada.ID, old.ID) }); err != nil {
			t.Fatal(err)
		}
		r.Pass(people.TieLife - time.Hour)
		if err := r.Do(id.Default, func(tx *audit.Tx) error { _, err := r.Recover(tx, p.ID, ada.ID); return err }); err != nil {
			t.Fatal(err)
		}
		if has, err := r.IdentitiesOf(t.Context(), p.ID); err != nil || len(has) != 0 {
			t.Errorf("left: %v, %v", has, err)
		}
		got, err := r.Person(t.Context(), id.Default, p.ID)
		if err != nil || got.RecoveredBy != ada.ID || fault.Code(got.Settled(r.Now())) != "recovered_recently" || got.Settled(r.Now().Add(people.Quarantine)) != nil {
			t.Errorf("%+v, %v", got, err)
		}
		tied := func() (names []string) {
			all, err := r.Tied(t.Context(), p.ID, r.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range all {
				names = append(names, map[id.User]string{p.ID: "Priya", ada.ID: "Ada", old.ID: "Old"}[u])
			}
			slices.Sort(names)
			return names
		}
		for _, want := range []string{"Ada Old Priya", "Ada Old Priya", "Priya"} { // the second of these though Ada's own tie is over
			if got := strings.Join(tied(), " "); got != want {
				t.Errorf("tied: %s, want %s", got, want)
			}
			r.Pass(people.TieLife / 2)
		}
	})
}
