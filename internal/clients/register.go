package clients

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

const (
	unusedLife = 24 * time.Hour // of an app that nobody consented to
	maxUnused  = 10_000         // such apps, so that whoever registers for ever fills no disk
	sweep      = 1000           // of those past their time that are deleted at once
)

// RegisterApp stores an app that registers itself (RFC 7591), as what ParseRegistration returned. Unless somebody consents to it within 24 hours it is gone.
// Code: overloaded.
func (room *Room) RegisterApp(tx *audit.Tx, app id.App, ws id.Workspace, m Metadata) (App, error) {
	if err := deleteUnused(tx, tx.Now().Add(-unusedLife)); err != nil { // rides along, so that the table does not grow for ever
		return App{}, err
	}
	raw, err := m.encode()
	if err != nil {
		return App{}, err
	}
	ok, err := insertApp(tx, app, ws, raw)
	if err != nil {
		return App{}, err
	}
	if !ok {
		return App{}, fault.New(fault.Unavailable, "overloaded", "too many apps have registered that nobody uses").Try("try again in a day")
	}
	return m.registered(app, ws, tx.Now())
}

func (m Metadata) registered(app id.App, ws id.Workspace, at time.Time) (App, error) {
	a, err := m.app(app.String())
	a.DynamicallyRegistered, a.Workspace, a.CreatedAt = true, ws, time.UnixMicro(at.UnixMicro())
	return a, err
}

// App reads an app that registered itself. Code: client_unknown, also where nobody consented to it in time.
func (room *Room) App(ctx context.Context, app id.App, now time.Time) (App, error) {
	return room.app(ctx, app, now.Add(-unusedLife))
}

// RemoveApp deletes an app that registered itself at a workspace: it is nobody's client any more, in any workspace. It returns KnownIn. Code: not_found.
func (room *Room) RemoveApp(tx *audit.Tx, ws id.Workspace, app id.App) (known []id.Workspace, err error) {
	ok, err := deleteApp(tx, ws, app)
	if err == nil && !ok {
		err = appNotFound()
	}
	if err != nil {
		return nil, err
	}
	rows, err := tx.Rows(knownIn, app)
	return collect(rows, err, scanWorkspace)
}

// KnownIn lists, sorted, the workspaces in which somebody consented to the app.
func (room *Room) KnownIn(ctx context.Context, app id.App) ([]id.Workspace, error) {
	rows, err := room.r.Rows(ctx, knownIn, app)
	return collect(rows, err, scanWorkspace)
}

// UnknownApp is the refusal of a client_id that is no app's.
func UnknownApp() *fault.Error {
	return fault.New(fault.Invalid, "client_unknown", "no app has this client_id: it was mistyped, never used in time, or removed").
		Try("register the app again, or use the address of its metadata as its client_id")
}

func appNotFound() error {
	return fault.New(fault.NotFound, "not_found", "no app of this client_id registered itself at this workspace")
}
