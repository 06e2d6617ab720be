package people

import (
	"context"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// MaxKeys is how many live passkeys, and how many live registered keys, a person may have.
const MaxKeys = 8

// Passkey is a WebAuthn credential of a person.
type Passkey struct {
	Credential string // base64url of the credential id
	Person     id.User
	Label      string
	COSE       delegation.CredentialKey
	RPID       string
	Origin     string
	SignCount  uint32
	CreatedAt  time.Time
	UsedAt     time.Time // when it last signed in; zero: never
	EndedAt    time.Time // zero while it is live
}

// NewPasskey is what AddPasskey needs: what a registration ceremony proved.
type NewPasskey struct {
	Credential string
	Person     id.User
	Label      string // for people's eyes
	COSE       delegation.CredentialKey
	RPID       string
	Origin     string
	SignCount  uint32
}

const (
	maxCredential = 1023 // bytes (WebAuthn §7.1)
	maxOrigin     = 255
)

// AddPasskey stores a passkey of an active person. Codes: passkey_invalid, label_invalid, not_found, person_suspended, too_many_keys, key_in_use where the
// credential is, or was, anybody's.
func (room *Room) AddPasskey(tx *audit.Tx, n NewPasskey) (Passkey, error) {
	credential, err := jose.DecodeBase64(n.Credential)
	if err != nil || len(credential) == 0 || len(credential) > maxCredential || n.COSE.IsZero() ||
		n.RPID == "" || len(n.RPID) > maxOrigin || n.Origin == "" || len(n.Origin) > maxOrigin {
		return Passkey{}, fault.New(fault.Invalid, "passkey_invalid", "a passkey has a credential id of 1 to %d bytes, a key, and the domain and origin it was made for", maxCredential)
	}
	if err := checkLabel(n.Label); err != nil {
		return Passkey{}, err
	}
	p := Passkey{
		Credential: n.Credential, Person: n.Person, Label: n.Label, COSE: n.COSE, RPID: n.RPID, Origin: n.Origin, SignCount: n.SignCount, CreatedAt: stored(tx.Now()),
	}
	if err := room.roomFor(tx, n.Person, livePasskeys, "passkeys"); err != nil {
		return Passkey{}, err
	}
	ok, err := insertPasskey(tx, p)
	if err == nil && !ok {
		err = keyInUse()
	}
	if err != nil {
		return Passkey{}, err
	}
	return p, nil
}

// roomFor locks the person's row, so that two additions cannot both be the last that fits, and counts.
func (room *Room) roomFor(tx *audit.Tx, person id.User, live func(*audit.Tx, id.User) (int, error), what string) error {
	p, err := lock(tx, person)
	if err != nil {
		return err
	}
	if err := p.Live(); err != nil {
		return err
	}
	n, err := live(tx, person)
	if err == nil && n >= MaxKeys {
		err = fault.New(fault.Conflict, "too_many_keys", "the user has %d %s, which is the limit", MaxKeys, what).Try("remove one that is not used any more")
	}
	return err
}

// UsePasskey takes note of the signature counter of an accepted assertion (WebAuthn §7.2 step 22). A counter that does not grow means that
// the passkey was copied, unless its authenticator does not count. Codes: passkey_unknown, passkey_ended, passkey_cloned.
func (room *Room) UsePasskey(tx *audit.Tx, credential string, signs uint32) error {
	ok, err := count(tx, credential, signs)
	if err != nil || ok {
		return err
	}
	p, err := passkeyInTx(tx, credential)
	if err != nil {
		return err
	}
	if err := p.live(); err != nil {
		return err
	}
	return fault.New(fault.Unauthenticated, "passkey_cloned", "the passkey's counter did not grow: it was copied, or this answer was given before").
		Try("remove this passkey and make a new one")
}

func (p Passkey) live() error {
	if p.EndedAt.IsZero() {
		return nil
	}
	return fault.New(fault.Unauthenticated, "passkey_ended", "this passkey was removed").Try("use another passkey, or ask an administrator for a sign-in link")
}

// EndPasskey removes a passkey of the person's, and ends the sessions that were opened with it. Code: not_found, also where it was removed before.
func (room *Room) EndPasskey(tx *audit.Tx, person id.User, credential string) error {
	if err := endPasskey(tx, person, credential); err != nil {
		return err
	}
	return endOpenedBy(tx, person, credential)
}

// PasskeyByCredential reads a live passkey by the base64url of its credential id, with its person, who is active. Codes: passkey_unknown,
// passkey_ended, person_suspended.
func (room *Room) PasskeyByCredential(ctx context.Context, credential string) (Passkey, Person, error) {
	if _, err := jose.DecodeBase64(credential); err != nil {
		return Passkey{}, Person{}, passkeyUnknown()
	}
	k, p, err := room.passkey(ctx, credential)
	if err == nil {
		err = k.live()
	}
	if err == nil {
		err = p.Live()
	}
	if err != nil {
		return Passkey{}, Person{}, err
	}
	return k, p, nil
}

// PasskeysOf lists the person's live passkeys, oldest first.
func (room *Room) PasskeysOf(ctx context.Context, person id.User) ([]Passkey, error) {
	return room.passkeys(ctx, person)
}

func passkeyUnknown() error {
	return fault.New(fault.Unauthenticated, "passkey_unknown", "no user has this passkey").Try("use another passkey, or ask an administrator for a sign-in link")
}

func keyInUse() error {
	return fault.New(fault.Conflict, "key_in_use", "this key names somebody already, or did: a key is registered once").Try("make a new key pair")
}
