package attorn

import (
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// keyFile is a private key as a JWK (RFC 8037 §2), and whose it is once that is known.
type keyFile struct {
	Kty    string     `json:"kty"` // OKP
	Crv    string     `json:"crv"` // Ed25519
	X      string     `json:"x"`
	D      string     `json:"d"`
	Attorn *keyHolder `json:"attorn,omitempty"`
}

// keyHolder says where a key was enrolled, and as what.
type keyHolder struct {
	Server    string       `json:"server"`
	Workspace id.Workspace `json:"workspace"`
	Agent     id.Agent     `json:"agent"`
	Name      string       `json:"name"`
}

const maxKeyFile = 16 << 10 // bytes

// KeyPath is where an agent's key is kept unless somebody says otherwise: below the user's configuration directory.
func KeyPath(server string, ws id.Workspace, name string) (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "key_path", "there is no configuration directory for keys: %v", err).Try("name the key file")
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || name == "" || strings.ContainsAny(name, `/\:`) || strings.HasPrefix(name, ".") {
		return "", fault.New(fault.Invalid, "key_path", "a key's place is made of a server's URL and an agent's name").Try("name the key file")
	}
	if ws.IsZero() {
		ws = id.Default
	}
	return filepath.Join(dir, "attorn", strings.ReplaceAll(u.Host, ":", "_"), ws.String(), name+".jwk"), nil
}

// MakeKeyFile makes an Ed25519 key, keeps it in a new file that its owner alone can read, and returns its signer. The file is whole and on disk before
// it returns. Code: key_exists.
func MakeKeyFile(path string) (jose.Signer, error) {
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	k := keyFileOf(priv)
	if err := k.write(path, true); err != nil {
		return nil, err
	}
	return k.signer()
}

func keyFileOf(priv ed25519.PrivateKey) keyFile {
	pub := priv.Public().(ed25519.PublicKey)
	return keyFile{Kty: "OKP", Crv: "Ed25519", X: jose.EncodeBase64(pub), D: jose.EncodeBase64(priv.Seed())}
}

// OpenKeyFile reads a key that MakeKeyFile made. It refuses a link, a file of another user, and one that others can read. Codes: key_missing,
// key_unsafe, key_malformed.
func OpenKeyFile(path string) (jose.Signer, error) {
	k, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	return k.signer()
}

func (k keyFile) signer() (jose.Signer, error) {
	bad := fault.New(fault.Invalid, "key_malformed", "the file is not an Ed25519 private key as a JWK")
	seed, err := jose.DecodeBase64(k.D)
	if err != nil || len(seed) != ed25519.SeedSize || k.Kty != "OKP" || k.Crv != "Ed25519" {
		return nil, bad
	}
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, bad
	}
	priv := ed25519.NewKeyFromSeed(seed)
	if jose.EncodeBase64(priv.Public().(ed25519.PublicKey)) != k.X {
		return nil, bad
	}
	return s, nil
}

func readKeyFile(path string) (keyFile, error) {
	var k keyFile
	named, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, fault.New(fault.NotFound, "key_missing", "there is no key in %s", path)
	} else if err != nil {
		return k, unreadable(path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return k, unreadable(path, err)
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return k, unreadable(path, err)
	}
	switch {
	case !named.Mode().IsRegular() || !os.SameFile(named, opened):
		return k, unsafe("%s is a link or no file; a key is read only from the file itself", path)
	case !ours(opened):
		return k, unsafe("%s belongs to another user", path)
	case !private(opened):
		return k, unsafe("others can read %s", path).Try("chmod 600 %s, and enrol a new key if somebody may have read this one", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return k, unreadable(path, err)
	}
	if err := jose.Decode(raw, &k, jose.Limits{Bytes: maxKeyFile}); err != nil {
		return k, fault.New(fault.Invalid, "key_malformed", "%s is not a private key as a JWK", path)
	}
	return k, nil
}

func unsafe(reason string, args ...any) *fault.Error {
	return fault.New(fault.Denied, "key_unsafe", reason, args...)
}

func unreadable(path string, err error) error {
	return fault.Wrap(err, fault.Invalid, "key_unreadable", "the key in %s cannot be read: %v", path, err)
}

// write keeps the key: first whole and on disk beside its place, then in it. A new key never replaces another one.
func (k keyFile) write(path string, fresh bool) error {
	failed := func(err error) error {
		return fault.Wrap(err, fault.Unavailable, "key_unwritable", "the key cannot be kept in %s: %v", path, err)
	}
	raw, err := jose.Canonical(k)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return failed(err)
	}
	f, err := os.CreateTemp(dir, ".key-*") // 0600
	if err != nil {
		return failed(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return failed(err)
	}
	if fresh {
		err = os.Link(f.Name(), path) // of several at once one succeeds
	} else {
		err = os.Rename(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "key_exists", "there is a key in %s already", path).Try("use it, or name another file")
	} else if err != nil {
		return failed(err)
	}
	if err := syncDir(dir); err != nil {
		return failed(err)
	}
	return nil
}
