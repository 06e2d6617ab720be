package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

func (c *cli) roleCommand() *cobra.Command {
	return noun("role", "Roles and who has them", c.bindCommand(), c.unbindCommand(), c.activateCommand(), c.deactivateCommand(), c.bindingsCommand())
}

// scopeFlag says where a role is bound.
func scopeFlag(cmd *cobra.Command, scope *string) {
	cmd.Flags().StringVar(scope, "scope", "", "where: server:NAME, tool:SERVER:TOOL, environment:NAME or TYPE:ID (default: the whole workspace)")
}

func (c *cli) bindCommand() *cobra.Command {
	var in api.Binding
	var ttl, until string
	var eligible bool
	cmd := &cobra.Command{
		Use: "bind PRINCIPAL ROLE", Short: "Give a person, an agent or a group (group:NAME) a role", Args: exactly(2),
		Example: "  attorn role bind Maya oncall --scope server:deploy --eligible\n  attorn role bind group:contractors developer --ttl 30d --reason 'the migration'",
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.TTL, in.Expires, err = lasts(ttl, until); err != nil {
				return err
			}
			if eligible {
				in.State = "eligible"
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			sub, said, err := c.principal(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			in.Principal, in.Role = sub, args[1]
			done, err := cl.Bind(cmd.Context(), in)
			if err != nil {
				return err
			}
			return c.show(done, sub, func(w io.Writer) {
				is := "is now"
				if eligible {
					is = "may now activate"
				}
				say(w, "%s %s %s%s, log #%d", said, is, grantText(in.Role, in.Scope), untilText(done.Expires), done.Rev)
			})
		},
	}
	scopeFlag(cmd, &in.Scope)
	f := cmd.Flags()
	f.StringVar(&ttl, "ttl", "", "for how long, such as 8h or 30d (default: for ever, or as long as the role may be held)")
	f.StringVar(&until, "until", "", "when it ends, such as 2026-11-24T17:00:00Z, instead of --ttl")
	f.BoolVar(&eligible, "eligible", false, "it gives nothing until whoever has it activates it: attorn role activate")
	f.StringVar(&in.Reason, "reason", "", "why")
	return cmd
}

func (c *cli) unbindCommand() *cobra.Command {
	var in api.Binding
	cmd := &cobra.Command{Use: "unbind PRINCIPAL ROLE", Short: "Take a role away", Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		sub, said, err := c.principal(cmd.Context(), cl, args[0])
		if err != nil {
			return err
		}
		in.Principal, in.Role = sub, args[1]
		done, err := cl.Unbind(cmd.Context(), in)
		if err != nil {
			return err
		}
		return c.show(done, sub, func(w io.Writer) { say(w, "%s is no longer %s, log #%d", said, grantText(in.Role, in.Scope), done.Rev) })
	}}
	scopeFlag(cmd, &in.Scope)
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why")
	return cmd
}

func (c *cli) activateCommand() *cobra.Command {
	var in api.Activation
	var ttl string
	cmd := &cobra.Command{
		Use: "activate ROLE", Short: "Have a role for a time that you were made eligible for", Args: exactly(1),
		Example: "  attorn role activate oncall --scope server:deploy --ttl 2h --reason 'incident 481'",
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.TTL, _, err = lasts(ttl, ""); err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			in.Role = args[0]
			done, err := cl.Activate(cmd.Context(), in)
			if err != nil {
				return err
			}
			return c.show(done, done.Expires, func(w io.Writer) {
				say(w, "you are %s%s, log #%d", grantText(in.Role, in.Scope), untilText(done.Expires), done.Rev)
			})
		},
	}
	scopeFlag(cmd, &in.Scope)
	cmd.Flags().StringVar(&ttl, "ttl", "", "for how long, such as 30m (default: an hour, or less where the role may not be held so long)")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; the log keeps it")
	return cmd
}

func (c *cli) deactivateCommand() *cobra.Command {
	var in api.Activation
	cmd := &cobra.Command{Use: "deactivate ROLE", Short: "End what you have activated of a role", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		in.Role = args[0]
		return c.ended(cmd, "ended", grantText(in.Role, in.Scope), func(ctx context.Context, cl *attorn.Client) (api.Done, error) { return cl.Deactivate(ctx, in) })
	}}
	scopeFlag(cmd, &in.Scope)
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why")
	return cmd
}

func (c *cli) bindingsCommand() *cobra.Command {
	return &cobra.Command{Use: "bindings [PRINCIPAL]", Aliases: []string{"ls"}, Short: "List who has which role, or what somebody (me) has by themselves and by their groups", Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		var all api.List[api.Binding]
		if len(args) == 0 {
			all, err = cl.Bindings(cmd.Context())
		} else {
			sub := args[0]
			if sub != "me" {
				if sub, _, err = c.principal(cmd.Context(), cl, sub); err != nil {
					return err
				}
			}
			all, err = cl.BindingsOf(cmd.Context(), sub)
		}
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(b api.Binding) string { return b.Principal }), func(w io.Writer) {
			row(w, "PRINCIPAL", "ROLE", "SCOPE", "STATE", "UNTIL", "BY", "REASON")
			for _, b := range all.Items {
				row(w, b.Principal, b.Role, orDash(b.Scope), stateText(b), orDash(moment(b.Expires)), b.By, b.Reason)
			}
		})
	}}
}

// stateText says whether a binding gives its role now.
func stateText(b api.Binding) string {
	if t, err := time.Parse(time.RFC3339, b.Expires); err == nil && !time.Now().Before(t) {
		return "expired"
	}
	if len(b.Activations) == 0 {
		return b.State
	}
	var by []string
	for _, a := range b.Activations {
		by = append(by, a.By+untilText(a.Expires))
	}
	return b.State + ", activated by " + strings.Join(by, ", ")
}

func grantText(role, scope string) string {
	if scope == "" {
		return role
	}
	return role + " in " + scope
}

func untilText(expires string) string {
	if expires == "" {
		return ""
	}
	return " until " + moment(expires)
}

// lasts reads how long something is to last, in seconds, or when it is to end.
func lasts(ttl, until string) (seconds int64, expires string, err error) {
	switch {
	case ttl != "" && until != "":
		return 0, "", usageError{fmt.Errorf("--until stands instead of --ttl")}
	case until != "":
		if expires, err = readInstant(until); err != nil {
			return 0, "", usageError{fmt.Errorf("--until is a time such as 2026-11-24T17:00:00Z")}
		}
		return 0, expires, nil
	case ttl == "":
		return 0, "", nil
	}
	d, err := time.ParseDuration(ttl)
	if days, ok := strings.CutSuffix(ttl, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 32)
		d = time.Duration(min(n, maxDays)) * 24 * time.Hour
	}
	if err != nil || d < time.Second {
		return 0, "", usageError{fmt.Errorf("--ttl is for how long, such as 8h or 30d")}
	}
	return int64(d / time.Second), "", nil
}
