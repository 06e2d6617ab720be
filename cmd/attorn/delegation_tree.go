package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/graph"
)

// maxTrees is how many trees of one person, agent or task are drawn.
const maxTrees = 100

// treeOf says which trees are meant.
type treeOf struct {
	person, agent, task string
	all                 bool
	file                string
}

func (c *cli) treeCommand() *cobra.Command {
	var t treeOf
	cmd := &cobra.Command{
		Use: "tree [DELEGATION]", Short: "Draw who lent what to whom: below a delegation, or of a person, an agent or a task", Args: between(0, 1),
		Long: "Draw who lent what to whom, with how each delegation stands: the time and uses left, constraints in words, and who ended it and why. Without anything it draws\n" +
			"what you lent. What ended more than a day ago is left out, but for --all.\n\n" +
			"-o svg draws a picture, into --file or to standard output. Of more than 60 people and agents it has those within two hops of the one that was asked for.",
		Example: "  attorn delegation tree --agent release-bot\n  attorn delegation tree dlg_… -o svg -f tree.svg",
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if c.format == "svg" {
				return nil
			}
			if t.file != "" {
				return usageError{fmt.Errorf("--file takes a picture: -o svg")}
			}
			return cmd.Root().PersistentPreRunE(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.tree(cmd.Context(), t, strings.Join(args, ""))
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.person, "person", "", "what a person lent, with all below; me is you")
	f.StringVar(&t.agent, "agent", "", "what was lent to or by an agent, with all around")
	f.StringVar(&t.task, "task", "", "what was lent for a task, with all around")
	f.BoolVar(&t.all, "all", false, "what ended long ago, too")
	f.StringVarP(&t.file, "file", "f", "", "where to draw the picture")
	return cmd
}

func (c *cli) tree(ctx context.Context, t treeOf, text string) error {
	given := 0
	for _, s := range []string{text, t.person, t.agent, t.task} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		return usageError{fmt.Errorf("tree takes a delegation, --person, --agent or --task, one of them")}
	}
	found, focus, err := c.trees(ctx, t, text)
	if err != nil {
		return err
	}
	if found.More {
		say(c.talk, "There is more than is drawn.")
	}
	f := forest(found.Items, time.Now(), t.all || text != "")
	f.Focus = focus
	if c.format == "svg" {
		return c.picture(graph.SVG(f), t.file)
	}
	return c.show(found, each(found.Items, func(d api.Delegation) string { return d.ID.String() }), func(w io.Writer) {
		drawn := graph.Text(f)
		if drawn == "" {
			drawn = "nothing is lent\n"
		}
		_, _ = io.WriteString(w, drawn)
	})
}

func (c *cli) picture(svg []byte, file string) error {
	if file == "" {
		_, err := c.out.Write(svg)
		return err
	}
	if err := os.WriteFile(file, svg, 0o644); err != nil {
		return err
	}
	say(c.talk, "wrote %s", file)
	return nil
}

// trees reads the delegations that are meant, and who stands in the middle of them.
func (c *cli) trees(ctx context.Context, t treeOf, text string) (all api.Tree, focus string, err error) {
	l, err := c.lender(ctx)
	if err != nil {
		return all, "", err
	}
	if text != "" {
		d, err := id.Parse[id.Delegation](text)
		if err != nil {
			return all, "", usageError{err}
		}
		if all, err = l.Tree(ctx, d); err == nil {
			focus = all.Items[0].Statement.Delegate.Agent.String()
		}
		return all, focus, err
	}
	var found []api.Delegation
	for _, f := range t.filters() {
		q, err := c.query(ctx, f)
		if err != nil {
			return all, "", err
		}
		focus = q.Delegate + q.Delegator
		some, more, err := c.delegations(ctx, q, maxTrees)
		if err != nil {
			return all, "", err
		}
		found, all.More = append(found, some...), all.More || more
	}
	all.Items = []api.Delegation{}
	seen := map[id.Delegation]bool{}
	for _, d := range found {
		if seen[d.ID] {
			continue
		}
		tree, err := l.Tree(ctx, d.Root)
		if f := fault.Of(err); f != nil && f.Kind == fault.Denied && d.Root != d.ID { // what is above is not everybody's to read
			tree, err = l.Tree(ctx, d.ID)
		}
		if err != nil {
			return all, "", err
		}
		for _, d := range tree.Items {
			if !seen[d.ID] {
				seen[d.ID], all.Items = true, append(all.Items, d)
			}
		}
		all.More = all.More || tree.More
	}
	return all, focus, nil
}

