package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// curve is edwards25519 (RFC 8032 §5.1) in plain arithmetic, to derive from its equation what the package holds as constants.
type curve struct{ p, d *big.Int }

type point struct{ x, y *big.Int }

func newCurve() curve {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d := new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), p))
	return curve{p, d.Mod(d, p)}
}

// on finds a point with this y: x² = (y² - 1) / (d·y² + 1).
func (c curve) on(y *big.Int) (point, bool) {
	yy := new(big.Int).Mul(y, y)
	num := new(big.Int).Sub(yy, big.NewInt(1))
	den := new(big.Int).Add(new(big.Int).Mul(c.d, yy), big.NewInt(1))
	x2 := num.Mul(num, new(big.Int).ModInverse(den, c.p))
	x := new(big.Int).ModSqrt(x2.Mod(x2, c.p), c.p)
	return point{x, new(big.Int).Mod(y, c.p)}, x != nil
}

func (c curve) add(a, b point) point {
	mul := func(f ...*big.Int) *big.Int {
		r := big.NewInt(1)
		for _, x := range f {
			r.Mod(r.Mul(r, x), c.p)
		}
		return r
	}
	t := mul(c.d, a.x, b.x, a.y, b.y)
	inv := func(n *big.Int) *big.Int { return n.ModInverse(n.Mod(n, c.p), c.p) }
	x := mul(new(big.Int).Add(mul(a.x, b.y), mul(a.y, b.x)), inv(new(big.Int).Add(big.NewInt(1), t)))
	y := mul(new(big.Int).Add(mul(a.y, b.y), mul(a.x, b.x)), inv(new(big.Int).Sub(big.NewInt(1), t)))
	return point{x, y}
}

// small reports whether eight times the point is the neutral one.
func (c curve) small(a point) bool {
	for range 3 {
		a = c.add(a, a)
	}
	return a.x.Sign() == 0 && a.y.Cmp(big.NewInt(1)) == 0
}

func encode(y *big.Int, sign byte) ed25519.PublicKey {
	b := y.FillBytes(make([]byte, 32))
	for i := range 16 {
		b[i], b[31-i] = b[31-i], b[i]
	}
	b[31] |= sign << 7
	return b
}

// Every point of small order, found by multiplying points of the curve by the order of the large subgroup, is refused in both signs and, where
// it has one, in its form above p; the points that they came from are not.
func TestEveryPointOfSmallOrderIsRefused(t *testing.T) {
	c := newCurve()
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	found := map[string]bool{}
	for n := int64(2); len(found) < 5 && n < 400; n++ {
		p, ok := c.on(big.NewInt(n))
		if !ok {
			continue
		}
		q := point{big.NewInt(0), big.NewInt(1)}
		for i := order.BitLen() - 1; i >= 0; i-- {
			q = c.add(q, q)
			if order.Bit(i) == 1 {
				q = c.add(q, p)
			}
		}
		if !c.small(q) {
			t.Fatalf("L·(x, %d) is not of small order: the arithmetic of this test is wrong", n)
		}
		found[q.y.String()] = true
		if _, err := jose.Ed25519Key(encode(p.y, 0)); err != nil && !c.small(p) {
			t.Errorf("a good point was refused: y = %d, %v", n, err)
		}
		for _, sign := range []byte{0, 1} {
			if _, err := jose.Ed25519Key(encode(q.y, sign)); fault.Code(err) != "weak_key" {
				t.Errorf("y = %s, sign %d: %v", q.y, sign, err)
			}
			if above := new(big.Int).Add(q.y, c.p); above.BitLen() <= 255 {
				if _, err := jose.Ed25519Key(encode(above, sign)); fault.Code(err) != "weak_key" {
					t.Errorf("y = p + %s, sign %d: %v", q.y, sign, err)
				}
			}
		}
	}
	if len(found) != 5 {
		t.Errorf("found %d values of y among the points of small order, want 5", len(found))
	}
}

func TestOnlyCanonicalYIsAKey(t *testing.T) {
	c := newCurve()
	for n := range int64(19) { // p + n still fits 255 bits
		if _, err := jose.Ed25519Key(encode(new(big.Int).Add(c.p, big.NewInt(n)), 0)); fault.Code(err) != "weak_key" {
			t.Errorf("y = p + %d: %v", n, err)
		}
	}
	if _, err := jose.Ed25519Key(encode(new(big.Int).Sub(c.p, big.NewInt(2)), 0)); err != nil {
		t.Errorf("y = p - 2: %v", err)
	}
}

// A key is the same key after its JWK was written and read, as a value and as a member.
func TestKeyRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom([]jose.Signer{signers(t, true), signers(t, false)}).Draw(t, "signer")
		k := s.Public()
		again, err := jose.ParseJWK(k.JWK())
		if err != nil || again != k || again.Thumbprint() != k.Thumbprint() {
			t.Fatalf("%v, %v", again, err)
		}
		type holder struct {
			Key  jose.PublicKey `json:"key"`
			None jose.PublicKey `json:"none,omitzero"`
		}
		raw, err := jose.Canonical(holder{Key: k})
		if err != nil || string(raw) != `{"key":`+string(k.JWK())+`}` {
			t.Fatalf("%s, %v", raw, err)
		}
		var h holder
		if err := jose.Decode(raw, &h, jose.Limits{}); err != nil || h.Key != k || !h.None.IsZero() {
			t.Fatalf("%+v, %v", h, err)
		}
	})
}

func signers(t *rapid.T, ed bool) jose.Signer {
	var s jose.Signer
	var err error
	if ed {
		_, priv, _ := ed25519.GenerateKey(rand.Reader)
		s, err = jose.NewSigner(priv)
	} else {
		priv, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		s, err = jose.NewES256Signer(priv)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNoKeyIsNothing(t *testing.T) {
	var k jose.PublicKey
	if !k.IsZero() || k.JWK() != nil || k.Type() != "" || !k.Thumbprint().IsZero() {
		t.Errorf("%+v", k)
	}
	if err := k.Verify([]byte("m"), make([]byte, 64)); fault.Code(err) != "signature_invalid" {
		t.Error(err)
	}
	if raw, err := json.Marshal(k); string(raw) != "null" || err != nil {
		t.Errorf("%s, %v", raw, err)
	}
	if err := json.Unmarshal([]byte("null"), &k); err == nil {
		t.Error("null is a key")
	}
}

func TestWrappedKeysAreChecked(t *testing.T) {
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	empty := &ecdsa.PublicKey{Curve: elliptic.P256()}
	for name, err := range map[string]error{
		"alg_unsupported nil":   second(jose.P256Key(nil)),
		"alg_unsupported P-384": second(jose.P256Key(&p384.PublicKey)),
		"malformed no point":    second(jose.P256Key(empty)),
		"malformed short":       second(jose.Ed25519Key(make([]byte, 31))),
		"malformed none":        second(jose.Ed25519Key(nil)),
	} {
		if code := fault.Code(err); code == "" || name[:len(code)] != code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := jose.NewSigner(nil); fault.Code(err) != "malformed" {
		t.Error(err)
	}
	if _, err := jose.NewES256Signer(nil); fault.Code(err) != "malformed" {
		t.Error(err)
	}
	if _, err := jose.NewES256Signer(p384); fault.Code(err) != "alg_unsupported" {
		t.Error(err)
	}
}

func second(_ jose.PublicKey, err error) error { return err }

func BenchmarkThumbprint(b *testing.B) {
	raw := edSigner(b).Public().JWK()
	for b.Loop() {
		if _, err := jose.ParseJWK(raw); err != nil {
			b.Fatal(err)
		}
	}
}
