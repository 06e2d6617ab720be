package attorn

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// nextSuffix is what the file of a key is called until the server has taken it.
const nextSuffix = ".next"

// Rotate replaces the agent's key: a new one is made beside the key's file, the old one vouches for it, and it takes the file's place. The old key stays good
// for grace, whole seconds, at most a day; 0 ends it at once. Every process that opened the file goes on with the new key. What was lent to the agent
// stays; what was lent to the old key alone ends with it.
//
// It can be interrupted anywhere: the next Rotate, or the next request for a token, finds the new key beside the old one and goes on from there. The
// answer then says no more than the keys. Codes: key_elsewhere for a key that is in no file, those of the server: rotation_in_grace, instance_rotated, ….
func (a *Agent) Rotate(ctx context.Context, grace time.Duration) (api.Rotated, error) {
	h := a.door.keys
	if h.path == "" {
		return api.Rotated{}, fault.New(fault.Invalid, "key_elsewhere", "the agent's key is in no file that could be replaced").
			Try("make the new key where the old one is kept")
	}
	old := h.key()
	next, err := nextKey(h.path, h.whose)
	if err != nil {
		return api.Rotated{}, err
	}
	in, err := a.vouch(token.KeyStatement{Use: token.UseRotate, Agent: a.id, Expires: int64(grace / time.Second)}, old, next)
	if err != nil {
		return api.Rotated{}, err
	}
	out, err := ask[api.Rotated](ctx, a.door, "Rotate", []string{old.Public().Thumbprint().String()}, nil, in)
	if err != nil {
		if now := h.key().Public().Thumbprint(); now != old.Public().Thumbprint() { // an interrupted rotation was ended, or another process rotated
			return api.Rotated{Agent: a.id, Instance: now, Before: old.Public().Thumbprint()}, nil
		}
		if code := fault.Code(err); code != "instance_rotated" && code != "key_in_use" || !a.holds(ctx, next) {
			return out, err
		}
		out = api.Rotated{Agent: a.id, Instance: next.Public().Thumbprint(), Before: old.Public().Thumbprint()}
	}
	if out.Instance != next.Public().Thumbprint() {
		return out, fault.New(fault.Unavailable, "bad_answer", "the server took another key than ours")
	}
	return out, takePlace(h.path, next)
}

// vouch signs a statement about a new key with the one that vouches and with itself. Expires is how many seconds it is to last.
func (a *Agent) vouch(st token.KeyStatement, by, fresh jose.Signer) (api.KeyStatement, error) {
	st.Issuer, st.Workspace, st.Nonce, st.IssuedAt = a.door.server, a.door.ws, rand.Text(), time.Now().Unix()
	if st.Expires > 0 || st.Use == token.UseRotate {
		st.Expires += st.IssuedAt
	}
	voucher, possession, err := token.SignKeyStatement(st, by, fresh)
	return api.KeyStatement{Voucher: voucher, Possession: possession}, err
}

// nextKey makes the key that is to follow, in a file beside the other's, or reads what an earlier try has made.
func nextKey(path string, whose *keyHolder) (jose.Signer, error) {
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	k := keyFileOf(priv)
	k.Attorn = whose
	if err := k.write(path+nextSuffix, true); err != nil && fault.Code(err) != "key_exists" {
		return nil, err
	}
	if k, err = readKeyFile(path + nextSuffix); err != nil {
		return nil, err
	}
	if (k.Attorn == nil) != (whose == nil) || whose != nil && *k.Attorn != *whose {
		return nil, fault.New(fault.Invalid, "key_of_another", "the key in %s is another agent's", path+nextSuffix).Try("move it away")
	}
	return k.signer()
}

// takePlace puts the next key in the place of the one before. Another process may have done so.
func takePlace(path string, next jose.Signer) error {
	err := os.Rename(path+nextSuffix, path)
	if errors.Is(err, fs.ErrNotExist) {
		k, err := readKeyFile(path)
		if err != nil {
			return err
		}
		s, err := k.signer()
		if err == nil && s.Public().Thumbprint() == next.Public().Thumbprint() {
			return nil
		}
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "key_unwritable", "the server took the new key, and it cannot be put in its place: %v", err).
			Try("keep %s, mend the directory, and rotate again", path+nextSuffix)
	}
	return nil
}

// holds reports whether the server takes a key as this agent's.
func (a *Agent) holds(ctx context.Context, s jose.Signer) bool {
	_, err := a.grantWith(ctx, s, url.Values{"grant_type": {"client_credentials"}, "resource": {a.door.api()}}, nil)
	return err == nil
}

// resume ends a rotation that was interrupted after the server had taken the new key, and reports whether there was one.
func (a *Agent) resume(ctx context.Context) bool {
	h := a.door.keys
	if h.path == "" {
		return false
	}
	k, err := readKeyFile(h.path + nextSuffix)
	if err != nil || h.whose != nil && (k.Attorn == nil || *k.Attorn != *h.whose) {
		return false
	}
	s, err := k.signer()
	return err == nil && a.holds(ctx, s) && takePlace(h.path, s) == nil
}
