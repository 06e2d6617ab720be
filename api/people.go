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
	Status  string  `json:"status"`
	Created string  `json:"created"`
	Link    string  `json:"link,omitempty"`

	Recovered   string  `json:"recovered,omitempty"` // when they were let in again by an administrator's link,
	RecoveredBy id.User `json:"recovered_by,omitzero"`
}

// Link is a one-time sign-in link.
type Link struct {
	Link string `json:"link"`
}

// Binding gives a principal a role.
type Binding struct {
	Principal string `json:"principal"`
	Role      string `json:"role"`
	Reason    string `json:"reason,omitempty"`
	By        string `json:"by,omitempty"`
	Created   string `json:"created,omitempty"`
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
