package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

func (c *cli) approvalCommand() *cobra.Command {
	var status string
	ls := &cobra.Command{Use: "ls", Short: "List what waits for people", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.Approval], error) { return cl.Approvals(cmd.Context(), status, p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(a api.Approval) string { return a.ID.String() }), func(w io.Writer) {
			row(w, "APPROVAL", "STATUS", "WHO", "ACTION", "ARGUMENTS")
			for _, a := range all.Items {
				row(w, a.ID.String(), a.Status, a.Actor, a.Action, shorten(a.Arguments, 60))
			}
		})
	}}
	ls.Flags().StringVar(&status, "status", "pending", "pending, approved, denied, expired, cancelled, void or spent")
	show := &cobra.Command{Use: "show APPROVAL", Short: "Show what exactly would run, and why it is asked", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		a, _, err := c.approval(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.showApproval(a)
	}}
	return noun("approval", "Calls that wait for people", ls, show)
}

func (c *cli) approval(ctx context.Context, text string) (api.Approval, *attorn.Client, error) {
	aid, err := id.Parse[id.Approval](text)
	if err != nil {
		return api.Approval{}, nil, usageError{err}
	}
	cl, _, err := c.client(ctx)
	if err != nil {
		return api.Approval{}, nil, err
	}
	a, err := cl.Approval(ctx, aid, 0)
	return a, cl, err
}

func (c *cli) showApproval(a api.Approval) error {
	return c.show(a, a.ID.String(), func(w io.Writer) { approvalRows(w, a) })
}

func approvalRows(w io.Writer, a api.Approval) {
	row(w, "approval", a.ID.String(), a.Status)
	row(w, "would run", a.Action+" on "+a.Resource)
	row(w, "arguments", a.Arguments)
	row(w, "asked by", a.Actor+" for "+a.Subject.String())
	if a.Task != "" {
		row(w, "task", a.Task)
	}
	row(w, "because", a.Reason+" ("+a.Gate+")")
	row(w, "needs", fmt.Sprintf("%d of %s, until %s", a.Quorum, a.Role, moment(a.Expires)))
}

func (c *cli) approveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "approve APPROVAL", Short: "Approve exactly this call, signed with your key", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.vote(cmd.Context(), args[0], evidence.Approve, "")
		},
	}
}

func (c *cli) denyCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "deny APPROVAL", Short: "Deny a call, signed with your key", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return usageError{fmt.Errorf("deny takes --reason: the agent reads it")}
		}
		return c.vote(cmd.Context(), args[0], evidence.Refuse, reason)
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why; the agent reads it")
	return cmd
}

// vote signs the server's statement only if it is about the approval that was shown.
func (c *cli) vote(ctx context.Context, text, choice, reason string) error {
	a, cl, err := c.approval(ctx, text)
	if err != nil {
		return err
	}
	after, err := cl.Vote(ctx, a, choice, reason)
	if err != nil {
		return err
	}
	return c.show(after, after.ID.String(), func(w io.Writer) {
		said := map[string]string{evidence.Approve: "you approved", evidence.Refuse: "you denied"}[choice]
		say(w, "%s %s %s", said, after.Action, after.Arguments)
		say(w, "%s is %s", after.ID, after.Status)
	})
}
