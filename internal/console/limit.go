package console

import "github.com/attorn/attorn/internal/guard"

// The limits of a minute.
const (
	challengesPerPerson = 20 // console.md §5
	signInsPerAddress   = 60 // an address may be a whole office's
)

// limit counts one attempt of who. Code: too_many.
func (x *request) limit(l *guard.Limiter, who string) error {
	if wait := l.Take(who, x.now); wait > 0 {
		return guard.TooMany(wait)
	}
	return nil
}
