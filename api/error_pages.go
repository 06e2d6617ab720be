package api

import (
	"slices"
	"strings"
)

// ErrorPage says to a person what a code means. It is at <issuer>/docs/errors/<code>, where the type of a problem (RFC 9457 §3.1.1) and the error_uri of an OAuth
// error (RFC 6749 §5.2) lead.
type ErrorPage struct {
	Code   string // of an OAuth error with a reason: both, with a dot between
	Means  string // one sentence or two
	Remedy string // what to do; "" where the means say it
}

// ErrorGroup is pages that belong together.
type ErrorGroup struct {
	Title string
	OAuth bool // errors of RFC 6749 and its kin, which are no codes of ours
	Pages []ErrorPage
}

// ErrorGroups are the pages of all codes: each code that the product gives has one.
func ErrorGroups() []ErrorGroup {
	return slices.Concat(oauthPages, whoPages, actPages, resourcePages, operatorPages)
}

// ErrorPageOf finds the page of a code.
func ErrorPageOf(code string) (ErrorPage, bool) {
	for _, g := range ErrorGroups() {
		for _, p := range g.Pages {
			if p.Code == code {
				return p, true
			}
		}
	}
	return ErrorPage{}, false
}

// ErrorPath is where the pages are, below the issuer: all of them there, and each below that.
const ErrorPath = "/docs/errors"

// ErrorText is pages in Markdown, for a terminal and for docs/reference/errors.md.
func ErrorText(groups []ErrorGroup) string {
	var b strings.Builder
	for _, g := range groups {
		if g.Title != "" {
			b.WriteString("\n## " + g.Title + "\n")
		}
		for _, p := range g.Pages {
			b.WriteString("\n**`" + p.Code + "`** " + p.Means)
			if p.Remedy != "" {
				b.WriteString(" *What to do:* " + p.Remedy)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// ErrorTitle is a code as the title of a problem.
func ErrorTitle(code string) string {
	return strings.ToUpper(code[:1]) + strings.NewReplacer("_", " ", ".", ": ").Replace(code[1:])
}
