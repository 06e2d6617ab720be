package agents

import (
	"context"
	"database/sql"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// ruleText receives a rule as it was stored.
type ruleText struct{ to *TrustRule }

// Scan implements sql.Scanner.
func (r ruleText) Scan(src any) error {
	var text sql.Null[string]
	if err := text.Scan(src); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text.V), r.to, json.RejectUnknownMembers(true))
}

func (r *TrustRule) into() []any { return []any{ruleText{r}, micros{&r.CreatedAt}} }

// insertRule reports false where the workspace has as many rules as it may have.
func insertRule(tx *audit.Tx, r TrustRule, raw []byte) (bool, error) {
	n, err := tx.Exec(`INSERT INTO trust_rule (id, workspace, agent, issuer, rule, created_at) SELECT $1, $2, $3, $4, $5, $6
		WHERE (SELECT count(*) FROM trust_rule WHERE workspace = $2) < $7`,
		r.ID, r.Workspace, r.Agent, r.Issuer, string(raw), tx.Now().UnixMicro(), maxRules)
	return n == 1, err
}

func deleteRule(tx *audit.Tx, ws id.Workspace, rule id.TrustRule) (bool, error) {
	n, err := tx.Exec(`DELETE FROM trust_rule WHERE workspace = $1 AND id = $2`, ws, rule)
	return n == 1, err
}

func (room *Room) rule(ctx context.Context, ws id.Workspace, rule id.TrustRule) (r TrustRule, err error) {
	err = one(room.r.Row(ctx, `SELECT rule, created_at FROM trust_rule WHERE workspace = $1 AND id = $2`, ws, rule), notFound("trust rule"), r.into()...)
	return r, err
}

func (room *Room) listRules(ctx context.Context, ws id.Workspace, agent id.Agent, after id.TrustRule, limit int) ([]TrustRule, error) {
	rows, err := room.r.Rows(ctx, `SELECT rule, created_at FROM trust_rule WHERE workspace = $1 AND id > $2 AND ($3 = '' OR agent = $3) ORDER BY id LIMIT $4`,
		ws, after.String(), agent.String(), limit)
	return all(rows, err, (*TrustRule).into)
}

func (room *Room) rulesOf(ctx context.Context, ws id.Workspace, issuer string) ([]TrustRule, error) {
	rows, err := room.r.Rows(ctx, `SELECT rule, created_at FROM trust_rule WHERE issuer = $1 AND workspace = $2 ORDER BY id LIMIT $3`, issuer, ws, maxRules)
	return all(rows, err, (*TrustRule).into)
}

func ruleLives(tx *audit.Tx, rule TrustRule) (bool, error) {
	var n int
	err := tx.Row(`SELECT count(*) FROM trust_rule WHERE workspace = $1 AND id = $2`, rule.Workspace, rule.ID).Scan(&n)
	return n == 1, err
}

// present gives an assertion's next free slot to a key, or finds that the key has one. False: others have them all.
func present(tx *audit.Tx, assertion id.Digest, key id.Key, slots int, expires time.Time) (bool, error) {
	var has int
	if err := tx.Row(`SELECT count(*) FROM presented WHERE assertion = $1 AND key = $2`, assertion, key).Scan(&has); err != nil || has == 1 {
		return has == 1, err
	}
	for slot := range slots {
		n, err := tx.Exec(`INSERT INTO presented (assertion, slot, key, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			assertion, slot, key, expires.UnixMicro())
		if err != nil || n == 1 {
			return n == 1, err
		}
	}
	return false, nil
}

const (
	presentedSweep = 1000               // rows at a time
	presentedKeep  = 7 * 24 * time.Hour // past its end: a clock that is set back within it finds what was presented
)

// forgetPresented deletes what no assertion can come for any more. It runs where an assertion is good by the clock, none is good for longer than a day, and so
// only a platform whose clock is a week ahead as well could make a server forget too early.
func forgetPresented(tx *audit.Tx) error {
	_, err := tx.Exec(`DELETE FROM presented WHERE (assertion, slot) IN (SELECT assertion, slot FROM presented WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`,
		tx.Now().Add(-presentedKeep).UnixMicro(), presentedSweep)
	return err
}

func (room *Room) presented(ctx context.Context, assertion id.Digest, key id.Key) (bool, error) {
	var n int
	err := room.r.Row(ctx, `SELECT count(*) FROM presented WHERE assertion = $1 AND key = $2`, assertion, key).Scan(&n)
	return n == 1, err
}

func liveByRule(tx *audit.Tx, rule TrustRule) (int, error) {
	var n int
	err := tx.Row(`SELECT count(*) FROM instance WHERE workspace = $1 AND agent = $2 AND rule = $3 AND status IN ('active', 'suspended') AND expires_at > $4`,
		rule.Workspace, rule.Agent, rule.ID, tx.Now().UnixMicro()).Scan(&n)
	return n, err
}

// renew moves the end of an active instance that a rule let in, never to an earlier time.
func renew(tx *audit.Tx, key id.Key, rule TrustRule, until time.Time) (Instance, error) {
	return scanInstance(tx.Row(`UPDATE instance SET rule = $5, expires_at = CASE WHEN expires_at > $6 THEN expires_at ELSE $6 END
		WHERE key = $1 AND workspace = $2 AND agent = $3 AND trust = $7 AND status = $4 RETURNING `+instanceColumns,
		key, rule.Workspace, rule.Agent, Active, rule.ID, until.UnixMicro(), Workload), instanceUnknown())
}
