package evidence_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

const origin = "attorn.example/log/default/2026"

// keyOf makes the same Ed25519 key of a name each time.
func keyOf(t testing.TB, name string) jose.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("attorn test key " + name))
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func logSigner(t testing.TB, origin string) evidence.LogSigner {
	t.Helper()
	s, err := evidence.NewLogSigner(origin, keyOf(t, origin))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func head(t testing.TB, size int64) (evidence.Checkpoint, []byte, *memory) {
	t.Helper()
	m := tree(t, size)
	root, err := tlog.TreeHash(size, m)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := evidence.SignCheckpoint(size, root, logSigner(t, origin))
	if err != nil {
		t.Fatal(err)
	}
	return evidence.Checkpoint{Origin: origin, Size: size, Root: root}, signed, m
}

// What we sign, x/mod opens with the verifier key that we print; and the bytes are always the same.
func TestCheckpointIsASignedNote(t *testing.T) {
	want, signed, _ := head(t, 5)
	k := logSigner(t, origin)
	v, err := note.NewVerifier(k.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil || n.Text != want.Text() {
		t.Fatal(n, err)
	}
	if vkey, err := note.NewEd25519VerifierKey(origin, publicBytes(t, keyOf(t, origin))); err != nil || vkey != k.String() {
		t.Errorf("verifier key %q, want %q", k, vkey)
	}
	again, err := evidence.SignCheckpoint(want.Size, want.Root, k)
	if err != nil || !bytes.Equal(again, signed) {
		t.Errorf("the same head signed again differs: %v", err)
	}
	key, err := evidence.ParseVKey(k.String())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := evidence.OpenCheckpoint(signed, key); err != nil || got != want {
		t.Errorf("opened %+v, %v", got, err)
	}
}

func publicBytes(t testing.TB, s jose.Signer) ed25519.PublicKey {
	t.Helper()
	_, rest, ok := strings.Cut(string(s.Public().JWK()), `"x":"`)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(rest, `"}`))
	if !ok || err != nil {
		t.Fatal(string(s.Public().JWK()), err)
	}
	return raw
}

func TestEveryFlippedBitOfACheckpointIsRefused(t *testing.T) {
	_, signed, _ := head(t, 300)
	key := logSigner(t, origin).LogKey
	for i := range signed {
		for bit := range 8 {
			bad := bytes.Clone(signed)
			bad[i] ^= 1 << bit
			if c, err := evidence.OpenCheckpoint(bad, key); err == nil {
				t.Errorf("bit %d of byte %d flipped, opened as %+v:\n%s", bit, i, c, bad)
			}
		}
	}
}

func TestCheckpointTakesOneForm(t *testing.T) {
	c, signed, _ := head(t, 5)
	s := logSigner(t, origin)
	sign := func(text string) []byte {
		b, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	other := logSigner(t, "attorn.example/log/other/2026")
	forged, err := evidence.NewLogSigner(origin, keyOf(t, "somebody else"))
	if err != nil {
		t.Fatal(err)
	}
	forgedNote, _ := evidence.SignCheckpoint(5, c.Root, forged)
	otherNote, _ := evidence.SignCheckpoint(5, c.Root, other)
	cosigned := append(bytes.Clone(signed), otherNote[bytes.Index(otherNote, []byte("— ")):]...)
	if got, err := evidence.OpenCheckpoint(cosigned, s.LogKey); err != nil || got != c {
		t.Errorf("with an unknown signature: %+v, %v", got, err)
	}
	root := c.Root.String()
	for name, tt := range map[string]struct {
		signed []byte
		code   string
	}{
		"nothing":             {nil, "malformed"},
		"extension":           {sign(c.Text() + "extension\n"), "malformed"},
		"blank line":          {sign(origin + "\n5\n\n" + root + "\n"), "malformed"},
		"leading zero":        {sign(origin + "\n05\n" + root + "\n"), "malformed"},
		"plus":                {sign(origin + "\n+5\n" + root + "\n"), "malformed"},
		"negative":            {sign(origin + "\n-5\n" + root + "\n"), "malformed"},
		"too large a number":  {sign(origin + "\n9223372036854775808\n" + root + "\n"), "malformed"},
		"short root":          {sign(origin + "\n5\n" + root[4:] + "\n"), "malformed"},
		"unpadded root":       {sign(origin + "\n5\n" + strings.TrimSuffix(root, "=") + "\n"), "malformed"},
		"space in the origin": {sign(origin + " \n5\n" + root + "\n"), "malformed"},
		"no origin":           {sign("5\n" + root + "\n"), "malformed"},
		"without signature":   {[]byte(c.Text() + "\n"), "signature_invalid"},
		"carriage return":     {bytes.ReplaceAll(signed, []byte("\n"), []byte("\r\n")), "malformed"},
		"another's signature": {forgedNote, "signature_invalid"},
		"another log":         {otherNote, "wrong_log"},
		"no last newline":     {bytes.TrimSuffix(signed, []byte("\n")), "signature_invalid"},
		"leading newline":     {append([]byte("\n"), signed...), "malformed"},
		"too large":           {append(bytes.Clone(signed), make([]byte, evidence.MaxCheckpoint)...), "too_large"},
	} {
		if got, err := evidence.OpenCheckpoint(tt.signed, s.LogKey); fault.Code(err) != tt.code {
			t.Errorf("%s: %+v, %v; want %s", name, got, err, tt.code)
		}
	}
	if _, err := evidence.SignCheckpoint(-1, c.Root, s); fault.Code(err) != "malformed" {
		t.Errorf("a negative size: %v", err)
	}
}

func TestVKeyTakesOneForm(t *testing.T) {
	good := logSigner(t, origin).String()
	name, rest, _ := strings.Cut(good, "+")
	id, key, _ := strings.Cut(rest, "+")
	for _, bad := range []string{
		"", "+", "++", name, name + "+" + id, good + "=", good + "\n", " " + good, name + "+" + strings.ToUpper(id) + "X+" + key, name + "x+" + id + "+" + key,
		name + "+00000000+" + key, name + "+" + id + "+" + strings.TrimSuffix(key, key[len(key)-1:]), name + "+" + id + "+Ag" + key[2:],
		name + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 32)...)), strings.Repeat("a", 600) + good,
	} {
		if k, err := evidence.ParseVKey(bad); err == nil {
			t.Errorf("ParseVKey(%q) = %v", bad, k)
		}
	}
}

