package guard

import (
	"context"

	"github.com/attorn/attorn/internal/people"
)

// Identities are the reader's own accounts at other sign-in providers.
func (p *Page) Identities(ctx context.Context) ([]people.Identity, error) {
	return p.g.People.IdentitiesOf(ctx, p.c.person)
}

// SignedInWithPasskey reports whether the reader's session began with a passkey.
func (p *Page) SignedInWithPasskey() bool { return p.c.acr >= passkeyACR }

// SignedInJustNow reports whether that was so short ago that the reader may change how they sign in.
func (p *Page) SignedInJustNow() bool { return p.c.signedInJustNow(p.g.Now()) }
