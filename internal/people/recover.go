package people

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// What recovery takes, so that who makes a link for another cannot act as them unseen (docs/design/0002-identity.md).
const (
	Quarantine = 24 * time.Hour      // in which who was recovered neither votes nor lends nor administers nor calls tools
	TieLife    = 30 * 24 * time.Hour // in which two people whom a recovery ties count as one
)

// Settled is nil unless the person was recovered in the last 24 hours; else the fault recovered_recently.
func (p Person) Settled(now time.Time) error {
	until := p.RecoveredAt.Add(Quarantine)
	if p.RecoveredAt.IsZero() || !now.Before(until) {
		return nil
	}
	return fault.New(fault.Denied, "recovered_recently", "the user %s was recovered at %s: until %s they neither vote nor lend nor administer nor call tools", p.ID,
		p.RecoveredAt.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339)).Try("wait until then, or have somebody else do it")
}

// Recover takes every passkey, registered key, identity elsewhere, session and token from an active person, who has shown the link that by made, and notes
// it. It lists the names of what ended: credentials, thumbprints and Identity.Name. Who is tied to by is now tied to the person, too. Codes: not_found, person_suspended.
func (room *Room) Recover(tx *audit.Tx, person, by id.User) ([]string, error) {
	p, err := lock(tx, person)
	if err == nil {
		err = p.Live()
	}
	if err != nil {
		return nil, err
	}
	ended, err := room.endEverything(tx, person, id.Key{}, true)
	if err != nil {
		return nil, err
	}
	if err := setRecovered(tx, person, by); err != nil {
		return nil, err
	}
	all, err := tiesInTx(tx)
	if err != nil {
		return nil, err
	}
	for _, other := range reach(all, by) {
		if other == person {
			continue
		}
		if err := tie(tx, person, other, tx.Now().Add(TieLife)); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// Vouch ties a person who had never signed in to the one who made their link anew.
func (room *Room) Vouch(tx *audit.Tx, person, by id.User) error {
	return tie(tx, person, by, tx.Now().Add(TieLife))
}

// SignOut ends every session and token of the person, and every registered key but keep (zero: all). Passkeys stay. It lists the keys that ended.
// Code: not_found.
func (room *Room) SignOut(tx *audit.Tx, person id.User, keep id.Key) ([]string, error) {
	if _, err := lock(tx, person); err != nil {
		return nil, err
	}
	return room.endEverything(tx, person, keep, false)
}

func (room *Room) endEverything(tx *audit.Tx, person id.User, keep id.Key, recovered bool) ([]string, error) {
	ended, err := endKeys(tx, person, keep)
	if err != nil {
		return nil, err
	}
	if recovered {
		more, err := endPasskeys(tx, person)
		if err != nil {
			return nil, err
		}
		others, err := endIdentities(tx, person)
		if err != nil {
			return nil, err
		}
		ended = slices.Concat(ended, more, others)
	}
	slices.Sort(ended)
	if _, err := endSessions(tx, person); err != nil {
		return nil, err
	}
	return ended, room.EndTokens(tx, person)
}

// Ways counts how many ways the person has to sign in: live passkeys, live registered keys, identities at upstream providers.
func (room *Room) Ways(tx *audit.Tx, person id.User) (passkeys, keys, upstream int, err error) {
	if _, err := lock(tx, person); err != nil {
		return 0, 0, 0, err
	}
	if passkeys, err = livePasskeys(tx, person); err != nil {
		return 0, 0, 0, err
	}
	if keys, err = liveKeys(tx, person); err != nil {
		return 0, 0, 0, err
	}
	upstream, err = liveIdentities(tx, person)
	return passkeys, keys, upstream, err
}

// SignedInEver reports whether the person ever had a key, a passkey or an identity upstream: who has none can only have had their first link.
func (room *Room) SignedInEver(ctx context.Context, person id.User) (bool, error) {
	return everSignedIn(room.r.Row(ctx, signedIn, person))
}

// LastSeen says when each of these people last signed in, as far as that is known: by a key of theirs, live or ended, an identity upstream that was
// linked then, or a session that is not yet forgotten. Who never did is not in it.
func (room *Room) LastSeen(ctx context.Context, persons ...id.User) (map[id.User]time.Time, error) {
	return room.lastSeen(ctx, persons)
}

// SignedInBy is SignedInEver inside a transaction, which holds the person as they are.
func (room *Room) SignedInBy(tx *audit.Tx, person id.User) (bool, error) {
	if _, err := lock(tx, person); err != nil {
		return false, err
	}
	return everSignedIn(tx.Row(signedIn, person))
}

// Tied lists, sorted, who counts as one with the person where four eyes are asked for, themselves among them: whoever made the link by which they
// were recovered, or was recovered by theirs, in the last 30 days, and so on from each of these.
func (room *Room) Tied(ctx context.Context, person id.User, now time.Time) ([]id.User, error) {
	all, err := room.ties(ctx, now)
	if err != nil {
		return nil, err
	}
	return reach(all, person), nil
}

// knot is a tie of two people.
type knot struct{ a, b id.User }

// reach lists, sorted, who is tied to person directly or over others; person among them.
func reach(all []knot, person id.User) []id.User {
	found := []id.User{person}
	for i := 0; i < len(found); i++ {
		for _, k := range all {
			if k.a == found[i] && !slices.Contains(found, k.b) {
				found = append(found, k.b)
			} else if k.b == found[i] && !slices.Contains(found, k.a) {
				found = append(found, k.a)
			}
		}
	}
	slices.SortFunc(found, func(a, b id.User) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	return found
}

// LiveNames lists the person's live keys by name: passkeys' credentials and thumbprints.
func (room *Room) LiveNames(tx *audit.Tx, person id.User) ([]string, error) {
	if _, err := lock(tx, person); err != nil {
		return nil, err
	}
	return liveNames(tx, person)
}
