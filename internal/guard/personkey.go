package guard

import (
	"context"
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// passkeyOf finds the live passkey of person that an assertion names.
func (g *Guard) passkeyOf(ctx context.Context, person id.User, a delegation.Assertion) (*delegation.Passkey, error) {
	k, p, err := g.People.PasskeyByCredential(ctx, jose.EncodeBase64(a.CredentialID))
	if err != nil {
		return nil, err
	}
	if p.ID != person {
		return nil, fault.New(fault.Unauthenticated, "key_mismatch", "the passkey is another person's")
	}
	return &delegation.Passkey{Key: k.COSE, RPID: k.RPID, Origin: k.Origin}, nil
}

// personKey finds the live registered key of person that a detached JWS names.
func (g *Guard) personKey(ctx context.Context, person id.User, detached string) (jose.PublicKey, error) {
	head, signature, _ := strings.Cut(detached, "..")
	j, err := jose.Parse(head+".e30."+signature, 0) // only the header is read here
	if err != nil {
		return jose.PublicKey{}, err
	}
	kid, err := id.ParseKey(j.Header.Kid)
	if err != nil {
		return jose.PublicKey{}, fault.New(fault.Unauthenticated, "key_unknown", "the signature names no registered key")
	}
	p, k, err := g.People.PersonByKey(ctx, kid)
	if err != nil {
		return jose.PublicKey{}, err
	}
	if p.ID != person {
		return jose.PublicKey{}, fault.New(fault.Unauthenticated, "key_mismatch", "the key is another person's")
	}
	return k.JWK, nil
}

// signatureKey is the live key of person that a signature on a statement or vote was made with.
func (g *Guard) signatureKey(ctx context.Context, person id.User, sig delegation.Signature) (delegation.DelegatorKey, error) {
	if sig.Type == delegation.ByPasskey && sig.Passkey != nil {
		k, err := g.passkeyOf(ctx, person, *sig.Passkey)
		return delegation.DelegatorKey{Passkey: k}, err
	}
	k, err := g.personKey(ctx, person, sig.JWS)
	return delegation.DelegatorKey{JWK: k}, err
}
