package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/graph"
)

func (c *cli) delegationCommand() *cobra.Command {
	var f filter
	ls := &cobra.Command{
		Use: "ls", Short: "List what you lent, or what was lent to the agent", Args: exactly(0),
		Long:    "List delegations, newest first: without a filter what you lent, or what was lent to the agent. Names stand beside identifiers; me is the account itself.",
		Example: "  attorn delegation ls --by me --to release-bot --status active\n  attorn delegation ls --task REL-481",
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.listDelegations(cmd.Context(), f) },
	}
	ls.Flags().StringVar(&f.by, "by", "", "who lent: a person or an agent, by name or id, or me")
	ls.Flags().StringVar(&f.to, "to", "", "to which agent it was lent, by name or id, or me")
	ls.Flags().StringVar(&f.task, "task", "", "for which piece of work")
	ls.Flags().StringVar(&f.status, "status", "", "active, exhausted, expired or revoked")
	show := &cobra.Command{
		Use: "show DELEGATION", Short: "Show a delegation hop by hop, and how each stands; an agent sees its own hop", Args: exactly(1),
		Long: "Show a delegation hop by hop: who lent what to whom, how each link stands, what is left of its time and of the uses that it shares with all below it, and who\n" +
			"ended it and why. One link that has ended ends all below it. As JSON it is the links alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			chain, err := c.chain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(links(chain), args[0], func(w io.Writer) { standRows(w, chain, time.Now()) })
		},
	}
	return noun("delegation", "What is lent to whom", ls, show, c.treeCommand(), c.renewCommand(), c.exportCommand(), c.verifyChainCommand())
}

// links are those of records.
func links(records []api.Delegation) (all []delegation.Link) {
	for _, d := range records {
		all = append(all, d.Link)
	}
	return all
}

// standRows draws a chain, and says whether it can be used.
func standRows(w io.Writer, records []api.Delegation, now time.Time) {
	_, _ = io.WriteString(w, graph.Text(forest(records, now, true)))
	for i, d := range records {
		switch {
		case d.Status != "active":
			say(w, "cannot be used: hop %d of %d, %s, is %s", i+1, len(records), d.ID, d.Status)
			return
		case now.Unix() < d.Statement.NotBefore:
			say(w, "cannot be used yet: hop %d of %d, %s, begins %s", i+1, len(records), d.ID, seconds(d.Statement.NotBefore))
			return
		}
	}
	say(w, "every hop that is shown is live")
}

// chain is a delegation with those above it, the root first; for an agent, which may not read what others lent each other, its own hop alone.
func (c *cli) chain(ctx context.Context, text string) ([]api.Delegation, error) {
	d, err := id.Parse[id.Delegation](text)
	if err != nil {
		return nil, usageError{err}
	}
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	if a.User.IsZero() {
		l, err := c.lender(ctx)
		if err != nil {
			return nil, err
		}
		tree, err := l.Tree(ctx, d)
		if err != nil {
			return nil, err
		}
		return tree.Items[:1], nil
	}
	cl, _, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	chain, err := cl.Chain(ctx, d)
	if err != nil {
		return nil, err
	}
	var all []api.Delegation
	for _, l := range chain {
		found, err := cl.Delegation(ctx, l.Statement.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

// revokeDelegation ends what a person may end, or what an agent was lent or lent itself.
func (c *cli) revokeDelegation(ctx context.Context, d id.Delegation, reason string) (api.Ended, error) {
	a, err := c.account()
	if err != nil {
		return api.Ended{}, err
	}
	if a.User.IsZero() {
		ag, _, err := c.agent(ctx)
		if err != nil {
			return api.Ended{}, err
		}
		return ag.Revoke(ctx, d, reason)
	}
	cl, _, err := c.client(ctx)
	if err != nil {
		return api.Ended{}, err
	}
	return cl.RevokeDelegation(ctx, d, reason)
}

func (c *cli) listDelegations(ctx context.Context, f filter) error {
	q, err := c.query(ctx, f)
	if err != nil {
		return err
	}
	all, _, err := c.delegations(ctx, q, 0)
	if err != nil {
		return err
	}
	return c.show(all, each(all, func(d api.Delegation) string { return d.ID.String() }), func(w io.Writer) {
		row(w, "DELEGATION", "FROM", "TO", "STATUS", "UNTIL", "USES", "PERMISSIONS")
		for _, d := range all {
			st := d.Statement
			uses := "-"
			if m := st.MaxUses; m != nil {
				uses = fmt.Sprintf("%d of %d", d.Uses, *m)
			}
			var ps []string
			for _, p := range st.Permissions {
				ps = append(ps, permissionWords(p))
			}
			row(w, d.ID.String(), called(d.DelegatorName, st.Delegator.User.String()+st.Delegator.Agent.String()), called(d.DelegateName, st.Delegate.Agent.String()),
				d.Status, seconds(st.ExpiresAt), uses, strings.Join(ps, "; "))
		}
	})
}

// called is a name with the identifier beside it, which alone says who it is.
func called(name, sub string) string {
	if name == "" {
		return sub
	}
	return name + " (" + sub + ")"
}
