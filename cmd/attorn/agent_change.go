package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

// newAgentFlags are the flags that say what an agent is.
type newAgentFlags struct {
	api.NewAgent
	owner, expires string
	tags           []string
}

func (c *cli) createAgent() *cobra.Command {
	var f newAgentFlags
	create := &cobra.Command{
		Use: "create NAME", Short: "Register an agent that you own", Args: exactly(1),
		Example: "  attorn agent create release-bot --description 'cuts releases' --expires 90d\n  attorn agent create release-bot --propose",
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := f.complete(args[0])
			if err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			if f.owner != "" {
				owner, err := c.person(cmd.Context(), cl, f.owner)
				if err != nil {
					return err
				}
				n.Owner = owner.ID
			}
			a, err := cl.CreateAgent(cmd.Context(), n)
			if err != nil {
				return err
			}
			return c.show(a, a.ID.String(), func(w io.Writer) {
				if a.Status == "pending" {
					say(w, "proposed %s (%s), owned by %s; it waits for approval", a.Name, a.ID, a.Owner)
					return
				}
				say(w, "registered %s (%s), owned by %s", a.Name, a.ID, a.Owner)
			})
		},
	}
	create.Flags().StringVar(&f.Description, "description", "", "what it is for")
	create.Flags().StringVar(&f.owner, "owner", "", "who is accountable for it (default: you); somebody else takes attorn:owner:assign")
	create.Flags().StringVar(&f.Framework, "framework", "", "what it is built with, as information")
	create.Flags().StringVar(&f.Model, "model", "", "the model it uses, as information")
	create.Flags().StringArrayVar(&f.tags, "tag", nil, "NAME=VALUE, for policies to read; takes attorn:agent:tag")
	create.Flags().StringVar(&f.expires, "expires", "", "when it ends for ever: a time, a date, or from now: 90d, 12h")
	create.Flags().BoolVar(&f.Propose, "propose", false, "only propose it: somebody with attorn:agent:approve lets it act")
	return create
}

// complete reads the flags.
func (f *newAgentFlags) complete(name string) (api.NewAgent, error) {
	n := f.NewAgent
	n.Name = name
	var err error
	if n.Tags, err = readTags(f.tags); err != nil {
		return n, usageError{err}
	}
	if f.expires != "" {
		if n.Expires, err = readEnd(f.expires, time.Now()); err != nil {
			return n, usageError{err}
		}
	}
	return n, nil
}

// readTags reads NAME=VALUE, each name once.
func readTags(texts []string) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range texts {
		name, value, ok := strings.Cut(t, "=")
		if _, twice := tags[name]; twice || !ok || name == "" || value == "" {
			return nil, fmt.Errorf("a tag is NAME=VALUE, each name once: not %q", t)
		}
		tags[name] = value
	}
	if len(tags) == 0 {
		return nil, nil
	}
	return tags, nil
}

// readEnd reads when something ends: RFC 3339, a date (its first moment, in UTC), or how long from now.
func readEnd(text string, now time.Time) (string, error) {
	if t, err := readInstant(text); err == nil {
		return t, nil
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok && err != nil {
		var n float64
		if n, err = strconv.ParseFloat(days, 64); err == nil && n <= maxDays {
			d = time.Duration(n * 24 * float64(time.Hour))
		} else if err == nil {
			return "", fmt.Errorf("an end is within %d days from now, or never: not %q", maxDays, text)
		}
	}
	if err != nil || d <= 0 {
		return "", fmt.Errorf("an end is a time like 2027-01-31T12:00:00Z, a date, or how long from now like 90d or 12h: not %q", text)
	}
	return now.Add(d).UTC().Format(time.RFC3339), nil
}

// maxDays is how far off an end given in days may be: a hundred years.
const maxDays = 36525

// readInstant reads RFC 3339, or a date: its first moment, in UTC.
func readInstant(text string) (string, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC().Format(time.RFC3339), nil
		}
	}
	return "", fmt.Errorf("a time is like 2027-01-31T12:00:00Z, a date like 2027-01-31: not %q", text)
}

// onAgent is a command about one agent.
func (c *cli) onAgent(cmd *cobra.Command, text string, do func(*attorn.Client, api.Agent) error) error {
	cl, _, err := c.client(cmd.Context())
	if err != nil {
		return err
	}
	a, err := cl.Agent(cmd.Context(), text)
	if err != nil {
		return err
	}
	return do(cl, a)
}

