package attorn

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/attorn/attorn/fault"
)

// Transport sends requests to a resource as the agent: each with a token of r, and a proof made for it alone. A 401 that asks for a nonce or a new
// token is answered once each, with a new proof. Requests to the resource's origin outside its path go without either; to any other origin, as after
// a redirect, they are refused. base nil is http.DefaultTransport.
func (a *Agent) Transport(base http.RoundTripper, resource string, r TokenRequest) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{agent: a, base: base, resource: resource, request: r}
}

type transport struct {
	agent    *Agent
	base     http.RoundTripper
	resource string
	request  TokenRequest
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	inside, err := t.covers(r.URL)
	if err == nil && inside && r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		err = fault.New(fault.Invalid, "body_not_replayable", "the request's body cannot be sent again, which a proof may need").
			Try("make the request with a body that http.NewRequest knows, or set GetBody")
	}
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	if !inside {
		return t.base.RoundTrip(r)
	}
	if r.Body != nil {
		defer r.Body.Close() // each try has a body of its own
	}
	d := t.agent.door
	nonced, renewed := false, false
	for {
		token, err := t.agent.Token(r.Context(), t.resource, t.request)
		if err != nil {
			return nil, err
		}
		try := r.Clone(r.Context())
		if r.GetBody != nil {
			if try.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		if err := d.prove(try, token); err != nil {
			return nil, err
		}
		res, err := t.base.RoundTrip(try)
		if err != nil {
			return nil, err
		}
		d.learn(r.URL, res.Header)
		switch challenged(res) {
		case "use_dpop_nonce":
			if nonced {
				return res, nil
			}
			nonced = true
		case "invalid_token":
			if renewed {
				return res, nil
			}
			renewed = true
			key, err := walletKey(t.resource, t.request)
			if err != nil {
				return res, nil
			}
			d.drop(key, token)
		default:
			return res, nil
		}
		io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
		res.Body.Close()
	}
}

// covers reports whether a URL is the resource or below it. Another origin is an error: it must not see what is meant for the resource.
func (t *transport) covers(u *url.URL) (bool, error) {
	own, err := url.Parse(t.resource)
	if err != nil || own.Host == "" {
		return false, fault.New(fault.Invalid, "malformed", "the resource is not a URL: %q", t.resource)
	}
	if origin(own) != origin(u) {
		return false, fault.New(fault.Denied, "foreign_origin", "a request for %s was sent to %s; nothing left", origin(own), origin(u))
	}
	path, base := u.EscapedPath(), strings.TrimSuffix(own.EscapedPath(), "/")
	return path == own.EscapedPath() || strings.HasPrefix(path, base+"/"), nil
}
