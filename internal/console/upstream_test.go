package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

func (r *rig) events(ws id.Workspace, kind evidence.Kind) []evidence.Event {
	r.t.Helper()
	found, err := r.log.Search(r.t.Context(), ws, audit.Filter{Kind: kind, Limit: 200})
	r.ok(err)
	var all []evidence.Event
	for _, e := range found {
		all = append(all, e.Event)
	}
	return all
}

func (r *rig) groupsOf(p id.User) string {
	r.t.Helper()
	all, err := r.People.GroupsOf(r.t.Context(), id.Default, p.String())
	r.ok(err)
	return strings.Join(all[p.String()], " ")
}

func (r *rig) makeGroups(names ...string) {
	r.t.Helper()
	for _, name := range names {
		d := evidence.Draft{Workspace: id.Default, Target: name}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.GroupChanged, evidence.OK, evidence.ServerSub, "server", &evidence.What{Group: name}
		_, err := r.log.Record(r.t.Context(), d, func(tx *audit.Tx) error { _, err := r.People.CreateGroup(tx, id.Default, name, ""); return err })
		r.ok(err)
	}
}

// Somebody new signs in, with what their provider says of them; and again, as the same person, when it says something else.
func TestUpstreamSignIn(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	r.makeGroups("platform", "answers")
	b := newBrowser(t, r.url)
	contains(t, b.page("/signin?next=/passkey"), `action="/signin/oidc/acme"`, "Sign in with acme")

	trip := r.depart(b, i, "acme", "next", "/passkey")
	asked := trip.asked
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "attorn", "scope": "openid profile", "code_challenge_method": "S256", "redirect_uri": r.url + "/signin/oidc/acme/callback",
		"prompt": "", "max_age": "",
	} {
		if asked.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, asked.Get(name), want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(asked.Get(name)) != 43 {
			t.Errorf("%s is %q", name, asked.Get(name))
		}
	}
	c := trip.claims("noor-1")
	c["groups"], c["acr"], c["amr"] = []any{"Platform Team", "platform", "Strangers", 42}, "urn:acme:mfa", []string{"pwd", "otp"}
	got := trip.whole(c)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/passkey" {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	noor := r.at(b)
	form := i.lastReq["/token"]
	if user, secret, ok := (&http.Request{Header: i.header["/token"]}).BasicAuth(); !ok || user != "attorn" || secret != "a-shared-secret" || form.Has("client_secret") {
		t.Errorf("the client authenticated with %q %q", user, form)
	}
	s, p, err := r.People.Session(t.Context(), b.cookie(), r.now())
	if err != nil || s.ACR != 2 || s.AuthTime.Unix() != r.now().Unix()-5 || p.Name != "Noor Haddad" {
		t.Errorf("%+v %+v %v", s, p, err)
	}
	if g := r.groupsOf(noor.id); g != "platform" {
		t.Errorf("groups %q", g)
	}
	_, roles, err := r.Me(t.Context(), noor.caller())
	if err != nil || len(roles) != 0 {
		t.Errorf("roles %q, %v", roles, err)
	}

	// The log has all of it, in the person's workspace and the server's, and the ID token's digest.
	for _, ws := range []id.Workspace{id.Default, id.Server} {
		added, grouped, signed := r.events(ws, evidence.UserAdded), r.events(ws, evidence.GroupChanged), r.events(ws, evidence.UserSignedIn)
		if len(added) != 1 || len(signed) != 1 {
			t.Fatalf("%s: %d added, %d signed in", ws, len(added), len(signed))
		}
		last := grouped[0]
		if last.What.Group != "platform" || last.What.User != noor.id || last.Cause != added[0].ID || signed[0].Cause != last.ID {
			t.Errorf("%s: %+v", ws, last)
		}
		for _, e := range []evidence.Event{added[0], last, signed[0]} {
			if p := e.Who.Proof; p == nil || p.Type != "oidc" || p.Issuer != i.url || p.SHA256.IsZero() || e.Who.Sub != noor.id.String() || ws == id.Default && e.Where.IP == nil {
				t.Errorf("%s %s: %+v, proof %+v, from %v", ws, e.Kind, e.Who, e.Who.Proof, e.Where)
			}
		}
		if a := signed[0].What.Auth; a == nil || a.Level != 2 || a.ACR != "urn:acme:mfa" || strings.Join(a.AMR, " ") != "pwd otp" || a.At != r.now().Unix()-5 {
			t.Errorf("%+v", a)
		}
	}
	found, err := r.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.UserSignedIn})
	r.ok(err)
	if token, err := r.log.Detail(t.Context(), found[0], "proof"); err != nil || id.Sum(token) != found[0].Who.Proof.SHA256 || strings.Count(string(token), ".") != 2 {
		t.Errorf("the ID token that is kept: %q, %v", token, err)
	}

	// Another time, other groups: those that are claimed no more are gone. The name stays. What an administrator said stays.
	got = r.depart(b, i, "acme").whole(func() map[string]any {
		c := trip.claims("noor-1")
		c["groups"], c["name"] = "42", "Somebody Else"
		return c
	}())
	if got.status == http.StatusSeeOther {
		t.Fatal("a nonce of before was accepted")
	}
	again, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) { c["groups"], c["name"], c["amr"] = "42", "Somebody Else", []string{"hwk"} })
	if got.status != http.StatusSeeOther || r.at(again).id != noor.id || r.groupsOf(noor.id) != "answers" {
		t.Errorf("%d %s; groups %q", got.status, got.body, r.groupsOf(noor.id))
	}
	if s, p, err := r.People.Session(t.Context(), again.cookie(), r.now()); err != nil || s.ACR != 2 || p.Name != "Noor Haddad" {
		t.Errorf("%+v %+v %v", s, p, err)
	}
	third, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) { delete(c, "auth_time") })
	if got.status != http.StatusSeeOther || r.groupsOf(noor.id) != "" {
		t.Errorf("%d; groups %q", got.status, r.groupsOf(noor.id))
	}
	if s, _, err := r.People.Session(t.Context(), third.cookie(), r.now()); err != nil || s.ACR != 1 || s.AuthTime.Unix() != 0 {
		t.Errorf("%+v %v", s, err)
	}
	if n := len(r.events(id.Default, evidence.UserAdded)); n != 1 {
		t.Errorf("%d people were added", n)
	}
	other, got := r.signInAt(i, "acme", "noor-2", nil)
	if got.status != http.StatusSeeOther || r.at(other).id == noor.id {
		t.Error("another subject with the same name is the same person")
	}

	// There is no workspace to make an account in.
	nowhere := i.upstream("nowhere")
	nowhere.Workspace = must(id.ParseWorkspace("nowhere"))
	lost := newRig(t, nowhere)
	if _, got := lost.signInAt(i, "nowhere", "noor-1", nil); got.code() != "workspace_unknown" {
		t.Errorf("%d %s", got.status, got.code())
	}

	// Suspended here, they stay out, whatever the provider says.
	owner := r.firstOwner("Priya")
	_, _, err = r.EndPerson(t.Context(), owner.caller(), noor.id, "suspend", "left")
	r.ok(err)
	_, got = r.signInAt(i, "acme", "noor-1", func(c map[string]any) { c["groups"] = "42" })
	if got.code() != "person_suspended" || r.groupsOf(noor.id) != "" {
		t.Errorf("%s; groups %q", got.code(), r.groupsOf(noor.id))
	}
}

