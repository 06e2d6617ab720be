package clients_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/clients"
)

// rig is the room on a real database, behind the real log.
type rig struct {
	*clients.Room
	*audittest.Rig
}

func open(t testing.TB, dsn string) rig {
	t.Helper()
	r := audittest.Open(t, dsn, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	return rig{clients.New(r.Reader), r}
}
