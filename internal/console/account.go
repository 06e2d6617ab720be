package console

import (
	"time"

	"github.com/attorn/attorn/internal/people"
)

// ownAccountView is the page on which a person sees what they sign in with, removes it, and signs out everywhere.
type ownAccountView struct {
	Passkeys  []keyRow
	Keys      []keyRow
	StepUp    bool // a passkey has to be shown before one is removed
	Upstream  bool // there are other sign-in providers
	Recovered *recovery
	Elsewhere string
}

type keyRow struct {
	Key   string
	Label shown
	Made  when
	Used  *when // nil: never
	This  bool

	StepUp bool
}

// recovery tells who was let in again by whose link.
type recovery struct {
	Person principal
	By     principal
	At     when
	Until  when // they neither vote nor lend nor administer nor call tools
	Tied   when // they and who made the link count as one
}

func (x *request) recoveryOf(p people.Person) *recovery {
	if p.RecoveredAt.IsZero() || !x.now.Before(p.RecoveredAt.Add(people.TieLife)) {
		return nil
	}
	return &recovery{
		x.principal(p.ID.String()), x.principal(p.RecoveredBy.String()), at(p.RecoveredAt, x.now),
		at(p.RecoveredAt.Add(people.Quarantine), x.now), at(p.RecoveredAt.Add(people.TieLife), x.now),
	}
}

func accountPage(x *request) (view, error) {
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	has, err := p.Keys(x.ctx)
	if err != nil {
		return view{}, err
	}
	v := ownAccountView{StepUp: has.Step, Upstream: len(x.providers) > 0, Recovered: x.recoveryOf(has.Person), Elsewhere: x.elsewhere()}
	row := func(key, label string, made, used time.Time) keyRow {
		r := keyRow{Key: key, Label: show(label), Made: at(made, x.now), This: key == has.This, StepUp: has.Step}
		if !used.IsZero() {
			w := at(used, x.now)
			r.Used = &w
		}
		return r
	}
	for _, k := range has.Passkeys {
		v.Passkeys = append(v.Passkeys, row(k.Credential, k.Label, k.CreatedAt, k.UsedAt))
	}
	for _, k := range has.Keys {
		v.Keys = append(v.Keys, row(k.Key.String(), k.Label, k.CreatedAt, k.UsedAt))
	}
	return view{Name: "account", Title: "Your account", Data: v}, nil
}

func removeKey(x *request) (view, error) {
	fields, err := x.form("key")
	if err != nil {
		return view{}, err
	}
	_, err = x.Guard.EndKey(x.ctx, x.caller, x.person.ID, fields["key"])
	return view{To: "/account"}, err
}

func signOutEverywhere(x *request) (view, error) {
	if _, err := x.form(); err != nil {
		return view{}, err
	}
	if _, _, err := x.Guard.SignOutEverywhere(x.ctx, x.caller, x.person.ID, ""); err != nil {
		return view{}, err
	}
	x.setCookie(x.w, "")
	return view{To: "/signin"}, nil
}
