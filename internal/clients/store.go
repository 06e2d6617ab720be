package clients

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/jose"
)

// Room reads and changes services. Safe for concurrent use.
type Room struct{ r *db.Reader }

// New makes the room.
func New(r *db.Reader) *Room { return &Room{r} }

const maxPage = 200

const columns = `id, workspace, name, resource, prefix, jwk, created_at`

// scan reads a row of columns; no row is not_found.
func scan(row interface{ Scan(into ...any) error }) (Service, error) {
	var s Service
	var jwk string
	var created int64
	err := row.Scan(&s.ID, &s.Workspace, &s.Name, &s.Resource, &s.Prefix, &jwk, &created)
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound()
	}
	if err != nil {
		return Service{}, err
	}
	s.CreatedAt = time.UnixMicro(created)
	s.Key, err = jose.ParseJWK([]byte(jwk))
	return s, err
}

func insert(tx *audit.Tx, s Service) (bool, error) {
	n, err := tx.Exec(`INSERT INTO service_client (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		s.ID, s.Workspace, s.Name, s.Resource, s.Prefix, string(s.Key.JWK()), s.CreatedAt.UnixMicro())
	return n == 1, err
}

// taken says why insert stored nothing, and no more of another workspace than that the resource is not free.
func taken(tx *audit.Tx, s Service) error {
	var n int
	if err := tx.Row(`SELECT count(*) FROM service_client WHERE workspace = $1 AND name = $2`, s.Workspace, s.Name).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return fault.New(fault.Conflict, "name_taken", "the workspace has a service named %s", s.Name).Try("choose another name, or remove that service")
	}
	return fault.New(fault.Conflict, "resource_taken", "another service has the resource %s", s.Resource).Try("register each resource once")
}

func remove(tx *audit.Tx, ws id.Workspace, service id.Service) (Service, error) {
	return scan(tx.Row(`DELETE FROM service_client WHERE workspace = $1 AND id = $2 RETURNING `+columns, ws, service))
}

func (room *Room) client(ctx context.Context, service id.Service) (Service, error) {
	return scan(room.r.Row(ctx, `SELECT `+columns+` FROM service_client WHERE id = $1`, service))
}

func (room *Room) byID(ctx context.Context, ws id.Workspace, service id.Service) (Service, error) {
	return scan(room.r.Row(ctx, `SELECT `+columns+` FROM service_client WHERE workspace = $1 AND id = $2`, ws, service))
}

func (room *Room) byName(ctx context.Context, ws id.Workspace, name string) (Service, error) {
	return scan(room.r.Row(ctx, `SELECT `+columns+` FROM service_client WHERE workspace = $1 AND name = $2`, ws, name))
}

func (room *Room) byResource(ctx context.Context, ws id.Workspace, resource string) (Service, error) {
	return scan(room.r.Row(ctx, `SELECT `+columns+` FROM service_client WHERE workspace = $1 AND resource = $2`, ws, resource))
}

func (room *Room) list(ctx context.Context, ws id.Workspace, after id.Service, limit int) ([]Service, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+columns+` FROM service_client WHERE workspace = $1 AND id > $2 ORDER BY id LIMIT $3`, ws, after.String(), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Service
	for rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
