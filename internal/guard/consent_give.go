package guard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// ConsentChoice is what of a request the person grants: never more than was asked for. Zero is what was asked for of TTL, Uses, Task and Purpose alone.
type ConsentChoice struct {
	Keep    []int // indexes of ConsentPermission
	TTL     time.Duration
	Uses    int64
	Depth   int  // hops that may follow
	MayAct  bool // the other agent that the request names may act in the client's stead
	Task    string
	Purpose string
}

// decided is what a resume ticket holds: the request and what became of it. Of the delegation its Family says.
type decided struct {
	Request  AuthRequest `json:"request"`
	Refused  string      `json:"refused,omitzero"` // an error of RFC 6749 §4.1.2.1
	AuthTime int64       `json:"auth_time,omitzero"`
	ACR      int64       `json:"acr,omitzero"`
	Agent    id.Agent    `json:"agent,omitzero"`
}

// ProposeConsent is the statement by which the person would lend what they chose. It is good until it is signed and given, or something else is. Codes: those of
// Consent, choice_invalid, widens, sign_in_old, sign_in_weak.
func (g *Guard) ProposeConsent(ctx context.Context, c *Caller, handle string, ch ConsentChoice) (delegation.Statement, error) {
	in, a, err := g.asked(ctx, c, handle)
	if err != nil {
		return delegation.Statement{}, err
	}
	return g.propose(ctx, in, a, ch)
}

func (g *Guard) propose(ctx context.Context, c *Caller, a consentAsk, ch ConsentChoice) (delegation.Statement, error) {
	r, none := a.Request, delegation.Statement{}
	if err := g.signInAgain(c, a); err != nil {
		return none, err
	}
	to, err := g.delegate(ctx, c, a)
	if err != nil {
		return none, err
	}
	now := g.Now()
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](now), Issuer: g.Issuer, Workspace: r.Workspace, Delegator: delegation.Delegator{User: c.person},
		Delegate: delegation.Delegate{Agent: to.agent.ID}, NotBefore: now.Unix(), MaxDepth: ch.Depth, Task: r.Task.Task, Purpose: r.Task.Purpose,
	}
	for _, n := range ch.Keep {
		if n < 0 || n >= len(r.Permissions) {
			return none, fault.New(fault.Invalid, "choice_invalid", "nothing with the number %d was asked for", n)
		}
		st.Permissions = append(st.Permissions, r.Permissions[n])
	}
	if len(st.Permissions) == 0 {
		return none, fault.New(fault.Invalid, "choice_invalid", "nothing is left of what was asked for").Try("keep at least one permission, or refuse")
	}
	ttl := ch.TTL
	if ttl == 0 {
		ttl = r.ttl()
	}
	st.ExpiresAt = now.Add(ttl).Unix()
	if uses := max(ch.Uses, 0); uses > 0 || r.Task.MaxUses > 0 {
		if uses == 0 {
			uses = r.Task.MaxUses
		}
		st.MaxUses = &uses
	}
	if ch.MayAct {
		st.MayAct = r.Task.Delegate
	}
	if ch.Task != "" {
		st.Task = ch.Task
	}
	if ch.Purpose != "" {
		st.Purpose = ch.Purpose
	}
	if err := g.within(st, c, a, to.agent.ID); err != nil {
		return none, err
	}
	return st, nil
}

