package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

func (c *cli) listUsers() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List people", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.User], error) { return cl.Users(cmd.Context(), p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(u api.User) string { return u.ID.String() }), func(w io.Writer) {
			row(w, "USER", "NAME", "STATUS", "LAST SEEN")
			for _, u := range all.Items {
				row(w, u.ID.String(), u.Name, userStatus(u), orNever(u.Seen))
			}
		})
	}}
}

// userStatus is how a person stands, and whether somebody let them in again.
func userStatus(u api.User) string {
	if u.Recovered == "" {
		return u.Status
	}
	return u.Status + ", recovered " + moment(u.Recovered) + " by " + u.RecoveredBy.String()
}

func orNever(rfc3339 string) string {
	if rfc3339 == "" {
		return "never"
	}
	return moment(rfc3339)
}

func (c *cli) showUser() *cobra.Command {
	return &cobra.Command{Use: "show [USER]", Short: "Show yourself, or a person: groups, roles, keys, accounts at sign-in providers, and what stopped them", Args: between(0, 1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, a, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		who, err := c.person(cmd.Context(), cl, firstOr(args, "me"))
		if err != nil {
			return err
		}
		u, err := cl.UserDetail(cmd.Context(), who.ID.String())
		if err != nil {
			return err
		}
		return c.show(u, u.ID.String(), func(w io.Writer) {
			row(w, "user", u.Name+" ("+u.ID.String()+")")
			row(w, "workspace", a.Workspace.String())
			row(w, "status", userStatus(u.User))
			stoppedRows(w, u.Stopped)
			row(w, "since", moment(u.Created))
			row(w, "last seen", orNever(u.Seen))
			row(w, "groups", strings.Join(u.Groups, ", "))
			row(w, "roles", roleLine(u.Roles))
			for _, k := range u.Keys {
				row(w, k.Kind, k.Key, k.Label, "last used "+orNever(k.Used))
			}
			for _, p := range u.Accounts {
				row(w, "account", p.Provider, p.Issuer, "since "+moment(p.Created))
			}
		})
	}}
}

// stoppedRows says what stopped somebody or something.
func stoppedRows(w io.Writer, s *api.Stopped) {
	if s == nil {
		return
	}
	row(w, "stopped", fmt.Sprintf("%s by %s (%s)", moment(s.At), s.By, s.Event))
	row(w, "reason", s.Reason)
}

// roleLine is roles in one line, with the groups that they come from.
func roleLine(roles []api.HeldRole) string {
	var all []string
	for _, r := range roles {
		if r.Group != "" {
			r.Role += " (group " + r.Group + ")"
		}
		all = append(all, r.Role)
	}
	return strings.Join(all, ", ")
}
