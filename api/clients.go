package api

import "github.com/attorn/attorn/id"

// ConsentedApp is an app that a person consented to, and what the workspace lets it do now.
type ConsentedApp struct {
	Client    string   `json:"client"`
	Name      string   `json:"name"`     // what it called itself
	Redirect  string   `json:"redirect"` // where its answers went: a host, or a scheme of its own
	Person    id.User  `json:"person"`
	Agent     id.Agent `json:"agent"` // that it is, for this person
	Consented string   `json:"consented"`
	Allow     bool     `json:"allow"`
	Bearer    bool     `json:"bearer"`
}

// App is an app as it describes itself now, and what the workspace lets it do. Problem is why it cannot be read; then there is only the rule.
type App struct {
	Client    string   `json:"client"`
	Problem   string   `json:"problem,omitempty"`
	Name      string   `json:"name,omitempty"`
	Host      string   `json:"host,omitempty"` // of its client_id; none where it registered itself
	Redirects []string `json:"redirects"`
	Grants    []string `json:"grants"`
	Keys      []id.Key `json:"keys"` // by which it authenticates; none: its client_id is all it has
	Created   string   `json:"created,omitempty"`
	Rule      string   `json:"rule,omitempty"` // what the rule that decides is about; none: the workspace has no rule about it
	Allow     bool     `json:"allow"`
	Bearer    bool     `json:"bearer"`
}

// ClientRule says what the workspace lets apps do. Client is a client_id, an address that ends in "/*", or "*": the most particular rule decides.
type ClientRule struct {
	Client  string `json:"client"`
	Allow   bool   `json:"allow"`
	Bearer  bool   `json:"bearer"` // tokens that are bound to no key: whoever holds one is the app
	Reason  string `json:"reason,omitempty"`
	By      string `json:"by,omitempty"` // an answer's alone
	Created string `json:"created,omitempty"`
}

// ClientRef names what a rule is about.
type ClientRef struct {
	Client string `json:"client"`
}

// AppInvited is a one-time token by which an app registers itself, as Authorization: Bearer.
type AppInvited struct {
	Token     string `json:"token"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}
