package oauth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/guard"
)

// registered is RFC 7591 §3.2.1: what an app is registered as, and no secret.
type registered struct {
	ClientID string `json:"client_id"`
	IssuedAt int64  `json:"client_id_issued_at"`
	clients.Metadata
}

// registration is the endpoint's address, "" where apps do not register themselves.
func (f *face) registration() string {
	if f.Guard.Registration != guard.RegisterByToken && f.Guard.Registration != guard.RegisterOpen {
		return ""
	}
	return f.Issuer + "/oauth/register"
}

// register is POST /oauth/register (RFC 7591 §3): an app registers itself, by an invitation where the server wants one.
func (f *face) register(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	secure(h)
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	x := &exchange{face: f, ctx: r.Context(), r: r, url: f.Issuer + "/oauth/register"}
	defer x.caught(w)
	if f.otherMethod(w, r, http.MethodPost) {
		return
	}
	out, err := x.registerApp()
	if err != nil {
		x.render(w, x.registerRefusal(err))
		return
	}
	x.write(w, http.StatusCreated, out)
}

func (x *exchange) registerApp() (any, error) {
	if x.registration() == "" {
		return nil, fault.New(fault.NotFound, "registration_off", "apps do not register themselves at this server").
			Try("use the address of your app's metadata as its client_id")
	}
	if wait := x.registrations.Take(network(x.r), x.Guard.Now()); wait > 0 {
		return nil, limited{wait}
	}
	token, err := bearer(x.r.Header)
	if err != nil {
		return nil, err
	}
	body, err := readMetadata(x.r)
	if err != nil {
		return nil, err
	}
	if err := x.noPrivateKey(body); err != nil {
		return nil, err
	}
	app, m, err := x.Guard.RegisterApp(x.ctx, guard.AppAsk{Metadata: body, Token: token, IP: address(x.r)})
	if err != nil {
		return nil, err
	}
	return registered{app.ID, app.CreatedAt.Unix(), m}, nil
}

// bearer reads an initial access token (RFC 6750 §2.1); "" where there is none. Code: malformed.
func bearer(h http.Header) (string, error) {
	all := h.Values("Authorization")
	if len(all) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	if len(all) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 128 {
		return "", fault.New(fault.Unauthenticated, "ticket_unknown", "the invitation is sent as Authorization: Bearer, once")
	}
	return token, nil
}

func readMetadata(r *http.Request) ([]byte, error) {
	bad := func(reason string) ([]byte, error) {
		return nil, fault.New(fault.Invalid, "client_invalid", "the request is not acceptable: %s", reason)
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return bad("it has parameters in its URL")
	}
	types := r.Header.Values("Content-Type")
	if len(types) != 1 || len(r.Header.Values("Content-Encoding")) > 0 {
		return bad("it is not application/json, without content coding")
	}
	if kind, _, err := mime.ParseMediaType(types[0]); err != nil || kind != "application/json" {
		return bad("it is not application/json")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, clients.MaxMetadata+1))
	if err != nil {
		return bad("its body could not be read")
	}
	return body, nil // ParseRegistration says of one that is too long that it is
}

// registerRefusal is RFC 7591 §3.2.2, and RFC 6750 §3 where it is the invitation.
func (x *exchange) registerRefusal(err error) refusal {
	f := fault.Of(err)
	var l limited
	if f == nil || errors.As(err, &l) {
		return x.refusalOf(err)
	}
	out := refusal{Description: f.Reason, Reason: f.Code, Remedy: f.Remedy, status: http.StatusBadRequest}
	switch f.Code {
	case "redirect_invalid":
		out.Error, out.Reason = "invalid_redirect_uri", ""
	case "client_invalid", "private_key", "dpop_private_key":
		out.Error, out.Reason = "invalid_client_metadata", ""
	case "registration_off":
		out.Error, out.status = "invalid_request", http.StatusNotFound
	case "ticket_unknown", "ticket_expired", "ticket_spent":
		out.Error, out.Reason, out.status = "invalid_token", strings.TrimPrefix(f.Code, "ticket_"), http.StatusUnauthorized
		out.challenge = `Bearer realm="` + x.Issuer + `"`
		if len(x.r.Header.Values("Authorization")) > 0 { // RFC 6750 §3: who sent none is told no error
			out.challenge += `, error="invalid_token"`
		}
	default:
		return x.refusalOf(err)
	}
	return out
}
