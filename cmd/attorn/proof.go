package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// parseEvent reads an event's id, or a decision's, which shares its number.
func parseEvent(s string) (id.Event, error) {
	if d, err := id.Parse[id.Decision](s); err == nil {
		return id.EventOf(d), nil
	}
	e, err := id.Parse[id.Event](s)
	if err != nil {
		return e, usageError{err}
	}
	return e, nil
}

func (c *cli) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "why EVENT", Short: "Who did it, under whose authority, should it have been allowed, and what proves it", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := parseEvent(args[0])
			if err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			a, err := cl.Why(cmd.Context(), e)
			if err != nil {
				return err
			}
			return c.show(a, a.Event.String(), func(w io.Writer) {
				fmt.Fprint(w, whyText(a))
				if a.Policy != "" {
					say(c.talk, "Policy by policy: attorn policy explain %s", a.Event)
				}
			})
		},
	}
}

var outcomes = map[string]string{"permit": "PERMITTED", "deny": "DENIED", "ask": "WAITING"}

// whyText is the answer as a tree. What comes from elsewhere stays on its line.
func whyText(a api.Answer) string {
	var b strings.Builder
	put := func(format string, args ...any) { b.WriteString(line(fmt.Sprintf(format, args...)) + "\n") }
	word := cmp.Or(outcomes[a.Outcome], strings.ToUpper(a.Outcome))
	put("%s  %s      %s      log #%d", word, cmp.Or(a.Action, string(a.Kind)), moment(a.At), a.Rev)
	if a.Arguments != "" {
		put("  with     %s", a.Arguments)
	}
	if a.Reason != "" {
		put("  reason   %s", a.Reason)
	}
	for i, h := range a.Chain {
		pad := "  " + strings.Repeat("  ", i)
		who := h.Name + "  " + h.Sub
		if !h.Instance.IsZero() {
			who += "  instance " + h.Instance.Short()
		}
		if i > 0 {
			who = "└ " + who
		}
		put("%s%s", pad, who)
		if h.Lent != "" {
			put("%s    was lent %s", pad, h.Lent)
			put("%s    by %s", pad, h.By)
		}
	}
	if a.Sent != "" {
		put("  sent by  %s", a.Sent)
	}
	if a.Via != "" {
		put("  there    %s", a.Via)
	}
	if a.Policy != "" {
		put("  policy   %s", a.Policy)
	}
	for _, p := range a.Approved {
		put("  approved by %s", p)
	}
	if a.Report != nil {
		b.WriteString(a.Report.Tree())
	}
	return b.String()
}

func (c *cli) verifyCommand() *cobra.Command {
	var trust, audience, server string
	var kept keptIdentity
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Verify an evidence pack offline, with your own trust policy; or an agent's kept identity, offline too; or a signed object", Args: exactly(1),
		Example: "  attorn verify pack.zip --trust trust.policy\n  attorn verify bot.jws --keys jwks.json --server https://attorn.example.com --key THUMBPRINT --at 2026-11-23T17:00:00Z\n" +
			"  attorn verify note.jws --audience deploy-queue --server https://attorn.example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			given := 0
			for _, how := range []string{trust, audience, kept.keys} {
				if how != "" {
					given++
				}
			}
			if given > 1 {
				return usageError{fmt.Errorf("verify takes one of --trust, for an evidence pack, --keys, for a kept identity, and --audience, for a signed object")}
			}
			if kept.keys != "" {
				kept.server = server
				return c.verifyIdentity(args[0], kept)
			}
			if audience != "" {
				return c.openObject(cmd, args[0], audience, server)
			}
			if trust == "" {
				return usageError{fmt.Errorf("verify takes --trust FILE: your own copy of `attorn audit trust`, for what a pack says of itself proves nothing; or --keys or --audience")}
			}
			policy, err := os.ReadFile(trust)
			if err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			if info.Size() > 64<<20 {
				return fault.New(fault.TooLarge, "too_large", "%s has more than 64 MiB, so it is no evidence pack", args[0])
			}
			pack, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			r, err := evidence.Verify(pack, policy)
			if err != nil {
				return err
			}
			if err := c.show(r, string(r.Answers[0].Verdict), func(w io.Writer) {
				if r.OK() {
					fmt.Fprint(w, r.Tree())
				} else {
					fmt.Fprint(w, r.String())
				}
			}); err != nil {
				return err
			}
			switch {
			case r.OK():
				return nil
			case r.FirstFailure != nil && r.FirstFailure.Verdict == evidence.Fails:
				return quiet{exitUnverified}
			}
			c.complain("nothing in the pack is wrong, but it does not show everything", "attorn why EVENT, on the server, for what this kind of event can show")
			return quiet{exitError}
		},
	}
	cmd.Flags().StringVar(&trust, "trust", "", "your trust policy (attorn audit trust)")
	cmd.Flags().StringVar(&audience, "audience", "", "of a signed object: whom it must be for")
	cmd.Flags().StringVar(&kept.keys, "keys", "", "of a kept identity: file with the server's JWKS (SERVER/oauth/jwks), kept too")
	cmd.Flags().StringVar(&kept.key, "key", "", "of a kept identity: also whether this key, named by its thumbprint, could act")
	cmd.Flags().StringVar(&kept.at, "at", "", "with --key: when (default: when the identity was signed)")
	cmd.Flags().StringVar(&server, "server", "", "of a kept identity or a signed object: whose agents (default: the current account's)")
	return cmd
}
