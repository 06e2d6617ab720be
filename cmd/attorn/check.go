package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

func (c *cli) checkCommand() *cobra.Command {
	var args, attributes []string
	cmd := &cobra.Command{
		Use: "check SUBJECT ACTION RESOURCE", Short: "Ask whether somebody may do something with an object of a service's own", Args: exactly(3),
		Long: "Ask whether somebody may do something with an object of a service's own, and have the answer recorded.\n\n" +
			"SUBJECT is a person or an agent by name or id, or TYPE:ID as the service calls them; RESOURCE is TYPE:ID. It ends with 0 for a permit and with 3 for anything else.",
		Example: "  attorn check 'Ann Lee' write repo:acme/api --arg branch=main\n  attorn check user:alice read record:record-1 -o json",
		RunE: func(cmd *cobra.Command, a []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			in := api.Evaluation{Action: &api.EntityVerb{Name: a[1]}}
			if in.Subject, err = c.asked(cmd.Context(), cl, a[0]); err != nil {
				return err
			}
			of, object, ok := strings.Cut(a[2], ":")
			if !ok || of == "" || object == "" {
				return usageError{fmt.Errorf("RESOURCE is TYPE:ID, not %q", a[2])}
			}
			in.Resource = &api.Entity{Type: of, ID: object}
			if in.Action.Properties, err = properties("--arg", args); err != nil {
				return err
			}
			if in.Resource.Properties, err = properties("--attr", attributes); err != nil {
				return err
			}
			d, err := cl.Authorize(cmd.Context(), in)
			if err != nil {
				return err
			}
			word := "permit"
			if !d.Decision {
				word = "deny"
			}
			if err := c.show(d, word, func(w io.Writer) { showDecision(w, d) }); err != nil || d.Decision {
				return err
			}
			return denied(d)
		},
	}
	cmd.Flags().StringArrayVar(&args, "arg", nil, "what the action is told, as NAME=VALUE; a value in JSON is read as that")
	cmd.Flags().StringArrayVar(&attributes, "attr", nil, "an attribute of the object, as NAME=VALUE, where attorn does not keep it")
	return cmd
}

// asked reads who a question is about.
func (c *cli) asked(ctx context.Context, cl *attorn.Client, text string) (*api.Entity, error) {
	if of, name, ok := strings.Cut(text, ":"); ok && of != "" && name != "" {
		return &api.Entity{Type: of, ID: name}, nil
	}
	sub, _, err := c.principal(ctx, cl, text)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(sub, "agt_") {
		return &api.Entity{Type: policy.TypeAgent, ID: sub}, nil
	}
	return &api.Entity{Type: policy.TypeUser, ID: sub}, nil
}

// properties reads NAME=VALUE into an object; nothing is none.
func properties(flag string, given []string) (jsontext.Value, error) {
	if len(given) == 0 {
		return nil, nil
	}
	all := map[string]jsontext.Value{}
	for _, g := range given {
		name, text, ok := strings.Cut(g, "=")
		if _, again := all[name]; !ok || name == "" || again {
			return nil, usageError{fmt.Errorf("%s is NAME=VALUE, each name once; not %q", flag, g)}
		}
		v := jsontext.Value(text)
		if !v.IsValid() || v.Kind() == 'n' {
			var err error
			if v, err = jsontext.AppendQuote(nil, text); err != nil {
				return nil, usageError{fmt.Errorf("%s %s is no text in UTF-8", flag, name)}
			}
		}
		all[name] = v
	}
	return json.Marshal(all, json.Deterministic(true))
}

func showDecision(w io.Writer, d api.Decision) {
	if d.Decision {
		say(w, "permit")
		return
	}
	if d.Context == nil || d.Context.Attorn == nil {
		say(w, "deny")
		return
	}
	a := d.Context.Attorn
	say(w, "%s", a.Outcome)
	row(w, "by", strings.Join(a.Reasons, " "))
	for _, g := range a.Approvals {
		row(w, "asks", g.Gate, g.Flow)
	}
	row(w, "event", a.Event.String())
}

// denied is a decision that does not permit as the command's error.
func denied(d api.Decision) error {
	if d.Context == nil || d.Context.Attorn == nil {
		return fault.New(fault.Denied, "forbidden", "it is not permitted")
	}
	a := d.Context.Attorn
	code, remedy := a.Code, cmp.Or(a.Remedy, "attorn why "+a.Event.String())
	if code == "" {
		code, remedy = "approval_needed", "have it done through attorn, which asks the people who approve it"
	}
	return fault.New(fault.Denied, code, "%s", cmp.Or(a.Message, "it is not permitted")).Try("%s", remedy)
}
