package evidence_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// passkey is a platform authenticator with a key that depends on its name alone (WebAuthn Level 3).
type passkey struct{ key *ecdsa.PrivateKey }

func passkeyOf(t testing.TB, name string) passkey {
	t.Helper()
	d := sha256.Sum256([]byte("attorn test passkey " + name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		t.Fatal(err)
	}
	return passkey{key}
}

func (p passkey) cose(t testing.TB) delegation.CredentialKey {
	t.Helper()
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	raw := append([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[1:33]...)
	key, err := delegation.ParseCOSE(append(append(raw, "\x22\x58\x20"...), point[33:]...))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (p passkey) delegatorKey(t testing.TB) delegation.DelegatorKey {
	return delegation.DelegatorKey{Passkey: &delegation.Passkey{Key: p.cose(t), RPID: "attorn.example", Origin: issuer}}
}

func (p passkey) sign(t testing.TB, challenge id.Digest) *delegation.Assertion {
	t.Helper()
	rp := sha256.Sum256([]byte("attorn.example"))
	data := append(rp[:], 1|4, 0, 0, 0, 0) // present, verified
	client := []byte(`{"type":"webauthn.get","challenge":"` + challenge.String() + `","origin":"` + issuer + `","crossOrigin":false}`)
	hash := sha256.Sum256(client)
	hash = sha256.Sum256(append(slices.Clone(data), hash[:]...))
	sig, err := p.key.Sign(nil, hash[:], crypto.SHA256) // deterministic: RFC 6979
	if err != nil {
		t.Fatal(err)
	}
	return &delegation.Assertion{CredentialID: []byte("credential"), AuthenticatorData: data, ClientDataJSON: client, Signature: sig}
}

// ledger is a log in memory.
type ledger struct {
	t      testing.TB
	ws     id.Workspace
	base   int64 // revision of its first entry
	signer evidence.LogSigner
	tree   memory
	front  evidence.Frontier
	bodies [][]byte
	names  []string // what the story calls each entry
}

func newLedger(t testing.TB, ws id.Workspace) *ledger {
	return &ledger{t: t, ws: ws, signer: logSigner(t, evidence.Origin(issuer, ws, "2026"))}
}

func (l *ledger) add(name string, e evidence.Event) int64 {
	l.t.Helper()
	e.Rev = l.base + int64(len(l.bodies))
	b, err := e.Bytes()
	if err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	l.tree.add(l.t, e.Rev-l.base, b)
	l.front.Append(tlog.RecordHash(b))
	l.bodies, l.names = append(l.bodies, b), append(l.names, name)
	return e.Rev
}

func (l *ledger) opening() evidence.Shard {
	return evidence.Shard{Workspace: l.ws, Origin: l.signer.Name(), VKey: l.signer.String(), Base: l.base}
}

func (l *ledger) checkpoint() (evidence.Checkpoint, []byte) {
	l.t.Helper()
	c := evidence.Checkpoint{Origin: l.signer.Name(), Size: l.front.Size(), Root: l.front.Root()}
	signed, err := evidence.SignCheckpoint(c.Size, c.Root, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return c, signed
}

func (l *ledger) entry(rev int64) evidence.Entry {
	l.t.Helper()
	c, signed := l.checkpoint()
	p, err := evidence.ProveInclusion(rev-l.base, c, signed, &l.tree)
	if err != nil {
		l.t.Fatal(err)
	}
	return evidence.Entry{Workspace: l.ws, Rev: rev, Body: l.bodies[rev-l.base], Proof: p.Text()}
}

func (l *ledger) rev(name string) int64 {
	if i := slices.Index(l.names, name); i >= 0 {
		return l.base + int64(i)
	}
	return -1
}
