package gateway

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
)

// refusalKey is where a refused tools/call says why: in _meta, since clients hold structuredContent to the tool's output schema even on errors.
const refusalKey = "io.github.attorn/refusal"

// refusalBody is the machine's part of a refusal; the text beside it is the model's and the person's.
type refusalBody struct {
	Code       string      `json:"code"`
	Reason     string      `json:"reason"`
	Remedy     string      `json:"remedy,omitempty"`
	Decision   id.Decision `json:"decision,omitzero"`
	Approval   id.Approval `json:"approval,omitzero"`
	StatusURL  string      `json:"status_url,omitempty"`
	ExpiresAt  string      `json:"expires_at,omitempty"` // RFC 3339
	RetryAfter int         `json:"retry_after_s,omitzero"`
}

func (b refusalBody) encode() []byte {
	raw, err := json.Marshal(b)
	if err != nil {
		return []byte(`{"code":"internal"}`)
	}
	return raw
}

// bodyOf is the refusal that a verdict means.
func bodyOf(v guard.Verdict) refusalBody {
	b := refusalBody{Code: v.Code, Reason: v.Reason, Remedy: v.Remedy, Decision: id.DecisionOf(v.Event)}
	if v.Event.IsZero() {
		b.Decision = id.Decision{}
	}
	if p := v.Approval; p != nil {
		b.Approval, b.StatusURL, b.ExpiresAt = p.ID, p.URL, p.Expires.UTC().Format(time.RFC3339)
	}
	return b
}

// over reports whether what an app was given is over, by the refusal's code. Its client learns that from a 401 alone (RFC 6750 §3.1), and asks the person
// again; an agent's own client asks nobody, so its model is told.
func (x *exchange) over(code string) bool {
	switch code {
	case "delegation_revoked", "delegation_expired", "delegation_exhausted", "delegation_ended", "token_revoked", "token_ended":
		return x.caller != nil && x.caller.App()
	}
	return false
}

func (x *exchange) unauthenticated(err error) {
	x.out.fail401(func() { x.g.unauthenticated(x.w, x.place, len(x.header.Values("Authorization")) > 0, err) })
}

// refuse answers a gated call that may not go on: a result that the model can read for tools, an error for the rest.
func (x *exchange) refuse(b refusalBody) {
	if x.over(b.Code) {
		x.unauthenticated(fault.New(fault.Unauthenticated, b.Code, "%s", b.Reason).Try("%s", b.Remedy))
		return
	}
	if b.Code == "signature_needed" {
		x.w.Header().Set("Accept-Signature", httpsig.Challenge(len(x.header.Values("Authorization")) > 0))
	}
	if x.msg.Method != "tools/call" {
		x.out.fail(&rpcError{Code: codeRefused, Message: b.Reason, Data: b.encode()})
		return
	}
	text := "Refused: " + b.Reason + "."
	if b.Remedy != "" {
		text += "\nTry: " + b.Remedy + "."
	}
	if b.StatusURL != "" {
		text += "\nStatus: " + b.StatusURL
	}
	content := (&object{}).text("type", "text").text("text", text).end()
	result := &object{}
	if x.revision == modern {
		result.text("resultType", "complete")
	}
	result.raw("content", append(append([]byte{'['}, content...), ']')).raw("isError", []byte("true"))
	result.raw("_meta", (&object{}).raw(refusalKey, b.encode()).end())
	x.out.result(result.end())
}

// unknown answers for a tool, prompt or resource that the caller could never use, or that does not exist: the same for both.
func (x *exchange) unknown() {
	what := map[string]string{"tools/call": "Unknown tool", "prompts/get": "Unknown prompt"}[x.msg.Method]
	if what == "" {
		what = "Unknown resource"
	}
	x.out.fail(&rpcError{Code: codeParams, Message: what})
}

// failed answers for an error of the guard or the catalogue: nothing was decided, so nothing is done. Unknown errors are opaque outside.
func (x *exchange) failed(err error) {
	f := fault.Of(err)
	switch {
	case f == nil || f.Kind == fault.Internal:
		ref := x.g.opaque(err)
		x.out.fail(&rpcError{Code: codeInternal, Message: "Internal error " + ref, Data: refusalBody{Code: "internal", Reason: "internal error " + ref}.encode()})
	case f.Kind == fault.Unauthenticated || f.Code == "replayed" || x.over(f.Code):
		x.unauthenticated(err)
	default:
		b := refusalBody{Code: f.Code, Reason: f.Reason, Remedy: f.Remedy}
		if f.Kind == fault.Unavailable || f.Kind == fault.Limited {
			b.RetryAfter = 5
		}
		if gated(x.msg.Method) {
			x.refuse(b)
			return
		}
		x.out.fail(&rpcError{Code: codeRefused, Message: f.Reason, Data: b.encode()})
	}
}
