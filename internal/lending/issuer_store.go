package lending

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

const (
	issuerColumns = `rule, created_at`
	issuersOf     = `SELECT ` + issuerColumns + ` FROM trusted_issuer WHERE workspace = $1 AND issuer = $2 ORDER BY id`
)

// RemoveIssuer takes a rule away. What came by it is for the caller to end. Code: not_found.
func (*Room) RemoveIssuer(tx *audit.Tx, ws id.Workspace, rule id.Issuer) error {
	n, err := tx.Exec(`DELETE FROM trusted_issuer WHERE workspace = $1 AND id = $2`, ws, rule)
	if err == nil && n == 0 {
		err = noIssuer()
	}
	return err
}

// IssuerLives is nil while the rule stands, as of the transaction, and is in force. Codes: rule_removed, rule_expired.
func (*Room) IssuerLives(tx *audit.Tx, r Issuer) error {
	var n int
	if err := tx.Row(`SELECT count(*) FROM trusted_issuer WHERE workspace = $1 AND id = $2`, r.Workspace, r.ID).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.Unauthenticated, "rule_removed", "the rule that trusts the other server was removed")
	}
	return r.Live(tx.Now())
}

// Issuer reads a rule of the workspace. Code: not_found.
func (r *Room) Issuer(ctx context.Context, ws id.Workspace, rule id.Issuer) (Issuer, error) {
	found, err := scanIssuer(r.r.Row(ctx, `SELECT `+issuerColumns+` FROM trusted_issuer WHERE workspace = $1 AND id = $2`, ws, rule))
	if errors.Is(err, sql.ErrNoRows) {
		err = noIssuer()
	}
	return found, err
}

// Issuers reads a page of the workspace's rules, the oldest first: those after one. limit is 1 to 200; 0 is 50.
func (r *Room) Issuers(ctx context.Context, ws id.Workspace, after id.Issuer, limit int) ([]Issuer, error) {
	if limit <= 0 {
		limit = 50
	}
	rows, err := r.r.Rows(ctx, `SELECT `+issuerColumns+` FROM trusted_issuer WHERE workspace = $1 AND id > $2 ORDER BY id LIMIT $3`, ws, after.String(), min(limit, 200))
	return collect(rows, err, scanIssuer)
}

// IssuersOf reads the workspace's rules for another server, the oldest first.
func (r *Room) IssuersOf(ctx context.Context, ws id.Workspace, issuer string) ([]Issuer, error) {
	rows, err := r.r.Rows(ctx, issuersOf, ws, issuer)
	return collect(rows, err, scanIssuer)
}

func scanIssuer(s scanner) (Issuer, error) {
	var r Issuer
	var text string
	var created int64
	if err := s.Scan(&text, &created); err != nil {
		return r, err
	}
	err := json.Unmarshal([]byte(text), &r, json.RejectUnknownMembers(true))
	r.CreatedAt = time.UnixMicro(created).UTC()
	return r, err
}

func noIssuer() error {
	return fault.New(fault.NotFound, "not_found", "there is no such rule for another server")
}
