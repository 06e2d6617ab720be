package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/cmd/attorn/internal/term"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

// thresholds are how many answers may change before a replay fails; -1 is any number.
type thresholds struct{ permitted, denied, asking int }

func (t *thresholds) flags(cmd *cobra.Command, preset int) {
	cmd.Flags().IntVar(&t.permitted, "max-newly-permitted", preset, "how many may be newly permitted; -1 is any number")
	cmd.Flags().IntVar(&t.denied, "max-newly-denied", preset, "how many may be newly denied; -1 is any number")
	cmd.Flags().IntVar(&t.asking, "max-newly-asking", preset, "how many may newly wait for people; -1 is any number")
}

// over says which threshold a replay is over; "" for none.
func (t thresholds) over(o policy.Outlook) string {
	var all []string
	for _, x := range []struct {
		n, most int
		what    string
	}{{o.Permitted, t.permitted, "newly permitted"}, {o.Denied, t.denied, "newly denied"}, {o.Asking, t.asking, "newly asking"}} {
		if x.most >= 0 && x.n > x.most {
			all = append(all, fmt.Sprintf("%d %s, at most %d may be", x.n, x.what, x.most))
		}
	}
	return strings.Join(all, "; ")
}

func (c *cli) policyReplayCommand() *cobra.Command {
	var since, candidate string
	var days int
	var most thresholds
	replay := &cobra.Command{
		Use: "replay [DIR|BUNDLE]", Short: "Decide again, by a candidate, what was really asked; exit 1 if more answers change than may",
		Args: between(0, 1), RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && candidate != "" {
				return usageError{fmt.Errorf("the candidate is given twice")}
			}
			in, err := toReplay(slices.Concat(args, []string{candidate, "live"})[0], since, days)
			if err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := c.replay(cmd.Context(), cl, in)
			if err != nil {
				return err
			}
			if err := c.show(got, got.Started.Replay.String(), func(w io.Writer) { outlookRows(w, got) }); err != nil {
				return err
			}
			if over := most.over(got.Outlook); over != "" {
				return fault.New(fault.Conflict, "flips", "more answers would change than may: %s", over).Try("look at the examples: attorn why EVENT; allow more with --max-newly-…")
			}
			return nil
		},
	}
	replay.Flags().StringVar(&since, "since", "", "how far back: 30d, 12h; or a time (RFC 3339)")
	replay.Flags().IntVar(&days, "days", 7, "how many days back")
	replay.Flags().StringVar(&candidate, "candidate", "", "the directory, or the bundle that was published; else the live one, which changes nothing")
	most.flags(replay, -1)
	return replay
}

// toReplay reads what is to be replayed: a directory, or else a bundle.
func toReplay(what, since string, days int) (in api.Replay, err error) {
	from, err := longAgo(since, days)
	if err != nil {
		return in, err
	}
	in.Since = from.UTC().Format(time.RFC3339)
	if what == "" {
		what = "live"
	}
	if isDir(what) {
		in.Files, err = readCandidate(what)
		return in, err
	}
	in.Bundle = what
	return in, nil
}

// longAgo reads a time, or how long ago it was.
func longAgo(text string, days int) (time.Time, error) {
	now := time.Now()
	if text == "" {
		if days < 1 {
			return now, usageError{fmt.Errorf("--days is a number from 1 on")}
		}
		return now.AddDate(0, 0, -days), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if n, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(n); err == nil && n > 0 && n < 100_000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return now, usageError{fmt.Errorf("--since is how long ago, as 30d or 12h, or a time as 2026-11-23T09:00:00Z, not %q", text)}
}

// replay runs one with a bar that says how far it is.
func (c *cli) replay(ctx context.Context, cl *attorn.Client, in api.Replay) (api.Replayed, error) {
	p := term.Progress{W: c.talk, What: "entries of the log"}
	defer p.End()
	return cl.Replay(ctx, in, func(started api.ReplayStarted, done int64) {
		p.Total = int(started.Total)
		p.At(int(done))
	})
}

func outlookRows(w io.Writer, got api.Replayed) {
	o := got.Outlook
	say(w, "%s: %d newly permitted, %d newly denied, %d newly asking", count(o.Events, "decision"), o.Permitted, o.Denied, o.Asking)
	if o.Elsewhere > 0 {
		say(w, "%d were refused for what no policy changes", o.Elsewhere)
	}
	if o.Lacking > 0 {
		say(w, "%d could not be decided again, since a value was erased or too large to be kept: %s", o.Lacking, numbers(o.Lacks))
	}
	if o.Unexplained > 0 {
		say(w, "%d are recorded otherwise than even the policies of then decide now: %s", o.Unexplained, numbers(o.Odd))
	}
	flipRows(w, o)
	say(w, "replay %s", got.Started.Replay)
}

func flipRows(w io.Writer, o policy.Outlook) {
	if len(o.Flips) == 0 {
		return
	}
	row(w, "COUNT", "WOULD BE", "WAS", "WHO", "ACTION", "BY", "LOG")
	for _, f := range o.Flips {
		by := strings.Join(f.Reasons, ", ")
		if f.Code != "" {
			by = strings.TrimSuffix(f.Code+": "+by, ": ")
		}
		row(w, strconv.Itoa(f.Count), strings.ReplaceAll(f.Kind, "_", " "), string(f.Was), f.Actor, f.Action, by, numbers(f.Examples))
	}
	if o.Ungrouped > 0 {
		say(w, "and %d more, in groups that are not told", o.Ungrouped)
	}
}

func numbers(events []int64) string {
	var all []string
	for _, e := range events {
		all = append(all, fmt.Sprintf("#%d", e))
	}
	return strings.Join(all, " ")
}

func (c *cli) policyDiffCommand() *cobra.Command {
	var since string
	var days int
	diff := &cobra.Command{
		Use: "diff [DIR|BUNDLE]", Short: "Say what a directory or a bundle has otherwise than the live policies, and which real calls would change", Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := toReplay(slices.Concat(args, []string{"previous"})[0], since, days)
			if err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			got, err := c.replay(cmd.Context(), cl, in)
			if err != nil {
				return err
			}
			return c.show(got, got.Started.Candidate.String(), func(w io.Writer) {
				differenceRows(w, got.Started)
				outlookRows(w, got)
			})
		},
	}
	diff.Flags().StringVar(&since, "since", "", "which calls: since how long ago, as 30d or 12h; or a time (RFC 3339)")
	diff.Flags().IntVar(&days, "days", 7, "which calls: of how many days")
	return diff
}

func differenceRows(w io.Writer, s api.ReplayStarted) {
	d := s.Difference
	if len(d.Files) == 0 {
		say(w, "bundle %s is the live one", s.Candidate)
		return
	}
	say(w, "bundle %s beside the live %s", s.Candidate, s.Live)
	for _, f := range d.Files {
		row(w, f.How, "file", f.Path)
	}
	for _, p := range d.Policies {
		row(w, p.How, p.Effect, p.ID, fmt.Sprintf("%s:%d", p.File, p.Line))
	}
	if len(d.Roles) > 0 {
		say(w, "about who holds: %s", strings.Join(d.Roles, ", "))
	}
	if len(d.Policies) == 0 && len(d.Roles) == 0 {
		say(w, "no policy says something else")
	}
}
