package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/tickets"
)

// CommandLine is the one client of device codes: attorn's own programs, which prove a key and no name (oauth.md §2).
const CommandLine = "attorn-cli"

// DeviceAsk is what the holder of a new key asks a person for (RFC 8628 §3.1).
type DeviceAsk struct {
	Workspace id.Workspace
	Purpose   tickets.Purpose
	Name      string // proposed for a new agent; ""
}

// DeviceCodes is the answer: the device code is for the holder alone, the user code for the person.
type DeviceCodes struct {
	Device, User  string
	Page          string // where the person types the user code
	PageWithCode  string
	Life          time.Duration
	BetweenPolled time.Duration
}

// AskDevice begins an enrolment that a person confirms. Nobody is known yet, so it goes to the server's log, with the proof of the key, which is fixed from
// here on. Codes: those of AuthenticateKey, alg_unsupported, agent_invalid, key_in_use.
func (g *Guard) AskDevice(ctx context.Context, ask DeviceAsk, cr Credentials) (DeviceCodes, error) {
	key, once, raw, err := g.AuthenticateKey(cr)
	if err != nil {
		return DeviceCodes{}, err
	}
	if key.Type() != "Ed25519" {
		return DeviceCodes{}, fault.New(fault.Invalid, "alg_unsupported", "the key is not an Ed25519 key").Try("make an Ed25519 key pair")
	}
	if ask.Name != "" && !agents.IsName(ask.Name) {
		return DeviceCodes{}, fault.New(fault.Invalid, "agent_invalid", "the proposed name is no agent's: it has letters a-z, digits, dots, underscores and hyphens, 64 at most").
			Try("propose another name, or none")
	}
	d := keyDraft(id.Server, key, once, raw, cr, evidence.DecisionMade)
	d.Who.Sub = evidence.ServerSub
	d.Did = &evidence.Did{Action: "attorn:device:ask", Resource: evidence.Resource{Type: "Noun", ID: "device"}}
	ip := address(cr.IP)
	if ip != "" {
		if err := seal(&d, &d.Where.IP, key.Thumbprint().String(), "ip", ip); err != nil {
			return DeviceCodes{}, err
		}
	}
	out := DeviceCodes{Page: g.Issuer + "/device", Life: tickets.DeviceLife, BetweenPolled: tickets.DeviceInterval}
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		if err := g.unheld(tx, key.Thumbprint()); err != nil {
			tx.Refuse(fault.Code(err), err.Error())
			return keepable(err)
		}
		out.Device, out.User, err = g.Tickets.IssueDevice(tx, tickets.Device{
			Workspace: ask.Workspace, Purpose: ask.Purpose, Key: key, Name: ask.Name, IP: ip, Asked: tx.Event().ID,
		})
		return err
	})
	if err != nil {
		return DeviceCodes{}, err
	}
	switch {
	case got.Code == "replayed":
		return DeviceCodes{}, replayed(got.Seen)
	case got.Outcome == evidence.Deny:
		return DeviceCodes{}, fault.New(fault.Conflict, got.Code, "%s", got.Reason).Try("make a new key pair")
	}
	out.PageWithCode = out.Page + "?user_code=" + out.User
	return out, nil
}

// DeviceRequest is what a person has to see before they confirm.
type DeviceRequest struct {
	tickets.Device
	UserCode string
	Own      []agents.Agent // the person's own that take keys, to choose from
}

// Device reads what waits under a user code, for a person who acts themselves. Codes: not_a_person, too_many, user_code_unknown.
func (g *Guard) Device(ctx context.Context, c *Caller, typed string) (DeviceRequest, error) {
	_, r, err := g.device(ctx, c, typed)
	if err != nil {
		return r, err
	}
	if err := g.Self(ctx, c); err != nil {
		return r, err
	}
	if r.Purpose == tickets.ForAgent {
		r.Own, err = g.ownWithKeys(ctx, r.Workspace, c.person)
	}
	return r, err
}

// ownWithKeys are a person's own agents that a key can be given to.
func (g *Guard) ownWithKeys(ctx context.Context, ws id.Workspace, person id.User) ([]agents.Agent, error) {
	own, err := g.Agents.Own(ctx, ws, person, g.Now())
	if err != nil {
		return nil, err
	}
	var all []agents.Agent
	for _, a := range own {
		err := g.takesKeys(ctx, ws, a.ID)
		if err == nil {
			all = append(all, a)
		} else if fault.Code(err) != "app_instance" {
			return nil, err
		}
	}
	return all, nil
}

