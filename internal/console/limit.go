package console

import (
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

// The limits of a minute.
const (
	challengesPerPerson = 20 // console.md §5
	signInsPerNetwork   = 60 // steps: a network may be a whole office
	failuresPerNetwork  = 10 // sign-ins that failed (oauth.md §12)
)

// limit counts one attempt of who. Code: too_many.
func (x *request) limit(l *guard.Limiter, who string) error {
	if wait := l.Take(who, x.now); wait > 0 {
		return guard.TooMany(wait)
	}
	return nil
}

// proving runs the step of a sign-in that proves who somebody is: of these only failures count, so that nobody who is right waits for others. A failure here, or
// of a provider that does not answer, is none. Codes: too_many, and those of the step.
func proving[T any](x *request, step func() (T, error)) (T, error) {
	var none T
	leave, err := x.failures.Enter(x.ctx, x.network(), x.now)
	if err != nil {
		return none, err
	}
	failed := true // also where the step panics
	defer func() { leave(failed) }()
	out, err := step()
	f := fault.Of(err)
	failed = f != nil && (f.Kind == fault.Unauthenticated || f.Kind == fault.Invalid || f.Kind == fault.Denied) && f.Code != "person_invalid"
	return out, err
}
