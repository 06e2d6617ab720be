package main

import (
	"context"
	"fmt"
	"strings"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// whom is a person as a command names them.
type whom struct {
	ID   id.User
	name string // "" where it is not ours to know
}

func (p whom) String() string {
	if p.name == "" {
		return p.ID.String()
	}
	return p.name + " (" + p.ID.String() + ")"
}

// person reads whom a text means: oneself as me, a member of the workspace by exact name, or anybody by id.
func (c *cli) person(ctx context.Context, cl *attorn.Client, text string) (whom, error) {
	if text == "me" {
		a, err := c.account()
		return whom{cl.User(), a.Name}, err
	}
	u, err := cl.FindUser(ctx, text)
	if err == nil {
		return whom{u.ID, u.Name}, nil
	}
	known, notID := id.Parse[id.User](text)
	switch f := fault.Of(err); {
	case f == nil:
	case notID == nil && (f.Kind == fault.NotFound || f.Kind == fault.Denied):
		return whom{ID: known}, nil // of another workspace: what is done to them is refused or not for itself
	case f.Code == "not_found":
		err = fault.New(fault.NotFound, "not_found", "there is no user %q in this workspace", text).Try("give the exact name or the id; whoever may read people lists them: attorn user ls")
	}
	return whom{}, err
}

// principal reads a group as group:NAME, a person as person does, or an agent by id or name, which comes before a person of that name.
func (c *cli) principal(ctx context.Context, cl *attorn.Client, text string) (sub, said string, err error) {
	if name, ok := strings.CutPrefix(text, "group:"); ok {
		return text, fmt.Sprintf("the group %s (%s)", name, text), nil
	}
	if _, err := id.Parse[id.User](text); err != nil && text != "me" {
		if a, err := cl.Agent(ctx, text); err == nil {
			return a.ID.String(), a.Name + " (" + a.ID.String() + ")", nil
		} else if fault.Code(err) != "not_found" {
			return "", "", err
		}
	}
	p, err := c.person(ctx, cl, text)
	if fault.Code(err) == "not_found" {
		err = fault.New(fault.NotFound, "not_found", "there is no agent and no user %q in this workspace", text).Try("attorn agent ls, or attorn user ls")
	}
	return p.ID.String(), p.String(), err
}
