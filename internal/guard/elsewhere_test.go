package guard_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// elsewhere is another server, whose agent acts here as guest: Maya lent to guest, and Priya owns it.
type elsewhere struct {
	*story
	server jose.Signer
	person id.User
	agent  id.Agent
	key    jose.Signer
	guest  *party
	root   *delegation.Link
	rule   lending.Issuer
}

const otherServer = "https://attorn.other.example"

func newElsewhere(t *testing.T, dsn string) *elsewhere {
	t.Helper()
	e := &elsewhere{story: newStory(t, dsn, 0), server: newSigner(t), key: newSigner(t)}
	e.person, e.agent = id.New[id.User](e.now), id.New[id.Agent](e.now)
	e.bind(e.maya, "owner", false)
	e.guest = e.priya.register("guest")
	e.root = e.maya.lend(e.guest, lent{ttl: 100 * 24 * time.Hour}, "tool:files:*")
	e.trust()
	return e
}

func (e *elsewhere) trust() {
	e.t.Helper()
	set, err := json.Marshal(map[string]any{"keys": []jose.PublicKey{e.server.Public()}})
	e.ok(err)
	e.rule, _, err = e.TrustIssuer(e.t.Context(), e.maya.api(), lending.Issuer{
		URL: otherServer, Prefix: "acme", Agents: []id.Agent{e.agent}, Agent: e.guest.agent, Delegation: e.root.Statement.ID, KeySet: set,
	})
	e.ok(err)
}

// word is the other server's token for this one.
func (e *elsewhere) word() string {
	e.t.Helper()
	raw, err := token.Issue(token.Claims{
		Issuer: otherServer, Subject: e.person.String(), Audience: issuer, ClientID: e.agent.String(), Scope: "acme:tool:files:read", ID: rand.Text(),
		Act: &token.Actor{Sub: e.agent, Instance: e.key.Public().Thumbprint()}, JKT: e.key.Public().Thumbprint(), IssuedAt: e.now.Unix(), Expires: e.now.Unix() + 300,
		Delegation: id.New[id.Delegation](e.now), Workspace: id.Default,
	}, e.server)
	e.ok(err)
	return raw
}

// comes shows a word at a door.
func (e *elsewhere) comes(g *guard.Guard, cr guard.Credentials, word string) (string, error) {
	got, _, err := g.PartnerToken(context.Background(), guard.PartnerProof{Credentials: cr, Token: word, Workspace: id.Default}, guard.TokenRequest{Resource: files})
	return got.Token, err
}

// calls says how a call with a token of another server's agent ends.
func (e *elsewhere) calls(g *guard.Guard, raw string) string {
	e.t.Helper()
	c, err := g.Authenticate(e.t.Context(), guard.Credentials{
		Method: "POST", URL: files, Authorization: []string{"DPoP " + raw}, DPoP: []string{e.proof(e.key, "POST", files, raw)}, Face: "gateway",
	}, files)
	if err != nil {
		return fault.Code(err)
	}
	v, err := g.Start(e.t.Context(), c, e.call("read", `{"path":"a"}`))
	e.ok(err)
	return v.Code
}

// TestWhoAnswersForAGuest: another server's agent acts here as an agent that somebody here owns and somebody lent to. What either of them ends, ends it, at each door.
func TestWhoAnswersForAGuest(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		e := newElsewhere(t, dsn)
		doors := e.doors(dsn)
		if len(doors) == 1 {
			doors = append(doors, guard.New(e.Config))
		}
		come := func() (raws []string, codes string) {
			for _, g := range doors {
				raw, err := e.comes(g, e.keyCredentials(e.key, "/oauth/token"), e.word())
				raws, codes = append(raws, raw), codes+" "+fault.Code(err)
			}
			return raws, codes
		}
		all := func(raws []string) (codes string) {
			for i, raw := range raws {
				codes += " " + e.calls(doors[len(doors)-1-i], raw)
			}
			return codes
		}
		both := func(code string) string { return fmt.Sprintf(" %s %[1]s", code) }
		raws, codes := come()
		if got := all(raws); codes != both("") || got != both("") {
			t.Fatalf("before: %q %q", codes, got)
		}
		e.now = e.now.Add(time.Minute)
		stop := func(who *party, by *party, verb string) {
			_, _, err := e.EndPerson(ctx, by.api(), who.user, verb, "")
			e.ok(err)
		}
		// Who owns it is gone: there is time to find it another, and what came by it goes on meanwhile, as with every agent (authority.md §1).
		stop(e.priya, e.maya, "suspend")
		if got := all(raws); got != both("") {
			t.Errorf("its owner is gone, and a token of before: %q", got)
		}
		e.now = e.now.Add(31 * 24 * time.Hour)
		if _, codes := come(); codes != both("agent_ownerless") {
			t.Errorf("31 days after its owner has gone: %q", codes)
		}
		stop(e.priya, e.maya, "resume")
		raws, codes = come()
		if got := all(raws); codes != both("") || got != both("") {
			t.Errorf("its owner is back: %q %q", codes, got)
		}
		// Who lent to it is gone: at once, and for ever what came before.
		e.now = e.now.Add(time.Minute)
		raws, _ = come()
		stop(e.maya, e.priya, "suspend")
		if _, codes := come(); codes != both("person_suspended") || all(raws) != both("person_suspended") {
			t.Errorf("who lent to it is gone: %q %q", codes, all(raws))
		}
		stop(e.maya, e.priya, "resume")
		if _, codes := come(); codes != both("") || all(raws) != both("token_ended") {
			t.Errorf("who lent to it is back: %q, a token of before: %q", codes, all(raws))
		}
		// The rule is gone, and comes again.
		e.now = e.now.Add(time.Minute)
		raws, _ = come()
		_, _, err := e.RemoveIssuer(ctx, e.maya.api(), e.rule.ID)
		e.ok(err)
		if _, codes := come(); codes != both("untrusted_issuer") || all(raws) != both("instance_expired") {
			t.Errorf("without the rule: %q %q", codes, all(raws))
		}
		e.trust()
		fresh, codes := come()
		if codes != both("") || all(fresh) != both("") || all(raws) != both("token_ended") {
			t.Errorf("by another rule: %q, its tokens %q, tokens of before %q", codes, all(fresh), all(raws))
		}
		// The agent itself.
		_, _, _, err = e.EndAgent(ctx, e.maya.api(), e.guest.agent, "suspend", "")
		e.ok(err)
		if _, codes := come(); codes != both("agent_suspended") || all(fresh) != both("agent_suspended") {
			t.Errorf("it is suspended: %q %q", codes, all(fresh))
		}
	})
}
