package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/attorn/attorn/fault"
)

// The exit codes (operations.md §1).
const (
	exitOK = iota
	exitError
	exitUsage
	exitDenied
	exitWaiting
	exitNotSignedIn
	exitUnreachable
	exitUnverified
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

// exit prints a command's error as one sentence and one Try: line, and gives its exit code.
func (c *cli) exit(command string, err error) int {
	if err == nil {
		return exitOK
	}
	if q := (quiet{}); errors.As(err, &q) { // everything was said
		return q.code
	}
	var usage usageError
	var network net.Error
	var file *fs.PathError
	f := fault.Of(err)
	switch {
	case errors.As(err, &usage):
		c.complain(err.Error(), command+" --help")
		return exitUsage
	case f != nil:
		try := cmp.Or(ownRemedies[f.Code], f.Remedy, remedies[f.Kind], command+" --help")
		first, more, _ := strings.Cut(f.Reason, "\n")
		c.complain(fmt.Sprintf("%s (%s)\n%s", first, f.Code, more), try)
		return exitOf(f.Kind)
	case errors.Is(err, context.Canceled):
		c.complain("interrupted before there was an answer", "attorn audit tail tells what was done")
	case errors.As(err, &file): // before the network, whose errors its cause looks like
		c.complain(err.Error(), "check the path, and who may use it")
	case errors.As(err, &network):
		c.complain("the server cannot be reached: "+err.Error(), remedies[fault.Unavailable])
		return exitUnreachable
	default:
		c.complain(err.Error(), command+" --help")
	}
	return exitError
}

// remedies are the kinds' own, for refusals that name none.
var remedies = map[fault.Kind]string{
	fault.Internal:        "the server's log has the cause",
	fault.Unauthenticated: "sign in again, with a new link: attorn login LINK",
	fault.Denied:          "ask somebody who may; attorn whoami says who you are here",
	fault.Limited:         "wait a minute",
	fault.Unavailable:     "check that the server runs, and its address: attorn ctx ls",
}

// ownRemedies are for refusals whose remedy speaks to those who write clients: this one is written.
var ownRemedies = map[string]string{
	"invalid_client": "ask the agent's owner: it, or the instance with this key, may be suspended or revoked",
	"invalid_grant":  "attorn login LINK, or attorn login --device SERVER; who is suspended asks an administrator first",
}

func exitOf(k fault.Kind) int {
	switch k {
	case fault.Denied:
		return exitDenied
	case fault.Unauthenticated:
		return exitNotSignedIn
	case fault.Unavailable:
		return exitUnreachable
	}
	return exitError
}

// complain prints a sentence, and what to try. Where a sentence goes on over lines of its own, they are indented: none of them can pass for ours.
func (c *cli) complain(sentence, try string) {
	first, more, _ := strings.Cut(sentence, "\n")
	say(c.talk, "%s", first)
	for more := range strings.Lines(more) {
		say(c.talk, "  %s", strings.TrimSpace(more))
	}
	if try != "" {
		say(c.talk, "Try: %s", try)
	}
}

// quiet ends the command with a code after everything was said.
type quiet struct{ code int }

func (q quiet) Error() string { return fmt.Sprintf("exit %d", q.code) }
