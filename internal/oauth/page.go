package oauth

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/attorn/attorn/fault"
)

// refusalPage tells a person in a browser what cannot be told to a client, and takes them nowhere: where the request came from is not proven.
var refusalPage = template.Must(template.New("refusal").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>This request cannot be answered</title>
<h1>This request cannot be answered</h1>
{{if .Lent}}<p>You were on the way back to the program that asked for your consent, and it learns nothing of your answer. What you allowed, you see and end at <a href="{{.Lent}}">{{.Lent}}</a>.</p>
{{else}}<p>A program sent you here to ask for your consent, and its request is not acceptable. Nothing was granted.</p>
{{end}}<p>{{.Description}}{{with .Remedy}}. What to do: {{.}}{{end}}.</p>
<p>Error: <code>{{.Error}}</code>{{with .Reason}}, <code>{{.}}</code>{{end}}</p>
</html>
`))

// browser begins an answer to somebody's browser: it is kept nowhere, framed nowhere, and tells nobody where it came from.
func (f *face) browser(w http.ResponseWriter, r *http.Request) *exchange {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	return &exchange{face: f, ctx: r.Context(), r: r, url: f.Issuer + r.URL.Path}
}

// otherPage answers every method that a page does not have. There is no preflight: no page of another origin reads this one.
func (f *face) otherPage(w http.ResponseWriter, r *http.Request, allowed ...string) bool {
	if slices.Contains(allowed, r.Method) {
		return false
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	w.WriteHeader(http.StatusMethodNotAllowed)
	return true
}

// page answers with a refusal that goes to no client. One that is opened once is told apart from a secret that somebody was given.
func (x *exchange) page(w http.ResponseWriter, err error) {
	switch code := fault.Code(err); code {
	case "ticket_unknown", "ticket_spent", "ticket_expired":
		err = fault.Wrap(err, fault.Unauthenticated, code, "this address is opened once, and was opened before, or too late").Try("go back to the program and begin again")
	}
	out := x.refusalOf(err)
	if out.status/100 == 4 && out.status != http.StatusTooManyRequests {
		out.status = http.StatusBadRequest
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if out.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(wholeSeconds(out.retry)))
	}
	out.Description, out.Remedy = strings.TrimSuffix(out.Description, "."), strings.TrimSuffix(out.Remedy, ".")
	w.WriteHeader(out.status)
	_ = refusalPage.Execute(w, struct {
		refusal
		Lent string
	}{out, x.lent}) // the browser is gone: nothing to do
}

// caughtPage turns a panic into an opaque page.
func (x *exchange) caughtPage(w http.ResponseWriter) {
	if p := recover(); p != nil {
		x.page(w, fmt.Errorf("a handler panicked: %v", p))
	}
}
