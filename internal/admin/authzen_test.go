package admin_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// The smallest data by which AuthZEN's certification scenario asks (Authorization API 1.0 certification, required fixture): two users, two records, three actions.
const (
	recordType = `name: record
source: stored
attributes:
  status: {type: string}
actions:
  read: {class: read}
  write: {class: write}
  delete: {class: destroy, context: {soft: {type: bool}}}
`
	recordPolicy = `
@id("record/read") permit (principal, action == Action::"record:read", resource is record) when { principal.hasTag("user.role") };
@id("record/alice") permit (principal, action == Action::"record:write", resource is record) when { principal.hasTag("user.role") && principal.getTag("user.role") == "writer" && resource.status == "active" };
@id("record/admin") permit (principal, action == Action::"record:write", resource is record) when { principal.hasTag("user.role") && principal.getTag("user.role") == "admin" && resource.status == "archived" };
@id("record/delete") permit (principal, action == Action::"record:delete", resource is record) when { principal.hasTag("user.role") && principal.getTag("user.role") == "writer" && context.args.soft };
`
)

// records sets that data up: alice is Noor, bob is Maya.
func (w *world) records(more ...string) {
	w.t.Helper()
	w.types(userType, recordType)
	w.keep("user", "alice", "is", w.noor.User().String(), "role", "writer")
	w.keep("user", "bob", "is", w.maya.User().String(), "role", "admin")
	w.keep("user", "nobody")
	w.keep("record", "record-1", "status", "active")
	w.keep("record", "record-2", "status", "archived")
	w.publish(recordPolicy + strings.Join(more, "\n"))
}

func (w *world) publish(text string) {
	w.t.Helper()
	_, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/a.cedar", Text: text}}})
	w.ok(err)
}

func evaluation(subject, action, resource string) api.Evaluation {
	entity := func(text string) *api.Entity {
		of, name, _ := strings.Cut(text, ":")
		return &api.Entity{Type: of, ID: name}
	}
	return api.Evaluation{Subject: entity(subject), Action: &api.EntityVerb{Name: action}, Resource: entity(resource)}
}

func (w *world) decided(in api.Evaluation) api.Decision {
	w.t.Helper()
	d, err := w.priya.Authorize(w.ctx, in)
	w.ok(err)
	return d
}

func codeOf(d api.Decision) string {
	switch {
	case d.Context == nil:
		return ""
	case d.Context.Error != nil:
		return d.Context.Error.Code
	}
	return d.Context.Attorn.Code
}

// post sends a body as it is.
func (w *world) post(path, body string, header http.Header) (*http.Response, []byte) {
	w.t.Helper()
	res, _, answer := w.send(w.priya.signer, request{method: "POST", path: path, body: body, token: w.token(w.priya, ""), header: header})
	return res, answer
}

