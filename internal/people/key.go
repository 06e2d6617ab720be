package people

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// Key is an Ed25519 key that a person registered, for the command line.
type Key struct {
	Key       id.Key // thumbprint of JWK
	Person    id.User
	JWK       jose.PublicKey
	Label     string
	CreatedAt time.Time
	UsedAt    time.Time // when a token was last got with it; zero: never
	EndedAt   time.Time // zero while it is live
}

const maxLabel = 100

// AddKey registers a key of an active person. That its holder proved possession is the caller's to check, and so is whether the key is, or
// was, an agent's instance: held says so (package agents knows), and then it is refused. Codes: alg_unsupported, label_invalid, not_found,
// person_suspended, too_many_keys, key_in_use.
func (room *Room) AddKey(tx *audit.Tx, person id.User, key jose.PublicKey, label string, held bool) (Key, error) {
	if key.Type() != "Ed25519" {
		return Key{}, fault.New(fault.Invalid, "alg_unsupported", "a person's registered key is an Ed25519 key").Try("make an Ed25519 key pair")
	}
	if err := checkLabel(label); err != nil {
		return Key{}, err
	}
	k := Key{Key: key.Thumbprint(), Person: person, JWK: key, Label: label, CreatedAt: stored(tx.Now())}
	if err := room.roomFor(tx, person, liveKeys, "registered keys"); err != nil {
		return Key{}, err
	}
	if held {
		return Key{}, keyInUse()
	}
	ok, err := insertKey(tx, k)
	if err == nil && !ok {
		err = keyInUse()
	}
	if err != nil {
		return Key{}, err
	}
	return k, nil
}

func checkLabel(label string) error {
	if len(label) > maxLabel || !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
		return fault.New(fault.Invalid, "label_invalid", "a key's label is one line of at most %d bytes without control characters", maxLabel)
	}
	return nil
}

// UseKey notes that a token was got with the key.
func (room *Room) UseKey(tx *audit.Tx, key id.Key) error { return usedKey(tx, key) }

// EndKey ends a registered key of the person's, and the sessions that were opened with it. Code: not_found, also where it was ended before.
func (room *Room) EndKey(tx *audit.Tx, person id.User, key id.Key) error {
	if err := endKey(tx, person, key); err != nil {
		return err
	}
	return endOpenedBy(tx, person, key.String())
}

// KeyLives demands that a registered key of the person's is live, and holds it so until the commit. Code: key_ended.
func (room *Room) KeyLives(tx *audit.Tx, person id.User, key string) error {
	var name string
	return one(tx.Row(`SELECT key FROM person_key WHERE person = $1 AND key = $2 AND ended_at IS NULL`+tx.ForUpdate(), person, key), keyEnded(key), &name)
}

// Known reports whether the key is or was a person's, so that nobody else is given its name.
func (room *Room) Known(tx *audit.Tx, key id.Key) (bool, error) { return known(tx, key) }

// Taken is Known outside a change, which may find something else a moment later.
func (room *Room) Taken(ctx context.Context, key id.Key) (bool, error) { return room.taken(ctx, key) }

// PersonByKey reads the active person whose live registered key this is. Codes: key_unknown, key_ended, person_suspended.
func (room *Room) PersonByKey(ctx context.Context, key id.Key) (Person, Key, error) {
	p, k, err := room.byKey(ctx, key)
	if err == nil && !k.EndedAt.IsZero() {
		err = keyEnded(key.String())
	}
	if err == nil {
		err = p.Live()
	}
	if err != nil {
		return Person{}, Key{}, err
	}
	return p, k, nil
}

// KeysOf lists the person's live registered keys, oldest first.
func (room *Room) KeysOf(ctx context.Context, person id.User) ([]Key, error) {
	return room.keys(ctx, person)
}

func keyEnded(key string) error {
	return fault.New(fault.Unauthenticated, "key_ended", "the key %s was removed by its user", key).Try("register a new key")
}

func keyUnknown() error {
	return fault.New(fault.Unauthenticated, "key_unknown", "no user has registered this key").Try("register it, or sign with the key that was registered")
}
