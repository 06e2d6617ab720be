package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// AuthRequest is a validated authorization request (RFC 6749 §4.1.1, RFC 9126), as tickets keep it until a person has decided.
type AuthRequest struct {
	Workspace   id.Workspace            `json:"ws"`
	Client      string                  `json:"client_id"`    // https://…, app_…, agt_…
	Redirect    string                  `json:"redirect_uri"` // exact
	State       string                  `json:"state,omitzero"`
	Challenge   string                  `json:"code_challenge"`          // S256 (RFC 7636 §4.2)
	Resources   []string                `json:"resource"`                // RFC 8707: up to 8, all of the workspace
	Permissions []delegation.Permission `json:"permissions"`             // scope and authorization_details; BeginConsent fills in all of the resources' where none is named
	OpenID      bool                    `json:"openid,omitzero"`         // scope openid
	Offline     bool                    `json:"offline_access,omitzero"` // scope offline_access
	Nonce       string                  `json:"nonce,omitzero"`          // OpenID Connect Core §3.1.2.1
	Task        TaskAsk                 `json:"attorn_task,omitzero"`    //
	JKT         id.Key                  `json:"dpop_jkt,omitzero"`       // RFC 9449 §10; zero: not said
	Prompt      []string                `json:"prompt,omitempty"`        //
	MaxAge      *int64                  `json:"max_age,omitempty"`       // seconds
	ACR         []string                `json:"acr_values,omitempty"`    // as sent; values that are none of ours say nothing
	LoginHint   string                  `json:"login_hint,omitzero"`     //
}

// TaskAsk is the authorization detail attorn_task: for what piece of work the client wants to be lent to, and how little is enough.
type TaskAsk struct {
	Task      string   `json:"task,omitzero"`
	Purpose   string   `json:"purpose,omitzero"`
	ExpiresIn int64    `json:"expires_in,omitzero"` // seconds; 0: not said
	MaxUses   int64    `json:"max_uses,omitzero"`   // 0: no limit
	MaxDepth  int      `json:"max_depth,omitzero"`
	Delegate  id.Agent `json:"delegate,omitzero"` // another agent, that may act in the client's stead with its token (RFC 8693 §4.4)
}

// The times of a delegation by consent (oauth.md §5), and how much it may hold.
const (
	consentTTL    = 7 * 24 * time.Hour  // where the client does not say
	maxConsentTTL = 30 * 24 * time.Hour // whatever it says
	maxResources  = 8
	maxAsked      = 64 // permissions: as many as a statement lends
)

// Consent is what a person is asked, for the page.
type Consent struct {
	Request   AuthRequest
	App       clients.App       // zero where the client is an agent already
	Loopback  bool              // the answer goes to this machine alone: anybody's program may be behind it
	Agent     id.Agent          // that it is already; zero: it becomes a new agent of the person
	Delegate  id.Agent          // who is lent to: Agent, or the new one
	AgentName string            //
	AnswerTo  string            // the host, or private scheme, of the redirect URI
	Bearer    bool              // the workspace lets it have tokens without a key
	Lend      []ConsentResource // in the order of Request.Resources
	TTL       time.Duration     // as asked, else 7 days; at most 30
	Before    *ConsentBefore    // what was consented to last time; nil: never
	Expires   time.Time         // of the question
	Passkey   bool              // the person has one: they must sign with it
	StepUp    bool              // they must sign in again first
	Level     int64             // because of how they signed in: 1 to 3, the least that the client asks for; 0: not because of that
	How       string            // what Level takes, in words
	Keys      []id.Key          // with which whom Request.Task.Delegate names can act now
}

// ConsentResource is what is asked for at one resource.
type ConsentResource struct {
	URL, Name   string
	Permissions []ConsentPermission
}

// ConsentPermission is one permission that is asked for: Index names it in ConsentChoice.Keep. Has says whether the person could do any of it themselves now.
type ConsentPermission struct {
	delegation.Permission
	Index int
	Has   bool
}

// ConsentBefore is how an app looked, and what was lent to it, when the person last consented.
type ConsentBefore struct {
	Name, RedirectHost string
	Permissions        []delegation.Permission
	At                 time.Time
}

// consentAsk is what a consent ticket holds.
type consentAsk struct {
	Request AuthRequest `json:"request"`
	New     id.Agent    `json:"new"`           // who the client becomes where it is no agent of the person's yet
	Asked   int64       `json:"asked"`         // seconds
	Name    string      `json:"name,omitzero"` // what the client, if it is an app, called itself then
}

