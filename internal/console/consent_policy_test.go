package console_test

import (
	"html"
	"net/http"
	"regexp"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/internal/guard"
)

// The page's policy lets its form go on to the client, and nowhere else; other sites' pages neither frame it nor answer it.
func TestConsentHeaders(t *testing.T) {
	r, priya, _ := newAsk(t)
	const before, after = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'", "; base-uri 'none'; frame-ancestors 'none'"
	path := r.begin(r.asksFor())
	for what, got := range map[string]answer{"the page": priya.get(path), "with what is to be mended": priya.form(path, "verdict", "allow", "ttl", "x")} {
		if csp := got.header.Values("Content-Security-Policy"); len(csp) != 1 || csp[0] != before+" https://notes.example"+after {
			t.Errorf("%s: %q", what, csp)
		}
	}
	if csp := priya.get("/consent/x").header.Get("Content-Security-Policy"); csp != before+after {
		t.Errorf("a question that is over: %q", csp)
	}
	local := r.asksFor()
	local.Client, local.Redirect = r.registered("x"), desktop
	if csp := priya.get(r.begin(local)).header.Get("Content-Security-Policy"); csp != before+" http://127.0.0.1:5173"+after {
		t.Errorf("a loopback one: %q", csp)
	}
	for _, c := range []struct{ to, kind, body string }{
		{path, "application/x-www-form-urlencoded", "verdict=refuse"},
		{path + "/propose", "application/json", "{}"},
		{path + "/give", "application/json", "{}"},
		{path + "/attest", "application/json", "{}"},
		{path + "/refuse", "application/json", "{}"},
	} {
		if got := priya.send(http.MethodPost, c.to, c.kind, c.body, foreign); got.status != http.StatusForbidden || got.code() != "cross_origin" {
			t.Errorf("%s from another site: %d %s", c.to, got.status, got.body)
		}
	}
	for _, p := range []string{"/propose", "/give", "/attest", "/refuse"} {
		if got := priya.form(path + p); got.status != http.StatusUnsupportedMediaType {
			t.Errorf("a form to %s: %d", p, got.status)
		}
		if got := newBrowser(t, r.url).post(path+p, picked{}, nil); got.status != http.StatusUnauthorized {
			t.Errorf("nobody at %s: %d", p, got.status)
		}
	}
	for range 20 {
		priya.proposeLend(path, picked{Keep: []int{0}, TTL: 60})
	}
	if _, got := priya.proposeLend(path, picked{Keep: []int{0}, TTL: 60}); got.status != http.StatusTooManyRequests {
		t.Errorf("the 21st proposal of a minute: %d", got.status)
	}
}

// Text of a client or an agent is text, and what is hidden in it is seen, also where app.js reads it.
func TestConsentHostileText(t *testing.T) {
	r, priya, _ := newAsk(t)
	raw, err := json.Marshal(tags)
	r.ok(err)
	r.apps[notes] = `{"client_id":"` + notes + `","client_name":` + string(raw) + `,"redirect_uris":["` + notesHome + `"],"logo_uri":"https://notes.example/logo.png"}`
	a := r.asksFor()
	a.Permissions = []delegation.Permission{{Permission: "tool:files:write_file", Where: map[string]delegation.Constraint{"path": prefix("<i>é\u200b" + `"'`)}}}
	a.Task = guard.TaskAsk{Task: `<b>"x`, Purpose: "<i>" + `"'` + " 𝔸"}
	path := r.begin(a)
	got := priya.get(path)
	if got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	harmless(t, path, got.body)
	lacks(t, got.body, "logo")
	signs := regexp.MustCompile(`data-signs="([^"]*)"`).FindStringSubmatch(got.body)
	var says struct {
		Permissions []delegation.Permission `json:"permissions"`
		Task        string                  `json:"task"`
		Purpose     string                  `json:"purpose"`
	}
	r.ok(json.Unmarshal([]byte(html.UnescapeString(signs[1])), &says))
	if says.Task != a.Task.Task || says.Purpose != a.Task.Purpose || len(says.Permissions) != 1 || *says.Permissions[0].Where["path"].Prefix != *a.Permissions[0].Where["path"].Prefix {
		t.Errorf("app.js reads %+v", says)
	}
	harmless(t, "a form", priya.form(path, "verdict", "allow", "task", tags+hidden, "ttl", tags).body)
}
