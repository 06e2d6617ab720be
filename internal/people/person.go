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

// Status is whether a person may act.
type Status string

// The statuses.
const (
	Active    Status = "active"
	Suspended Status = "suspended"
)

// Person is a user of the server. The name is for people's eyes and identifies nobody.
type Person struct {
	ID        id.User
	Name      string
	Status    Status
	CreatedAt time.Time

	TokensFrom int64 // seconds: tokens with an iat up to it have ended, whatever the person's status

	RecoveredAt time.Time // zero: never
	RecoveredBy id.User   // who made the link
}

// Live is nil while the person may act; else the fault person_suspended.
func (p Person) Live() error {
	if p.Status == Active {
		return nil
	}
	return fault.New(fault.Unauthenticated, "person_suspended", "the user %s is suspended", p.ID).Try("ask an administrator to resume the account")
}

// NewPerson is what Add needs.
type NewPerson struct {
	ID   id.User // zero: Add makes one
	Name string  // 1 to 100 bytes, no control characters, no space at the ends
}

const maxName = 100

func goodName(s string) bool {
	return s != "" && !strings.EqualFold(s, "me") && len(s) <= maxName && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// Add stores a new person, active, who is in no workspace yet. Code: person_invalid.
func (room *Room) Add(tx *audit.Tx, n NewPerson) (Person, error) {
	if !goodName(n.Name) {
		return Person{}, fault.New(fault.Invalid, "person_invalid", "a person's name is one line of 1 to %d bytes without control characters or spaces at its ends, and not what everybody calls themselves: me", maxName)
	}
	p := Person{ID: n.ID, Name: n.Name, Status: Active, CreatedAt: stored(tx.Now())}
	if p.ID.IsZero() {
		p.ID = id.New[id.User](tx.Now())
	}
	return p, insertPerson(tx, p)
}

// Anywhere reads a person, member of whatever. Code: not_found.
func (room *Room) Anywhere(ctx context.Context, person id.User) (Person, error) {
	return room.anywhere(ctx, person)
}

// Join makes the person a member of the workspace. Codes: not_found, already_member.
func (room *Room) Join(tx *audit.Tx, ws id.Workspace, person id.User) error {
	return join(tx, ws, person)
}

// Leave ends a membership, and those of the workspace's groups. Code: not_found.
func (room *Room) Leave(tx *audit.Tx, ws id.Workspace, person id.User) error {
	return leave(tx, ws, person)
}

// Suspend stops a person, until Resume, where ws has a say. A person belongs to the server, and its administrators are those of the workspace
// default: from there anybody is stopped everywhere, and their sessions end (it returns how many). From another workspace a member is stopped in
// that workspace alone. Tokens end for ever. Codes: not_found, wrong_state.
func (room *Room) Suspend(tx *audit.Tx, ws id.Workspace, person id.User) (int64, error) {
	if ws != id.Default {
		if err := moveHere(tx, ws, person, Suspended); err != nil {
			return 0, err
		}
		return 0, room.EndTokensIn(tx, ws, person)
	}
	n, err := move(tx, person, Active, Suspended)
	if err != nil {
		return 0, err
	}
	return n, room.EndTokens(tx, person)
}

// Resume ends a suspension. Where the person was suspended everywhere they sign in anew: a session that somebody opened just as they were
// suspended ends here. Codes: not_found, wrong_state.
func (room *Room) Resume(tx *audit.Tx, ws id.Workspace, person id.User) error {
	if ws != id.Default {
		return moveHere(tx, ws, person, Active)
	}
	_, err := move(tx, person, Suspended, Active)
	return err
}

// Person reads a member of the workspace. Code: not_found.
func (room *Room) Person(ctx context.Context, ws id.Workspace, person id.User) (Person, error) {
	return room.member(ctx, ws, person)
}

// Find reads the member whose id text is, or whose name is exactly text. Codes: not_found, and ambiguous where several have that name.
func (room *Room) Find(ctx context.Context, ws id.Workspace, text string) (Person, error) {
	if person, err := id.Parse[id.User](text); err == nil {
		return room.member(ctx, ws, person)
	}
	if !goodName(text) {
		return Person{}, notFound("user")
	}
	found, err := room.named(ctx, ws, text)
	switch {
	case err != nil:
		return Person{}, err
	case len(found) == 0:
		return Person{}, notFound("user")
	case len(found) > 1:
		var ids []string
		for _, p := range found {
			ids = append(ids, p.ID.String())
		}
		return Person{}, fault.New(fault.Conflict, "ambiguous", "several users have that name: %s", strings.Join(ids, ", ")).Try("give the id of the one you mean")
	}
	return found[0], nil
}

const maxCandidates = 10 // that an ambiguous name lists

// Members reads the workspace's members in the order of their ids, which is that of their addition: those after the given one (zero: from the
// first), at most limit and never more than 200; a limit outside 1 to 200 means 200.
func (room *Room) Members(ctx context.Context, ws id.Workspace, after id.User, limit int) ([]Person, error) {
	return room.members(ctx, ws, after, page(limit))
}

// Workspaces lists where the person is a member, sorted.
func (room *Room) Workspaces(ctx context.Context, person id.User) ([]id.Workspace, error) {
	return room.workspaces(ctx, person)
}

// stored is t as the database gives it back: in microseconds.
func stored(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()) }

func noInvitation() error {
	return fault.New(fault.NotFound, "not_found", "nobody is awaited by that address in this workspace")
}

// notFound says the same of what does not exist and of what is in another workspace.
func notFound(what string) error {
	return fault.New(fault.NotFound, "not_found", "there is no such %s in this workspace", what).Try("see what there is: attorn %s ls", what)
}
