package admin_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// device asks for a device code with a key that is nobody's yet, and gives its user code.
func (w *world) device(s jose.Signer, fields ...string) string {
	w.t.Helper()
	form := url.Values{"client_id": {"attorn-cli"}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	nonce := ""
	for range 2 {
		r, err := http.NewRequestWithContext(w.ctx, "POST", w.URL+"/oauth/device", strings.NewReader(form.Encode()))
		w.ok(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		proof, err := dpop.Sign(s, dpop.Claims{Method: "POST", URL: w.URL + "/oauth/device", JTI: rand.Text(), Nonce: nonce, IssuedAt: w.now()})
		w.ok(err)
		r.Header.Set("DPoP", proof)
		res, err := http.DefaultTransport.RoundTrip(r)
		w.ok(err)
		defer res.Body.Close()
		if nonce = res.Header.Get("DPoP-Nonce"); res.StatusCode == http.StatusOK {
			var got struct {
				UserCode string `json:"user_code"`
			}
			w.ok(json.UnmarshalRead(res.Body, &got))
			return got.UserCode
		}
	}
	w.t.Fatal("no device code")
	return ""
}

var deviceChecks = map[string]check{
	"Device": {
		func(t *testing.T, w *world) {
			s := newSigner(t)
			code := w.device(s, "agent_name", "coder")
			d, err := w.noor.Device(w.ctx, strings.ToLower(code))
			w.ok(err)
			if d.UserCode != code || d.Key != s.Public().Thumbprint() || d.JWK != s.Public() || d.Name != "coder" || d.Purpose != "agent" || d.Workspace != id.Default || d.Asked == "" || d.Expires == "" {
				t.Errorf("%+v", d)
			}
		},
		func(w *world) {
			for _, code := range []string{"BCDF-GHJK", "x"} {
				w.refusal("a code that nothing waits under", "user_code_unknown", id.User{}, func() error { return only(w.noor.Device(w.ctx, code)) })
			}
		},
	},
	"ConfirmDevice": {
		func(t *testing.T, w *world) {
			s := newSigner(t)
			code := w.device(s)
			made, err := w.noor.ConfirmDevice(w.ctx, code, api.ConfirmDevice{New: "coder"})
			w.ok(err)
			if made.Name != "coder" || made.Instance != s.Public().Thumbprint() || made.Workspace != id.Default {
				t.Errorf("%+v", made)
			}
			a, err := w.priya.Agent(w.ctx, "coder")
			w.ok(err)
			if a.ID != made.Agent || a.Owner != w.noor.User() {
				t.Errorf("%+v", a)
			}
			again := newSigner(t)
			if made, err = w.noor.ConfirmDevice(w.ctx, w.device(again), api.ConfirmDevice{Agent: a.ID}); err != nil || made.Instance != again.Public().Thumbprint() {
				t.Errorf("%+v %v", made, err)
			}
		},
		func(w *world) {
			a := w.agent("bot")
			code := w.device(newSigner(w.t))
			confirm := func(in api.ConfirmDevice) func() error {
				return func() error { return only(w.noor.ConfirmDevice(w.ctx, code, in)) }
			}
			w.refusal("an agent that is another's", "no_permit", w.noor.User(), confirm(api.ConfirmDevice{Agent: a.ID()}))
			w.refusal("a name that is taken", "name_taken", w.noor.User(), confirm(api.ConfirmDevice{New: "bot"}))
			w.refusal("no agent", "choice_invalid", id.User{}, confirm(api.ConfirmDevice{}))
			code = w.device(newSigner(w.t), "purpose", "person")
			w.refusal("a key of one's own, by a key", "sign_in_old", w.noor.User(), confirm(api.ConfirmDevice{}))
		},
	},
	"DenyDevice": {
		func(t *testing.T, w *world) {
			code := w.device(newSigner(t))
			got, err := w.noor.DenyDevice(w.ctx, code)
			w.ok(err)
			if got.Rev == 0 {
				t.Errorf("%+v", got)
			}
			if _, err := w.noor.Device(w.ctx, code); err == nil {
				t.Error("it still waits")
			}
		},
		func(w *world) {
			w.refusal("a code that nothing waits under", "user_code_unknown", id.User{}, func() error { return only(w.noor.DenyDevice(w.ctx, "BCDF-GHJK")) })
		},
	},
}
