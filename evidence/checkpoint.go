package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// MaxCheckpoint is the largest signed checkpoint that OpenCheckpoint reads, in bytes: room for the log's signature and sixteen others.
const MaxCheckpoint = 16 << 10

const algEd25519 = 1 // signature type of C2SP signed-note

// Checkpoint is the head of a log: the hash of its first Size entries.
type Checkpoint struct {
	Origin string // `<issuer without scheme>/log/<workspace>/<shard>`
	Size   int64
	Root   tlog.Hash
}

// Text is what is signed (C2SP tlog-checkpoint): origin, size and root on a line each, no extensions.
func (c Checkpoint) Text() string { return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root) }

// LogKey is the public Ed25519 key of one log, under the log's origin as its name (C2SP signed-note).
type LogKey struct {
	origin string
	key    jose.PublicKey
	raw    [ed25519.PublicKeySize]byte
}

// LogSigner is a LogKey with the power to sign checkpoints. The private key stays with whoever made the Signer.
type LogSigner struct {
	LogKey
	signer jose.Signer
}

// NewLogSigner makes the signer of the log called origin; s must hold an Ed25519 key. Codes: malformed, alg_unsupported.
func NewLogSigner(origin string, s jose.Signer) (LogSigner, error) {
	k, err := newLogKey(origin, s.Public())
	return LogSigner{k, s}, err
}

func newLogKey(origin string, key jose.PublicKey) (LogKey, error) {
	k := LogKey{origin: origin, key: key}
	var jwk struct {
		X string `json:"x"`
	}
	if key.Type() != "Ed25519" {
		return LogKey{}, fault.New(fault.Invalid, "alg_unsupported", "a log is signed with an Ed25519 key")
	}
	if err := jose.DecodeForeign(key.JWK(), &jwk, jose.Limits{}); err != nil {
		return LogKey{}, err
	}
	if n, err := base64.RawURLEncoding.Decode(k.raw[:], []byte(jwk.X)); err != nil || n != len(k.raw) {
		return LogKey{}, fault.New(fault.Invalid, "malformed", "not an Ed25519 public key")
	}
	if !validOrigin(origin) {
		return LogKey{}, fault.New(fault.Invalid, "malformed", "an origin is one line without spaces and pluses")
	}
	return k, nil
}

func validOrigin(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// ParseVKey reads a verifier key, `<origin>+<key id>+<key>`, in exactly the form that String prints. Code: malformed.
func ParseVKey(s string) (LogKey, error) {
	bad := fault.New(fault.Invalid, "malformed", "not a verifier key of an Ed25519 log: <origin>+<8 hex digits>+<base64>")
	name, rest, _ := strings.Cut(s, "+")
	_, key64, ok := strings.Cut(rest, "+")
	if !ok || len(s) > 512 {
		return LogKey{}, bad
	}
	raw, err := base64.StdEncoding.DecodeString(key64)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algEd25519 {
		return LogKey{}, bad
	}
	key, err := jose.Ed25519Key(raw[1:])
	if err != nil {
		return LogKey{}, err
	}
	k, err := newLogKey(name, key)
	if err != nil {
		return LogKey{}, err
	}
	if k.String() != s { // key id, letter case, spare bits
		return LogKey{}, bad
	}
	return k, nil
}

// String is the verifier key, as trust policies and log.opened carry it.
func (k LogKey) String() string {
	var id [4]byte
	binary.BigEndian.PutUint32(id[:], k.KeyHash())
	return k.origin + "+" + hex.EncodeToString(id[:]) + "+" + base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, k.raw[:]...))
}

// Name implements note.Verifier and note.Signer: the log's origin.
func (k LogKey) Name() string { return k.origin }

// KeyHash implements note.Verifier and note.Signer.
func (k LogKey) KeyHash() uint32 {
	h := sha256.New()
	h.Write([]byte(k.origin + "\n\x01"))
	h.Write(k.raw[:])
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// Verify implements note.Verifier.
func (k LogKey) Verify(msg, sig []byte) bool { return k.key.Verify(msg, sig) == nil }

// Sign implements note.Signer.
func (s LogSigner) Sign(msg []byte) ([]byte, error) { return s.signer.Sign(msg) }

// SignCheckpoint makes the signed checkpoint of a log's head. The same head always gives the same bytes. The caller promises never to have
// signed another head that this one does not extend.
func SignCheckpoint(size int64, root tlog.Hash, s LogSigner) ([]byte, error) {
	if size < 0 {
		return nil, fault.New(fault.Invalid, "malformed", "a tree of %d leaves", size)
	}
	return note.Sign(&note.Note{Text: Checkpoint{s.origin, size, root}.Text()}, s)
}

// OpenCheckpoint reads a signed checkpoint of the log that key names and checks the log's signature. Signatures of others, which it does not
// know, are passed over as C2SP signed-note demands. Codes: too_large, malformed, wrong_log, signature_invalid.
func OpenCheckpoint(signed []byte, key LogKey) (Checkpoint, error) {
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, fault.New(fault.TooLarge, "too_large", "a checkpoint has at most %d bytes, not %d", MaxCheckpoint, len(signed))
	}
	c, err := parseCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != key.origin {
		return Checkpoint{}, fault.New(fault.Denied, "wrong_log", "the checkpoint is of another log than the key")
	}
	if _, err := note.Open(signed, note.VerifierList(key)); err != nil {
		return Checkpoint{}, fault.Wrap(err, fault.Denied, "signature_invalid", "the checkpoint is not signed with the log's key")
	}
	return c, nil
}

// parseCheckpoint reads the one form of a checkpoint, its signatures unchecked.
func parseCheckpoint(signed []byte) (Checkpoint, error) {
	bad := fault.New(fault.Invalid, "malformed", "not a checkpoint: origin, size and root on a line each, a blank line, signatures")
	text, sigs, ok := bytes.Cut(signed, []byte("\n\n"))
	lines := strings.Split(string(text), "\n")
	if !ok || len(lines) != 3 || !validOrigin(lines[0]) {
		return Checkpoint{}, bad
	}
	c := Checkpoint{Origin: lines[0]}
	var err1, err2 error
	c.Size, err1 = strconv.ParseInt(lines[1], 10, 64)
	c.Root, err2 = tlog.ParseHash(lines[2])
	if err1 != nil || err2 != nil || c.Size < 0 || c.Text() != string(text)+"\n" {
		return Checkpoint{}, bad
	}
	for line := range strings.Lines(string(sigs)) { // note.Open decodes leniently: the same signature would have several texts
		_, b64, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "— "), "\n"), " ")
		if raw, err := base64.StdEncoding.DecodeString(b64); err != nil || base64.StdEncoding.EncodeToString(raw) != b64 {
			return Checkpoint{}, bad
		}
	}
	return c, nil
}
