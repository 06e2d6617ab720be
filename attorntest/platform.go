package attorntest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
)

// Platform is a stand-in for a platform that vouches for its workloads (Kubernetes, GitHub Actions, any OpenID issuer), with its metadata and keys over HTTP on
// loopback. Safe for concurrent use.
type Platform struct {
	Issuer string // its URL

	t  testing.TB
	mu sync.Mutex

	keys    []platformKey // the first one signs
	made    int
	asked   map[string]int
	respond func(w http.ResponseWriter, r *http.Request) bool
}

type platformKey struct {
	kid    string
	alg    string
	signer crypto.Signer
}

// NewPlatform starts a platform with one RSA and one P-256 key; the RSA key signs.
func NewPlatform(t testing.TB) *Platform {
	t.Helper()
	p := &Platform{t: t, asked: map[string]int{}}
	p.AddKey("ES256")
	p.AddKey("RS256")
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

// AddKey makes a key for alg (RS256, ES256 or EdDSA), which signs from now on, and returns its kid.
func (p *Platform) AddKey(alg string) string {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
	k := platformKey{kid: fmt.Sprintf("%s-%d", alg, p.made), alg: alg}
	var err error
	switch alg {
	case "RS256":
		k.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		k.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.signer, err = ed25519.GenerateKey(nil)
	default:
		err = fmt.Errorf("no key for %s", alg)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.keys = append([]platformKey{k}, p.keys...)
	return k.kid
}

// DropKey forgets a key.
func (p *Platform) DropKey(kid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, k := range p.keys {
		if k.kid == kid {
			p.keys = append(p.keys[:i:i], p.keys[i+1:]...)
			return
		}
	}
}

// Token signs claims with the newest key.
func (p *Platform) Token(claims map[string]any) string {
	p.t.Helper()
	payload, err := json.Marshal(claims, json.Deterministic(true))
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	k := p.keys[0]
	p.mu.Unlock()
	return p.Sign(k.kid, map[string]any{"alg": k.alg, "kid": k.kid, "typ": "JWT"}, payload)
}

// Sign signs a payload as it is, under a header as it is, with the key that has the kid.
func (p *Platform) Sign(kid string, header map[string]any, payload []byte) string {
	p.t.Helper()
	raw, err := json.Marshal(header, json.Deterministic(true))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.SignRaw(kid, raw, payload)
}

// SignRaw is Sign for a header that is no JSON object of its caller's making.
func (p *Platform) SignRaw(kid string, header, payload []byte) string {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if k.kid == kid {
			signed := encoded(header) + "." + encoded(payload)
			return signed + "." + encoded(k.sign(p.t, []byte(signed)))
		}
	}
	p.t.Fatalf("no key %s", kid)
	return ""
}

func (k platformKey) sign(t testing.TB, signed []byte) []byte {
	sum := sha256.Sum256(signed)
	var sig []byte
	var err error
	switch key := k.signer.(type) {
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, key, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case ed25519.PrivateKey:
		sig = ed25519.Sign(key, signed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// PublicKey is the public key that has the kid.
func (p *Platform) PublicKey(kid string) crypto.PublicKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if k.kid == kid {
			return k.signer.Public()
		}
	}
	return nil
}

// KeySet is the platform's public keys as a JWK Set (RFC 7517 §5). use is that of each key: "sig", or "jwt-svid" for a SPIFFE bundle.
func (p *Platform) KeySet(use string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	for _, k := range p.keys {
		jwk := map[string]string{"kid": k.kid, "use": use}
		switch key := k.signer.Public().(type) {
		case *rsa.PublicKey:
			jwk["kty"], jwk["n"], jwk["e"] = "RSA", encoded(key.N.Bytes()), encoded(big.NewInt(int64(key.E)).Bytes())
		case *ecdsa.PublicKey:
			point, err := key.Bytes()
			if err != nil {
				p.t.Fatal(err)
			}
			jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", encoded(point[1:33]), encoded(point[33:])
		case ed25519.PublicKey:
			jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", encoded(key)
		}
		set.Keys = append(set.Keys, jwk)
	}
	raw, err := json.Marshal(set, json.Deterministic(true))
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

// Asked is how often a path was asked for: "/.well-known/openid-configuration" or "/keys".
func (p *Platform) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// Respond has f answer requests from now on, as far as it does; nil ends that.
func (p *Platform) Respond(f func(w http.ResponseWriter, r *http.Request) (answered bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.respond = f
}

// ServeHTTP implements http.Handler.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.URL.Path]++
	respond := p.respond
	p.mu.Unlock()
	if respond != nil && respond(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.Issuer, p.Issuer+"/keys")
	case "/keys":
		w.Write(p.KeySet("sig"))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
