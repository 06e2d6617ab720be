package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

func (c *cli) policyExplain() *cobra.Command {
	var with string
	cmd := &cobra.Command{
		Use: "explain EVENT", Short: "Say how policy came to a decision, and what was nearest to a permit", Args: exactly(1),
		Long: "Say, for everybody on the chain of a decision, which policies applied, where they stand, and, where there was no permit, which was the nearest and what it fails at.\n" +
			"EVENT is an event's or a decision's id. It quotes policies, never arguments: these are in attorn why EVENT.",
		Example: "  attorn policy explain evt_…\n  attorn policy explain dec_… --with live\n  attorn policy explain evt_… --with ./policy",
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := parseEvent(args[0])
			if err != nil {
				return err
			}
			var files []api.PolicyFile
			info, isFile := os.Stat(with)
			isDir := isFile == nil && info.IsDir()
			if isDir {
				if files, err = candidateOf(with); err != nil {
					return err
				}
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			var x api.Explanation
			switch {
			case isDir:
				x, err = cl.ExplainWith(cmd.Context(), e, api.ExplainWith{Files: files})
			case with != "":
				x, err = cl.ExplainBy(cmd.Context(), e, with)
			default:
				x, err = cl.Explain(cmd.Context(), e)
			}
			if err != nil {
				return err
			}
			return c.show(x, cmp.Or(x.Outcome, "-"), func(w io.Writer) { fmt.Fprint(w, explainText(x)) })
		},
	}
	cmd.Flags().StringVar(&with, "with", "", "a directory, or a published bundle (live, previous or its digest): explain by these policies, not by those that decided")
	return cmd
}

// candidateOf is a directory of policies, as it would be published.
func candidateOf(dir string) ([]api.PolicyFile, error) {
	b, err := readBundle(dir)
	if err == nil {
		err = b.refuse()
	}
	return b.posted(), err
}

// simulationFile is what a simulation is read from.
type simulationFile struct {
	api.Simulation
	Bundle string `json:"bundle,omitempty"` // a directory, from the file's
}

func (c *cli) policySimulate() *cobra.Command {
	return &cobra.Command{
		Use: "simulate FILE|-", Short: "Say what policy would decide on a request that nobody makes", Args: exactly(1),
		Long: "Say what policy would decide on a request that is described in YAML or JSON, with the roles and groups that there are now:\n\n" +
			"  actor: deploy-bot            # an agent's name or id, or a person's id\n" +
			"  for: usr_…                   # in whose name (optional)\n" +
			"  call: tool:deploy:run        # or attorn:NOUN:VERB, with on: agent:agt_…\n" +
			"  args: { env: prod }\n" +
			"  facts: { acr: 3, age: 60, ip: 192.0.2.1, risk: 0, now: \"2026-11-24T09:00:00Z\", proof: dpop, origin: enrolled, task: T-1 }\n" +
			"  roles: { actor: [deployer], for: [release-manager] }   # beside those that they have\n" +
			"  bundle: ./policy             # instead of the live policies\n\n" +
			"Nothing is permitted or spent, and what was lent is not looked at. It exits with 0 for a permit, 3 for a denial, 4 where somebody is asked first.",
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := c.readSimulation(args[0])
			if err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			x, err := cl.Simulate(cmd.Context(), in)
			if err != nil {
				return err
			}
			if err := c.show(x, x.Outcome, func(w io.Writer) { fmt.Fprint(w, explainText(x)) }); err != nil {
				return err
			}
			switch x.Outcome {
			case string(policy.Permit):
				return nil
			case string(policy.Ask):
				c.complain("policy would ask first", "the gates above say whom, or for what")
				return quiet{exitWaiting}
			}
			c.complain(fmt.Sprintf("policy would deny this (%s)", x.Code), "see above what would have to be different, or give a role to ask again: attorn policy simulate --help")
			return quiet{exitDenied}
		},
	}
}

