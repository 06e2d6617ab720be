package evidence_test

import (
	"testing"

	"github.com/attorn/attorn/evidence"
)

func TestTheStoryIsAuthenticAndAuthorised(t *testing.T) {
	pack, trust := newStory(t).tell()
	r, err := evidence.Verify(pack, []byte(trust))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes\n%s\n%s", len(pack), r, r.Tree())
	if !r.OK() || r.FirstFailure != nil || r.Answers[2].Verdict != evidence.Fails {
		t.Errorf("not OK: %+v", r.FirstFailure)
	}
}
