package admin

import (
	"maps"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// The decision API is another's protocol (AuthZEN Authorization API 1.0): unknown members are ignored, X-Request-ID comes back, and whatever is wrong with a request is 400.

const (
	authzenPath  = "/access/v1/"
	authzenKnown = "/.well-known/authzen-configuration"
	requestIDKey = "X-Request-ID"
)

// isAuthZEN says whether a request is of that protocol.
func isAuthZEN(r *http.Request) bool {
	path := r.URL.Path
	if ws := r.PathValue("ws"); ws != "" {
		path = strings.TrimPrefix(path, "/w/"+ws)
	}
	return strings.HasPrefix(path, authzenPath)
}

// evaluationIn is a request in any of the forms. An item of a batch is read by itself, so that a bad one is nobody else's error.
type evaluationIn struct {
	Subject     *api.Entity      `json:"subject"`
	Action      *api.EntityVerb  `json:"action"`
	Resource    *api.Entity      `json:"resource"`
	Context     jsontext.Value   `json:"context"`
	Evaluations []jsontext.Value `json:"evaluations"`
	Options     *struct {
		Semantic string `json:"evaluations_semantic"`
	} `json:"options"`
	Page *struct {
		Token string `json:"token"`
		Limit int    `json:"limit"`
	} `json:"page"`
}

func readEvaluation(body []byte, into *evaluationIn) error {
	if len(body) == 0 {
		return fault.New(fault.Invalid, "malformed", "the body is a JSON object with subject, action and resource")
	}
	return jose.DecodeForeign(body, into, jose.Limits{Bytes: maxBody, Values: 100_000})
}

const maxEvaluations = 1000

// evaluation answers one question.
func evaluation(x *request, body []byte) (any, error) {
	var in evaluationIn
	if err := readEvaluation(body, &in); err != nil {
		return nil, err
	}
	return x.single(in)
}

func (x *request) single(in evaluationIn) (any, error) {
	q := asked(in)
	if q.Bad != nil {
		return nil, q.Bad
	}
	found, err := x.Guard.Authorize(x.ctx, x.caller, []guard.Inquiry{q}, func(bool) bool { return true })
	if err != nil {
		return nil, err
	}
	return decisionOf(found[0]), nil
}

// evaluations answers several; without any it is a single one.
func evaluations(x *request, body []byte) (any, error) {
	var in evaluationIn
	if err := readEvaluation(body, &in); err != nil {
		return nil, err
	}
	if len(in.Evaluations) == 0 {
		return x.single(in)
	}
	if len(in.Evaluations) > maxEvaluations {
		return nil, fault.New(fault.Invalid, "malformed", "a request has at most %d evaluations", maxEvaluations)
	}
	semantic := ""
	if in.Options != nil {
		semantic = in.Options.Semantic
	}
	over, err := overAfter(semantic)
	if err != nil {
		return nil, err
	}
	all := make([]guard.Inquiry, len(in.Evaluations))
	for i, raw := range in.Evaluations {
		all[i] = item(in, raw)
	}
	found, err := x.Guard.Authorize(x.ctx, x.caller, all, over)
	if err != nil {
		return nil, err
	}
	out := api.Decisions{Evaluations: make([]api.Decision, len(found))}
	for i, f := range found {
		out.Evaluations[i] = decisionOf(f)
	}
	return out, nil
}

// overAfter says after which answer a batch stops.
func overAfter(semantic string) (func(permit bool) bool, error) {
	switch semantic {
	case "", "execute_all":
		return func(bool) bool { return false }, nil
	case "deny_on_first_deny":
		return func(permit bool) bool { return !permit }, nil
	case "permit_on_first_permit":
		return func(permit bool) bool { return permit }, nil
	}
	return nil, fault.New(fault.Invalid, "malformed", "evaluations_semantic is execute_all, deny_on_first_deny or permit_on_first_permit")
}

// item is one of a batch: what it lacks, as a whole object, is taken from beside the batch.
func item(defaults evaluationIn, raw jsontext.Value) guard.Inquiry {
	var in evaluationIn
	if err := readEvaluation(raw, &in); err != nil {
		return guard.Inquiry{Bad: err}
	}
	if in.Subject == nil {
		in.Subject = defaults.Subject
	}
	if in.Action == nil {
		in.Action = defaults.Action
	}
	if in.Resource == nil {
		in.Resource = defaults.Resource
	}
	if len(in.Context) == 0 || in.Context.Kind() == 'n' {
		in.Context = defaults.Context
	}
	return asked(in)
}

// asked reads a whole question. Bad says what is wrong with it.
func asked(in evaluationIn) guard.Inquiry {
	q, err := guard.Inquiry{}, firstOf(wholeEntity("subject", in.Subject, true), wholeVerb(in.Action), wholeEntity("resource", in.Resource, true))
	if err == nil {
		q.Shown, err = shownIn(in.Context)
	}
	if err != nil {
		return guard.Inquiry{Bad: err}
	}
	q.Subject, q.Resource = policy.UID{Type: in.Subject.Type, ID: in.Subject.ID}, policy.UID{Type: in.Resource.Type, ID: in.Resource.ID}
	q.Action, q.Told, q.Properties = in.Action.Name, in.Action.Properties, in.Resource.Properties
	return q
}

func firstOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func wholeEntity(what string, e *api.Entity, named bool) error {
	switch {
	case e == nil:
		return fault.New(fault.Invalid, "malformed", "there is no %s", what)
	case !short(e.Type) || named && !short(e.ID):
		return fault.New(fault.Invalid, "malformed", "a %s has a type and an id, each one line of 1 to %d bytes", what, maxName)
	}
	return wholeProperties(what, &e.Properties)
}

func wholeVerb(a *api.EntityVerb) error {
	switch {
	case a == nil:
		return fault.New(fault.Invalid, "malformed", "there is no action")
	case !short(a.Name):
		return fault.New(fault.Invalid, "malformed", "an action has a name, one line of 1 to %d bytes", maxName)
	}
	return wholeProperties("action", &a.Properties)
}

// wholeProperties takes an object; null is as if there were none.
func wholeProperties(what string, p *jsontext.Value) error {
	switch {
	case len(*p) == 0:
	case p.Kind() == 'n':
		*p = nil
	case p.Kind() != '{':
		return fault.New(fault.Invalid, "malformed", "the properties of the %s are an object", what)
	}
	return nil
}

const maxName = 255

func short(s string) bool { return s != "" && len(s) <= maxName && plain(s) }

// shownIn is what a context proves by.
func shownIn(context jsontext.Value) (*guard.Shown, error) {
	var c api.EvalContext
	if len(context) == 0 || context.Kind() == 'n' {
		return nil, nil
	}
	if err := jose.DecodeForeign(context, &c, jose.Limits{Bytes: maxBody, Values: 100_000}); err != nil {
		return nil, err
	}
	switch {
	case c.Token == "" && c.Proof == nil:
		return nil, nil
	case c.Token == "" || c.Proof == nil:
		return nil, fault.New(fault.Invalid, "malformed", "attorn_token and attorn_proof prove who acts together, neither does alone")
	}
	return &guard.Shown{Token: c.Token, Proof: c.Proof.DPoP, Method: c.Proof.Method, URL: c.Proof.URL}, nil
}

// decisionOf is an answer. A permit says nothing more: who does not understand what is said beside one may take it for a denial.
func decisionOf(f guard.Finding) api.Decision {
	if f.Outcome == policy.Permit {
		return api.Decision{Decision: true}
	}
	if f.Event.IsZero() {
		return api.Decision{Context: &api.DecisionContext{Error: &api.DecisionError{Status: http.StatusBadRequest, Code: f.Code, Message: f.Message}}}
	}
	d := &api.DecisionDetail{
		Outcome: string(f.Outcome), Code: f.Code, Reasons: append([]string{}, f.Reasons...), Message: f.Message, Remedy: f.Remedy, Basis: f.Basis, Event: f.Event,
	}
	for _, o := range f.Obligations {
		d.Approvals = append(d.Approvals, api.DecisionGate{Gate: o.Gate, Kind: string(o.Kind), Flow: o.Flow, Reason: o.Reason})
	}
	return api.Decision{Context: &api.DecisionContext{Attorn: d}}
}

// search makes the endpoint of one of the three searches.
func search(what string) endpoint {
	return func(x *request, body []byte) (any, error) {
		var in evaluationIn
		if err := readEvaluation(body, &in); err != nil {
			return nil, err
		}
		q, err := searched(what, in)
		if err != nil {
			return nil, err
		}
		hits, err := x.Guard.Search(x.ctx, x.caller, q)
		if err != nil {
			return nil, err
		}
		out := api.Found{Page: api.FoundPage{NextToken: hits.Next, Count: len(hits.Found)}, Results: make([]api.FoundEntity, len(hits.Found))}
		for i, u := range hits.Found {
			out.Results[i] = api.FoundEntity{Type: u.Type, ID: u.ID}
			if what == guard.ForActions {
				out.Results[i] = api.FoundEntity{Name: u.ID}
			}
		}
		return out, nil
	}
}

// searched reads a search: what is searched for needs no id, and one that is there is ignored; of an action, all.
func searched(what string, in evaluationIn) (guard.Search, error) {
	q := guard.Search{For: what}
	err := firstOf(wholeEntity("subject", in.Subject, what != guard.ForSubjects), wholeEntity("resource", in.Resource, what != guard.ForResources))
	if err == nil && what != guard.ForActions {
		err = wholeVerb(in.Action)
	}
	if err != nil {
		return q, err
	}
	switch what {
	case guard.ForSubjects:
		in.Subject.ID = ""
	case guard.ForResources:
		in.Resource.ID = ""
	case guard.ForActions:
		in.Action = &api.EntityVerb{}
	}
	if in.Page != nil {
		if in.Page.Limit < 0 {
			return q, fault.New(fault.Invalid, "malformed", "a page's limit is a number, not below 0")
		}
		q.Token, q.Limit = in.Page.Token, in.Page.Limit
	}
	if _, err := shownIn(in.Context); err != nil {
		return q, err
	}
	raw, err := json.Marshal(map[string]any{"subject": in.Subject, "action": in.Action, "resource": in.Resource, "context": in.Context})
	if err != nil {
		return q, err
	}
	canonical, err := jose.CanonicalRaw(raw, jose.Limits{Bytes: maxBody, Values: 100_000})
	if err != nil {
		return q, err
	}
	q.Query = evidence.ContentOf(canonical).Digest
	q.Inquiry = guard.Inquiry{
		Subject: policy.UID{Type: in.Subject.Type, ID: in.Subject.ID}, Resource: policy.UID{Type: in.Resource.Type, ID: in.Resource.ID},
		Action: in.Action.Name, Told: in.Action.Properties, Properties: in.Resource.Properties,
	}
	return q, nil
}

// authzenMetadata says where the decision API of a workspace is. It depends on the URL's shape alone: strangers learn nothing about which workspaces there are.
func (f *face) authzenMetadata(w http.ResponseWriter, r *http.Request) {
	ws, err := workspaceOf(r)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	base := f.Guard.DecisionPoint(ws)
	m := map[string]string{
		"policy_decision_point": base, "access_evaluation_endpoint": base + authzenPath + "evaluation", "access_evaluations_endpoint": base + authzenPath + "evaluations",
		"search_subject_endpoint": base + authzenPath + "search/subject", "search_resource_endpoint": base + authzenPath + "search/resource",
		"search_action_endpoint": base + authzenPath + "search/action",
	}
	signed := maps.Clone(m)
	if m["signed_metadata"], err = f.Guard.SignMetadata(r.Context(), signed); err != nil {
		f.refuse(w, r, err)
		return
	}
	body, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the client is gone: nothing to do
}
