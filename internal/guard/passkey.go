package guard

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

const (
	challengeLife = 5 * time.Minute
	freshSignIn   = 5 * time.Minute // oauth.md §11: to change a passkey one has just signed in
	passkeyACR    = 3               // signed in with a passkey whose authenticator verified its user

	forPasskey = "passkey" // bodies of challenges
	forSignIn  = "signin"
)

// ceremony is a passkey ceremony of this server: the relying party is the issuer's host, the origin is the issuer's.
func (g *Guard) ceremony(challenge string) (people.Ceremony, error) {
	u, err := url.Parse(g.Issuer)
	if err != nil {
		return people.Ceremony{}, err
	}
	return people.Ceremony{RPID: u.Hostname(), Origin: u.Scheme + "://" + u.Host, Challenge: challenge}, nil
}

// BeginPasskey asks the signed-in person's browser for a new passkey. Codes: sign_in_old, and those of who may not act.
func (g *Guard) BeginPasskey(ctx context.Context, c *Caller) (people.CreationOptions, error) {
	var none people.CreationOptions
	if err := g.fresh(ctx, c); err != nil {
		return none, err
	}
	p, err := g.People.Person(ctx, c.ws, c.person)
	if err != nil {
		return none, err
	}
	has, err := g.People.PasskeysOf(ctx, c.person)
	if err != nil {
		return none, err
	}
	var challenge string
	err = g.quietly(ctx, c, func(tx *audit.Tx) (err error) {
		challenge, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.Challenge, Workspace: c.ws, Subject: c.Sub(), Body: forPasskey}, challengeLife)
		return err
	})
	if err != nil {
		return none, err
	}
	k, err := g.ceremony(challenge)
	return k.Creation(p, has), err
}

// fresh demands a person who signed in themselves, a short time ago.
func (g *Guard) fresh(ctx context.Context, c *Caller) error {
	if c.person.IsZero() || !c.agent.IsZero() {
		return fault.New(fault.Denied, "not_a_person", "only a person has passkeys and keys of their own")
	}
	if _, err := g.resolve(ctx, c); err != nil {
		return err
	}
	if !c.signedInJustNow(g.Now()) {
		return fault.New(fault.Denied, "sign_in_old", "a passkey or key is added within %d minutes of signing in, in a browser", freshSignIn/time.Minute).
			Try("open %s where you are signed in with a passkey, or sign in there again", g.Issuer)
	}
	return nil
}

func (c *Caller) signedInJustNow(now time.Time) bool {
	return now.Sub(time.Unix(c.authTime, 0)) <= freshSignIn
}

// FinishPasskey registers the passkey that the browser made. The challenge is spent, whether it is accepted or not. Codes: sign_in_old,
// passkey_malformed, those of people.Ceremony.Register and people.AddPasskey, and those of a challenge that is not good any more.
func (g *Guard) FinishPasskey(ctx context.Context, c *Caller, answer []byte, label string) (people.Passkey, error) {
	var none people.Passkey
	if err := g.fresh(ctx, c); err != nil {
		return none, err
	}
	a, err := people.ParseCreated(answer)
	if err != nil {
		return none, err
	}
	k, err := g.ceremony(a.Challenge)
	if err != nil {
		return none, err
	}
	made, invalid := k.Register(c.person, a)
	made.Label = label
	s, err := g.resolve(ctx, c)
	if err != nil {
		return none, err
	}
	d := s.draft(c, evidence.UserPasskeyChanged)
	d.Outcome, d.Target, d.What, d.Depends = evidence.OK, c.Sub(), &evidence.What{User: c.person}, nil // AddPasskey asks again whether the person may act
	if d.Also, err = g.others(ctx, c.person, c.ws); err != nil {
		return none, err
	}
	var added people.Passkey
	var cause error
	refuse := func(tx *audit.Tx, err error) error {
		cause = err
		tx.Refuse(fault.Code(err), err.Error())
		return keepable(err)
	}
	_, err = g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		cause = nil
		if err := g.spendChallenge(tx, a.Challenge, c.Sub(), forPasskey); err != nil {
			return refuse(tx, err)
		}
		if invalid != nil {
			return refuse(tx, invalid)
		}
		if err := g.whileSignedIn(c, func(tx *audit.Tx) (err error) {
			added, err = g.People.AddPasskey(tx, made)
			return err
		})(tx); err != nil {
			return refuse(tx, err)
		}
		tx.Event().What = &evidence.What{User: c.person, COSE: jose.EncodeBase64(added.COSE.Bytes()), Credential: added.Credential}
		return nil
	})
	if err == nil {
		err = cause
	}
	return added, err
}

// spendChallenge takes a challenge that was made for subject's use.
func (g *Guard) spendChallenge(tx *audit.Tx, challenge, subject, use string) error {
	t, err := g.Tickets.Spend(tx, tickets.Challenge, challenge)
	if err == nil && (t.Subject != subject || t.Body != use) {
		err = fault.New(fault.Unauthenticated, "ticket_unknown", "the challenge was made for something else").Try("try again")
	}
	return err
}

// others are the logs beside ws that hear of an act on a person: their other workspaces', and the server's.
func (g *Guard) others(ctx context.Context, p id.User, ws id.Workspace) ([]id.Workspace, error) {
	all, err := g.People.Workspaces(ctx, p)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(w id.Workspace) bool { return w == ws || w == id.Server })
	if ws != id.Server {
		all = append(all, id.Server)
	}
	return all, nil
}

