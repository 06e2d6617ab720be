package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
)

func (c *cli) tokenCommand() *cobra.Command {
	var under, asserted string
	get := &cobra.Command{Use: "get RESOURCE", Short: "Get an access token for a resource, as the current agent", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		ag, a, err := c.agent(cmd.Context())
		if err != nil {
			return err
		}
		r := attorn.TokenRequest{}
		if asserted != "" {
			if under != "" || a.foreign() {
				return usageError{fmt.Errorf("--assertion-file is for agents of this server, and says itself what they act under")}
			}
			raw, err := os.ReadFile(asserted)
			if err != nil {
				return err
			}
			r.Asserted = strings.TrimSpace(string(raw))
		} else if under != "none" && !a.foreign() {
			if r.Delegation, err = c.subject(cmd.Context(), ag, under); err != nil {
				return err
			}
		}
		t, err := ag.Token(cmd.Context(), args[0], r)
		if err != nil {
			return err
		}
		return c.show(t, t.AccessToken, func(w io.Writer) { row(w, t.AccessToken) })
	}}
	get.Flags().StringVar(&under, "under", "", underWords)
	get.Flags().StringVar(&asserted, "assertion-file", "", "file with what the person's sign-in provider asserts of them and the agent (ID-JAG, a draft), which lends")
	return noun("token", "Access tokens", get)
}
