package tickets

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// Kind says what a ticket opens.
type Kind string

// The kinds.
const (
	SignIn    Kind = "signin"    // a one-time sign-in link
	Enrol     Kind = "enrol"     // makes one key an instance of the agent that is its subject
	Challenge Kind = "challenge" // of a passkey ceremony
	Upstream  Kind = "upstream"  // lets a browser come back from another sign-in provider
)

// Life is the longest time that a ticket of kind k may be good for (oauth.md §5); 0 for no kind.
func (k Kind) Life() time.Duration {
	switch k {
	case SignIn:
		return 15 * time.Minute
	case Enrol:
		return 24 * time.Hour
	case Challenge:
		return 5 * time.Minute
	case Upstream:
		return 10 * time.Minute
	}
	return 0
}

// Ticket is what a spent secret stood for.
type Ticket struct {
	Kind      Kind
	Workspace id.Workspace
	Subject   string // what it is about: an agent's or a person's id, or ""
	Body      string // what its issuer wants back
}

const (
	maxSubject = 128
	maxBody    = 4 << 10
)

// Issue stores a new ticket, good for ttl, and returns its secret: 32 random bytes as 43 characters of base64url. A change that runs twice
// gets another secret the second time; the last one counts. Codes: ticket_invalid.
func (room *Room) Issue(tx *audit.Tx, kind Kind, ws id.Workspace, subject, body string, ttl time.Duration) (string, error) {
	switch {
	case kind.Life() == 0:
		return "", invalid("there is no ticket of the kind %q", kind)
	case ttl <= 0 || ttl > kind.Life():
		return "", invalid("a ticket of the kind %q is good for %s at most, not %s", kind, kind.Life(), ttl)
	case ws.IsZero():
		return "", invalid("a ticket belongs to a workspace")
	case len(subject) > maxSubject || len(body) > maxBody:
		return "", invalid("a ticket holds %d bytes at most", maxBody)
	}
	var raw [32]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	secret := jose.EncodeBase64(raw[:])
	if err := insert(tx, hash(secret), Ticket{kind, ws, subject, body}, tx.Now().Add(ttl)); err != nil {
		return "", err
	}
	_, err := room.Expire(tx, tx.Now()) // rides along, so that the table does not grow for ever
	return secret, err
}

// Spend takes a ticket: of all callers with one secret, exactly one ever gets it. The spend stays even if the caller then refuses (Tx.Refuse,
// not an error). Codes: ticket_unknown, ticket_expired, ticket_spent.
func (room *Room) Spend(tx *audit.Tx, kind Kind, secret string) (Ticket, error) {
	t, ok, err := spend(tx, hash(secret), kind)
	if err != nil {
		return t, err
	}
	// Asked of a good one, too: what a secret is worth is not to be told from how much was done about it.
	if why := whyNot(tx, hash(secret), kind); !ok {
		return Ticket{}, why
	}
	return t, nil
}

// Peek reads a ticket without taking it, so that its spending can be recorded in the right log, and says whether it is good now. It promises nothing:
// only Spend takes it. A spent or expired ticket comes with its refusal. Codes: ticket_unknown, ticket_expired, ticket_spent.
func (room *Room) Peek(ctx context.Context, kind Kind, secret string, now time.Time) (Ticket, error) {
	return room.peek(ctx, hash(secret), kind, now)
}

// hash names a secret in the table. Nobody can find another text with the same hash, so equality of hashes needs no constant time.
func hash(secret string) id.Digest { return id.Sum([]byte(secret)) }

func invalid(reason string, args ...any) error {
	return fault.New(fault.Invalid, "ticket_invalid", reason, args...)
}
