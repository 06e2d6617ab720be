package oauth

import (
	"cmp"
	"html/template"
	"io"
	"net/http"

	"github.com/attorn/attorn/api"
)

// meaningOf is the name under which an error is explained: with its reason, if that is.
func meaningOf(name, reason string) string {
	if _, ok := api.ErrorPageOf(name + "." + reason); ok {
		return name + "." + reason
	}
	return name
}

var errorPage = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<h1>{{.Title}}</h1>
{{range .Groups}}{{if $.Many}}<h2>{{.Title}}</h2>
{{end}}<dl>
{{range .Pages}}<dt><a href="{{$.All}}/{{.Code}}"><code>{{.Code}}</code></a></dt>
<dd>{{.Means}}{{with .Remedy}} <strong>What to do:</strong> {{.}}{{end}}</dd>
{{end}}</dl>
{{end}}{{if not .Many}}<p><a href="{{.All}}">All errors</a></p>
{{end}}</html>
`))

// errorDocs are the pages that error_uri and the type of a problem lead to: one code's, or all of them.
type errorDocs struct {
	Title  string
	Groups []api.ErrorGroup
	Many   bool
	All    string // where all of them are
}

// errors is GET /docs/errors and /docs/errors/{code}: what a code means, as a page, or as Markdown for whoever does not ask for HTML.
func (f *face) errors(w http.ResponseWriter, r *http.Request) {
	f.browser(w, r)
	if f.otherPage(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	docs, status := errorDocs{Title: "Errors", Groups: api.ErrorGroups(), Many: true, All: f.Issuer + api.ErrorPath}, http.StatusOK
	if code := r.PathValue("code"); code != "" {
		page, ok := api.ErrorPageOf(code)
		if ok {
			docs.Title, docs.Many, docs.Groups = api.ErrorTitle(code), false, []api.ErrorGroup{{Pages: []api.ErrorPage{page}}}
		} else {
			docs.Title, docs.Many, docs.Groups, status = "There is no such error", false, nil, http.StatusNotFound
		}
	}
	h := w.Header()
	if status == http.StatusOK {
		h.Set("Cache-Control", "public, max-age=300")
	}
	h.Set("Vary", "Accept")
	if accepts(r.Header, "text/html") {
		h.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_ = errorPage.Execute(w, docs) // the browser is gone: nothing to do
		return
	}
	kind := "text/plain"
	if accepts(r.Header, "text/markdown") {
		kind = "text/markdown"
	}
	h.Set("Content-Type", kind+"; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "# "+docs.Title+"\n"+cmp.Or(api.ErrorText(docs.Groups), "\nAll of them: "+docs.All+"\n"))
}
