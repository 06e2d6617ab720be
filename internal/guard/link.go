package guard

import (
	"context"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/policy"
)

// link is what the ticket of a sign-in link holds: what it is for, who made it for somebody else, and the event that made it.
type link struct {
	use  string
	by   id.User  // who made it for somebody else
	key  string   // with which the person made it for themselves
	made id.Event // nothing comes from nowhere
	tie  bool     // whoever made it would get roles by it that others may have given
}

// What a sign-in link is for.
const (
	forFirst    = "bootstrap" // the first administrator
	forOwn      = "own"       // an invited person, or a person's other browser or machine
	forAgain    = "again"     // an invited person whose first link was lost
	forRecovery = "recovery"  // a person who lost everything
)

func (l link) body() string {
	about := "-"
	switch {
	case !l.by.IsZero():
		about = l.by.String()
	case l.key != "":
		about = l.key
	}
	return l.use + " " + about + " " + l.made.String()
}

func readLink(body string) (l link, err error) {
	parts := strings.Split(body, " ")
	if len(parts) != 3 {
		return l, fault.New(fault.Internal, "link_malformed", "a sign-in link's ticket does not say what it is for")
	}
	l.use = parts[0]
	if l.made, err = id.Parse[id.Event](parts[2]); err != nil {
		return l, err
	}
	switch l.use {
	case forAgain, forRecovery:
		l.by, err = id.Parse[id.User](parts[1])
	case forOwn:
		if parts[1] != "-" { // which a thumbprint may begin with
			l.key = parts[1]
		}
	}
	return l, err
}

func aboutPerson(user id.User) map[string]any {
	return map[string]any{"person": policy.UID{Type: policy.TypeUser, ID: user.String()}}
}

// NewLink makes a one-time sign-in link for the caller, for another browser or machine; or, for who may invite, for somebody who has never signed in
// and lost the first one. Who has signed in takes Recover. Codes: not_yourself, escalation.
func (g *Guard) NewLink(ctx context.Context, c *Caller, user id.User) (secret string, err error) {
	a := act{
		action: "attorn:user:link", noun: "user:" + user.String(), kind: evidence.DecisionMade, target: user.String(), attrs: aboutPerson(user),
		own: user == c.person,
	}
	l := link{use: forOwn, key: c.key.String()}
	if user != c.person {
		a.action, l = "attorn:user:invite", link{use: forAgain, by: c.person}
		a.gives, a.strict = func() ([]string, error) { return g.rolesGiven(ctx, c, user) }, true
	}
	if _, err := g.People.Person(ctx, c.ws, user); err != nil {
		return "", g.refuseAct(ctx, c, nil, a, nil, err)
	}
	if l.use == forAgain { // who may ask is told so before anything about roles
		if ever, err := g.People.SignedInEver(ctx, user); err != nil {
			return "", err
		} else if ever {
			a.gives = nil
		}
	}
	_, err = g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		if l.use == forAgain {
			if ever, err := g.People.SignedInBy(tx, user); err != nil {
				return err
			} else if ever || a.gives == nil {
				return fault.New(fault.Denied, "not_yourself", "a sign-in link is for oneself: with another's, one could vote as them").
					Try("if they lost everything: attorn user recover %s", user)
			}
			if err := g.Tickets.EndAll(tx, tickets.SignIn, user.String()); err != nil { // the lost one must open nothing either
				return err
			}
		}
		l.made = tx.Event().ID
		secret, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.SignIn, Workspace: c.ws, Subject: user.String(), Body: l.body()}, signInLife)
		return err
	})
	return secret, err
}

// Recover makes a one-time link for a person who lost every key. Who spends it becomes them, so: it is not for oneself; it takes holding every role that
// they have, whatever else one may give; it is of the server's administrators, in the workspace default; and what spending it does is redeem's to say. Making it ends nothing. Codes:
// server_act, yourself, person_suspended, escalation.
func (g *Guard) Recover(ctx context.Context, c *Caller, user id.User, why string) (secret string, err error) {
	a := act{
		action: "attorn:user:recover", noun: "user:" + user.String(), kind: evidence.DecisionMade, target: user.String(), what: &evidence.What{User: user, Status: "recovery offered"},
		personal: g.reason(c, why), gives: func() ([]string, error) { return g.rolesGiven(ctx, c, user) }, strict: true,
	}
	p, err := g.account(ctx, c, user, a)
	if err != nil {
		return "", err
	}
	if err = p.Live(); user == c.person {
		err = fault.New(fault.Denied, "yourself", "nobody recovers themselves: who can ask is signed in").Try("make a link for another machine: attorn user link me")
	}
	if err != nil {
		return "", g.refuseAct(ctx, c, nil, a, nil, err)
	}
	if a.also, err = g.others(ctx, user, c.ws); err != nil {
		return "", err
	}
	_, err = g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		if err := g.Tickets.EndAll(tx, tickets.SignIn, user.String()); err != nil { // one at a time, so that the event before it tells whose it is
			return err
		}
		secret, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.SignIn, Workspace: c.ws, Subject: user.String(), Body: link{use: forRecovery, by: c.person, made: tx.Event().ID}.body()}, signInLife)
		return err
	})
	return secret, err
}

