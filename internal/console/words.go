package console

import (
	"strings"

	"github.com/attorn/attorn/delegation"
)

// spoken is a permission in words, beside itself: words are for reading, the permission is what counts.
type spoken struct {
	Words shown
	Name  shown // the permission
	Where shown // its constraints in words
}

func speak(p delegation.Permission) spoken {
	return spoken{show(words(p.Permission)), show(p.Permission), show(delegation.Words(p.Where))}
}

func speakAll(all []delegation.Permission) (out []spoken) {
	for _, p := range all {
		out = append(out, speak(p))
	}
	return out
}

// words says what a permission covers (authority.md §1): tools, prompts and resources of MCP servers, attorn's own acts, and what other APIs chose to
// write as type:id:action.
func words(permission string) string {
	s := strings.Split(permission, ":")
	last := len(s) - 1
	switch {
	case permission == "*":
		return "Do everything that you may do, whatever it is"
	case s[0] == "tool":
		return toolWords(s[1:])
	case s[0] == "attorn" && last == 2:
		return "Manage this server: " + some(s[1], "everything", "what begins with ") + ", " + some(s[2], "any action", "actions that begin with ")
	case s[0] == "attorn":
		return "Manage this server, in everything that you may"
	case last == 0:
		return "Do " + some(s[0], "everything", "what begins with ")
	case s[last] == "*" && last == 1:
		return "Do anything with every " + s[0]
	}
	what := some(s[0], "everything", "what begins with ")
	if id := strings.Join(s[1:last], ":"); id != "" {
		what += " " + some(id, "of any name", "whose name begins with ")
	}
	if s[last] == "*" {
		return "Do anything with " + what
	}
	return "Do " + some(s[last], "anything", "actions that begin with ") + " with " + what
}

// toolWords says what of an MCP server is meant.
func toolWords(s []string) string {
	if len(s) == 0 || len(s) == 1 && s[0] == "*" {
		return "Use every tool, prompt and resource of every server"
	}
	of := " of " + some(s[0], "any server", "servers whose names begin with ")
	if len(s) == 1 {
		return "Use" + of[3:]
	}
	what := strings.Join(s[1:], ":")
	switch prompt, isPrompt := strings.CutPrefix(what, "prompts/"); {
	case what == "*":
		return "Use every tool, prompt and resource" + of
	case what == "resources/read":
		return "Read the resources" + of
	case isPrompt && prompt == "*":
		return "Use every prompt" + of
	case isPrompt:
		return "Use " + some(prompt, "", "prompts whose names begin with ", "the prompt ") + of
	}
	return "Use " + some(what, "", "tools whose names begin with ", "the tool ") + of
}

// some names one segment: all where it is "*", those that begin so where it ends with "*", else the one.
func some(segment, all, begin string, one ...string) string {
	if segment == "*" {
		return all
	}
	if stem, open := strings.CutSuffix(segment, "*"); open {
		return begin + stem
	}
	return strings.Join(one, "") + segment
}