// device finds a waiting request, and the caller in its workspace: a console session is of no workspace, a token of one. For whoever is not a
// member of the request's workspace there is none. Wrong guesses are counted by person.
func (g *Guard) device(ctx context.Context, c *Caller, typed string) (*Caller, DeviceRequest, error) {
	var r DeviceRequest
	if c.person.IsZero() || !c.agent.IsZero() {
		return nil, r, fault.New(fault.Denied, "not_a_person", "a device is confirmed by a person, signed in themselves")
	}
	leave, err := g.guesses.Enter(ctx, c.person.String(), g.Now())
	if err != nil {
		return nil, r, err
	}
	in, r, err := g.findDevice(ctx, c, typed)
	leave(fault.Code(err) == "user_code_unknown")
	return in, r, err
}

func (g *Guard) findDevice(ctx context.Context, c *Caller, typed string) (*Caller, DeviceRequest, error) {
	var r DeviceRequest
	var err error
	if r.UserCode, err = tickets.UserCode(typed); err != nil {
		return nil, r, err
	}
	if r.Device, err = g.Tickets.DeviceByUserCode(ctx, r.UserCode, g.Now()); err != nil {
		return nil, r, err
	}
	none := fault.New(fault.NotFound, "user_code_unknown", "no request waits under this code for you").Try("compare it with what the device shows, or start again there")
	if c.ws != r.Workspace {
		if c.raw != "" {
			return nil, r, none
		}
		c = c.sessionIn(r.Workspace)
	}
	if _, err = g.People.Person(ctx, r.Workspace, c.person); fault.Code(err) == "not_found" {
		err = none
	}
	return c, r, err
}

// sessionIn is the person of a console session, acting in another workspace. That they are its member is asked when they act.
func (c *Caller) sessionIn(ws id.Workspace) *Caller {
	return &Caller{ws: ws, person: c.person, session: c.session, openedBy: c.openedBy, acr: c.acr, authTime: c.authTime, ip: c.ip, face: c.face}
}

// DeviceChoice is which agent a confirmed key becomes an instance of; both zero where the key is to be the person's own.
type DeviceChoice struct {
	Agent id.Agent
	New   string // instead: the name of a new agent, which the person owns
}

// DeviceMade is what a confirmed request brought: an instance of an agent, or a key of a person's.
type DeviceMade struct {
	Workspace id.Workspace
	Key       id.Key
	Agent     agents.Agent // zero for a person's key
	User      id.User      // zero for an agent's
	Name      string       // the agent's, or the person's
}

// ConfirmDevice gives the waiting key what it asked for, by the person's own authority: policy decides whether they may enrol an instance of that
// agent, or register a new one; a key of their own takes a recent sign-in. A new agent stays, with no instance, where the request ends in the moment between.
// Codes: those of Device, choice_invalid, sign_in_old, app_instance, those of policy, agents.Register and agents.Enrol.
func (g *Guard) ConfirmDevice(ctx context.Context, c *Caller, typed string, choice DeviceChoice) (DeviceMade, error) {
	in, r, err := g.device(ctx, c, typed)
	if err != nil {
		return DeviceMade{}, err
	}
	if r.Purpose == tickets.ForPerson {
		if choice != (DeviceChoice{}) {
			return DeviceMade{}, fault.New(fault.Invalid, "choice_invalid", "this key is to be your own, no agent's").Try("confirm it without naming an agent")
		}
		return g.confirmOwn(ctx, in, r)
	}
	if choice.Agent.IsZero() == (choice.New == "") {
		return DeviceMade{}, fault.New(fault.Invalid, "choice_invalid", "a device is confirmed for one agent: one that there is, or a new one").
			Try("choose an agent, or name a new one")
	}
	if choice.New != "" {
		made, _, err := g.RegisterAgent(ctx, in, agents.NewAgent{Name: choice.New, Owner: c.person})
		if err != nil {
			return DeviceMade{}, err
		}
		choice.Agent = made.ID
	}
	return g.confirmAgent(ctx, in, r, choice.Agent)
}

