// Package term draws on terminals.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Progress tells how far a long piece of work is: as a bar that is drawn anew where W is a terminal, else as a plain line each tenth of the way, so
// that a log shows it too. Not safe for concurrent use.
type Progress struct {
	W     io.Writer
	What  string // what is counted: "agents"
	Total int

	told int  // tenths
	live bool // a bar is there
}

const cells = 30

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
	if !IsTerminal(p.W) {
		if tenth := done * 10 / p.Total; tenth > p.told {
			p.told = tenth
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
