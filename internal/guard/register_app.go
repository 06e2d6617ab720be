package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// AppRegistration says whether apps may register themselves (RFC 7591).
type AppRegistration string

// The ways.
const (
	RegisterOff     AppRegistration = "off"   // or ""
	RegisterByToken AppRegistration = "token" // who has one from InviteApp
	RegisterOpen    AppRegistration = "open"  // anybody
)

// InviteApp makes a one-time token by which an app registers itself. Codes: registration_off, registration_open, those of policy.
func (g *Guard) InviteApp(ctx context.Context, c *Caller) (secret string, life time.Duration, err error) {
	a := act{action: "attorn:client:invite", noun: "workspace", kind: evidence.DecisionMade, target: "client"}
	switch g.Registration {
	case RegisterByToken:
	case RegisterOpen:
		return "", 0, g.refuseAct(ctx, c, nil, a, nil, fault.New(fault.Conflict, "registration_open", "apps register themselves here without an invitation").
			Try("have the app register itself, or set oauth.registration to token"))
	default:
		return "", 0, g.refuseAct(ctx, c, nil, a, nil, registrationOff())
	}
	life = tickets.AppInvite.Life()
	_, err = g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		secret, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.AppInvite, Workspace: c.ws, Body: tx.Event().ID.String()}, life)
		return err
	})
	return secret, life, err
}

func registrationOff() error {
	return fault.New(fault.NotFound, "registration_off", "apps do not register themselves at this server").
		Try("use the address of your app's metadata as its client_id, or have the server's operator set oauth.registration")
}

// AppAsk is an app's wish to be registered.
type AppAsk struct {
	Metadata []byte // RFC 7591 §2
	Token    string // from InviteApp; "" for none
	IP       string
}

// RegisterApp registers an app, if the server lets apps do so, and says as what. The invitation is spent where the metadata is acceptable. Codes:
// registration_off, client_invalid, redirect_invalid, overloaded, those of a ticket.
func (g *Guard) RegisterApp(ctx context.Context, r AppAsk) (clients.App, clients.Metadata, error) {
	if g.Registration != RegisterByToken && g.Registration != RegisterOpen {
		return clients.App{}, clients.Metadata{}, registrationOff()
	}
	m, err := clients.ParseRegistration(r.Metadata)
	if err != nil {
		return clients.App{}, m, err
	}
	app := id.New[id.App](g.Now())
	d := evidence.Draft{Workspace: id.Default, Target: app.String()}
	d.Kind, d.Outcome, d.Refusal, d.Who.Sub, d.Where.Face = evidence.ClientRegistered, evidence.OK, evidence.TokenRefused, evidence.ServerSub, "oauth"
	raw, err := jose.Canonical(m)
	if err != nil {
		return clients.App{}, m, err
	}
	doc := evidence.ContentOf(raw)
	d.Content, d.What = append(d.Content, doc), &evidence.What{Client: app.String(), Rule: doc.Digest, Status: string(g.Registration)}
	if ip := address(r.IP); ip != "" {
		if err := seal(&d, &d.Where.IP, app.String(), "ip", ip); err != nil {
			return clients.App{}, m, err
		}
	}
	if g.Registration == RegisterByToken {
		if err := g.invited(ctx, r.Token, &d); err != nil {
			return clients.App{}, m, err
		}
	}
	var made clients.App
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		if g.Registration == RegisterByToken {
			if _, err := g.Tickets.Spend(tx, tickets.AppInvite, r.Token); err != nil {
				tx.Refuse(fault.Code(err), err.Error())
				return keepable(err)
			}
		}
		made, err = g.Clients.RegisterApp(tx, app, d.Workspace, m)
		return err
	})
	if err == nil && got.Outcome == evidence.Deny {
		err = fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason).Try("ask for a new invitation: attorn client invite")
	}
	return made, m, err
}

// invited reads who invited an app, for its event, or records that nobody did.
func (g *Guard) invited(ctx context.Context, secret string, d *evidence.Draft) error {
	t, refusal, err := g.opens(ctx, tickets.AppInvite, secret, id.Key{})
	if err != nil {
		return err
	}
	if refusal != nil {
		return g.refuseSecret(ctx, tickets.AppInvite, secret, t, *d, refusal)
	}
	d.Workspace = t.Workspace
	if d.Cause, err = id.Parse[id.Event](t.Body); err != nil {
		return err
	}
	return g.stillOffers(ctx, t.Workspace, d.Cause)
}
