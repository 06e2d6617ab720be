package oauth

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

const (
	taskType   = "attorn_task"
	maxState   = 2 << 10 // bytes
	maxHint    = 255     // bytes, of what else a client may say
	maxTaskAge = 366 * 24 * 60 * 60
)

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`) // RFC 7636 §4.2, of SHA-256

// readRequest reads what an authorization request asks for. Whose it is, and where its answer goes, is its caller's to prove. Codes: duplicate_parameter, malformed,
// unsupported_response_type, request_not_supported, pkce_required, consent_required, too_large, scope_malformed, details_malformed.
func readRequest(in params) (r guard.AuthRequest, err error) {
	if len(in.twice) > 0 {
		return r, duplicate(in.twice[0])
	}
	f := in.form
	if err := checkKind(f); err != nil {
		return r, err
	}
	r = guard.AuthRequest{State: f["state"], Challenge: f["code_challenge"], Resources: in.resources, Nonce: f["nonce"], LoginHint: f["login_hint"]}
	switch {
	case r.Challenge == "":
		return r, fault.New(fault.Invalid, "pkce_required", "code_challenge is missing: every code is bound to a verifier (RFC 7636)").Try("send code_challenge and code_challenge_method=S256")
	case f["code_challenge_method"] != "S256":
		return r, fault.New(fault.Invalid, "pkce_required", "code_challenge_method is not S256, the only one there is").Try("send the SHA-256 of the verifier, and code_challenge_method=S256")
	case !challengeForm.MatchString(r.Challenge):
		return r, malformed("code_challenge is not 43 characters of base64url")
	case len(r.State) > maxState:
		return r, malformed("state has more than %d bytes", maxState)
	case len(r.Nonce) > maxHint || len(r.LoginHint) > maxHint || len(f["acr_values"]) > maxHint:
		return r, malformed("nonce, login_hint and acr_values have at most %d bytes", maxHint)
	}
	if jkt := f["dpop_jkt"]; jkt != "" {
		if r.JKT, err = id.ParseKey(jkt); err != nil {
			return r, malformed("dpop_jkt is not a SHA-256 thumbprint (RFC 9449 §10)")
		}
	}
	r.ACR = strings.Fields(f["acr_values"])
	if err := readPrompt(&r, f); err != nil {
		return r, err
	}
	return r, readAsked(&r, f)
}

// checkKind demands the one flow that there is.
func checkKind(f form) error {
	switch {
	case f["response_type"] == "":
		return malformed("the parameter response_type is missing")
	case f["response_type"] != "code":
		return fault.New(fault.Invalid, "unsupported_response_type", "response_type is not code, the only one there is").Try("send response_type=code")
	case f["response_mode"] != "" && f["response_mode"] != "query":
		return malformed("response_mode is not query, the only one there is")
	case f["request"] != "":
		return fault.New(fault.Invalid, "request_not_supported", "requests as objects are not supported (OpenID Connect Core §6)").Try("push the request instead (RFC 9126)")
	case f["request_uri"] != "":
		return malformed("a request_uri is opened at the authorization endpoint, and stands for all else")
	}
	return nil
}

// readPrompt reads prompt and max_age (OpenID Connect Core §3.1.2.1). Consent is never skipped, so prompt=none cannot be met.
func readPrompt(r *guard.AuthRequest, f form) error {
	r.Prompt = strings.Fields(f["prompt"])
	for _, p := range r.Prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			return malformed("prompt is none, login, consent and select_account")
		}
	}
	if slices.Contains(r.Prompt, "none") {
		if len(r.Prompt) > 1 {
			return malformed("prompt=none goes with nothing else")
		}
		return fault.New(fault.Denied, "consent_required", "a person is always asked").Try("send the request without prompt=none")
	}
	if s := f["max_age"]; s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || len(s) > 10 || s[0] == '+' {
			return malformed("max_age is a number of seconds")
		}
		r.MaxAge = &n
	}
	return nil
}

// readAsked reads scope and authorization_details (RFC 9396), of which no one permission may stand in both: the union would have no constraints.
func readAsked(r *guard.AuthRequest, f form) error {
	var rest []string
	if len(f["scope"]) > maxScope {
		return tooLarge("scope has more than %d bytes", maxScope)
	}
	for item := range strings.SplitSeq(f["scope"], " ") {
		switch item {
		case "openid":
			r.OpenID = true
		case "offline_access":
			r.Offline = true
		default:
			rest = append(rest, item)
		}
	}
	scope, err := readScope(strings.Join(rest, " "))
	if err != nil {
		return err
	}
	details, err := readAskedDetails(r, f["authorization_details"])
	if err != nil {
		return err
	}
	if err := apart(scope, details); err != nil {
		return err
	}
	r.Permissions = append(scope, details...)
	return nil
}

// askedDetail is an object of authorization_details: a permission, or the task.
type askedDetail struct {
	Type       string                           `json:"type"`
	Permission string                           `json:"permission"`
	Where      map[string]delegation.Constraint `json:"where"`
	Locations  []string                         `json:"locations"`
	guard.TaskAsk
}

func readAskedDetails(r *guard.AuthRequest, s string) ([]delegation.Permission, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxDetails {
		return nil, tooLarge("authorization_details has more than %d bytes", maxDetails)
	}
	var in []askedDetail
	if err := jose.Decode([]byte(s), &in, jose.Limits{Bytes: maxDetails}); err != nil {
		return nil, badDetails("authorization_details is not acceptable: %s", fault.Of(err).Reason)
	}
	var all []delegation.Permission
	for _, d := range in {
		switch d.Type {
		case detailType:
			p := delegation.Permission{Permission: d.Permission, Where: d.Where}
			if err := p.Check(); err != nil {
				return nil, badDetails("authorization_details is not acceptable: %s", err)
			}
			if d.TaskAsk != (guard.TaskAsk{}) {
				return nil, badDetails("%s has a member of %s", detailType, taskType)
			}
			for _, l := range d.Locations {
				if !slices.Contains(r.Resources, l) {
					return nil, badDetails("a location is none of the resources that are asked for")
				}
			}
			all = append(all, p)
		case taskType:
			if err := checkTask(r, d); err != nil {
				return nil, err
			}
			r.Task = d.TaskAsk
		default:
			return nil, badDetails("the types of authorization_details are %s and %s", detailType, taskType)
		}
	}
	return all, nil
}

func checkTask(r *guard.AuthRequest, d askedDetail) error {
	t := d.TaskAsk
	switch {
	case r.Task != (guard.TaskAsk{}) || t == (guard.TaskAsk{}):
		return badDetails("there is at most one %s, and it says something", taskType)
	case d.Permission != "" || len(d.Where) > 0 || len(d.Locations) > 0:
		return badDetails("%s has a member of %s", taskType, detailType)
	case t.ExpiresIn < 0 || t.ExpiresIn > maxTaskAge || t.MaxUses < 0 || t.MaxUses > 1_000_000_000 || t.MaxDepth < 0 || t.MaxDepth > delegation.MaxDepth:
		return badDetails("expires_in, max_uses and max_depth of %s are out of range", taskType)
	case len(t.Task) > 128 || len(t.Purpose) > 500:
		return badDetails("task has at most 128 bytes and purpose 500")
	}
	return nil
}

// apart demands that what is asked for under constraints is not asked for without, in scope or beside it: the union would have none.
func apart(scope, details []delegation.Permission) error {
	for _, d := range details {
		bare := delegation.Permission{Permission: d.Permission}
		inScope := func(s delegation.Permission) bool { return delegation.Covers(s, bare) || delegation.Covers(bare, s) }
		beside := func(p delegation.Permission) bool {
			return len(d.Where) > 0 && len(p.Where) == 0 && delegation.Covers(p, bare)
		}
		if slices.ContainsFunc(scope, inScope) || slices.ContainsFunc(details, beside) {
			return badDetails("%s is asked for under constraints, and without them too: the token would have none", d.Permission)
		}
	}
	return nil
}
