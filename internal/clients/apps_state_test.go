package clients_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db/dbtest"
)

func (r rig) do(change func(*audit.Tx) error) error { return r.Do(id.Default, change) }

func (r rig) registerApp(t testing.TB, name string) (clients.App, error) {
	t.Helper()
	m, err := clients.ParseRegistration([]byte(fmt.Sprintf(`{"client_name":%q,"redirect_uris":["http://127.0.0.1/cb"]}`, name)))
	if err != nil {
		t.Fatal(err)
	}
	var made clients.App
	err = r.do(func(tx *audit.Tx) (err error) {
		made, err = r.RegisterApp(tx, id.New[id.App](r.Now()), id.Default, m)
		return err
	})
	return made, err
}

func (r rig) consent(t testing.TB, client, name string, person id.User) (clients.AppAgent, error) {
	t.Helper()
	a := clients.AppAgent{Workspace: id.Default, Client: client, Person: person, Agent: id.New[id.Agent](r.Now()), Seen: clients.Seen{Name: name, Redirect: "app.example.com"}}
	return a, r.do(func(tx *audit.Tx) error { return r.RememberApp(tx, a, id.Agent{}) })
}

func appID(t testing.TB, a clients.App) id.App {
	t.Helper()
	app, err := id.Parse[id.App](a.ID)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// An app that registers itself is read back as it was registered; a day later it is gone, unless somebody consented to it.
func TestRegisteredApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		used, err := r.registerApp(t, "used")
		if err != nil || used.Name != "used" || !used.DynamicallyRegistered || used.Workspace != id.Default || used.Host != "" || used.Proves || used.CreatedAt != r.Now() {
			t.Fatalf("%+v, %v", used, err)
		}
		unused, err := r.registerApp(t, "")
		if err != nil || unused.Name != unused.ID {
			t.Fatalf("%+v, %v", unused, err)
		}
		if got, err := r.App(t.Context(), appID(t, used), r.Now()); err != nil || got.ID != used.ID || got.Name != "used" || !slices.Equal(got.Redirects, used.Redirects) || !got.CreatedAt.Equal(used.CreatedAt) {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := r.consent(t, used.ID, "used", id.New[id.User](r.Now())); err != nil {
			t.Error(err)
		}
		r.Pass(24*time.Hour - time.Microsecond)
		if _, err := r.App(t.Context(), appID(t, unused), r.Now()); err != nil {
			t.Error(err)
		}
		r.Pass(time.Microsecond)
		if _, err := r.App(t.Context(), appID(t, unused), r.Now()); fault.Code(err) != "client_unknown" {
			t.Errorf("a day later: %v", err)
		}
		if _, err := r.consent(t, unused.ID, "late", id.New[id.User](r.Now())); fault.Code(err) != "client_unknown" {
			t.Errorf("a consent a day later: %v", err)
		}
		if _, err := r.registerApp(t, "another"); err != nil { // deletes
			t.Error(err)
		}
		r.Pass(-time.Hour)
		if _, err := r.App(t.Context(), appID(t, unused), r.Now()); fault.Code(err) != "client_unknown" {
			t.Errorf("it is still there: %v", err)
		}
		if _, err := r.App(t.Context(), appID(t, used), r.Now()); err != nil {
			t.Errorf("the one that is used is gone: %v", err)
		}
		remove := func(ws id.Workspace) error {
			return r.Do(ws, func(tx *audit.Tx) error {
				_, err := r.RemoveApp(tx, ws, appID(t, used))
				return err
			})
		}
		if err := remove(other); fault.Code(err) != "not_found" {
			t.Errorf("by another workspace: %v", err)
		}
		if err := remove(id.Default); err != nil {
			t.Error(err)
		}
		if err := remove(id.Default); fault.Code(err) != "not_found" {
			t.Errorf("again: %v", err)
		}
		if _, err := r.App(t.Context(), appID(t, used), r.Now()); fault.Code(err) != "client_unknown" {
			t.Error(err)
		}
	})
}

