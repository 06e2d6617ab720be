package people

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/token"
)

// IssuedAhead notes that a token was issued with an iat (seconds) ahead of the clock, because somebody's tokens had just been ended: whatever else ends a moment
// later ends that token as well.
func (room *Room) IssuedAhead(tx *audit.Tx, ws id.Workspace, iat int64) error {
	_, err := tx.Exec(`UPDATE workspace SET issued_to = $2 WHERE name = $1 AND issued_to < $2`, ws, iat)
	return err
}

// EndMark is what ends all tokens of somebody that were issued in a workspace before now: those with an iat up to it, in seconds.
func (room *Room) EndMark(tx *audit.Tx, ws id.Workspace) (int64, error) {
	var ahead int64
	err := one(tx.Row(`SELECT issued_to FROM workspace WHERE name = $1`, ws), unknownWorkspace(ws), &ahead)
	return max(ahead, token.EndMark(tx.Now())), err
}

// EndTokens ends, for ever, every token that was issued to the person until now, and to agents in their name: also those that follow another end of this
// second, whose iat is one above it. Code: not_found.
func (room *Room) EndTokens(tx *audit.Tx, person id.User) error {
	var ahead int64
	if err := tx.Row(`SELECT COALESCE(MAX(issued_to), 0) FROM workspace`).Scan(&ahead); err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE person SET tokens_from = CASE WHEN tokens_from < $2 THEN $2 ELSE tokens_from + 1 END WHERE id = $1`, person, max(ahead, token.EndMark(tx.Now())))
	if err == nil && n == 0 {
		err = notFound("user")
	}
	return err
}

// EndTokensIn is EndTokens for those of one workspace. Code: not_found.
func (room *Room) EndTokensIn(tx *audit.Tx, ws id.Workspace, person id.User) error {
	mark, err := room.EndMark(tx, ws)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE membership SET tokens_from = CASE WHEN tokens_from < $3 THEN $3 ELSE tokens_from + 1 END WHERE workspace = $1 AND person = $2`, ws, person, mark)
	if err == nil && n == 0 {
		err = notFound("user")
	}
	return err
}

// Ends is what has ended in a workspace as a whole.
type Ends struct {
	HaltedAt   time.Time // zero: not halted
	TokensFrom int64     // seconds: agents' tokens with an iat up to it have ended, whether it is halted or not
}

// Live is nil while agents may act in the workspace; else the fault workspace_halted.
func (e Ends) Live() error {
	if e.HaltedAt.IsZero() {
		return nil
	}
	return fault.New(fault.Denied, "workspace_halted", "the workspace is halted since %s: no agent acts in it", e.HaltedAt.UTC().Format(time.RFC3339)).
		Try("have an administrator resume it: attorn workspace resume")
}

// Ends reads what has ended in a workspace. Code: workspace_unknown.
func (room *Room) Ends(ctx context.Context, ws id.Workspace) (e Ends, err error) {
	err = one(room.r.Row(ctx, `SELECT halted_at, tokens_from FROM workspace WHERE name = $1`, ws), unknownWorkspace(ws), micros{&e.HaltedAt}, &e.TokensFrom)
	return e, err
}

// Running is Ends.Live inside the transaction. Codes: workspace_unknown, workspace_halted.
func Running(tx *audit.Tx, ws id.Workspace) error {
	var e Ends
	if err := one(tx.Row(`SELECT halted_at FROM workspace WHERE name = $1`, ws), unknownWorkspace(ws), micros{&e.HaltedAt}); err != nil {
		return err
	}
	return e.Live()
}

// Halt stops every agent of a workspace until Unhalt, and ends every token that one of them has. Codes: workspace_unknown, wrong_state.
func (room *Room) Halt(tx *audit.Tx, ws id.Workspace) error {
	mark, err := room.EndMark(tx, ws)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE workspace SET halted_at = $2, tokens_from = CASE WHEN tokens_from < $3 THEN $3 ELSE tokens_from + 1 END
		WHERE name = $1 AND halted_at IS NULL`, ws, tx.Now().UnixMicro(), mark)
	return halted(tx, ws, n, err, "halted")
}

// Unhalt ends a halt. The tokens stay ended. Codes: workspace_unknown, wrong_state.
func (room *Room) Unhalt(tx *audit.Tx, ws id.Workspace) error {
	n, err := tx.Exec(`UPDATE workspace SET halted_at = NULL WHERE name = $1 AND halted_at IS NOT NULL`, ws)
	return halted(tx, ws, n, err, "not halted")
}

// halted says why a workspace was not moved.
func halted(tx *audit.Tx, ws id.Workspace, n int64, err error, is string) error {
	if err != nil || n == 1 {
		return err
	}
	var name string
	if err := one(tx.Row(`SELECT name FROM workspace WHERE name = $1`, ws), unknownWorkspace(ws), &name); err != nil {
		return err
	}
	return fault.New(fault.Conflict, "wrong_state", "the workspace is %s already", is)
}

func unknownWorkspace(ws id.Workspace) error {
	return fault.New(fault.NotFound, "workspace_unknown", "there is no workspace %q", ws)
}
