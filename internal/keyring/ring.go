package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/jose"
)

// ForTokens is the purpose of the issuer's keys: they sign tokens and countersign statements and votes. The purpose of a log's key is its origin.
const ForTokens = "token"

// Key is a handle to one of the server's keys: what of it never changes. Where it is in its life is its State.
type Key struct {
	Kid     id.Key
	Purpose string
	Public  jose.PublicKey
	Created time.Time
	signer  jose.Signer
	sealed  []byte
}

// Signer signs with the key.
func (k *Key) Signer() jose.Signer { return k.signer }

// Ring is the set of the server's keys. It remembers handles only: which key signs is read from the database each time, so every node follows
// a rotation with its next signature. Safe for concurrent use.
type Ring struct {
	reader *db.Reader
	sealer *Sealer
	mu     sync.RWMutex
	keys   map[id.Key]*Key
}

// Tx is the transaction that changes a key together with the event that says so.
type Tx interface {
	Exec(query string, args ...any) (int64, error)
	Row(query string, args ...any) *sql.Row
	Rows(query string, args ...any) (*sql.Rows, error)
}

// Open reads the ring. The fault sealing_key means that the sealing key is not the one that the database was made with.
func Open(ctx context.Context, r *db.Reader, s *Sealer) (*Ring, error) {
	ring := &Ring{reader: r, sealer: s, keys: map[id.Key]*Key{}}
	if err := ring.checkMark(ctx); err != nil {
		return nil, err
	}
	rows, err := r.Rows(ctx, `SELECT `+keyColumns+` FROM server_key`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		st, err := ring.scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		ring.Add(st.Key)
	}
	return ring, rows.Err()
}

// Sealer is the ring's sealer.
func (r *Ring) Sealer() *Sealer { return r.sealer }

// Make generates a key. It is not the ring's until it was stored and added.
func (r *Ring) Make(purpose string, now time.Time) (*Key, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(priv)
	if err != nil {
		return nil, err
	}
	key, err := jose.Ed25519Key(pub)
	if err != nil {
		return nil, err
	}
	kid := key.Thumbprint()
	sealed := r.sealer.Seal(priv.Seed(), keyPlace(kid))
	return &Key{Kid: kid, Purpose: purpose, Public: key, Created: now, signer: signer, sealed: sealed}, nil
}

func keyPlace(kid id.Key) string { return "server_key/" + kid.String() }

// Add makes a stored key the ring's, after the commit.
func (r *Ring) Add(k *Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[k.Kid] = k
}

// Find is the key named kid, whatever its purpose and wherever in its life. A key that another node made is read from the database.
func (r *Ring) Find(ctx context.Context, kid id.Key) (*Key, error) {
	r.mu.RLock()
	k := r.keys[kid]
	r.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	st, err := r.State(ctx, kid)
	return st.Key, err
}

const keyColumns = `kid, purpose, jwk, sealed, created_at, status, signs_from, retired_at`

// scan reads a row. A key that the ring has is not opened again.
func (r *Ring) scan(scan func(...any) error) (State, error) {
	var k Key
	var st State
	var jwk string
	var created, from int64
	var ended sql.NullInt64
	if err := scan(&k.Kid, &k.Purpose, &jwk, &k.sealed, &created, &st.Status, &from, &ended); err != nil {
		return st, err
	}
	st.SignsFrom = time.UnixMicro(from)
	if ended.Valid {
		st.Ended = time.UnixMicro(ended.Int64)
	}
	r.mu.RLock()
	st.Key = r.keys[k.Kid]
	r.mu.RUnlock()
	if st.Key != nil {
		return st, nil
	}
	var err error
	if k.Public, err = jose.ParseJWK([]byte(jwk)); err != nil {
		return st, err
	}
	seed, err := r.sealer.Open(k.sealed, keyPlace(k.Kid))
	if err != nil {
		return st, wrongSealingKey(err)
	}
	if k.signer, err = jose.NewSigner(ed25519.NewKeyFromSeed(seed)); err != nil {
		return st, err
	}
	if k.Public.Thumbprint() != k.Kid || k.signer.Public().Thumbprint() != k.Kid {
		return st, fault.New(fault.Internal, "sealed", "the key stored as %s is another one", k.Kid.Short())
	}
	k.Created = time.UnixMicro(created)
	st.Key = &k
	return st, nil
}

func wrongSealingKey(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "sealing_key", "the sealing key is not the one that this database is sealed under").
		Try("start with the sealing key that was kept; after a change of it, with the new one, and the old one as the previous")
}

func noRow(err error) bool { return errors.Is(err, sql.ErrNoRows) }
