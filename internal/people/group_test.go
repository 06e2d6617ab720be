package people_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/people"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		priya, maya, bot := r.person(t, "Priya", id.Default).ID.String(), r.person(t, "Maya", id.Default).ID.String(), id.New[id.Agent](r.Now()).String()
		create := func(ws id.Workspace, name string) error {
			return r.Do(ws, func(tx *audit.Tx) error { _, err := r.CreateGroup(tx, ws, name, "what for"); return err })
		}
		add := func(ws id.Workspace, group, member string) error {
			return r.Do(ws, func(tx *audit.Tx) error { return r.AddToGroup(tx, ws, group, member) })
		}
		for _, name := range []string{"security", "release", "empty"} {
			if err := create(id.Default, name); err != nil {
				t.Fatal(err)
			}
		}
		for n, c := range []struct {
			err  error
			want string
		}{
			{create(id.Default, "security"), "group_exists"},
			{create(other, "security"), ""},
			{add(id.Default, "security", priya), ""},
			{add(id.Default, "security", priya), "already_member"},
			{add(id.Default, "security", bot), ""},
			{add(id.Default, "release", bot), ""},
			{add(other, "security", maya), ""},
			{add(id.Default, "nobody", maya), "not_found"},
			{add(other, "release", maya), "not_found"}, // a group of another workspace
		} {
			if fault.Code(c.err) != c.want {
				t.Errorf("%d: %v, want %q", n, c.err, c.want)
			}
		}
		g, members, err := r.Group(t.Context(), id.Default, "security")
		if err != nil || g != (people.Group{Name: "security", Description: "what for", CreatedAt: r.Now()}) || len(members) != 2 || members[0].Source != "" {
			t.Errorf("%+v, %+v, %v", g, members, err)
		}
		of, err := r.GroupsOf(t.Context(), id.Default, priya, bot, maya, "usr_none", bot)
		if err != nil || len(of) != 2 || !slices.Equal(of[priya], []string{"security"}) || !slices.Equal(of[bot], []string{"release", "security"}) {
			t.Errorf("%v, %v", of, err)
		}
		in, err := r.InGroups(t.Context(), id.Default, "security", "release", "empty", "none")
		want := []string{priya, bot}
		slices.Sort(want)
		if err != nil || !slices.Equal(in, want) {
			t.Errorf("%v, %v", in, err)
		}
		remove := func(group, member string) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.RemoveFromGroup(tx, id.Default, group, member) })
		}
		if err := remove("security", priya); err != nil {
			t.Error(err)
		}
		if err := remove("security", priya); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if err := remove("security", maya); fault.Code(err) != "not_found" { // is in another workspace's
			t.Error(err)
		}
		gone := func() error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.DeleteGroup(tx, id.Default, "security") })
		}
		if err := gone(); err != nil {
			t.Fatal(err)
		}
		if err := gone(); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if in, err := r.InGroups(t.Context(), id.Default, "security"); err != nil || len(in) != 0 {
			t.Errorf("in a deleted group: %v, %v", in, err)
		}
		if in, err := r.InGroups(t.Context(), other, "security"); err != nil || !slices.Equal(in, []string{maya}) {
			t.Errorf("in the other workspace's group of that name: %v, %v", in, err)
		}
		if err := create(id.Default, "security"); err != nil {
			t.Fatal(err)
		}
		if _, members, err := r.Group(t.Context(), id.Default, "security"); err != nil || len(members) != 0 {
			t.Errorf("a new group has the old one's members: %v, %v", members, err)
		}
	})
}

func TestGroupNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "0", "security", "team-a.b_c", strings.Repeat("x", 64)} {
		if !people.GoodGroup(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", "-a", ".a", "_a", "A", "a b", "a/b", "ä", "a\x00", "a:b", "*", strings.Repeat("x", 65)} {
		if people.GoodGroup(bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
	r := open(t, dbtest.SQLite(t))
	for _, text := range []string{"a\nb", "\xff", strings.Repeat("x", 501)} {
		if err := r.Do(id.Default, func(tx *audit.Tx) error {
			_, err := r.CreateGroup(tx, id.Default, "x", text)
			return err
		}); fault.Code(err) != "group_invalid" {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

func (r rig) claim(person id.User, provider string, names ...string) error {
	return r.Do(id.Default, func(tx *audit.Tx) error { return r.SetUpstreamGroups(tx, id.Default, person, provider, names) })
}

// What a provider says of a person replaces what it said before, and nothing else.
func TestUpstreamGroups(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		priya := r.person(t, "Priya", id.Default).ID
		for _, name := range []string{"a", "b", "c"} {
			if err := r.Do(id.Default, func(tx *audit.Tx) error { _, err := r.CreateGroup(tx, id.Default, name, ""); return err }); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.AddToGroup(tx, id.Default, "a", priya.String()) }); err != nil {
			t.Fatal(err)
		}
		groups := func() []string {
			of, err := r.GroupsOf(t.Context(), id.Default, priya.String())
			if err != nil {
				t.Fatal(err)
			}
			return of[priya.String()]
		}
		for n, c := range []struct {
			provider string
			names    []string
			want     string
		}{
			{"corp", []string{"b", "b", "none", "Not A Group", "a"}, "a b"},
			{"corp", []string{"b", "a"}, "a b"},
			{"lab", []string{"c", "b"}, "a b c"},
			{"corp", []string{"c"}, "a b c"},
			{"lab", nil, "a c"},
			{"corp", nil, "a"}, // the administrator's word stays
		} {
			has, would, err := r.UpstreamGroups(t.Context(), id.Default, priya, c.provider, c.names)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.claim(priya, c.provider, c.names...); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(groups(), " "); got != c.want {
				t.Errorf("%d: in %s, want %s", n, got, c.want)
			}
			after, _, err := r.UpstreamGroups(t.Context(), id.Default, priya, c.provider, nil)
			if err != nil || !slices.Equal(after, would) {
				t.Errorf("%d: foretold %v (had %v), is %v, %v", n, would, has, after, err)
			}
		}
		if all, err := r.Groups(t.Context(), id.Default); err != nil || len(all) != 3 {
			t.Errorf("a claim made a group: %v, %v", all, err)
		}
		if err := r.claim(priya, "", "a"); fault.Code(err) != "no_provider" {
			t.Error(err)
		}
		if err := r.claim(id.New[id.User](r.Now()), "corp", "a"); fault.Code(err) != "not_found" {
			t.Error(err)
		}
	})
}

// Any sequence of claims leaves exactly the last claim of each provider and the administrator's word.
func TestUpstreamGroupsProperty(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		if err := r.Do(id.Default, func(tx *audit.Tx) error { _, err := r.CreateGroup(tx, id.Default, name, ""); return err }); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := r.person(t, "P", id.Default).ID
		last := map[string][]string{}
		for range rapid.IntRange(1, 5).Draw(rt, "claims") {
			provider := rapid.SampledFrom([]string{"corp", "lab"}).Draw(rt, "provider")
			last[provider] = rapid.SliceOf(rapid.SampledFrom(append(names, "none", "BAD"))).Draw(rt, "names")
			if err := r.claim(p, provider, last[provider]...); err != nil {
				rt.Fatal(err)
			}
		}
		of, err := r.GroupsOf(t.Context(), id.Default, p.String())
		if err != nil {
			rt.Fatal(err)
		}
		var want []string
		for _, n := range names {
			if slices.Contains(last["corp"], n) || slices.Contains(last["lab"], n) {
				want = append(want, n)
			}
		}
		if !slices.Equal(of[p.String()], want) {
			rt.Fatalf("in %v, want %v of %v", of[p.String()], want, last)
		}
	})
}

// While many add and others delete, nobody is left in a group that there is not.
func TestNobodyJoinsADeletedGroup(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		r := nodes[0]
		p := r.person(t, "Priya", id.Default).ID
		if err := r.Do(id.Default, func(tx *audit.Tx) error { _, err := r.CreateGroup(tx, id.Default, "g", ""); return err }); err != nil {
			t.Fatal(err)
		}
		codes := audittest.Together(t, nodes, 64, func(r rig, i int) error {
			switch {
			case i%3 == 0:
				return r.Do(id.Default, func(tx *audit.Tx) error { return r.DeleteGroup(tx, id.Default, "g") })
			case i%3 == 1:
				return r.claim(p, "corp", "g")
			}
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.AddToGroup(tx, id.Default, "g", p.String()) })
		})
		if in, err := r.InGroups(t.Context(), id.Default, "g"); err != nil || len(in) != 0 {
			t.Errorf("left behind: %v, %v (%v)", in, err, codes)
		}
	})
}
