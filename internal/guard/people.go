package guard

import (
	"cmp"
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/internal/tickets"
)

// BootstrapLink makes the one-time secret for the first administrator, while there is none. It is the server's own act.
func (g *Guard) BootstrapLink(ctx context.Context) (secret string, err error) {
	if n, err := g.Rules.Owners(ctx, id.Default); err != nil || len(n) > 0 {
		return "", err
	}
	d := evidence.Draft{Workspace: id.Default, Target: "workspace"}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DecisionMade, evidence.OK, evidence.ServerSub, "server"
	d.Did = &evidence.Did{Action: "attorn:user:invite", Resource: evidence.Resource{Type: "Noun", ID: "workspace"}}
	_, err = g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		secret, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.SignIn, Workspace: id.Default, Body: link{use: forFirst, made: tx.Event().ID}.body()}, signInLife)
		return err
	})
	return secret, err
}

// Link is the page that a one-time sign-in secret opens. The secret is in the fragment, which browsers do not send.
func (g *Guard) Link(secret string) string { return g.Issuer + "/signin/link#" + secret }

const signInLife = 15 * time.Minute

// Invite adds a person to the workspace and makes their one-time sign-in link.
func (g *Guard) Invite(ctx context.Context, c *Caller, name string) (people.Person, string, error) {
	return g.InviteEmail(ctx, c, name, "")
}

// InviteEmail is Invite for somebody who may also come through another sign-in provider of the workspace: whoever proves the email address there, first
// and within 14 days, is this person. Codes: email_invalid, already_invited.
func (g *Guard) InviteEmail(ctx context.Context, c *Caller, name, email string) (people.Person, string, error) {
	n := people.NewPerson{ID: id.New[id.User](g.Now()), Name: name}
	a := act{
		action: "attorn:user:invite", noun: "user:" + n.ID.String(), kind: evidence.UserAdded, target: n.ID.String(), also: []id.Workspace{id.Server},
		what: &evidence.What{User: n.ID},
		personal: func(d *evidence.Draft) error {
			if email != "" {
				if err := seal(d, &d.What.Email, n.ID.String(), "email", email); err != nil {
					return err
				}
			}
			return seal(d, &d.What.Name, n.ID.String(), "name", name)
		},
	}
	digest, ok := g.emailDigest(email)
	if !ok && email != "" {
		return people.Person{}, "", fault.New(fault.Invalid, "email_invalid", "this is no email address: it has one @ and ASCII characters alone").Try("leave it out: the link that is made lets them in")
	}
	var made people.Person
	var secret string
	_, err := g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		if made, err = g.People.Add(tx, n); err != nil {
			return err
		}
		if err := g.People.Join(tx, c.ws, n.ID); err != nil {
			return err
		}
		if ok {
			if err := g.People.AwaitEmail(tx, c.ws, digest, n.ID); err != nil {
				return err
			}
		}
		secret, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.SignIn, Workspace: c.ws, Subject: n.ID.String(), Body: link{use: forOwn, made: tx.Event().ID}.body()}, signInLife)
		return err
	})
	return made, secret, err
}

// SignIn spends a sign-in link and registers the key that signed the request as the person's own. The first link makes the first
// administrator, who is called name.
func (g *Guard) SignIn(ctx context.Context, secret, name, label string, cr Credentials) (people.Person, id.Workspace, error) {
	key, once, raw, err := g.AuthenticateKey(cr)
	if err != nil {
		return people.Person{}, id.Workspace{}, err
	}
	var p people.Person
	ws, err := g.spendLink(ctx, secret, name, key.Thumbprint(), &p, func(t tickets.Ticket, user id.User, _ link) evidence.Draft {
		d := keyDraft(t.Workspace, key, once, raw, cr, evidence.UserPasskeyChanged)
		d.Target = user.String()
		d.What = &evidence.What{User: user, Key: &key}
		return d
	}, func(tx *audit.Tx) error { return g.unheld(tx, key.Thumbprint()) }, func(tx *audit.Tx, _ link) error {
		_, err := g.People.AddKey(tx, p.ID, key, label, false)
		return err
	})
	return p, ws, err
}