func TestALogHasAnEd25519KeyAndAPlainName(t *testing.T) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	p256, err := jose.NewES256Signer(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.NewLogSigner(origin, p256); fault.Code(err) != "alg_unsupported" {
		t.Error(err)
	}
	for _, bad := range []string{"", "a b", "a+b", "a\nb", "a\u2028b", "a\x00", "\xff", strings.Repeat("a", 256)} {
		if _, err := evidence.NewLogSigner(bad, keyOf(t, "x")); fault.Code(err) != "malformed" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestProofs(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		size := rapid.Int64Range(1, 600).Draw(t, "size")
		index := rapid.Int64Range(0, size-1).Draw(t, "index")
		old := rapid.Int64Range(0, size).Draw(t, "old")
		c, signed, m := head(outer, size)
		key := logSigner(outer, origin).LogKey
		in, err := evidence.ProveInclusion(index, c, signed, m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := evidence.ParseInclusion(in.Text())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := back.Check(entry(index), key); err != nil || got != c {
			t.Fatal(got, err)
		}
		for _, wrong := range []func() error{
			func() error { _, err := back.Check(entry(index+1), key); return err },
			func() error { p := back; p.Index++; _, err := p.Check(entry(index), key); return err },
			func() error {
				p := back
				p.Hashes = append(p.Hashes[:len(p.Hashes):len(p.Hashes)], tlog.Hash{})
				_, err := p.Check(entry(index), key)
				return err
			},
		} {
			if fault.Code(wrong()) != "not_in_log" {
				t.Fatalf("a wrong proof: %v", wrong())
			}
		}

		con, err := evidence.ProveConsistency(old, c, signed, m)
		if err != nil {
			t.Fatal(err)
		}
		oldRoot, err := tlog.TreeHash(old, m)
		if err != nil {
			t.Fatal(err)
		}
		early := evidence.Checkpoint{Origin: origin, Size: old, Root: oldRoot}
		conBack, err := evidence.ParseConsistency(con.Text())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := conBack.Check(early, key); err != nil || got != c {
			t.Fatal(got, err)
		}
		early.Root[3] ^= 1
		if _, err := conBack.Check(early, key); fault.Code(err) != "not_consistent" {
			t.Fatalf("another history: %v", err)
		}
	})
}

func TestProofTextTakesOneForm(t *testing.T) {
	c, signed, m := head(t, 9)
	in, err := evidence.ProveInclusion(4, c, signed, m)
	if err != nil {
		t.Fatal(err)
	}
	key := logSigner(t, origin).LogKey
	text := in.Text()
	for i := range text {
		for bit := range 8 {
			bad := bytes.Clone(text)
			bad[i] ^= 1 << bit
			p, err := evidence.ParseInclusion(bad)
			if err == nil {
				_, err = p.Check(entry(4), key)
			}
			if err == nil {
				t.Errorf("bit %d of byte %d flipped and accepted:\n%s", bit, i, bad)
			}
		}
	}
	s := string(text)
	for name, bad := range map[string]string{
		"nothing": "", "extra": strings.Replace(s, "index", "extra YQ==\nindex", 1), "leading zero": strings.Replace(s, "index 4", "index 04", 1),
		"negative": strings.Replace(s, "index 4", "index -4", 1), "blank": strings.Replace(s, "index 4\n", "index 4\n\n", 1), "version": strings.Replace(s, "@v1", "@v2", 1),
		"no checkpoint": s[:strings.Index(s, "\n\n")], "long": s + strings.Repeat("x", 30000), "consistency": strings.Replace(s, "c2sp.org/tlog-proof@v1\nindex", "old", 1),
		"many": strings.Replace(s, "index 4\n", "index 4\n"+strings.Repeat(c.Root.String()+"\n", 200), 1),
	} {
		if p, err := evidence.ParseInclusion([]byte(bad)); err == nil {
			if _, err = p.Check(entry(4), key); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}
