package people

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

func insertGroup(tx *audit.Tx, ws id.Workspace, g Group) (bool, error) {
	n, err := tx.Exec(`INSERT INTO principal_group (workspace, name, description, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		ws, g.Name, g.Description, g.CreatedAt.UnixMicro())
	return n == 1, err
}

func deleteGroup(tx *audit.Tx, ws id.Workspace, name string) (bool, error) {
	n, err := tx.Exec(`DELETE FROM principal_group WHERE workspace = $1 AND name = $2`, ws, name)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(`DELETE FROM group_member WHERE workspace = $1 AND grp = $2`, ws, name)
	return true, err
}

// lockGroup keeps the group from being deleted until the commit.
func lockGroup(tx *audit.Tx, ws id.Workspace, name string) error {
	var found string
	return one(tx.Row(`SELECT name FROM principal_group WHERE workspace = $1 AND name = $2`+tx.ForUpdate(), ws, name), notFound("group"), &found)
}

func insertMember(tx *audit.Tx, ws id.Workspace, group, member, source string) (bool, error) {
	n, err := tx.Exec(`INSERT INTO group_member (workspace, grp, member, source, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		ws, group, member, source, tx.Now().UnixMicro())
	return n == 1, err
}

// insertClaimed adds a member to a group that there is.
func insertClaimed(tx *audit.Tx, ws id.Workspace, group, member, source string) error {
	_, err := tx.Exec(`INSERT INTO group_member (workspace, grp, member, source, created_at)
		SELECT g.workspace, g.name, $3, $4, $5 FROM principal_group g WHERE g.workspace = $1 AND g.name = $2 ON CONFLICT DO NOTHING`,
		ws, group, member, source, tx.Now().UnixMicro())
	return err
}

func deleteMember(tx *audit.Tx, ws id.Workspace, group, member string) (int64, error) {
	return tx.Exec(`DELETE FROM group_member WHERE workspace = $1 AND grp = $2 AND member = $3`, ws, group, member)
}

func deleteSource(tx *audit.Tx, ws id.Workspace, member, source string) error {
	_, err := tx.Exec(`DELETE FROM group_member WHERE workspace = $1 AND member = $2 AND source = $3`, ws, member, source)
	return err
}

// deleteMemberships takes somebody out of every group of the workspace.
func deleteMemberships(tx *audit.Tx, ws id.Workspace, member string) error {
	_, err := tx.Exec(`DELETE FROM group_member WHERE workspace = $1 AND member = $2`, ws, member)
	return err
}

const groupColumns = `name, description, created_at`

func (g *Group) into() []any { return []any{&g.Name, &g.Description, micros{&g.CreatedAt}} }

func (room *Room) groups(ctx context.Context, ws id.Workspace) ([]Group, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+groupColumns+` FROM principal_group WHERE workspace = $1 ORDER BY name`, ws)
	return all(rows, err, (*Group).into)
}

func (room *Room) group(ctx context.Context, ws id.Workspace, name string) (g Group, err error) {
	err = one(room.r.Row(ctx, `SELECT `+groupColumns+` FROM principal_group WHERE workspace = $1 AND name = $2`, ws, name), notFound("group"), g.into()...)
	return g, err
}

func (room *Room) membersOf(ctx context.Context, ws id.Workspace, name string) ([]Member, error) {
	rows, err := room.r.Rows(ctx, `SELECT member, source, created_at FROM group_member WHERE workspace = $1 AND grp = $2 ORDER BY member, source`, ws, name)
	return all(rows, err, func(m *Member) []any { return []any{&m.Member, &m.Source, micros{&m.CreatedAt}} })
}

func (room *Room) sourced(ctx context.Context, ws id.Workspace, member, source string) ([]string, error) {
	rows, err := room.r.Rows(ctx, `SELECT grp FROM group_member WHERE workspace = $1 AND member = $2 AND source = $3 ORDER BY grp`, ws, member, source)
	return all(rows, err, func(s *string) []any { return []any{s} })
}

// manyNames is how many identifiers one statement names.
const manyNames = 500

type pair struct{ group, member string }

// pairs reads memberships by one of their two columns.
func pairs(read func(query string, args ...any) (*sql.Rows, error), ws id.Workspace, column string, names []string) ([]pair, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var found []pair
	for some := range slices.Chunk(names, manyNames) {
		marks, args := make([]string, len(some)), []any{ws}
		for i, n := range some {
			marks[i], args = "$"+strconv.Itoa(i+2), append(args, n)
		}
		rows, err := read(`SELECT DISTINCT grp, member FROM group_member WHERE workspace = $1 AND `+column+` IN (`+strings.Join(marks, ", ")+`) ORDER BY grp, member`, args...)
		more, err := all(rows, err, func(p *pair) []any { return []any{&p.group, &p.member} })
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// rows reads outside of transactions.
func (room *Room) rows(ctx context.Context) func(query string, args ...any) (*sql.Rows, error) {
	return func(query string, args ...any) (*sql.Rows, error) { return room.r.Rows(ctx, query, args...) }
}

func (room *Room) groupsOf(ctx context.Context, ws id.Workspace, members []string) (map[string][]string, error) {
	return grouped(pairs(room.rows(ctx), ws, "member", members))
}

func grouped(found []pair, err error) (map[string][]string, error) {
	of := map[string][]string{}
	for _, p := range found {
		of[p.member] = append(of[p.member], p.group)
	}
	return of, err
}

func (room *Room) inGroups(ctx context.Context, ws id.Workspace, groups []string) ([]string, error) {
	return membersAmong(pairs(room.rows(ctx), ws, "grp", groups))
}

func membersAmong(found []pair, err error) ([]string, error) {
	in := make([]string, len(found))
	for i, p := range found {
		in[i] = p.member
	}
	slices.Sort(in)
	return slices.Compact(in), err
}
