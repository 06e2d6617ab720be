package gateway

import "time"

// Clock is the server's time. The gateway has none of its own.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in its own goroutine once d has passed, unless the timer is stopped; as time.AfterFunc does.
	AfterFunc(d time.Duration, f func()) *time.Timer
}
