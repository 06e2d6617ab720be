package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Sweep writes down what time has ended: approvals that nobody decided or used. Reads treat them as ended already; this gives the end its event.
// It is the server's own act, called each minute.
func (g *Guard) Sweep(ctx context.Context, ws id.Workspace) error {
	for {
		due, err := g.Approvals.Due(ctx, ws, g.Now())
		if err != nil || !due {
			return err
		}
		d := evidence.Draft{Workspace: ws, Target: "approvals"}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.ApprovalExpired, evidence.OK, evidence.ServerSub, "server"
		d.What = &evidence.What{}
		_, err = g.Log.Record(ctx, d, func(tx *audit.Tx) error {
			expired, err := g.Approvals.Expire(tx, ws)
			if err != nil {
				return err
			}
			what := evidence.What{}
			for _, a := range expired {
				what.Ended = append(what.Ended, a.String())
			}
			tx.Event().What = &what
			return nil
		})
		if err != nil {
			return err
		}
	}
}
