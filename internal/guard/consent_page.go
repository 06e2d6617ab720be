package guard

import (
	"context"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/people"
)

// LendRequest asks the browser of the person who lends to sign a statement with one of their passkeys. Code: no_passkey.
func (g *Guard) LendRequest(ctx context.Context, st delegation.Statement) (people.RequestOptions, error) {
	challenge, err := st.Digest()
	if err != nil {
		return people.RequestOptions{}, err
	}
	k, err := g.ceremony(challenge.String())
	if err != nil {
		return people.RequestOptions{}, err
	}
	has, err := g.People.PasskeysOf(ctx, st.Delegator.User)
	if err == nil && len(has) == 0 {
		err = fault.New(fault.Denied, "no_passkey", "what you lend is signed with a passkey, and you have none").Try("make one: %s/passkey", g.Issuer)
	}
	return k.Request(has), err
}
