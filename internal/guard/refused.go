package guard

import (
	"errors"

	"github.com/attorn/attorn/id"
)

// refusedIn is a refusal that is in the log.
type refusedIn struct {
	error
	event id.Event
}

func (r refusedIn) Unwrap() error { return r.error }

func withEvent(err error, event id.Event) error {
	if err == nil || event.IsZero() {
		return err
	}
	return refusedIn{err, event}
}

// EventOf is the event that records a refusal; zero where there is none.
func EventOf(err error) id.Event {
	var r refusedIn
	if errors.As(err, &r) {
		return r.event
	}
	return id.Event{}
}

func recorded(err error) bool { return !EventOf(err).IsZero() }
