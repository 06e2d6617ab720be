package agents

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// EndTokens ends, for ever, every token that was issued for the agent until now: to any of its instances, and to others in chains that it is on:
// those with an iat up to mark (people.Room.EndMark), or up to one above where that had ended before. Code: not_found.
func (room *Room) EndTokens(tx *audit.Tx, ws id.Workspace, agent id.Agent, mark int64) error {
	return marked("agent")(tx.Exec(`UPDATE agent SET tokens_from = CASE WHEN tokens_from < $3 THEN $3 ELSE tokens_from + 1 END WHERE workspace = $1 AND id = $2`,
		ws, agent, mark))
}

// EndInstanceTokens is EndTokens for one instance. Code: not_found.
func (room *Room) EndInstanceTokens(tx *audit.Tx, ws id.Workspace, key id.Key, mark int64) error {
	return marked("instance")(tx.Exec(`UPDATE instance SET tokens_from = CASE WHEN tokens_from < $3 THEN $3 ELSE tokens_from + 1 END WHERE workspace = $1 AND key = $2`,
		ws, key, mark))
}

func marked(what string) func(int64, error) error {
	return func(n int64, err error) error {
		if err == nil && n == 0 {
			err = notFound(what)
		}
		return err
	}
}
