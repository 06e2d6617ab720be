package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func (c *cli) publishCommand() *cobra.Command {
	in := api.Publish{}
	var base, accept string
	var yes bool
	var days int
	var most thresholds
	publish := &cobra.Command{Use: "publish DIR", Short: "Make the directory's policies the live ones, signed with your key", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) (err error) {
		if in.Files, err = readCandidate(args[0]); err != nil {
			return err
		}
		if in.Base, err = digestFlag("base", base); err != nil {
			return err
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		switch {
		case accept != "":
			if in.Replay, err = id.Parse[id.Event](accept); err != nil {
				return usageError{fmt.Errorf("--accept takes the number of a replay: %w", err)}
			}
		case !yes:
			if err := c.foresee(cmd.Context(), cl, &in, days, most); err != nil {
				return err
			}
		}
		p, err := cl.Publish(cmd.Context(), in)
		if err != nil {
			return err
		}
		for _, problem := range p.Problems {
			fmt.Fprintln(c.talk, line(problem))
		}
		return c.show(p, p.Digest.String(), func(w io.Writer) {
			say(w, "published %s, bundle %s", count(len(in.Files), "file"), p.Digest)
			say(w, "Undo: attorn policy rollback %s", brief(p.Base))
		})
	}}
	publish.Flags().StringVarP(&in.Message, "message", "m", "", "why, in one line")
	publish.Flags().StringVar(&accept, "accept", "", "publish what this replay was of, whatever it said would change")
	publish.Flags().BoolVarP(&yes, "yes", "y", false, "publish without looking what would change")
	publish.Flags().IntVar(&days, "days", 7, "look at what was asked in so many days")
	most.flags(publish, 0)
	publish.Flags().StringVar(&base, "base", "", "the bundle that must be live, by its digest: what somebody published since is not overwritten")
	return publish
}

// foresee replays what is to be published and says what would change. More than may change takes somebody's word for this very replay. From then on the bundle that is
// live now has to be, or another replay is needed. Who may not replay publishes unforeseen.
func (c *cli) foresee(ctx context.Context, cl *attorn.Client, in *api.Publish, days int, most thresholds) error {
	from, err := longAgo("", days)
	if err != nil {
		return err
	}
	got, err := c.replay(ctx, cl, api.Replay{Files: in.Files, Since: from.UTC().Format(time.RFC3339)})
	if fault.Code(err) == "no_permit" {
		say(c.talk, "you may not replay: nobody has looked what would change")
		return nil
	}
	if err != nil {
		return err
	}
	in.Replay = got.Started.Replay
	w := tabwriter.NewWriter(c.talk, 0, 4, 2, ' ', 0)
	differenceRows(w, got.Started)
	outlookRows(w, got)
	if err := w.Flush(); err != nil {
		return err
	}
	over := most.over(got.Outlook)
	if over == "" {
		return nil
	}
	err = c.sure("Answers would change: "+over+".   Go on?", "--accept "+got.Started.Replay.String())
	if u := (usageError{}); errors.As(err, &u) { // nobody to ask
		err = fault.New(fault.Conflict, "flips", "not published, since answers would change: %s", over).Try("attorn policy publish DIR --accept %s", got.Started.Replay)
	}
	return err
}

// readCandidate reads a directory that is to be published, or tried as if it were.
func readCandidate(path string) ([]api.PolicyFile, error) {
	dir, err := readBundle(path)
	if err != nil {
		return nil, err
	}
	return dir.posted(), dir.refuse()
}

// brief names a bundle on a command line, by as much of its digest as nobody mistakes.
func brief(d id.Digest) string {
	text := fmt.Sprintf("%.12s", d)
	if strings.HasPrefix(text, "-") { // else it would pass for a flag
		text = "-- " + text
	}
	return text
}

func digestFlag(name, text string) (id.Digest, error) {
	if text == "" {
		return id.Digest{}, nil
	}
	d, err := id.ParseDigest(text)
	if err != nil {
		err = usageError{fmt.Errorf("--%s takes the whole digest of a bundle: %w", name, err)}
	}
	return d, err
}

func (c *cli) rollbackCommand() *cobra.Command {
	in := api.Rollback{}
	var previous bool
	rollback := &cobra.Command{Use: "rollback BUNDLE", Short: "Make a bundle that was published before the live one again, signed with your key", Args: between(0, 1), RunE: func(cmd *cobra.Command, args []string) error {
		switch {
		case previous && len(args) == 0:
			in.Bundle = "previous"
		case !previous && len(args) == 1:
			in.Bundle = args[0]
		default:
			return usageError{fmt.Errorf("rollback takes a BUNDLE, by the first letters of its digest, or -1 for the one that was live before")}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		p, err := cl.Rollback(cmd.Context(), in)
		if err != nil {
			return err
		}
		return c.show(p, p.Digest.String(), func(w io.Writer) {
			say(w, "live again: bundle %s", p.Digest)
			say(w, "Undo: attorn policy rollback %s", brief(p.Base))
		})
	}}
	rollback.Flags().BoolVarP(&previous, "previous", "1", false, "the one that was live before this one")
	rollback.Flags().StringVarP(&in.Message, "message", "m", "", "why, in one line")
	return rollback
}

func (c *cli) policyLogCommand() *cobra.Command {
	most := 0
	log := &cobra.Command{Use: "log", Short: "List who made which policies the live ones, newest first", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := atMost(most, func(p attorn.Page) (api.List[api.Publication], error) { return cl.PolicyLog(cmd.Context(), p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(p api.Publication) string { return p.Bundle.String() }), func(w io.Writer) {
			row(w, "BUNDLE", "WHEN", "WHO", "HOW", "LOG", "WHY")
			for _, p := range all.Items {
				row(w, fmt.Sprintf("%.12s", p.Bundle), moment(p.At), publisher(p), how(p), fmt.Sprintf("#%d", p.Rev), p.Message)
			}
		})
	}}
	log.Flags().IntVar(&most, "limit", 50, "how many at most; 0 is all")
	return log
}

func publisher(p api.Publication) string {
	if p.Name != "" {
		return p.Name
	}
	return p.By
}

// how says by which act a bundle became the live one, and which one is.
func how(p api.Publication) string {
	words := strings.TrimPrefix(p.Act, "attorn:policy:")
	if p.Live {
		words += ", live"
	}
	return words
}

func (c *cli) policyShowCommand() *cobra.Command {
	return &cobra.Command{Use: "show [BUNDLE] [FILE]", Short: "Print the live policies, or those of a bundle that was published: all, or one file", Args: between(0, 2), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		bundle := "live"
		if len(args) > 0 {
			bundle = args[0]
		}
		b, err := cl.Bundle(cmd.Context(), bundle)
		if err != nil {
			return err
		}
		if len(args) == 2 {
			return c.showFile(b, args[1])
		}
		return c.show(b, b.Digest.String(), func(w io.Writer) {
			fmt.Fprintf(w, "// bundle %s\n", b.Digest)
			for _, f := range b.Files {
				fmt.Fprintf(w, "\n// %s\n%s", line(f.Path), text(f.Text))
			}
		})
	}}
}

func (c *cli) showFile(b api.Bundle, path string) error {
	for _, f := range b.Files {
		if f.Path == path {
			return c.show(f, f.Path, func(w io.Writer) { fmt.Fprint(w, text(f.Text)) })
		}
	}
	return fault.New(fault.NotFound, "not_found", "the bundle %s has no file %s", b.Digest, path).Try("see which it has: attorn policy show %.12s", b.Digest)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
