// Package fault is attorn's one coded error: what the machine branches on, and what a person needs to go on. Every refusal of every package
// is one; each protocol has one renderer for it (RFC 6749 §5.2 in oauth, RFC 9457 in admin, JSON-RPC in gateway, a sentence and a `Try:`
// line in the CLI). An error that is not a fault is unknown: a renderer shows an opaque code and a request id, and logs the rest.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of refusal it is; a face derives its status from it.
type Kind uint8

// The kinds. The zero value is Internal, so that a forgotten kind shows nothing.
const (
	Internal        Kind = iota // ours to mend: opaque outside
	Invalid                     // the input breaks a rule of its form
	Unauthenticated             // the proof of who is asking does not hold
	Denied                      // who is asking may not
	NotFound                    // no such thing, or not for this caller's eyes
	Conflict                    // true, but not now: somebody was faster, or the state does not allow it
	TooLarge                    // over a size limit
	Limited                     // too many, try later
	Unavailable                 // something the answer needs is out of reach; never a permit
)

// Error is a coded refusal. Code is stable, lower-case with underscores, and documented; Reason says what was tried and why it was refused;
// Remedy, where there is one, says what to do. None of them may hold a secret or anything of another tenant.
type Error struct {
	Kind   Kind
	Code   string
	Reason string
	Remedy string
	cause  error
}

// New makes a refusal; the reason is formatted with args.
func New(k Kind, code, reason string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Reason: fmt.Sprintf(reason, args...)}
}

// Wrap is New with the error that led to it, for the log alone: Error prints the reason, not the cause.
func Wrap(cause error, k Kind, code, reason string, args ...any) *Error {
	e := New(k, code, reason, args...)
	e.cause = cause
	return e
}

// Try returns e with a remedy.
func (e *Error) Try(remedy string, args ...any) *Error {
	c := *e
	c.Remedy = fmt.Sprintf(remedy, args...)
	return &c
}

func (e *Error) Error() string { return e.Reason }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// Of finds the fault in err's chain, or nil.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Code is the code of the fault in err's chain: "" for nil, "internal" for an unknown error.
func Code(err error) string {
	if err == nil {
		return ""
	}
	if e := Of(err); e != nil && e.Code != "" {
		return e.Code
	}
	return "internal"
}
