package agents

import (
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Change is what is to change of what people say about an agent; nil leaves a member as it is.
type Change struct {
	Description *string
	Framework   *string
	Model       *string
	ExpiresAt   *time.Time // zero: never
	Set         map[string]string
	Remove      []string // names of tags
}

// Tags reports whether the change is of tags.
func (c Change) Tags() bool { return len(c.Set) > 0 || len(c.Remove) > 0 }

// Only reports whether the change is of tags alone.
func (c Change) Only() bool {
	return c.Tags() && c.Description == nil && c.Framework == nil && c.Model == nil && c.ExpiresAt == nil
}

// Change changes an agent that has not ended, and returns it with the names of what is different now: an agent that has expired stays expired, for its
// keys' intervals are published. Codes: not_found, wrong_state, agent_invalid.
func (room *Room) Change(tx *audit.Tx, ws id.Workspace, agent id.Agent, c Change) (Agent, []string, error) {
	before, err := liveForChange(tx, ws, agent)
	if err != nil {
		return Agent{}, nil, err
	}
	after := before
	put(&after.Description, c.Description)
	put(&after.Framework, c.Framework)
	put(&after.Model, c.Model)
	if c.ExpiresAt != nil {
		after.ExpiresAt = stored(*c.ExpiresAt)
		if err := checkEnd(after.ExpiresAt, tx.Now()); err != nil {
			return Agent{}, nil, err
		}
	}
	if err := after.checkTexts(); err != nil {
		return Agent{}, nil, err
	}
	if c.Tags() {
		if after.Tags, err = before.Tags.With(c.Set, c.Remove); err != nil {
			return Agent{}, nil, err
		}
	}
	changed := before.differs(after)
	if len(changed) == 0 {
		return after, nil, nil
	}
	return after, changed, updateAgent(tx, after, before.Tags != after.Tags)
}

func put(to, from *string) {
	if from != nil {
		*to = *from
	}
}

// differs names what people say about one agent and not about the other.
func (a Agent) differs(b Agent) (names []string) {
	for _, m := range []struct {
		name string
		same bool
	}{
		{"description", a.Description == b.Description},
		{"framework", a.Framework == b.Framework},
		{"model", a.Model == b.Model},
		{"tags", a.Tags == b.Tags},
		{"expires", a.ExpiresAt.Equal(b.ExpiresAt)},
	} {
		if !m.same {
			names = append(names, m.name)
		}
	}
	return names
}

// Differs names what an agent that is to be registered has different from this one: nothing, where a registration is only repeated.
func (a Agent) Differs(n NewAgent) []string {
	b := a
	b.Description, b.Framework, b.Model, b.Tags, b.ExpiresAt = n.Description, n.Framework, n.Model, n.Tags, stored(n.ExpiresAt)
	names := a.differs(b)
	if a.Owner != n.Owner {
		names = append(names, "owner")
	}
	return names
}
