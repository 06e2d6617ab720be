package guard

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/jose"
)

// CreateWorkspace makes a workspace with its own log and the built-in policies, and the caller its owner. The server's administrators, in default, decide
// who may. What is done before the workspace is there is found again by the next try. Codes: workspace_invalid, workspace_exists, server_act.
func (g *Guard) CreateWorkspace(ctx context.Context, c *Caller, w people.Workspace) (people.Workspace, error) {
	a := act{
		action: "attorn:workspace:create", noun: "workspace:" + w.Name.String(), kind: evidence.WorkspaceCreated, target: "workspace:" + w.Name.String(),
		what: &evidence.What{User: c.person, Role: "owner", Scope: w.Name.String()}, also: []id.Workspace{w.Name, id.Server},
	}
	refuse := func(err error) (people.Workspace, error) { return w, g.refuseAct(ctx, c, nil, a, nil, err) }
	switch {
	case c.ws != id.Default:
		return refuse(fault.New(fault.Denied, "server_act", "workspaces are made by the server's administrators, in the workspace %s", id.Default))
	case c.person.IsZero() || !c.agent.IsZero():
		return refuse(fault.New(fault.Denied, "not_a_person", "only a person owns a workspace"))
	case w.Name == id.Server || w.Name.IsZero():
		return refuse(fault.New(fault.Invalid, "workspace_invalid", "this name is the server's own").Try("take another name"))
	}
	s, _, err := g.judge(ctx, c, a) // before anything of it is made, and before who may not is told which there are
	if err != nil {
		return w, err
	}
	if _, err := g.People.Workspace(ctx, w.Name); err == nil {
		return refuse(people.WorkspaceExists(w.Name))
	} else if fault.Code(err) != "workspace_unknown" {
		return w, err
	}
	if err := s.person.Settled(s.now); err != nil {
		return refuse(err)
	}
	if err := g.Log.OpenWorkspace(ctx, w.Name); err != nil {
		return w, err
	}
	if err := g.PublishShipped(ctx, w.Name); err != nil {
		return w, err
	}
	var known []string
	_, err = settled(func() (got evidence.Receipt, err error) {
		if known, err = g.introduce(ctx, w.Name, c.person, known); err != nil {
			return got, err
		}
		return g.try(ctx, c, a, func(tx *audit.Tx) (err error) {
			if w, err = g.People.CreateWorkspace(tx, w); err != nil {
				return err
			}
			if err := g.joinKnown(tx, w.Name, c.person, known); err != nil {
				return err
			}
			_, err = g.Rules.Bind(tx, w.Name, rules.Binding{Principal: c.Sub(), Role: rules.Owner, BoundBy: c.Sub(), Reason: "made the workspace"})
			return err
		})
	})
	return w, err
}

// introduce writes down in a workspace's log what keys a person has, who is about to become a member: a log proves its own answers. It leaves out those
// that it has introduced already, and returns all.
func (g *Guard) introduce(ctx context.Context, ws id.Workspace, user id.User, known []string) ([]string, error) {
	passkeys, err := g.People.PasskeysOf(ctx, user)
	if err != nil {
		return known, err
	}
	keys, err := g.People.KeysOf(ctx, user)
	if err != nil {
		return known, err
	}
	note := func(name string, what evidence.What) error {
		if slices.Contains(known, name) {
			return nil
		}
		d := evidence.Draft{Workspace: ws, Person: user, Target: user.String()}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.UserPasskeyChanged, evidence.OK, evidence.ServerSub, "server"
		what.User, what.Status = user, "known"
		d.What = &what
		_, err := g.Log.Record(ctx, d, nil)
		known = append(known, name)
		return err
	}
	for _, k := range passkeys {
		if err := note(k.Credential, evidence.What{COSE: jose.EncodeBase64(k.COSE.Bytes()), Credential: k.Credential}); err != nil {
			return known, err
		}
	}
	for _, k := range keys {
		if err := note(k.Key.String(), evidence.What{Key: &k.JWK}); err != nil {
			return known, err
		}
	}
	return known, nil
}

// joinKnown makes the person a member if every live key of theirs was introduced; else all is decided again.
func (g *Guard) joinKnown(tx *audit.Tx, ws id.Workspace, user id.User, known []string) error {
	live, err := g.People.LiveNames(tx, user)
	if err != nil {
		return err
	}
	if !containsAll(known, live) {
		return audit.ErrAgain
	}
	if err := g.People.Join(tx, ws, user); err != nil {
		return err
	}
	if err := g.Agents.OwnerBack(tx, ws, user); err != nil {
		return err
	}
	return g.People.EndTokensIn(tx, ws, user) // of an earlier membership
}

