package main

import (
	"cmp"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
)

func (c *cli) permissionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "permissions [PRINCIPAL]", Short: "Show what somebody may do by roles, and by which", Args: between(0, 1),
		Long: "Shows what roles permit and deny a person, an agent or a group (group:NAME) now, and the way to each; without PRINCIPAL, you.\n" +
			"What is one's own needs no role, and written policies may permit or forbid more: attorn policy simulate tells.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			sub := "me"
			if len(args) == 1 {
				if sub, _, err = c.principal(cmd.Context(), cl, args[0]); err != nil {
					return err
				}
			}
			all, err := cl.Permissions(cmd.Context(), sub)
			if err != nil {
				return err
			}
			return c.show(all, each(all.Items, func(p api.EffectivePermission) string { return p.Permission }), func(w io.Writer) {
				row(w, "", "PERMISSION", "SCOPE", "BY")
				for _, p := range all.Items {
					row(w, sayOf(p), permissionWords(delegation.Permission{Permission: p.Permission, Where: p.Where}), cmp.Or(p.Scope, "everywhere"), wayTo(p))
				}
			})
		},
	}
}

// sayOf is what becomes of a call that the permission matches.
func sayOf(p api.EffectivePermission) string {
	switch {
	case p.Deny:
		return "deny"
	case p.DeniedBy != "":
		return "denied by " + p.DeniedBy
	case p.Class != "":
		return "permit " + p.Class
	}
	return "permit"
}

// wayTo is how the permission comes to the principal: the group, the role that is bound, and what that inherits.
func wayTo(p api.EffectivePermission) string {
	way := strings.Join(p.Path, " > ")
	if p.Group != "" {
		way = "group:" + p.Group + " > " + way
	}
	return way
}
