package agents

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

const agentColumns = `agent.id, agent.workspace, agent.name, agent.owner, agent.description, agent.framework, agent.model, agent.tags, agent.status,
	agent.expires_at, agent.created_at, agent.offered, agent.tokens_from,
	(SELECT min(gone.since) FROM owner_gone gone WHERE gone.owner = agent.owner AND gone.workspace IN ('', agent.workspace))`

func (a *Agent) into() []any {
	return []any{
		&a.ID, &a.Workspace, &a.Name, &a.Owner, &a.Description, &a.Framework, &a.Model, &a.Tags, &a.Status,
		micros{&a.ExpiresAt},
		micros{&a.CreatedAt},
		&a.Offered, &a.TokensFrom,
		micros{&a.OwnerlessSince},
	}
}

func scanAgent(row *sql.Row) (a Agent, err error) {
	err = one(row, notFound("agent"), a.into()...)
	return a, err
}

func (room *Room) agentByID(ctx context.Context, ws id.Workspace, agent id.Agent) (Agent, error) {
	return scanAgent(room.r.Row(ctx, `SELECT `+agentColumns+` FROM agent WHERE workspace = $1 AND id = $2`, ws, agent))
}

func (room *Room) agentByName(ctx context.Context, ws id.Workspace, name string) (Agent, error) {
	return scanAgent(room.r.Row(ctx, `SELECT `+agentColumns+` FROM agent WHERE workspace = $1 AND name = $2`, ws, name))
}

func (room *Room) anywhere(ctx context.Context, agent id.Agent) (Agent, error) {
	return scanAgent(room.r.Row(ctx, `SELECT `+agentColumns+` FROM agent WHERE id = $1`, agent))
}

func insertAgent(tx *audit.Tx, a Agent) (bool, error) {
	n, err := tx.Exec(`INSERT INTO agent (id, workspace, name, owner, description, framework, model, tags, status, expires_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		a.ID, a.Workspace, a.Name, a.Owner, a.Description, a.Framework, a.Model, a.Tags.text, a.Status, null(a.ExpiresAt), a.CreatedAt.UnixMicro())
	if err != nil || n == 0 {
		return false, err
	}
	return true, insertTags(tx, a)
}

func insertTags(tx *audit.Tx, a Agent) error {
	for name, value := range a.Tags.Map() {
		if _, err := tx.Exec(`INSERT INTO agent_tag (workspace, agent, name, value) VALUES ($1, $2, $3, $4)`, a.Workspace, a.ID, name, value); err != nil {
			return err
		}
	}
	return nil
}

// unexpired is what an UPDATE demands of an agent that is not revoked: its end, a number of microseconds, has not come.
const unexpired = ` AND (expires_at IS NULL OR expires_at > `

func moveAgent(tx *audit.Tx, ws id.Workspace, agent id.Agent, from, to Status) (Agent, error) {
	a, err := scanAgent(tx.Row(`UPDATE agent SET status = $3 WHERE workspace = $1 AND id = $2 AND status = $4`+unexpired+`$5) RETURNING `+agentColumns,
		ws, agent, to, from, tx.Now().UnixMicro()))
	if err == nil {
		err = pause(tx, ws, agent, id.Key{}, to)
	}
	return a, agentState(tx, ws, agent, to, err)
}

func revokeAgent(tx *audit.Tx, ws id.Workspace, agent id.Agent) (Agent, error) {
	a, err := scanAgent(tx.Row(`UPDATE agent SET status = $3, offered = NULL WHERE workspace = $1 AND id = $2 AND status <> $3 RETURNING `+agentColumns,
		ws, agent, Revoked))
	return a, agentState(tx, ws, agent, Revoked, err)
}

// agentState says why an UPDATE of an agent found no row.
func agentState(tx *audit.Tx, ws id.Workspace, agent id.Agent, to Status, err error) error {
	if fault.Code(err) != "not_found" {
		return err
	}
	a, e := scanAgent(tx.Row(`SELECT `+agentColumns+` FROM agent WHERE workspace = $1 AND id = $2`, ws, agent))
	if e != nil {
		return e
	}
	return wrongState("agent "+agent.String(), a.StatusAt(tx.Now()), to)
}

// pause notes that an agent, or one instance of it, was suspended now, or that this ended.
func pause(tx *audit.Tx, ws id.Workspace, agent id.Agent, key id.Key, to Status) error {
	at, err := tx.Now().UnixMicro(), error(nil)
	switch to {
	case Suspended:
		_, err = tx.Exec(`INSERT INTO agent_pause (workspace, agent, key, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, ws, agent, key.String(), at)
	case Active:
		_, err = tx.Exec(`UPDATE agent_pause SET until = $4 WHERE workspace = $1 AND agent = $2 AND key = $3 AND until IS NULL`, ws, agent, key.String(), at)
	}
	return err
}

