package oauth_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/jose"
)

// deny takes away what the workspace lets the app do.
func (f *flow) deny() {
	f.t.Helper()
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.ClientChanged, evidence.OK, evidence.ServerSub, "test", &evidence.What{Client: f.app}
	_, err := f.nodes[0].log.Record(f.t.Context(), d, func(tx *audit.Tx) error {
		return f.nodes[0].Clients.SetRule(tx, clients.Rule{Workspace: id.Default, Client: f.app})
	})
	f.ok(err)
}

const forTask = `[{"type":"attorn_task","task":"T-1","max_depth":2}]`

// TestAppIsNoAgentClient: the key of an app's tokens is an instance of an agent, and opens nothing as that agent: the app is the client, with its own proof, its own
// grants and what the workspace says of it.
func TestAppIsNoAgentClient(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		first := f.good(f.redeem(f.code(f.query())))
		c := f.claims(first)
		d, err := f.nodes[0].Lending.Get(t.Context(), id.Default, c.Delegation)
		f.ok(err)
		agent := c.Act.Sub.String()
		for name, form := range map[string]url.Values{
			"client_credentials": {"grant_type": {"client_credentials"}, "resource": {filesURL}},
			"exchange": {
				"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {d.Link.String()},
				"subject_token_type": {"urn:attorn:params:oauth:token-type:delegation"}, "resource": {filesURL},
			},
		} {
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			form.Set("client_assertion", f.assertion(f.signer, agent))
			if got := f.bound(form); got.status != 401 || got.text("error") != "invalid_client" {
				t.Errorf("%s: %d %s", name, got.status, got.raw)
			}
		}
	})
}

// TestDeniedAppEndsWhatItLent: where the workspace does not let an app go on, nothing goes on that the app lent.
func TestDeniedAppEndsWhatItLent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		first := f.good(f.redeem(f.code(f.query("authorization_details", forTask))))
		c := f.claims(first)
		root, err := f.nodes[0].Lending.Get(t.Context(), id.Default, c.Delegation)
		f.ok(err)
		helper, key := f.agent("helper")
		parent, err := root.Link.Statement.Digest()
		f.ok(err)
		st := delegation.Statement{
			Version: 1, ID: id.New[id.Delegation](f.now()), Issuer: flowIssuer, Workspace: id.Default, Parent: &parent,
			Delegator: delegation.Delegator{Agent: c.Act.Sub, Instance: c.JKT}, Delegate: delegation.Delegate{Agent: helper}, Permissions: root.Link.Statement.Permissions,
			NotBefore: f.now().Unix(), ExpiresAt: f.now().Unix() + 600, Task: "T-1",
		}
		raw, err := st.Bytes()
		f.ok(err)
		signed, err := jose.Sign(delegation.TypeStatement, raw, f.signer)
		f.ok(err)
		exchange := func() answer {
			return f.token(0, url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {signed},
				"subject_token_type": {"urn:attorn:params:oauth:token-type:delegation"}, "resource": {filesURL},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {f.assertion(key, helper.String())},
			}, f.proof(key, tokenPath))
		}
		lent := exchange()
		if lent.status != 200 {
			t.Fatalf("%d %s", lent.status, lent.raw)
		}
		own := f.signer
		f.signer = key
		f.ok(f.call(lent))
		f.deny()
		if err := f.call(lent); err == nil {
			t.Error("a token of what the app lent goes on")
		}
		if got := exchange(); got.status == 200 {
			t.Errorf("exchange of what the app lent: %d %s", got.status, got.raw)
		}
		f.signer = own
		if err := f.call(first); err == nil {
			t.Error("the app's own token goes on")
		}
	})
}

// TestRefreshFollowsReplacement: a refresh token is of what stands in the place of the delegation that it came by; who brings it twice ends that.
func TestRefreshFollowsReplacement(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		first := f.good(f.redeem(f.code(f.query("scope", "tool:files:read tool:files:write"))))
		old, err := f.nodes[0].Lending.Get(t.Context(), id.Default, f.claims(first).Delegation)
		f.ok(err)
		st := old.Link.Statement
		st.ID, st.Permissions = id.New[id.Delegation](f.now()), st.Permissions[:1]
		signer, err := f.nodes[0].Ring.Current(t.Context(), keyring.ForTokens)
		f.ok(err)
		d := evidence.Draft{Workspace: id.Default}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.DelegationReplaced, evidence.OK, f.user.String(), "test", &evidence.What{Delegation: st.ID, Replaces: old.ID}
		_, err = f.nodes[0].log.Record(t.Context(), d, func(tx *audit.Tx) error {
			link, err := delegation.Countersign(delegation.Signed{Statement: st, Signature: old.Link.Signature}, old.Link.Delegator, tx.Now(), tx.Event().Rev, signer.Signer())
			if err == nil {
				_, err = f.nodes[0].Lending.Replace(tx, id.Default, old.ID, link, f.user.String())
			}
			return err
		})
		f.ok(err)
		if err := f.call(first); err == nil {
			t.Error("the token of what was replaced goes on")
		}
		second := f.good(f.refresh(first.text("refresh_token")))
		if c := f.claims(second); c.Delegation != st.ID || c.Scope != st.Permissions[0].Permission {
			t.Errorf("%+v", c)
		}
		f.ok(f.call(second))
		f.pass(time.Minute)
		if got := f.bound(f.refresh(first.text("refresh_token"))); got.status != 400 || got.text("reason") != "spent" {
			t.Errorf("a second time: %d %s", got.status, got.raw)
		}
		if f.live(st.ID) {
			t.Error("what stands in its place outlives a refresh token that was used twice")
		}
	})
}
