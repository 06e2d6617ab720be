package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func (c *cli) lendCommand() *cobra.Command {
	var permissions []string
	l := attorn.Lend{Warned: c.warn}
	var under, from, until, instance string
	cmd := &cobra.Command{
		Use: "lend AGENT", Short: "Lend an agent some of your authority, signed with your key", Args: exactly(1),
		Long: "Lend an agent some of your authority for a time. The statement is signed with the key of the current context: a person's registered key, or an\n" +
			"agent's instance key, which lends on what it was lent (--under).\n\n" +
			"A permission may carry constraints on arguments: 'tool:files:write_file{path^=staging/}'.\n" +
			"Operators: = equals, =a|b one of, ^= begins with, <= at most, >= at least.\n\n" +
			"What you could not do yourself is lent with a warning and has no effect until you can.",
		Example: "  attorn lend release-bot -p tool:files:read_text_file -p 'tool:files:write_file{path^=staging/}' --ttl 2h --depth 1",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, p := range permissions {
				parsed, err := parsePermission(p)
				if err != nil {
					return err
				}
				l.Permissions = append(l.Permissions, parsed)
			}
			if len(l.Permissions) == 0 {
				return usageError{fmt.Errorf("say what to lend: --permission tool:SERVER:TOOL (repeat it for more)")}
			}
			if cmd.Flags().Changed("ttl") && l.TTL <= 0 {
				return usageError{fmt.Errorf("--ttl is for how long, such as 90m")}
			}
			if err := lendTimes(&l, from, until); err != nil {
				return err
			}
			if instance != "" {
				key, err := id.ParseKey(instance)
				if err != nil {
					return usageError{fmt.Errorf("--instance is the thumbprint of a key: attorn agent show AGENT lists them")}
				}
				l.Instance = key
			}
			a, err := c.account()
			if err != nil {
				return err
			}
			if a.User.IsZero() {
				return c.lendAsAgent(cmd.Context(), args[0], under, l)
			}
			if under != "" {
				return usageError{fmt.Errorf("--under is for an agent: a person lends at the root of a chain, under no other delegation")}
			}
			return c.lendAsPerson(cmd.Context(), args[0], l)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&permissions, "permission", "p", nil, "what is lent; repeatable")
	f.DurationVar(&l.TTL, "ttl", 0, "for how long, such as 90m (default: an hour; for an agent as long as what it lends on)")
	f.StringVar(&from, "from", "", "when it begins, such as 2026-11-24T09:00:00Z (default: now)")
	f.StringVar(&until, "until", "", "when it ends, instead of --ttl")
	f.Int64Var(&l.Uses, "uses", 0, "how many calls, shared with all that descends from it (0: no limit)")
	f.IntVar(&l.Depth, "depth", 0, "how many hops it may be lent on")
	f.StringVar(&l.Task, "task", "", "identifier of the piece of work")
	f.StringVar(&l.Purpose, "purpose", "", "a sentence for people")
	f.StringVar(&instance, "instance", "", "only the running copy with this key may use it (default: every one of the agent's)")
	f.StringVar(&under, "under", "", "for an agent: the delegation it lends on (default: the only live one)")
	return cmd
}

// lendTimes reads when a delegation begins and ends.
func lendTimes(l *attorn.Lend, from, until string) error {
	if from != "" {
		t, err := time.Parse(time.RFC3339, from)
		if err != nil {
			return usageError{fmt.Errorf("--from is a time such as 2026-11-24T09:00:00Z")}
		}
		l.From = t
	}
	if until == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, until)
	if err != nil || l.TTL != 0 {
		return usageError{fmt.Errorf("--until is a time such as 2026-11-24T17:00:00Z, and stands instead of --ttl")}
	}
	begins := l.From
	if begins.IsZero() {
		begins = time.Now()
	}
	if l.TTL = t.Sub(begins); l.TTL <= 0 {
		return usageError{fmt.Errorf("it would end before it begins")}
	}
	return nil
}

// warn says what has no effect as things are.
func (c *cli) warn(w api.Warning) {
	what := ""
	if w.Permission != "" {
		what = w.Permission + ": "
	}
	say(c.talk, "Warning: %s%s (%s)", what, w.Reason, w.Code)
}