// NotEnded is nil for an agent that may still change, or come to act. Codes: not_found; wrong_state after its end.
func (room *Room) NotEnded(tx *audit.Tx, ws id.Workspace, agent id.Agent) error {
	_, err := liveForChange(tx, ws, agent)
	return err
}

// liveForChange reads an agent that has not ended and, on PostgreSQL, holds its row until the commit.
func liveForChange(tx *audit.Tx, ws id.Workspace, agent id.Agent) (Agent, error) {
	a, err := scanAgent(tx.Row(`SELECT `+agentColumns+` FROM agent WHERE workspace = $1 AND id = $2`+tx.ForUpdate(), ws, agent))
	if err != nil {
		return Agent{}, err
	}
	if is := a.StatusAt(tx.Now()); is == Revoked || is == Expired {
		return a, fault.New(fault.Conflict, "wrong_state", "agent %s is %s, for ever: nothing about it changes any more", agent, is).Try("register a new agent")
	}
	return a, nil
}

func setOwner(tx *audit.Tx, ws id.Workspace, agent id.Agent, owner id.User) (Agent, error) {
	return scanAgent(tx.Row(`UPDATE agent SET owner = $3, offered = NULL WHERE workspace = $1 AND id = $2 RETURNING `+agentColumns, ws, agent, owner))
}

func setOffered(tx *audit.Tx, ws id.Workspace, agent id.Agent, to id.User) (Agent, error) {
	return scanAgent(tx.Row(`UPDATE agent SET offered = $3 WHERE workspace = $1 AND id = $2 RETURNING `+agentColumns, ws, agent, to))
}

// updateAgent stores what people say about an agent.
func updateAgent(tx *audit.Tx, a Agent, tags bool) error {
	_, err := tx.Exec(`UPDATE agent SET description = $3, framework = $4, model = $5, tags = $6, expires_at = $7 WHERE workspace = $1 AND id = $2`,
		a.Workspace, a.ID, a.Description, a.Framework, a.Model, a.Tags.text, null(a.ExpiresAt))
	if err != nil || !tags {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM agent_tag WHERE workspace = $1 AND agent = $2`, a.Workspace, a.ID); err != nil {
		return err
	}
	return insertTags(tx, a)
}

// suspension is a time in which an agent, or one line of it, was suspended.
type suspension struct {
	Span
	key id.Key // the line; zero: the whole agent
}

// maxSuspensions bounds how many an answer tells: the latest.
const maxSuspensions = 1000

func (room *Room) suspensions(ctx context.Context, ws id.Workspace, agent id.Agent) ([]suspension, error) {
	rows, err := room.r.Rows(ctx, `SELECT key, since, until FROM agent_pause WHERE workspace = $1 AND agent = $2 ORDER BY since DESC, key LIMIT $3`,
		ws, agent, maxSuspensions)
	found, err := all(rows, err, func(s *suspension) []any { return []any{maybeKey{&s.key}, micros{&s.Since}, micros{&s.Until}} })
	slices.Reverse(found)
	return found, err
}

// during reads the instances of an agent that had begun before one moment and not ended at another.
func (room *Room) during(ctx context.Context, a Agent, from, to time.Time) ([]Instance, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND agent = $2 AND created_at < $4
		AND (ended_at IS NULL OR ended_at > $3) AND (instance.expires_at IS NULL OR instance.expires_at > $3) ORDER BY key LIMIT $5`,
		a.Workspace, a.ID, from.UnixMicro(), to.UnixMicro(), 2*MaxInstances)
	return all(rows, err, (*Instance).into)
}

// maybeKey receives a key, or ” as none.
type maybeKey struct{ to *id.Key }

// Scan implements sql.Scanner.
func (m maybeKey) Scan(src any) error {
	if s, ok := src.(string); ok && s == "" {
		*m.to = id.Key{}
		return nil
	}
	return m.to.Scan(src)
}

// ranked is an instance, and how many its agent has.
type ranked struct {
	Instance
	of int
}

// firstInstances reads, of each agent, as many instances as are wanted: those that have not ended before those that have, the newest first.
func (room *Room) firstInstances(ctx context.Context, ws id.Workspace, of []id.Agent, limit int, now time.Time) ([]ranked, error) {
	args := []any{ws, limit, now.UnixMicro()}
	in := marks(of, func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	})
	rows, err := room.r.Rows(ctx, `SELECT `+instanceColumns+`, total FROM (SELECT *, row_number() OVER own AS place,
			count(*) OVER (PARTITION BY agent) AS total FROM instance WHERE workspace = $1 AND agent IN (`+in+`) 
			WINDOW own AS (PARTITION BY agent ORDER BY CASE WHEN status = 'suspended' OR `+liveAt("$3")+` THEN 0 ELSE 1 END, created_at DESC, key)) AS instance
		WHERE place <= $2 ORDER BY agent, place`, args...)
	return all(rows, err, func(r *ranked) []any { return append(r.into(), &r.of) })
}
