package lending

import (
	"context"
	"strconv"
	"time"

	"github.com/attorn/attorn/id"
)

// Lent reads what a person lent themselves, newest first, and all that descends from it, parents before children.
type Lent struct {
	Live  []Delegation // what can be used, or will be once it has begun
	Ended []Delegation // what ended since a given time
	Under []Delegation // descendants of Live, ended ones too

	More bool // there is more of one of them
}

// LentBy reads the person's live delegations, at most limit, those that ended since, at most limit, and MaxTree of the descendants of the live ones.
func (r *Room) LentBy(ctx context.Context, ws id.Workspace, person id.User, since, now time.Time, limit int) (Lent, error) {
	const own = `SELECT ` + columns + ` FROM delegation WHERE workspace = $1 AND delegator = $2 AND parent IS NULL AND expires_at > $3 AND `
	rows, err := r.r.Rows(ctx, own+`status = 'active' ORDER BY id DESC LIMIT $4`, ws, person, now.UnixMicro(), limit+1)
	live, err := collect(rows, err, scan)
	if err != nil {
		return Lent{}, err
	}
	rows, err = r.r.Rows(ctx, own+`(ended_at >= $3 OR status = 'active' AND expires_at <= $4) ORDER BY id DESC LIMIT $5`,
		ws, person, since.UnixMicro(), now.UnixMicro(), limit+1)
	ended, err := collect(rows, err, scan)
	if err != nil {
		return Lent{}, err
	}
	all := Lent{Live: live[:min(limit, len(live))], Ended: ended[:min(limit, len(ended))], More: len(live) > limit || len(ended) > limit}
	if len(all.Live) == 0 {
		return all, nil
	}
	tops := make([]id.Delegation, len(all.Live))
	for i, d := range all.Live {
		tops[i] = d.ID
	}
	args := append(inArgs(ws, tops), len(tops)+MaxTree+1)
	rows, err = r.r.Rows(ctx, `WITH RECURSIVE down (id) AS (SELECT id FROM delegation WHERE workspace = $1 AND id IN `+in(len(tops))+descend+`
		SELECT `+columns+` FROM delegation WHERE id IN (SELECT id FROM down) ORDER BY depth, id LIMIT $`+strconv.Itoa(len(args)), args...)
	under, err := collect(rows, err, scan)
	if err != nil {
		return Lent{}, err
	}
	all.Under = under[min(len(tops), len(under)):] // they come first
	if len(all.Under) > MaxTree {
		all.Under, all.More = all.Under[:MaxTree], true
	}
	return all, nil
}
