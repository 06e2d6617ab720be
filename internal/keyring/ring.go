package keyring

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/jose"
)

// ForTokens is the purpose of the issuer's key: it signs tokens and countersigns statements and votes. The purpose of a log's key is its origin.
const ForTokens = "token"

// Key is a handle to one of the server's keys.
type Key struct {
	Kid     id.Key
	Purpose string
	Public  jose.PublicKey
	Created time.Time
	Retired time.Time // zero while it signs
	signer  jose.Signer
	sealed  []byte
}

// Signer signs with the key.
func (k *Key) Signer() jose.Signer { return k.signer }

// Ring is the set of the server's keys.
type Ring struct {
	reader *db.Reader
	sealer *Sealer
	mu     sync.RWMutex
	keys   map[id.Key]*Key
}

// Execer is the transaction that stores a key together with the event that publishes it.
type Execer interface {
	Exec(query string, args ...any) (int64, error)
}

// Open reads the ring. The fault sealing_key means that the sealing key is not the one that the database was made with.
func Open(ctx context.Context, r *db.Reader, s *Sealer) (*Ring, error) {
	ring := &Ring{reader: r, sealer: s, keys: map[id.Key]*Key{}}
	return ring, ring.Load(ctx)
}

// Load reads the keys that other processes have stored since.
func (r *Ring) Load(ctx context.Context) error {
	rows, err := r.reader.Rows(ctx, `SELECT kid, purpose, jwk, sealed, created_at, retired_at FROM server_key`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		k, err := r.scan(rows.Scan)
		if err != nil {
			return err
		}
		r.Add(k)
	}
	return rows.Err()
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
	sealed := r.sealer.Seal(priv.Seed(), "server_key/"+kid.String())
	return &Key{Kid: kid, Purpose: purpose, Public: key, Created: now, signer: signer, sealed: sealed}, nil
}

// Store writes a key that Make made. Code: key_exists, where another process has stored one of that purpose.
func (r *Ring) Store(tx Execer, k *Key) error {
	n, err := tx.Exec(`INSERT INTO server_key (kid, purpose, jwk, sealed, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		k.Kid, k.Purpose, string(k.Public.JWK()), k.sealed, k.Created.UnixMicro())
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "key_exists", "the server has a key for %s", k.Purpose)
	}
	return err
}

// Add makes a stored key the ring's, after the commit.
func (r *Ring) Add(k *Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[k.Kid] = k
}

// Current is the newest key of a purpose that is not retired.
func (r *Ring) Current(purpose string) (*Key, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var best *Key
	for _, k := range r.keys {
		if k.Purpose == purpose && k.Retired.IsZero() && (best == nil || k.Created.After(best.Created)) {
			best = k
		}
	}
	if best == nil {
		return nil, fault.New(fault.Unavailable, "no_key", "the server has no key for %s", purpose)
	}
	return best, nil
}

// Find is the key named kid, whatever its purpose, retired or not. A key that another node made is read from the database.
func (r *Ring) Find(ctx context.Context, kid id.Key) (*Key, error) {
	r.mu.RLock()
	k := r.keys[kid]
	r.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	k, err := r.scan(r.reader.Row(ctx, `SELECT kid, purpose, jwk, sealed, created_at, retired_at FROM server_key WHERE kid = $1`, kid).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "key_unknown", "no key of this server has that thumbprint")
	} else if err != nil {
		return nil, err
	}
	r.Add(k)
	return k, nil
}

// All lists the keys of a purpose, oldest first, retired ones too.
func (r *Ring) All(purpose string) []*Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []*Key
	for _, k := range r.keys {
		if k.Purpose == purpose {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b *Key) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Kid.String(), b.Kid.String()))
	})
	return all
}

func (r *Ring) scan(scan func(...any) error) (*Key, error) {
	var k Key
	var jwk string
	var created int64
	var retired sql.NullInt64
	if err := scan(&k.Kid, &k.Purpose, &jwk, &k.sealed, &created, &retired); err != nil {
		return nil, err
	}
	var err error
	if k.Public, err = jose.ParseJWK([]byte(jwk)); err != nil {
		return nil, err
	}
	seed, err := r.sealer.Open(k.sealed, "server_key/"+k.Kid.String())
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "sealing_key", "the sealing key is not the one that this database was made with").
			Try("start with the sealing key that was kept when the database was made")
	}
	if k.signer, err = jose.NewSigner(ed25519.NewKeyFromSeed(seed)); err != nil {
		return nil, err
	}
	k.Created = time.UnixMicro(created)
	if retired.Valid {
		k.Retired = time.UnixMicro(retired.Int64)
	}
	return &k, nil
}
