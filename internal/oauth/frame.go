package oauth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// exchange is one request and what the frame knows of it.
type exchange struct {
	*face
	ctx     context.Context
	r       *http.Request
	url     string // as the client addressed it: the issuer and the path
	form    form
	several params // the form of a pushed request, where resource may be there several times
	from    attempt
	lent    string // where a person sees what they allowed, once they have answered; "" before
	asGrant bool   // the client's proof is the grant itself: its failure is the grant's (RFC 7523 §3.1)
}

// endpoint answers a POST with a value for the body, or a refusal.
type endpoint func(x *exchange) (any, error)

// post serves an endpoint whose parameters are in the body.
func (f *face) post(mux *http.ServeMux, path string, run endpoint) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		secure(h)
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache") // RFC 6749 §5.1
		h.Set("DPoP-Nonce", f.Guard.Challenge())
		x := &exchange{face: f, ctx: r.Context(), r: r, url: f.Issuer + path}
		defer x.caught(w)
		if f.otherMethod(w, r, http.MethodPost) {
			return
		}
		answer, err := x.answer(run)
		if err != nil {
			x.fail(w, err)
			return
		}
		if d, ok := answer.(secretDocument); ok {
			h.Set("Content-Type", d.kind)
			_, _ = io.WriteString(w, d.body) // the client is gone: nothing to do
			return
		}
		body, status := statusOf(answer)
		x.write(w, status, body)
	})
}

// answer reads the request and runs its endpoint.
func (x *exchange) answer(run endpoint) (any, error) {
	body, err := readBody(x.r)
	if err != nil {
		return nil, err
	}
	if err := x.noPrivateKey(body); err != nil {
		return nil, err
	}
	if n := len(x.r.Header.Values("Authorization")); n > 1 {
		return nil, malformed("the request has %d Authorization headers, not one", n).Try("send one at most")
	}
	if x.url == x.Issuer+parPath {
		x.several, err = readParams(x.r, body)
		x.form = x.several.form
	} else {
		x.form, err = readForm(x.r, body)
	}
	if err != nil {
		return nil, err
	}
	return run(x)
}

// get serves a public document.
func (f *face) get(mux *http.ServeMux, path string, run endpoint) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		x := &exchange{face: f, ctx: r.Context(), r: r}
		defer x.caught(w)
		if f.otherMethod(w, r, http.MethodGet, http.MethodHead) {
			return
		}
		answer, err := run(x)
		if err != nil {
			x.fail(w, err)
			return
		}
		if d, ok := answer.(document); ok {
			x.send(w, d)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		x.write(w, http.StatusOK, answer)
	})
}

// secure sets what every answer has. Any page may read it: nothing here rests on a cookie.
func secure(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Digest, DPoP-Nonce, ETag, Retry-After, Signature, Signature-Input, WWW-Authenticate")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
}

// otherMethod answers a CORS preflight, and every method that is not allowed.
func (f *face) otherMethod(w http.ResponseWriter, r *http.Request, allowed ...string) bool {
	if slices.Contains(allowed, r.Method) {
		return false
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Methods", strings.Join(allowed, ", "))
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP, MCP-Protocol-Version")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	f.render(w, refusal{status: http.StatusMethodNotAllowed, Error: "invalid_request", Description: "this endpoint takes " + allowed[0] + " alone", Reason: "malformed", Remedy: "send it as " + allowed[0]})
	return true
}

// caught turns a panic into an opaque answer.
func (x *exchange) caught(w http.ResponseWriter) {
	if p := recover(); p != nil {
		x.fail(w, fmt.Errorf("a handler panicked: %v", p))
	}
}

func (x *exchange) write(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		x.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the client is gone: nothing to do
}
