package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
)

func (c *cli) serviceCommand() *cobra.Command {
	var n api.NewService
	var key string
	add := &cobra.Command{
		Use: "add NAME", Short: "Register a service that agents get tokens for",
		Example: "  attorn service add repo --resource https://repo.example.com/api --prefix repo:acme --key-file service.jwk",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n.Resource == "" || n.Prefix == "" || key == "" {
				return usageError{fmt.Errorf("attorn service add needs --resource, --prefix and --key-file")}
			}
			signer, err := attorn.MakeKeyFile(key)
			if fault.Code(err) == "key_exists" {
				signer, err = attorn.OpenKeyFile(key)
			}
			if err != nil {
				return err
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			n.Name, n.JWK = args[0], signer.Public()
			s, err := cl.AddService(cmd.Context(), n)
			if err != nil {
				return err
			}
			return c.show(s, s.ID.String(), func(w io.Writer) {
				say(w, "registered %s (%s), for %s, with the key in %s", s.Name, s.ID, s.Resource, key)
			})
		},
	}
	add.Flags().StringVar(&n.Resource, "resource", "", "its URL, which tokens are made for")
	add.Flags().StringVar(&n.Prefix, "prefix", "", "what permissions on it begin with, such as repo:acme")
	add.Flags().StringVar(&key, "key-file", "", "the service's own key: made there if there is none; only its public part is sent")
	ls := &cobra.Command{Use: "ls", Short: "List services", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.Service], error) { return cl.Services(cmd.Context(), p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(s api.Service) string { return s.ID.String() }), func(w io.Writer) {
			row(w, "SERVICE", "NAME", "RESOURCE", "PREFIX", "KEY")
			for _, s := range all.Items {
				row(w, s.ID.String(), s.Name, s.Resource, s.Prefix, s.Key.String())
			}
		})
	}}
	rm := &cobra.Command{Use: "rm SERVICE", Short: "End a service: nobody gets a token for it any more", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.RemoveService(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "removed %s, log #%d", args[0], got.Rev) })
	}}
	return noun("service", "Services that agents call", add, ls, rm)
}
