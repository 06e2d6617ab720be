package main

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

func (c *cli) sodCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls", Short: "List the sets of roles that are held apart, and who holds too many of them", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.Duties(cmd.Context())
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(s api.DutySet) string { return s.Name }), func(w io.Writer) {
			row(w, "SET", "ROLES", "AT MOST", "COUNTS", "OVER", "DOC")
			for _, s := range all.Items {
				counts := "bound"
				if s.Dynamic {
					counts = "active"
				}
				row(w, s.Name, strings.Join(s.Roles, " "), strconv.Itoa(s.Max), counts, orDash(strings.Join(s.Over, " ")), s.Doc)
			}
		})
	}}
	rm := &cobra.Command{Use: "rm NAME", Short: "Hold the roles of a set apart no longer", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.ended(cmd, "removed", args[0], func(ctx context.Context, cl *attorn.Client) (api.Done, error) { return cl.RemoveDuties(ctx, args[0]) })
	}}
	return noun("sod", "Separation of duties: roles that nobody may hold together", c.setDutiesCommand(), ls, rm)
}

func (c *cli) setDutiesCommand() *cobra.Command {
	var in api.SetDuties
	cmd := &cobra.Command{
		Use: "set NAME ROLE ROLE...", Short: "Hold roles apart, or change a set", Args: cobra.MinimumNArgs(3),
		Example: "  attorn sod set payments payer auditor --doc 'who pays does not audit'\n  attorn sod set incident oncall release-manager --dynamic",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			in.Roles = args[1:]
			done, err := cl.SetDuties(cmd.Context(), args[0], in)
			if err != nil {
				return err
			}
			return c.show(done, args[0], func(w io.Writer) {
				say(w, "nobody new holds more than %d of %s, log #%d", in.Max, strings.Join(in.Roles, ", "), done.Rev)
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&in.Max, "max", 1, "how many of them one may hold")
	f.BoolVar(&in.Dynamic, "dynamic", false, "count what is active at the same time, not what is bound")
	f.StringVar(&in.Doc, "doc", "", "what it is for")
	f.StringVar(&in.Reason, "reason", "", "why it is made or changed now")
	return cmd
}
