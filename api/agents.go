package api

import (
	"github.com/attorn/attorn/id"
)

// NewAgent registers an agent. Owner is the caller unless said; for somebody else it takes attorn:owner:assign, and for tags attorn:agent:tag. Framework and
// Model are information. With Propose it waits for approval.
type NewAgent struct {
	Name        string            `json:"name"`
	Owner       id.User           `json:"owner,omitzero"`
	Description string            `json:"description,omitempty"`
	Framework   string            `json:"framework,omitempty"`
	Model       string            `json:"model,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Expires     string            `json:"expires,omitempty"`
	Propose     bool              `json:"propose,omitempty"`
}

// Agent is a registered agent.
type Agent struct {
	ID             id.Agent          `json:"id"`
	Name           string            `json:"name"`
	Owner          id.User           `json:"owner,omitzero"`
	Offered        id.User           `json:"offered,omitzero"` // who becomes the owner if they accept
	Description    string            `json:"description,omitempty"`
	Framework      string            `json:"framework,omitempty"`
	Model          string            `json:"model,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Status         string            `json:"status"` // pending, active, suspended, revoked, expired
	Expires        string            `json:"expires,omitempty"`
	Created        string            `json:"created"`
	OwnerlessSince string            `json:"ownerless_since,omitempty"` // since when its owner cannot act
	TokensUntil    string            `json:"tokens_until,omitempty"`    // of an ownerless agent: when it gets no new tokens any more
}

// AgentDetail is an agent, and for its owner and who may read agents what belongs to it.
type AgentDetail struct {
	Agent
	Groups    []string   `json:"groups,omitempty"`
	Roles     []HeldRole `json:"roles,omitempty"`
	Instances []Instance `json:"instances,omitempty"` // those that have not ended, and then those that came last
	Stopped   *Stopped   `json:"stopped,omitzero"`    // of one suspended or revoked
}

// AgentChange changes an agent; what is absent stays as it is. An Expires of "never" takes the end away.
type AgentChange struct {
	Description *string           `json:"description,omitempty"`
	Framework   *string           `json:"framework,omitempty"`
	Model       *string           `json:"model,omitempty"`
	Expires     *string           `json:"expires,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Untag       []string          `json:"untag,omitempty"`
}

// NewOwner hands an agent over: the owner offers it, the new owner accepts with the same request, the owner takes an offer back by offering it to
// themself. Assign, which takes attorn:owner:assign, makes it theirs without being asked.
type NewOwner struct {
	Owner  id.User `json:"owner"`
	Assign bool    `json:"assign,omitempty"`
}

// AgentFilter says which agents of the workspace are meant; the zero value is all. They are listed in the order of registration, with Q in that of
// names.
type AgentFilter struct {
	Q         string `json:"q,omitempty"`      // how the name begins
	Status    string `json:"status,omitempty"` // pending, active, suspended, revoked, expired
	Owner     string `json:"owner,omitempty"`  // a user's id; "me" is the caller, who needs no permission for their own
	Tag       string `json:"tag,omitempty"`    // name=value
	Group     string `json:"group,omitempty"`
	Ownerless bool   `json:"ownerless,omitempty"`
}

// AgentBulk changes many agents, each decided and recorded for itself: those of IDs, or a page of those that Filter finds, after After. DryRun says
// what would be refused, and changes nothing.
type AgentBulk struct {
	IDs    []id.Agent   `json:"ids,omitempty"` // at most 200
	Filter *AgentFilter `json:"filter,omitempty"`
	After  id.Agent     `json:"after,omitzero"`
	Limit  int          `json:"limit,omitempty"` // of a page: 1 to 200
	Do     string       `json:"do"`              // approve, suspend, resume, revoke, change, owner
	Change *AgentChange `json:"change,omitempty"`
	Owner  *NewOwner    `json:"owner,omitempty"`
	Reason string       `json:"reason,omitempty"`
	DryRun bool         `json:"dry_run,omitempty"`
}

// AgentImport registers many agents, at most 200. One that is there already and no different is left as it is.
type AgentImport struct {
	Agents []NewAgent `json:"agents"`
	DryRun bool       `json:"dry_run,omitempty"`
}

// AgentOutcome is what became of one agent of many.
type AgentOutcome struct {
	ID     id.Agent `json:"id,omitzero"`
	Name   string   `json:"name"`
	Done   string   `json:"done,omitempty"` // done, created, there (already), or in a dry run would
	Code   string   `json:"code,omitempty"` // of the refusal
	Reason string   `json:"reason,omitempty"`
}

// Enrolment is a one-time token that enrols one instance.
type Enrolment struct {
	Token     string `json:"token"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

// Enrol spends an enrolment token; the instance's key is the one that signed the request's DPoP proof.
type Enrol struct {
	Token string `json:"token"`
}

// Enrolled is the answer to Enrol.
type Enrolled struct {
	Agent     id.Agent     `json:"agent"`
	Name      string       `json:"name"`
	Workspace id.Workspace `json:"workspace"`
	Instance  id.Key       `json:"instance"`
}
