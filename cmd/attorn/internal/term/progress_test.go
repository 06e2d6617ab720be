package term

import (
	"os"
	"strings"
	"testing"
)

func TestProgressInALog(t *testing.T) {
	for total, want := range map[int][]string{
		0:    nil,
		99:   nil,
		250:  {"100 of 250 agents", "200 of 250 agents"},
		2000: {"200 of 2000 agents", "400 of 2000 agents", "600 of 2000 agents", "800 of 2000 agents", "1000 of 2000 agents", "1200 of 2000 agents", "1400 of 2000 agents", "1600 of 2000 agents", "1800 of 2000 agents", "2000 of 2000 agents"},
	} {
		var b strings.Builder
		p := Progress{W: &b, What: "agents", Total: total}
		for i := range total {
			p.At(i + 1)
		}
		p.End()
		if got := strings.Join(want, "\n"); strings.TrimSpace(b.String()) != got {
			t.Errorf("%d:\n%s", total, b.String())
		}
	}
}

// A bar is drawn over itself, a line stands above it, and nothing is left of it.
func TestProgressOnATerminal(t *testing.T) {
	tty, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	if !IsTerminal(tty) {
		t.Fatal("a device counts as a terminal")
	}
	var b strings.Builder
	p := Progress{W: &b, What: "agents", Total: 4, tty: true}
	p.At(1)
	p.Line("x.csv:3: no")
	p.At(4)
	p.End()
	want := "\r[#######-----------------------] 1 of 4 agents\x1b[K\r\x1b[Kx.csv:3: no\n\r[" + strings.Repeat("#", 30) + "] 4 of 4 agents\x1b[K\r\x1b[K"
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
}
