package token_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/token"
)

func TestEndMark(t *testing.T) {
	at := time.Unix(1_800_000_000, 999_999_000)
	mark := token.EndMark(at)
	for _, other := range []time.Duration{-5 * time.Second, 0, 4 * time.Second} { // issued just before, by a process whose clock differs
		if iat := token.IssuedAfter(at.Add(other)); iat > mark {
			t.Errorf("a token issued %s ago, by its clock, outlives the end", -other)
		}
		if iat := token.IssuedAfter(at.Add(other), 0, mark, mark-100); iat <= mark || time.Unix(iat, 0).After(at.Add(other).Add(30*time.Second)) {
			t.Errorf("a new token %s later has iat %d, with an end at %d", other, iat, mark)
		}
	}
	if iat := token.IssuedAfter(at.Add(time.Hour), mark); iat != at.Unix()+3600 {
		t.Errorf("an old end moves iat to %d", iat)
	}
}