func (g *Guard) confirmAgent(ctx context.Context, c *Caller, r DeviceRequest, agent id.Agent) (DeviceMade, error) {
	out := DeviceMade{Workspace: r.Workspace, Key: r.Key.Thumbprint()}
	a, err := g.enrolAct(ctx, c, agent, "enrol", evidence.InstanceEnrolled)
	if err != nil {
		return out, err
	}
	a.target = out.Key.String()
	a.what = &evidence.What{Agent: agent, Instance: out.Key, Key: &r.Key, Status: string(agents.Device)}
	a.personal = func(d *evidence.Draft) error {
		d.Agent, d.Cause = agent, r.Asked
		return nil
	}
	_, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		if err := g.Tickets.DecideDevice(tx, r.UserCode, tickets.Confirmed, c.person, agent); err != nil {
			return err
		}
		held, err := g.People.Known(tx, out.Key)
		if err != nil {
			return err
		}
		_, err = g.Agents.Enrol(tx, agents.NewInstance{Workspace: r.Workspace, Agent: agent, JWK: r.Key, Trust: agents.Device, Held: held})
		return err
	})
	if err != nil {
		return out, err
	}
	out.Agent, err = g.Agents.Agent(ctx, r.Workspace, agent)
	out.Name = out.Agent.Name
	return out, err
}

// confirmOwn registers the key as the person's own, as a sign-in link does. It takes a sign-in of now: a session or key that was left lying about makes no
// other key.
func (g *Guard) confirmOwn(ctx context.Context, c *Caller, r DeviceRequest) (DeviceMade, error) {
	if err := g.fresh(ctx, c); err != nil {
		own := act{action: "attorn:device:confirm", noun: "device", target: r.Key.Thumbprint().String()}
		return DeviceMade{}, g.refuseAct(ctx, c, nil, own, nil, err)
	}
	d, err := g.deviceDraft(ctx, c, r, evidence.UserPasskeyChanged)
	if err != nil {
		return DeviceMade{}, err
	}
	d.Target, d.What = c.Sub(), &evidence.What{User: c.person, Key: &r.Key}
	if d.Also, err = g.others(ctx, c.person, c.ws); err != nil {
		return DeviceMade{}, err
	}
	got, err := g.Log.Record(ctx, d, g.whileSignedIn(c, func(tx *audit.Tx) error {
		if err := g.Tickets.DecideDevice(tx, r.UserCode, tickets.Confirmed, c.person, id.Agent{}); err != nil {
			return err
		}
		held, err := g.Agents.Known(tx, r.Key.Thumbprint())
		if err != nil {
			return err
		}
		_, err = g.People.AddKey(tx, c.person, r.Key, "confirmed device", held)
		return err
	}))
	if err != nil {
		return DeviceMade{}, err
	}
	if c.used(&got); got.Outcome == evidence.Deny {
		return DeviceMade{}, replayed(got.Seen)
	}
	p, err := g.People.Person(ctx, c.ws, c.person)
	return DeviceMade{Workspace: r.Workspace, Key: r.Key.Thumbprint(), User: p.ID, Name: p.Name}, err
}

// deviceDraft begins the event of a decision about a request that needs no policy.
func (g *Guard) deviceDraft(ctx context.Context, c *Caller, r DeviceRequest, kind evidence.Kind) (evidence.Draft, error) {
	s, err := g.resolve(ctx, c)
	if err != nil {
		return evidence.Draft{}, err
	}
	d := s.draft(c, kind)
	d.Outcome, d.Cause, d.Target = evidence.OK, r.Asked, r.Key.Thumbprint().String()
	d.Depends = nil // AddKey asks again whether the person may act; refusing is open to all who know the code
	return d, nil
}

// DenyDevice refuses what waits under a user code. Codes: those of Device.
func (g *Guard) DenyDevice(ctx context.Context, c *Caller, typed string) (evidence.Receipt, error) {
	c, r, err := g.device(ctx, c, typed)
	if err != nil {
		return evidence.Receipt{}, err
	}
	d, err := g.deviceDraft(ctx, c, r, evidence.DecisionMade)
	if err != nil {
		return evidence.Receipt{}, err
	}
	d.Did = &evidence.Did{Action: "attorn:device:deny", Resource: evidence.Resource{Type: "Noun", ID: "device"}}
	got, err := g.Log.Record(ctx, d, g.whileSignedIn(c, func(tx *audit.Tx) error {
		return g.Tickets.DecideDevice(tx, r.UserCode, tickets.Denied, c.person, id.Agent{})
	}))
	if err != nil {
		return got, err
	}
	if c.used(&got); got.Outcome == evidence.Deny {
		return got, replayed(got.Seen)
	}
	return got, nil
}