// rolesGiven are those that whoever holds another's link has by it: all of that person's here, and for what they are in other workspaces, where the
// caller is not as much, that of the server's owner.
func (g *Guard) rolesGiven(ctx context.Context, c *Caller, user id.User) ([]string, error) {
	all, err := g.People.Workspaces(ctx, user)
	if err != nil {
		return nil, err
	}
	var given []string
	for _, ws := range all {
		bound, err := g.boundTo(ctx, ws, g.Now(), user.String()) // what they may activate, too
		if err != nil {
			return nil, err
		}
		theirs := make([]string, len(bound))
		for i, b := range bound {
			theirs[i] = b.Grant().String()
		}
		found, _, err := g.known(ctx, ws, g.Now(), c.person.String())
		if err != nil {
			return nil, err
		}
		mine := rolesOf(found[0])
		if ws == c.ws {
			given = append(given, theirs...)
			continue
		}
		if _, err := g.People.Person(ctx, ws, c.person); err != nil || !containsAll(mine, theirs) {
			given = append(given, "owner")
		}
	}
	return given, nil
}

// account reads a person on whose account, which is the server's, the caller would act: administrators of default on anybody's, everybody on
// their own. A refusal is recorded. Codes: not_found, server_act, and those of the act for somebody whom the caller does not meet.
func (g *Guard) account(ctx context.Context, c *Caller, user id.User, a act) (people.Person, error) {
	p, err := g.member(ctx, c, user, a)
	if err == nil && c.ws != id.Default && user != c.person {
		err = fault.New(fault.Denied, "server_act", "a person's account is the server's: its administrators, in the workspace %s, do this", id.Default).
			Try("here you can suspend or remove the member")
		err = g.refuseAct(ctx, c, nil, a, nil, err)
	}
	return p, err
}

// member reads a member of the caller's workspace; in default somebody of another one too, for who may do this to anybody: all others are told the same of them as of
// nobody. A refusal is recorded.
func (g *Guard) member(ctx context.Context, c *Caller, user id.User, a act) (people.Person, error) {
	p, err := g.People.Person(ctx, c.ws, user)
	if fault.Code(err) == "not_found" && c.ws == id.Default {
		a.gives = nil // which says more than that
		if _, _, err := g.judge(ctx, c, a); err != nil {
			return p, err
		}
		p, err = g.People.Anywhere(ctx, user)
	}
	if err != nil {
		return p, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	return p, nil
}

// mayStill refuses a link for somebody else whose maker can no longer act, and looks what roles the person has by now.
func (g *Guard) mayStill(ctx context.Context, l *link, user id.User) error {
	if l.by.IsZero() {
		return nil
	}
	in, err := g.People.Workspaces(ctx, user)
	if err != nil {
		return err
	}
	for _, ws := range in {
		bound, err := g.boundTo(ctx, ws, g.Now(), user.String())
		if err != nil {
			return err
		}
		l.tie = l.tie || len(bound) > 0
	}
	p, err := g.People.Anywhere(ctx, l.by)
	if err == nil {
		err = p.Live()
	}
	if fault.Of(err) != nil && fault.Of(err).Kind != fault.Unavailable {
		return fault.New(fault.Unauthenticated, "ticket_unknown", "whoever made this link may no longer do so").Try("ask another administrator for a new one")
	}
	return err
}

// redeem does what a link brings with it. One that a key made is good while the key is. After a recovery nothing of what the person had opens anything: every
// key, passkey, account at another provider, session, token and link is ended; they neither vote nor lend nor administer nor call tools for a day; and they and who made
// the link count as one for 30 days. So the maker, were it they who spent it, is seen by everybody, by the person first of all, and has gained no second vote.
func (g *Guard) redeem(tx *audit.Tx, l link, user id.User) error {
	switch l.use {
	case forOwn:
		if l.key != "" { // what a key made does not outlive it
			return g.People.KeyLives(tx, user, l.key)
		}
	case forAgain:
		if l.tie { // as an invited person with roles, the maker could vote on what is their own
			return g.People.Vouch(tx, user, l.by)
		}
	case forRecovery:
		ended, err := g.People.Recover(tx, user, l.by)
		if err != nil {
			return err
		}
		if err := g.Tickets.EndAll(tx, tickets.SignIn, user.String()); err != nil {
			return err
		}
		what := *tx.Event().What
		what.Status, what.Ended = evidence.Recovered, ended
		tx.Event().What = &what
	}
	return nil
}

func containsAll(all, some []string) bool {
	for _, s := range some {
		found := false
		for _, a := range all {
			found = found || a == s
		}
		if !found {
			return false
		}
	}
	return true
}
