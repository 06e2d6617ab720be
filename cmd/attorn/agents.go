package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

func (c *cli) agentCommand() *cobra.Command {
	enrol := &cobra.Command{Use: "enrol AGENT", Short: "Make a one-time token that lets one running copy join", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, me, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		a, err := cl.Agent(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		e, err := cl.OfferEnrolment(cmd.Context(), a.ID)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.talk, "Where %s runs, once within %d minutes: attorn agent join --server %s --token FILE\n", line(a.Name), e.ExpiresIn/60, me.Server)
		return c.show(e, e.Token, func(w io.Writer) { row(w, e.Token) })
	}}
	return noun("agent", "Agents and their running copies", c.createAgent(), c.listAgents(), c.showAgent(), c.setAgent(), c.tagAgent(), c.untagAgent(),
		c.ownAgent(), c.approveAgent(), c.bulkCommand(), c.importCommand(), c.identityCommand(), enrol, c.joinCommand(), c.trustCommand(), c.instancesCommand(), c.rotateCommand(), c.spawnCommand(), c.leaveCommand(),
		c.endAgent("suspend", "Stop an agent, or one instance, until it is resumed"), c.endAgent("resume", "End a suspension"),
		c.endAgent("revoke", "End an agent, or one instance, for ever"))
}

func (c *cli) joinCommand() *cobra.Command {
	var server, tokenFile, as string
	var by joinFlags
	cmd := &cobra.Command{
		Use: "join", Short: "Become an instance: makes a key here and proves that it is held", Args: exactly(0),
		Example: "  attorn agent enrol deployer | ssh there attorn agent join --server https://attorn.example.com --token - --as deployer",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case by.device && by.workload || by.partner && (by.device || by.workload):
				return usageError{fmt.Errorf("--device, --workload and --partner are ways to join: one at a time")}
			case by.partner:
				return c.joinAsPartner(cmd.Context(), server, tokenFile, as, by)
			case by.device:
				return c.joinByDevice(cmd.Context(), server, tokenFile, as, by)
			case by.workload:
				return c.joinByWorkload(cmd.Context(), server, tokenFile, as, by)
			}
			if server == "" || tokenFile == "" || as == "" {
				return usageError{fmt.Errorf("attorn agent join takes --server URL, --token FILE (or - for standard input) and --as NAME; or --server URL and --device or --workload")}
			}
			if err := c.free(as); err != nil {
				return err
			}
			raw, err := c.readSecret(tokenFile)
			if err != nil {
				return err
			}
			keyFile := filepath.Join("keys", as+".jwk")
			got, err := attorn.Enrol(cmd.Context(), attorn.EnrolConfig{Server: server, Token: raw, KeyFile: filepath.Join(c.home, keyFile)})
			if err != nil {
				return err
			}
			a := account{Server: server, Workspace: got.Workspace(), Agent: got.ID(), Name: as, KeyFile: keyFile}
			if err := c.remember(as, a); err != nil {
				return err
			}
			return c.show(a, got.Instance().String(), func(w io.Writer) {
				row(w, "joined as", a.Name+" ("+a.Agent.String()+")")
				row(w, "instance", got.Instance().String())
				row(w, "key in", filepath.Join(c.home, keyFile))
			})
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "the server's URL")
	cmd.Flags().StringVar(&tokenFile, "token", "", "file with the enrolment token, or - for standard input")
	cmd.Flags().StringVar(&as, "as", "", "name of the new context")
	cmd.Flags().BoolVar(&by.device, "device", false, "instead of a token: a person confirms a code in the browser")
	cmd.Flags().StringVar(&by.name, "name", "", "with --device: what to propose as the agent's name")
	cmd.Flags().BoolVar(&by.workload, "workload", false, "instead of a token: by what the platform that this runs on says of it, and a trust rule")
	cmd.Flags().BoolVar(&by.partner, "partner", false, "act there as the current agent, which is another server's: by what that server says of it, and a rule there")
	cmd.Flags().StringVar(&by.under, "under", "", "with --partner: the delegation at its own server (default: the only live one)")
	cmd.Flags().StringVar(&by.chain, "chain", "", "with --partner, instead of --under: file with a chain of its own server's for this key alone (attorn delegation export)")
	cmd.Flags().StringVar(&by.assertion, "assertion-file", "", "with --workload: file with the platform's token (default: of GitHub Actions, or "+attorn.KubernetesTokenFile+")")
	cmd.Flags().StringVar(&by.workspace, "workspace", "", "with --device, --workload or --partner: the workspace to join (default: default)")
	return cmd
}

// readSecret reads a secret from a file or standard input: never from an argument, which others could see.
func (c *cli) readSecret(file string) (string, error) {
	var raw []byte
	var err error
	if file == "-" {
		raw, err = io.ReadAll(io.LimitReader(c.in, 4096))
	} else {
		raw, err = os.ReadFile(file)
	}
	return strings.TrimSpace(string(raw)), err
}

func (c *cli) endAgent(verb, short string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: verb + " AGENT|INSTANCE", Short: short, Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		if k, err := id.ParseKey(args[0]); err == nil {
			do := map[string]func(context.Context, id.Key, string) (api.Ended, error){"suspend": cl.SuspendInstance, "resume": cl.ResumeInstance, "revoke": cl.RevokeInstance}[verb]
			got, err := do(cmd.Context(), k, reason)
			if err != nil {
				return err
			}
			return c.showEnded(got, past[verb]+" instance "+k.String())
		}
		a, err := cl.Agent(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		do := map[string]func(context.Context, id.Agent, string) (api.Ended, error){"suspend": cl.SuspendAgent, "resume": cl.ResumeAgent, "revoke": cl.RevokeAgent}[verb]
		got, err := do(cmd.Context(), a.ID, reason)
		if err != nil {
			return err
		}
		return c.showEnded(got, fmt.Sprintf("%s %s (%s)", past[verb], a.Name, a.ID))
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}