// BeginConsent keeps a validated request for a person to decide, and returns the handle of the page. Codes: unknown_resource, not_covered, client_denied,
// request_invalid.
func (g *Guard) BeginConsent(ctx context.Context, r AuthRequest, ip string) (handle string, err error) {
	t, err := g.consentTicket(ctx, r)
	if err != nil {
		return "", err
	}
	err = g.Log.Keep(ctx, func(tx *audit.Tx) (err error) {
		handle, err = g.Tickets.Issue(tx, t, tickets.Consent.Life())
		return err
	})
	return handle, err
}

// consentTicket holds a request to its resources and to the workspace's rule for the client.
func (g *Guard) consentTicket(ctx context.Context, r AuthRequest) (tickets.Ticket, error) {
	r, err := g.AdmitRequest(ctx, r)
	if err != nil {
		return tickets.Ticket{}, err
	}
	ask := consentAsk{Request: r, New: id.New[id.Agent](g.Now()), Asked: g.Now().Unix()}
	if clients.IsApp(r.Client) {
		app, err := g.App(ctx, r.Client)
		if err != nil {
			return tickets.Ticket{}, err
		}
		ask.Name = app.Name
	}
	body, err := jose.Canonical(ask)
	return tickets.Ticket{Kind: tickets.Consent, Workspace: r.Workspace, Client: r.Client, JKT: r.JKT, Body: string(body)}, err
}

// AdmitRequest finds the workspace of a request's resources, and holds what it asks for to them and to the workspace's rule for its client. Codes:
// unknown_resource, not_covered, client_denied, request_invalid.
func (g *Guard) AdmitRequest(ctx context.Context, r AuthRequest) (AuthRequest, error) {
	switch {
	case len(r.Resources) == 0:
		return r, fault.New(fault.Invalid, "unknown_resource", "the request names no resource").Try("send the URL of the MCP server or service as resource (RFC 8707)")
	case len(r.Resources) > maxResources:
		return r, fault.New(fault.Invalid, "unknown_resource", "a request names at most %d resources", maxResources)
	}
	var all []delegation.Permission
	for i, aud := range r.Resources {
		ws, err := g.workspaceOf(ctx, aud)
		if err != nil {
			return r, err
		}
		if r.Workspace.IsZero() {
			r.Workspace = ws
		}
		prefix, _, err := g.resource(ctx, ws, aud)
		if err != nil {
			return r, err
		}
		if ws != r.Workspace || slices.Contains(r.Resources[:i], aud) {
			return r, fault.New(fault.Invalid, "unknown_resource", "the resources of one request are different ones, of one workspace").Try("send one request for each workspace")
		}
		all = append(all, delegation.Permission{Permission: prefix + "*"})
	}
	if len(r.Permissions) == 0 {
		r.Permissions = all
	}
	if len(r.Permissions) > maxAsked {
		return r, fault.New(fault.Invalid, "request_invalid", "at most %d permissions are asked for at once", maxAsked)
	}
	if !delegation.CoversAll(all, r.Permissions) {
		return r, fault.New(fault.Invalid, "not_covered", "a permission that is asked for is of none of the resources").Try("ask for permissions of the resources that are named")
	}
	if r.Client == r.Task.Delegate.String() && !r.Task.Delegate.IsZero() {
		return r, fault.New(fault.Invalid, "may_act_invalid", "the delegate that attorn_task names is the client itself").Try("name another agent, or leave delegate out")
	}
	if err := g.admitClient(ctx, r); err != nil { // what an agent is called here is not for strangers
		return r, err
	}
	return r, g.mayBeNamed(ctx, r.Workspace, r.Task.Delegate)
}

// admitClient holds the client to the workspace. Codes: client_denied, and those of an agent that may not act.
func (g *Guard) admitClient(ctx context.Context, r AuthRequest) error {
	if agent, err := id.Parse[id.Agent](r.Client); err == nil {
		a, err := g.Agents.Agent(ctx, r.Workspace, agent)
		if err == nil {
			err = a.Live(g.Now())
		}
		if fault.Code(err) == "not_found" {
			err = fault.New(fault.Denied, "client_denied", "the client is no agent of this workspace")
		}
		return err
	}
	return g.ClientStands(ctx, r.Workspace, r.Client, false)
}

// workspaceOf finds whose a resource is. Code: unknown_resource.
func (g *Guard) workspaceOf(ctx context.Context, aud string) (id.Workspace, error) {
	unknown := fault.New(fault.Invalid, "unknown_resource", "no resource here has that URL").Try("ask for a registered MCP server or service")
	if rest, ok := strings.CutPrefix(aud, g.Issuer+"/w/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		ws, err := id.ParseWorkspace(name)
		if err != nil || ws == id.Default || ws == id.Server {
			return ws, unknown
		}
		return ws, nil
	}
	if strings.HasPrefix(aud, g.Issuer+"/") {
		return id.Default, nil
	}
	s, err := g.Clients.OfResource(ctx, aud)
	if fault.Code(err) == "not_found" {
		return id.Workspace{}, unknown
	}
	return s.Workspace, err
}

