// Package term draws on terminals.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Progress tells how far a long piece of work is: as a bar that is drawn anew where W is a terminal, else as a plain line each tenth of the way, but
// not of little work, so that a log shows it too. Not safe for concurrent use.
type Progress struct {
	W     io.Writer
	What  string // what is counted: "agents"
	Total int

	told int  // lines
	live bool // a bar is there
	tty  bool // W is a terminal, whatever it looks like
}

const (
	cells  = 30
	little = 100
)

// IsTerminal reports whether w is a terminal, or at least a device that is read as it is written.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// At tells that done of Total are done.
func (p *Progress) At(done int) {
	if p.Total < 1 {
		return
	}
	if !p.tty && !IsTerminal(p.W) {
		if step := done / max(p.Total/10, little); step > p.told {
			p.told = step
			fmt.Fprintf(p.W, "%d of %d %s\n", done, p.Total, p.What)
		}
		return
	}
	full := done * cells / p.Total
	p.live = true
	fmt.Fprintf(p.W, "\r[%s%s] %d of %d %s\x1b[K", strings.Repeat("#", full), strings.Repeat("-", cells-full), done, p.Total, p.What)
}

// Line writes a line of its own, above the bar.
func (p *Progress) Line(text string) {
	if p.live {
		fmt.Fprint(p.W, "\r\x1b[K")
		p.live = false
	}
	fmt.Fprintln(p.W, text)
}

// End takes the bar away.
func (p *Progress) End() {
	if p.live {
		fmt.Fprint(p.W, "\r\x1b[K")
		p.live = false
	}
}
