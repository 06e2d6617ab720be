package evidence_test

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

const there = "https://attorn.partner.example"

// visit makes the story's call rest on another server's word, for deployer's key. Every function is a way in which it goes wrong; nil leaves it as it should be.
type visit struct {
	word  func(*token.Claims)  // what the other server signed
	by    jose.Signer          // nil: the key that is shown
	shown func(*token.Foreign) // what is kept of it
	drop  bool                 // it is not kept
	claim func(*token.Claims)  // the token here
	event func(*evidence.Event)
}

func (v visit) twist(t *testing.T, s *story) {
	server := keyOf(t, "the other server")
	word := token.Claims{
		Issuer: there, Subject: user("omar").String(), Audience: issuer, ClientID: agent("visitor").String(), Scope: "example:tool:files:write_file",
		Act: &token.Actor{Sub: agent("visitor"), Instance: s.deployKey.Public().Thumbprint(), Act: &token.Actor{Sub: agent("planner")}},
		JKT: s.deployKey.Public().Thumbprint(), ID: "there-1", IssuedAt: minute(29).Unix(), Expires: minute(35).Unix(), Delegation: id.Must[id.Delegation](text("dlg", "there")), Workspace: id.Default,
	}
	if v.word != nil {
		v.word(&word)
	}
	by := server
	if v.by != nil {
		by = v.by
	}
	raw, err := token.Issue(word, by)
	s.must(err)
	f := token.Foreign{Token: raw, Keys: []jose.PublicKey{server.Public()}}
	if v.shown != nil {
		v.shown(&f)
	}
	body, err := f.Bytes()
	s.must(err)
	via := token.Via{Issuer: there, Sub: user("omar"), Actors: []id.Agent{agent("visitor"), agent("planner")}, Shown: id.Sum(body)}
	if !v.drop {
		s.keep(body)
	}
	s.claims = func(c *token.Claims) {
		said := via
		c.Via = &said
		if v.claim != nil {
			v.claim(c)
		}
	}
	s.event = func(e *evidence.Event) {
		said := via
		e.Under.Via = &said
		if v.event != nil {
			v.event(e)
		}
	}
}

// An act that rests on another server's word is held to it.
func TestVia(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line, code, says string
		visit
	}{
		{"as it should be", "", "", "", visit{}},
		{"the event hides it", "token", no, "does not say", visit{event: func(e *evidence.Event) { e.Under.Via = nil }}},
		{"the event names another person", "other server", no, "does not say what the event says", visit{event: func(e *evidence.Event) { e.Under.Via.Sub = user("priya") }}},
		{"the token says nothing", "other server", no, "does not say what the event says", visit{claim: func(c *token.Claims) { c.Via = nil }}},
		{"both name another server", "other server", "token_issuer", "", visit{
			claim: func(c *token.Claims) { c.Via.Issuer = "https://third.example" }, event: func(e *evidence.Event) { e.Under.Via.Issuer = "https://third.example" },
		}},
		{"both name another agent", "other server", no, "of others", visit{
			claim: func(c *token.Claims) { c.Via.Actors = c.Via.Actors[1:] }, event: func(e *evidence.Event) { e.Under.Via.Actors = e.Under.Via.Actors[1:] },
		}},
		{"a word for another server", "other server", "token_audience", "", visit{word: func(c *token.Claims) { c.Audience = "https://third.example" }}},
		{"a word about another key", "other server", "foreign_refused", "another key", visit{word: func(c *token.Claims) { c.JKT = keyOf(t, "x").Public().Thumbprint(); c.Act.Instance = c.JKT }}},
		{"a word of nobody's", "other server", "foreign_refused", "nothing was lent", visit{word: func(c *token.Claims) {
			c.Act, c.Delegation, c.Subject = nil, id.Delegation{}, agent("visitor").String()
		}}},
		{"a word that had ended", "other server", "token_expired", "", visit{word: func(c *token.Claims) { c.IssuedAt, c.Expires = minute(10).Unix(), minute(15).Unix() }}},
		{"a shorter word than the token", "other server", no, "for a shorter time", visit{word: func(c *token.Claims) { c.Expires = minute(34).Unix() }}},
		{"a word by a key that is not shown", "other server", "token_signature", "", visit{by: keyOf(t, "forger")}},
		{"no keys", "other server", "foreign_malformed", "", visit{shown: func(f *token.Foreign) { f.Keys = []jose.PublicKey{} }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t)
			c.twist(t, s)
			pack, trust := s.tell()
			r, err := evidence.Verify(pack, []byte(trust))
			if err != nil {
				t.Fatal(err)
			}
			if c.line == "" {
				if want := "on behalf of agent " + agent("visitor").String() + " of " + there + " (person " + user("omar").String() + " there), through 1 more of its agents"; !r.OK() ||
					!strings.Contains(r.Answers[1].Detail, want) {
					t.Errorf("%s", r.Tree())
				}
				return
			}
			if f := r.FirstFailure; r.OK() || f == nil || f.Name != c.line || f.Code != c.code || !strings.Contains(f.Detail, c.says) {
				t.Errorf("want %s %s %q, got %+v", c.line, c.code, c.says, f)
			}
		})
	}
	s := newStory(t)
	visit{drop: true}.twist(t, s)
	pack, trust := s.tell()
	if r, err := evidence.Verify(pack, []byte(trust)); err != nil || r.Answers[1].Verdict != evidence.NotShown {
		t.Errorf("what is not kept: %v\n%s", err, r.Tree())
	}
}
