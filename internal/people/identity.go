package people

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Identity is who a person is at another sign-in provider: the subject there of an issuer (OpenID Connect Core §2). The two together name
// nobody else, ever.
type Identity struct {
	Issuer    string
	Subject   string
	Person    id.User
	Provider  string // what this server called the provider when the identity was linked
	CreatedAt time.Time
	EndedAt   time.Time // zero while it signs in
}

// Name names the identity without saying whose it is.
func (i Identity) Name() string { return id.Sum([]byte(i.Issuer + "\n" + i.Subject)).String() }

// MaxIdentities is how many live identities a person may have.
const MaxIdentities = 8

const (
	maxIssuer  = 500 // bytes
	maxSubject = 255 // OpenID Connect Core §2
)

func oneLine(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// LinkIdentity makes an identity that its holder proved one of an active person's; one that ended and was theirs before is theirs again. Codes:
// identity_invalid, not_found, person_suspended, too_many_identities, and identity_in_use where it is anybody's, or was another's.
func (room *Room) LinkIdentity(tx *audit.Tx, i Identity) error {
	if !oneLine(i.Issuer, maxIssuer) || !oneLine(i.Subject, maxSubject) || i.Provider == "" {
		return fault.New(fault.Invalid, "identity_invalid", "an identity has an issuer and a subject of at most %d bytes", maxSubject)
	}
	p, err := lock(tx, i.Person)
	if err == nil {
		err = p.Live()
	}
	if err != nil {
		return err
	}
	n, err := liveIdentities(tx, i.Person)
	if err != nil {
		return err
	}
	if n >= MaxIdentities {
		return fault.New(fault.Conflict, "too_many_identities", "the user has %d identities at other providers, which is the limit", MaxIdentities).Try("remove one that is not used any more")
	}
	ok, err := insertIdentity(tx, i)
	if err == nil && !ok {
		err = fault.New(fault.Conflict, "identity_in_use", "this account at the provider is, or was, a user's here").Try("sign in with it, or use another")
	}
	return err
}

// IdentityLives demands that an identity is live and the person's, and holds it so until the commit. Code: identity_ended.
func (room *Room) IdentityLives(tx *audit.Tx, i Identity) error { return identityLives(tx, i) }

// UnlinkIdentity ends an identity of the person's, and the sessions that were opened with it. Code: not_found, also where it was ended before.
func (room *Room) UnlinkIdentity(tx *audit.Tx, person id.User, issuer, subject string) error {
	if err := endIdentity(tx, person, issuer, subject); err != nil {
		return err
	}
	return endOpenedBy(tx, person, Identity{Issuer: issuer, Subject: subject}.Name())
}

// PersonByIdentity reads whose identity this is, suspended or not. Codes: identity_unknown, identity_ended.
func (room *Room) PersonByIdentity(ctx context.Context, issuer, subject string) (Person, error) {
	p, i, err := room.byIdentity(ctx, issuer, subject)
	if err == nil && !i.EndedAt.IsZero() {
		return Person{}, identityEnded()
	}
	return p, err
}

// IdentitiesOf lists the person's live identities, oldest first.
func (room *Room) IdentitiesOf(ctx context.Context, person id.User) ([]Identity, error) {
	return room.identities(ctx, person)
}

func identityEnded() error {
	return fault.New(fault.Unauthenticated, "identity_ended", "this account at the provider was removed from its user here").
		Try("sign in with a passkey, or ask an administrator")
}

func identityUnknown() error {
	return fault.New(fault.Unauthenticated, "identity_unknown", "nobody here has this account at the provider").Try("ask an administrator for an invitation")
}

// invitationLife is how long somebody may take to sign in.
const invitationLife = 14 * 24 * time.Hour

// AwaitEmail notes that whoever proves an email address at a provider is the person, once, within 14 days; email is the address's keyed digest.
// Code: already_invited while somebody else is awaited by it.
func (room *Room) AwaitEmail(tx *audit.Tx, ws id.Workspace, email id.Digest, person id.User) error {
	ok, err := insertInvitation(tx, ws, email, person, tx.Now().Add(invitationLife))
	if err == nil && !ok {
		err = fault.New(fault.Conflict, "already_invited", "somebody with this email address is invited already").Try("wait until they have signed in, or leave the address out")
	}
	return err
}

// Awaited reads who is awaited by an email address. Code: not_found.
func (room *Room) Awaited(ctx context.Context, ws id.Workspace, email id.Digest, now time.Time) (id.User, error) {
	return room.awaited(ctx, ws, email, now)
}

// Arrive takes the invitation of an email address: of all who prove it, one ever gets it. Code: not_found.
func (room *Room) Arrive(tx *audit.Tx, ws id.Workspace, email id.Digest, person id.User) error {
	n, err := takeInvitation(tx, ws, email, person)
	if err == nil && n == 0 {
		err = noInvitation()
	}
	return err
}

// Arrived ends the person's invitations: they have signed in another way.
func (room *Room) Arrived(tx *audit.Tx, person id.User) error { return endInvitations(tx, person) }

// FitName makes a person's name of what somebody else wrote: one line without control characters, cut to its length; "" where nothing is left.
func FitName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	for len(s) > maxName {
		_, n := utf8.DecodeLastRuneInString(s)
		s = strings.TrimSpace(s[:len(s)-n])
	}
	return s
}