// within holds a statement to what was asked for, of whom and for whom. Codes: widens, statement_invalid, and those of delegation.Statement.Check.
func (g *Guard) within(st delegation.Statement, c *Caller, a consentAsk, to id.Agent) error {
	if err := st.Check(); err != nil {
		return err
	}
	r, now := a.Request, g.Now()
	if st.Issuer != g.Issuer || st.Workspace != r.Workspace || st.Delegator.User != c.person || st.Delegate != (delegation.Delegate{Agent: to}) || st.Parent != nil {
		return fault.New(fault.Invalid, "statement_invalid", "the statement is not by you for this client").Try("reload the page")
	}
	widens := func(what string) error {
		return fault.New(fault.Denied, "widens", "the statement would lend more than was asked for: %s", what).Try("keep to what was asked for, or less")
	}
	switch {
	case !delegation.CoversAll(r.Permissions, st.Permissions):
		return widens("permissions")
	case st.ExpiresAt > now.Add(r.ttl()).Unix():
		return widens("time")
	case st.NotBefore > now.Add(skew).Unix():
		return fault.New(fault.Invalid, "statement_invalid", "the statement begins later than now")
	case r.Task.MaxUses > 0 && (st.MaxUses == nil || *st.MaxUses > r.Task.MaxUses):
		return widens("uses")
	case st.MaxDepth > r.Task.MaxDepth:
		return widens("who may lend on")
	case r.Task.Task != "" && st.Task != r.Task.Task:
		return widens("another task")
	case !st.MayAct.IsZero() && st.MayAct != r.Task.Delegate:
		return widens("who may act")
	}
	return nil
}

// signInAgain is why the person must sign in once more before they decide: the client asked for it (OpenID Connect Core §3.1.2.1, RFC 9470 §4). Codes:
// sign_in_old, sign_in_weak.
func (g *Guard) signInAgain(c *Caller, a consentAsk) error {
	r := a.Request
	old := fault.New(fault.Denied, "sign_in_old", "the client asks that you sign in again first").Try("sign in again, with a passkey where you have one")
	switch {
	case slices.Contains(r.Prompt, "login") && c.authTime < a.Asked:
		return old
	case r.MaxAge != nil && g.Now().Unix()-c.authTime > *r.MaxAge && c.authTime < a.Asked:
		return old
	}
	if n := r.level(); c.acr < n {
		return fault.New(fault.Denied, "sign_in_weak", "the client asks that you sign in %s", levelWords(n)).Try("sign in again like that; a passkey is made at %s/passkey", g.Issuer)
	}
	return nil
}

// level is the least that is good enough of the levels of sign-in in acr_values; 0: any. Values that are none of ours say nothing: the parameter is voluntary
// (OpenID Connect Core §3.1.2.1), and a client that lists what several servers know is to be answered by each.
func (r AuthRequest) level() int64 {
	least := int64(0)
	for _, s := range r.ACR {
		if n := acrOf(s); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

func levelWords(level int64) string {
	switch level {
	case 1:
		return "at a sign-in provider, or with a passkey"
	case 2:
		return "with a second factor at a sign-in provider, or with a passkey"
	}
	return "with a passkey"
}

// GiveConsent lends what the person signed with their passkey or registered key, in one transaction with the end of the question, and returns the handle under which
// the browser goes on to the client. Codes: those of Consent, widens, statement_invalid, sign_in_old, sign_in_weak, those of delegation.VerifySignature, of policy and of lending.
func (g *Guard) GiveConsent(ctx context.Context, c *Caller, handle string, signed delegation.Signed) (resume string, err error) {
	in, a, err := g.asked(ctx, c, handle)
	if err != nil {
		return "", err
	}
	if err := g.signInAgain(in, a); err != nil {
		return "", err
	}
	key, err := g.delegatorKey(ctx, in.ws, signed)
	if err != nil {
		return "", g.refuseAct(ctx, in, nil, lendAct(signed.Statement), nil, err)
	}
	return g.consent(ctx, in, handle, a, signed, key)
}

// GiveConsentAttested is GiveConsent for a person without a passkey: the server says how they signed in. Codes: those of GiveConsent, choice_invalid,
// passkey_needed.
func (g *Guard) GiveConsentAttested(ctx context.Context, c *Caller, handle string, ch ConsentChoice) (resume string, err error) {
	in, a, err := g.asked(ctx, c, handle)
	if err != nil {
		return "", err
	}
	has, err := g.People.PasskeysOf(ctx, in.person)
	if err != nil {
		return "", err
	}
	if len(has) > 0 {
		return "", fault.New(fault.Denied, "passkey_needed", "you have a passkey, so what you lend is signed with it").Try("turn JavaScript on, and sign with your passkey")
	}
	st, err := g.propose(ctx, in, a, ch)
	if err != nil {
		return "", err
	}
	key, err := g.attest(ctx, in)
	if err != nil {
		return "", err
	}
	return g.consent(ctx, in, handle, a, delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByAttested}}, key)
}

