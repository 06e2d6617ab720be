package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

func (c *cli) workspaceCommand() *cobra.Command {
	var owner string
	create := &cobra.Command{Use: "create NAME", Short: "Make a workspace; you are its owner", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		ws, err := id.ParseWorkspace(args[0])
		if err != nil {
			return usageError{err}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		w, err := cl.CreateWorkspace(cmd.Context(), api.NewWorkspace{Name: ws, PublishOwner: owner})
		if err != nil {
			return err
		}
		return c.show(w, w.Name.String(), func(out io.Writer) { say(out, "made the workspace %s; act in it with --workspace %s", w.Name, w.Name) })
	}}
	ls := &cobra.Command{Use: "ls", Short: "List your workspaces; for the server's administrators, all", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.Workspaces(cmd.Context())
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(w api.Workspace) string { return w.Name.String() }), func(out io.Writer) {
			row(out, "WORKSPACE", "OWNERS ARE PUBLISHED BY", "MADE")
			for _, w := range all.Items {
				row(out, w.Name.String(), w.PublishOwner, orDash(moment(w.Created)))
			}
		})
	}}
	show := &cobra.Command{Use: "show [NAME]", Short: "Show a workspace", Args: between(0, 1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, a, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		ws := a.Workspace
		if len(args) == 1 {
			if ws, err = id.ParseWorkspace(args[0]); err != nil {
				return usageError{err}
			}
		}
		w, err := cl.Workspace(cmd.Context(), ws)
		if err != nil {
			return err
		}
		return c.show(w, w.Name.String(), func(out io.Writer) {
			row(out, "workspace", w.Name.String())
			row(out, "owners are published by", w.PublishOwner)
			row(out, "made", moment(w.Created))
		})
	}}
	set := &cobra.Command{Use: "set", Short: "Change the settings of the workspace that you act in", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		if owner == "" {
			return usageError{errors.New("nothing is to be set: --publish-owner none, id or name")}
		}
		cl, a, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		done, err := cl.SetWorkspace(cmd.Context(), api.WorkspaceSettings{PublishOwner: owner})
		if err != nil {
			return err
		}
		return c.show(done, a.Workspace.String(), func(out io.Writer) {
			say(out, "in %s, owners of agents are now published by %s, log #%d", a.Workspace, owner, done.Rev)
		})
	}}
	for _, cmd := range []*cobra.Command{create, set} {
		cmd.Flags().StringVar(&owner, "publish-owner", "", "what public identity documents say of an agent's owner: none, id or name")
	}
	return noun("workspace", "Workspaces and their members", create, ls, show, set, c.membersCommand(), c.workspaceMemberCommand(), c.resumeWorkspace())
}

func (c *cli) membersCommand() *cobra.Command {
	return &cobra.Command{Use: "members", Short: "List the members of the workspace with their roles", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.User], error) { return cl.Users(cmd.Context(), p) })
		if err != nil {
			return err
		}
		bound, err := cl.Bindings(cmd.Context())
		if err != nil {
			return err
		}
		roles := map[string][]string{}
		for _, b := range bound.Items {
			roles[b.Principal] = append(roles[b.Principal], b.Role)
		}
		return c.show(all, each(all.Items, func(u api.User) string { return u.ID.String() }), func(w io.Writer) {
			row(w, "USER", "NAME", "STATUS", "OWN ROLES")
			for _, u := range all.Items {
				row(w, u.ID.String(), u.Name, u.Status, strings.Join(roles[u.ID.String()], ", "))
			}
		})
	}}
}

func (c *cli) workspaceMemberCommand() *cobra.Command {
	var reason string
	add := &cobra.Command{Use: "add USER", Short: "Make somebody whom you meet in another workspace a member of this one", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, a, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		user, err := c.elsewhere(cmd.Context(), a, args[0])
		if err != nil {
			return err
		}
		u, err := cl.AddMember(cmd.Context(), user.ID)
		if err != nil {
			return err
		}
		return c.show(u, u.ID.String(), func(w io.Writer) { say(w, "%s (%s) is now a member of %s", u.Name, u.ID, a.Workspace) })
	}}
	rm := &cobra.Command{Use: "rm USER", Short: "End a membership with its roles, groups and what was lent by it", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, a, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		u, err := c.person(cmd.Context(), cl, args[0])
		if err != nil {
			return err
		}
		got, err := cl.RemoveMember(cmd.Context(), u.ID, reason)
		if err != nil {
			return err
		}
		return c.showEnded(got, fmt.Sprintf("%s is no member of %s any more", u, a.Workspace))
	}}
	rm.Flags().StringVar(&reason, "reason", "", "why")
	return noun("member", "One member of the workspace", add, rm)
}

// elsewhere reads whom a text means in the workspace default.
func (c *cli) elsewhere(ctx context.Context, a account, text string) (whom, error) {
	a.Workspace = id.Default
	cl, err := c.clientOf(a)
	if err != nil {
		return whom{}, err
	}
	return c.person(ctx, cl, text)
}
