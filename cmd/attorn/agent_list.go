package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// agentFilter are the flags that say which agents are meant.
type agentFilter struct {
	api.AgentFilter
	owner string
}

func (f *agentFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Q, "name", "", "how the name begins")
	cmd.Flags().StringVar(&f.Status, "status", "", "pending, active, suspended, revoked or expired")
	cmd.Flags().StringVar(&f.owner, "owner", "", "whose they are: a user's id or name, or me")
	cmd.Flags().StringVar(&f.Tag, "tag", "", "a tag they have: NAME=VALUE")
	cmd.Flags().StringVar(&f.Group, "group", "", "a group they are in")
	cmd.Flags().BoolVar(&f.Ownerless, "ownerless", false, "only those whose owner cannot act: suspended, or no member any more")
}

// filter completes the flags.
func (f *agentFilter) filter(cmd *cobra.Command, c *cli, cl *attorn.Client) (api.AgentFilter, error) {
	if f.owner != "" {
		u, err := c.person(cmd.Context(), cl, f.owner)
		if err != nil {
			return f.AgentFilter, err
		}
		f.Owner = u.ID.String()
	}
	return f.AgentFilter, nil
}

// any reports whether the flags leave any agent out.
func (f *agentFilter) any() bool { return f.AgentFilter != (api.AgentFilter{}) || f.owner != "" }

func (c *cli) listAgents() *cobra.Command {
	var f agentFilter
	var limit int
	ls := &cobra.Command{
		Use: "ls", Short: "List agents", Args: exactly(0),
		Example: "  attorn agent ls --tag env=production --status suspended\n  attorn agent ls --ownerless",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usageError{fmt.Errorf("--limit is a number of agents; 0 is all")}
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			filter, err := f.filter(cmd, c, cl)
			if err != nil {
				return err
			}
			all, err := atMost(limit, func(p attorn.Page) (api.List[api.Agent], error) {
				return cl.Agents(cmd.Context(), attorn.AgentQuery{AgentFilter: filter, Page: p})
			})
			if err != nil {
				return err
			}
			return c.show(all, each(all.Items, func(a api.Agent) string { return a.ID.String() }), func(w io.Writer) { agentTable(w, all.Items, f.Ownerless) })
		},
	}
	f.flags(ls)
	ls.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	return ls
}

func agentTable(w io.Writer, all []api.Agent, ownerless bool) {
	head := []string{"AGENT", "NAME", "OWNER", "STATUS", "TAGS"}
	if ownerless {
		head = append(head, "OWNERLESS SINCE", "TOKENS UNTIL")
	}
	row(w, head...)
	for _, a := range all {
		cells := []string{a.ID.String(), a.Name, a.Owner.String(), a.Status, tagLine(a.Tags)}
		if ownerless {
			cells = append(cells, moment(a.OwnerlessSince), moment(a.TokensUntil))
		}
		row(w, cells...)
	}
}

// tagLine is a set of tags in one line.
func tagLine(tags map[string]string) string {
	var all []string
	for name, value := range sorted(tags) {
		all = append(all, name+"="+value)
	}
	return strings.Join(all, " ")
}

func (c *cli) showAgent() *cobra.Command {
	return &cobra.Command{
		Use: "show AGENT", Short: "Show an agent; to its owner, and to who may read agents, also its groups, roles and running copies, and what stopped it", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			a, err := cl.AgentDetail(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(a, a.ID.String(), func(w io.Writer) {
				agentRows(w, a.Agent)
				stoppedRows(w, a.Stopped)
				if len(a.Groups) > 0 {
					row(w, "groups", strings.Join(a.Groups, ", "))
				}
				if len(a.Roles) > 0 {
					row(w, "roles", roleLine(a.Roles))
				}
				shown := a.Instances[:min(len(a.Instances), shownInstances)]
				for _, i := range shown {
					row(w, "instance", i.Key.String(), i.Trust, i.Status, "last used "+orNever(i.LastUsed))
				}
				if more := len(a.Instances) - len(shown); more > 0 {
					row(w, "", fmt.Sprintf("and %d more: attorn agent instances %s", more, a.Name))
				}
			})
		},
	}
}

// shownInstances is how many instances the page of one agent has.
const shownInstances = 5

// showOne prints an agent.
func (c *cli) showOne(a api.Agent) error {
	return c.show(a, a.ID.String(), func(w io.Writer) { agentRows(w, a) })
}

func agentRows(w io.Writer, a api.Agent) {
	row(w, "agent", a.Name+" ("+a.ID.String()+")")
	row(w, "for", a.Description)
	row(w, "owner", a.Owner.String())
	for _, r := range [][2]string{
		{"offered to", shownID(a.Offered)},
		{"ownerless since", moment(a.OwnerlessSince)},
		{"tokens until", moment(a.TokensUntil)},
		{"framework", a.Framework},
		{"model", a.Model},
		{"tags", tagLine(a.Tags)},
		{"expires", moment(a.Expires)},
	} {
		if r[1] != "" {
			row(w, r[0], r[1])
		}
	}
	row(w, "since", moment(a.Created))
	row(w, "status", a.Status)
}

func shownID(u id.User) string {
	if u.IsZero() {
		return ""
	}
	return u.String()
}