// SignInPage spends a sign-in link in the browser and opens a session, in which the person makes a passkey.
func (g *Guard) SignInPage(ctx context.Context, secret, name, ip string) (session string, p people.Person, ws id.Workspace, err error) {
	ws, err = g.spendLink(ctx, secret, name, id.Key{}, &p, func(t tickets.Ticket, user id.User, l link) evidence.Draft {
		d := evidence.Draft{Workspace: t.Workspace, Target: user.String()}
		d.Kind, d.Outcome, d.Where = evidence.UserSignedIn, evidence.OK, evidence.Where{Face: "console"}
		if l.use == forRecovery { // it ends all keys
			d.Kind = evidence.UserPasskeyChanged
		}
		d.Who.Proof = &evidence.ProofRef{Type: "link"}
		d.What = &evidence.What{User: user}
		return d
	}, func(*audit.Tx) error { return nil }, func(tx *audit.Tx, l link) (err error) {
		session, _, err = g.People.OpenSessionBy(tx, p.ID, 0, l.key)
		return err
	})
	return session, p, ws, err
}

// spendLink is what both ways to use a link share: the link is spent, whatever before refuses; the person exists; then does its part.
func (g *Guard) spendLink(ctx context.Context, secret, name string, key id.Key, p *people.Person, draft func(tickets.Ticket, id.User, link) evidence.Draft,
	before func(*audit.Tx) error, then func(*audit.Tx, link) error,
) (id.Workspace, error) {
	t, refusal, err := g.opens(ctx, tickets.SignIn, secret, key)
	if err != nil {
		return id.Workspace{}, err
	}
	if refusal != nil {
		return t.Workspace, g.refuseLink(ctx, secret, t, draft, refusal)
	}
	user := id.New[id.User](g.Now())
	also := []id.Workspace{id.Server}
	l, err := readLink(t.Body)
	if err != nil {
		return t.Workspace, err
	}
	first := l.use == forFirst
	if !first {
		if user, err = id.Parse[id.User](t.Subject); err != nil {
			return id.Workspace{}, err
		}
		if also, err = g.everywhere(ctx, user); err != nil {
			return id.Workspace{}, err
		}
	}
	if err := g.mayStill(ctx, &l, user); err != nil {
		return t.Workspace, err
	}
	d := draft(t, user, l)
	d.Person, d.Who.Sub, d.Also, d.Cause = user, user.String(), also, l.made
	if first {
		if err := seal(&d, &d.What.Name, user.String(), "name", name); err != nil {
			return t.Workspace, err
		}
		d.Kind, d.What.Role = evidence.UserAdded, "owner"
	}
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		if _, err := g.Tickets.Spend(tx, tickets.SignIn, secret); err != nil {
			tx.Refuse(fault.Code(err), err.Error())
			return keepable(err)
		}
		if err := before(tx); err != nil {
			tx.Refuse(fault.Code(err), err.Error())
			return keepable(err)
		}
		if first {
			owned, err := g.Rules.Owned(tx, t.Workspace)
			if err != nil {
				return err
			}
			if owned { // by an earlier link
				tx.Refuse("ticket_spent", "there is an administrator already")
				return nil
			}
			if err := g.firstOwner(tx, t.Workspace, user, name, p); err != nil {
				return err
			}
		} else {
			p.ID = user
			if err := g.People.Arrived(tx, user); err != nil {
				return err
			}
			if err := g.redeem(tx, l, user); err != nil {
				tx.Refuse(fault.Code(err), err.Error())
				return keepable(err)
			}
		}
		return then(tx, l)
	})
	if err != nil {
		return t.Workspace, err
	}
	if got.Outcome == evidence.Deny {
		return t.Workspace, fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason).Try("ask an administrator for a new link")
	}
	*p, err = g.People.Anywhere(ctx, user)
	return t.Workspace, err
}

