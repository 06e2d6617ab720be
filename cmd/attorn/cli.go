package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// cli is one run of the command.
type cli struct {
	in      io.Reader
	out     io.Writer // data
	talk    io.Writer // everything else
	home    string
	context string // --context
	ws      string // --workspace
	format  string // -o
}

// root is the tree of commands.
func (c *cli) root() *cobra.Command {
	root := noun("attorn", "Power of attorney for AI agents",
		c.devCommand(), c.serveCommand(), c.configCommand(), versionCommand(c),
		c.killCommand(), c.loginCommand(), c.logoutCommand(), c.whoamiCommand(), c.ctxCommand(), c.workspaceCommand(),
		c.userCommand(), c.groupCommand(), c.roleCommand(), c.sodCommand(), c.permissionsCommand(), c.agentCommand(), c.instanceCommand(), c.deviceCommand(),
		c.lendCommand(), c.narrowCommand(), c.revokeCommand(), c.delegationCommand(), c.tokenCommand(),
		c.approvalCommand(), c.approveCommand(), c.denyCommand(),
		c.checkCommand(), c.policyCommand(), c.resourceCommand(), c.mcpCommand(), c.toolCommand(), c.serviceCommand(), c.issuerCommand(), c.clientCommand(),
		c.signCommand(), c.fetchCommand(),
		c.whyCommand(), c.auditCommand(), c.verifyCommand(), c.keysCommand(),
	)
	root.Long = "attorn lends AI agents limited authority, decides every call, and proves who did what under which authority.\n\n" +
		"Start a server with `attorn dev`; `attorn COMMAND --help` tells more."
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions = cobra.CompletionOptions{HiddenDefaultCmd: true}
	root.PersistentFlags().StringVar(&c.context, "context", "", "account to act as (attorn ctx ls); also ATTORN_CONTEXT")
	root.PersistentFlags().StringVar(&c.ws, "workspace", "", "workspace to act in, for a person; else the account's own")
	root.PersistentFlags().StringVarP(&c.format, "output", "o", "table", "table, json, jsonl or id")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		switch c.format {
		case "table", "json", "jsonl", "id":
			return nil
		}
		return usageError{fmt.Errorf("-o is table, json, jsonl or id, not %q", c.format)} // before anything is done
	}
	return root
}

// noun groups verbs; called without one it shows them.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	n := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usageError{fmt.Errorf("%s has no command %q; is %s meant?", cmd.CommandPath(), args[0], strings.Join(near, " or "))}
		}
		return usageError{fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])}
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, SuggestionsMinimumDistance: 2}
	n.AddCommand(verbs...)
	return n
}

// exactly demands n arguments and says what is missing.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

// between demands at least low and at most high arguments; high < 0 is without limit.
func between(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= low && (high < 0 || len(args) <= high) {
			return nil
		}
		_, takes, _ := strings.Cut(cmd.Use, " ")
		if takes == "" {
			takes = "no argument"
		}
		return usageError{fmt.Errorf("%s takes %s; %d given", cmd.CommandPath(), takes, len(args))}
	}
}