// The agent of an app belongs to one person in one workspace, and remembers the last consent.
func TestAppAgents(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		ann, bob := id.New[id.User](r.Now()), id.New[id.User](r.Now())
		first, err := r.consent(t, at, "App", ann)
		if err != nil {
			t.Fatal(err)
		}
		r.Pass(time.Minute)
		if _, err := r.consent(t, at, "App", bob); err != nil {
			t.Fatal(err)
		}
		r.Pass(time.Minute)
		if err := r.do(func(tx *audit.Tx) error {
			first.Seen.Name = "Renamed"
			return r.RememberApp(tx, first, first.Agent)
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.consent(t, at, "Twice", ann); fault.Code(err) != "consent_changed" { // two first consents at once: one counts
			t.Errorf("another agent, unseen: %v", err)
		}
		if got, err := r.AppAgent(t.Context(), id.Default, at, ann); err != nil || got.Agent != first.Agent || got.Seen.Name != "Renamed" || got.At != r.Now() {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := r.AppOf(t.Context(), id.Default, first.Agent); err != nil || got.Client != at || got.Person != ann {
			t.Errorf("%+v, %v", got, err)
		}
		for name, err := range map[string]error{
			"another workspace": second(r.AppAgent(t.Context(), other, at, ann)), "another app": second(r.AppAgent(t.Context(), id.Default, at+"x", ann)),
			"no agent of an app": second(r.AppOf(t.Context(), id.Default, id.New[id.Agent](r.Now()))), "another workspace's": second(r.AppOf(t.Context(), other, first.Agent)),
		} {
			if fault.Code(err) != "not_found" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, c := range map[string]struct {
			q clients.AppQuery
			n int
		}{
			"all": {clients.AppQuery{}, 2}, "hers": {clients.AppQuery{Person: ann}, 1}, "the app's": {clients.AppQuery{Client: at}, 2}, "another's": {clients.AppQuery{Client: "x"}, 0},
			"after": {clients.AppQuery{After: first.Agent}, 1}, "one": {clients.AppQuery{Limit: 1}, 1},
		} {
			if got, err := r.AppAgents(t.Context(), id.Default, c.q); err != nil || len(got) != c.n {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// The most particular rule decides, whatever the others say.
func TestRules(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		set := func(client string, allow, bearer bool) {
			t.Helper()
			rule := clients.Rule{Workspace: id.Default, Client: client, Allow: allow, Bearer: bearer, Reason: "why", By: "usr_x"}
			if err := rule.Check(false); err != nil {
				t.Fatal(err)
			}
			if err := r.do(func(tx *audit.Tx) error { return r.SetRule(tx, rule) }); err != nil {
				t.Fatal(err)
			}
		}
		is := func(client string, allow, bearer bool) {
			t.Helper()
			if got, err := r.RuleOf(t.Context(), id.Default, client); err != nil || got.Allow != allow || got.Bearer != bearer {
				t.Errorf("%s: %+v, %v", client, got, err)
			}
			if got, err := r.RuleOf(t.Context(), other, client); err != nil || !got.Allow || got.Bearer || got.Client != "" {
				t.Errorf("%s elsewhere: %+v, %v", client, got, err)
			}
		}
		app := id.New[id.App](r.Now()).String()
		is("https://a.example/x/y", true, false)
		set("*", false, false)
		is("https://a.example/x/y", false, false)
		is(app, false, false)
		set("https://a.example/*", true, false)
		set("https://a.example/x/*", true, true)
		set("https://a.example/x/z", false, false)
		set(app, true, true)
		is("https://a.example/x/y", true, true)
		is("https://a.example/x/z", false, false)
		is("https://a.example/x/z/", true, true)
		is("https://a.example/xx", true, false)
		is("https://a.example/x", true, false)
		is("https://a.example.evil.example/x", false, false)
		is("https://b.example/x", false, false)
		is(app, true, true)
		set("https://a.example/x/*", false, false)
		is("https://a.example/x/y", false, false)
		all, err := r.Rules(t.Context(), id.Default, "", 0)
		if err != nil || len(all) != 5 || all[0].Client != "*" || all[0].Reason != "why" || all[0].By != "usr_x" || !all[0].CreatedAt.Equal(r.Now()) {
			t.Errorf("%+v, %v", all, err)
		}
		if rest, err := r.Rules(t.Context(), id.Default, all[2].Client, 1); err != nil || len(rest) != 1 || rest[0].Client != all[3].Client {
			t.Errorf("%+v, %v", rest, err)
		}
		remove := func(ws id.Workspace, client string) (was clients.Rule, err error) {
			err = r.Do(ws, func(tx *audit.Tx) (err error) { was, err = r.RemoveRule(tx, ws, client); return err })
			return was, err
		}
		if _, err := remove(other, "*"); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if was, err := remove(id.Default, "https://a.example/x/*"); err != nil || was.Allow {
			t.Errorf("%+v, %v", was, err)
		}
		is("https://a.example/x/y", true, false)
	})
}

func TestTooManyRules(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	if err := r.do(func(tx *audit.Tx) error {
		for n := range 500 {
			if err := r.SetRule(tx, clients.Rule{Workspace: id.Default, Client: fmt.Sprintf("https://a%d.example/*", n), Allow: true}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	one := func(client string) error {
		return r.do(func(tx *audit.Tx) error { return r.SetRule(tx, clients.Rule{Workspace: id.Default, Client: client}) })
	}
	if err := one("https://more.example/*"); fault.Code(err) != "too_many_rules" {
		t.Error(err)
	}
	if err := one("https://a7.example/*"); err != nil { // in the place of another
		t.Error(err)
	}
}

func TestRuleCheck(t *testing.T) {
	t.Parallel()
	app := id.New[id.App](time.Unix(1800000000, 0)).String()
	for client, want := range map[string]string{
		"*": "", "https://a.example/*": "", "https://a.example/x/*": "", "https://a.example/x": "", app: "", "": "rule_invalid", "**": "rule_invalid", "https://*": "rule_invalid", "https://*/x": "rule_invalid",
		"https://a.example*": "rule_invalid", "https://a.example/x*": "rule_invalid", "https://a.example/*/x": "rule_invalid", "a.example/*": "rule_invalid", "https://a.example:443/*": "rule_invalid",
		"https://A.example/*": "rule_invalid", "http://a.example/*": "rule_invalid", "https://a.example": "rule_invalid", "app_*": "rule_invalid", "/*": "rule_invalid", "attorn-cli": "rule_invalid", "http://localhost:1/*": "rule_invalid",
	} {
		if err := (clients.Rule{Client: client, Allow: true}).Check(false); fault.Code(err) != want {
			t.Errorf("%q: %v", client, err)
		}
	}
	for name, r := range map[string]clients.Rule{
		"bearer and denied": {Client: "*", Bearer: true}, "two lines": {Client: "*", Reason: "a\nb"}, "long": {Client: "*", Reason: strings.Repeat("a", 501)}, "bytes": {Client: "*", Reason: "\xff"},
	} {
		if err := r.Check(false); fault.Code(err) != "rule_invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (clients.Rule{Client: "http://localhost:1/*"}).Check(true); err != nil {
		t.Error(err)
	}
}

// The rule that decides is the longest pattern that the client_id begins with, up to a slash; held against that said plainly.
func TestRuleOfProperty(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	rapid.Check(t, func(t *rapid.T) {
		seg := rapid.SampledFrom([]string{"a", "b", "ab"})
		path := rapid.SliceOfN(seg, 1, 4)
		host := rapid.SampledFrom([]string{"https://a.example", "https://a.example.com", "https://b.example"})
		address := func(label string) string { return host.Draw(t, label) + "/" + strings.Join(path.Draw(t, label), "/") }
		client := address("client")
		rules := map[string]bool{}
		for n := range rapid.IntRange(0, 6).Draw(t, "rules") {
			p := address(fmt.Sprint(n))
			if rapid.Bool().Draw(t, "prefix") {
				p = p[:strings.LastIndexByte(p, '/')] + "/*"
			}
			if rapid.IntRange(0, 5).Draw(t, "all") == 0 {
				p = "*"
			}
			rules[p] = rapid.Bool().Draw(t, "allow")
		}
		best, want := -1, true
		for p, allow := range rules {
			score := -1
			switch prefix, isPrefix := strings.CutSuffix(p, "*"); {
			case p == client:
				score = 1 << 20
			case isPrefix && strings.HasPrefix(client, prefix):
				score = len(prefix)
			}
			if score > best {
				best, want = score, allow
			}
		}
		ws, err := id.ParseWorkspace(fmt.Sprintf("w%d", r.Now().UnixMicro()))
		if err != nil {
			t.Fatal(err)
		}
		r.Pass(time.Microsecond)
		if err := r.do(func(tx *audit.Tx) error {
			for p, allow := range rules {
				if err := r.SetRule(tx, clients.Rule{Workspace: ws, Client: p, Allow: allow}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		got, err := r.RuleOf(context.Background(), ws, client)
		if err != nil || got.Allow != want {
			t.Errorf("%s by %v: %+v, %v", client, rules, got, err)
		}
	})
}

// Of 64 rules about one app on every node the last one committed holds, and there is one.
func TestOneRule(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		codes := audittest.Together(t, all, 64, func(r rig, n int) error {
			return r.do(func(tx *audit.Tx) error {
				return r.SetRule(tx, clients.Rule{Workspace: id.Default, Client: at, Allow: n%2 == 0})
			})
		})
		rules, err := all[0].Rules(t.Context(), id.Default, "", 0)
		if codes[""] != 64 || err != nil || len(rules) != 1 {
			t.Error(codes, rules, err)
		}
	})
}
