package guard

import (
	"github.com/attorn/attorn/internal/audit"
)

// whileSignedIn is change, held to the console session that c acts by, if it is one: what is done in a session is done before its end, or not at all. What
// is done with a token is held to its key by what the decision rests on. Code: session_unknown.
func (g *Guard) whileSignedIn(c *Caller, change func(*audit.Tx) error) func(*audit.Tx) error {
	if c.session.IsZero() {
		return change
	}
	return func(tx *audit.Tx) error {
		if err := g.People.SessionLives(tx, c.session); err != nil || change == nil {
			return err
		}
		return change(tx)
	}
}
