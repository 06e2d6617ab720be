package agents

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Agent is a registered software actor. Its name is for people and identifies nothing outside its workspace.
type Agent struct {
	ID          id.Agent
	Workspace   id.Workspace
	Name        string
	Owner       id.User // the person accountable for it
	Description string
	Framework   string // information
	Model       string // information
	Tags        Tags
	Status      Status    // as stored; StatusAt says how it stands
	ExpiresAt   time.Time // zero: never
	CreatedAt   time.Time

	Offered        id.User   // who becomes the owner if they accept; zero: it is offered to nobody
	OwnerlessSince time.Time // since when the owner cannot act; zero: they can

	TokensFrom int64 // seconds: tokens with an iat up to it have ended, whatever the agent's status
}

// NewAgent is what Register needs.
type NewAgent struct {
	ID          id.Agent // zero: Register makes one
	Workspace   id.Workspace
	Name        string // [a-z0-9][a-z0-9._-]{0,63}, not in the form of an identifier; unique in the workspace for ever
	Owner       id.User
	Description string // at most 500 bytes, no control characters
	Framework   string // at most 100 bytes, and so is Model
	Model       string
	Tags        Tags
	ExpiresAt   time.Time // zero: never
	Pending     bool      // it waits for approval
}

const (
	maxDescription = 500
	maxKind        = 100 // of framework and model
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// GoodName reports whether an agent can have the name: nobody takes it for an identifier, or for themselves.
func GoodName(s string) bool {
	return nameForm.MatchString(s) && s != "me" && (len(s) != len("agt_")+26 || s[3] != '_')
}

// Live is nil while the agent may act at now; else a fault with code agent_pending, agent_suspended, agent_revoked or agent_expired.
func (a Agent) Live(now time.Time) error {
	switch {
	case a.Status == Revoked:
		return fault.New(fault.Unauthenticated, "agent_revoked", "agent %s was revoked; that is final", a.ID).Try("register a new agent")
	case a.Status == Suspended:
		return fault.New(fault.Unauthenticated, "agent_suspended", "agent %s is suspended", a.ID).Try("ask its owner or an administrator to resume it")
	case a.Status != Active:
		return fault.New(fault.Unauthenticated, "agent_pending", "agent %s has not been approved yet", a.ID).Try("ask an administrator to approve it")
	case a.expired(now):
		return fault.New(fault.Unauthenticated, "agent_expired", "agent %s expired at %s", a.ID, a.ExpiresAt.UTC().Format(time.RFC3339)).
			Try("register a new agent")
	}
	return nil
}

func (a Agent) expired(now time.Time) bool { return !a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt) }

// lastYear is the last in which an agent may end: until 2255 a moment in microseconds is an exact number everywhere (RFC 8785 §3.2.2.3).
const lastYear = 2199

// checkEnd refuses an end that has come, or is further off than anybody can mean.
func checkEnd(end, now time.Time) error {
	switch {
	case end.IsZero():
		return nil
	case !end.After(now):
		return invalid("the agent's end lies in the past").Try("give a time to come, or revoke the agent")
	case end.UTC().Year() > lastYear:
		return invalid("the agent's end lies after the year %d", lastYear).Try("leave the end out: the agent then ends when it is revoked")
	}
	return nil
}

