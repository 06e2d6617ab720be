package tickets

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// Purpose says what a device code asks a person for.
type Purpose string

// The purposes.
const (
	ForAgent  Purpose = "agent"  // the key is to be an instance of an agent
	ForPerson Purpose = "person" // the key is to be the person's own, for the command line
)

// DeviceStatus is where a device code stands: waiting → confirmed → collected, or waiting → denied.
type DeviceStatus string

// The statuses. Expired is not one: it follows from ExpiresAt.
const (
	Waiting   DeviceStatus = "waiting"
	Confirmed DeviceStatus = "confirmed"
	Denied    DeviceStatus = "denied"
	Collected DeviceStatus = "collected" // its holder was told, once
)

// Device is what the holder of a key asks a person for, out of band (RFC 8628): the holder has the device code, the person the user code.
type Device struct {
	Workspace id.Workspace
	Purpose   Purpose
	Key       jose.PublicKey // of who asks: fixed, and proved, from the start
	Name      string         // that the holder proposes for the agent; "" for none
	IP        string         // where it asked from; "" where that is unknown
	Asked     id.Event       // that records the request, with the proof of the key
	Status    DeviceStatus
	Person    id.User  // who decided
	Agent     id.Agent // that the key became an instance of
	CreatedAt time.Time
	ExpiresAt time.Time
}

// The times of a device code (oauth.md §5, RFC 8628 §3.2).
const (
	DeviceLife     = 10 * time.Minute
	DeviceInterval = 5 * time.Second // between two polls
)

// Expired reports whether the time to decide, and to collect, is over.
func (d Device) Expired(now time.Time) bool { return !now.Before(d.ExpiresAt) }

const (
	userLetters = "BCDFGHJKLMNPQRSTVWXZ" // RFC 8628 §6.1: no vowels, so no words; 20^8 codes
	userLength  = 8
	userTries   = 8
	maxName     = 64
)

// UserCode reads a user code as a person types it: case, spaces and punctuation do not matter (RFC 8628 §6.1). The answer has the form
// XXXX-XXXX. Code: user_code_unknown.
func UserCode(typed string) (string, error) {
	if len(typed) > 64 {
		return "", userCodeUnknown()
	}
	letters := make([]byte, 0, userLength)
	for _, c := range []byte(strings.ToUpper(typed)) {
		switch {
		case strings.IndexByte(userLetters, c) >= 0:
			letters = append(letters, c)
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0x80:
			return "", userCodeUnknown()
		}
	}
	if len(letters) != userLength {
		return "", userCodeUnknown()
	}
	return string(letters[:4]) + "-" + string(letters[4:]), nil
}

func userCodeUnknown() error {
	return fault.New(fault.NotFound, "user_code_unknown", "no request waits under this code: it was mistyped, decided already, or is older than %d minutes", DeviceLife/time.Minute).
		Try("compare it with what the device shows, or start again there")
}

// newUserCode draws a code, each letter alike: bytes over the largest multiple of 20 are drawn again.
func newUserCode() string {
	var letters [userLength]byte
	for i := 0; i < userLength; {
		var b [1]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		if b[0] < 240 {
			letters[i] = userLetters[b[0]%20]
			i++
		}
	}
	return string(letters[:4]) + "-" + string(letters[4:])
}

// IssueDevice stores a request and returns its two codes; of d it reads Workspace, Purpose, Key, Name, IP and Asked. A change that runs twice gets other
// codes the second time; the last ones count. No two requests that are kept have one user code. Code: ticket_invalid.
func (room *Room) IssueDevice(tx *audit.Tx, d Device) (deviceCode, userCode string, err error) {
	if d.Purpose != ForAgent && d.Purpose != ForPerson || d.Workspace.IsZero() || d.Key.IsZero() || len(d.Name) > maxName {
		return "", "", invalid("a device code is for a key, in a workspace, to a purpose")
	}
	if _, err := room.Expire(tx, tx.Now()); err != nil { // rides along, so that the table does not grow for ever
		return "", "", err
	}
	var raw [32]byte
	rand.Read(raw[:])
	deviceCode = jose.EncodeBase64(raw[:])
	d.Status, d.CreatedAt, d.ExpiresAt = Waiting, tx.Now(), tx.Now().Add(DeviceLife)
	for range userTries {
		userCode = newUserCode()
		if ok, err := insertDevice(tx, hash(deviceCode), hash(userCode), d); ok || err != nil {
			return deviceCode, userCode, err
		}
	}
	return "", "", fault.New(fault.Unavailable, "overloaded", "too many devices wait to be confirmed").Try("try again in a few minutes")
}

// DeviceByUserCode reads the request under a user code that UserCode made, while it waits. Code: user_code_unknown, whatever the reason.
func (room *Room) DeviceByUserCode(ctx context.Context, code string, now time.Time) (Device, error) {
	d, err := room.device(ctx, "user_hash", hash(code), userCodeUnknown())
	if err == nil && (d.Status != Waiting || d.Expired(now)) {
		return Device{}, userCodeUnknown()
	}
	return d, err
}

// DeviceByCode reads the request of whoever holds the device code, decided, expired or not. Code: ticket_unknown.
func (room *Room) DeviceByCode(ctx context.Context, code string) (Device, error) {
	return room.device(ctx, "hash", hash(code), unknown())
}

// DecideDevice confirms a waiting request for an agent, or for the person themselves where agent is zero, or denies it. It is decided once. Code:
// user_code_unknown.
func (room *Room) DecideDevice(tx *audit.Tx, userCode string, to DeviceStatus, person id.User, agent id.Agent) error {
	ok, err := decideDevice(tx, hash(userCode), to, person, agent)
	if err == nil && !ok {
		err = userCodeUnknown()
	}
	return err
}

// CollectDevice takes what a confirmed request brought: of all callers with one device code, exactly one ever gets it. Codes: ticket_unknown,
// ticket_expired, ticket_spent.
func (room *Room) CollectDevice(tx *audit.Tx, code string) error {
	ok, err := collectDevice(tx, hash(code))
	if err != nil || ok {
		return err
	}
	return whyNotCollected(tx, hash(code))
}
