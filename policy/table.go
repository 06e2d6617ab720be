package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/jose"
)

// table is a file of tests (policy.md §9): who there is, which tools there are, and what becomes of requests.
//
//	actors:
//	  maya: { type: User, roles: [release-manager], groups: [leads], tags: { dept: engineering } }
//	  deployer: { type: Agent, owner: maya }
//	tools:
//	  deploy:run: { class: write, inputSchema: { type: object, properties: { env: { type: string } }, required: [env] } }
//	defaults: { actor: deployer, for: maya }
//	tests:
//	  - name: production takes a second person
//	    call: tool:deploy:run
//	    args: { env: production }
//	    expect: ask
//	    gates: [deploy/production]
//
// An actor's id is its name. for is whom the actor acts for, the nearest first: at the end a person, or only agents. A tool that a file does not name is the
// workspace's. on is what an act of attorn's own, or of a type of the bundle, is done to. approved has the people who voted, by gate.
type table struct {
	Actors   map[string]tableActor `json:"actors"`
	Tools    map[string]tableTool  `json:"tools"`
	Defaults tableRow              `json:"defaults"`
	Tests    []tableRow            `json:"tests"`
}

type tableActor struct {
	Type   string            `json:"type"`
	Owner  string            `json:"owner"`
	Roles  []string          `json:"roles"`
	Groups []string          `json:"groups"`
	Tags   map[string]string `json:"tags"`
}

type tableTool struct {
	Class       string         `json:"class"`
	InputSchema jsontext.Value `json:"inputSchema"`
}

type tableRow struct {
	Name     string              `json:"name"`
	Actor    string              `json:"actor"`
	For      names               `json:"for"`
	Call     string              `json:"call"`
	On       *Entity             `json:"on"`
	Args     jsontext.Value      `json:"args"`
	Facts    tableFacts          `json:"facts"`
	Approved map[string][]string `json:"approved"`
	Expect   Outcome             `json:"expect"`
	Code     string              `json:"code"`
	Gates    []string            `json:"gates"`
}

// tableFacts are the circumstances; each has a default that does not matter to policies that do not speak of it.
type tableFacts struct {
	Now      string `json:"now"` // RFC 3339
	IP       string `json:"ip"`
	Risk     int64  `json:"risk"`
	ACR      *int64 `json:"acr"`
	Age      int64  `json:"age"`
	Proof    string `json:"proof"`
	Origin   string `json:"origin"`
	Instance string `json:"instance"`
	Depth    int64  `json:"depth"`
	Task     string `json:"task"`
	Purpose  string `json:"purpose"`
}

// names is a name or a list of them.
type names []string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *names) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		*n = names{""}
		return json.UnmarshalDecode(dec, &(*n)[0])
	}
	return json.UnmarshalDecode(dec, (*[]string)(n))
}

const maxTests = 1000 // in a file

