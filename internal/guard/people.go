package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/policy"
)

// bootstrap begins the body of the sign-in link that makes the first administrator. Every link's body ends with the event that made it.
const bootstrap = "bootstrap "

// BootstrapLink makes the one-time secret for the first administrator, while there is none. It is the server's own act.
func (g *Guard) BootstrapLink(ctx context.Context) (secret string, err error) {
	if n, err := g.Rules.Holders(ctx, id.Default, "owner"); err != nil || len(n) > 0 {
		return "", err
	}
	d := evidence.Draft{Workspace: id.Default, Target: "workspace"}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DecisionMade, evidence.OK, evidence.ServerSub, "server"
	d.Did = &evidence.Did{Action: "attorn:user:invite", Resource: evidence.Resource{Type: "Noun", ID: "workspace"}}
	_, err = g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		secret, err = g.Tickets.Issue(tx, tickets.SignIn, id.Default, "", bootstrap+tx.Event().ID.String(), signInLife)
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
		return people.Person{}, "", fault.New(fault.Invalid, "email_invalid", "this is no email address: it has one @ and ASCII characters alone")
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
		secret, err = g.Tickets.Issue(tx, tickets.SignIn, c.ws, n.ID.String(), tx.Event().ID.String(), signInLife)
		return err
	})
	return made, secret, err
}

// NewLink makes a one-time sign-in link for the caller, for another browser or machine. Nobody makes one for somebody else who has signed in before:
// it would let an administrator vote as the person who is to check on them. Who holds
// the link can be that person, so whoever makes it gives all their roles. Code: escalation.
func (g *Guard) NewLink(ctx context.Context, c *Caller, user id.User) (secret string, err error) {
	a := act{
		action: "attorn:user:link", noun: "user:" + user.String(), kind: evidence.DecisionMade, target: user.String(),
		attrs: map[string]any{"person": policy.UID{Type: policy.TypeUser, ID: user.String()}},
	}
	if _, err := g.People.Person(ctx, c.ws, user); err != nil {
		return "", g.refuseAct(ctx, c, nil, a, nil, err)
	}
	_, err = g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		if user != c.person {
			return fault.New(fault.Denied, "not_yourself", "a sign-in link is for oneself: with another's, one could vote as them")
		}
		secret, err = g.Tickets.Issue(tx, tickets.SignIn, c.ws, user.String(), tx.Event().ID.String(), signInLife)
		return err
	})
	return secret, err
}

// SignIn spends a sign-in link and registers the key that signed the request as the person's own. The first link makes the first
// administrator, who is called name.
func (g *Guard) SignIn(ctx context.Context, secret, name, label string, cr Credentials) (people.Person, id.Workspace, error) {
	key, once, raw, err := g.AuthenticateKey(cr)
	if err != nil {
		return people.Person{}, id.Workspace{}, err
	}
	var p people.Person
	ws, err := g.spendLink(ctx, secret, name, &p, func(t tickets.Ticket, user id.User) evidence.Draft {
		d := keyDraft(t.Workspace, key, once, raw, cr, evidence.UserPasskeyChanged)
		d.Target = user.String()
		d.What = &evidence.What{User: user, Key: &key}
		return d
	}, func(tx *audit.Tx) error { return g.unheld(tx, key.Thumbprint()) }, func(tx *audit.Tx) error {
		_, err := g.People.AddKey(tx, p.ID, key, label, false)
		return err
	})
	return p, ws, err
}

// SignInPage spends a sign-in link in the browser and opens a session, in which the person makes a passkey.
func (g *Guard) SignInPage(ctx context.Context, secret, name, ip string) (session string, p people.Person, ws id.Workspace, err error) {
	ws, err = g.spendLink(ctx, secret, name, &p, func(t tickets.Ticket, user id.User) evidence.Draft {
		d := evidence.Draft{Workspace: t.Workspace, Target: user.String()}
		d.Kind, d.Outcome, d.Where = evidence.UserSignedIn, evidence.OK, evidence.Where{Face: "console"}
		d.Who.Proof = &evidence.ProofRef{Type: "link"}
		d.What = &evidence.What{User: user}
		return d
	}, func(*audit.Tx) error { return nil }, func(tx *audit.Tx) (err error) {
		session, _, err = g.People.OpenSession(tx, p.ID, 0)
		return err
	})
	return session, p, ws, err
}

