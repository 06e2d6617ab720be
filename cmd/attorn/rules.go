package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
)

func (c *cli) policyCommand() *cobra.Command {
	publish := &cobra.Command{Use: "publish DIR", Short: "Make the directory's policies the live ones", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		dir, err := readBundle(args[0])
		if err != nil {
			return err
		}
		if err := dir.refuse(); err != nil {
			return err
		}
		files := dir.posted()
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		b, err := cl.Publish(cmd.Context(), api.Publish{Files: files})
		if err != nil {
			return err
		}
		for _, p := range b.Problems {
			fmt.Fprintln(c.talk, line(p))
		}
		return c.show(b, b.Digest.String(), func(w io.Writer) {
			say(w, "published %s, bundle %s", count(len(files), "file"), b.Digest)
		})
	}}
	show := &cobra.Command{Use: "show", Short: "Print the live policies", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		b, err := cl.Policy(cmd.Context())
		if err != nil {
			return err
		}
		return c.show(b, b.Digest.String(), func(w io.Writer) {
			fmt.Fprintf(w, "// bundle %s\n", b.Digest)
			for _, f := range b.Files {
				fmt.Fprintf(w, "\n// %s\n%s", line(f.Path), text(f.Text))
			}
		})
	}}
	return noun("policy", "What is permitted, and what asks people", c.policyCheckCommand(), c.policyFmtCommand(), c.policySchemaCommand(), publish, show)
}
