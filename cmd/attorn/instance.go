package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

func (c *cli) instancesCommand() *cobra.Command {
	return &cobra.Command{Use: "instances AGENT", Short: "List an agent's running copies: their keys", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		a, err := cl.Agent(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		all, err := cl.Instances(cmd.Context(), a.ID)
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(i api.Instance) string { return i.Key.String() }), func(w io.Writer) {
			row(w, "INSTANCE", "TRUST", "STATUS", "SINCE", "UNTIL", "LAST USED")
			for _, i := range all.Items {
				row(w, i.Key.String(), i.Trust, i.Status, moment(i.Created), orDash(moment(until(i))), orDash(moment(i.LastUsed)))
			}
		})
	}}
}

// until is when the time of an instance is over, as far as that is known.
func until(i api.Instance) string {
	if i.Ended != "" {
		return i.Ended
	}
	return i.Expires
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (c *cli) instanceCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show KEY", Short: "Show a running copy's keys from the first one on, and who vouched for each", Args: exactly(1),
		Long: "Show the line of keys that the running copy with this key has had: when each was good, who vouched for it, and at which revision of the log. Two keys\n" +
			"of one line are the same running copy; any other key is another one, whatever it calls itself.",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := id.ParseKey(args[0])
			if err != nil {
				return usageError{fmt.Errorf("attorn instance show takes a key's thumbprint: attorn agent instances AGENT")}
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			line, err := cl.Line(cmd.Context(), key)
			if err != nil {
				return err
			}
			return c.show(line, each(line.Items, func(k api.KeyRecord) string { return k.Key.String() }), func(w io.Writer) {
				row(w, "KEY", "STATUS", "FROM", "UNTIL", "LOG", "HOW")
				for _, k := range line.Items {
					row(w, k.Key.String(), k.Status, moment(k.Created), orDash(moment(k.Until)), fmt.Sprintf("#%d", k.Rev), howMade(k.Instance))
				}
			})
		},
	}
	return noun("instance", "Running copies of agents, by their keys", show)
}

// howMade says who vouched for a key.
func howMade(i api.Instance) string {
	switch {
	case !i.Before.IsZero():
		return "vouched for by " + i.Before.String()
	case !i.Parent.IsZero():
		return "spawned by " + i.Parent.String()
	}
	return i.Trust
}

func (c *cli) rotateCommand() *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace the key of the agent in this context by a new one that it vouches for", Args: exactly(0),
		Long: "Replace the key of the agent in this context: a new key is made beside the old one, which vouches for it, and takes its place. Processes that run go on\n" +
			"with the new key. What was lent to the agent stays; what was lent to the old key alone ends with it. If it is interrupted, run it again.\n\n" +
			"A key that somebody else may have is not rotated but revoked: attorn agent revoke KEY, and enrol a new one.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, _, err := c.agent(cmd.Context())
			if err != nil {
				return err
			}
			got, err := a.Rotate(cmd.Context(), grace)
			if err != nil {
				return err
			}
			return c.show(got, got.Instance.String(), func(w io.Writer) {
				row(w, "instance", got.Instance.String())
				row(w, "replaces", got.Before.String())
				row(w, "which ends", moment(got.Until))
			})
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", 0, "for how long the old key stays good, at most 24h (default: it ends at once)")
	return cmd
}

func (c *cli) spawnCommand() *cobra.Command {
	var as, under string
	var permissions []string
	var l attorn.Lend
	cmd := &cobra.Command{
		Use: "spawn AGENT", Short: "Make a short-lived instance below the agent in this context, as a context of its own", Args: exactly(1),
		Long: "Make an instance of an agent below the one in this context, which vouches for its key. It ends with its time, with its parent, or by\n" +
			"`attorn agent leave`; what is named with --permission is lent to it alone.",
		Example: "  attorn --context release-bot agent spawn deployer --as deploy-1 --ttl 5m -p tool:deploy:run",
		RunE: func(cmd *cobra.Command, args []string) error {
			if as == "" {
				return usageError{fmt.Errorf("attorn agent spawn takes --as NAME, the name of the new context")}
			}
			if err := c.free(as); err != nil {
				return err
			}
			a, parent, err := c.agent(cmd.Context())
			if err != nil {
				return err
			}
			for _, p := range permissions {
				parsed, err := parsePermission(p)
				if err != nil {
					return err
				}
				l.Permissions = append(l.Permissions, parsed)
			}
			if len(l.Permissions) > 0 {
				parent, err := c.mine(cmd.Context(), a, under)
				if err != nil {
					return err
				}
				l.Parent = parent.Link.String()
			}
			keyFile := filepath.Join("keys", as+".jwk")
			child, err := a.SpawnFile(cmd.Context(), filepath.Join(c.home, keyFile), args[0], l)
			if err != nil {
				return err
			}
			made := account{Server: parent.Server, Workspace: parent.Workspace, Agent: child.ID(), Name: as, KeyFile: keyFile}
			if err := c.keep(as, made); err != nil {
				return err
			}
			return c.show(made, child.Instance().String(), func(w io.Writer) {
				row(w, "spawned", made.Name+" ("+made.Agent.String()+")")
				row(w, "instance", child.Instance().String())
				row(w, "below", a.Instance().String())
				row(w, "key in", filepath.Join(c.home, keyFile))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&as, "as", "", "name of the new context")
	f.DurationVar(&l.TTL, "ttl", 0, "for how long, such as 5m (default: a day)")
	f.StringArrayVarP(&permissions, "permission", "p", nil, "what is lent to it; repeatable")
	f.StringVar(&under, "under", "", "the delegation that is lent on (default: the only live one)")
	return cmd
}

func (c *cli) leaveCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "leave", Short: "End the instance in this context for ever, with all that it spawned", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		a, _, err := c.agent(cmd.Context())
		if err != nil {
			return err
		}
		key := a.Instance()
		got, err := a.End(cmd.Context(), reason)
		if err != nil {
			return err
		}
		return c.showEnded(got, "ended instance "+key.String())
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}
