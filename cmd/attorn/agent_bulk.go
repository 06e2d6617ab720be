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
	"github.com/attorn/attorn/cmd/attorn/internal/term"
	"github.com/attorn/attorn/id"
)

// batch is how many agents one request is about.
const batch = 200

// bulk is one change of many agents.
type bulk struct {
	agentFilter
	ids    string
	all    bool
	dryRun bool
	reason string
}

func (c *cli) bulkCommand() *cobra.Command {
	none := func(*api.AgentBulk, []string) error { return nil }
	verbs := []*cobra.Command{
		c.bulkVerb("approve", "Let proposed agents act", "approved", exactly(0), none),
		c.bulkVerb("suspend", "Stop agents until they are resumed", "suspended", exactly(0), none),
		c.bulkVerb("resume", "End suspensions", "resumed", exactly(0), none),
		c.bulkVerb("revoke", "End agents for ever", "revoked", exactly(0), none),
		c.bulkVerb("tag NAME=VALUE...", "Set tags", "tagged", between(1, -1), func(b *api.AgentBulk, args []string) error {
			tags, err := readTags(args)
			b.Change = &api.AgentChange{Tags: tags}
			return err
		}),
		c.bulkVerb("untag NAME...", "Remove tags", "untagged", between(1, -1), func(b *api.AgentBulk, args []string) error {
			b.Change = &api.AgentChange{Untag: args}
			return nil
		}),
		c.bulkVerb("expire WHEN", "Set when agents end for ever: a time, a date, from now (90d, 12h), or never", "given their end", exactly(1), func(b *api.AgentBulk, args []string) error {
			end := args[0]
			if end != "never" {
				var err error
				if end, err = readEnd(end, time.Now()); err != nil {
					return err
				}
			}
			b.Change = &api.AgentChange{Expires: &end}
			return nil
		}),
		c.bulkOwner(),
	}
	n := noun("bulk", "Change many agents, each decided and recorded for itself", verbs...)
	n.Example = "  attorn agent bulk suspend --tag team=billing --reason INC-212\n  attorn agent bulk tag env=staging --name test- --dry-run\n" +
		"  attorn agent ls --ownerless -o id | attorn agent bulk owner me --assign --ids -"
	return n
}

func (c *cli) bulkOwner() *cobra.Command {
	var assign bool
	own := c.bulkVerb("owner USER", "Hand agents over, as attorn agent owner does", "handed over", exactly(1), func(b *api.AgentBulk, _ []string) error {
		b.Owner = &api.NewOwner{Assign: assign}
		return nil
	})
	own.Flags().BoolVar(&assign, "assign", false, "at once, without asking the new owner; takes attorn:owner:assign")
	return own
}

// bulkVerb is a change of many agents; ask puts what it takes into the request.
func (c *cli) bulkVerb(use, short, past string, takes cobra.PositionalArgs, ask func(*api.AgentBulk, []string) error) *cobra.Command {
	var f bulk
	cmd := &cobra.Command{Use: use, Short: short, Args: takes, RunE: func(cmd *cobra.Command, args []string) error {
		verb, _, _ := strings.Cut(use, " ")
		b := api.AgentBulk{Do: verb, Reason: f.reason, DryRun: f.dryRun, Limit: batch}
		if err := ask(&b, args); err != nil {
			return usageError{err}
		}
		if b.Change != nil {
			b.Do = "change"
		}
		given := 0
		for _, is := range []bool{f.any(), f.ids != "", f.all} {
			if is {
				given++
			}
		}
		if given != 1 {
			return usageError{fmt.Errorf("%s takes which agents are meant: --name, --status, --owner, --tag, --group or --ownerless; or --ids FILE; or --all", cmd.CommandPath())}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		if b.Owner != nil {
			owner, err := c.person(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			b.Owner.Owner = owner.ID
		}
		return c.runBulk(cmd, cl, &f, b, past)
	}}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.ids, "ids", "", "file with the agents' ids, one a line; - is standard input")
	cmd.Flags().BoolVar(&f.all, "all", false, "all agents of the workspace")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be refused")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why")
	return cmd
}

