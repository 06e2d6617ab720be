package guard

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

const (
	tripLife = 10 * time.Minute
	linkLife = 5 * time.Minute // who adds another account has signed in with a passkey just before
)

// Trip is a browser's way to another sign-in provider and back.
type Trip struct {
	Provider string
	Next     string    // where to go afterwards
	Fresh    bool      // the person must prove anew who they are
	Link     id.User   // the account that the identity is to be added to; zero: sign in
	Began    time.Time // set by Depart
	State    string    // single use; the provider gives it back (RFC 6749 §4.1.1)
	Browser  string    // stays in the browser, as a cookie
}

// Nonce is what the ID token must carry (OpenID Connect Core §3.1.2.1). It follows from what the browser keeps, so that a token for another
// browser or another trip is none for this one, and nothing that leads to it is stored.
func (t Trip) Nonce() string { return t.derive("nonce") }

// Verifier is that of PKCE (RFC 7636 §4.1), by the same rule: without the cookie, the code is worth nothing here.
func (t Trip) Verifier() string { return t.derive("pkce") }

func (t Trip) derive(use string) string {
	h := hmac.New(sha256.New, []byte(t.Browser))
	h.Write([]byte("attorn " + use + " " + t.State))
	return jose.EncodeBase64(h.Sum(nil))
}

// tripBody is what a trip's ticket keeps.
type tripBody struct {
	Provider string    `json:"provider"`
	Browser  id.Digest `json:"browser"`
	Next     string    `json:"next"`
	Fresh    bool      `json:"fresh"`
	Began    int64     `json:"began"` // seconds
}

// Depart begins a trip, for a browser of which nothing is known, or, where t.Link is set, for the caller, who adds an identity to their own
// account: that takes a passkey sign-in of the last minutes. Codes: not_yourself, passkey_needed, sign_in_old.
func (g *Guard) Depart(ctx context.Context, c *Caller, t Trip) (Trip, error) {
	life := tripLife
	if !t.Link.IsZero() {
		if err := g.mayLink(ctx, c, t.Link); err != nil {
			return t, err
		}
		life = linkLife
	}
	var raw [32]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	t.Browser, t.Began = jose.EncodeBase64(raw[:]), g.Now()
	body, err := json.Marshal(tripBody{t.Provider, id.Sum([]byte(t.Browser)), t.Next, t.Fresh, t.Began.Unix()})
	if err != nil {
		return t, err
	}
	_, err = g.Log.Record(ctx, g.consoleAct("attorn:challenge:ask"), func(tx *audit.Tx) (err error) {
		t.State, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.Upstream, Workspace: id.Server, Subject: t.Link.String(), Body: string(body)}, life)
		return err
	})
	return t, err
}

func (g *Guard) mayLink(ctx context.Context, c *Caller, person id.User) error {
	if c == nil || c.person != person {
		return fault.New(fault.Denied, "not_yourself", "an account at a provider is added by its owner").Try("sign in, and begin again")
	}
	if err := g.fresh(ctx, c); err != nil {
		return err
	}
	if c.acr < passkeyACR {
		return fault.New(fault.Denied, "passkey_needed", "another account is added after signing in with a passkey").Try("sign out, and sign in with your passkey")
	}
	return nil
}

// Return ends a trip: of all who come back with its state, one gets it, and only the browser that left, from the provider that it was sent to.
// It stays spent whatever is refused afterwards. Codes: ticket_unknown, ticket_expired, ticket_spent, wrong_browser, wrong_provider.
func (g *Guard) Return(ctx context.Context, provider, state, browser string) (Trip, error) {
	var t Trip
	var b tripBody
	d := g.consoleAct("attorn:challenge:answer")
	d.Refusal = evidence.UserSignInFailed
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		found, err := g.Tickets.Spend(tx, tickets.Upstream, state)
		if err == nil {
			err = jose.Decode([]byte(found.Body), &b, jose.Limits{})
		}
		if err == nil && found.Subject != "" {
			t.Link, err = id.Parse[id.User](found.Subject)
		}
		switch {
		case err != nil:
		case browser == "" || id.Sum([]byte(browser)) != b.Browser:
			err = fault.New(fault.Unauthenticated, "wrong_browser", "this sign-in was begun in another browser, or in another window after it").Try("sign in again")
		case provider != b.Provider:
			err = fault.New(fault.Unauthenticated, "wrong_provider", "another provider answered than the one that was asked").Try("sign in again")
		}
		if err != nil {
			tx.Refuse(fault.Code(err), err.Error())
		}
		return keepable(err)
	})
	if err != nil {
		return Trip{}, err
	}
	if got.Outcome == evidence.Deny {
		return Trip{}, fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason).Try("sign in again")
	}
	t.Provider, t.Next, t.Fresh, t.Began, t.State, t.Browser = provider, b.Next, b.Fresh, time.Unix(b.Began, 0), state, browser
	return t, nil
}

