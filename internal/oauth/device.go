package oauth

import (
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/tickets"
)

// deviceAnswer is RFC 8628 §3.2.
type deviceAnswer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Page       string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int64  `json:"expires_in"`
	Interval   int64  `json:"interval"`
}

// device is POST /oauth/device (RFC 8628 §3.1): the holder of a new key asks for a person to confirm it. purpose is agent, or person for a
// person's own key; agent_name is what it proposes to be called.
func (f *face) device(x *exchange) (any, error) {
	if err := x.firstParty(); err != nil {
		return nil, err
	}
	ask := guard.DeviceAsk{Workspace: id.Default, Purpose: tickets.ForAgent, Name: x.form["agent_name"]}
	switch purpose := x.form["purpose"]; purpose {
	case "", string(tickets.ForAgent):
	case string(tickets.ForPerson):
		if ask.Purpose = tickets.ForPerson; ask.Name != "" {
			return nil, malformed("agent_name is for the key of an agent")
		}
	default:
		return nil, malformed("purpose is agent or person")
	}
	var err error
	if ask.Workspace, err = x.workspace(); err != nil {
		return nil, err
	}
	if ask.Workspace == id.Server {
		return nil, malformed("nobody joins the server's own workspace")
	}
	if wait := x.devices.Take(network(x.r), x.Guard.Now()); wait > 0 {
		return nil, limited{wait}
	}
	got, err := x.Guard.AskDevice(x.ctx, ask, x.credentials())
	if err != nil {
		return nil, err
	}
	return deviceAnswer{
		got.Device, got.User, got.Page, got.PageWithCode, int64(got.Life / time.Second), int64(got.BetweenPolled / time.Second),
	}, nil
}

// firstParty demands the client that device codes are for, which has no other proof than its key.
func (x *exchange) firstParty() error {
	client, err := x.form.need("client_id")
	if err != nil {
		return err
	}
	if client != guard.CommandLine {
		return fault.New(fault.Denied, "grant_not_allowed", "device codes are for %s alone", guard.CommandLine)
	}
	if x.form["client_assertion"] != "" {
		return malformed("%s has no client assertion", guard.CommandLine)
	}
	return x.oneMethod(true)
}

// workspace is where somebody acts who names it; the default one unless said.
func (x *exchange) workspace() (id.Workspace, error) {
	name := x.form["workspace"]
	if name == "" {
		return id.Default, nil
	}
	ws, err := id.ParseWorkspace(name)
	if err != nil {
		return ws, malformed("workspace is not the name of one")
	}
	return ws, nil
}

// credentials are what a request proves a key with that need not be known.
func (x *exchange) credentials() guard.Credentials {
	return guard.Credentials{Method: x.r.Method, URL: x.url, DPoP: x.r.Header.Values("DPoP"), IP: address(x.r), Face: "oauth"}
}

// madeAnswer is the token, and what was made of the key.
type madeAnswer struct {
	tokenAnswer
	Workspace id.Workspace `json:"workspace"`
	Name      string       `json:"name"`
	Agent     id.Agent     `json:"agent,omitzero"`
	Instance  id.Key       `json:"instance,omitzero"`
	User      id.User      `json:"user,omitzero"`
	Key       id.Key       `json:"key,omitzero"`

	InstanceExpiresIn int64 `json:"instance_expires_in,omitzero"` // seconds
}

// deviceCode is the grant that polls (RFC 8628 §3.4). Who asks again before the interval is over is told to slow down.
func (x *exchange) deviceCode() (any, error) {
	if err := x.firstParty(); err != nil {
		return nil, err
	}
	code, err := x.form.need("device_code")
	if err != nil {
		return nil, err
	}
	key, _, _, err := x.Guard.AuthenticateKey(x.credentials())
	if err != nil {
		return nil, err
	}
	if wait := x.polls.Take(key.Thumbprint().String(), x.Guard.Now()); wait > 0 {
		return nil, fault.New(fault.Limited, "slow_down", "asked again before the interval was over").Try("wait 5 seconds longer between requests")
	}
	got, made, err := x.Guard.DeviceToken(x.ctx, code, x.credentials())
	if err != nil {
		return nil, err
	}
	out := madeAnswer{tokenAnswer: answerOf(got), Workspace: made.Workspace, Name: made.Name}
	if made.User.IsZero() {
		out.Agent, out.Instance = made.Agent.ID, made.Key
	} else {
		out.User, out.Key = made.User, made.Key
	}
	return out, nil
}
