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

	Pushed  Kind = "par"     // an authorization request that its client pushed (RFC 9126)
	Consent Kind = "consent" // an authorization request that waits for a person
	Resume  Kind = "resume"  // what the person said, on its way to the client
	Code    Kind = "code"    // an authorization code (RFC 6749 §4.1)
	Refresh Kind = "refresh" // a refresh token (RFC 6749 §6)

	AppInvite Kind = "app" // lets an app register itself (RFC 7591 §3: an initial access token)
)

// Life is the longest time that a ticket of kind k may be good for (oauth.md §5); 0 for no kind.
func (k Kind) Life() time.Duration {
	switch k {
	case SignIn:
		return 15 * time.Minute
	case Enrol, AppInvite:
		return 24 * time.Hour
	case Challenge:
		return 5 * time.Minute
	case Upstream, Consent:
		return 10 * time.Minute
	case Pushed:
		return 90 * time.Second
	case Resume, Code:
		return time.Minute
	case Refresh:
		return 72 * time.Hour
	}
	return 0
}

// Ticket is what a spent secret stood for.
type Ticket struct {
	Kind      Kind
	Workspace id.Workspace
	Subject   string // what it is about: an agent's or a person's id, or ""
	Body      string // what its issuer wants back

	Family string    // what a code or refresh token is of: the delegation that ends where it is shown twice; else ""
	Client string    // the client that may spend it, for its issuer to compare; "" for no client
	JKT    id.Key    // the key that it is bound to, for its issuer to compare; zero for none
	Spent  time.Time // when it was, where Spend found it so; zero otherwise
	Failed bool      // it was spent, and brought nothing (Fail)

	Issued, Expires time.Time // where Peek found it; zero otherwise
}

const (
	maxSubject = 128
	maxClient  = 2 << 10 // the address of a metadata document
	maxBody    = 32 << 10
)

// Issue stores a new ticket, good for ttl, and returns its secret: 32 random bytes as 43 characters of base64url. A change that runs twice
// gets another secret the second time; the last one counts. Codes: ticket_invalid.
func (room *Room) Issue(tx *audit.Tx, t Ticket, ttl time.Duration) (string, error) {
	switch {
	case t.Kind.Life() == 0:
		return "", invalid("there is no ticket of the kind %q", t.Kind)
	case ttl <= 0 || ttl > t.Kind.Life():
		return "", invalid("a ticket of the kind %q is good for %s at most, not %s", t.Kind, t.Kind.Life(), ttl)
	case t.Workspace.IsZero():
		return "", invalid("a ticket belongs to a workspace")
	case len(t.Subject) > maxSubject || len(t.Family) > maxSubject || len(t.Client) > maxClient || len(t.Body) > maxBody:
		return "", invalid("a ticket holds %d bytes at most", maxBody)
	}
	var raw [32]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	secret := jose.EncodeBase64(raw[:])
	if err := insert(tx, hash(secret), t, tx.Now().Add(ttl)); err != nil {
		return "", err
	}
	_, err := room.Expire(tx, tx.Now()) // rides along, so that the table does not grow for ever
	return secret, err
}

// Spend takes a ticket: of all callers with one secret, exactly one ever gets it. The spend stays even if the caller then refuses (Tx.Refuse,
// not an error). With ticket_spent comes what it was, and when it was spent, for whoever must end its family. Codes: ticket_unknown, ticket_expired,
// ticket_spent.
func (room *Room) Spend(tx *audit.Tx, kind Kind, secret string) (Ticket, error) {
	t, ok, err := spend(tx, hash(secret), kind)
	if err != nil {
		return t, err
	}
	// Asked of a good one, too: what a secret is worth is not to be told from how much was done about it.
	was, why := whyNot(tx, hash(secret), kind)
	if !ok {
		return was, why
	}
	return t, nil
}

// Fail notes that a ticket which was spent in this transaction brought nothing: whoever shows it again is no sign that two have what it brought.
func (room *Room) Fail(tx *audit.Tx, kind Kind, secret string) error {
	return fail(tx, hash(secret), kind)
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
