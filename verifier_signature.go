package attorn

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// signed proves a request by its message signature: beside a token by the key that the token is bound to, and without one by the key of a live
// instance, which then acts for nobody. The handler sees the body only after it was held to the digest that was signed.
func (v *Verifier) signed(r *http.Request, c *Caller, key jose.PublicKey) (*Caller, error) {
	now := v.now()
	var holder agentKey
	s, err := httpsig.VerifyHead(httpsig.Request{Method: r.Method, TargetURI: v.target(r), Header: httpsig.Fields(r.Header)}, httpsig.Want{
		Audience: v.cfg.Resource, Now: now, Leeway: clockSkew,
		Key: func(keyid id.Key) (jose.PublicKey, error) {
			if c != nil {
				return key, nil // another keyid is not this key's
			}
			var err error
			if holder, err = v.holder(r.Context(), keyid, r.RemoteAddr, now); err != nil || holder.caller == nil || holder.caller.Workspace != v.workspace {
				return jose.PublicKey{}, err // of another workspace: not known here
			}
			return holder.key, nil
		},
	})
	if err != nil {
		return nil, err
	}
	body, err := v.body(r)
	if err != nil {
		return nil, err
	}
	if err := s.CheckBody(body); err != nil {
		return nil, err
	}
	// Good until clockSkew after it expires by this process's clock, which may be as much behind another's that shares the Replay.
	if err := v.cfg.Replay.Once(r.Context(), s.KeyID, "httpsig "+s.Nonce, s.Expires.Add(2*clockSkew)); err != nil {
		if fault.Code(err) == "replayed" {
			err = httpsig.Replayed()
		}
		return nil, err
	}
	again := &readBody{}
	again.Reset(body)
	r.Body = again
	if c == nil {
		return holder.caller, nil
	}
	both := *c
	both.Proofs = []string{"dpop", "httpsig"}
	return &both, nil
}

// holder finds whose key signed, where no token says so: what ended is known of it, as of a token. Codes: those of agentKeys.find, stale.
func (v *Verifier) holder(ctx context.Context, kid id.Key, from string, now time.Time) (agentKey, error) {
	if v.follows() {
		if err := v.contact(ctx); err != nil {
			return agentKey{}, err
		}
	}
	return v.agents.find(ctx, kid, from, now)
}

// target is the request's URL as it was sent: path and query unnormalised, under the configured base.
func (v *Verifier) target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return v.base + r.RequestURI
	}
	return v.base + r.URL.RequestURI()
}

// readBody is a body that was read.
type readBody struct{ bytes.Reader }

func (*readBody) Close() error { return nil }

// body reads the whole body, which then is the handler's.
func (v *Verifier) body(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	size := r.ContentLength
	if size < 0 || size > v.cfg.MaxBody {
		size = bytes.MinRead
	}
	body := make([]byte, 0, size+1) // one more, to see the end
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > v.cfg.MaxBody:
			return nil, fault.New(fault.TooLarge, "too_large", "a signed request's body has at most %d bytes here", v.cfg.MaxBody)
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, fault.New(fault.Invalid, "malformed", "the body ended early")
		case len(body) == cap(body):
			body = append(body, 0)[:len(body)]
		}
	}
}

// wanted is what Accept-Signature says, to a request with or without a token.
func (v *Verifier) wanted(token bool) string { return httpsig.Challenge(token) }