// Identity is what a provider's ID token said of somebody, after it was verified, in the configuration's terms.
type Identity struct {
	Provider  string
	Issuer    string
	Subject   string
	Name      string       // for a new account; "" is none
	Email     string       // that the provider verified; "" is none
	Groups    []string     // of the workspace
	Workspace id.Workspace // of new accounts, and of the groups
	Create    bool         // whether somebody who is not known gets an account
	Auth      evidence.Auth
	Token     string // the ID token
}

// draft begins an event that an ID token proves. The token is personal data: whoever may be told of it is told by its detail.
func (i Identity) draft(person id.User, kind evidence.Kind, ip string) (evidence.Draft, error) {
	d := evidence.Draft{Workspace: id.Server, Person: person, Target: person.String()}
	d.Kind, d.Outcome, d.Where.Face = kind, evidence.OK, "console"
	d.Who.Sub, d.Who.Proof = evidence.ServerSub, &evidence.ProofRef{Type: "oidc", SHA256: id.Sum([]byte(i.Token)), Issuer: i.Issuer}
	if !person.IsZero() {
		d.Who.Sub, d.What = person.String(), &evidence.What{User: person}
		d.Details = []evidence.Detail{{Field: "proof", Subject: d.Who.Sub, Disclosure: []byte(i.Token)}}
	}
	if ip == "" {
		return d, nil
	}
	return d, seal(&d, &d.Where.IP, d.Who.Sub, "ip", ip)
}

// everywhereOf puts the draft into the logs of all the person's workspaces, and the server's.
func (g *Guard) everywhereOf(ctx context.Context, d *evidence.Draft, person id.User) error {
	all, err := g.others(ctx, person, id.Server)
	if err == nil && len(all) > 0 {
		d.Workspace, d.Also = all[0], append(all[1:], id.Server)
	}
	return err
}

// SignInUpstream opens a session for whoever the identity is of: a person that it is linked to, one who was invited by its verified email address,
// or, where the provider may create accounts, a new one. The workspace's groups that the provider claims become the person's in place of those
// that it claimed before. Codes: identity_unknown, identity_ended, person_suspended, and those of people.LinkIdentity.
func (g *Guard) SignInUpstream(ctx context.Context, i Identity, ip string) (session string, p people.Person, err error) {
	p, cause, err := g.personOf(ctx, i, ip)
	if err == nil {
		err = p.Live()
	}
	if err == nil {
		cause, err = g.claimGroups(ctx, i, p.ID, cause, ip)
	}
	if err != nil {
		return "", p, g.failSignIn(ctx, i, p.ID, ip, err)
	}
	d, err := i.draft(p.ID, evidence.UserSignedIn, ip)
	if err != nil {
		return "", p, err
	}
	d.Cause, d.What.Auth = cause, &i.Auth
	if err := g.everywhereOf(ctx, &d, p.ID); err != nil {
		return "", p, err
	}
	var at time.Time
	if i.Auth.At > 0 {
		at = time.Unix(i.Auth.At, 0)
	}
	_, err = g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		by := people.Identity{Issuer: i.Issuer, Subject: i.Subject, Person: p.ID}
		if err := g.People.IdentityLives(tx, by); err != nil {
			return err
		}
		session, _, err = g.People.OpenSessionAt(tx, p.ID, int(i.Auth.Level), by.Name(), at)
		return err
	})
	if err != nil {
		return "", p, g.failSignIn(ctx, i, p.ID, ip, err)
	}
	return session, p, nil
}

// personOf finds the person, or lets them arrive; cause is the event by which they did.
func (g *Guard) personOf(ctx context.Context, i Identity, ip string) (p people.Person, cause id.Event, err error) {
	p, err = g.People.PersonByIdentity(ctx, i.Issuer, i.Subject)
	if fault.Code(err) != "identity_unknown" {
		return p, cause, err
	}
	unknown := err
	awaited, err := g.awaited(ctx, i)
	switch {
	case err != nil:
		return p, cause, err
	case !awaited.IsZero():
		cause, err = g.arrive(ctx, i, awaited, ip)
	case i.Create:
		cause, err = g.create(ctx, i, ip)
	default:
		return p, cause, unknown
	}
	if code := fault.Code(err); err != nil && code != "identity_in_use" && code != "not_found" {
		return p, cause, err
	}
	p, again := g.People.PersonByIdentity(ctx, i.Issuer, i.Subject) // also where another window was faster
	if again != nil && err != nil {
		again = err
	}
	return p, cause, again
}

