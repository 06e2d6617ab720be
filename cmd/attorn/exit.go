package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"

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

// exit prints an error as one sentence and one Try: line, and gives its exit code.
func (c *cli) exit(err error) int {
	if err == nil {
		return exitOK
	}
	if q := (quiet{}); errors.As(err, &q) { // everything was said
		return q.code
	}
	var usage usageError
	var network net.Error
	var request *url.Error
	f := fault.Of(err)
	switch {
	case errors.As(err, &usage):
		c.complain(err.Error(), "attorn --help")
		return exitUsage
	case f == nil && (errors.As(err, &network) || errors.As(err, &request)):
		c.complain("the server cannot be reached: "+err.Error(), "check that it runs, and the address in: attorn ctx ls")
		return exitUnreachable
	case f == nil:
		c.complain(err.Error(), "")
		return exitError
	}
	c.complain(fmt.Sprintf("%s (%s)", f.Reason, f.Code), f.Remedy)
	switch f.Kind {
	case fault.Denied:
		return exitDenied
	case fault.Unauthenticated:
		return exitNotSignedIn
	case fault.Unavailable:
		return exitUnreachable
	}
	return exitError
}

func (c *cli) complain(sentence, try string) {
	fmt.Fprintln(c.talk, printable(sentence))
	if try != "" {
		fmt.Fprintln(c.talk, "Try: "+printable(try))
	}
}

// quiet ends the command with a code after everything was said.
type quiet struct{ code int }

func (q quiet) Error() string { return fmt.Sprintf("exit %d", q.code) }