// readAsk reads what a ticket holds.
func readAsk(body string) (a consentAsk, err error) {
	err = jose.Decode([]byte(body), &a, jose.Limits{})
	return a, err
}

// asked looks at a consent for a person in the browser, and makes it theirs where it is nobody's yet. Codes: not_a_person, wrong_person, ticket_unknown,
// ticket_spent, ticket_expired, and not_found for who is no member of the workspace.
func (g *Guard) asked(ctx context.Context, c *Caller, handle string) (*Caller, consentAsk, error) {
	var a consentAsk
	if c.person.IsZero() || !c.agent.IsZero() || c.raw != "" {
		return nil, a, fault.New(fault.Denied, "not_a_person", "consent is given by a person, signed in themselves, in a browser")
	}
	t, err := g.Tickets.Peek(ctx, tickets.Consent, handle, g.Now())
	if err != nil {
		return nil, a, err
	}
	mine := t.Subject == c.person.String()
	if !mine && t.Subject != "" {
		return nil, a, wrongPerson()
	}
	if a, err = readAsk(t.Body); err != nil {
		return nil, a, err
	}
	in := c.sessionIn(a.Request.Workspace)
	in.openedBy = c.openedBy
	if _, err := g.People.Person(ctx, in.ws, in.person); fault.Code(err) == "not_found" { // whose it cannot be keeps it from nobody
		return nil, a, fault.New(fault.Denied, "wrong_person", "what is asked for is in a workspace that you are not a member of").
			Try("sign in as somebody who is, or ask an administrator to add you to it")
	} else if err != nil {
		return nil, a, err
	}
	if !mine {
		// Whoever gives consent must be the one whose it is: were this lost, nobody could give it.
		err := g.Log.Keep(ctx, func(tx *audit.Tx) (err error) {
			mine, err = g.Tickets.Tie(tx, tickets.Consent, handle, c.person.String())
			return err
		})
		if err == nil && !mine { // somebody else was quicker, or it has ended
			t, err = g.Tickets.Peek(ctx, tickets.Consent, handle, g.Now())
			mine = t.Subject == c.person.String()
		}
		if err != nil {
			return nil, a, err
		}
	}
	if !mine {
		return nil, a, wrongPerson()
	}
	return in, a, nil
}

func wrongPerson() error {
	return fault.New(fault.Denied, "wrong_person", "somebody else has opened this request").Try("start again where you came from")
}

// Consent reads what a handle asks of the person. Codes: those of asked.
func (g *Guard) Consent(ctx context.Context, c *Caller, handle string) (Consent, error) {
	in, a, err := g.asked(ctx, c, handle)
	if err != nil {
		return Consent{}, err
	}
	r := a.Request
	out := Consent{Request: r, TTL: r.ttl(), Expires: time.Unix(a.Asked, 0).Add(tickets.Consent.Life()), Loopback: clients.LoopbackRedirect(r.Redirect)}
	if err := g.consentClient(ctx, in, a, &out); err != nil {
		return out, err
	}
	has, err := g.People.PasskeysOf(ctx, in.person)
	if err != nil {
		return out, err
	}
	out.Passkey, out.StepUp = len(has) > 0, g.signInAgain(in, a) != nil
	if n := r.level(); in.acr < n {
		out.Level, out.How = n, levelWords(n)
	}
	if out.Keys, err = g.keysNow(ctx, r.Task.Delegate); err != nil {
		return out, err
	}
	out.Lend, err = g.consentLend(ctx, in, r)
	return out, err
}

// consentClient reads who asks: an agent, or an app and what it was before.
func (g *Guard) consentClient(ctx context.Context, c *Caller, a consentAsk, out *Consent) error {
	r := a.Request
	who, err := g.delegate(ctx, c, a)
	if err != nil {
		return err
	}
	if !who.fresh {
		out.Agent = who.agent.ID
	}
	out.Delegate, out.AgentName, out.AnswerTo = who.agent.ID, who.agent.Name, clients.RedirectHost(r.Redirect)
	if who.app.ID == "" {
		return nil
	}
	out.App = who.app
	rule, err := g.ClientRule(ctx, r.Workspace, r.Client)
	if err != nil {
		return err
	}
	out.Bearer = rule.Bearer
	if who.seen.Seen.Redirect != "" { // who became an agent by a provider's word was not consented to
		out.Before = &ConsentBefore{Name: who.seen.Seen.Name, RedirectHost: who.seen.Seen.Redirect, Permissions: who.seen.Seen.Permissions, At: who.seen.At}
	}
	return nil
}