// awaited is who was invited by the identity's email address; zero for nobody.
func (g *Guard) awaited(ctx context.Context, i Identity) (id.User, error) {
	email, ok := g.emailDigest(i.Email)
	if !ok {
		return id.User{}, nil
	}
	person, err := g.People.Awaited(ctx, i.Workspace, email, g.Now())
	if fault.Code(err) == "not_found" {
		err = nil
	}
	return person, err
}

// arrive links the identity to the person who was invited by its email address, which ends the invitation and its sign-in link: whoever made that link
// could else become the person after them.
func (g *Guard) arrive(ctx context.Context, i Identity, person id.User, ip string) (id.Event, error) {
	d, err := i.draft(person, evidence.UserChanged, ip)
	if err != nil {
		return id.Event{}, err
	}
	if err := g.everywhereOf(ctx, &d, person); err != nil {
		return id.Event{}, err
	}
	email, _ := g.emailDigest(i.Email)
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		if err := g.People.Arrive(tx, i.Workspace, email, person); err != nil {
			return err
		}
		if err := g.Tickets.EndAll(tx, tickets.SignIn, person.String()); err != nil {
			return err
		}
		return g.link(tx, i, person)
	})
	return got.ID, err
}

func (g *Guard) link(tx *audit.Tx, i Identity, person id.User) error {
	return g.People.LinkIdentity(tx, people.Identity{Issuer: i.Issuer, Subject: i.Subject, Person: person, Provider: i.Provider})
}

// create adds a person who has no rights but those of the groups that the provider claims.
func (g *Guard) create(ctx context.Context, i Identity, ip string) (id.Event, error) {
	n := people.NewPerson{ID: id.New[id.User](g.Now()), Name: people.FitName(i.Name)}
	if n.Name == "" {
		n.Name = "Somebody of " + i.Provider
	}
	d, err := i.draft(n.ID, evidence.UserAdded, ip)
	if err != nil {
		return id.Event{}, err
	}
	d.Workspace, d.Also = i.Workspace, []id.Workspace{id.Server}
	if err := seal(&d, &d.What.Name, n.ID.String(), "name", n.Name); err != nil {
		return id.Event{}, err
	}
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		if _, err := g.People.Add(tx, n); err != nil {
			return err
		}
		if err := g.People.Join(tx, i.Workspace, n.ID); err != nil {
			return err
		}
		return g.link(tx, i, n.ID)
	})
	return got.ID, err
}

// claimGroups makes the groups that the provider claims the person's, if they are not already; a person of other workspaces is in none of this one's.
func (g *Guard) claimGroups(ctx context.Context, i Identity, person id.User, cause id.Event, ip string) (id.Event, error) {
	if _, err := g.People.Person(ctx, i.Workspace, person); fault.Code(err) == "not_found" {
		return cause, nil
	} else if err != nil {
		return cause, err
	}
	has, would, err := g.People.UpstreamGroups(ctx, i.Workspace, person, i.Provider, i.Groups)
	if err != nil || slices.Equal(has, would) {
		return cause, err
	}
	d, err := i.draft(person, evidence.GroupChanged, ip)
	if err != nil {
		return cause, err
	}
	d.Workspace, d.Also, d.Cause = i.Workspace, []id.Workspace{id.Server}, cause
	d.What.Group, d.What.Use = strings.Join(would, " "), "upstream "+i.Provider
	set, err := g.live(ctx, i.Workspace)
	if err != nil {
		return cause, err
	}
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		in, out, err := g.separable(tx, i.Workspace, set, i.Provider, person, has, would)
		if err != nil {
			return err
		}
		told := *tx.Event().What
		if told.Group = strings.Join(in, " "); len(out) > 0 {
			told.Status = "kept apart: " + strings.Join(out, " ")
		}
		tx.Event().What = &told
		left := slices.DeleteFunc(slices.Clone(has), func(name string) bool { return slices.Contains(in, name) })
		if err := g.Rules.LeftGroups(tx, i.Workspace, person.String(), left...); err != nil {
			return err
		}
		return g.People.SetUpstreamGroups(tx, i.Workspace, person, i.Provider, in)
	})
	return got.ID, err
}

