package clients

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// insertApp reports false where as many apps as may wait for a first consent.
func insertApp(tx *audit.Tx, app id.App, ws id.Workspace, metadata string) (bool, error) {
	n, err := tx.Exec(`INSERT INTO app (id, workspace, metadata, created_at) SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM app WHERE consented_at IS NULL) < $5`,
		app, ws, metadata, tx.Now().UnixMicro(), maxUnused)
	return n == 1, err
}

func deleteUnused(tx *audit.Tx, before time.Time) error {
	_, err := tx.Exec(`DELETE FROM app WHERE id IN (SELECT id FROM app WHERE consented_at IS NULL AND created_at <= $1 ORDER BY created_at LIMIT $2)`, before.UnixMicro(), sweep)
	return err
}

func deleteApp(tx *audit.Tx, ws id.Workspace, app id.App) (bool, error) {
	n, err := tx.Exec(`DELETE FROM app WHERE id = $1 AND workspace = $2`, app, ws)
	return n == 1, err
}

// consented notes an app's first consent; false: there is no such app, or it was never consented to in time.
func consented(tx *audit.Tx, app id.App, since time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE app SET consented_at = COALESCE(consented_at, $2) WHERE id = $1 AND (consented_at IS NOT NULL OR created_at > $3)`,
		app, tx.Now().UnixMicro(), since.UnixMicro())
	return n == 1, err
}

func (room *Room) app(ctx context.Context, app id.App, since time.Time) (App, error) {
	var raw string
	var ws id.Workspace
	var created int64
	err := room.r.Row(ctx, `SELECT workspace, metadata, created_at FROM app WHERE id = $1 AND (consented_at IS NOT NULL OR created_at > $2)`, app, since.UnixMicro()).
		Scan(&ws, &raw, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return App{}, UnknownApp()
	} else if err != nil {
		return App{}, err
	}
	m, err := decodeMetadata(raw)
	if err != nil {
		return App{}, err
	}
	return m.registered(app, ws, time.UnixMicro(created))
}

// ---- rules ----

const ruleColumns = `workspace, client, allow, bearer, reason, made_by, created_at`

func scanRule(row interface{ Scan(into ...any) error }) (Rule, error) {
	var r Rule
	var allow, bearer, created int64
	err := row.Scan(&r.Workspace, &r.Client, &allow, &bearer, &r.Reason, &r.By, &created)
	if errors.Is(err, sql.ErrNoRows) {
		err = ruleNotFound()
	}
	r.Allow, r.Bearer, r.CreatedAt = allow == 1, bearer == 1, time.UnixMicro(created)
	return r, err
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// putRule reports false where the workspace has as many rules as it may have.
func putRule(tx *audit.Tx, r Rule) (bool, error) {
	n, err := tx.Exec(`INSERT INTO client_rule (`+ruleColumns+`) SELECT $1, $2, $3, $4, $5, $6, $7
		WHERE (SELECT count(*) FROM client_rule WHERE workspace = $1 AND client <> $2) < $8
		ON CONFLICT (workspace, client) DO UPDATE SET allow = excluded.allow, bearer = excluded.bearer, reason = excluded.reason, made_by = excluded.made_by,
			created_at = excluded.created_at`,
		r.Workspace, r.Client, bit(r.Allow), bit(r.Bearer), r.Reason, r.By, tx.Now().UnixMicro(), maxRules)
	return n == 1, err
}

func deleteRule(tx *audit.Tx, ws id.Workspace, client string) (Rule, error) {
	return scanRule(tx.Row(`DELETE FROM client_rule WHERE workspace = $1 AND client = $2 RETURNING `+ruleColumns, ws, client))
}

// rulesAbout reads the rules about exactly these.
func (room *Room) rulesAbout(ctx context.Context, ws id.Workspace, clients []string) (map[string]Rule, error) {
	args, in := []any{ws}, make([]string, len(clients))
	for i, c := range clients {
		args = append(args, c)
		in[i] = fmt.Sprintf("$%d", i+2)
	}
	rows, err := room.r.Rows(ctx, `SELECT `+ruleColumns+` FROM client_rule WHERE workspace = $1 AND client IN (`+strings.Join(in, ", ")+`)`, args...)
	found := map[string]Rule{}
	all, err := collect(rows, err, scanRule)
	for _, r := range all {
		found[r.Client] = r
	}
	return found, err
}

func (room *Room) listRules(ctx context.Context, ws id.Workspace, after string, limit int) ([]Rule, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+ruleColumns+` FROM client_rule WHERE workspace = $1 AND client > $2 ORDER BY client LIMIT $3`, ws, after, limit)
	return collect(rows, err, scanRule)
}

func collect[T any](rows *sql.Rows, err error, scan func(interface{ Scan(into ...any) error }) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// ---- the agents that apps became ----

const knownIn = `SELECT DISTINCT workspace FROM app_agent WHERE client = $1 ORDER BY workspace`

func scanWorkspace(row interface{ Scan(into ...any) error }) (ws id.Workspace, err error) {
	return ws, row.Scan(&ws)
}

const appAgentColumns = `workspace, client, person, agent, seen, consented_at`

func scanAppAgent(row interface{ Scan(into ...any) error }) (AppAgent, error) {
	var a AppAgent
	var seen string
	var at int64
	err := row.Scan(&a.Workspace, &a.Client, &a.Person, &a.Agent, &seen, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = consentNotFound()
	}
	if err != nil {
		return AppAgent{}, err
	}
	a.At = time.UnixMicro(at)
	return a, json.Unmarshal([]byte(seen), &a.Seen, json.RejectUnknownMembers(true))
}

// putAppAgent reports false where the app is another agent than before.
func putAppAgent(tx *audit.Tx, a AppAgent, before id.Agent) (bool, error) {
	seen, err := jose.Canonical(a.Seen)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO app_agent (`+appAgentColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (workspace, client, person) DO UPDATE SET agent = excluded.agent, seen = excluded.seen, consented_at = excluded.consented_at
		WHERE app_agent.agent IN (excluded.agent, $7)`, a.Workspace, a.Client, a.Person, a.Agent, string(seen), tx.Now().UnixMicro(), before.String())
	return n == 1, err
}

func (room *Room) appAgent(ctx context.Context, ws id.Workspace, client string, person id.User) (AppAgent, error) {
	return scanAppAgent(room.r.Row(ctx, `SELECT `+appAgentColumns+` FROM app_agent WHERE workspace = $1 AND client = $2 AND person = $3`, ws, client, person))
}

func (room *Room) appOf(ctx context.Context, ws id.Workspace, agent id.Agent) (AppAgent, error) {
	return scanAppAgent(room.r.Row(ctx, `SELECT `+appAgentColumns+` FROM app_agent WHERE workspace = $1 AND agent = $2`, ws, agent))
}

func (room *Room) listAppAgents(ctx context.Context, ws id.Workspace, q AppQuery) ([]AppAgent, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+appAgentColumns+` FROM app_agent WHERE workspace = $1 AND ($2 = '' OR client = $2) AND ($3 = '' OR person = $3) AND agent > $4
		ORDER BY agent LIMIT $5`, ws, q.Client, q.Person.String(), q.After.String(), q.Limit)
	return collect(rows, err, scanAppAgent)
}