// spendLink is what both ways to use a link share: the link is spent, whatever before refuses; the person exists; then does its part.
func (g *Guard) spendLink(ctx context.Context, secret, name string, p *people.Person, draft func(tickets.Ticket, id.User) evidence.Draft, before, then func(*audit.Tx) error) (id.Workspace, error) {
	t, err := g.Tickets.Peek(ctx, tickets.SignIn, secret)
	if err != nil {
		return id.Workspace{}, err
	}
	user := id.New[id.User](g.Now())
	also := []id.Workspace{id.Server}
	made, first := strings.CutPrefix(t.Body, bootstrap)
	if !first {
		if user, err = id.Parse[id.User](t.Subject); err != nil {
			return id.Workspace{}, err
		}
		if also, err = g.everywhere(ctx, user); err != nil {
			return id.Workspace{}, err
		}
	}
	d := draft(t, user)
	d.Person, d.Who.Sub, d.Also = user, user.String(), also
	if d.Cause, err = id.Parse[id.Event](made); err != nil {
		return t.Workspace, err
	}
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
			owned, err := g.Rules.Held(tx, t.Workspace, "owner")
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
		}
		return then(tx)
	})
	if err != nil {
		return t.Workspace, err
	}
	if got.Outcome == evidence.Deny {
		return t.Workspace, fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason).Try("ask an administrator for a new link")
	}
	*p, err = g.People.Person(ctx, t.Workspace, user)
	return t.Workspace, err
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
		return fault.New(fault.Conflict, "key_in_use", "this key names somebody already, or did: a key is registered once").Try("make a new key pair")
	}
	return nil
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
	return g.Rules.Bind(tx, ws, user.String(), "owner", evidence.ServerSub, "the first administrator")
}

// everywhere lists the logs that an act on a person is recorded in beside its own: the server's and those of all their workspaces.
func (g *Guard) everywhere(ctx context.Context, user id.User) ([]id.Workspace, error) {
	all, err := g.People.Workspaces(ctx, user)
	return append([]id.Workspace{id.Server}, all...), err
}

// notLastOwner refuses to suspend the only owner who may still act: nobody could undo it.
func (g *Guard) notLastOwner(ctx context.Context, ws id.Workspace, user id.User) error {
	holders, err := g.Rules.Holders(ctx, ws, "owner")
	if err != nil || !slices.Contains(holders, user.String()) {
		return err
	}
	for _, h := range holders {
		if other, err := id.Parse[id.User](h); err == nil && other != user {
			if p, err := g.People.Person(ctx, ws, other); err == nil && p.Live() == nil {
				return nil
			}
		}
	}
	return fault.New(fault.Conflict, "lockout", "this is the only owner who can act; suspended, nobody could resume them").
		Try("make somebody else an owner first: attorn role bind USER owner")
}

// EndPerson suspends or resumes a person; suspending ends what they lent, and their sessions.
func (g *Guard) EndPerson(ctx context.Context, c *Caller, user id.User, verb, why string) ([]id.Delegation, evidence.Receipt, error) {
	kind := map[string]evidence.Kind{"suspend": evidence.UserSuspended, "resume": evidence.UserResumed}[verb]
	a := act{action: "attorn:user:" + verb, noun: "user:" + user.String(), kind: kind, target: user.String(), what: &evidence.What{User: user}}
	var err error
	if a.also, err = g.everywhere(ctx, user); err != nil {
		return nil, evidence.Receipt{}, err
	}
	a.personal = g.reason(c, why)
	var ended []id.Delegation
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		if verb == "resume" {
			if err := g.People.Resume(tx, c.ws, user); err != nil {
				return err
			}
			return g.Agents.OwnerBack(tx, id.Workspace{}, user)
		}
		if err := g.notLastOwner(ctx, c.ws, user); err != nil {
			return err
		}
		if _, err := g.People.Suspend(tx, c.ws, user); err != nil {
			return err
		}
		if err := g.People.EndTokens(tx, user); err != nil {
			return err
		}
		if err := g.Agents.OwnerGone(tx, id.Workspace{}, user); err != nil {
			return err
		}
		_, err = g.Approvals.VoidAll(tx, c.ws, approvals.Ground{Subject: user})
		return err
	})
	return ended, got, err
}

// ListPeople lists members, for who may read them.
func (g *Guard) ListPeople(ctx context.Context, c *Caller, after id.User, limit int) ([]people.Person, error) {
	if err := g.May(ctx, c, "attorn:user:read", "workspace"); err != nil {
		return nil, err
	}
	return g.People.Members(ctx, c.ws, after, limit)
}

// Whoami reads the person who calls.
func (g *Guard) Whoami(ctx context.Context, c *Caller) (people.Person, error) {
	if err := g.Self(ctx, c); err != nil || c.person.IsZero() {
		return people.Person{}, err
	}
	return g.People.Person(ctx, c.ws, c.person)
}

// Session authenticates a console session's cookie. Code: session_unknown.
func (g *Guard) Session(ctx context.Context, secret string, ws id.Workspace, ip string) (*Caller, people.Person, error) {
	s, p, err := g.People.Session(ctx, secret, g.Now())
	if err != nil {
		return nil, p, err
	}
	if _, err := g.People.Person(ctx, ws, p.ID); err != nil {
		return nil, p, err
	}
	return &Caller{ws: ws, person: p.ID, acr: int64(s.ACR), authTime: s.AuthTime.Unix(), ip: address(ip), face: "console"}, p, nil
}