// failSignIn records that somebody whom the provider knows was not let in, and gives the reason back. A failure of ours is no event.
func (g *Guard) failSignIn(ctx context.Context, i Identity, person id.User, ip string, cause error) error {
	f := fault.Of(cause)
	if f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return cause
	}
	d, err := i.draft(person, evidence.UserSignInFailed, ip)
	if err == nil && !person.IsZero() { // their provider says that it is they: where they are a member it is known that they tried
		err = g.everywhereOf(ctx, &d, person)
	}
	if err != nil {
		return err
	}
	return g.recordRefusal(ctx, d, f)
}

// RefuseUpstream records that a provider's answer was not accepted, or was a refusal, and gives the reason back. Nothing in the answer counts.
func (g *Guard) RefuseUpstream(ctx context.Context, issuer, ip string, cause error) error {
	f := fault.Of(cause)
	if f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return cause
	}
	d := g.consoleAct("attorn:challenge:answer")
	d.Kind, d.Who.Proof = evidence.UserSignInFailed, &evidence.ProofRef{Type: "oidc", Issuer: issuer}
	if ip != "" {
		if err := seal(&d, &d.Where.IP, d.Who.Sub, "ip", ip); err != nil {
			return err
		}
	}
	return g.recordRefusal(ctx, d, f)
}

func (g *Guard) recordRefusal(ctx context.Context, d evidence.Draft, f *fault.Error) error {
	d.Outcome, d.Why = evidence.Deny, &evidence.Why{Code: f.Code, Reason: f.Reason}
	if _, err := g.Log.Record(ctx, d, nil); err != nil {
		return err
	}
	return f
}

// LinkUpstream adds an identity to the caller's own account. The trip began after a passkey sign-in (Depart). Codes: those of Depart and of
// people.LinkIdentity.
func (g *Guard) LinkUpstream(ctx context.Context, c *Caller, t Trip, i Identity) error {
	if c == nil || c.person.IsZero() || c.person != t.Link || c.acr < passkeyACR {
		return fault.New(fault.Denied, "not_yourself", "you are not signed in as the person who began this").Try("sign in, and begin again")
	}
	d, err := i.draft(c.person, evidence.UserChanged, c.ip)
	if err != nil {
		return err
	}
	if err := g.everywhereOf(ctx, &d, c.person); err != nil {
		return err
	}
	_, err = g.Log.Record(ctx, d, g.whileSignedIn(c, func(tx *audit.Tx) error { return g.link(tx, i, c.person) }))
	return err
}

// UnlinkUpstream ends an identity of the caller's own and the sessions that it opened, right after signing in, unless it is their last way in. Codes:
// sign_in_old, lockout, not_found.
func (g *Guard) UnlinkUpstream(ctx context.Context, c *Caller, issuer, subject string) error {
	if err := g.fresh(ctx, c); err != nil {
		return err
	}
	s, err := g.resolve(ctx, c)
	if err != nil {
		return err
	}
	d := s.draft(c, evidence.UserChanged)
	d.Outcome, d.Target, d.What, d.Depends = evidence.OK, c.Sub(), &evidence.What{User: c.person}, nil
	if d.Also, err = g.others(ctx, c.person, c.ws); err != nil {
		return err
	}
	_, err = g.Log.Record(ctx, d, g.whileSignedIn(c, func(tx *audit.Tx) error {
		passkeys, _, upstream, err := g.People.Ways(tx, c.person)
		if err != nil {
			return err
		}
		if passkeys+upstream < 2 {
			return lastWay()
		}
		return g.People.UnlinkIdentity(tx, c.person, issuer, subject)
	}))
	return err
}

// emailDigest names an email address without saying it: an HMAC under a key of the server's. Letters count as small ones; an address that is not
// ASCII, which look-alikes could be made of, is none.
func (g *Guard) emailDigest(email string) (id.Digest, bool) {
	local, domain, ok := strings.Cut(email, "@")
	if !ok || local == "" || domain == "" || len(email) > 254 || strings.Contains(domain, "@") ||
		strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return id.Digest{}, false
	}
	h := hmac.New(sha256.New, g.Ring.Sealer().Derive("invited-email/1"))
	h.Write([]byte(strings.ToLower(email)))
	return id.DigestOf([sha256.Size]byte(h.Sum(nil))), true
}
