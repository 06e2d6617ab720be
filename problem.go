package attorn

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// Refusal is the fault of an answer that is no success, by the API or by somebody's Verifier.
func Refusal(status int, body []byte) error { return problem(status, body) }

// problem makes the fault of a refusal by the API (RFC 9457).
func problem(status int, answer []byte) error {
	var p api.Problem
	if err := jose.DecodeForeign(answer, &p, jose.Limits{}); err != nil || p.Code == "" {
		return fault.New(kindOf(status), "bad_answer", "the server answered with status %d, but not as attorn does", status).
			Try("check the server's address, and what is in front of it")
	}
	return refused(status, p)
}

func refused(status int, p api.Problem) error {
	if p.Code == "internal" {
		return fault.New(fault.Internal, p.Code, "the server failed; its log has the cause under %s", p.RequestID)
	}
	return refusal(status, p.Code, p.Detail, p.Remedy)
}

func refusal(status int, code, reason, remedy string) error {
	e := fault.New(kindOf(status), code, "%s", reason)
	if remedy != "" {
		e = e.Try("%s", remedy)
	}
	return e
}

// oauthProblem makes the fault of a refusal by the authorization server (RFC 6749 §5.2); its reason is more exact than its error.
func oauthProblem(status int, answer []byte) error {
	var p struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Reason      string `json:"reason"`
		Remedy      string `json:"remedy"`
	}
	if err := jose.DecodeForeign(answer, &p, jose.Limits{}); err != nil || p.Error == "" {
		return problem(status, answer)
	}
	code := p.Reason
	if code == "" {
		code = p.Error
	}
	if status == 400 && (p.Error == "invalid_grant" || p.Error == "invalid_scope" || p.Error == "unauthorized_client" || p.Error == "access_denied") {
		status = 403
	}
	return refusal(status, code, p.Description, p.Remedy)
}

func kindOf(status int) fault.Kind {
	switch status {
	case 401:
		return fault.Unauthenticated
	case 403:
		return fault.Denied
	case 404:
		return fault.NotFound
	case 409, 410, 412:
		return fault.Conflict
	case 413:
		return fault.TooLarge
	case 429:
		return fault.Limited
	case 500:
		return fault.Internal
	case 502, 503, 504:
		return fault.Unavailable
	}
	return fault.Invalid
}
