package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// cli is one run of the command.
type cli struct {
	in      io.Reader
	out     io.Writer // data
	talk    io.Writer // everything else
	home    string
	context string // --context
	format  string // -o
}

// root is the tree of commands.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use: "attorn", Short: "Power of attorney for AI agents",
		Long: "attorn lends AI agents limited authority, decides every call, and proves who did what under which authority.\n\n" +
			"Start a server with `attorn dev`; `attorn COMMAND --help` tells more.",
		SilenceErrors: true, SilenceUsage: true, CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&c.context, "context", "", "account to act as (attorn ctx ls); also ATTORN_CONTEXT")
	root.PersistentFlags().StringVarP(&c.format, "output", "o", "table", "table, json or id")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		c.devCommand(), c.serveCommand(), versionCommand(c),
		c.loginCommand(), c.whoamiCommand(), c.ctxCommand(),
		c.userCommand(), c.roleCommand(), c.agentCommand(),
		c.lendCommand(), c.delegationCommand(), c.tokenCommand(),
		c.approvalCommand(), c.approveCommand(), c.denyCommand(),
		c.policyCommand(), c.mcpCommand(), c.toolCommand(),
		c.whyCommand(), c.auditCommand(), c.verifyCommand(),
	)
	return root
}

// noun groups verbs; called without one it shows them.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	n := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("attorn %s has no command %q", use, args[0])}
		}
		return nil
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	n.AddCommand(verbs...)
	return n
}

// exactly demands n arguments and says what is missing.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("attorn %s takes %d argument(s), not %d: %s", cmd.Name(), n, len(args), cmd.UseLine())}
		}
		return nil
	}
}

// show prints a thing: as JSON, as its identifier, or by table.
func (c *cli) show(v any, id string, table func(io.Writer)) error {
	switch c.format {
	case "json":
		return json.MarshalWrite(c.out, v, json.Deterministic(true), jsontext.WithIndent("  "), json.FormatNilSliceAsNull(false))
	case "id":
		fmt.Fprintln(c.out, id)
		return nil
	case "table":
	default:
		return usageError{fmt.Errorf("-o is table, json or id, not %q", c.format)}
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// row prints one line of a table; what came from elsewhere cannot move the cursor or turn the text around.
func row(w io.Writer, cells ...string) {
	for i, s := range cells {
		cells[i] = printable(s)
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

// printable replaces what is not a visible character or a space. Lines stay lines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
