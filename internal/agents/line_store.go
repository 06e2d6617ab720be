package agents

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// maxLine is how many keys of a line are read at once.
const maxLine = 500

// headOf finds the head of the line of the key $2. The index instance_head sees to it that there is one.
const headOf = `SELECT ` + instanceColumns + ` FROM instance WHERE workspace = $1 AND status <> 'rotated'
	AND line = (SELECT of.line FROM instance of WHERE of.workspace = $1 AND of.key = $2)`

// liveAt is true of an instance that has not ended by itself and is not suspended, at a time in microseconds.
func liveAt(now string) string {
	return `(status = 'active' AND (expires_at IS NULL OR expires_at > ` + now + `) OR status = 'rotated' AND ended_at > ` + now + `)`
}

// stopped lists the keys of an agent that could act but for the head of their line, or whatever is above them.
func (room *Room) stopped(ctx context.Context, a Agent, now time.Time) ([]id.Key, error) {
	rows, err := room.r.Rows(ctx, `WITH RECURSIVE up (start, key, n) AS (
			SELECT i.key, h.key, 0 FROM instance i JOIN instance h ON h.line = i.line AND h.status <> 'rotated'
				WHERE i.workspace = $1 AND i.agent = $2 AND (i.status = 'active' AND i.parent IS NOT NULL AND i.expires_at > $3 OR i.status = 'rotated' AND i.ended_at > $3)
			UNION ALL
			SELECT up.start, h.key, up.n + 1 FROM up JOIN instance c ON c.key = up.key JOIN instance p ON p.key = c.parent
				JOIN instance h ON h.line = p.line AND h.status <> 'rotated' WHERE up.n <= $4
		)
		SELECT DISTINCT up.start FROM up JOIN instance h ON h.key = up.key JOIN agent ON agent.id = h.agent AND agent.workspace = h.workspace
			WHERE h.status <> 'active' OR h.expires_at <= $3 OR up.n > 0 AND (agent.status <> 'active' OR agent.expires_at <= $3)`,
		a.Workspace, a.ID, now.UnixMicro(), MaxDepth)
	return all(rows, err, func(k *id.Key) []any { return []any{k} })
}

// above reads the head of a key's line with its agent, then that of the line that spawned it, and so on up.
func (room *Room) above(ctx context.Context, key id.Key) ([]Standing, error) {
	rows, err := room.r.Rows(ctx, `WITH RECURSIVE up (key, n) AS (
			SELECT h.key, 1 FROM instance i JOIN instance h ON h.line = i.line AND h.status <> 'rotated' WHERE i.key = $1
			UNION ALL
			SELECT h.key, up.n + 1 FROM up JOIN instance c ON c.key = up.key JOIN instance p ON p.key = c.parent
				JOIN instance h ON h.line = p.line AND h.status <> 'rotated' WHERE up.n <= $2
		)
		SELECT `+agentColumns+`, `+instanceColumns+` FROM up JOIN instance ON instance.key = up.key
			JOIN agent ON agent.id = instance.agent AND agent.workspace = instance.workspace ORDER BY up.n`, key, MaxDepth)
	return all(rows, err, func(s *Standing) []any { return append(s.Agent.into(), s.Instance.into()...) })
}

func (room *Room) line(ctx context.Context, ws id.Workspace, key id.Key) ([]Instance, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+instanceColumns+` FROM instance WHERE workspace = $1
		AND line = (SELECT of.line FROM instance of WHERE of.workspace = $1 AND of.key = $2) ORDER BY created_at DESC LIMIT $3`, ws, key, maxLine)
	found, err := all(rows, err, (*Instance).into)
	follows := map[id.Key]int{}
	for n, i := range found {
		follows[i.Key] = n
	}
	ordered := make([]Instance, 0, len(found))
	for n := slices.IndexFunc(found, func(i Instance) bool { return i.Status != Rotated }); n >= 0 && len(ordered) < len(found); {
		ordered = append(ordered, found[n])
		before, ok := follows[found[n].Predecessor]
		if !ok {
			break
		}
		n = before
	}
	slices.Reverse(ordered)
	return ordered, err
}

