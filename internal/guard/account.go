package guard

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// everywhere lists the logs that an act on a person is recorded in beside its own: the server's and those of all their workspaces.
func (g *Guard) everywhere(ctx context.Context, user id.User) ([]id.Workspace, error) {
	all, err := g.People.Workspaces(ctx, user)
	return append([]id.Workspace{id.Server}, all...), err
}

// notLastOwner refuses to suspend the only owner who may still act: nobody could undo it.
func (g *Guard) notLastOwner(ctx context.Context, ws id.Workspace, user id.User) error {
	holders, err := g.Rules.Owners(ctx, ws)
	if err != nil || !slices.Contains(holders, user.String()) {
		return err
	}
	for _, h := range holders {
		if other, err := id.Parse[id.User](h); err == nil && other != user {
			if p, err := g.People.Person(ctx, ws, other); err == nil && p.Live() == nil {
				return nil
			}
		}
	}
	return fault.New(fault.Conflict, "lockout", "this is the only owner who can act; suspended, nobody could resume them").
		Try("make somebody else an owner first: attorn role bind USER owner")
}

// Keys are what a person signs in with.
type Keys struct {
	Person   people.Person
	Passkeys []people.Passkey
	Keys     []people.Key
	This     string // the one that the caller acts by now; "" where that is not known
	Step     bool   // a passkey has to be shown again before one of them can be removed
}

// KeysOf reads a person's live passkeys and registered keys: one's own, or any member's for who may read people.
func (g *Guard) KeysOf(ctx context.Context, c *Caller, user id.User) (Keys, error) {
	a := act{action: "attorn:user:read", noun: "user:" + user.String(), target: user.String(), attrs: aboutPerson(user)}
	p, err := g.member(ctx, c, user, a)
	if err != nil {
		return Keys{}, err
	}
	if err := g.may(ctx, c, a); err != nil {
		return Keys{}, err
	}
	return g.keysOf(ctx, c, p)
}

func (g *Guard) keysOf(ctx context.Context, c *Caller, p people.Person) (k Keys, err error) {
	k.Person = p
	if k.Passkeys, err = g.People.PasskeysOf(ctx, p.ID); err != nil {
		return k, err
	}
	if k.Keys, err = g.People.KeysOf(ctx, p.ID); err != nil {
		return k, err
	}
	if p.ID == c.person {
		k.This = c.openedBy
		if !c.key.IsZero() {
			k.This = c.key.String()
		}
		k.Step = g.stepUp(c, len(k.Passkeys)) != nil
	}
	return k, nil
}

// stepUp demands, of a person in the browser, a sign-in of the last minutes, with a passkey where they have one (oauth.md §11). Code: sign_in_old.
func (g *Guard) stepUp(c *Caller, passkeys int) error {
	if g.Now().Sub(time.Unix(c.authTime, 0)) <= freshSignIn && (c.acr >= passkeyACR || passkeys == 0) {
		return nil
	}
	return fault.New(fault.Denied, "sign_in_old", "a key is removed within %d minutes of signing in, with a passkey where you have one", freshSignIn/time.Minute).
		Try("sign in again with your passkey")
}

// EndKey removes one passkey, by its credential, or one registered key, by its thumbprint: of one's own, or, by the server's administrators, of anybody.
// What was opened with it ends. Nobody removes their own last way to sign in. Codes: not_found, server_act, sign_in_old, step_up_needed, lockout.
func (g *Guard) EndKey(ctx context.Context, c *Caller, user id.User, name string) (evidence.Receipt, error) {
	own := user == c.person
	a := act{
		action: "attorn:user:endkey", noun: "user:" + user.String(), kind: evidence.UserPasskeyChanged, target: user.String(), attrs: aboutPerson(user), own: own,
		what: &evidence.What{User: user, Status: evidence.KeyRemoved, Ended: []string{name}},
	}
	refuse := func(err error) (evidence.Receipt, error) {
		return evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	p, err := g.account(ctx, c, user, a)
	if err != nil {
		return evidence.Receipt{}, err
	}
	has, err := g.keysOf(ctx, c, p)
	if err != nil {
		return evidence.Receipt{}, err
	}
	passkey, err := has.describe(a.what, name)
	if err == nil && own && c.key.IsZero() {
		err = g.stepUp(c, len(has.Passkeys))
	} else if err == nil && own && passkey {
		err = fault.New(fault.Denied, "step_up_needed", "a passkey is removed in the browser, where you show that you have one").Try("open %s/account", g.Issuer)
	}
	if err != nil {
		return refuse(err)
	}
	if a.also, err = g.others(ctx, user, c.ws); err != nil {
		return evidence.Receipt{}, err
	}
	return g.do(ctx, c, a, func(tx *audit.Tx) error {
		passkeys, keys, upstream, err := g.People.Ways(tx, user)
		if err != nil {
			return err
		}
		if own && passkeys+keys+upstream < 2 {
			return lastWay()
		}
		if passkey {
			return g.People.EndPasskey(tx, user, name)
		}
		key, err := id.ParseKey(name)
		if err != nil {
			return err
		}
		return g.People.EndKey(tx, user, key)
	})
}

func lastWay() error {
	return fault.New(fault.Conflict, "lockout", "this would end your last way to sign in, and only an administrator could let you in again").
		Try("make a passkey first: attorn user link me, and open it in your browser")
}

// describe puts into what the key that name is of, so that a verifier knows it again, and says whether it is a passkey. Code: not_found.
func (k Keys) describe(what *evidence.What, name string) (passkey bool, err error) {
	for _, p := range k.Passkeys {
		if p.Credential == name {
			what.COSE, what.Credential = jose.EncodeBase64(p.COSE.Bytes()), p.Credential
			return true, nil
		}
	}
	for _, r := range k.Keys {
		if r.Key.String() == name {
			jwk := r.JWK
			what.Key = &jwk
			return false, nil
		}
	}
	return false, fault.New(fault.NotFound, "not_found", "the user has no such key").Try("see what there is: attorn user keys")
}

// SignOutEverywhere ends every session, token and sign-in link of a person, and every registered key but the one that they act by. Passkeys stay. By
// oneself, or by the server's administrators. It says how many registered keys ended. Codes: not_found, server_act, lockout.
func (g *Guard) SignOutEverywhere(ctx context.Context, c *Caller, user id.User, why string) (n int, got evidence.Receipt, err error) {
	own := user == c.person
	a := act{
		action: "attorn:user:signout", noun: "user:" + user.String(), kind: evidence.UserChanged, target: user.String(), attrs: aboutPerson(user), own: own,
		what: &evidence.What{User: user, Status: "signed out everywhere"}, personal: g.reason(c, why),
	}
	if _, err := g.account(ctx, c, user, a); err != nil {
		return 0, got, err
	}
	if a.also, err = g.others(ctx, user, c.ws); err != nil {
		return 0, got, err
	}
	keep := id.Key{}
	if own {
		keep = c.key
	}
	got, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		passkeys, _, upstream, err := g.People.Ways(tx, user)
		if err != nil {
			return err
		}
		if own && keep.IsZero() && passkeys+upstream == 0 {
			return lastWay()
		}
		ended, err := g.People.SignOut(tx, user, keep)
		if err != nil {
			return err
		}
		n = len(ended)
		what := *tx.Event().What
		what.Ended = ended
		tx.Event().What = &what
		return g.Tickets.EndAll(tx, tickets.SignIn, user.String())
	})
	return n, got, err
}
