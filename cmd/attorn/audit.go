package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

func (c *cli) auditCommand() *cobra.Command {
	var q attorn.EventQuery
	tail := &cobra.Command{Use: "tail", Short: "List the newest events", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.Events(cmd.Context(), q)
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(e api.Event) string { return e.ID.String() }), func(w io.Writer) {
			row(w, "REV", "EVENT", "KIND", "OUTCOME", "WHO", "WHAT")
			for _, x := range all.Items {
				var e evidence.Event
				if err := jose.DecodeForeign(x.Body, &e, jose.Limits{Bytes: evidence.MaxEvent}); err != nil {
					row(w, fmt.Sprint(x.Rev), x.ID.String(), "unreadable")
					continue
				}
				row(w, fmt.Sprint(x.Rev), x.ID.String(), string(e.Kind), string(e.Outcome), e.Who.Sub, whatOf(e))
			}
		})
	}}
	tail.Flags().IntVarP(&q.Limit, "number", "n", 20, "how many")
	tail.Flags().StringVar(&q.Kind, "kind", "", "only this kind, such as tool.started")
	tail.Flags().StringVar(&q.Target, "target", "", "only about this")
	tail.Flags().BoolVar(&q.Refused, "refused", false, "only what was refused or had to wait")
	var file string
	pack := &cobra.Command{Use: "pack EVENT", Short: "Write the evidence about an event to a file that verifies offline", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		e, err := parseEvent(args[0])
		if err != nil {
			return err
		}
		if file == "" {
			file = e.String() + ".zip"
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		data, err := cl.Pack(cmd.Context(), e)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return err
		}
		return c.show(map[string]any{"file": file, "bytes": len(data)}, file, func(w io.Writer) { say(w, "wrote %s, %d bytes", file, len(data)) })
	}}
	pack.Flags().StringVarP(&file, "file", "f", "", "where to (default EVENT.zip)")
	trust := &cobra.Command{Use: "trust", Short: "Print the trust policy by which this server's evidence is verified; keep it", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		trust, err := cl.Trust(cmd.Context())
		if err != nil {
			return err
		}
		if _, err := evidence.ParseTrust(trust); err != nil {
			return err
		}
		_, err = io.WriteString(c.out, text(string(trust)))
		return err
	}}
	return noun("audit", "The log and its evidence", tail, pack, trust, c.auditVerify())
}

func (c *cli) auditVerify() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use: "verify", Short: "Read the whole log, and hold it to its signed checkpoint and to one that was kept earlier", Args: exactly(0),
		Long: "Read the workspace's whole log from the server, and hold it to its signed checkpoint: each entry is in its place and in the tree, and each\n" +
			"call that finished had started. Keep what -o json prints: with --since, a later run shows that nothing before it was changed or taken away.",
		Example: "  attorn audit verify -o json > head.json\n  attorn audit verify --since head.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			old, err := readHead(since)
			if err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			head, err := cl.Head(cmd.Context())
			if err != nil {
				return err
			}
			bodies, err := wholeLog(cmd.Context(), cl, head)
			if err != nil {
				return err
			}
			sum, err := checkLog(head, bodies)
			if err == nil && old.Checkpoint != "" {
				err = extends(head, old, bodies)
			}
			if err != nil {
				say(c.out, "FAIL  %v (%s)", err, fault.Code(err))
				return quiet{exitUnverified}
			}
			return c.show(head, head.Origin, func(w io.Writer) {
				say(w, "ok: the %d entries of %s are what its checkpoint signs; of %d calls that started, %d finished", sum.Size, head.Origin, sum.Started, sum.Finished)
				if n := len(head.Earlier); n > 0 {
					say(w, "the log was closed %s, each time for the next one", map[bool]string{true: "once", false: fmt.Sprintf("%d times", n)}[n == 1])
				}
				if old.Checkpoint != "" {
					say(w, "they begin with those of the head in %s", since)
				}
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "file with what -o json printed earlier")
	return cmd
}

// readHead reads a head that was kept; no file is none.
func readHead(file string) (h api.Head, err error) {
	if file == "" {
		return h, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return h, err
	}
	if err := jose.DecodeForeign(raw, &h, jose.Limits{}); err != nil || h.Checkpoint == "" {
		return h, fault.New(fault.Invalid, "malformed", "%s is no head of a log", file).Try("keep one with: attorn audit verify -o json > %s", file)
	}
	return h, nil
}

// wholeLog reads the bodies of the entries that a head counts, the first one first.
func wholeLog(ctx context.Context, cl *attorn.Client, head api.Head) ([][]byte, error) {
	bodies := [][]byte{}
	q := attorn.EventQuery{Page: attorn.Page{After: strconv.FormatInt(head.Rev, 10), Limit: 200}}
	for {
		all, err := cl.Events(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range all.Items {
			bodies = append(bodies, e.Body)
		}
		if q.After = all.Next; q.After == "" || int64(len(bodies)) >= head.Rev {
			slices.Reverse(bodies)
			return bodies, nil
		}
	}
}

// shardsOf are the shards of a head, the oldest first.
func shardsOf(h api.Head) []api.Shard { return append(slices.Clone(h.Earlier), h.Shard) }

func openShard(s api.Shard) (evidence.ShardHead, evidence.Checkpoint, error) {
	key, err := evidence.ParseVKey(s.VKey)
	if err != nil {
		return evidence.ShardHead{}, evidence.Checkpoint{}, err
	}
	c, err := evidence.OpenCheckpoint([]byte(s.Checkpoint), key)
	return evidence.ShardHead{Key: key, Base: s.Rev - c.Size, Signed: []byte(s.Checkpoint)}, c, err
}

// checkLog holds a whole log to its head.
func checkLog(h api.Head, bodies [][]byte) (evidence.LogSummary, error) {
	var shards []evidence.ShardHead
	for _, s := range shardsOf(h) {
		head, _, err := openShard(s)
		if err != nil {
			return evidence.LogSummary{}, err
		}
		shards = append(shards, head)
	}
	if shards[0].Base != 0 {
		return evidence.LogSummary{}, fault.New(fault.Denied, "history_broken", "the log begins at #%d: what came before is missing", shards[0].Base)
	}
	return evidence.CheckHistory(stored(bodies), shards)
}

func stored(bodies [][]byte) iter.Seq[evidence.Stored] {
	return func(yield func(evidence.Stored) bool) {
		for _, b := range bodies {
			if !yield(evidence.Stored{Leaf: sha256.Sum256(append([]byte{0}, b...)), Body: b}) { // RFC 6962 §2.1
				return
			}
		}
	}
}

// extends holds a log to a head that was kept: of its shard then, the log has the same beginning now.
func extends(h, old api.Head, bodies [][]byte) error {
	kept, c, err := openShard(old.Shard)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(shardsOf(h), func(s api.Shard) bool { return s.Origin == old.Origin })
	if i < 0 {
		return fault.New(fault.Conflict, "wrong_log", "the head that was kept is of %s, which is no part of %s", old.Origin, h.Origin)
	}
	now, size, err := openShard(shardsOf(h)[i])
	switch {
	case err != nil:
		return err
	case old.VKey != now.Key.String():
		return fault.New(fault.Denied, "key_changed", "the key of %s is another than it was", old.Origin)
	case c.Size > size.Size || kept.Base != now.Base:
		return fault.New(fault.Denied, "not_consistent", "the log has %d entries, and had %d", now.Base+size.Size, kept.Base+c.Size)
	}
	_, err = evidence.CheckLog(stored(bodies[kept.Base:kept.Base+c.Size]), kept.Base, c)
	return err
}
