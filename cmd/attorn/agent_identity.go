package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/id"
)

func (c *cli) identityCommand() *cobra.Command {
	var save string
	cmd := &cobra.Command{
		Use: "identity AGENT", Short: "Show what everybody may know of an agent: its keys with the times in which they were good", Args: exactly(1),
		Long: "Reads an agent's public identity as anybody can, and verifies the server's signature over it with the keys that the server publishes. --save keeps the\n" +
			"signed form, one JWS a line: with the server's key it proves for years which keys were the agent's, and when.",
		RunE: func(cmd *cobra.Command, args []string) error {
			acc, err := c.account()
			if err != nil {
				return err
			}
			agent, err := id.Parse[id.Agent](args[0])
			if err != nil { // a name is known in the workspace alone
				cl, _, err := c.client(cmd.Context())
				if err != nil {
					return err
				}
				a, err := cl.Agent(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				agent = a.ID
			}
			got, err := attorn.ReadIdentity(cmd.Context(), acc.Server, agent, nil)
			if err != nil {
				return err
			}
			if save != "" {
				if err := os.WriteFile(save, []byte(strings.Join(got.Signed, "\n")+"\n"), 0o644); err != nil {
					return err
				}
			}
			return c.show(got.Identity, got.ID.String(), func(w io.Writer) { identityTable(w, got) })
		},
	}
	cmd.Flags().StringVar(&save, "save", "", "file to keep the signed form in")
	return cmd
}

func identityTable(w io.Writer, i attorn.PublicIdentity) {
	row(w, "agent", i.ID.String())
	row(w, "server", i.Issuer)
	if i.Owner != nil {
		row(w, "owner", strings.TrimSpace(i.Owner.Name+" "+i.Owner.ID.String()))
	}
	row(w, "status", i.Status)
	row(w, "registered", seconds(i.Registered))
	if i.Expires != 0 {
		row(w, "expires", seconds(i.Expires))
	}
	for _, s := range i.Suspended {
		row(w, "suspended", span(s.From, s.Until))
	}
	row(w, "verified", "signed by the server "+seconds(i.AsOf))
	fmt.Fprintln(w)
	row(w, "KEY", "TRUST", "STATUS", "GOOD")
	for _, k := range i.Keys {
		row(w, k.Kid.String(), k.Trust, k.Status, span(k.From, k.Until))
		for _, s := range k.Suspended {
			row(w, "", "", "suspended", span(s.From, s.Until))
		}
	}
}

// span is a time in words.
func span(from, until int64) string {
	if until == 0 {
		return "since " + seconds(from)
	}
	return seconds(from) + " to " + seconds(until)
}