// AddMember makes somebody who has an account a member of the caller's workspace: whoever the caller meets in another workspace already. To everybody
// else the person is not there. seen is when they last signed in, zero for never. Codes: not_found, already_member.
func (g *Guard) AddMember(ctx context.Context, c *Caller, user id.User) (p people.Person, seen time.Time, err error) {
	a := act{
		action: "attorn:user:invite", noun: "user:" + user.String(), kind: evidence.UserAdded, target: user.String(), what: &evidence.What{User: user},
		also: []id.Workspace{id.Server},
	}
	p, err = g.met(ctx, c, user)
	if err == nil {
		if _, member := g.People.Person(ctx, c.ws, user); member == nil {
			err = fault.New(fault.Conflict, "already_member", "the user is a member of the workspace already").Try("there is nothing to do")
		}
	}
	if err == nil {
		a.personal = func(d *evidence.Draft) error { return seal(d, &d.What.Name, user.String(), "name", p.Name) }
		if _, _, err = g.judge(ctx, c, a); err != nil {
			return p, seen, err
		}
	}
	if err != nil {
		return p, seen, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	var known []string
	_, err = settled(func() (got evidence.Receipt, err error) {
		if known, err = g.introduce(ctx, c.ws, user, known); err != nil {
			return got, err
		}
		return g.try(ctx, c, a, func(tx *audit.Tx) error { return g.joinKnown(tx, c.ws, user, known) })
	})
	if err != nil {
		return p, seen, err
	}
	if p, err = g.People.Person(ctx, c.ws, user); err != nil {
		return p, seen, err
	}
	all, err := g.People.LastSeen(ctx, user)
	return p, all[user], err
}

// met reads a person whom the caller sees in any workspace. Code: not_found.
func (g *Guard) met(ctx context.Context, c *Caller, user id.User) (people.Person, error) {
	mine, err := g.People.Workspaces(ctx, c.person)
	if err != nil {
		return people.Person{}, err
	}
	for _, ws := range append(mine, c.ws) {
		if p, err := g.People.Person(ctx, ws, user); fault.Code(err) != "not_found" {
			return p, err
		}
	}
	return people.Person{}, fault.New(fault.NotFound, "not_found", "there is no such user in a workspace of yours").Try("invite them: attorn user invite NAME")
}

// RemoveMember ends a membership with all that the person has by it: roles, groups, what they lent there, what is asked in their name. Their account is
// the server's and stays. Codes: not_found, lockout.
func (g *Guard) RemoveMember(ctx context.Context, c *Caller, user id.User, why string) ([]id.Delegation, evidence.Receipt, error) {
	a := act{
		action: "attorn:user:remove", noun: "user:" + user.String(), kind: evidence.UserChanged, target: user.String(),
		what: &evidence.What{User: user, Status: "left"}, also: []id.Workspace{id.Server}, personal: g.reason(c, why),
	}
	if _, err := g.People.Person(ctx, c.ws, user); err != nil {
		return nil, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	var ended []id.Delegation
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		if err := g.notLastOwner(ctx, c.ws, user); err != nil {
			return err
		}
		if err := g.Rules.UnbindAll(tx, c.ws, user.String()); err != nil {
			return err
		}
		if err := g.People.Leave(tx, c.ws, user); err != nil {
			return err
		}
		if err := g.Agents.OwnerGone(tx, c.ws, user); err != nil {
			return err
		}
		t := Toll{}
		if err := g.lent(tx, c.ws, &t, lending.Of{Principals: []string{user.String()}}, true, c.Sub(), ""); err != nil {
			return err
		}
		t.record(tx)
		ended = t.Delegations
		return g.void(tx, c.ws, &t, approvals.Ground{Subject: user})
	})
	return ended, got, err
}

// Workspaces lists those that the caller is a member of; for the server's administrators, all.
func (g *Guard) Workspaces(ctx context.Context, c *Caller) ([]people.Workspace, error) {
	p, err := g.Page(ctx, c)
	if err != nil {
		return nil, err
	}
	all, err := g.People.AllWorkspaces(ctx)
	if err != nil {
		return nil, err
	}
	every, err := p.may(ctx, "attorn:workspace:read", "workspace", nil)
	if err != nil {
		return nil, err
	}
	if !every || c.ws != id.Default {
		mine, err := g.People.Workspaces(ctx, c.person)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(w people.Workspace) bool { return w.Name != c.ws && !slices.Contains(mine, w.Name) })
	}
	return all, g.spend(ctx, c)
}

// Workspace reads one of those that Workspaces lists. Code: not_found.
func (g *Guard) Workspace(ctx context.Context, c *Caller, ws id.Workspace) (people.Workspace, error) {
	all, err := g.Workspaces(ctx, c)
	if err != nil {
		return people.Workspace{}, err
	}
	i := slices.IndexFunc(all, func(w people.Workspace) bool { return w.Name == ws })
	if i < 0 {
		return people.Workspace{}, noWorkspace()
	}
	return all[i], nil
}

// SetWorkspace changes the settings of the workspace that the caller acts in. Codes: not_found for another, workspace_invalid.
func (g *Guard) SetWorkspace(ctx context.Context, c *Caller, w people.Workspace) (evidence.Receipt, error) {
	a := act{
		action: "attorn:workspace:set", noun: "workspace", kind: evidence.WorkspaceChanged, target: "workspace:" + c.ws.String(),
		what: &evidence.What{Scope: c.ws.String(), Status: "publish_owner=" + w.PublishOwner},
	}
	if w.Name != c.ws {
		return evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, noWorkspace())
	}
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.People.SetWorkspace(tx, w) })
}

func noWorkspace() error {
	return fault.New(fault.NotFound, "not_found", "there is no such workspace, or you are no member of it").Try("see yours: attorn workspace ls")
}

// SweepAll is Sweep for every workspace.
func (g *Guard) SweepAll(ctx context.Context) error {
	all, err := g.People.AllWorkspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range all {
		if err := g.Sweep(ctx, w.Name); err != nil {
			return err
		}
	}
	return nil
}
