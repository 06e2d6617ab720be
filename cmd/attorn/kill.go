package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// killing is one use of the kill switch.
type killing struct {
	order api.Kill
	yes   bool
}

func (c *cli) killCommand() *cobra.Command {
	var k killing
	kill := func(kind, takes, short string, n int) *cobra.Command {
		return &cobra.Command{Use: strings.TrimSpace(kind + " " + takes), Short: short, Args: exactly(n), RunE: func(cmd *cobra.Command, args []string) error {
			what := ""
			if n > 0 {
				what = args[0]
			}
			k.order.Kind = kind
			return c.kill(cmd.Context(), k, what)
		}}
	}
	cmd := &cobra.Command{
		Use: "kill AGENT|INSTANCE|DELEGATION|USER-ID", Short: "End something and all that descends from it, everywhere and at once", Args: between(1, 1),
		Example: "  attorn kill release-bot --reason 'key leaked, INC-212'\n  attorn kill tool files:write --reason 'deletes too much' --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			k.order.Kind = kindOf(args[0])
			return c.kill(cmd.Context(), k, args[0])
		},
	}
	cmd.AddCommand(
		kill("agent", "AGENT", "Stop an agent, its instances and what these spawned, lent and were lent", 1),
		kill("instance", "KEY", "Stop one running copy and what it spawned, lent and was lent", 1),
		kill("user", "USER", "Stop a person, their sessions and all that they lent", 1),
		kill("delegation", "DELEGATION", "End a delegation and all that descends from it, for ever", 1),
		kill("tool", "SERVER[:TOOL]", "Stop a tool, or all that an MCP server offers", 1),
		kill("all", "", "Halt the workspace: no agent acts, none gets a token, nothing is lent", 0),
	)
	cmd.PersistentFlags().StringVar(&k.order.Reason, "reason", "", "why; it is kept in the log")
	cmd.PersistentFlags().BoolVar(&k.order.Revoke, "revoke", false, "for ever: it cannot be resumed")
	cmd.PersistentFlags().BoolVar(&k.order.DryRun, "dry-run", false, "say what would end, and end nothing")
	cmd.PersistentFlags().BoolVar(&k.yes, "yes", false, "do it without asking")
	return cmd
}

// kindOf is what a text names by its form; a name is an agent's.
func kindOf(text string) string {
	if text == "me" {
		return "user"
	}
	if _, err := id.ParseKey(text); err == nil {
		return "instance"
	}
	for prefix, kind := range map[string]string{"usr_": "user", "dlg_": "delegation"} {
		if strings.HasPrefix(text, prefix) {
			return kind
		}
	}
	return "agent"
}

func (c *cli) kill(ctx context.Context, k killing, text string) error {
	if k.order.Reason == "" {
		return usageError{fmt.Errorf("say why: --reason")}
	}
	cl, _, err := c.client(ctx)
	if err != nil {
		return err
	}
	name := text
	if k.order.ID, name, err = c.meant(ctx, cl, k.order.Kind, text); err != nil {
		return err
	}
	if !k.yes || k.order.DryRun {
		would := k.order
		would.DryRun = true
		toll, err := cl.Kill(ctx, would)
		if err != nil {
			return err
		}
		if k.order.DryRun {
			return c.show(toll, "", func(w io.Writer) { say(w, "this would %s %s", doing(k.order), sentence(name, toll.Ended)) })
		}
		if err := c.sure("This "+doing(k.order)+"s "+sentence(name, toll.Ended)+".   Go on?", "--yes"); err != nil {
			return err
		}
	}
	got, err := cl.Kill(ctx, k.order)
	if err != nil {
		return err
	}
	return c.showKilled(ctx, cl, k.order, name, got)
}

// meant finds the id of what a text names, and what to call it.
func (c *cli) meant(ctx context.Context, cl *attorn.Client, kind, text string) (thing, name string, err error) {
	switch kind {
	case "agent":
		a, err := cl.Agent(ctx, text)
		return a.ID.String(), a.Name + " (" + a.ID.String() + ")", err
	case "user":
		u, err := c.person(ctx, cl, text)
		return u.ID.String(), u.String(), err
	case "all":
		me, err := cl.Me(ctx)
		return "", "workspace " + me.Workspace.String(), err
	}
	return text, kind + " " + text, nil
}

func doing(o api.Kill) string {
	switch {
	case o.Kind == "all":
		return "halt"
	case o.Kind == "delegation" || o.Revoke && o.Kind != "user":
		return "revoke"
	}
	return "suspend"
}

// sentence is a name and what descends from it.
func sentence(name string, t api.Toll) string {
	return line(name) + ": " + tollOf(t, ", ")
}

func tollOf(t api.Toll, between string) string {
	parts := []string{
		count(len(t.Instances), "instance"), count(len(t.Delegations), "delegation"), count(t.Tokens, "token"), count(len(t.Approvals), "approval"),
	}
	if t.Sessions > 0 {
		parts = append(parts, count(int(t.Sessions), "session"))
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return strings.HasPrefix(s, "0 ") })
	if len(parts) == 0 {
		return "nothing else"
	}
	return strings.Join(parts, between)
}

