package guard

import (
	"crypto/rand"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// seal puts a text into the event as a digest, and the text itself beside it as a detail of subject's that can be erased.
func seal(d *evidence.Draft, into **evidence.Sealed, subject, field, text string) error {
	value, err := jose.Canonical(text)
	if err != nil {
		return err
	}
	return sealJSON(d, into, subject, field, value)
}

// sealJSON is seal for one JSON value in RFC 8785 form.
func sealJSON(d *evidence.Draft, into **evidence.Sealed, subject, field string, value []byte) error {
	var salt evidence.Salt
	rand.Read(salt[:])
	disclosure, err := evidence.Disclose(salt, field, value)
	if err != nil {
		return err
	}
	*into = evidence.Seal(disclosure)
	d.Details = append(d.Details, evidence.Detail{Field: field, Subject: subject, Disclosure: disclosure})
	return nil
}

// tokenKid reads which key a token of ours was signed with.
func tokenKid(raw string) (id.Key, error) {
	j, err := jose.Parse(raw, 0)
	if err != nil {
		return id.Key{}, err
	}
	kid, err := id.ParseKey(j.Header.Kid)
	if err != nil {
		return id.Key{}, fault.New(fault.Unauthenticated, "invalid_token", "the token names no key of ours")
	}
	return kid, nil
}