// Register stores a new agent, active at once unless it is to wait for approval. Whether the owner may have it is the caller's to check. Codes: agent_invalid, name_taken.
func (room *Room) Register(tx *audit.Tx, n NewAgent) (Agent, error) {
	now := tx.Now()
	switch {
	case n.Workspace.IsZero() || n.Owner.IsZero():
		return Agent{}, invalid("an agent belongs to a workspace and has an owner")
	case !GoodName(n.Name):
		return Agent{}, invalid("an agent's name begins with a letter or digit and has letters a-z, digits, dots, underscores and hyphens, 64 at most; " +
			"it is not me, and does not look like an identifier")
	}
	if err := checkEnd(n.ExpiresAt, now); err != nil {
		return Agent{}, err
	}
	a := Agent{
		ID: n.ID, Workspace: n.Workspace, Name: n.Name, Owner: n.Owner, Description: n.Description, Framework: n.Framework, Model: n.Model, Tags: n.Tags,
		Status: Active, ExpiresAt: stored(n.ExpiresAt), CreatedAt: stored(now),
	}
	if n.Pending {
		a.Status = Pending
	}
	if err := a.checkTexts(); err != nil {
		return Agent{}, err
	}
	if a.ID.IsZero() {
		a.ID = id.New[id.Agent](now)
	}
	if ok, err := insertAgent(tx, a); err != nil {
		return Agent{}, err
	} else if !ok {
		return Agent{}, fault.New(fault.Conflict, "name_taken", "the workspace has, or had, an agent named %s", a.Name).
			Try("choose another name: names are never given again")
	}
	return a, nil
}

// checkTexts holds what people write about an agent to its form.
func (a Agent) checkTexts() error {
	for _, t := range []struct {
		what, text string
		most       int
	}{{"description", a.Description, maxDescription}, {"framework", a.Framework, maxKind}, {"model", a.Model, maxKind}} {
		switch {
		case len(t.text) > t.most:
			return invalid("an agent's %s has at most %d bytes, not %d", t.what, t.most, len(t.text))
		case !utf8.ValidString(t.text) || strings.ContainsFunc(t.text, unicode.IsControl):
			return invalid("an agent's %s is one line of text without control characters", t.what)
		}
	}
	return nil
}

// Approve lets an agent that waited for it act. Codes: not_found, wrong_state.
func (room *Room) Approve(tx *audit.Tx, ws id.Workspace, agent id.Agent) (Agent, error) {
	return moveAgent(tx, ws, agent, Pending, Active)
}

// Suspend stops the agent and all its instances until Resume. Codes: not_found, wrong_state.
func (room *Room) Suspend(tx *audit.Tx, ws id.Workspace, agent id.Agent) (Agent, error) {
	return moveAgent(tx, ws, agent, Active, Suspended)
}

// Resume ends a suspension. Instances suspended or revoked themselves stay so. Codes: not_found, wrong_state.
func (room *Room) Resume(tx *audit.Tx, ws id.Workspace, agent id.Agent) (Agent, error) {
	return moveAgent(tx, ws, agent, Suspended, Active)
}

// Revoke ends the agent and its instances for ever, and returns the keys of those that it ended, sorted. Codes: not_found, wrong_state.
func (room *Room) Revoke(tx *audit.Tx, ws id.Workspace, agent id.Agent) (Agent, []id.Key, error) {
	a, err := revokeAgent(tx, ws, agent)
	if err != nil {
		return Agent{}, nil, err
	}
	ended, err := revokeInstances(tx, ws, agent)
	return a, ended, err
}

// Agent reads an agent of the workspace. Code: not_found.
func (room *Room) Agent(ctx context.Context, ws id.Workspace, agent id.Agent) (Agent, error) {
	return room.agentByID(ctx, ws, agent)
}

// Find reads the agent whose id or name text is. Code: not_found.
func (room *Room) Find(ctx context.Context, ws id.Workspace, text string) (Agent, error) {
	if agent, err := id.Parse[id.Agent](text); err == nil { // no name has this form
		return room.Agent(ctx, ws, agent)
	}
	if !nameForm.MatchString(text) { // nor reaches the database, which may choke on its bytes
		return Agent{}, notFound("agent")
	}
	return room.agentByName(ctx, ws, text)
}

// stored is t as the database gives it back: in microseconds.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMicro(t.UnixMicro())
}

func invalid(reason string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "agent_invalid", reason, args...)
}

// notFound says the same of what does not exist and of what is in another workspace.
func notFound(what string) error {
	list := map[string]string{"agent": "attorn agent ls", "instance": "attorn agent instances AGENT", "trust rule": "attorn agent trust ls"}[what]
	return fault.New(fault.NotFound, "not_found", "there is no such %s in this workspace", what).Try("see what there is: %s", list)
}