// runBulk sends a change in parts, and tells of each refusal as it comes.
func (c *cli) runBulk(cmd *cobra.Command, cl *attorn.Client, f *bulk, b api.AgentBulk, past string) error {
	t := &tally{c: c, progress: term.Progress{W: c.talk, What: "agents"}}
	send := func(b api.AgentBulk) (string, error) {
		got, err := cl.BulkAgents(cmd.Context(), b)
		for _, o := range got.Items {
			t.add(o, o.Name+" ("+o.ID.String()+")")
		}
		return got.Next, err
	}
	if f.ids != "" {
		ids, err := c.readIDs(f.ids)
		if err != nil {
			return err
		}
		t.progress.Total = len(ids)
		for part := range chunks(ids, batch) {
			b.IDs = part
			if _, err := send(b); err != nil {
				return t.broke(err)
			}
		}
		return t.end(past, f.dryRun)
	}
	filter, err := f.filter(cmd, c, cl)
	if err != nil {
		return err
	}
	for b.Filter = &filter; ; {
		next, err := send(b)
		if err != nil {
			return t.broke(err)
		}
		if next == "" {
			return t.end(past, f.dryRun)
		}
		if b.After, err = id.Parse[id.Agent](next); err != nil {
			return err
		}
	}
}

// readIDs reads agents' ids, one a line.
func (c *cli) readIDs(file string) ([]id.Agent, error) {
	in, end, err := c.open(file)
	if err != nil {
		return nil, err
	}
	defer end()
	raw, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxImport {
		return nil, tooLarge(file)
	}
	var ids []id.Agent
	for i, line := range strings.Split(string(raw), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		a, err := id.Parse[id.Agent](line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %q is no agent's id", file, i+1, line)
		}
		ids = append(ids, a)
	}
	return ids, nil
}

// open opens a file, or standard input for -.
func (c *cli) open(file string) (io.Reader, func() error, error) {
	if file == "-" {
		return c.in, func() error { return nil }, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

// tally counts what became of many agents.
type tally struct {
	c        *cli
	progress term.Progress
	all      []api.AgentOutcome
	counts   map[string]int
}

// add counts an outcome; a refusal is told at once, in a line that begins with where.
func (t *tally) add(o api.AgentOutcome, where string) {
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.all = append(t.all, o)
	if o.Code != "" {
		t.counts["refused"]++
		t.progress.Line(line(fmt.Sprintf("%s: %s (%s)", where, o.Reason, o.Code)))
	} else {
		t.counts[o.Done]++
	}
	t.progress.At(len(t.all))
}

// broke says how far it got when the server no longer answered.
func (t *tally) broke(err error) error {
	t.progress.End()
	if len(t.all) > 0 {
		say(t.c.talk, "%s before this: %d refused", count(len(t.all), "agent"), t.counts["refused"])
	}
	return err
}

// end prints the sum; it is an error if anything was refused.
func (t *tally) end(past string, dry bool) error {
	t.progress.End()
	list := api.List[api.AgentOutcome]{Items: append([]api.AgentOutcome{}, t.all...)}
	ids := ""
	for _, o := range t.all {
		if o.Code == "" && !o.ID.IsZero() {
			ids += o.ID.String() + "\n"
		}
	}
	err := t.c.show(list, strings.TrimSuffix(ids, "\n"), func(w io.Writer) {
		done := count(len(t.all)-t.counts["refused"]-t.counts["there"], "agent")
		sum := done + " " + past
		if dry {
			sum = done + " would be " + past
		}
		if n := t.counts["there"]; n > 0 {
			sum += fmt.Sprintf(" · %d there already", n)
		}
		say(w, "%s · %d refused", sum, t.counts["refused"])
	})
	if n := t.counts["refused"]; err == nil && n > 0 {
		t.c.complain(fmt.Sprintf("%d of %s were refused (refused)", n, count(len(t.all), "agent")), "mend what is told above and do it again: what is done stays done")
		err = quiet{exitError}
	}
	return err
}

// chunks yields parts of a list.
func chunks[T any](all []T, n int) func(func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			k := min(n, len(all))
			if !yield(all[:k:k]) {
				return
			}
			all = all[k:]
		}
	}
}

// send runs work on parts of a list in turn until one fails.
func send[T any](ctx context.Context, all []T, work func([]T) error) error {
	for part := range chunks(all, batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := work(part); err != nil {
			return err
		}
	}
	return nil
}