// sure asks on a terminal; without one nothing is asked, and the flag that would answer is missing.
func (c *cli) sure(question, flag string) error {
	missing := usageError{fmt.Errorf("%s Without a terminal nothing is asked: add %s", strings.TrimSuffix(question, "   Go on?"), flag)}
	f, ok := c.in.(*os.File)
	if !ok {
		return missing
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return missing
	}
	fmt.Fprint(c.talk, line(question)+" [y/N] ")
	answer, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		fmt.Fprintln(c.talk)
		return missing // /dev/null looks like a terminal
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		say(c.talk, "nothing was done")
		return quiet{exitError}
	}
	return nil
}

// The patience with those who have to confirm, which is longer than what is promised.
const (
	confirmWait = 5 * time.Second
	confirmPoll = 150 * time.Millisecond
)

// killed is what the command prints as JSON: what ended, and who has applied it.
type killed struct {
	api.Killed
	Confirmations []api.Confirmation `json:"confirmations"`
}

func (c *cli) showKilled(ctx context.Context, cl *attorn.Client, o api.Kill, name string, got api.Killed) error {
	all, err := confirmed(ctx, cl, got.Rev)
	if err != nil {
		say(c.talk, "it has ended (log #%d); who has applied it is not known", got.Rev)
		return err
	}
	late := 0
	for _, f := range all {
		if !f.Confirmed && !f.Gone {
			late++
		}
	}
	err = c.show(killed{got, all}, got.Event.String(), func(w io.Writer) {
		past := map[string]string{"halt": "halted", "revoke": "revoked", "suspend": "suspended"}[doing(o)]
		say(w, "%s   %s   log #%d", past, name, got.Rev)
		say(w, "ended       %s", tollOf(got.Ended, " · "))
		confirmationRows(w, got, all, late)
		switch {
		case got.Undo == "":
			say(w, "This is for ever.")
		case o.Kind == "tool", o.Kind == "all", o.Revoke:
			say(w, "Undo: %s    (ended tokens and approvals stay ended)", got.Undo)
		default:
			say(w, "Undo: %s    (ended tokens and approvals stay ended; --revoke would be final)", got.Undo)
		}
	})
	if err == nil && late > 0 {
		say(c.talk, "%s not confirmed within %s: until it is seen that they have, stop them or cut them off", count(late, "live enforcement point has"), confirmWait)
		return quiet{exitError}
	}
	return err
}

// confirmed asks until everybody who is there has applied a revision, or patience ends.
func confirmed(ctx context.Context, cl *attorn.Client, rev int64) ([]api.Confirmation, error) {
	for end := time.Now().Add(confirmWait); ; {
		l, err := cl.Confirmations(ctx, rev)
		if err != nil {
			return nil, err
		}
		waits := slices.ContainsFunc(l.Items, func(f api.Confirmation) bool { return !f.Confirmed && !f.Gone })
		if !waits || time.Now().After(end) {
			return l.Items, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(confirmPoll):
		}
	}
}

// confirmationRows says who confirmed when, and lists who did not.
func confirmationRows(w io.Writer, got api.Killed, all []api.Confirmation, late int) {
	var did []string
	var slowest time.Duration
	live := 0
	took := func(f api.Confirmation) time.Duration {
		at, err1 := time.Parse(time.RFC3339Nano, got.At)
		done, err2 := time.Parse(time.RFC3339Nano, f.ConfirmedAt)
		if cmp.Or(err1, err2) != nil {
			return 0
		}
		return max(0, done.Sub(at))
	}
	slices.SortStableFunc(all, func(a, b api.Confirmation) int { return cmp.Compare(took(a), took(b)) })
	for _, f := range all {
		if f.Gone {
			continue
		}
		if live++; f.Confirmed {
			slowest = max(slowest, took(f))
			did = append(did, fmt.Sprintf("%s %.1f s", f.Name, took(f).Seconds()))
		}
	}
	if len(did) > 0 {
		say(w, "confirmed   %s   %d of %d in %.1f s", strings.Join(did, " · "), len(did), live, slowest.Seconds())
	}
	for _, f := range all {
		switch {
		case f.Gone:
			say(w, "gone        %s %s, not seen since %s", f.Kind, f.Name, moment(f.SeenAt))
		case !f.Confirmed:
			say(w, "NOT CONFIRMED  %s %s, at #%d, last seen %s", f.Kind, f.Name, f.Rev, moment(f.SeenAt))
		}
	}
}

func (c *cli) resumeTool() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "resume SERVER[:TOOL]", Short: "End the suspension of a tool, or of all that an MCP server offers", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		server, tool, _ := strings.Cut(args[0], ":")
		got, err := cl.ResumeTool(cmd.Context(), api.ToolReason{Server: server, Tool: tool, Reason: reason})
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "resumed tool %s, log #%d", args[0], got.Rev) })
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

func (c *cli) resumeWorkspace() *cobra.Command {
	var reason string
	resume := &cobra.Command{Use: "resume", Short: "End a halt: agents act again", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.ResumeWorkspace(cmd.Context(), reason)
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "resumed the workspace, log #%d", got.Rev) })
	}}
	resume.Flags().StringVar(&reason, "reason", "", "why")
	return resume
}
