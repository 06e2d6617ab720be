package people

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

const identityColumns = `i.issuer, i.subject, i.person, i.provider, i.created_at, i.ended_at`

func (i *Identity) into() []any {
	return []any{&i.Issuer, &i.Subject, &i.Person, &i.Provider, micros{&i.CreatedAt}, micros{&i.EndedAt}}
}

// insertIdentity takes an identity that was ended back for the same person, and never for another.
func insertIdentity(tx *audit.Tx, i Identity) (bool, error) {
	n, err := tx.Exec(`INSERT INTO upstream_identity (issuer, subject, person, provider, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (issuer, subject) DO UPDATE SET provider = excluded.provider, created_at = excluded.created_at, ended_at = NULL
		WHERE upstream_identity.person = excluded.person AND upstream_identity.ended_at IS NOT NULL`,
		i.Issuer, i.Subject, i.Person, i.Provider, tx.Now().UnixMicro())
	return n == 1, err
}

func identityLives(tx *audit.Tx, i Identity) error {
	var person id.User
	return one(tx.Row(`SELECT person FROM upstream_identity WHERE issuer = $1 AND subject = $2 AND person = $3 AND ended_at IS NULL`+tx.ForUpdate(),
		i.Issuer, i.Subject, i.Person), identityEnded(), &person)
}

func liveIdentities(tx *audit.Tx, person id.User) (n int, err error) {
	err = tx.Row(`SELECT count(*) FROM upstream_identity WHERE person = $1 AND ended_at IS NULL`, person).Scan(&n)
	return n, err
}

func endIdentity(tx *audit.Tx, person id.User, issuer, subject string) error {
	n, err := tx.Exec(`UPDATE upstream_identity SET ended_at = $4 WHERE person = $1 AND issuer = $2 AND subject = $3 AND ended_at IS NULL`,
		person, issuer, subject, tx.Now().UnixMicro())
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "not_found", "the user has no such account at a provider").Try("see what there is: attorn user show")
	}
	return err
}

// endIdentities ends all of a person's, and names them.
func endIdentities(tx *audit.Tx, person id.User) ([]string, error) {
	rows, err := tx.Rows(`UPDATE upstream_identity SET ended_at = $2 WHERE person = $1 AND ended_at IS NULL RETURNING issuer, subject`, person, tx.Now().UnixMicro())
	ended, err := all(rows, err, func(i *Identity) []any { return []any{&i.Issuer, &i.Subject} })
	var names []string
	for _, i := range ended {
		names = append(names, i.Name())
	}
	return names, err
}

func (room *Room) byIdentity(ctx context.Context, issuer, subject string) (p Person, i Identity, err error) {
	err = one(room.r.Row(ctx, `SELECT `+personColumns+`, `+identityColumns+` FROM upstream_identity i JOIN person p ON p.id = i.person
		WHERE i.issuer = $1 AND i.subject = $2`, issuer, subject), identityUnknown(), append(p.into(), i.into()...)...)
	return p, i, err
}

func (room *Room) identities(ctx context.Context, person id.User) ([]Identity, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+identityColumns+` FROM upstream_identity i WHERE i.person = $1 AND i.ended_at IS NULL
		ORDER BY i.created_at, i.issuer, i.subject`, person)
	return all(rows, err, (*Identity).into)
}

// insertInvitation takes the place of one that is over.
func insertInvitation(tx *audit.Tx, ws id.Workspace, email id.Digest, person id.User, expires time.Time) (bool, error) {
	n, err := tx.Exec(`INSERT INTO invitation (workspace, email, person, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (workspace, email) DO UPDATE SET person = excluded.person, expires_at = excluded.expires_at WHERE invitation.expires_at <= $5`,
		ws, email, person, expires.UnixMicro(), tx.Now().UnixMicro())
	return n == 1, err
}

func (room *Room) awaited(ctx context.Context, ws id.Workspace, email id.Digest, now time.Time) (person id.User, err error) {
	err = one(room.r.Row(ctx, `SELECT person FROM invitation WHERE workspace = $1 AND email = $2 AND expires_at > $3`, ws, email, now.UnixMicro()),
		noInvitation(), &person)
	return person, err
}

func takeInvitation(tx *audit.Tx, ws id.Workspace, email id.Digest, person id.User) (int64, error) {
	return tx.Exec(`DELETE FROM invitation WHERE workspace = $1 AND email = $2 AND person = $3 AND expires_at > $4`, ws, email, person, tx.Now().UnixMicro())
}

func endInvitations(tx *audit.Tx, person id.User) error {
	_, err := tx.Exec(`DELETE FROM invitation WHERE person = $1`, person)
	return err
}
