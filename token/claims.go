package token

import (
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const (
	maxActors   = 8
	maxJTI      = 128
	maxLifetime = 3600 // seconds
	maxTime     = 1<<53 - 1

	DetailType = "attorn_permission" // of Detail
)

// Claims is what an access token says. A token has one of four forms:
//
//   - a person, through agents: Subject is the person at the chain's root, Act the agents, Delegation what was lent to the current one;
//   - an agent for nobody: Subject is the agent, with neither Act nor Delegation nor Session;
//   - a service for itself: Subject is the service, with none of these;
//   - a person through a first-party client: Subject is the person, with Session and neither Act nor Delegation.
//
// Via goes with the first form alone. So does MayAct, where one agent acts for the person and the token is bound to a key.
type Claims struct {
	Issuer     string
	Subject    string // a user, an agent or a service
	Audience   string // the one resource that the token is for (RFC 8707)
	ClientID   string
	Scope      string   // unconstrained permissions, and openid and offline_access, each separated by one space
	Details    []Detail // permissions with constraints (RFC 9396)
	Act        *Actor   // nil: Subject acts itself
	JKT        id.Key   // cnf.jkt, the key that must sign each request; zero: a bearer token
	ID         string   // jti
	IssuedAt   int64    // seconds
	Expires    int64    // seconds; at most an hour after IssuedAt
	Delegation id.Delegation
	Task       string
	ACR        string
	AuthTime   int64 // seconds; 0: not said
	Workspace  id.Workspace
	Session    string
	Via        *Via     // nil: nobody at another server is behind it
	MayAct     id.Agent // may_act (RFC 8693 §4.4): who may be lent to on this token, in the actor's stead; zero: nobody
}

// Actor is an agent in the chain: the current one outermost, and in Act the one that it acts for, down to the agent that the person lent to. Names are in
// canonical order.
type Actor struct {
	Act      *Actor   `json:"act,omitzero"`
	Instance id.Key   `json:"instance,omitzero"` // zero: the agent has no key (an app without DPoP)
	Sub      id.Agent `json:"sub"`
}

// Detail is a permission under constraints, as an authorization detail of type attorn_permission.
type Detail struct {
	Type       string                           `json:"type"`
	Permission string                           `json:"permission"`
	Where      map[string]delegation.Constraint `json:"where,omitempty"`
	Locations  []string                         `json:"locations,omitempty"`
}

// Actors is the chain, current actor first; empty where Subject acts itself.
func (c Claims) Actors() []Actor {
	var all []Actor
	for a := c.Act; a != nil; a = a.Act {
		all = append(all, *a)
	}
	return all
}

// Permissions is what the token permits at most: each permission of the scope, and each detail with its constraints.
func (c Claims) Permissions() []delegation.Permission {
	var all []delegation.Permission
	for item := range strings.FieldsSeq(c.Scope) {
		if permissionScope(item) {
			all = append(all, delegation.Permission{Permission: item})
		}
	}
	for _, d := range c.Details {
		all = append(all, delegation.Permission{Permission: d.Permission, Where: d.Where})
	}
	return all
}

// permissionScope tells permissions from the two scopes that OpenID Connect Core §3.1.2.1 and §11 define.
func permissionScope(item string) bool { return item != "openid" && item != "offline_access" }

// wire is the claim set as it is signed; names are in canonical order.
type wire struct {
	ACR        string        `json:"acr,omitzero"`
	Act        *Actor        `json:"act,omitzero"`
	Aud        string        `json:"aud"`
	AuthTime   int64         `json:"auth_time,omitzero"`
	Details    []Detail      `json:"authorization_details,omitempty"`
	ClientID   string        `json:"client_id"`
	Cnf        *confirmation `json:"cnf,omitzero"`
	Delegation id.Delegation `json:"dlg,omitzero"`
	Exp        int64         `json:"exp"`
	Iat        int64         `json:"iat"`
	Iss        string        `json:"iss"`
	Jti        string        `json:"jti"`
	MayAct     *mayAct       `json:"may_act,omitzero"`
	Scope      string        `json:"scope,omitzero"`
	Session    string        `json:"sid,omitzero"`
	Sub        string        `json:"sub"`
	Task       string        `json:"task,omitzero"`
	Via        *Via          `json:"via,omitzero"`
	Workspace  id.Workspace  `json:"ws"`
}

// confirmation is RFC 7800 §3.1 with the member of RFC 9449 §6.1.
type confirmation struct {
	JKT id.Key `json:"jkt"`
}

// mayAct is RFC 8693 §4.4, whose members identify the party that may become the actor; ours are agents of the token's workspace, by their id alone.
type mayAct struct {
	Sub id.Agent `json:"sub"`
}

func (c Claims) wire() wire {
	w := wire{
		ACR: c.ACR, Act: c.Act, Aud: c.Audience, AuthTime: c.AuthTime, Details: c.Details, ClientID: c.ClientID, Delegation: c.Delegation,
		Exp: c.Expires, Iat: c.IssuedAt, Iss: c.Issuer, Jti: c.ID, Scope: c.Scope, Session: c.Session, Sub: c.Subject, Task: c.Task,
		Via: c.Via, Workspace: c.Workspace,
	}
	if !c.JKT.IsZero() {
		w.Cnf = &confirmation{c.JKT}
	}
	if !c.MayAct.IsZero() {
		w.MayAct = &mayAct{c.MayAct}
	}
	return w
}

func (w wire) claims() Claims {
	c := Claims{
		Issuer: w.Iss, Subject: w.Sub, Audience: w.Aud, ClientID: w.ClientID, Scope: w.Scope, Details: w.Details, Act: w.Act, ID: w.Jti,
		IssuedAt: w.Iat, Expires: w.Exp, Delegation: w.Delegation, Task: w.Task, ACR: w.ACR, AuthTime: w.AuthTime, Workspace: w.Workspace,
		Session: w.Session, Via: w.Via,
	}
	if w.Cnf != nil {
		c.JKT = w.Cnf.JKT
	}
	if w.MayAct != nil {
		c.MayAct = w.MayAct.Sub
	}
	return c
}

// check holds the claims to the rules that need neither time nor expectation.
func (c Claims) check() error {
	switch {
	case c.Issuer == "" || c.Audience == "" || c.ClientID == "" || c.Workspace.IsZero():
		return malformed("one of iss, aud, client_id and ws is missing")
	case c.ID == "" || len(c.ID) > maxJTI:
		return malformed("jti has 1 to %d bytes", maxJTI)
	case c.IssuedAt <= 0 || c.Expires <= c.IssuedAt || c.Expires > maxTime:
		return malformed("exp comes after iat, and both after 1970")
	case c.Expires-c.IssuedAt > maxLifetime:
		return malformed("a token lives for at most %d s", maxLifetime)
	case c.AuthTime < 0 || c.AuthTime > maxTime:
		return malformed("auth_time is seconds after 1970")
	}
	if err := c.checkSubject(); err != nil {
		return err
	}
	if c.Via != nil {
		if err := c.checkVia(); err != nil {
			return err
		}
	}
	if !c.MayAct.IsZero() {
		if err := c.checkMayAct(); err != nil {
			return err
		}
	}
	return c.checkPermissions()
}

// checkMayAct keeps who may act beside the one actor of a person's own lending: what was lent on names nobody, and who holds a token without a key is not known.
func (c Claims) checkMayAct() error {
	switch {
	case c.Act == nil || c.Act.Act != nil || c.Via != nil:
		return malformed("may_act goes with one actor, of this server, for a person")
	case c.JKT.IsZero():
		return malformed("may_act goes with a key that the token is bound to")
	case c.MayAct == c.Act.Sub:
		return malformed("may_act names another agent than the actor")
	}
	return nil
}

// checkSubject keeps subject and actor apart (authority.md §4): the person in sub, the agents in act, never the other way round.
func (c Claims) checkSubject() error {
	_, notUser := id.Parse[id.User](c.Subject)
	_, notAgent := id.Parse[id.Agent](c.Subject)
	_, notService := id.Parse[id.Service](c.Subject)
	switch {
	case notUser != nil && notAgent != nil && notService != nil:
		return malformed("sub is neither a user, an agent nor a service")
	case c.Act != nil && notUser != nil:
		return malformed("sub is the person at the root of the chain where act is present")
	case c.Act == nil && notUser == nil && c.Session == "":
		return malformed("a person acts through agents in act, or through a first-party client with sid")
	case (c.Act != nil) != !c.Delegation.IsZero():
		return malformed("act and dlg go together: who acts for somebody acts under a delegation")
	case c.Session != "" && (c.Act != nil || notUser != nil):
		return malformed("only a person without act has sid")
	}
	depth := 0
	for a := c.Act; a != nil; a = a.Act {
		if depth++; depth > maxActors {
			return malformed("the chain has more than %d actors", maxActors)
		}
		if a.Sub.IsZero() {
			return malformed("an actor without sub")
		}
	}
	if c.Act != nil && c.Act.Instance != c.JKT {
		return malformed("the current actor's instance is the key that the token is bound to")
	}
	return nil
}

func (c Claims) checkPermissions() error {
	if c.Scope != "" {
		for item := range strings.SplitSeq(c.Scope, " ") {
			if _, err := delegation.ParsePermission(item); err != nil && permissionScope(item) {
				return malformed("scope is permissions with one space between")
			}
		}
	}
	for _, d := range c.Details {
		if d.Type != DetailType {
			return malformed("an authorization detail of another type than %s", DetailType)
		}
		if err := (delegation.Permission{Permission: d.Permission, Where: d.Where}).Check(); err != nil {
			return malformed("an authorization detail: %s", err)
		}
	}
	return nil
}

func malformed(reason string, args ...any) error {
	return fault.New(fault.Unauthenticated, "token_malformed", "the access token is not acceptable: "+reason, args...).Try(anew)
}

// SetPermissions makes Scope and Details of ps: what has no constraints goes into the scope, the rest into details. What stands in a detail is
// never in the scope too, for the union would erase its constraints.
func (c *Claims) SetPermissions(ps []delegation.Permission) {
	var scope []string
	c.Details = nil
	for _, p := range ps {
		if len(p.Where) == 0 {
			scope = append(scope, p.Permission)
			continue
		}
		c.Details = append(c.Details, Detail{Type: DetailType, Permission: p.Permission, Where: p.Where})
	}
	c.Scope = strings.Join(scope, " ")
}
