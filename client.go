package attorn

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// ClientConfig says on which server a Client acts, and as whom.
type ClientConfig struct {
	Server    string       // its URL, without a final slash
	Workspace id.Workspace // zero is default
	User      id.User
	Signer    jose.Signer  // a key that the person registered
	HTTP      *http.Client // nil is a new one
}

// Client administers a server in a person's own name. Safe for concurrent use.
type Client struct {
	door *door
	user id.User
}

// NewClient makes a Client; nothing is sent yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.User.IsZero() {
		return nil, fault.New(fault.Invalid, "user_missing", "the client does not know whose key it signs with").Try("sign in first")
	}
	d, err := newDoor(cfg.Server, cfg.Workspace, cfg.Signer, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	d.own = func(ctx context.Context, resource string) (Token, error) {
		form := url.Values{"grant_type": {grantPerson}, "resource": {resource}, "workspace": {d.ws.String()}}
		got, err := d.grant(ctx, d.keys.key(), form, func(f url.Values, assertion string) { f.Set("assertion", assertion) }, cfg.User.String())
		if f := fault.Of(err); f != nil && f.Code == "invalid_grant" { // without a reason: not of the key's authority, but of who it is
			err = fault.New(fault.Unauthenticated, f.Code, "the server knows this key as nobody's who is signed in: it was signed out, or its person is suspended").
				Try("sign in again; who is suspended has to be resumed by an administrator first")
		}
		return got, err
	}
	return &Client{door: d, user: cfg.User}, nil
}

// User is the person in whose name the client acts.
func (c *Client) User() id.User { return c.user }

// Token gets an access token in the person's own name for a resource ("" is the server's own API), or the one that it has while that has lived less
// than 80 % of its life.
func (c *Client) Token(ctx context.Context, resource string) (Token, error) {
	if resource == "" {
		resource = c.door.api()
	}
	return c.door.token(ctx, resource, func(ctx context.Context) (Token, error) { return c.door.own(ctx, resource) })
}

// SignInConfig is what SignIn needs.
type SignInConfig struct {
	Server string
	Secret string      // of the one-time link, or the whole link
	Name   string      // of the first administrator; other links know their person
	Label  string      // of the key, for people's eyes
	Signer jose.Signer // a new key, which becomes the person's
	HTTP   *http.Client
}

// SignIn spends a one-time sign-in link and registers the key as the person's own.
func SignIn(ctx context.Context, cfg SignInConfig) (api.SignedIn, error) {
	var out api.SignedIn
	d, err := newDoor(cfg.Server, id.Default, cfg.Signer, cfg.HTTP)
	if err != nil {
		return out, err
	}
	secret := cfg.Secret[strings.LastIndexByte(cfg.Secret, '#')+1:]
	return out, d.call(ctx, "SignIn", nil, nil, api.SignIn{Secret: secret, Name: cfg.Name, Label: cfg.Label}, &out)
}

// Page says which part of a list is wanted.
type Page struct {
	After string // Next of the page before; "" is the first page
	Limit int    // 1 to 200; 0 is 50
}

// ask calls a route and reads its answer.
func ask[Out any](ctx context.Context, d *door, name string, path []string, query url.Values, in any) (Out, error) {
	var out Out
	err := d.call(ctx, name, path, query, in, &out)
	return out, err
}

// Me says who the client acts as.
func (c *Client) Me(ctx context.Context) (api.Me, error) {
	return ask[api.Me](ctx, c.door, "Me", nil, nil, nil)
}

// Invite adds a person; the answer has their one-time sign-in link.
func (c *Client) Invite(ctx context.Context, in api.NewUser) (api.User, error) {
	return ask[api.User](ctx, c.door, "Invite", nil, nil, in)
}

// Users lists the workspace's people.
func (c *Client) Users(ctx context.Context, p Page) (api.List[api.User], error) {
	return ask[api.List[api.User]](ctx, c.door, "Users", nil, p.query("after"), nil)
}

// FindUser finds a member by exact name or by id. Codes: not_found, and ambiguous where several have that name.
func (c *Client) FindUser(ctx context.Context, nameOrID string) (api.UserName, error) {
	return ask[api.UserName](ctx, c.door, "FindUser", nil, url.Values{"name": {nameOrID}}, nil)
}

