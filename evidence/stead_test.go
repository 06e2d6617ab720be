package evidence_test

import (
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// stead makes deployer of the story act in the stead of release-bot, on a token of that one's. Every function is a way in which it goes wrong.
type stead struct {
	said     func(*token.Claims)           // the token that is kept, after what was lent on it was made of it
	by       jose.Signer                   // of that; nil: the issuer
	lent     func(*delegation.Statement)   // what was lent on it
	attested func(*delegation.Attestation) // in the countersignature
	drop     bool                          // the token is not kept
}

func (x stead) twist(s *story) {
	bot, key := agent("release-bot"), s.botKey.Public().Thumbprint()
	c := token.Claims{
		Issuer: issuer, Subject: user("priya").String(), Audience: issuer + "/mcp/files", ClientID: bot.String(), Act: &token.Actor{Sub: bot, Instance: key}, JKT: key,
		ID: "handed-1", IssuedAt: minute(10.5).Unix(), Expires: minute(60).Unix(), Delegation: id.Must[id.Delegation](text("dlg", "root")), Task: "REL-481",
		Workspace: id.Default, AuthTime: minute(8).Unix(), ACR: "urn:attorn:acr:3", MayAct: agent("deployer"),
	}
	var at delegation.Attestation
	s.lender = func(int) jose.Signer { return s.priya }
	s.statement = func(i int, st *delegation.Statement) {
		if i == 0 {
			st.Task, st.MayAct = "REL-481", agent("deployer")
			return
		}
		c.SetPermissions(s.links[0].Statement.Permissions[1:])
		by := x.by
		if by == nil {
			by = s.issuerKey
		}
		raw, err := token.Issue(c, s.issuerKey)
		s.must(err)
		if x.said != nil || x.by != nil {
			other := c
			if x.said != nil {
				x.said(&other)
			}
			raw, err = token.Issue(other, by)
			s.must(err)
		}
		*st, at, err = c.InStead(raw, s.links[0].Statement)
		s.must(err)
		if x.lent != nil {
			x.lent(st)
		}
		if x.attested != nil {
			x.attested(&at)
		}
		if !x.drop {
			s.keep([]byte(raw))
		}
	}
	s.signed = func(i int, sd *delegation.Signed, key *delegation.DelegatorKey) {
		if i == 1 {
			sd.Signature, *key = delegation.Signature{Type: delegation.ByAttested}, delegation.DelegatorKey{Attested: &at}
		}
	}
	s.event = func(e *evidence.Event) { e.Under.UsesLeft = nil }
}

// What was lent in a stead is held to the token that it rests on, which anybody can read.
func TestInStead(t *testing.T) {
	t.Parallel()
	other := id.Must[id.Agent](text("agt", "eve"))
	for _, c := range []struct {
		name, code string
		stead
	}{
		{"as it should be", "", stead{}},
		{"the token names another agent", "not_lent", stead{said: func(c *token.Claims) { c.MayAct = other }}},
		{"the token names nobody", "not_lent", stead{said: func(c *token.Claims) { c.MayAct = id.Agent{} }}},
		{"the token is of another person", "not_lent", stead{said: func(c *token.Claims) { c.Subject = user("omar").String() }}},
		{"the token is of another agent", "not_lent", stead{said: func(c *token.Claims) { c.Act = &token.Actor{Sub: other, Instance: c.JKT} }}},
		{"the token permits less", no, stead{said: func(c *token.Claims) { c.Details = c.Details[:1] }}},
		{"the token ends sooner", no, stead{said: func(c *token.Claims) { c.Expires = minute(59).Unix() }}},
		{"the token had expired", "token_expired", stead{said: func(c *token.Claims) { c.IssuedAt, c.Expires = minute(3).Unix(), minute(8).Unix() }}},
		{"the token is by another key", "token_signature", stead{by: keyOf(t, "forger")}},
		{"the token is bound to another key", no, stead{said: func(c *token.Claims) {
			c.JKT = keyOf(t, "x").Public().Thumbprint()
			c.Act = &token.Actor{Sub: c.Act.Sub, Instance: c.JKT}
		}}},
		{"less was lent", no, stead{lent: func(st *delegation.Statement) { st.Permissions = st.Permissions[:1] }}},
		{"another token is attested", no, stead{attested: func(a *delegation.Attestation) { a.Token.ID = "handed-2" }}},
		{"a better sign-in is attested", no, stead{attested: func(a *delegation.Attestation) { a.AuthTime++ }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t)
			c.twist(s)
			pack, trust := s.tell()
			r, err := evidence.Verify(pack, []byte(trust))
			if err != nil {
				t.Fatal(err)
			}
			if c.code == "" {
				if !r.OK() {
					t.Errorf("%s", r.Tree())
				}
				return
			}
			if f := r.FirstFailure; r.OK() || f == nil || f.Name != "chain" || f.Code != c.code {
				t.Errorf("want %s, got %+v\n%s", c.code, f, r.Tree())
			}
		})
	}
	s := newStory(t)
	stead{drop: true}.twist(s)
	pack, trust := s.tell()
	if r, err := evidence.Verify(pack, []byte(trust)); err != nil || r.Answers[1].Verdict != evidence.NotShown {
		t.Errorf("what is not kept: %v\n%s", err, r.Tree())
	}
}
