package rules

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

const dutySets = `SELECT name, roles, max, dynamic, doc, changed_by, changed_at FROM duty_set WHERE workspace = $1 ORDER BY name`

func scanDutySet(row interface{ Scan(...any) error }) (s DutySet, err error) {
	var roles string
	var dynamic int
	err = row.Scan(&s.Name, &roles, &s.Max, &dynamic, &s.Doc, &s.ChangedBy, moment{&s.ChangedAt})
	s.Roles, s.Dynamic = strings.Split(roles, " "), dynamic == 1
	return s, err
}

func putDutySet(tx *audit.Tx, ws id.Workspace, s DutySet) (int64, error) {
	dynamic := 0
	if s.Dynamic {
		dynamic = 1
	}
	return tx.Exec(`INSERT INTO duty_set (workspace, name, roles, max, dynamic, doc, changed_by, changed_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE (SELECT COUNT(*) FROM duty_set WHERE workspace = $1 AND name <> $2) < $9
		ON CONFLICT (workspace, name) DO UPDATE SET roles = excluded.roles, max = excluded.max, dynamic = excluded.dynamic, doc = excluded.doc,
			changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
		ws, s.Name, strings.Join(s.Roles, " "), s.Max, dynamic, s.Doc, s.ChangedBy, micros(s.ChangedAt), maxDutySets)
}

// DutySets lists the workspace's sets by name.
func (r *Room) DutySets(ctx context.Context, ws id.Workspace) ([]DutySet, error) {
	rows, err := r.r.Rows(ctx, dutySets, ws)
	return collect(rows, err, scanDutySet)
}

// DutySetsIn is DutySets inside a transaction.
func (*Room) DutySetsIn(tx *audit.Tx, ws id.Workspace) ([]DutySet, error) {
	rows, err := tx.Rows(dutySets, ws)
	return collect(rows, err, scanDutySet)
}

// HoldingIn reads, inside a transaction, what each of these holds; groups are those that they are in.
func (*Room) HoldingIn(tx *audit.Tx, ws id.Workspace, groups map[string][]string, principals ...string) (map[string]Holding, error) {
	var who []string
	for _, p := range principals {
		who = append(who, holders(p, groups[p])...)
	}
	bound, err := boundTo(tx, ws, who, tx.Now())
	if err != nil {
		return nil, err
	}
	used, err := among(principals, activationsNow+` AND principal IN (%)`, []any{ws, tx.Now().UnixMicro()}, func(query string, args ...any) ([]Activation, error) {
		rows, err := tx.Rows(query, args...)
		return collect(rows, err, scanActivation)
	})
	return holding(bound, used, groups, principals), err
}

// HoldingOf is HoldingIn at a time, without a transaction.
func (r *Room) HoldingOf(ctx context.Context, ws id.Workspace, now time.Time, groups map[string][]string, principals ...string) (map[string]Holding, error) {
	var who []string
	for _, p := range principals {
		who = append(who, holders(p, groups[p])...)
	}
	bound, err := r.BoundTo(ctx, ws, now, who...)
	if err != nil {
		return nil, err
	}
	used, err := r.ActivatedBy(ctx, ws, now, principals...)
	return holding(bound, used, groups, principals), err
}

func holding(bound []Binding, used []Activation, groups map[string][]string, principals []string) map[string]Holding {
	by := map[string][]Binding{}
	for _, b := range bound {
		by[b.Principal] = append(by[b.Principal], b)
	}
	all := make(map[string]Holding, len(principals))
	for _, p := range principals {
		var h Holding
		for _, holder := range holders(p, groups[p]) {
			for _, b := range by[holder] {
				h.Bound = append(h.Bound, b.Role)
				if b.State == Active || slices.ContainsFunc(used, func(a Activation) bool { return a.Binding == b.ID && a.Principal == p }) {
					h.Now = append(h.Now, b.Role)
				}
			}
		}
		all[p] = h
	}
	return all
}
