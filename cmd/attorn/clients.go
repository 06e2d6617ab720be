package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

func (c *cli) clientCommand() *cobra.Command {
	var person string
	ls := &cobra.Command{Use: "ls", Short: "List the apps that people consented to", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.ConsentedApp], error) { return cl.Apps(cmd.Context(), "", person, p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(a api.ConsentedApp) string { return a.Client }), func(w io.Writer) {
			row(w, "CLIENT", "CALLS ITSELF", "PERSON", "AGENT", "CONSENTED", "MAY")
			for _, a := range all.Items {
				row(w, a.Client, a.Name, a.Person.String(), a.Agent.String(), a.Consented, mayText(a.Allow, a.Bearer))
			}
		})
	}}
	ls.Flags().StringVar(&person, "person", "", "only those of one person; me for your own")
	show := &cobra.Command{Use: "show CLIENT", Short: "Show what an app says of itself now, and what the workspace lets it do", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		a, err := cl.App(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(a, a.Client, func(w io.Writer) { showApp(w, a) })
	}}
	rm := &cobra.Command{Use: "rm APP", Short: "End an app that registered itself", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		app, err := id.Parse[id.App](args[0])
		if err != nil {
			return usageError{fmt.Errorf("only an app that registered itself (app_…) is removed; deny one with an address: attorn client deny %s", args[0])}
		}
		return c.ended(cmd, "removed", args[0], func(ctx context.Context, cl *attorn.Client) (api.Done, error) { return cl.RemoveApp(ctx, app) })
	}}
	invite := &cobra.Command{Use: "invite", Short: "Make a one-time token by which an app registers itself", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.InviteApp(cmd.Context())
		if err != nil {
			return err
		}
		fmt.Fprintf(c.talk, "  Give this to the app as its initial access token (RFC 7591); it is good once, for %s.\n", time.Duration(got.ExpiresIn)*time.Second)
		return c.show(got, got.Token, func(w io.Writer) { say(w, "%s", got.Token) })
	}}
	return noun("client", "Apps that people consent to, and what a workspace lets them do", ls, show, c.allowClient(), c.denyClient(), c.clientRuleCommand(), invite, rm)
}

func mayText(allow, bearer bool) string {
	switch {
	case !allow:
		return "nothing"
	case bearer:
		return "bearer tokens"
	}
	return "bound tokens"
}

func showApp(w io.Writer, a api.App) {
	row(w, "client", a.Client)
	if a.Problem != "" {
		row(w, "cannot be read", a.Problem)
	} else {
		row(w, "calls itself", a.Name)
		for _, r := range a.Redirects {
			row(w, "answers go to", r)
		}
		if len(a.Keys) == 0 {
			row(w, "proves itself", "by nothing: anybody can send its client_id")
		}
		for _, k := range a.Keys {
			row(w, "proves itself by", k.String())
		}
		row(w, "grants", strings.Join(a.Grants, " "))
	}
	row(w, "may have", mayText(a.Allow, a.Bearer))
	by := "no rule"
	if a.Rule != "" {
		by = "the rule " + a.Rule
	}
	row(w, "by", by)
}

func (c *cli) allowClient() *cobra.Command {
	r := api.ClientRule{Allow: true}
	cmd := &cobra.Command{
		Use: "allow CLIENT", Short: "Let people consent to an app, to all under an address (https://…/*), or to all (*)", Args: exactly(1),
		Example: "  attorn client allow https://app.example.com/client.json\n  attorn client allow --bearer 'https://app.example.com/*' --reason 'cannot do DPoP yet'",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.setClientRule(cmd, args[0], r) },
	}
	cmd.Flags().BoolVar(&r.Bearer, "bearer", false, "with tokens that are bound to no key: whoever holds one is the app")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; it is kept in the log")
	return cmd
}

func (c *cli) denyClient() *cobra.Command {
	var r api.ClientRule
	cmd := &cobra.Command{
		Use: "deny CLIENT", Short: "Stop an app, all under an address (https://…/*), or all (*)", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.setClientRule(cmd, args[0], r) },
	}
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; it is kept in the log")
	return cmd
}

func (c *cli) setClientRule(cmd *cobra.Command, client string, r api.ClientRule) error {
	r.Client = client
	what := "allowed"
	if !r.Allow {
		what = "denied"
	}
	return c.ended(cmd, what, client, func(ctx context.Context, cl *attorn.Client) (api.Done, error) { return cl.SetClientRule(ctx, r) })
}

// ended does one thing to a client, and says where that stands in the log.
func (c *cli) ended(cmd *cobra.Command, what, client string, do func(context.Context, *attorn.Client) (api.Done, error)) error {
	cl, _, err := c.client(cmd.Context())
	if err != nil {
		return err
	}
	got, err := do(cmd.Context(), cl)
	if err != nil {
		return err
	}
	return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "%s %s, log #%d", what, client, got.Rev) })
}

func (c *cli) clientRuleCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls", Short: "List the rules about apps; the most particular one decides", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.ClientRule], error) { return cl.ClientRules(cmd.Context(), p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(r api.ClientRule) string { return r.Client }), func(w io.Writer) {
			row(w, "CLIENT", "MAY HAVE", "BY", "REASON")
			for _, r := range all.Items {
				row(w, r.Client, mayText(r.Allow, r.Bearer), r.By, r.Reason)
			}
		})
	}}
	rm := &cobra.Command{Use: "rm CLIENT", Short: "Take a rule away: the next most particular one holds", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.ended(cmd, "no rule any more about", args[0], func(ctx context.Context, cl *attorn.Client) (api.Done, error) {
			return cl.RemoveClientRule(ctx, api.ClientRef{Client: args[0]})
		})
	}}
	return noun("rule", "What a workspace lets apps do", ls, rm)
}
