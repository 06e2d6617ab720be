package people

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// The times of a console session.
const (
	sessionLife = 8 * time.Hour
	sessionIdle = 30 * time.Minute
	touchEvery  = time.Minute
)

// Session is a person's sign-in at the console. It ends 8 hours after it began, or 30 minutes after it was last seen.
type Session struct {
	ID        id.Digest // SHA-256 of its secret; names the session and opens nothing
	Person    id.User
	ACR       int // how sure the sign-in was: 0 to 3 (policy.md)
	AuthTime  time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
	OpenedBy  string // the passkey's credential the registered key's thumbprint or Identity.Name; "" where none stands for it
}

// Due reports whether Touch would change anything at now.
func (s Session) Due(now time.Time) bool { return !now.Before(s.SeenAt.Add(touchEvery)) }

// OpenSession begins a session of an active person and returns its secret: 32 random bytes as 43 characters of base64url. A change that runs
// twice gets another secret the second time; the last one counts. Codes: not_found, person_suspended.
func (room *Room) OpenSession(tx *audit.Tx, person id.User, acr int) (string, Session, error) {
	return room.open(tx, person, acr, tx.Now(), "")
}

// OpenSessionBy is OpenSession with a passkey or registered key, whose end ends the session.
func (room *Room) OpenSessionBy(tx *audit.Tx, person id.User, acr int, by string) (string, Session, error) {
	return room.open(tx, person, acr, tx.Now(), by)
}

// OpenSessionAt is OpenSessionBy for somebody who proved who they are elsewhere, at authTime, by an identity; the zero time says that it is not known
// when, and counts as long ago.
func (room *Room) OpenSessionAt(tx *audit.Tx, person id.User, acr int, by string, authTime time.Time) (string, Session, error) {
	if authTime.IsZero() {
		authTime = time.Unix(0, 0)
	}
	return room.open(tx, person, acr, authTime, by)
}

func (room *Room) open(tx *audit.Tx, person id.User, acr int, authTime time.Time, by string) (string, Session, error) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	secret, now := jose.EncodeBase64(raw[:]), stored(tx.Now())
	s := Session{id.Sum([]byte(secret)), person, acr, stored(authTime), now, now.Add(sessionLife), by}
	ok, err := insertSession(tx, s)
	if err != nil {
		return "", Session{}, err
	}
	if !ok {
		p, err := lock(tx, person)
		if err == nil {
			err = p.Live()
		}
		return "", Session{}, err
	}
	_, err = room.Expire(tx, tx.Now()) // rides along, so that the table does not grow for ever
	return secret, s, err
}

// Session reads the live session that secret opens, with its person, who is active. Code: session_unknown, whatever the reason.
func (room *Room) Session(ctx context.Context, secret string, now time.Time) (Session, Person, error) {
	return room.session(ctx, id.Sum([]byte(secret)), now)
}

// Touch notes that the session was seen at tx.Now(), at most once a minute. It does not wake a session that has ended.
func (room *Room) Touch(tx *audit.Tx, session id.Digest) error { return touch(tx, session) }

// SessionLives demands that a session is live, and holds it so until the commit. Code: session_unknown.
func (room *Room) SessionLives(tx *audit.Tx, session id.Digest) error {
	return sessionLives(tx, session)
}

// EndSession signs out. Ending a session that has ended changes nothing.
func (room *Room) EndSession(tx *audit.Tx, session id.Digest) error { return endSession(tx, session) }

// EndSessions signs the person out everywhere and returns how many sessions there were.
func (room *Room) EndSessions(tx *audit.Tx, person id.User) (int64, error) {
	return endSessions(tx, person)
}

func sessionUnknown() error {
	return fault.New(fault.Unauthenticated, "session_unknown", "you are not signed in, or your session has ended").Try("sign in")
}
