package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
)

// authorize is GET and POST /oauth/authorize (RFC 6749 §4.1.1): it reads the request strictly, keeps it for a person to decide, and sends the browser to the page. As
// long as the client and the redirect URI are unproven every refusal is a page; then it goes to the client, with state and iss (RFC 9207).
func (f *face) authorize(w http.ResponseWriter, r *http.Request) {
	x := f.browser(w, r)
	defer x.caughtPage(w)
	if f.otherPage(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	if wait := f.pages.Take(network(r), f.Guard.Now()); wait > 0 {
		x.page(w, limited{wait})
		return
	}
	back, err := x.receive()
	if err != nil {
		x.page(w, err)
		return
	}
	if back.err == nil {
		var handle string
		if handle, back.err = f.Guard.BeginConsent(x.ctx, back.request, address(r)); back.err == nil {
			x.send303(w, f.Issuer+"/consent/"+handle)
			return
		}
	}
	x.back(w, back)
}

// received is a request whose client and redirect URI are proven, and what else is wrong with it.
type received struct {
	request guard.AuthRequest
	err     error
}

// receive proves client and redirect URI. Its error is for a page.
func (x *exchange) receive() (received, error) {
	body, err := readBody(x.r)
	if err == nil {
		err = x.noPrivateKey(body)
	}
	if err != nil {
		return received{}, err
	}
	in, err := readParams(x.r, body)
	if err != nil {
		return received{}, err
	}
	for _, name := range []string{"client_id", "redirect_uri", "request_uri"} {
		if slices.Contains(in.twice, name) {
			return received{}, duplicate(name)
		}
	}
	client, err := in.form.need("client_id")
	if err != nil {
		return received{}, err
	}
	if uri := in.form["request_uri"]; uri != "" { // RFC 9126 §4: what else there is was pushed with it
		r, err := x.Guard.OpenPushed(x.ctx, uri, client)
		return received{request: r}, err
	}
	if _, err := id.Parse[id.Agent](client); err == nil {
		return received{}, malformed("an agent pushes its requests (RFC 9126)").Try("push it to %s/oauth/par, and open the page with the request_uri", x.Issuer)
	}
	app, err := x.Guard.App(x.ctx, client)
	if err != nil {
		return received{}, err
	}
	redirect, err := in.form.need("redirect_uri")
	if err == nil {
		err = app.Redirect(redirect)
	}
	if err != nil {
		return received{}, err
	}
	out := received{request: guard.AuthRequest{Client: app.ID, Redirect: redirect}}
	if !slices.Contains(in.twice, "state") {
		out.request.State = in.form["state"]
	}
	if app.PushedOnly {
		out.err = malformed("the client's metadata says that it pushes its requests (RFC 9126), and this one was not")
		return out, nil
	}
	r, err := readRequest(in)
	if err != nil {
		out.err = err
		return out, nil
	}
	r.Client, r.Redirect = app.ID, redirect
	return received{request: r}, nil
}

// params are what an authorization request consists of: resource may be there several times, and what else is, is refused once it is known where to say so.
type params struct {
	form      form
	resources []string
	twice     []string
}

// readParams reads the query of a GET, or the body of a POST. Codes: malformed, too_large, query_not_allowed.
func readParams(r *http.Request, body []byte) (params, error) {
	if r.Method == http.MethodGet {
		if len(r.URL.RawQuery) > maxForm {
			return params{}, tooLarge("the query has more than %d bytes", maxForm)
		}
		return parseParams(r.URL.RawQuery)
	}
	if err := checkForm(r, body); err != nil {
		return params{}, err
	}
	return parseParams(string(body))
}

func parseParams(raw string) (in params, err error) {
	in.form = form{}
	err = eachField(raw, func(name, value string, again bool) error {
		switch {
		case name == "resource":
			if value != "" {
				in.resources = append(in.resources, value)
			}
		case again:
			in.twice = append(in.twice, name)
		case value != "":
			in.form[name] = value
		}
		return nil
	})
	return in, err
}

// back sends a refusal to the client by way of the browser (RFC 6749 §4.1.2.1).
func (x *exchange) back(w http.ResponseWriter, in received) {
	out := x.refusalOf(in.err)
	x.deliver(w, guard.Answer{Redirect: in.request.Redirect, State: in.request.State, Error: out.Error}, plain(out.Description))
}

// deliver sends the browser to the client.
func (x *exchange) deliver(w http.ResponseWriter, a guard.Answer, description string) {
	q := url.Values{"iss": {x.Issuer}} // RFC 9207 §2
	for name, value := range map[string]string{"code": a.Code, "error": a.Error, "error_description": description, "state": a.State} {
		if value != "" {
			q.Set(name, value)
		}
	}
	to := a.Redirect + "?"
	if strings.Contains(a.Redirect, "?") {
		to = a.Redirect + "&"
	}
	x.send303(w, to+q.Encode())
}

func (x *exchange) send303(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
