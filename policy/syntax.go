package policy

import (
	"fmt"
	"regexp"
	"slices"
)

// The parser's messages that name something.
var (
	gotWant   = regexp.MustCompile(`^got (.*) want (.+)$`)
	noEffect  = regexp.MustCompile(`^unexpected effect: (.*)$`)
	notCalled = regexp.MustCompile("^`(.*)` is (not a function|not a method|a method, not a function|a function, not a method)$")
	twice     = regexp.MustCompile(`^duplicate (annotation|key): (.*)$`)
	arity     = regexp.MustCompile(`^(\w+) expects (no arguments|one argument)$`)
)

// What can be called, and what names can stand alone.
var (
	functions = []string{"ip", "decimal", "datetime", "duration"}
	methods   = []string{
		"contains", "containsAll", "containsAny", "hasTag", "getTag", "isEmpty", "lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual", "isIpv4", "isIpv6",
		"isLoopback", "isMulticast", "isInRange", "toDate", "toTime", "offset", "durationSince", "toDays", "toHours", "toMinutes", "toSeconds", "toMilliseconds",
	}
	variables = []string{"principal", "action", "resource", "context", "true", "false", "if"}
	operators = []string{"in", "has", "like", "is", "when", "unless", "then", "else"}
	kept      = []string{"true", "false", "if", "then", "else", "in", "is", "like", "has"} // that cannot be names
)

// plain turns a message of cedar-go about the token at a place into words that name what was found there, what belongs there, and what was probably meant.
func plain(message, token string) string {
	here := fmt.Sprintf("%q", token)
	if token == "" {
		here = "the end of the policy"
	}
	ends := func(what string) string { return what + " is expected here, not " + here }
	if m := gotWant.FindStringSubmatch(message); m != nil {
		return ends(fmt.Sprintf("%q", m[2])) + meant(token, operators)
	}
	if m := noEffect.FindStringSubmatch(message); m != nil {
		return "a policy begins with permit or forbid, after its annotations, not with " + here + meant(token, []string{"permit", "forbid"})
	}
	if m := notCalled.FindStringSubmatch(message); m != nil {
		switch m[2] {
		case "not a function":
			return fmt.Sprintf("there is no function %q", m[1]) + meant(m[1], functions)
		case "not a method":
			return fmt.Sprintf("there is no method %q", m[1]) + meant(m[1], methods)
		case "a method, not a function":
			return fmt.Sprintf("%q is a method: write x.%s(…)", m[1], m[1])
		}
		return fmt.Sprintf("%q is a function: write %s(…)", m[1], m[1])
	}
	if m := twice.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("the %s %s is there already", m[1], m[2])
	}
	if m := arity.FindStringSubmatch(message); m != nil {
		return m[1] + " takes " + m[2]
	}
	switch message {
	case "expected ident", "expected ident after dot", "expected ident or string", "expected ident or reserved keyword":
		if slices.Contains(kept, token) {
			return here + ` is a word of the language; where it is a name write it in quotation marks: x["` + token + `"], {"` + token + `": …}`
		}
		return ends("a name")
	case "expected string", "expected string literal":
		return ends("a text in quotation marks")
	case "invalid primary":
		return ends("a value or expression") + meant(token, append(slices.Clone(variables), functions...))
	case "unexpected token":
		return here + " is not expected here"
	}
	return message
}

// tokenAt is the token at a place of a text; "" at its end.
func tokenAt(text string, line, col int) string {
	s := scanner{src: text, line: 1, col: 1}
	for {
		t, wrong := s.next()
		if wrong != "" || t.kind == 0 || t.line > line {
			return ""
		}
		if t.line == line && t.col == col {
			if r := []rune(t.text); len(r) > 40 {
				return string(r[:40]) + "…"
			}
			return t.text
		}
	}
}
