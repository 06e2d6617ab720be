package clients

import (
	"context"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// AppAgent is the agent that an app became in a workspace by a person's consent.
type AppAgent struct {
	Workspace id.Workspace
	Client    string
	Person    id.User
	Agent     id.Agent
	Seen      Seen
	At        time.Time // of the last consent
}

// Seen is what a person last consented to, so that the next consent can say what changed.
type Seen struct {
	Name        string                  `json:"name"`
	Redirect    string                  `json:"redirect"` // RedirectHost
	Permissions []delegation.Permission `json:"permissions,omitempty"`
}

// RememberApp notes a consent: the app is this agent of the person from now on, and what it looked like. At is the transaction's time. before is the agent that it was,
// zero for none: no agent of an app's is forgotten unseen. Codes: client_unknown, where the app registered itself and is gone; consent_changed.
func (room *Room) RememberApp(tx *audit.Tx, a AppAgent, before id.Agent) error {
	if app, err := id.Parse[id.App](a.Client); err == nil {
		if ok, err := consented(tx, app, tx.Now().Add(-unusedLife)); err != nil || !ok {
			if err == nil {
				err = UnknownApp()
			}
			return err
		}
	}
	ok, err := putAppAgent(tx, a, before)
	if err == nil && !ok {
		err = fault.New(fault.Conflict, "consent_changed", "the app became another agent of yours just now").Try("reload the page")
	}
	return err
}

// AppAgent reads which agent an app is for a person. Code: not_found.
func (room *Room) AppAgent(ctx context.Context, ws id.Workspace, client string, person id.User) (AppAgent, error) {
	return room.appAgent(ctx, ws, client, person)
}

// AppOf reads which app an agent is. Code: not_found: it is none.
func (room *Room) AppOf(ctx context.Context, ws id.Workspace, agent id.Agent) (AppAgent, error) {
	return room.appOf(ctx, ws, agent)
}

// AppQuery says which consents are listed.
type AppQuery struct {
	Client string  // "" for all
	Person id.User // zero for all
	After  id.Agent
	Limit  int // at most 200
}

// AppAgents lists the apps that people consented to, in the order of their agents, which is that of each first consent.
func (room *Room) AppAgents(ctx context.Context, ws id.Workspace, q AppQuery) ([]AppAgent, error) {
	q.Limit = bounded(q.Limit)
	return room.listAppAgents(ctx, ws, q)
}

func consentNotFound() error {
	return fault.New(fault.NotFound, "not_found", "nobody consented to this app here")
}
