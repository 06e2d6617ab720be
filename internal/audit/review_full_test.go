package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestADatabaseWithoutSpace: what does not fit is denied and leaves nothing behind, reads go on, and with room again everything does.
func TestADatabaseWithoutSpace(t *testing.T) {
	l := open(t, dbtest.SQLite(t))
	pages := func(n int) { // on the one connection that writes
		t.Helper()
		tx, err := l.writer.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, n)); err != nil {
			t.Fatal(err)
		}
	}
	big := func(i int) error {
		body := make([]byte, 32<<10)
		rand.Read(body)
		d := draft(evidence.DecisionMade, fmt.Sprint(i))
		d.Content = []evidence.Content{evidence.ContentOf(body)}
		_, err := l.Record(context.Background(), d, nil)
		return err
	}
	pages(300) // 1.2 MB
	n := 0
	for ; big(n) == nil; n++ {
		if n > 200 {
			t.Fatal("200 times 32 KiB fit into 1.2 MB")
		}
	}
	for range 3 {
		if err := big(n); fault.Code(err) != "storage_full" {
			t.Fatalf("without space: %v", err)
		}
	}
	h := checkLog(t, l, id.Default)
	pages(1 << 30)
	if err := big(201); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if after := checkLog(t, l, id.Default); after.Size != h.Size+1 {
		t.Errorf("%d entries, then %d", h.Size, after.Size)
	}
}