// lasting reads an agent's instances that have not ended.
func (room *Room) lasting(ctx context.Context, ws id.Workspace, agent id.Agent, now time.Time) ([]Instance, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND agent = $2
			AND status IN ('active', 'suspended') AND (expires_at IS NULL OR expires_at > $3)
		UNION ALL SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND agent = $2 AND status = 'rotated' AND ended_at > $3
		ORDER BY 7, 1`, ws, agent, now.UnixMicro()) // created_at, key
	return all(rows, err, (*Instance).into)
}

func (room *Room) latest(ctx context.Context, ws id.Workspace, agent id.Agent) ([]Instance, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND agent = $2 ORDER BY created_at DESC, key LIMIT $3`,
		ws, agent, maxPage)
	return all(rows, err, (*Instance).into)
}

// lockInstance reads an instance; on PostgreSQL it holds its row until the commit.
func lockInstance(tx *audit.Tx, ws id.Workspace, key id.Key) (Instance, error) {
	return scanInstance(tx.Row(`SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND key = $2`+tx.ForUpdate(), ws, key), notFound("instance"))
}

func moveInstance(tx *audit.Tx, ws id.Workspace, key id.Key, from, to Status) (Instance, error) {
	i, err := scanInstance(tx.Row(`UPDATE instance SET status = $3 WHERE workspace = $1 AND status = $4
		AND line = (SELECT of.line FROM instance of WHERE of.workspace = $1 AND of.key = $2) RETURNING `+instanceColumns,
		ws, key, to, from), notFound("instance"))
	if err == nil {
		err = pause(tx, ws, i.Agent, i.Line, to)
	}
	return i, instanceState(tx, ws, key, to, err)
}

// revokeInstance ends a head. What had expired keeps that end.
func revokeInstance(tx *audit.Tx, ws id.Workspace, key id.Key) (Instance, error) {
	return scanInstance(tx.Row(`UPDATE instance SET status = 'revoked', ended_at = CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END
		WHERE workspace = $1 AND key = $2 AND status IN ('active', 'suspended', 'revoked') RETURNING `+instanceColumns,
		ws, key, tx.Now().UnixMicro()), notFound("instance"))
}

// families lists the agent $2's lines that are live at $4, or that of its instance $3 alone, and the live lines that they spawned: what had ended ended
// what it spawned.
const families = `WITH RECURSIVE family (line) AS (
		SELECT line FROM instance WHERE workspace = $1 AND agent = $2 AND $3 = '' AND status IN ('active', 'suspended')
			AND (expires_at IS NULL OR expires_at > $4)
		UNION
		SELECT line FROM instance WHERE workspace = $1 AND agent = $2 AND key = $3
		UNION
		SELECT c.line FROM family JOIN instance p ON p.line = family.line JOIN instance c ON c.parent = p.key
			WHERE c.expires_at > $4 AND c.status IN ('active', 'suspended')
	) `

func family(tx *audit.Tx, ws id.Workspace, agent id.Agent, key id.Key) ([]Member, error) {
	rows, err := tx.Rows(families+`SELECT agent, key, CASE WHEN status IN ('active', 'suspended') AND (expires_at IS NULL OR expires_at > $4)
			OR status = 'rotated' AND ended_at > $4 THEN 1 ELSE 0 END
		FROM instance WHERE line IN (SELECT line FROM family) ORDER BY agent, key`, ws, agent, key.String(), tx.Now().UnixMicro())
	return all(rows, err, func(m *Member) []any { return []any{&m.Agent, &m.Key, &m.Live} })
}

// revokeFamily ends what is live of it.
func revokeFamily(tx *audit.Tx, ws id.Workspace, agent id.Agent, key id.Key) error {
	args := []any{ws, agent, key.String(), tx.Now().UnixMicro()}
	if _, err := tx.Exec(families+`UPDATE instance SET ended_at = $4 WHERE line IN (SELECT line FROM family) AND status = 'rotated' AND ended_at > $4`, args...); err != nil {
		return err
	}
	_, err := tx.Exec(families+`UPDATE instance SET status = 'revoked', ended_at = $4 WHERE line IN (SELECT line FROM family)
		AND status IN ('active', 'suspended') AND (expires_at IS NULL OR expires_at > $4)`, args...)
	return err
}

// revokeInstances ends what is left of an agent's instances, and all that they spawned, and lists the keys that it ended.
func revokeInstances(tx *audit.Tx, ws id.Workspace, agent id.Agent) ([]id.Key, error) {
	members, err := family(tx, ws, agent, id.Key{})
	if err != nil {
		return nil, err
	}
	var ended []id.Key
	for _, m := range members {
		if m.Live {
			ended = append(ended, m.Key)
		}
	}
	slices.SortFunc(ended, func(a, b id.Key) int { return strings.Compare(a.String(), b.String()) })
	return ended, revokeFamily(tx, ws, agent, id.Key{})
}
