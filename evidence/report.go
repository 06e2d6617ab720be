package evidence

import (
	"fmt"
	"strings"
	"unicode"
)

// Verdict is what became of a check, and of the question that checks answer together.
type Verdict string

// The verdicts. NotShown is not a yes: what would show it is not in the pack.
const (
	Holds    Verdict = "ok"
	Fails    Verdict = "fail"
	NotShown Verdict = "not_shown"
)

// The questions (evidence.md §9).
const (
	Authentic      = "AUTHENTIC"
	AuthorisedThen = "AUTHORISED-THEN"
	AllowedNow     = "WOULD-BE-ALLOWED-NOW"
)

// Line is one check.
type Line struct {
	Question string  `json:"question"` // Authentic, AuthorisedThen or AllowedNow; "" for a remark
	Name     string  `json:"name"`
	Verdict  Verdict `json:"verdict"`
	Code     string  `json:"code,omitempty"` // why it does not hold, stable: the fault's, or not_shown
	Detail   string  `json:"detail"`
}

// Answer is what the checks of one question say together.
type Answer struct {
	Question string  `json:"question"`
	Verdict  Verdict `json:"verdict"`
	Detail   string  `json:"detail"`
}

// Report is what Verify found. Lines are in the order of the checks and end with the first that fails.
type Report struct {
	Question     Question  `json:"question"`
	Event        Event     `json:"event,omitzero"` // once AUTHENTIC holds
	Answers      [3]Answer `json:"answers"`        // Authentic, AuthorisedThen, AllowedNow
	Lines        []Line    `json:"lines"`
	FirstFailure *Line     `json:"first_failure,omitempty"` // the first line that fails, or else the first that should be shown and is not
}

// OK reports whether the event is authentic and was authorised, all of it shown.
func (r *Report) OK() bool {
	return r.Answers[0].Verdict == Holds && r.Answers[1].Verdict == Holds && (r.FirstFailure == nil || r.FirstFailure.Verdict != Fails)
}

// String is the three answers, a line each, or the first failure. Whatever came out of the pack is printable.
func (r *Report) String() string {
	if f := r.FirstFailure; f != nil && f.Verdict == Fails {
		return fmt.Sprintf("FAIL  #%d  %s no: %s\n", r.Question.Rev, f.Question, printable(f.Detail))
	}
	var b strings.Builder
	for _, a := range r.Answers {
		fmt.Fprintf(&b, "  %-21s %s  %s\n", a.Question, word(a), printable(a.Detail))
	}
	return b.String()
}

// Tree is String with the checks below each answer, and the remarks.
func (r *Report) Tree() string {
	var b strings.Builder
	for _, a := range r.Answers {
		fmt.Fprintf(&b, "  %-21s %s  %s\n", a.Question, word(a), printable(a.Detail))
		for _, l := range r.Lines {
			if l.Question == a.Question {
				fmt.Fprintf(&b, "    %-9s %-11s %s\n", l.Verdict, l.Name, printable(l.Detail))
			}
		}
	}
	for _, l := range r.Lines {
		if l.Question == "" {
			fmt.Fprintf(&b, "  %s: %s\n", l.Name, printable(l.Detail))
		}
	}
	return b.String()
}

func word(a Answer) string {
	switch a.Verdict {
	case Holds:
		return "yes"
	case Fails:
		return "no "
	}
	return "not shown"
}

// printable replaces what could move a terminal's cursor or turn its text around.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}

// shown is the answer that the lines of a question give.
func (r *Report) answer(question string) Verdict {
	verdict, any := Holds, false
	for _, l := range r.Lines {
		if l.Question != question {
			continue
		}
		any = true
		switch {
		case l.Verdict == Fails:
			return Fails
		case l.Verdict == NotShown:
			verdict = NotShown
		}
	}
	if !any {
		return NotShown
	}
	return verdict
}

// first names the first line that fails, or else the first that is not shown.
func (r *Report) first() *Line {
	var missing *Line
	for i := range r.Lines {
		l := &r.Lines[i]
		switch {
		case l.Question == "" || l.Question == AllowedNow && l.Verdict != Fails:
		case l.Verdict == Fails:
			return l
		case l.Verdict == NotShown && missing == nil:
			missing = l
		}
	}
	return missing
}
