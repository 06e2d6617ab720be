package agents

import (
	"context"
	"time"

	"github.com/attorn/attorn/id"
)

// IsName reports whether an agent can be called s (NewAgent.Name).
func IsName(s string) bool {
	return nameForm.MatchString(s) && !(len(s) == len("agt_")+26 && s[3] == '_')
}

// Own reads the agents of the workspace that a person owns and that may act at now, by name; at most 200.
func (room *Room) Own(ctx context.Context, ws id.Workspace, owner id.User, now time.Time) ([]Agent, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+agentColumns+` FROM agent WHERE workspace = $1 AND owner = $2 AND status = $3
		AND (expires_at IS NULL OR expires_at > $4) ORDER BY name LIMIT $5`, ws, owner, Active, now.UnixMicro(), maxPage)
	return all(rows, err, (*Agent).into)
}