// BeginSignIn asks a browser for any passkey of this server. Nobody is known yet, so this goes to the server's log.
func (g *Guard) BeginSignIn(ctx context.Context) (people.RequestOptions, error) {
	var challenge string
	_, err := g.Log.Record(ctx, g.consoleAct("attorn:challenge:ask"), func(tx *audit.Tx) (err error) {
		challenge, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.Challenge, Workspace: id.Server, Body: forSignIn}, challengeLife)
		return err
	})
	if err != nil {
		return people.RequestOptions{}, err
	}
	k, err := g.ceremony(challenge)
	return k.Request(nil), err
}

// consoleAct begins the event of what a console session does for itself: it belongs to no workspace.
func (g *Guard) consoleAct(action string) evidence.Draft {
	d := evidence.Draft{Workspace: id.Server, Target: "session"}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DecisionMade, evidence.OK, evidence.ServerSub, "console"
	d.Did = &evidence.Did{Action: action, Resource: evidence.Resource{Type: "Noun", ID: "session"}}
	return d
}

// FinishSignIn opens a session for whoever's passkey answered. Why it does not is in the server's log; the caller learns only that it did not,
// after the same work whether the credential is known or not. Codes: passkey_malformed, sign_in_failed.
func (g *Guard) FinishSignIn(ctx context.Context, answer []byte, ip string) (session string, p people.Person, err error) {
	a, err := people.ParseAsserted(answer)
	if err != nil {
		return "", p, err
	}
	k, p, refusal := g.People.PasskeyByCredential(ctx, a.Credential)
	if refusal != nil && fault.Of(refusal) == nil {
		return "", p, refusal
	}
	if refusal != nil {
		if k, err = people.Decoy(a.Credential); err != nil {
			return "", p, err
		}
	}
	ceremony, err := g.ceremony(a.Challenge)
	if err != nil {
		return "", p, err
	}
	signs, invalid := ceremony.Verify(k, a)
	if refusal == nil {
		refusal = invalid
	}
	d, err := g.signInDraft(ctx, p, refusal, answer, ip)
	if err != nil {
		return "", p, err
	}
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		err := g.spendChallenge(tx, a.Challenge, "", forSignIn)
		if err == nil {
			err = refusal
		}
		if err == nil {
			err = g.People.UsePasskey(tx, k.Credential, signs)
		}
		if err == nil {
			session, _, err = g.People.OpenSessionBy(tx, p.ID, passkeyACR, k.Credential)
		}
		if err != nil {
			tx.Event().Kind = evidence.UserSignInFailed
			tx.Refuse(fault.Code(err), err.Error())
		}
		return keepable(err)
	})
	if err != nil {
		return "", p, err
	}
	if got.Outcome == evidence.Deny {
		return "", people.Person{}, fault.New(fault.Unauthenticated, "sign_in_failed", "signing in failed").
			Try("try again; if it keeps failing, ask an administrator for a new sign-in link")
	}
	return session, p, nil
}

// signInDraft begins the event of a sign-in: in each workspace of the person, or, where it is refused already, in the server's log alone.
func (g *Guard) signInDraft(ctx context.Context, p people.Person, refusal error, answer []byte, ip string) (evidence.Draft, error) {
	d := evidence.Draft{Workspace: id.Server, Person: p.ID, Target: p.ID.String()}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.UserSignedIn, evidence.OK, evidence.ServerSub, "console"
	if refusal == nil {
		d.Who.Sub = p.ID.String()
		d.What = &evidence.What{User: p.ID}
		d.Who.Proof = &evidence.ProofRef{Type: "passkey", SHA256: id.Sum(answer)}
		d.Details = []evidence.Detail{{Field: "proof", Subject: d.Who.Sub, Disclosure: answer}}
		all, err := g.others(ctx, p.ID, id.Server)
		if err != nil {
			return d, err
		}
		if len(all) > 0 {
			d.Workspace, d.Also = all[0], append(all[1:], id.Server)
		}
	}
	if ip == "" {
		return d, nil
	}
	err := seal(&d, &d.Where.IP, d.Who.Sub, "ip", ip)
	return d, err
}

// KeepSession notes that a session was seen, at most once a minute.
func (g *Guard) KeepSession(ctx context.Context, secret string) error {
	s, _, err := g.People.Session(ctx, secret, g.Now())
	if err != nil || !s.Due(g.Now()) {
		return err
	}
	_, err = g.Log.Record(ctx, g.consoleAct("attorn:session:use"), func(tx *audit.Tx) error { return g.People.Touch(tx, s.ID) })
	return err
}

// SignOut ends a session; one that has ended already stays so.
func (g *Guard) SignOut(ctx context.Context, secret string) error {
	s, _, err := g.People.Session(ctx, secret, g.Now())
	if fault.Code(err) == "session_unknown" {
		return nil
	} else if err != nil {
		return err
	}
	d := g.consoleAct("attorn:session:end")
	d.Person, d.Who.Sub = s.Person, s.Person.String()
	_, err = g.Log.Record(ctx, d, func(tx *audit.Tx) error { return g.People.EndSession(tx, s.ID) })
	return err
}

// VoteRequest asks the voter's browser to sign a vote with one of their passkeys. Code: no_passkey.
func (g *Guard) VoteRequest(ctx context.Context, v evidence.Vote) (people.RequestOptions, error) {
	challenge, err := v.Challenge()
	if err != nil {
		return people.RequestOptions{}, err
	}
	k, err := g.ceremony(challenge.String())
	if err != nil {
		return people.RequestOptions{}, err
	}
	has, err := g.People.PasskeysOf(ctx, v.Voter)
	if err == nil && len(has) == 0 {
		err = fault.New(fault.Denied, "no_passkey", "a vote is signed with a passkey, and you have none").Try("make one: %s/passkey", g.Issuer)
	}
	return k.Request(has), err
}
