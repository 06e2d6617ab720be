package console

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
)

const (
	maxForm = 8 << 10  // bytes
	maxBody = 64 << 10 // bytes
)

// request is what a page or an action is given.
type request struct {
	*face
	ctx    context.Context
	w      http.ResponseWriter // for cookies alone
	r      *http.Request
	now    time.Time
	caller *guard.Caller // nil where nobody need be signed in
	person people.Person
	names  map[string]string
}

// view is a page to show, or a place to go to.
type view struct {
	Name   string // of the template
	Title  string
	Status int // 0 is 200
	Data   any
	To     string // instead: where to go
	Wide   bool   // outside the shell, and wide
}

type (
	// handler answers a request, or says why not.
	handler func(x *request) error
	// pager makes a page.
	pager func(x *request) (view, error)
	// actor does something for app.js; out is what to encode.
	actor func(x *request, body []byte) (out any, err error)
)

// serve is the frame of every answer.
func (f *face) serve(w http.ResponseWriter, r *http.Request, h handler) {
	headers(w.Header())
	x := &request{face: f, ctx: r.Context(), w: w, r: r, now: f.Now(), names: map[string]string{}}
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			x.refusePage(fault.New(fault.Internal, "internal", "panic: %v", p))
		} else if p != nil {
			panic(p)
		}
	}()
	if err := f.sameOne.Check(r); err != nil {
		x.refusePage(fault.New(fault.Denied, "cross_origin", "this request was sent by another site's page").Try("go to %s and do it there", f.Issuer))
		return
	}
	if err := h(x); err != nil {
		x.refusePage(err)
	}
}

// page answers with HTML. Who is not signed in and must be is sent to sign in, and back.
func (f *face) page(signedIn bool, make pager) handler {
	return func(x *request) error {
		if signedIn {
			if err := x.signIn(); fault.Code(err) == "session_unknown" {
				if x.secret(x.r) != "" {
					x.setCookie(x.w, "")
				}
				return x.redirect("/signin" + after(x.back()))
			} else if err != nil {
				return err
			}
		}
		v, err := make(x)
		if err != nil {
			return err
		}
		if v.To != "" {
			return x.redirect(v.To)
		}
		return x.render(v)
	}
}

// back is the page that was asked for; a device's code is in its query.
func (x *request) back() string {
	if full := x.r.URL.Path + "?" + x.r.URL.RawQuery; x.r.Method == http.MethodGet && next(full) == full {
		return full
	}
	return x.r.URL.Path
}

func after(path string) string {
	if next(path) == "/" {
		return ""
	}
	return "?next=" + url.QueryEscape(path)
}

func (x *request) redirect(to string) error {
	http.Redirect(x.w, x.r, to, http.StatusSeeOther)
	return nil
}

// frame is what the layout shows around a page.
type frame struct {
	Title     string
	Workspace string
	Origin    string
	Me        *principal // nil where nobody is signed in
	Wide      bool
	Roles     string
	Data      any
}

func (x *request) render(v view) error {
	d := frame{Title: v.Title, Origin: x.Issuer, Data: v.Data}
	if d.Wide = v.Wide; x.caller != nil && !v.Wide {
		me := x.principal(x.person.ID.String())
		_, roles, err := x.Guard.Me(x.ctx, x.caller)
		if err != nil {
			return err
		}
		d.Me, d.Workspace, d.Roles = &me, x.caller.Workspace().String(), strings.Join(roles, ", ")
	}
	var out bytes.Buffer
	if err := x.pages[v.Name].ExecuteTemplate(&out, "layout", d); err != nil {
		return err
	}
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.Status != 0 {
		x.w.WriteHeader(v.Status)
	}
	_, _ = x.w.Write(out.Bytes()) // the browser is gone: nothing to do
	return nil
}

// action answers app.js with JSON. Its requests are JSON, which no form of another site can send.
func (f *face) action(signedIn bool, do actor) handler {
	return func(x *request) error {
		out, err := f.act(x, signedIn, do)
		if err != nil {
			x.refuseJSON(err)
			return nil
		}
		body, err := json.Marshal(out, json.Deterministic(true))
		if err != nil {
			x.refuseJSON(err)
			return nil
		}
		x.w.Header().Set("Content-Type", "application/json")
		_, _ = x.w.Write(body) // the browser is gone: nothing to do
		return nil
	}
}

