package agents

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/token"
)

// EndTokens ends, for ever, every token that was issued for the agent until now: to any of its instances, and to others in chains that it is on.
// Code: not_found.
func (room *Room) EndTokens(tx *audit.Tx, ws id.Workspace, agent id.Agent) error {
	return marked("agent")(tx.Exec(`UPDATE agent SET tokens_from = CASE WHEN tokens_from < $3 THEN $3 ELSE tokens_from + 1 END WHERE workspace = $1 AND id = $2`,
		ws, agent, token.EndMark(tx.Now())))
}

// EndInstanceTokens is EndTokens for one instance. Code: not_found.
func (room *Room) EndInstanceTokens(tx *audit.Tx, ws id.Workspace, key id.Key) error {
	return marked("instance")(tx.Exec(`UPDATE instance SET tokens_from = CASE WHEN tokens_from < $3 THEN $3 ELSE tokens_from + 1 END WHERE workspace = $1 AND key = $2`,
		ws, key, token.EndMark(tx.Now())))
}

func marked(what string) func(int64, error) error {
	return func(n int64, err error) error {
		if err == nil && n == 0 {
			err = notFound(what)
		}
		return err
	}
}