func TestCertificationDecisions(t *testing.T) {
	w := start(t)
	w.records()
	soft, hard := jsontext.Value(`{"soft":true}`), jsontext.Value(`{"soft":false}`)
	props := jsontext.Value(`{"status":"active","role":"admin"}`) // stored attributes stand above what a request says
	for _, c := range []struct {
		who, does, what string
		told            jsontext.Value
		want            bool
	}{
		{"alice", "read", "record-1", nil, true},
		{"alice", "write", "record-1", nil, true},
		{"bob", "read", "record-1", nil, true},
		{"bob", "write", "record-1", nil, false},
		{"alice", "write", "record-2", nil, false},
		{"bob", "write", "record-2", nil, true},
		{"alice", "delete", "record-1", soft, true},
		{"alice", "delete", "record-1", hard, false},
	} {
		for _, p := range []jsontext.Value{nil, props} {
			in := evaluation("user:"+c.who, c.does, "record:"+c.what)
			in.Action.Properties, in.Subject.Properties, in.Resource.Properties = c.told, p, p
			if d := w.decided(in); d.Decision != c.want || d.Decision != (d.Context == nil) {
				t.Errorf("%s %s %s: %+v", c.who, c.does, c.what, d)
			}
		}
	}
	search := func(find func(in api.EntitySearch) (api.Found, error), who, does, what string) string {
		found, err := find(api.EntitySearch{Evaluation: evaluation("user:"+who, does, "record:"+what)})
		w.ok(err)
		var names []string
		for _, r := range found.Results {
			names = append(names, strings.Trim(r.Type+":"+r.ID+r.Name, ":"))
		}
		return strings.Join(names, " ")
	}
	subjects := func(in api.EntitySearch) (api.Found, error) { return w.priya.SearchSubject(w.ctx, in) }
	resources := func(in api.EntitySearch) (api.Found, error) { return w.priya.SearchResource(w.ctx, in) }
	actions := func(in api.EntitySearch) (api.Found, error) { in.Action = nil; return w.priya.SearchAction(w.ctx, in) }
	for what, c := range map[string][2]string{
		"S1":                {search(subjects, "alice", "read", "record-1"), "user:alice user:bob"},
		"S2":                {search(resources, "alice", "read", "record-1"), "record:record-1 record:record-2"},
		"S3":                {search(actions, "alice", "", "record-1"), "read write"},
		"S4":                {search(subjects, "", "write", "record-2"), "user:bob"},
		"S5":                {search(resources, "bob", "write", ""), "record:record-2"},
		"S6":                {search(actions, "bob", "", "record-2"), "read write"},
		"nobody":            {search(actions, "nobody", "", "record-1"), ""},
		"unknown":           {search(actions, "none", "", "record-1"), ""},
		"an unknown action": {search(subjects, "", "fly", "record-1"), ""},
		"an unknown record": {search(subjects, "", "read", "record-9"), ""},
		"a spaceship": {func() string {
			f, err := w.priya.SearchSubject(w.ctx, api.EntitySearch{Evaluation: evaluation("spaceship:", "read", "record:record-1")})
			w.ok(err)
			return fmt.Sprint(len(f.Results))
		}(), "0"},
		"an unknown type": {func() string {
			f, err := w.priya.SearchAction(w.ctx, api.EntitySearch{Evaluation: evaluation("user:alice", "", "planet:x")})
			w.ok(err)
			return fmt.Sprint(len(f.Results))
		}(), "0"},
		"people by their id": {func() string {
			f, err := w.priya.SearchSubject(w.ctx, api.EntitySearch{Evaluation: evaluation("User:", "read", "record:record-1")})
			w.ok(err)
			return fmt.Sprint(len(f.Results))
		}(), "3"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %q, want %q", what, c[0], c[1])
		}
	}
}

