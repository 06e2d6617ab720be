package graph

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/delegation"
)

// maxCombining is how many combining characters may follow one another before they are shown as marks: more than that paints over other lines.
const maxCombining = 3

// show replaces what would not be seen, or would change how the rest is read (UAX #9), by its code point in angle brackets.
func show(s string) string {
	var b strings.Builder
	combining := 0
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if ' ' <= r && r <= '~' {
			combining = 0
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if combining++; !unicode.In(r, unicode.Mn, unicode.Me) {
			combining = 0
		}
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "⟨0x%02X⟩", s[0])
		case !unicode.IsPrint(r), unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector), r == '\u2800', combining > maxCombining:
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// called is a name with the identifier beside it.
func (f Forest) called(sub string) string {
	if name := f.Names[sub]; name != "" {
		return show(name) + " (" + sub + ")"
	}
	return show(sub)
}

// lasting says a time in its two greatest units.
func lasting(d time.Duration) string {
	d = d.Truncate(time.Second)
	days, hours, minutes, seconds := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60, int(d/time.Second)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
	return fmt.Sprintf("%d s", max(0, seconds))
}

// roughly says a time in its greatest units, never longer than it is, for where there is little room.
func roughly(d time.Duration) string {
	if d >= time.Minute && d < time.Hour {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return lasting(d)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// stands says how a delegation stands: status, time and uses left, and by whom it ended and why.
func (f Forest) stands(l Lent) string {
	st := l.Statement
	begins := time.Unix(st.NotBefore, 0)
	switch {
	case l.Status == Revoked:
		s := "revoked"
		if !l.Ended.IsZero() {
			s += " " + moment(l.Ended)
		}
		if l.EndedBy != "" {
			s += " by " + f.called(l.EndedBy)
		}
		if l.EndedWhy != "" {
			s += ": " + show(l.EndedWhy)
		}
		return s
	case l.Status == "":
		return "from " + moment(begins) + " until " + moment(time.Unix(st.ExpiresAt, 0))
	case l.Status == Exhausted:
		return "used up " + moment(l.Ended)
	case l.Status == Expired:
		return "expired " + moment(time.Unix(st.ExpiresAt, 0))
	case f.Now.Before(begins):
		return "begins " + moment(begins) + ", for " + lasting(time.Unix(st.ExpiresAt, 0).Sub(begins))
	}
	return show(l.Status) + ", " + lasting(l.left(f.Now)) + " left"
}

// terms says what limits a delegation beside time and permissions.
func terms(l Lent) string {
	st := l.Statement
	var parts []string
	if st.MaxUses != nil {
		parts = append(parts, usesOf(l))
	}
	if st.MaxDepth > 0 {
		parts = append(parts, "may be lent on over "+count(int64(st.MaxDepth), "hop"))
	}
	if st.Task != "" {
		parts = append(parts, "task "+show(st.Task))
	}
	if !st.MayAct.IsZero() {
		parts = append(parts, st.MayAct.String()+" may act in its stead")
	}
	if st.InStead() {
		parts = append(parts, "in the stead of the one above, on a token of it")
	}
	return strings.Join(parts, ", ")
}

// usesOf says how many uses a delegation shares with all below it.
func usesOf(l Lent) string {
	most := *l.Statement.MaxUses
	if l.Status == "" { // how many there were is not known
		return count(most, "use") + " for it and all below"
	}
	return fmt.Sprintf("%d of %s left for it and all below", max(0, most-l.Uses), count(most, "use"))
}

func permission(p delegation.Permission) string {
	if len(p.Where) == 0 {
		return show(p.Permission)
	}
	return show(p.Permission + " where " + delegation.Words(p.Where))
}

func count(n int64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "person":
		return fmt.Sprintf("%d people", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
