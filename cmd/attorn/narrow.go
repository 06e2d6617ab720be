package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// lender is who changes and reads what they lent: a person or an agent.
type lender interface {
	Narrow(ctx context.Context, d id.Delegation, n attorn.Narrowing) (api.Replaced, error)
	Renew(ctx context.Context, d id.Delegation, r attorn.Renewal) (api.Replaced, error)
	Tree(ctx context.Context, d id.Delegation) (api.Tree, error)
}

// lender is the account of the current context.
func (c *cli) lender(ctx context.Context) (lender, error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	if a.User.IsZero() {
		ag, _, err := c.agent(ctx)
		return ag, err
	}
	cl, _, err := c.client(ctx)
	return cl, err
}

// replacing is a change of a delegation by another that takes its place.
type replacing struct {
	old      id.Delegation
	do       func(l lender, dry bool) (api.Replaced, error)
	yes, dry bool
}

// asks adds the flags by which a change is only tried, or is done without asking.
func (r *replacing) asks(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&r.dry, "dry-run", false, "say what would end, and change nothing")
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do it without asking")
}

func (c *cli) narrowCommand() *cobra.Command {
	var r replacing
	var n attorn.Narrowing
	var stays, drops []string
	var depth int
	var instance string
	cmd := &cobra.Command{
		Use: "narrow DELEGATION", Short: "Take something from what you lent: a narrower delegation takes its place", Args: exactly(1),
		Long: "Take permissions, time, uses or hops from a delegation that you lent. A narrower one, signed with your key, takes its place in one step; the old one ends,\n" +
			"and with it whatever was lent on below it, which its lenders can lend anew under the new one. What ends is shown first.",
		Example: "  attorn narrow dlg_… --drop tool:files:write_file --ttl 30m\n  attorn narrow dlg_… -p tool:files:read_text_file --depth 0 --yes",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.old, err = id.Parse[id.Delegation](args[0]); err != nil {
				return usageError{err}
			}
			if n.Permissions, err = permissionsOf(stays); err != nil {
				return err
			}
			if n.Drop, err = permissionsOf(drops); err != nil {
				return err
			}
			if cmd.Flags().Changed("depth") {
				n.Depth = &depth
			}
			if cmd.Flags().Changed("uses") && n.Uses < 1 || cmd.Flags().Changed("ttl") && n.TTL <= 0 {
				return usageError{fmt.Errorf("--uses and --ttl are more than nothing: attorn revoke %s ends it", r.old)}
			}
			if instance != "" {
				if n.Instance, err = id.ParseKey(instance); err != nil {
					return usageError{fmt.Errorf("--instance is the thumbprint of a key: attorn agent show AGENT lists them")}
				}
			}
			if n.Permissions == nil && n.Drop == nil && n.TTL == 0 && n.Uses == 0 && n.Depth == nil && n.Task == "" && n.Purpose == "" && instance == "" {
				return usageError{fmt.Errorf("say what to take from it: --drop, --permission, --ttl, --uses, --depth, --task or --instance")}
			}
			r.do = func(l lender, dry bool) (api.Replaced, error) {
				n.DryRun = dry
				return l.Narrow(cmd.Context(), r.old, n)
			}
			return c.replace(cmd.Context(), r)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&drops, "drop", nil, "a permission to take out, with all that it covers; repeatable")
	f.StringArrayVarP(&stays, "permission", "p", nil, "what stays, instead of all that was lent; repeatable")
	f.DurationVar(&n.TTL, "ttl", 0, "for how long from now, such as 30m")
	f.Int64Var(&n.Uses, "uses", 0, "how many calls more, shared with all that descends from it")
	f.IntVar(&depth, "depth", 0, "how many hops it may be lent on")
	f.StringVar(&n.Task, "task", "", "identifier of the piece of work, where it has none")
	f.StringVar(&n.Purpose, "purpose", "", "another sentence for people")
	f.StringVar(&instance, "instance", "", "only the running copy with this key may use it")
	r.asks(cmd)
	return cmd
}