func TestWhatIsNoEvaluation(t *testing.T) {
	w := start(t)
	w.records()
	good := `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`
	edit := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for what, body := range map[string]string{
		"empty": "", "null": "null", "an array": "[]", "a text": `"x"`, "cut off": good[:20], "two": good + good,
		"without subject": edit(`"subject":{"type":"user","id":"alice"},`, ""), "without action": edit(`"action":{"name":"read"},`, ""),
		"without resource": edit(`,"resource":{"type":"record","id":"record-1"}`, ""), "subject null": edit(`{"type":"user","id":"alice"}`, "null"),
		"without id": edit(`,"id":"alice"`, ""), "without type": edit(`"type":"user",`, ""), "empty id": edit(`"alice"`, `""`), "without name": edit(`"name":"read"`, ""),
		"a number as id": edit(`"alice"`, "1"), "a text as subject": edit(`{"type":"user","id":"alice"}`, `"alice"`), "a list as action": edit(`{"name":"read"}`, `["read"]`),
		"twice": edit(`"id":"alice"`, `"id":"alice","id":"bob"`), "twice deep in what is ignored": edit(`"id":"alice"`, `"id":"alice","x":{"a":1,"a":2}`),
		"properties as list": edit(`"id":"alice"`, `"id":"alice","properties":[]`), "context as text": edit(`{"subject"`, `{"context":"x","subject"`),
		"a token without proof": edit(`{"subject"`, `{"context":{"attorn_token":"x"},"subject"`), "a line break": edit(`alice`, `al\nice`), "a null character": edit(`alice`, `al\u0000ice`),
		"a lone surrogate": edit(`alice`, `\ud800`), "long": edit(`alice`, strings.Repeat("x", 256)),
	} {
		for _, path := range []string{"/access/v1/evaluation", "/access/v1/evaluations"} {
			if res, answer := w.post(path, body, nil); res.StatusCode != 400 {
				t.Errorf("%s at %s: %d %s", what, path, res.StatusCode, answer)
			}
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", ""} {
		if res, answer := w.post("/access/v1/evaluation", good, http.Header{"Content-Type": {kind}}); res.StatusCode != 400 {
			t.Errorf("%q: %d %s", kind, res.StatusCode, answer)
		}
	}
	res, answer := w.post("/access/v1/evaluation", edit(`{"subject"`, `{"more":{"a":[1]},"context":{"time":"2025-06-27T18:03-07:00"},"subject"`), http.Header{"X-Request-Id": {"bfe9eb29"}})
	if res.StatusCode != 200 || string(answer) != `{"decision":true}` || res.Header.Get("X-Request-ID") != "bfe9eb29" || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s %v", res.StatusCode, answer, res.Header)
	}
	if res, _ := w.post("/access/v1/evaluation", "", http.Header{"X-Request-Id": {"again"}}); res.Header.Get("X-Request-ID") != "again" {
		t.Errorf("an error comes without the request's id: %v", res.Header)
	}
	for what, c := range map[string][2]string{
		"subject":  {"subject", `{"subject":{"type":"user"},"resource":{"type":"record","id":"record-1"}}`},
		"resource": {"resource", `{"action":{"name":"read"},"resource":{"type":"record"}}`},
		"action":   {"action", `{"subject":{"type":"user","id":"alice"}}`},
		"input id": {"subject", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record"}}`},
		"who":      {"resource", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record"}}`},
		"a limit":  {"subject", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"},"page":{"limit":-1}}`},
		"a token":  {"subject", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"},"page":{"token":"AAAA"}}`},
	} {
		if res, answer := w.post("/access/v1/search/"+c[0], c[1], nil); res.StatusCode != 400 {
			t.Errorf("a search without %s: %d %s", what, res.StatusCode, answer)
		}
	}
}

func TestBatches(t *testing.T) {
	w := start(t)
	w.records()
	item := func(who, does string) api.Evaluation {
		e := evaluation("user:"+who, does, "record:record-1")
		return e
	}
	yes, no, bad := item("alice", "read"), item("bob", "write"), api.Evaluation{Subject: &api.Entity{Type: "user"}}
	for semantic, want := range map[string]string{
		"": "true false false true", "execute_all": "true false false true", "deny_on_first_deny": "true false", "permit_on_first_permit": "true",
	} {
		before := w.rev()
		got, err := w.priya.Evaluations(w.ctx, api.Evaluations{Evaluations: []api.Evaluation{yes, no, bad, yes}, Options: &api.EvaluationOptions{Semantic: semantic}})
		w.ok(err)
		var said []string
		for _, d := range got.Evaluations {
			said = append(said, fmt.Sprint(d.Decision))
		}
		if strings.Join(said, " ") != want {
			t.Errorf("%s: %v, want %s", semantic, said, want)
		}
		events := len(said)
		if len(said) > 2 {
			events--
			if d := got.Evaluations[2]; codeOf(d) != "malformed" || d.Context.Error.Status != 400 {
				t.Errorf("a bad item: %+v", d.Context)
			}
		}
		if after := w.rev(); after != before+int64(events) {
			t.Errorf("%s: %d events for %d answers", semantic, after-before, events)
		}
	}
	// Defaults are whole objects: an item's own resource has none of the other's properties.
	all, err := w.priya.Evaluations(w.ctx, api.Evaluations{
		Evaluation:  api.Evaluation{Subject: yes.Subject, Action: &api.EntityVerb{Name: "delete", Properties: jsontext.Value(`{"soft":true}`)}, Resource: yes.Resource},
		Evaluations: []api.Evaluation{{}, {Action: &api.EntityVerb{Name: "delete"}}, {Action: &api.EntityVerb{Name: "read"}}},
	})
	w.ok(err)
	if e := all.Evaluations; len(e) != 3 || !e[0].Decision || codeOf(e[1]) != "schema" || !e[2].Decision {
		t.Errorf("%+v", e)
	}
	for what, body := range map[string]string{
		"an unknown semantic": `{"evaluations":[{}],"options":{"evaluations_semantic":"some"}}`, "no list": `{"evaluations":{}}`,
		"too many": `{"evaluations":[` + strings.Repeat("{},", 1000) + `{}]}`,
	} {
		if res, answer := w.post("/access/v1/evaluations", body, nil); res.StatusCode != 400 {
			t.Errorf("%s: %d %s", what, res.StatusCode, answer)
		}
	}
	if res, answer := w.post("/access/v1/evaluations", `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"},"evaluations":[]}`, nil); res.StatusCode != 200 || string(answer) != `{"decision":true}` {
		t.Errorf("an empty batch: %d %s", res.StatusCode, answer)
	}
}

func TestDenialsSayWhatWouldHelp(t *testing.T) {
	w := start(t)
	w.records(`@id("record/gate") @approve("1 of release-manager") @reason("Archived records are changed by two.") forbid (principal, action == Action::"record:write", resource) when { resource.status == "archived" };`)
	d := w.decided(evaluation("user:bob", "write", "record:record-2"))
	if d.Decision || d.Context.Attorn.Outcome != "ask" || len(d.Context.Attorn.Approvals) != 1 || d.Context.Attorn.Approvals[0].Flow != "1 of release-manager" || d.Context.Attorn.Basis != "asserted" {
		t.Errorf("%+v", d.Context)
	}
	for _, c := range []struct{ subject, does, what, code string }{
		{"user:none", "read", "record:record-1", "unknown_subject"},
		{"user:nobody", "read", "record:record-1", "unknown_subject"},
		{"user:Noor Haddad", "read", "record:record-1", "unknown_subject"},
		{"user:" + w.noor.User().String(), "read", "record:record-1", "unknown_subject"}, // the type says who is called what
		{"User:" + id.New[id.User](w.now()).String(), "read", "record:record-1", "not_found"},
		{"User:" + w.noor.User().String(), "read", "record:record-1", ""},
		{"agent:x", "read", "record:record-1", "unknown_subject"},
		{"user:alice", "fly", "record:record-1", "unknown_action"},
		{"user:alice", "read", "planet:x", "unknown_type"},
		{"user:alice", "read", "record:none", "not_found"},
		{"user:alice", "delete", "record:record-1", "schema"},
		{"user:bob", "write", "record:record-1", "no_permit"},
	} {
		d := w.decided(evaluation(c.subject, c.does, c.what))
		if codeOf(d) != c.code || d.Decision != (c.code == "") {
			t.Errorf("%+v: %+v", c, d.Context)
		}
		if c.code != "" && (d.Context.Attorn.Event.IsZero() || d.Context.Attorn.Message == "" || d.Context.Attorn.Outcome != "deny") {
			t.Errorf("%+v says too little: %+v", c, d.Context.Attorn)
		}
	}
	_, err := w.priya.SuspendUser(w.ctx, w.noor.User(), "left")
	w.ok(err)
	if d := w.decided(evaluation("user:alice", "read", "record:record-1")); codeOf(d) != "person_suspended" {
		t.Errorf("somebody suspended: %+v", d)
	}
}

// Whoever asks about a type must be let, and who says who acts must be let to say it.
func TestWhoMayAsk(t *testing.T) {
	w := start(t)
	w.records()
	pep := w.agent("pep")
	ask := func() error { return only(pep.Authorize(w.ctx, evaluation("user:alice", "read", "record:record-1"))) }
	if err := ask(); fault.Code(err) != "no_permit" {
		t.Errorf("a stranger: %v", err)
	}
	checks := fmt.Sprintf(`@id("pep/check") permit (principal == Agent::%q, action == Action::"attorn:decision:check", resource == Noun::"type:record");`, pep.ID())
	w.publish(recordPolicy + checks)
	if err := ask(); fault.Code(err) != "no_permit" {
		t.Errorf("without leave to assert: %v", err)
	}
	w.publish(recordPolicy + checks + fmt.Sprintf(`@id("pep/assert") permit (principal == Agent::%q, action == Action::"attorn:decision:assert", resource == Noun::"type:record");`, pep.ID()))
	if err := ask(); err != nil {
		t.Error(err)
	}
	if err := only(pep.Authorize(w.ctx, evaluation("user:alice", "see", "user:alice"))); fault.Code(err) != "no_permit" {
		t.Errorf("about another type: %v", err)
	}
}

func TestSearchesArePaged(t *testing.T) {
	w := start(t)
	w.records()
	for i := range 7 {
		w.keep("record", fmt.Sprintf("r-%d", i), "status", "active")
	}
	in := api.EntitySearch{Evaluation: evaluation("user:alice", "write", "record:"), Page: &api.SearchPage{Limit: 3}}
	in.Resource = &api.Entity{Type: "record"}
	var all []string
	for page := 0; ; page++ {
		got, err := w.priya.SearchResource(w.ctx, in)
		w.ok(err)
		if got.Page.Count != len(got.Results) || len(got.Results) > 3 || page > 5 {
			t.Fatalf("%+v", got)
		}
		for _, r := range got.Results {
			all = append(all, r.ID)
		}
		if in.Page = (&api.SearchPage{Token: got.Page.NextToken}); got.Page.NextToken == "" {
			break
		}
	}
	if want := []string{"r-0", "r-1", "r-2", "r-3", "r-4", "r-5", "r-6", "record-1"}; !slices.Equal(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
	in.Page = &api.SearchPage{Limit: 3}
	first, err := w.priya.SearchResource(w.ctx, in)
	w.ok(err)
	for what, change := range map[string]func(*api.EntitySearch){
		"another action":  func(s *api.EntitySearch) { s.Action = &api.EntityVerb{Name: "read"} },
		"another subject": func(s *api.EntitySearch) { s.Subject = &api.Entity{Type: "user", ID: "bob"} },
		"another limit":   func(s *api.EntitySearch) { s.Page.Limit = 4 },
		"a cut token":     func(s *api.EntitySearch) { s.Page.Token = s.Page.Token[:len(s.Page.Token)-4] },
	} {
		again := in
		again.Page = &api.SearchPage{Token: first.Page.NextToken}
		change(&again)
		if _, err := w.priya.SearchResource(w.ctx, again); fault.Code(err) != "page_token" {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.publish(recordPolicy + `@id("all") permit (principal, action in Action::"attorn:decision:*", resource);`)
	in.Page = &api.SearchPage{Token: first.Page.NextToken}
	if _, err := w.maya.SearchResource(w.ctx, in); fault.Code(err) != "page_token" {
		t.Errorf("somebody else's token: %v", err)
	}
}

// A service that is shown a token and a proof need not say who acts: the whole chain is judged, and uses are spent.
func TestDecisionsByProof(t *testing.T) {
	w := start(t)
	w.types(folderType, repoType)
	w.keep("repo", "acme/api")
	w.keep("repo", "acme/web")
	_, err := w.priya.AddService(w.ctx, api.NewService{Name: "repos", Resource: "https://repos.example", Prefix: "repo", JWK: newSigner(t).Public()})
	w.ok(err)
	bot, key := w.keyed("bot")
	w.publish(fmt.Sprintf(`@id("bot") permit (principal == Agent::%q, action in Action::"repo:*", resource is repo);`, bot.ID()))
	link, err := w.priya.Delegate(w.ctx, bot.ID().String(), attorn.Lend{Permissions: []delegation.Permission{{Permission: "repo:acme/api:write"}}, Uses: 2})
	w.ok(err)
	tok, err := bot.Token(w.ctx, "https://repos.example", attorn.TokenRequest{Delegation: link.Statement.ID.String()})
	w.ok(err)
	shown := func(subject, does, what, url string) api.Evaluation {
		in := evaluation(subject, does, what)
		p, err := dpop.Sign(key, dpop.Claims{Method: "POST", URL: url, JTI: rand.Text(), AccessToken: tok.AccessToken, IssuedAt: w.now()})
		w.ok(err)
		in.Context = &api.EvalContext{Token: tok.AccessToken, Proof: &api.ShownProof{DPoP: p, Method: "POST", URL: url}}
		return in
	}
	const here = "https://repos.example/acme"
	me := "agent:" + bot.ID().String()
	for _, c := range []struct{ subject, does, what, url, code string }{
		{me, "write", "repo:acme/api", here, ""},
		{me, "write", "repo:acme/web", here, "not_lent"},
		{me, "read", "repo:acme/api", here, "not_lent"},
		{"agent:" + id.New[id.Agent](w.now()).String(), "write", "repo:acme/api", here, "subject_mismatch"},
		{me, "write", "repo:acme/api", "https://repos.example.org/acme", "invalid_token"},
		{"user:" + w.priya.User().String(), "write", "repo:acme/api", here, ""}, // on whose behalf the token was given
		{me, "write", "repo:acme/api", here, "delegation_exhausted"},
	} {
		d := w.decided(shown(c.subject, c.does, c.what, c.url))
		if codeOf(d) != c.code || d.Decision != (c.code == "") {
			t.Errorf("%+v: %+v", c, d.Context)
		}
		if c.code != "" && d.Context.Attorn.Basis != "proved" {
			t.Errorf("%+v: %+v", c, d.Context.Attorn)
		}
	}
	found, err := w.priya.Events(w.ctx, attorn.EventQuery{Agent: bot.ID().String(), Kind: string(evidence.DecisionMade), Page: attorn.Page{Limit: 20}})
	w.ok(err)
	var permits int
	for _, i := range found.Items {
		e, err := evidence.ParseEvent(i.Body)
		w.ok(err)
		if e.Outcome != evidence.Permit || e.Did.Basis != evidence.ByProof {
			continue
		}
		permits++
		if e.Who.Sub != bot.ID().String() || e.Did.By != w.priya.User().String() || len(e.Who.Chain) != 2 || e.Why.Bundle.IsZero() {
			t.Errorf("%s", i.Body)
		}
		pack, err := w.priya.Pack(w.ctx, e.ID)
		w.ok(err)
		trust, err := w.priya.Trust(w.ctx)
		w.ok(err)
		if report, err := evidence.Verify(pack, trust); err != nil || !report.OK() {
			t.Errorf("%v\n%s", err, report.Tree())
		}
	}
	if permits != 2 {
		t.Errorf("%d permits by proof are recorded", permits)
	}
	again := shown(me, "write", "repo:acme/api", here)
	w.decided(again)
	if _, err := w.priya.Authorize(w.ctx, again); err == nil {
		if d := w.decided(again); d.Decision {
			t.Errorf("the same proof again: %+v", d)
		}
	}
	gone := shown(me, "write", "repo:acme/api", here)
	gone.Context.Proof.Method = "GET"
	if d := w.decided(gone); !strings.HasPrefix(codeOf(d), "dpop_") {
		t.Errorf("a proof of another method: %+v", d.Context)
	}
}

// A permit and a denial are evidence: a stranger makes them again offline, under the bundle that they name.
func TestDecisionsAreEvidence(t *testing.T) {
	w := start(t)
	w.records()
	in := evaluation("user:alice", "delete", "record:record-1")
	in.Action.Properties = jsontext.Value(`{"soft":true}`)
	_, err := w.priya.Evaluations(w.ctx, api.Evaluations{Evaluations: []api.Evaluation{in, evaluation("user:bob", "write", "record:record-1"), evaluation("user:bob", "write", "record:record-2")}})
	w.ok(err)
	live, err := w.priya.Policy(w.ctx)
	w.ok(err)
	found, err := w.priya.Events(w.ctx, attorn.EventQuery{Kind: string(evidence.DecisionMade), Page: attorn.Page{Limit: 3}})
	w.ok(err)
	w.publish("// another") // what decided stays what decided
	for i, want := range []evidence.Outcome{evidence.Permit, evidence.Deny, evidence.Permit} {
		e, err := evidence.ParseEvent(found.Items[i].Body)
		w.ok(err)
		if e.Outcome != want || e.Why.Bundle != live.Digest || e.Did.Basis != evidence.ByAssertion || e.Did.Subject == nil || e.Who.Sub != w.priya.User().String() {
			t.Fatalf("%d: %s", i, found.Items[i].Body)
		}
		pack, err := w.priya.Pack(w.ctx, e.ID)
		w.ok(err)
		trust, err := w.priya.Trust(w.ctx)
		w.ok(err)
		report, err := evidence.Verify(pack, trust)
		w.ok(err)
		decided := slices.ContainsFunc(report.Lines, func(l evidence.Line) bool { return l.Name == "decision" && l.Verdict == evidence.Holds })
		if !decided {
			t.Errorf("%d: %+v", i, report.Lines)
		}
	}
}

func TestAuthZENMetadata(t *testing.T) {
	w := start(t)
	for path, base := range map[string]string{"": w.URL, "/w/acme": w.URL + "/w/acme"} {
		res, err := http.Get(w.URL + "/.well-known/authzen-configuration" + path)
		w.ok(err)
		var m map[string]string
		w.ok(json.UnmarshalRead(res.Body, &m))
		res.Body.Close()
		if res.StatusCode != 200 || m["policy_decision_point"] != base || m["access_evaluation_endpoint"] != base+"/access/v1/evaluation" || m["search_action_endpoint"] != base+"/access/v1/search/action" || strings.Count(m["signed_metadata"], ".") != 2 {
			t.Errorf("%d %v", res.StatusCode, m)
		}
	}
	res, err := http.Get(w.URL + "/.well-known/authzen-configuration/w/default")
	w.ok(err)
	res.Body.Close()
	if res.StatusCode != 404 {
		t.Errorf("the default workspace by its name: %d", res.StatusCode)
	}
}

func refusesStrangers(ask func(*world, person) error) func(*world) {
	return func(w *world) {
		w.records()
		w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return ask(w, w.noor) })
	}
}

var authzenChecks = map[string]check{
	"Evaluation": {
		func(t *testing.T, w *world) {
			w.records()
			if d := w.decided(evaluation("user:alice", "read", "record:record-1")); !d.Decision {
				t.Errorf("%+v", d)
			}
		},
		refusesStrangers(func(w *world, p person) error {
			return only(p.Evaluation(w.ctx, evaluation("user:alice", "read", "record:record-1")))
		}),
	},
	"Evaluations": {
		func(t *testing.T, w *world) {
			w.records()
			got, err := w.priya.Evaluations(w.ctx, api.Evaluations{Evaluations: []api.Evaluation{evaluation("user:alice", "read", "record:record-1")}})
			if err != nil || len(got.Evaluations) != 1 || !got.Evaluations[0].Decision {
				t.Errorf("%+v, %v", got, err)
			}
		},
		refusesStrangers(func(w *world, p person) error {
			return only(p.Evaluations(w.ctx, api.Evaluations{Evaluations: []api.Evaluation{evaluation("user:alice", "read", "record:record-1")}}))
		}),
	},
	"SearchSubject": {
		func(t *testing.T, w *world) {
			w.records()
			got, err := w.priya.SearchSubject(w.ctx, api.EntitySearch{Evaluation: evaluation("user:", "write", "record:record-1")})
			if err != nil || len(got.Results) != 1 || got.Results[0] != (api.FoundEntity{Type: "user", ID: "alice"}) || got.Page.NextToken != "" {
				t.Errorf("%+v, %v", got, err)
			}
		},
		refusesStrangers(func(w *world, p person) error {
			return only(p.SearchSubject(w.ctx, api.EntitySearch{Evaluation: evaluation("user:", "write", "record:record-1")}))
		}),
	},
	"SearchResource": {
		func(t *testing.T, w *world) {
			w.records()
			got, err := w.priya.SearchResource(w.ctx, api.EntitySearch{Evaluation: evaluation("user:alice", "write", "record:")})
			if err != nil || len(got.Results) != 1 || got.Results[0].ID != "record-1" {
				t.Errorf("%+v, %v", got, err)
			}
		},
		refusesStrangers(func(w *world, p person) error {
			return only(p.SearchResource(w.ctx, api.EntitySearch{Evaluation: evaluation("user:alice", "write", "record:")}))
		}),
	},
	"SearchAction": {
		func(t *testing.T, w *world) {
			w.records()
			got, err := w.priya.SearchAction(w.ctx, api.EntitySearch{Evaluation: evaluation("user:alice", "", "record:record-1")})
			if err != nil || len(got.Results) != 2 || got.Results[0] != (api.FoundEntity{Name: "read"}) {
				t.Errorf("%+v, %v", got, err)
			}
		},
		refusesStrangers(func(w *world, p person) error {
			return only(p.SearchAction(w.ctx, api.EntitySearch{Evaluation: evaluation("user:alice", "", "record:record-1")}))
		}),
	},
}