var (
	testPath  = regexp.MustCompile(`^tests/[A-Za-z0-9][A-Za-z0-9._-]*_test\.yaml$`)
	actorForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// readTable reads a file of tests. Codes: those of a bundle's YAML, test_invalid.
func readTable(path string, text []byte) (t table, wrong []Problem) {
	if p := decodeYAML(path, text, &t); p != nil {
		return t, []Problem{*p}
	}
	bad := func(format string, args ...any) {
		if len(wrong) < maxProblems {
			wrong = append(wrong, Problem{File: path, Code: "test_invalid", Message: fmt.Sprintf(format, args...), Severity: SeverityError})
		}
	}
	if len(t.Tests) == 0 || len(t.Tests) > maxTests {
		bad("a file of tests has 1 to %d", maxTests)
	}
	for _, name := range sortedNames(t.Actors) {
		a := t.Actors[name]
		owner, owned := t.Actors[a.Owner]
		switch {
		case !actorForm.MatchString(name):
			bad("the actor %q has a name of letters, digits and - _ . at most 64", name)
		case a.Type != TypeUser && a.Type != TypeAgent:
			bad("the actor %s has the type User or Agent", name)
		case a.Owner != "" && (a.Type != TypeAgent || !owned || owner.Type != TypeUser):
			bad("the owner of %s is an actor of the type User, and only agents have one%s", name, meant(a.Owner, sortedNames(t.Actors)))
		}
	}
	for _, name := range sortedNames(t.Tools) {
		if tool := t.Tools[name]; strings.Count(name, ":") != 1 || segmentsOf("tool:"+name) == nil {
			bad("the tool %q is named <server>:<tool>", name)
		} else if !slices.Contains([]string{"", "read", "write", "destroy"}, tool.Class) {
			bad("the class of %s is read, write or destroy", name)
		} else if _, err := tool.shape(); err != nil {
			bad("the tool %s: %v", name, err)
		}
	}
	seen := map[string]bool{}
	for i := range t.Tests {
		t.Tests[i] = t.Tests[i].over(t.Defaults)
		if t.Tests[i].Name == "" {
			t.Tests[i].Name = fmt.Sprintf("test %d", i+1)
		}
		if seen[t.Tests[i].Name] {
			bad("two tests are named %q", t.Tests[i].Name)
		}
		seen[t.Tests[i].Name] = true
		if what := t.check(t.Tests[i]); what != "" {
			bad("%s: %s", t.Tests[i].Name, what)
		}
	}
	return t, wrong
}

func sortedNames[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// over is a row with what it does not say taken from the defaults.
func (r tableRow) over(d tableRow) tableRow {
	if r.Actor == "" {
		r.Actor = d.Actor
	}
	if r.For == nil {
		r.For = d.For
	}
	if r.Call == "" {
		r.Call = d.Call
	}
	if r.On == nil {
		r.On = d.On
	}
	if r.Args == nil {
		r.Args = d.Args
	}
	if r.Facts == (tableFacts{}) {
		r.Facts = d.Facts
	}
	if r.Expect == "" {
		r.Expect = d.Expect
	}
	return r
}

// check says what is wrong with a row, apart from what the policies make of it.
func (t *table) check(r tableRow) string {
	for _, name := range append([]string{r.Actor}, r.For...) {
		if _, ok := t.Actors[name]; !ok {
			return fmt.Sprintf("there is no actor %q", name) + meant(name, sortedNames(t.Actors))
		}
	}
	for gate, voters := range r.Approved {
		for _, name := range voters {
			if _, ok := t.Actors[name]; !ok {
				return fmt.Sprintf("there is no actor %q, who voted on %s", name, gate) + meant(name, sortedNames(t.Actors))
			}
		}
	}
	switch {
	case r.Call == "":
		return "call is the permission that is asked for"
	case r.Expect != Permit && r.Expect != Deny && r.Expect != Ask:
		return fmt.Sprintf("expect is permit, deny or ask, not %q", r.Expect) + meant(string(r.Expect), []string{"permit", "deny", "ask"})
	case r.Code != "" && r.Expect != Deny:
		return "only a denial has a code"
	case r.Gates != nil && r.Expect == Deny:
		return "a denial has no gates"
	case r.Facts.Now != "":
		if _, err := time.Parse(time.RFC3339, r.Facts.Now); err != nil {
			return "now is a time such as 2026-11-23T09:00:00Z"
		}
	}
	f, err := t.facts(r, "", tableTool{}.Class)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (t tableTool) shape() (*Shape, error) {
	schema := t.InputSchema
	if schema == nil {
		schema = jsontext.Value(`{"type":"object"}`)
	}
	raw, err := json.Marshal(map[string]any{"name": "tool", "inputSchema": schema})
	if err != nil {
		return nil, err
	}
	return ShapeOf(raw)
}

// facts are a row's facts. The name of a tool's pin does not matter.
func (t *table) facts(r tableRow, pin, class string) (Facts, error) {
	f := Facts{
		Action: r.Call, ActionParents: ActionParents(r.Call, class), IP: r.Facts.IP, Risk: r.Facts.Risk, Now: 1_767_225_600_000_000, // 2026
		Actor: Actor{Instance: r.Facts.Instance, Origin: r.Facts.Origin, Proof: r.Facts.Proof},
	}
	if at, err := time.Parse(time.RFC3339, r.Facts.Now); err == nil {
		f.Now = at.UnixMicro()
	}
	for _, name := range append([]string{r.Actor}, r.For...) {
		f.Principals = append(f.Principals, UID{t.Actors[name].Type, name})
	}
	for _, name := range sortedNames(t.Actors) {
		f.Entities = append(f.Entities, t.Actors[name].entity(name))
	}
	acting := f.Principals[0].Type == TypeAgent
	if acting && f.Actor.Proof == "" {
		f.Actor.Proof = "dpop"
	}
	if acting && f.Actor.Origin == "" {
		f.Actor.Origin = "enrolled"
	}
	if _, person := f.Person(); person && len(f.Principals) > 1 {
		f.Delegation = Lent{ID: "dlg_test", Depth: r.Facts.Depth, Task: r.Facts.Task, Purpose: r.Facts.Purpose}
	}
	if r.Facts.ACR != nil {
		f.Auth = &Auth{ACR: *r.Facts.ACR, Age: r.Facts.Age}
	}
	f.resource(r, pin)
	if r.Args != nil {
		raw, err := jose.CanonicalRaw(r.Args, argumentLimits())
		if err != nil {
			return f, err
		}
		f.Arguments = raw
	}
	return f, nil
}

// resource is what the row is about, with what that is in.
func (f *Facts) resource(r tableRow, pin string) {
	workspace := Entity{UID: UID{"Workspace", "default"}}
	f.Entities = append(f.Entities, workspace)
	rest, isTool := strings.CutPrefix(r.Call, "tool:")
	server, _, _ := strings.Cut(rest, ":")
	switch {
	case isTool:
		f.Resource = UID{TypeTool, rest}
		f.Entities = append(f.Entities,
			Entity{UID: f.Resource, Parents: []UID{{"Server", server}}, Attrs: map[string]any{"pin": pin}}, Entity{UID: UID{"Server", server}, Parents: []UID{workspace.UID}})
	case r.On != nil:
		f.Resource = r.On.UID
		f.Entities = append(f.Entities, *r.On)
	default:
		f.Resource = UID{typeNoun, "test"}
		f.Entities = append(f.Entities, Entity{UID: f.Resource, Parents: []UID{workspace.UID}})
	}
}

func (a tableActor) entity(name string) Entity {
	e := Entity{UID: UID{a.Type, name}, Tags: a.Tags}
	for _, g := range a.Groups {
		e.Parents = append(e.Parents, UID{"Group", g})
	}
	for _, role := range a.Roles {
		e.Parents = append(e.Parents, UID{"Role", role})
	}
	if a.Owner != "" {
		e.Attrs = map[string]any{"owner": UID{TypeUser, a.Owner}}
	}
	return e
}
