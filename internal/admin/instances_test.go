package admin_test

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// vouched has an agent's key vouch for a new one, and sends the statement by hand.
func (w *world) vouched(use, path string, a *attorn.Agent, by, fresh jose.Signer, status int) []byte {
	w.t.Helper()
	st := token.KeyStatement{Use: use, Issuer: w.URL, Workspace: id.Default, Agent: a.ID(), Nonce: rand.Text(), IssuedAt: w.now().Unix(), Expires: w.now().Unix()}
	if use == token.UseSpawn {
		st.Expires += 60
	}
	voucher, possession, err := token.SignKeyStatement(st, by, fresh)
	w.ok(err)
	body, err := json.Marshal(api.KeyStatement{Voucher: voucher, Possession: possession})
	w.ok(err)
	res, p, got := w.send(by, request{method: http.MethodPost, path: path, body: string(body), token: w.agentToken(a)})
	if res.StatusCode != status {
		w.t.Errorf("%s %s: %d, want %d: %+v", use, path, res.StatusCode, status, p)
	}
	return got
}

// keyed is an agent with its key.
func (w *world) keyed(name string) (*attorn.Agent, jose.Signer) {
	w.t.Helper()
	a, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: name})
	w.ok(err)
	offer, err := w.priya.OfferEnrolment(w.ctx, a.ID)
	w.ok(err)
	path := w.t.TempDir() + "/k.jwk"
	opened, err := attorn.Enrol(w.ctx, attorn.EnrolConfig{Server: w.URL, Token: offer.Token, KeyFile: path})
	w.ok(err)
	s, err := attorn.OpenKeyFile(path)
	w.ok(err)
	return opened, s
}

var instanceChecks = map[string]check{
	"Rotate": {
		func(t *testing.T, w *world) {
			a, key := w.keyed("bot")
			fresh := newSigner(t)
			var got api.Rotated
			w.ok(jose.Decode(w.vouched(token.UseRotate, "/v1/instances/"+a.Instance().String()+"/rotate", a, key, fresh, http.StatusOK), &got, jose.Limits{}))
			if got.Instance != fresh.Public().Thumbprint() || got.Before != a.Instance() || got.Agent != a.ID() || got.Until == "" || got.Rev == 0 {
				t.Errorf("rotated %+v", got)
			}
			w.refusal("the old key", "invalid_client", id.User{}, func() error { return only(a.Delegations(w.ctx)) })
		},
		func(w *world) {
			a, key := w.keyed("bot")
			other := w.agent("other")
			w.vouched(token.UseRotate, "/v1/instances/"+other.Instance().String()+"/rotate", a, key, newSigner(w.t), http.StatusForbidden)
			w.vouched(token.UseSpawn, "/v1/instances/"+a.Instance().String()+"/rotate", a, key, newSigner(w.t), http.StatusUnauthorized)
			w.vouched(token.UseRotate, "/v1/instances/x/rotate", a, key, newSigner(w.t), http.StatusBadRequest)
			path := "/v1/instances/" + a.Instance().String() + "/rotate"
			if res, p, _ := w.send(w.priya.signer, request{method: http.MethodPost, path: path, body: "{}", token: w.token(w.priya, "")}); p.Code != "agent_needed" {
				w.t.Errorf("by its owner: %d %+v", res.StatusCode, p)
			}
			w.ok(only(a.Delegations(w.ctx)))
		},
	},
	"Spawn": {
		func(t *testing.T, w *world) {
			a, key := w.keyed("bot")
			fresh := newSigner(t)
			var got api.Spawned
			w.ok(jose.Decode(w.vouched(token.UseSpawn, "/v1/spawn", a, key, fresh, http.StatusCreated), &got, jose.Limits{}))
			if got.Instance != fresh.Public().Thumbprint() || got.Parent != a.Instance() || got.Agent != a.ID() || got.Name != "bot" || got.Expires == "" || got.Rev == 0 {
				t.Errorf("spawned %+v", got)
			}
		},
		func(w *world) {
			a, key := w.keyed("bot")
			w.vouched(token.UseRotate, "/v1/spawn", a, key, newSigner(w.t), http.StatusUnauthorized)
			n := w.invite("Omar")
			_, err := w.priya.Bind(w.ctx, api.Binding{Principal: n.User().String(), Role: "developer"})
			w.ok(err)
			theirs, err := n.CreateAgent(w.ctx, api.NewAgent{Name: "theirs"})
			w.ok(err)
			if _, err := a.Spawn(w.ctx, theirs.ID.String(), attorn.Lend{TTL: time.Minute}); fault.Code(err) != "no_permit" {
				w.t.Errorf("of another's agent: %v", err)
			}
		},
	},
	"Line": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			old := a.Instance()
			_, err := a.Rotate(w.ctx, time.Hour)
			w.ok(err)
			for _, key := range []id.Key{old, a.Instance()} {
				l, err := w.priya.Line(w.ctx, key)
				w.ok(err)
				if len(l.Items) != 2 || l.Items[0].Key != old || l.Items[1].Key != a.Instance() || l.Items[1].Before != old || l.Items[0].Status != "rotated" ||
					l.Items[0].Until == "" || l.Items[1].Until != "" || l.Items[0].Rev >= l.Items[1].Rev || l.Items[1].Line != old {
					t.Errorf("the line: %+v", l.Items)
				}
			}
		},
		func(w *world) {
			a := w.agent("bot")
			w.refusal("a stranger's", "no_permit", w.noor.User(), func() error { return only(w.noor.Line(w.ctx, a.Instance())) })
			w.refusal("nobody's", "not_found", w.priya.User(), func() error { return only(w.priya.Line(w.ctx, newSigner(w.t).Public().Thumbprint())) })
		},
	},
}
