package evidence_test

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// TestElsewhere: another workspace's log is told what became of whom and by whom, and nothing of why, under what or from where; the event itself is left as
// it is.
func TestElsewhere(t *testing.T) {
	lent := id.Must[id.Delegation](text("dlg", "lent")).String()
	e := evidence.Event{
		V: 1, Kind: evidence.UserChanged, Outcome: evidence.OK,
		Who:   evidence.Who{Sub: "usr_admin", Owner: user("omar"), Proof: &evidence.ProofRef{Type: "dpop"}, Chain: []evidence.Hop{{Sub: "usr_secret"}}},
		Under: &evidence.Under{Task: "secret-task"}, Why: &evidence.Why{Code: "gone", Reason: "secret-reason", AsOf: 7},
		What:  &evidence.What{User: user("priya"), Status: "left", Text: &evidence.Sealed{SD: id.Sum([]byte("x"))}, Ended: []string{"key", lent}},
		Where: evidence.Where{Face: "admin", Node: "n1", IP: &evidence.Sealed{}},
	}
	before, err := e.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	told := e.Elsewhere()
	raw, err := told.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret", "text", "ip", "owner", "as_of", "under", lent} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("it tells %s: %s", secret, raw)
		}
	}
	if told.What.User != user("priya") || told.What.Status != "left" || told.Who.Sub != "usr_admin" || told.Why.Code != "gone" || !told.EndsKey(user("priya"), "key") {
		t.Errorf("it does not tell what happened: %s", raw)
	}
	e.Kind = evidence.UserSuspended
	if told := e.Elsewhere(); len(told.What.Ended) != 0 {
		t.Errorf("what ended with a suspension is the own workspace's business: %v", told.What.Ended)
	}
	e.Kind = evidence.UserChanged
	if after, err := e.Bytes(); err != nil || string(after) != string(before) {
		t.Errorf("the event changed: %s, %v", after, err)
	}
	if d := evidence.ElsewhereDetails([]evidence.Detail{{Field: "text"}, {Field: "name"}, {Field: "ip"}, {Field: "proof"}}); len(d) != 1 || d[0].Field != "name" {
		t.Errorf("details: %v", d)
	}
	for _, k := range []struct {
		kind evidence.Kind
		user id.User
		name string
		want bool
	}{
		{evidence.UserChanged, user("priya"), "key", true},
		{evidence.UserPasskeyChanged, user("priya"), "key", true},
		{evidence.UserChanged, user("maya"), "key", false},
		{evidence.UserChanged, user("priya"), "other", false},
		{evidence.UserChanged, user("priya"), "", false},
		{evidence.UserSuspended, user("priya"), "key", false},
	} {
		e := evidence.Event{Kind: k.kind, What: &evidence.What{User: user("priya"), Ended: []string{"key", ""}}}
		if e.EndsKey(k.user, k.name) != k.want {
			t.Errorf("%+v", k)
		}
	}
}
