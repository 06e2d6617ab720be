package agents

import (
	"time"

	"github.com/attorn/attorn/id"
)

// SQL is a query's text and arguments.
func SQL(q Query, ws id.Workspace, now time.Time) (string, []any) { return q.sql(ws, now) }