// delegate is whom a consent lends to.
type delegate struct {
	agent agents.Agent
	fresh bool        // the agent is not there yet
	app   clients.App // zero where the client is an agent of its own
	seen  clients.AppAgent
}

// delegate finds the agent that the client is for this person, or will be.
func (g *Guard) delegate(ctx context.Context, c *Caller, a consentAsk) (d delegate, err error) {
	r := a.Request
	if agent, err := id.Parse[id.Agent](r.Client); err == nil {
		d.agent, err = g.Agents.Agent(ctx, r.Workspace, agent)
		return d, err
	}
	if d.app, err = g.App(ctx, r.Client); err != nil {
		return d, err
	}
	if d.app.Name != a.Name || d.app.Redirect(r.Redirect) != nil { // what the person read is what they say yes to
		return d, fault.New(fault.Conflict, "consent_changed", "the app says something else of itself than when it asked").Try("go back to the app and begin again")
	}
	d.seen, err = g.Clients.AppAgent(ctx, r.Workspace, r.Client, c.person)
	switch {
	case fault.Code(err) == "not_found":
		d.fresh = true
	case err != nil:
		return d, err
	default:
		if d.agent, err = g.Agents.Agent(ctx, r.Workspace, d.seen.Agent); err != nil {
			return d, err
		}
		if d.agent.Status != agents.Revoked { // who revoked it and consents again gets a new one
			return d, nil
		}
		d.fresh = true
	}
	d.agent = agents.Agent{ID: a.New, Workspace: r.Workspace, Name: appName(d.app, a.New), Owner: c.person}
	return d, nil
}

// appName makes a name that an agent can have, which nobody else has: of the app's host, or of what it calls itself, and of the agent's own random bits.
func appName(app clients.App, agent id.Agent) string {
	from := app.Host
	if from == "" {
		from = app.Name
	}
	name := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.':
			return c
		case 'A' <= c && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, from), "-.")
	if len(name) > 48 {
		name = strings.TrimRight(name[:48], "-.")
	}
	if name == "" {
		name = "app"
	}
	text := agent.String()
	return name + "-" + text[len(text)-8:]
}

// consentLend sorts what is asked for by resource, and looks what of it the person has.
func (g *Guard) consentLend(ctx context.Context, c *Caller, r AuthRequest) ([]ConsentResource, error) {
	lend := make([]ConsentResource, len(r.Resources))
	taken := make([]bool, len(r.Permissions))
	for i, aud := range r.Resources {
		prefix, _, err := g.resource(ctx, r.Workspace, aud)
		if err != nil {
			return nil, err
		}
		lend[i] = ConsentResource{URL: aud, Name: strings.TrimSuffix(prefix, ":")}
		if server, ok := strings.CutPrefix(lend[i].Name, "tool:"); ok {
			lend[i].Name = server
		}
		for n, p := range r.Permissions {
			if taken[n] || !delegation.Covers(delegation.Permission{Permission: prefix + "*"}, p) {
				continue
			}
			taken[n] = true
			has, err := g.hasAny(ctx, c, p.Permission)
			if err != nil {
				return nil, err
			}
			lend[i].Permissions = append(lend[i].Permissions, ConsentPermission{p, n, has})
		}
	}
	return lend, nil
}

// hasAny reports whether the person could do something of what a permission covers, arguments unknown. What cannot be looked up is taken to be had: it is told to
// people, and nothing is decided by it.
func (g *Guard) hasAny(ctx context.Context, c *Caller, permission string) (bool, error) {
	server, isTool := strings.CutPrefix(permission, "tool:")
	if !isTool {
		return true, nil
	}
	server, _, _ = strings.Cut(server, ":")
	tools, err := g.Catalog.Tools(ctx, c.ws, server)
	if err != nil {
		return false, err
	}
	var calls []Call
	for _, t := range tools {
		if delegation.Covers(delegation.Permission{Permission: permission}, delegation.Permission{Permission: t.Action()}) {
			calls = append(calls, Call{Server: server, Tool: t.Segment(), Action: t.Action(), Class: t.Class, Pin: t.Pin})
		}
	}
	sights, err := g.Visible(ctx, c, calls)
	if f := fault.Of(err); f != nil && f.Kind != fault.Internal && f.Kind != fault.Unavailable {
		return false, nil
	}
	return slices.ContainsFunc(sights, func(s Sight) bool { return s != Hidden }), err
}

func (r AuthRequest) ttl() time.Duration {
	if r.Task.ExpiresIn > 0 {
		return min(time.Duration(min(r.Task.ExpiresIn, int64(maxConsentTTL/time.Second)))*time.Second, maxConsentTTL)
	}
	return consentTTL
}