// UserDetail reads a member ("me" is the caller), by id, with groups, roles, keys and what stopped them.
func (c *Client) UserDetail(ctx context.Context, user string) (api.UserDetail, error) {
	return ask[api.UserDetail](ctx, c.door, "UserDetail", []string{user}, nil, nil)
}

// NewLink makes a one-time sign-in link for a member, by id; "me" is the caller.
func (c *Client) NewLink(ctx context.Context, user string) (api.Link, error) {
	return ask[api.Link](ctx, c.door, "NewLink", []string{user}, nil, struct{}{})
}

// SuspendUser stops a person, their sessions and what they lent.
func (c *Client) SuspendUser(ctx context.Context, u id.User, reason string) (api.Ended, error) {
	return c.end(ctx, "SuspendUser", u.String(), reason)
}

// ResumeUser ends a suspension.
func (c *Client) ResumeUser(ctx context.Context, u id.User, reason string) (api.Ended, error) {
	return c.end(ctx, "ResumeUser", u.String(), reason)
}

func (c *Client) end(ctx context.Context, name, what, reason string) (api.Ended, error) {
	return ask[api.Ended](ctx, c.door, name, []string{what}, nil, api.Reason{Reason: reason})
}

// Agent reads an agent by id or name.
func (c *Client) Agent(ctx context.Context, idOrName string) (api.Agent, error) {
	return ask[api.Agent](ctx, c.door, "Agent", []string{idOrName}, nil, nil)
}

// AgentDetail reads an agent by id or name; its owner, and who may read agents, are also told its groups, roles and instances, and what stopped it.
func (c *Client) AgentDetail(ctx context.Context, idOrName string) (api.AgentDetail, error) {
	return ask[api.AgentDetail](ctx, c.door, "AgentDetail", []string{idOrName}, nil, nil)
}

// OfferEnrolment makes a one-time token with which one instance of the agent enrols.
func (c *Client) OfferEnrolment(ctx context.Context, a id.Agent) (api.Enrolment, error) {
	return ask[api.Enrolment](ctx, c.door, "OfferEnrolment", []string{a.String()}, nil, struct{}{})
}

// SuspendAgent stops an agent and all its instances.
func (c *Client) SuspendAgent(ctx context.Context, a id.Agent, reason string) (api.Ended, error) {
	return c.end(ctx, "SuspendAgent", a.String(), reason)
}

// ResumeAgent ends a suspension.
func (c *Client) ResumeAgent(ctx context.Context, a id.Agent, reason string) (api.Ended, error) {
	return c.end(ctx, "ResumeAgent", a.String(), reason)
}

// RevokeAgent ends an agent for ever.
func (c *Client) RevokeAgent(ctx context.Context, a id.Agent, reason string) (api.Ended, error) {
	return c.end(ctx, "RevokeAgent", a.String(), reason)
}

// Instances lists an agent's instances.
func (c *Client) Instances(ctx context.Context, a id.Agent) (api.List[api.Instance], error) {
	return ask[api.List[api.Instance]](ctx, c.door, "Instances", []string{a.String()}, nil, nil)
}

// SuspendInstance stops one instance.
func (c *Client) SuspendInstance(ctx context.Context, k id.Key, reason string) (api.Ended, error) {
	return c.end(ctx, "SuspendInstance", k.String(), reason)
}

// ResumeInstance ends a suspension.
func (c *Client) ResumeInstance(ctx context.Context, k id.Key, reason string) (api.Ended, error) {
	return c.end(ctx, "ResumeInstance", k.String(), reason)
}

// Line reads the history of the running copy that a key is of: its keys, the first one first.
func (c *Client) Line(ctx context.Context, k id.Key) (api.List[api.KeyRecord], error) {
	return ask[api.List[api.KeyRecord]](ctx, c.door, "Line", []string{k.String()}, nil, nil)
}

// RevokeInstance ends one instance for ever.
func (c *Client) RevokeInstance(ctx context.Context, k id.Key, reason string) (api.Ended, error) {
	return c.end(ctx, "RevokeInstance", k.String(), reason)
}
