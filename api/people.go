package api

import (
	"github.com/attorn/attorn/id"
)

// SignIn spends a one-time sign-in link and registers the key that signed the request's DPoP proof. Name is who the first administrator is
// called; other links know their person.
type SignIn struct {
	Secret string `json:"secret"`
	Name   string `json:"name,omitempty"`
	Label  string `json:"label,omitempty"` // of the key, for people's eyes
}

// SignedIn is the answer to SignIn.
type SignedIn struct {
	User      id.User      `json:"user"`
	Name      string       `json:"name"`
	Workspace id.Workspace `json:"workspace"`
	Key       id.Key       `json:"key"`
}

// Me says who the caller is.
type Me struct {
	Sub       string       `json:"sub"`
	Name      string       `json:"name,omitempty"`
	Workspace id.Workspace `json:"workspace"`
	Roles     []string     `json:"roles"`
}

// NewUser invites a person.
type NewUser struct {
	Name  string `json:"name"`
	Email string `json:"email,omitempty"` // who proves it at a sign-in provider of the workspace, first and within 14 days, is this person
}

// User is a person. Link is there once, in the answer that invited them.
type User struct {
	ID      id.User `json:"id"`
	Name    string  `json:"name"`
	Status  string  `json:"status"` // invited (never signed in), active, suspended
	Created string  `json:"created"`
	Seen    string  `json:"seen,omitempty"` // when they last signed in, as far as that is known
	Link    string  `json:"link,omitempty"`

	Recovered   string  `json:"recovered,omitempty"` // when they were let in again by an administrator's link,
	RecoveredBy id.User `json:"recovered_by,omitzero"`
}

// UserName is what every member may know of another: who is called so.
type UserName struct {
	ID   id.User `json:"id"`
	Name string  `json:"name"`
}

// UserDetail is a person as who may read them sees them in a workspace.
type UserDetail struct {
	User
	Groups   []string      `json:"groups"`
	Roles    []HeldRole    `json:"roles"`
	Keys     []PersonKey   `json:"keys"`
	Accounts []UserAccount `json:"accounts"`         // at other sign-in providers
	Stopped  *Stopped      `json:"stopped,omitzero"` // of somebody suspended
}

// UserAccount is an account at another sign-in provider, by which a person signs in here.
type UserAccount struct {
	Provider string `json:"provider"`
	Issuer   string `json:"issuer"`
	Created  string `json:"created"`
}

// HeldRole is a role that somebody has: bound to them, or to a group that they are in.
type HeldRole struct {
	Role  string `json:"role"`
	Group string `json:"group,omitempty"`
}

// Stopped says when somebody or something was stopped, by whom and why, as far as the workspace's log has it.
type Stopped struct {
	At     string   `json:"at"`
	By     string   `json:"by"`
	Reason string   `json:"reason,omitempty"`
	Event  id.Event `json:"event"`
}

// Link is a one-time sign-in link.
type Link struct {
	Link string `json:"link"`
}

// Reason is why something is ended, in the caller's words.
type Reason struct {
	Reason string `json:"reason,omitempty"`
}

// Ended is the answer to an act that ends something: where it stands in the log, and which delegations ended with it.
type Ended struct {
	Event       id.Event        `json:"event"`
	Rev         int64           `json:"rev"`
	Delegations []id.Delegation `json:"delegations"`
}

// Done is the answer to an act that has nothing else to say: where it stands in the log.
type Done struct {
	Event id.Event `json:"event"`
	Rev   int64    `json:"rev"`
}

// List is a page. Next is what to give as after, or before where newest come first; empty on the last page.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Each yields the items.
func (l List[T]) Each(yield func(any) bool) {
	for _, v := range l.Items {
		if !yield(v) {
			return
		}
	}
}
