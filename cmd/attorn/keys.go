package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

func (c *cli) keysCommand() *cobra.Command {
	var old bool
	ls := &cobra.Command{Use: "ls", Short: "List the server's own keys", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.Keys(cmd.Context())
		if err != nil {
			return err
		}
		shown := all.Items[:0:0]
		for _, k := range all.Items {
			if old || k.Status == "next" || k.Status == "current" || k.Published {
				shown = append(shown, k)
			}
		}
		all.Items = shown
		return c.show(all, each(shown, func(k api.ServerKey) string { return k.Key.String() }), func(w io.Writer) {
			row(w, "KEY", "SIGNS", "STATUS", "SIGNS FROM", "ENDED", "JWKS")
			for _, k := range shown {
				row(w, k.Key.String(), keyUse(k), k.Status, moment(k.SignsFrom), moment(k.Ended), map[bool]string{true: "yes"}[k.Published])
			}
		})
	}}
	ls.Flags().BoolVar(&old, "all", false, "also those that ended, for ever")
	return noun("keys", "The server's own keys: they sign tokens, countersign delegations, and sign the logs", ls, c.keysRotate())
}

func keyUse(k api.ServerKey) string {
	if k.Log != "" {
		return k.Log
	}
	return "tokens"
}

func (c *cli) keysRotate() *cobra.Command {
	var in api.RotateKey
	var log string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Change the key that signs tokens, or a log's", Args: exactly(0),
		Long: "Publish a new key for tokens, which signs in a day, when everybody who verifies has it: what happens by itself every 90 days.\n\n" +
			"--now has the new key sign at once. --compromised does, too, and nothing that the old key signs from now on counts: tokens that it signed end, and it\n" +
			"leaves the JWKS at once. What it countersigned until now stays good: the log says when that was.\n" +
			"--log changes the key of a workspace's log, which goes on in a new shard; server is the server's own log.",
		Example: "  attorn keys rotate\n  attorn keys rotate --compromised --reason 'INC-212: a backup and its sealing key were copied'\n  attorn keys rotate --log default --reason INC-212",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if log != "" {
				ws, err := id.ParseWorkspace(log)
				if err != nil {
					return usageError{err}
				}
				in.Log = ws
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			k, err := cl.RotateKey(cmd.Context(), in)
			if err != nil {
				return err
			}
			return c.show(k, k.Key.String(), func(w io.Writer) {
				verb := "signs now"
				if k.Status == "next" {
					verb = "is published, and signs from " + moment(k.SignsFrom)
				}
				say(w, "%s  %s: %s, log #%d", k.Key, keyUse(k.ServerKey), verb, k.Rev)
			})
		},
	}
	cmd.Flags().BoolVar(&in.Now, "now", false, "the new key signs at once")
	cmd.Flags().BoolVar(&in.Compromised, "compromised", false, "somebody else may have the old key: it ends at once, with the tokens that it signed")
	cmd.Flags().StringVar(&log, "log", "", "the key of this workspace's log instead")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; needed for all but the ordinary rotation")
	return cmd
}
