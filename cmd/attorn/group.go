package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

func (c *cli) groupCommand() *cobra.Command {
	var description, reason string
	create := &cobra.Command{Use: "create NAME", Short: "Make a group", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		g, err := cl.CreateGroup(cmd.Context(), api.NewGroup{Name: args[0], Description: description})
		if err != nil {
			return err
		}
		return c.show(g, g.Name, func(w io.Writer) { say(w, "made the group %s", g.Name) })
	}}
	create.Flags().StringVar(&description, "description", "", "what it is for")
	ls := &cobra.Command{Use: "ls", Short: "List groups", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.Groups(cmd.Context())
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(g api.Group) string { return g.Name }), func(w io.Writer) {
			row(w, "GROUP", "DESCRIPTION", "MADE")
			for _, g := range all.Items {
				row(w, g.Name, g.Description, moment(g.Created))
			}
		})
	}}
	show := &cobra.Command{Use: "show NAME", Short: "Show a group with its members and roles", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		g, err := cl.Group(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(g, g.Name, func(w io.Writer) {
			row(w, "group", g.Name)
			row(w, "description", g.Description)
			row(w, "roles", strings.Join(g.Roles, ", "))
			for _, m := range g.Members {
				row(w, "member", m.Member, sourceOf(m))
			}
		})
	}}
	rmGroup := &cobra.Command{Use: "delete NAME", Short: "End a group with its memberships and roles", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		done, err := cl.DeleteGroup(cmd.Context(), args[0], reason)
		if err != nil {
			return err
		}
		return c.show(done, args[0], func(w io.Writer) { say(w, "deleted the group %s, log #%d", args[0], done.Rev) })
	}}
	add := c.memberCommand("add NAME PRINCIPAL", "Put a person or an agent into a group, which gives them its roles", &reason, (*attorn.Client).AddToGroup, "%s is now in %s, log #%d")
	rm := c.memberCommand("rm NAME PRINCIPAL", "Take a person or an agent out of a group", &reason, (*attorn.Client).RemoveFromGroup, "%s is no longer in %s, log #%d")
	for _, cmd := range []*cobra.Command{rmGroup, add, rm} {
		cmd.Flags().StringVar(&reason, "reason", "", "why")
	}
	return noun("group", "Groups of people and agents", create, ls, show, add, rm, rmGroup)
}

func sourceOf(m api.GroupMember) string {
	if m.Source == "" {
		return "added here"
	}
	return "by " + m.Source
}

func (c *cli) memberCommand(use, short string, reason *string, do func(*attorn.Client, context.Context, string, api.Membership) (api.Done, error), said string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		sub, who, err := c.principal(cmd.Context(), cl, args[1])
		if err != nil {
			return err
		}
		if strings.HasPrefix(sub, "group:") {
			return usageError{fmt.Errorf("a group's members are people and agents; %s is a group", args[1])}
		}
		done, err := do(cl, cmd.Context(), args[0], api.Membership{Member: sub, Reason: *reason})
		if err != nil {
			return err
		}
		return c.show(done, sub, func(w io.Writer) { say(w, said, who, args[0], done.Rev) })
	}}
}