func (f *face) act(x *request, signedIn bool, do actor) (any, error) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, fault.New(fault.Invalid, "media_type", "this takes application/json")
	}
	if signedIn {
		if err := x.signIn(); err != nil {
			return nil, err
		}
	}
	body, err := x.body(maxBody)
	if err != nil {
		return nil, err
	}
	return do(x, body)
}

// body reads the body, at which the sender may take their time: what they signed in with may have ended meanwhile.
func (x *request) body(most int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, most))
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, fault.New(fault.TooLarge, "too_large", "this takes at most %d bytes", most)
	} else if err != nil {
		return nil, fault.New(fault.Invalid, "malformed", "the request ended early")
	}
	sent := guard.Sent{Body: body, Form: true, IP: x.address(), Face: "console", Path: x.r.URL.Path}
	if x.caller != nil {
		sent.Claimed = x.caller.Sub()
	}
	if err := x.Guard.NoPrivateKeySent(x.ctx, sent, x.Log); err != nil || x.caller == nil {
		return body, err
	}
	return body, x.signIn()
}

// form reads the fields of a form, each at most once; others than these are refused.
func (x *request) form(names ...string) (map[string]string, error) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, fault.New(fault.Invalid, "media_type", "this takes a form")
	}
	body, err := x.body(maxForm)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fault.New(fault.Invalid, "malformed", "the form is malformed")
	}
	fields := map[string]string{}
	for _, name := range names {
		if got := values[name]; len(got) == 1 {
			fields[name] = got[0]
		} else if len(got) > 1 {
			return nil, fault.New(fault.Invalid, "malformed", "the form has %s twice", name)
		}
		delete(values, name)
	}
	if len(values) > 0 {
		return nil, fault.New(fault.Invalid, "malformed", "the form has fields that are not asked for")
	}
	return fields, nil
}

// problem is a refusal as people and app.js see it. What is no fault, or ours to mend, is logged and leaves opaque.
func (x *request) problem(err error) api.Problem {
	p := api.Problem{Status: http.StatusInternalServerError, Code: "internal", RequestID: "req_" + rand.Text()}
	p.Detail = "something went wrong here; the server's log has it under the request id"
	if f := fault.Of(err); f != nil && f.Kind != fault.Internal {
		p.Status, p.Code, p.Detail, p.Remedy = statusOf(f), f.Code, f.Reason, f.Remedy
	} else if x.ctx.Err() == nil {
		x.Log.Error("console", "request", p.RequestID, "error", err)
	}
	p.Type = x.Issuer + api.ErrorPath + "/" + p.Code
	p.Title = api.ErrorTitle(p.Code)
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		x.w.Header().Set("Retry-After", strconv.Itoa(cmp.Or(guard.RetryAfter(err), 5)))
	}
	return p
}

func statusOf(f *fault.Error) int {
	switch f.Code {
	case "media_type":
		return http.StatusUnsupportedMediaType
	case "assertion":
		return http.StatusUnprocessableEntity
	}
	switch f.Kind {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Limited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// refuseJSON answers app.js with a problem (RFC 9457).
func (x *request) refuseJSON(err error) {
	p := x.problem(err)
	body, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		x.Log.Error("console", "request", p.RequestID, "error", err)
	}
	x.w.Header().Set("Content-Type", "application/problem+json")
	x.w.WriteHeader(p.Status)
	_, _ = x.w.Write(body) // the browser is gone: nothing to do
}

// trouble is what the error page shows.
type trouble struct {
	Detail, Remedy shown
	Code           string
	RequestID      string
}

// refusePage answers with the error page.
func (x *request) refusePage(err error) {
	p := x.problem(err)
	x.caller = nil // the page needs nobody, and reading them may be what failed
	title := "That did not work"
	if p.Status == http.StatusNotFound {
		title = "Not found"
	}
	err = x.render(view{Name: "error", Title: title, Status: p.Status, Data: trouble{show(sentence(p.Detail)), show(sentence(p.Remedy)), p.Code, p.RequestID}})
	if err != nil {
		x.Log.Error("console", "request", p.RequestID, "error", err)
		http.Error(x.w, p.Detail, p.Status)
	}
}

func missing(reason string) error { return fault.New(fault.NotFound, "not_found", "%s", reason) }
