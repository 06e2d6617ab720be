package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

func (c *cli) loginCommand() *cobra.Command {
	var name, as, device, workspace string
	cmd := &cobra.Command{
		Use: "login LINK", Short: "Sign in with a one-time link, or by a code that you confirm in the browser; the key is made here and stays here", Args: between(0, 1),
		Example: "  attorn login --device https://attorn.example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (device != "") == (len(args) == 1) {
				return usageError{fmt.Errorf("attorn login takes a one-time LINK, or --device SERVER")}
			}
			if device != "" {
				return c.loginByDevice(cmd.Context(), device, workspace, as)
			}
			server, secret, err := splitLink(args[0])
			if err != nil {
				return err
			}
			keyFile, signer, err := c.newKey(as)
			if err != nil {
				return err
			}
			got, err := attorn.SignIn(cmd.Context(), attorn.SignInConfig{Server: server, Secret: secret, Name: name, Label: "attorn login", Signer: signer})
			if name == "" && fault.Code(err) == "person_invalid" {
				return fault.New(fault.Invalid, "name_missing", "this link makes the first administrator, whose name is not known yet").Try("attorn login LINK --name 'Your Name'")
			} else if err != nil {
				return err
			}
			return c.signedIn(server, as, keyFile, got)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "your name, where the link makes the first administrator")
	cmd.Flags().StringVar(&as, "as", "me", "name of the new context")
	cmd.Flags().StringVar(&device, "device", "", "instead of a link: the server's URL, where you confirm a code in the browser")
	cmd.Flags().StringVar(&workspace, "workspace", "", "with --device: the workspace to act in (default: default)")
	return cmd
}

// newKey makes the key of a new context. One that an earlier try made and that is nobody's yet is used again.
func (c *cli) newKey(context string) (file string, s jose.Signer, err error) {
	if err := c.free(context); err != nil {
		return "", nil, err
	}
	file = filepath.Join("keys", context+".jwk")
	s, err = attorn.MakeKeyFile(filepath.Join(c.home, file))
	if fault.Code(err) == "key_exists" {
		s, err = attorn.OpenKeyFile(filepath.Join(c.home, file))
	}
	return file, s, err
}

// splitLink reads http://host/signin/link#SECRET.
func splitLink(link string) (server, secret string, err error) {
	u, err := url.Parse(link)
	if err != nil || u.Fragment == "" || !strings.HasSuffix(u.Path, "/signin/link") {
		return "", "", usageError{fmt.Errorf("that is no sign-in link: it looks like http://localhost:7070/signin/link#…")}
	}
	secret = u.Fragment
	u.Fragment, u.RawFragment = "", ""
	u.Path = strings.TrimSuffix(u.Path, "/signin/link")
	return u.String(), secret, nil
}

func (c *cli) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Say who you are to the server", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.account()
			if err != nil {
				return err
			}
			if a.User.IsZero() {
				return c.showAgentAccount(cmd.Context())
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			me, err := cl.Me(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(me, me.Sub, func(w io.Writer) {
				row(w, "you are", me.Name+" ("+me.Sub+")")
				row(w, "workspace", me.Workspace.String())
				row(w, "roles", strings.Join(me.Roles, ", "))
				row(w, "server", a.Server)
			})
		},
	}
}

// showAgentAccount says who the current agent is, once the server agrees.
func (c *cli) showAgentAccount(ctx context.Context) error {
	ag, a, err := c.agent(ctx)
	if err != nil {
		return err
	}
	if _, err := ag.Delegations(ctx); err != nil {
		return err
	}
	me := api.Me{Sub: a.sub(), Name: a.Name, Workspace: a.Workspace, Roles: []string{}}
	return c.show(me, me.Sub, func(w io.Writer) {
		row(w, "you are", a.Name+" ("+a.sub()+")")
		row(w, "instance", ag.Instance().String())
		row(w, "workspace", a.Workspace.String())
		row(w, "server", a.Server)
	})
}

func (c *cli) ctxCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls", Short: "List the accounts on this machine", Args: exactly(0), RunE: func(*cobra.Command, []string) error {
		all, err := c.accounts()
		if err != nil {
			return err
		}
		return c.show(all, all.Current, func(w io.Writer) {
			row(w, "  CONTEXT", "WHO", "NAME", "SERVER")
			for name, a := range sorted(all.Contexts) {
				mark := "  "
				if name == c.chosen(all) {
					mark = "* "
				}
				row(w, mark+name, a.sub(), a.Name, a.Server)
			}
		})
	}}
	use := &cobra.Command{Use: "use NAME", Short: "Make an account the current one", Args: exactly(1), RunE: func(_ *cobra.Command, args []string) error {
		all, err := c.accounts()
		if err != nil {
			return err
		}
		if _, ok := all.Contexts[args[0]]; !ok {
			return fault.New(fault.NotFound, "no_context", "there is no context %q", args[0]).Try("attorn ctx ls")
		}
		all.Current = args[0]
		if err := c.store(all); err != nil {
			return err
		}
		return c.show(all, all.Current, func(w io.Writer) {
			say(w, "now acting as %s (%s)", all.Contexts[args[0]].Name, all.Contexts[args[0]].sub())
		})
	}}
	return noun("ctx", "Accounts on this machine", ls, use)
}

func (c *cli) userCommand() *cobra.Command {
	var email string
	invite := &cobra.Command{Use: "invite NAME", Short: "Add a person; prints their one-time sign-in link", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		u, err := cl.Invite(cmd.Context(), api.NewUser{Name: args[0], Email: email})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.talk, "%s is %s. The link works once, within 15 minutes:\n", line(u.Name), u.ID)
		return c.show(u, u.ID.String(), func(w io.Writer) { row(w, u.Link) })
	}}
	invite.Flags().StringVar(&email, "email", "", "address by which a sign-in provider may know them, once")
	link := &cobra.Command{Use: "link USER|me", Short: "Make a one-time sign-in link for yourself, for another browser or machine; or anew for who never signed in", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		who, err := c.person(cmd.Context(), cl, args[0])
		if err != nil {
			return err
		}
		l, err := cl.NewLink(cmd.Context(), who.ID.String())
		if err != nil {
			return err
		}
		return c.show(l, l.Link, func(w io.Writer) { row(w, l.Link) })
	}}
	return noun("user", "People", invite, c.listUsers(), c.showUser(), link, c.userKeysCommand(), c.userKeyCommand(), c.userRecoverCommand(), c.userSignOutCommand(), c.endUser("suspend", "Stop a person and all that they lent"), c.endUser("resume", "End a suspension"))
}

func (c *cli) endUser(verb, short string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: verb + " USER", Short: short, Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		user, err := c.person(cmd.Context(), cl, args[0])
		if err != nil {
			return err
		}
		end := cl.SuspendUser
		if verb == "resume" {
			end = cl.ResumeUser
		}
		got, err := end(cmd.Context(), user.ID, reason)
		if err != nil {
			return err
		}
		return c.showEnded(got, past[verb]+" "+user.String())
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

// past is how an act that ends something is told.
var past = map[string]string{"suspend": "suspended", "resume": "resumed", "revoke": "revoked"}

// showEnded prints what an act ended.
func (c *cli) showEnded(e api.Ended, what string) error {
	return c.show(e, e.Event.String(), func(w io.Writer) {
		say(w, "%s, log #%d", what, e.Rev)
		for _, d := range e.Delegations {
			if !strings.Contains(what, d.String()) {
				say(w, "  with it ended %s", d)
			}
		}
	})
}