// refuseLink refuses a link that is not good, or not for this key.
func (g *Guard) refuseLink(ctx context.Context, secret string, t tickets.Ticket, draft func(tickets.Ticket, id.User, link) evidence.Draft, refusal error) error {
	user, _ := id.Parse[id.User](t.Subject) // of the first administrator's there is none
	d := draft(tickets.Ticket{Workspace: cmp.Or(t.Workspace, id.Server)}, user, link{})
	d.Person, d.Who.Sub = user, cmp.Or(user.String(), evidence.ServerSub)
	err := g.refuseSecret(ctx, tickets.SignIn, secret, t, d, refusal)
	if f := fault.Of(err); f != nil && !t.Workspace.IsZero() && f.Code == fault.Code(refusal) {
		err = fault.New(fault.Unauthenticated, f.Code, "%s", f.Reason).Try("ask an administrator for a new link")
	}
	return err
}

// unheld refuses a key that names, or ever named, anybody: an instance or a person.
func (g *Guard) unheld(tx *audit.Tx, key id.Key) error {
	agents, err := g.Agents.Known(tx, key)
	if err != nil {
		return err
	}
	persons, err := g.People.Known(tx, key)
	if err != nil {
		return err
	}
	if agents || persons {
		return keyInUse()
	}
	return nil
}

func keyInUse() error {
	return fault.New(fault.Conflict, "key_in_use", "this key names somebody already, or did: a key is registered once").Try("make a new key pair")
}

func (g *Guard) firstOwner(tx *audit.Tx, ws id.Workspace, user id.User, name string, p *people.Person) error {
	made, err := g.People.Add(tx, people.NewPerson{ID: user, Name: name})
	if err != nil {
		return err
	}
	*p = made
	if err := g.People.Join(tx, ws, user); err != nil {
		return err
	}
	_, err = g.Rules.Bind(tx, ws, rules.Binding{Principal: user.String(), Role: rules.Owner, BoundBy: evidence.ServerSub, Reason: "the first administrator"})
	return err
}

// ListPeople lists members, for who may read them, and when each of them was last seen; who is not in that never signed in.
func (g *Guard) ListPeople(ctx context.Context, c *Caller, after id.User, limit int) ([]people.Person, map[id.User]time.Time, error) {
	if err := g.May(ctx, c, "attorn:user:read", "workspace"); err != nil {
		return nil, nil, err
	}
	found, err := g.People.Members(ctx, c.ws, after, limit)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]id.User, len(found))
	for i, p := range found {
		ids[i] = p.ID
	}
	seen, err := g.People.LastSeen(ctx, ids...)
	return found, seen, err
}

// FindPerson finds a member by exact name or by id, to name them to somebody else: a decision of its own, which every member has unless a policy says
// otherwise. Codes: not_found, ambiguous.
func (g *Guard) FindPerson(ctx context.Context, c *Caller, text string) (people.Person, error) {
	if err := g.May(ctx, c, "attorn:user:find", "workspace"); err != nil {
		return people.Person{}, err
	}
	return g.People.Find(ctx, c.ws, text)
}

// Whoami reads the person who calls.
func (g *Guard) Whoami(ctx context.Context, c *Caller) (people.Person, error) {
	if err := g.Self(ctx, c); err != nil || c.person.IsZero() {
		return people.Person{}, err
	}
	return g.People.Person(ctx, c.ws, c.person)
}

// Session authenticates a console session's cookie. Who is no member of ws acts in the first, by name, of their own workspaces: an account is the
// server's. Codes: session_unknown, not_found for who is in none.
func (g *Guard) Session(ctx context.Context, secret string, ws id.Workspace, ip string) (*Caller, people.Person, error) {
	s, p, err := g.People.Session(ctx, secret, g.Now())
	if err != nil {
		return nil, p, err
	}
	if _, err := g.People.Person(ctx, ws, p.ID); fault.Code(err) == "not_found" {
		own, err := g.People.Workspaces(ctx, p.ID)
		if err != nil {
			return nil, p, err
		}
		if len(own) == 0 {
			return nil, p, fault.New(fault.NotFound, "not_found", "you are in no workspace").Try("ask an administrator to add you to one")
		}
		ws = own[0]
	} else if err != nil {
		return nil, p, err
	}
	return &Caller{ws: ws, person: p.ID, acr: int64(s.ACR), authTime: s.AuthTime.Unix(), session: s.ID, openedBy: s.OpenedBy, ip: address(ip), face: "console"}, p, nil
}