// attest is the server's word about a browser's session. Code: sign_in_old where nobody knows when its person signed in.
func (g *Guard) attest(ctx context.Context, c *Caller) (delegation.DelegatorKey, error) {
	at := delegation.Attestation{Method: "link", Issuer: g.Issuer, AuthTime: c.authTime, ACR: acrName(c.acr)}
	if c.authTime <= 0 {
		return delegation.DelegatorKey{}, fault.New(fault.Denied, "sign_in_old", "it is not known when you signed in").Try("sign in again, or make a passkey: %s/passkey", g.Issuer)
	}
	found, err := g.People.IdentitiesOf(ctx, c.person)
	if err != nil {
		return delegation.DelegatorKey{}, err
	}
	for _, i := range found {
		if i.Name() == c.openedBy {
			at.Method, at.Issuer = "oidc", i.Issuer
		}
	}
	return delegation.DelegatorKey{Attested: &at}, nil
}

func acrName(level int64) string {
	if level <= 0 {
		return ""
	}
	return fmt.Sprintf("urn:attorn:acr:%d", level)
}

// consent is the transaction in which the person's word counts.
func (g *Guard) consent(ctx context.Context, c *Caller, handle string, a consentAsk, signed delegation.Signed, key delegation.DelegatorKey) (resume string, err error) {
	st := signed.Statement
	act := lendAct(st)
	to, err := g.delegate(ctx, c, a)
	if err == nil {
		err = g.within(st, c, a, to.agent.ID)
	}
	if err == nil {
		err = g.admitClient(ctx, a.Request)
	}
	if err == nil && !to.fresh {
		err = to.agent.Live(g.Now())
	}
	if err == nil {
		err = g.mayBeNamed(ctx, c.ws, st.MayAct)
	}
	if err != nil {
		return "", g.refuseAct(ctx, c, nil, act, nil, err)
	}
	act.what = &evidence.What{Delegation: st.ID, Agent: st.Delegate.Agent}
	if st.Purpose != "" {
		act.personal = func(d *evidence.Draft) error { return seal(d, &d.What.Text, c.Sub(), "text", st.Purpose) }
	}
	body, err := jose.Canonical(decided{Request: a.Request, AuthTime: c.authTime, ACR: c.acr, Agent: to.agent.ID})
	if err != nil {
		return "", err
	}
	_, err = g.do(ctx, c, act, func(tx *audit.Tx) error {
		if err := g.answer(tx, c, handle); err != nil {
			return err
		}
		if err := people.Running(tx, c.ws); err != nil {
			return err
		}
		if err := g.enrolApp(tx, c, a, to, st); err != nil {
			return err
		}
		if _, err := g.lendIn(tx, c.ws, signed, key); err != nil {
			return err
		}
		resume, err = g.Tickets.Issue(tx, tickets.Ticket{
			Kind: tickets.Resume, Workspace: c.ws, Subject: c.person.String(), Family: st.ID.String(), Client: a.Request.Client, JKT: a.Request.JKT, Body: string(body),
		}, tickets.Resume.Life())
		return err
	})
	return resume, err
}

// answer ends the question: once, and by the person whose it is.
func (g *Guard) answer(tx *audit.Tx, c *Caller, handle string) error {
	t, err := g.Tickets.Spend(tx, tickets.Consent, handle)
	if err == nil && t.Subject != c.person.String() {
		err = wrongPerson() // which undoes the spending: a stranger ends nobody's question
	}
	return err
}