func (c *cli) setAgent() *cobra.Command {
	var description, framework, model, expires string
	set := &cobra.Command{
		Use: "set AGENT", Short: "Change what is said about an agent, or when it ends", Args: exactly(1),
		Example: "  attorn agent set release-bot --description 'cuts and announces releases' --expires never",
		RunE: func(cmd *cobra.Command, args []string) error {
			var ch api.AgentChange
			given := 0
			for name, to := range map[string]struct {
				to   **string
				from *string
			}{"description": {&ch.Description, &description}, "framework": {&ch.Framework, &framework}, "model": {&ch.Model, &model}, "expires": {&ch.Expires, &expires}} {
				if cmd.Flags().Changed(name) {
					*to.to = to.from
					given++
				}
			}
			if given == 0 {
				return usageError{fmt.Errorf("attorn agent set takes what is to change: --description, --framework, --model or --expires")}
			}
			if ch.Expires != nil && expires != "never" {
				var err error
				if expires, err = readEnd(expires, time.Now()); err != nil {
					return usageError{err}
				}
			}
			return c.changeAgent(cmd, args[0], ch)
		},
	}
	set.Flags().StringVar(&description, "description", "", "what it is for")
	set.Flags().StringVar(&framework, "framework", "", "what it is built with")
	set.Flags().StringVar(&model, "model", "", "the model it uses")
	set.Flags().StringVar(&expires, "expires", "", "when it ends for ever: a time, a date, from now (90d, 12h), or never")
	return set
}

func (c *cli) changeAgent(cmd *cobra.Command, agent string, ch api.AgentChange) error {
	return c.onAgent(cmd, agent, func(cl *attorn.Client, a api.Agent) error {
		after, err := cl.ChangeAgent(cmd.Context(), a.ID, ch)
		if err != nil {
			return err
		}
		return c.showOne(after)
	})
}

func (c *cli) tagAgent() *cobra.Command {
	return &cobra.Command{
		Use: "tag AGENT NAME=VALUE...", Short: "Set tags of an agent, which policies can read", Args: between(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tags, err := readTags(args[1:])
			if err != nil {
				return usageError{err}
			}
			return c.changeAgent(cmd, args[0], api.AgentChange{Tags: tags})
		},
	}
}

func (c *cli) untagAgent() *cobra.Command {
	return &cobra.Command{Use: "untag AGENT NAME...", Short: "Remove tags of an agent", Args: between(2, -1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.changeAgent(cmd, args[0], api.AgentChange{Untag: args[1:]})
	}}
}

func (c *cli) ownAgent() *cobra.Command {
	var assign bool
	own := &cobra.Command{
		Use: "owner AGENT USER", Short: "Hand an agent over: offer it, accept it (USER is me), or take the offer back (USER is its owner)", Args: exactly(2),
		Example: "  attorn agent owner release-bot 'Maya Chen'      # its owner offers it\n  attorn agent owner release-bot me               # Maya accepts\n" +
			"  attorn agent owner release-bot me --assign      # an administrator takes it, whoever owns it",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.onAgent(cmd, args[0], func(cl *attorn.Client, a api.Agent) error {
				to, err := c.person(cmd.Context(), cl, args[1])
				if err != nil {
					return err
				}
				after, err := cl.HandOver(cmd.Context(), a.ID, api.NewOwner{Owner: to.ID, Assign: assign})
				if err != nil {
					return err
				}
				return c.show(after, after.ID.String(), func(w io.Writer) {
					switch {
					case after.Owner == to.ID && !after.Offered.IsZero(), after.Owner != to.ID:
						say(w, "offered %s (%s) to %s, who accepts with: attorn agent owner %s me", after.Name, after.ID, to, after.Name)
					case a.Owner == to.ID:
						say(w, "%s (%s) is offered to nobody; its owner is %s", after.Name, after.ID, after.Owner)
					default:
						say(w, "%s (%s) is owned by %s now", after.Name, after.ID, after.Owner)
					}
				})
			})
		},
	}
	own.Flags().BoolVar(&assign, "assign", false, "at once, without asking the new owner; takes attorn:owner:assign")
	return own
}

func (c *cli) approveAgent() *cobra.Command {
	var reason string
	approve := &cobra.Command{Use: "approve AGENT", Short: "Let a proposed agent act", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.onAgent(cmd, args[0], func(cl *attorn.Client, a api.Agent) error {
			after, err := cl.ApproveAgent(cmd.Context(), a.ID, reason)
			if err != nil {
				return err
			}
			return c.show(after, after.ID.String(), func(w io.Writer) { say(w, "approved %s (%s)", after.Name, after.ID) })
		})
	}}
	approve.Flags().StringVar(&reason, "reason", "", "why")
	return approve
}