// filters are the lists that make up what is meant.
func (t treeOf) filters() []filter {
	switch {
	case t.person != "":
		return []filter{{by: t.person}}
	case t.agent != "":
		return []filter{{to: t.agent}, {by: t.agent}}
	case t.task != "":
		return []filter{{task: t.task}}
	}
	return []filter{{}}
}

// forest is records as they are drawn.
func forest(all []api.Delegation, now time.Time, everything bool) graph.Forest {
	f := graph.Forest{Names: map[string]string{}, Now: now, All: everything}
	for _, d := range all {
		st := d.Statement
		for sub, name := range map[string]string{
			st.Delegator.User.String() + st.Delegator.Agent.String(): d.DelegatorName, st.Delegate.Agent.String(): d.DelegateName, d.EndedBy: d.EndedByName,
		} {
			if sub != "" && name != "" {
				f.Names[sub] = name
			}
		}
		ended, _ := time.Parse(time.RFC3339, d.Ended) // zero where it has not
		f.Lent = append(f.Lent, graph.Lent{Statement: st, Parent: d.Parent, Status: d.Status, Uses: d.Uses, Ended: ended, EndedBy: d.EndedBy, EndedWhy: d.EndedWhy})
	}
	return f
}

// recordsOf is what links alone tell.
func recordsOf(links []delegation.Link) (all []api.Delegation) {
	var above id.Delegation
	for _, l := range links {
		all = append(all, api.Delegation{ID: l.Statement.ID, Parent: above, Statement: l.Statement, Link: l})
		above = l.Statement.ID
	}
	return all
}

// filter is how a list of delegations is asked for, in names.
type filter struct{ by, to, task, status string }

// query finds out who is meant. Without any name it is what the person lent, or what the agent was lent.
func (c *cli) query(ctx context.Context, f filter) (q attorn.DelegationQuery, err error) {
	q.Task, q.Status = f.task, f.status
	a, err := c.account()
	if err != nil {
		return q, err
	}
	if f.by == "" && f.to == "" && (f.task == "" || a.User.IsZero()) {
		if a.User.IsZero() {
			f.to = "me"
		} else {
			f.by = "me"
		}
	}
	for _, who := range []struct {
		text string
		sub  *string
	}{{f.by, &q.Delegator}, {f.to, &q.Delegate}} {
		switch {
		case who.text == "":
		case who.text == "me":
			*who.sub = a.sub()
		case a.User.IsZero():
			return q, usageError{fmt.Errorf("an agent lists what it lent (--by me) or was lent (--to me)")}
		default:
			cl, _, err := c.client(ctx)
			if err != nil {
				return q, err
			}
			if *who.sub, _, err = c.principal(ctx, cl, who.text); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

// delegations lists what a query finds, newest first, at most so many; 0 is all.
func (c *cli) delegations(ctx context.Context, q attorn.DelegationQuery, most int) (all []api.Delegation, more bool, err error) {
	a, err := c.account()
	if err != nil {
		return nil, false, err
	}
	var list func(context.Context, attorn.DelegationQuery) (api.List[api.Delegation], error)
	if a.User.IsZero() {
		ag, _, err := c.agent(ctx)
		if err != nil {
			return nil, false, err
		}
		list = ag.List
	} else {
		cl, _, err := c.client(ctx)
		if err != nil {
			return nil, false, err
		}
		list = cl.Delegations
	}
	found, err := atMost(most, func(p attorn.Page) (api.List[api.Delegation], error) {
		q.Page = p
		return list(ctx, q)
	})
	return found.Items, found.Next != "" || most > 0 && len(found.Items) == most, err
}