// lendIn countersigns a statement and records it, as of this transaction. Its own event says what it was.
func (g *Guard) lendIn(tx *audit.Tx, ws id.Workspace, signed delegation.Signed, key delegation.DelegatorKey) (delegation.Link, error) {
	link, err := g.countersign(tx, signed, key)
	if err != nil {
		return link, err
	}
	d, fresh, err := g.Lending.Lend(tx, ws, link)
	if err != nil {
		return link, err
	}
	if !fresh && d.StatusAt(tx.Now()) != lending.Active {
		return link, endedBefore()
	}
	doc := evidence.ContentOf([]byte(d.Link.String()))
	tx.Keep(doc)
	what := *tx.Event().What
	what.Link = doc.Digest
	tx.Event().What = &what
	return d.Link, nil
}

// enrolApp makes the app an agent of the person where it is none yet, and remembers what it looked like.
func (g *Guard) enrolApp(tx *audit.Tx, c *Caller, a consentAsk, to delegate, st delegation.Statement) error {
	if to.app.ID == "" {
		return nil
	}
	if to.fresh {
		if err := g.appAgent(tx, to, c.ws, c.person, c.Sub(), c.where()); err != nil {
			return err
		}
	}
	return g.Clients.RememberApp(tx, clients.AppAgent{
		Workspace: c.ws, Client: to.app.ID, Person: c.person, Agent: to.agent.ID,
		Seen: clients.Seen{Name: to.app.Name, Redirect: clients.RedirectHost(a.Request.Redirect), Permissions: st.Permissions},
	}, to.seen.Agent)
}

// appAgent registers the agent that an app becomes for a person; by is who does.
func (g *Guard) appAgent(tx *audit.Tx, to delegate, ws id.Workspace, person id.User, by string, where evidence.Where) error {
	if _, err := g.Agents.Register(tx, agents.NewAgent{ID: to.agent.ID, Workspace: ws, Name: to.agent.Name, Owner: person}); err != nil {
		return err
	}
	d := evidence.Draft{Workspace: ws, Agent: to.agent.ID, Person: person, Target: to.agent.ID.String()}
	d.Kind, d.Outcome, d.Who.Sub, d.Where = evidence.AgentRegistered, evidence.OK, by, where
	d.What = &evidence.What{Agent: to.agent.ID, User: person, Client: clip(to.app.ID)}
	if err := seal(&d, &d.What.Name, to.agent.ID.String(), "name", to.agent.Name); err != nil {
		return err
	}
	tx.Before(d)
	return nil
}

// RefuseConsent ends a question with no, and returns the handle under which the browser takes that to the client. Codes: those of Consent.
func (g *Guard) RefuseConsent(ctx context.Context, c *Caller, handle string) (resume string, err error) {
	in, a, err := g.asked(ctx, c, handle)
	if err != nil {
		return "", err
	}
	s, err := g.resolve(ctx, in)
	if err != nil {
		return "", err
	}
	body, err := jose.Canonical(decided{Request: a.Request, Refused: "access_denied"})
	if err != nil {
		return "", err
	}
	d := s.draft(in, evidence.DelegationRefused)
	d.Outcome, d.Target, d.What, d.Depends = evidence.OK, clip(a.Request.Client), &evidence.What{Client: clip(a.Request.Client)}, nil // to say no is open to all who were asked
	_, err = g.Log.Record(ctx, d, g.whileSignedIn(in, func(tx *audit.Tx) error {
		if err := g.answer(tx, in, handle); err != nil {
			return err
		}
		resume, err = g.Tickets.Issue(tx, tickets.Ticket{
			Kind: tickets.Resume, Workspace: in.ws, Subject: in.person.String(), Client: a.Request.Client, Body: string(body),
		}, tickets.Resume.Life())
		return err
	}))
	return resume, err
}

// clip is a client_id as an event holds it.
func clip(client string) string {
	if len(client) > 255 {
		return strings.ToValidUTF8(client[:255], "")
	}
	return client
}