func (c *cli) lendAsPerson(ctx context.Context, to string, l attorn.Lend) error {
	cl, _, err := c.client(ctx)
	if err != nil {
		return err
	}
	link, err := cl.Delegate(ctx, to, l)
	if err != nil {
		return err
	}
	return c.showLent(link, to)
}

func (c *cli) lendAsAgent(ctx context.Context, to, under string, l attorn.Lend) error {
	ag, _, err := c.agent(ctx)
	if err != nil {
		return err
	}
	parent, err := c.mine(ctx, ag, under)
	if err != nil {
		return err
	}
	l.Parent = parent.Link.String()
	link, err := ag.Delegate(ctx, to, l)
	if err != nil {
		return err
	}
	return c.showLent(link, to)
}

const underWords = "delegation to act under, or @FILE with a token that was handed on (default: the only live delegation; none: for nobody)"

// subject is under what the agent acts: a delegation to it, or a token of another agent's that a file holds, and that says that it may act.
func (c *cli) subject(ctx context.Context, ag *attorn.Agent, under string) (string, error) {
	if file, ok := strings.CutPrefix(under, "@"); ok {
		return c.readSecret(file)
	}
	d, err := c.mine(ctx, ag, under)
	return d.Link.String(), err
}

// mine is the delegation to the agent that text names, or the only live one; where some are to this instance alone, the only one of those.
func (c *cli) mine(ctx context.Context, ag *attorn.Agent, text string) (api.Delegation, error) {
	all, err := ag.Delegations(ctx)
	if err != nil {
		return api.Delegation{}, err
	}
	var live, own []api.Delegation
	for _, d := range all {
		if text == d.ID.String() {
			return d, nil
		}
		switch to := d.Link.Statement.Delegate.Instance; {
		case d.Status != "active":
		case to == ag.Instance():
			own = append(own, d)
		case to.IsZero():
			live = append(live, d)
		}
	}
	if len(own) > 0 {
		live = own
	}
	switch {
	case text != "":
		return api.Delegation{}, fault.New(fault.NotFound, "not_found", "nothing was lent to this agent as %s", text).Try("attorn delegation ls")
	case len(live) == 1:
		return live[0], nil
	case len(live) == 0:
		return api.Delegation{}, fault.New(fault.Denied, "not_lent", "nothing is lent to this agent now").Try("ask a person: attorn lend AGENT --permission …")
	}
	return api.Delegation{}, fault.New(fault.Conflict, "ambiguous_delegation", "%d delegations to this agent are live", len(live)).Try("name one: attorn delegation ls")
}

func (c *cli) showLent(link delegation.Link, to string) error {
	st := link.Statement
	return c.show(link, st.ID.String(), func(w io.Writer) {
		row(w, "lent to", fmt.Sprintf("%s (%s)", to, st.Delegate.Agent), st.ID.String())
		for _, p := range st.Permissions {
			row(w, "", permissionWords(p), "")
		}
		if !st.Delegate.Instance.IsZero() {
			row(w, "only to", "instance "+st.Delegate.Instance.String(), "")
		}
		if st.NotBefore > time.Now().Unix() {
			row(w, "from", seconds(st.NotBefore), "")
		}
		if !st.MayAct.IsZero() {
			row(w, "may act", "agent "+st.MayAct.String()+" in its stead", "")
		}
		row(w, "until", seconds(st.ExpiresAt), usesWords(st))
	})
}

func permissionWords(p delegation.Permission) string {
	if len(p.Where) == 0 {
		return p.Permission
	}
	return p.Permission + " where " + delegation.Words(p.Where)
}

func usesWords(st delegation.Statement) string {
	var parts []string
	if st.MaxUses != nil {
		parts = append(parts, count(int(*st.MaxUses), "use"))
	}
	if st.MaxDepth > 0 {
		parts = append(parts, "may be lent on over "+count(st.MaxDepth, "hop"))
	}
	if st.Task != "" {
		parts = append(parts, "task "+st.Task)
	}
	return strings.Join(parts, ", ")
}
