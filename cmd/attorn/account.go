package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

func (c *cli) logoutCommand() *cobra.Command {
	var everywhere bool
	cmd := &cobra.Command{
		Use: "logout", Short: "Remove this machine's key; with --everywhere, end every other session and key and keep this one", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			if everywhere {
				got, err := cl.SignOutEverywhere(cmd.Context(), "me", "")
				if err != nil {
					return err
				}
				return c.showSignedOut(got, "you")
			}
			return c.logout(cmd.Context(), cl)
		},
	}
	cmd.Flags().BoolVar(&everywhere, "everywhere", false, "end every session, token and other command-line key of yours")
	return cmd
}

func (c *cli) showSignedOut(got api.SignedOut, said string) error {
	return c.show(got, got.Event.String(), func(w io.Writer) {
		say(w, "signed %s out everywhere: sessions, tokens, and %s, log #%d", said, count(got.Keys, "command-line key"), got.Rev)
	})
}

// logout ends this machine's key at the server first: files that are gone cannot sign out any more.
func (c *cli) logout(ctx context.Context, cl *attorn.Client) error {
	all, err := c.accounts()
	if err != nil {
		return err
	}
	name := c.chosen(all)
	a := all.Contexts[name]
	file := filepath.Join(c.home, a.KeyFile)
	signer, err := attorn.OpenKeyFile(file)
	if err != nil {
		return err
	}
	done, err := cl.EndUserKey(ctx, "me", signer.Public().Thumbprint().String())
	if err != nil {
		return err
	}
	delete(all.Contexts, name)
	if all.Current == name {
		all.Current = ""
		if rest := slices.Sorted(maps.Keys(all.Contexts)); len(rest) > 0 {
			all.Current = rest[0]
		}
	}
	if err := c.store(all); err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.show(done, done.Event.String(), func(w io.Writer) { say(w, "signed out; the key of the context %s has ended, log #%d", name, done.Rev) })
}

func (c *cli) userKeysCommand() *cobra.Command {
	return &cobra.Command{Use: "keys [USER]", Short: "List what you, or a person, sign in with", Args: between(0, 1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		who, err := c.person(cmd.Context(), cl, firstOr(args, "me"))
		if err != nil {
			return err
		}
		all, err := cl.UserKeys(cmd.Context(), who.ID.String())
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(k api.PersonKey) string { return k.Key }), func(w io.Writer) {
			row(w, "  KEY", "KIND", "LABEL", "MADE", "LAST USED")
			for _, k := range all.Items {
				mark, used := "  ", "never"
				if k.This {
					mark = "* "
				}
				if k.Used != "" {
					used = moment(k.Used)
				}
				row(w, mark+k.Key, k.Kind, k.Label, moment(k.Created), used)
			}
		})
	}}
}

func firstOr(args []string, other string) string {
	if len(args) == 0 {
		return other
	}
	return args[0]
}

func (c *cli) userKeyCommand() *cobra.Command {
	var user string
	rm := &cobra.Command{Use: "rm KEY", Short: "Remove a key with all that it opened; a passkey of your own is removed in the browser", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		who, err := c.person(cmd.Context(), cl, user)
		if err != nil {
			return err
		}
		done, err := cl.EndUserKey(cmd.Context(), who.ID.String(), args[0])
		if err != nil {
			return err
		}
		return c.show(done, done.Event.String(), func(w io.Writer) { say(w, "removed the key %s of %s, log #%d", args[0], who, done.Rev) })
	}}
	rm.Flags().StringVar(&user, "user", "me", "whose; somebody else's is an administrator's to remove")
	return noun("key", "One key of a person", rm)
}

func (c *cli) userRecoverCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "recover USER", Short: "Make a one-time link for a person who lost every key", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return usageError{errors.New("a recovery has a reason, which the log keeps: --reason")}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		who, err := c.person(cmd.Context(), cl, args[0])
		if err != nil {
			return err
		}
		l, err := cl.Recover(cmd.Context(), who.ID, reason)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.talk, "The link works once, within 15 minutes. When it is used, everything that %s had ends; for 24 hours they neither vote nor lend nor administer nor call tools,\nand for 30 days you and they count as one where two people are asked for. Everybody sees that it was you.\n", line(who.String()))
		return c.show(l, l.Link, func(w io.Writer) { row(w, l.Link) })
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

func (c *cli) userSignOutCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "signout USER", Short: "End every session, token and command-line key of a person", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		who, err := c.person(cmd.Context(), cl, args[0])
		if err != nil {
			return err
		}
		got, err := cl.SignOutEverywhere(cmd.Context(), who.ID.String(), reason)
		if err != nil {
			return err
		}
		return c.showSignedOut(got, who.String())
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}
