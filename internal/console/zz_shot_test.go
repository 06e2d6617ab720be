package console_test

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestZZServe(t *testing.T) {
	if os.Getenv("SHOT") == "" {
		t.Skip()
	}
	s := newStory(t)
	s.deployer.call(s.leaf, "write_file", `{"path":"staging/x"}`)
	second := s.ask(`{"path":"production/b.yaml","content":"x"}`)
	if got := s.maya.vote(second, "deny", "not on a Friday"); got.status != 200 {
		t.Fatal(got.body)
	}
	fmt.Println("URL", s.url, "MAYA", s.maya.cookie(), "PRIYA", s.priya.cookie(), "APR", s.asked, "DENIED", second)
	time.Sleep(1 * time.Hour)
}
