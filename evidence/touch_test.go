package evidence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// What takes the place of a delegation ends the one before, whether or not all that ended with it is listed, and does not end itself.
func TestReplacingTouchesWhatWasBefore(t *testing.T) {
	old, next := id.New[id.Delegation](time.UnixMilli(1)), id.New[id.Delegation](time.UnixMilli(2))
	e := evidence.Event{Kind: evidence.DelegationReplaced, Outcome: evidence.OK, What: &evidence.What{Delegation: next, Replaces: old}}
	if got := e.Touches(); !slices.Equal(got, []string{old.String()}) {
		t.Errorf("it touches %v, want %s alone", got, old)
	}
	e.Outcome = evidence.Deny
	if got := e.Touches(); got != nil {
		t.Errorf("refused, it touches %v", got)
	}
}