// A name is somebody else's text, on every page.
func TestUpstreamNames(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	for name, c := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"markup":   {map[string]any{"name": "<script>alert(1)</script>\u202e\n evil"}, "<script>alert(1)</script>\u202e evil"},
		"long":     {map[string]any{"name": strings.Repeat("é", 80)}, strings.Repeat("é", 50)},
		"parts":    {map[string]any{"name": nil, "given_name": "Noor", "family_name": "Haddad"}, "Noor Haddad"},
		"handle":   {map[string]any{"name": nil, "preferred_username": "noor"}, "noor"},
		"none":     {map[string]any{"name": nil}, "Somebody of acme"},
		"controls": {map[string]any{"name": "\x00\x1b\n"}, "Somebody of acme"},
		"a list":   {map[string]any{"name": []string{"x"}}, "Somebody of acme"},
	} {
		b, got := r.signInAt(i, "acme", name, func(claims map[string]any) {
			for k, v := range c.claims {
				if claims[k] = v; v == nil {
					delete(claims, k)
				}
			}
		})
		if got.status != http.StatusSeeOther {
			t.Errorf("%s: %d %s", name, got.status, said(got.body))
			continue
		}
		_, p, err := r.Session(t.Context(), b.cookie(), id.Default, "")
		if err != nil || p.Name != c.want {
			t.Errorf("%s: %q, %v", name, p.Name, err)
		}
		lacks(t, b.page("/"), "<script>alert", "\u202e")
	}
}

// How somebody signed in there is what policy decides on here.
func TestUpstreamAuthReachesPolicy(t *testing.T) {
	i := newIssuer(t)
	up := i.upstream("acme")
	r := newRig(t, up)
	r.makeGroups("platform")
	owner := r.firstOwner("Priya")
	owner.publish(`@id("team") permit (principal in Group::"platform", action == Action::"attorn:agent:read", resource);
@id("careful") forbid (principal, action == Action::"attorn:agent:read", resource) unless { context has auth && context.auth.acr >= 2 && context.auth.age < 300 };
@id("sure") permit (principal in Group::"platform", action == Action::"attorn:delegation:read", resource) when { context has auth && context.auth.acr >= 2 };`)
	may := func(change func(map[string]any)) string {
		t.Helper()
		b, got := r.signInAt(i, "acme", "noor-1", change)
		if got.status != http.StatusSeeOther {
			t.Fatal(said(got.body))
		}
		return fault.Code(r.May(t.Context(), r.at(b).caller(), "attorn:agent:read", "workspace"))
	}
	// Where it is not said when, the sign-in is old, but as sure as it was.
	b, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) {
		delete(c, "auth_time")
		c["groups"], c["amr"] = "Platform Team", "mfa"
	})
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	if err := r.May(t.Context(), r.at(b).caller(), "attorn:delegation:read", "workspace"); err != nil {
		t.Error(err)
	}
	team := func(c map[string]any) { c["groups"] = "Platform Team" }
	mfa := func(c map[string]any) { team(c); c["amr"] = []string{"mfa"} }
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"several factors":    {mfa, ""},
		"one factor":         {team, "forbidden"},
		"by acr":             {func(c map[string]any) { team(c); c["acr"] = "urn:acme:mfa" }, ""},
		"acr stands above":   {func(c map[string]any) { mfa(c); c["acr"] = "urn:acme:low" }, "forbidden"},
		"a while ago":        {func(c map[string]any) { mfa(c); c["auth_time"] = r.now().Unix() - 301 }, "forbidden"},
		"nobody knows when":  {func(c map[string]any) { mfa(c); delete(c, "auth_time") }, "forbidden"},
		"not in the group":   {func(c map[string]any) { c["amr"] = []string{"mfa"} }, "no_permit"},
		"by another's claim": {func(c map[string]any) { c["amr"], c["Groups"] = []string{"mfa"}, "Platform Team" }, "no_permit"},
	} {
		if got := may(c.change); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