func permissionsOf(texts []string) (all []delegation.Permission, err error) {
	for _, s := range texts {
		p, err := parsePermission(s)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (c *cli) renewCommand() *cobra.Command {
	var r replacing
	var n attorn.Renewal
	cmd := &cobra.Command{
		Use: "renew DELEGATION", Short: "Lend the same for another time: a new delegation takes the place of one that has not ended", Args: exactly(1),
		Long: "Lend the same for another time, counted from now. Nothing but the times changes; the uses so far stay counted. The old delegation ends, and with it whatever\n" +
			"was lent on below it, which its lenders can lend anew under the new one. What ends is shown first.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.old, err = id.Parse[id.Delegation](args[0]); err != nil {
				return usageError{err}
			}
			if n.TTL <= 0 {
				return usageError{fmt.Errorf("say for how long: --ttl 2h")}
			}
			r.do = func(l lender, dry bool) (api.Replaced, error) {
				n.DryRun = dry
				return l.Renew(cmd.Context(), r.old, n)
			}
			return c.replace(cmd.Context(), r)
		},
	}
	cmd.Flags().DurationVar(&n.TTL, "ttl", 0, "for how long from now, such as 2h")
	r.asks(cmd)
	return cmd
}

// replace shows what would end, asks, and does it.
func (c *cli) replace(ctx context.Context, r replacing) error {
	l, err := c.lender(ctx)
	if err != nil {
		return err
	}
	if !r.yes || r.dry {
		would, err := r.do(l, true)
		if err != nil {
			return err
		}
		if r.dry {
			return c.show(would, ids(would.Delegations), func(w io.Writer) {
				say(w, "this would end %s", endedBy(r.old, would))
				for _, d := range would.Delegations {
					row(w, "  "+d.String())
				}
			})
		}
		if err := c.sure("This ends "+endedBy(r.old, would)+".   Go on?", "--yes"); err != nil {
			return err
		}
	}
	got, err := r.do(l, false)
	if err != nil {
		return err
	}
	for _, w := range got.Warnings {
		c.warn(w)
	}
	return c.show(got, got.ID.String(), func(w io.Writer) {
		say(w, "%s  %s, now %s, log #%d", got.How, r.old, got.ID, got.Rev)
		for _, p := range got.Link.Statement.Permissions {
			row(w, "", permissionWords(p), "")
		}
		row(w, "until", seconds(got.Link.Statement.ExpiresAt), usesWords(got.Link.Statement))
		row(w, "ended", endedBy(r.old, got), "")
	})
}

func ids(all []id.Delegation) string {
	return each(all, func(d id.Delegation) string { return d.String() })
}

// endedBy says what ends with a replacement.
func endedBy(old id.Delegation, r api.Replaced) string {
	parts := []string{old.String()}
	if n := len(r.Delegations) - 1; n > 0 {
		parts = append(parts, count(n, "delegation")+" below it")
	}
	if n := len(r.Approvals); n > 0 {
		parts = append(parts, count(n, "approval"))
	}
	return strings.Join(parts, ", ")
}

// endedBefore says that a delegation was revoked before, and why: what was narrowed or renewed goes on under another id, which whoever revokes the old one must
// not take for ended.
func (c *cli) endedBefore(ctx context.Context, d id.Delegation) string {
	what := d.String() + " had ended before, and nothing ended now"
	cl, _, err := c.client(ctx)
	if err != nil {
		return what
	}
	if was, err := cl.Delegation(ctx, d); err == nil && was.EndedWhy != "" { // who may revoke may not always read
		what += " (" + was.EndedWhy + ")"
	}
	return what
}

func (c *cli) revokeCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "revoke DELEGATION", Short: "End a delegation and all that descends from it", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		d, err := id.Parse[id.Delegation](args[0])
		if err != nil {
			return usageError{err}
		}
		got, err := c.revokeDelegation(cmd.Context(), d, reason)
		if err != nil {
			return err
		}
		what := "revoked " + d.String()
		if len(got.Delegations) == 0 {
			what = c.endedBefore(cmd.Context(), d)
		}
		return c.showEnded(got, what)
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is kept in the log, and shown with the delegation")
	return cmd
}