func (c *cli) readSimulation(name string) (api.Simulation, error) {
	var f simulationFile
	dir := "."
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(io.LimitReader(c.in, 1<<20+1))
	} else {
		dir = filepath.Dir(name)
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return f.Simulation, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if err := jose.Decode(text, &f, jose.Limits{Bytes: 1 << 20, Depth: 64, Values: 100_000}); err != nil {
			return f.Simulation, err
		}
	} else if problems := policy.DecodeYAML(name, text, &f); problems != nil {
		return f.Simulation, fault.New(fault.Invalid, "malformed", "%s", problems[0]).Try("attorn policy simulate --help")
	}
	if f.Bundle == "" {
		return f.Simulation, nil
	}
	if !filepath.IsAbs(f.Bundle) {
		f.Bundle = filepath.Join(dir, f.Bundle)
	}
	f.Files, err = candidateOf(f.Bundle)
	return f.Simulation, err
}

// explainText is an explanation as a tree. What comes from policies stays on its line.
func explainText(x api.Explanation) string {
	var b strings.Builder
	put := func(format string, args ...any) { b.WriteString(line(fmt.Sprintf(format, args...)) + "\n") }
	if x.Outcome != "" {
		put("%s  %s on %s", cmp.Or(outcomes[x.Outcome], strings.ToUpper(x.Outcome)), x.Action, x.Resource)
	}
	if e := x.Event; e != nil {
		put("  recorded %s  %s  %s at %s, log #%d", strings.TrimSpace(e.Outcome+" "+e.Code), e.Kind, e.ID, moment(e.At), e.Rev)
		if e.Reason != "" {
			put("  reason   %s", e.Reason)
		}
		if e.Other {
			put("  note     by other policies than those that decided then")
		}
		if x.Unasked != "" {
			put("  note     %s", x.Unasked)
			if e.Page != "" {
				put("  page     %s", e.Page)
			}
			return b.String()
		}
	}
	put("  bundle   %s", x.Bundle)
	if x.Code != "" {
		put("  code     %s", x.Code)
	}
	if x.Message != "" && (x.Event == nil || x.Message != x.Event.Reason) {
		put("  says     %s", x.Message)
	}
	for _, p := range x.Principals {
		who := p.Principal.String()
		if name := x.Names[p.Principal.ID]; name != "" {
			who = name + "  " + who
		}
		if !p.Permitted {
			who += "  has no permit"
		}
		put("  %s", who)
		for _, h := range p.Policies {
			heard(put, h)
		}
		if p.More > 0 {
			put("    and %d more", p.More)
		}
		for i, n := range p.Nearest {
			label := "nearest"
			if i > 0 {
				label = "near   "
			}
			put("    %s  %s  %s:%d:%d%s", label, n.ID, n.File, n.Line, n.Col, about(n.Source))
			put("      fails at %s:%d:%d  %s", n.File, n.First.Line, n.First.Col, n.First.Text)
			put("      %s%s", n.First.Words, others(n.Fails))
		}
	}
	return b.String()
}

func heard(put func(string, ...any), h policy.Heard) {
	state := ""
	switch {
	case h.Erred:
		state = "  cannot be evaluated"
	case h.Lifted:
		state = "  lifted by " + h.Needs
	case h.Needs != "":
		state = "  needs " + h.Needs
	}
	put("    %-7s  %s  %s:%d:%d%s%s", h.Effect, h.ID, h.File, h.Line, h.Col, state, about(h.Source))
	if t := h.Trouble; t != nil {
		put("      at %s:%d:%d  %s", h.File, t.Line, t.Col, t.Text)
		put("      %s", t.Words)
	}
}

// about is what the author says of a policy.
func about(s policy.Source) string {
	if text := cmp.Or(s.Reason, s.Doc); text != "" {
		return "  " + text
	}
	return ""
}

func others(fails int) string {
	switch {
	case fails == 2:
		return " (another part of it fails too)"
	case fails > 2:
		return fmt.Sprintf(" (%d other parts of it fail too)", fails-1)
	}
	return ""
}
