package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func (c *cli) delegationCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls", Short: "List what you lent, or what was lent to the agent", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		return c.listDelegations(cmd.Context())
	}}
	show := &cobra.Command{Use: "show DELEGATION", Short: "Show a delegation, hop by hop; an agent sees its own hop", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		chain, err := c.chain(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(chain, args[0], func(w io.Writer) { chainRows(w, chain) })
	}}
	var reason string
	revoke := &cobra.Command{Use: "revoke DELEGATION", Short: "End a delegation and all that descends from it", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		d, err := id.Parse[id.Delegation](args[0])
		if err != nil {
			return usageError{err}
		}
		got, err := c.revokeDelegation(cmd.Context(), d, reason)
		if err != nil {
			return err
		}
		return c.showEnded(got, "revoked "+d.String())
	}}
	revoke.Flags().StringVar(&reason, "reason", "", "why")
	var keys string
	verify := &cobra.Command{Use: "verify FILE", Short: "Verify a portable chain offline, with the server's published keys", Args: exactly(1), RunE: func(_ *cobra.Command, args []string) error {
		return c.verifyChain(args[0], keys)
	}}
	verify.Flags().StringVar(&keys, "keys", "", "file with the server's JWKS (SERVER/oauth/jwks)")
	return noun("delegation", "What is lent to whom", ls, show, revoke, verify)
}

// chain is a delegation with those above it, the root first; for an agent, which may not read what others lent each other, its own hop alone.
func (c *cli) chain(ctx context.Context, text string) ([]delegation.Link, error) {
	d, err := id.Parse[id.Delegation](text)
	if err != nil {
		return nil, usageError{err}
	}
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	if a.User.IsZero() {
		ag, _, err := c.agent(ctx)
		if err != nil {
			return nil, err
		}
		own, err := c.mine(ctx, ag, text)
		return []delegation.Link{own.Link}, err
	}
	cl, _, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	return cl.Chain(ctx, d)
}

// revokeDelegation ends what a person may end, or what an agent was lent or lent itself.
func (c *cli) revokeDelegation(ctx context.Context, d id.Delegation, reason string) (api.Ended, error) {
	a, err := c.account()
	if err != nil {
		return api.Ended{}, err
	}
	if a.User.IsZero() {
		ag, _, err := c.agent(ctx)
		if err != nil {
			return api.Ended{}, err
		}
		return ag.Revoke(ctx, d, reason)
	}
	cl, _, err := c.client(ctx)
	if err != nil {
		return api.Ended{}, err
	}
	return cl.RevokeDelegation(ctx, d, reason)
}

func (c *cli) listDelegations(ctx context.Context) error {
	a, err := c.account()
	if err != nil {
		return err
	}
	var all []api.Delegation
	if a.User.IsZero() {
		ag, _, err := c.agent(ctx)
		if err != nil {
			return err
		}
		if all, err = ag.Delegations(ctx); err != nil {
			return err
		}
	} else {
		cl, _, err := c.client(ctx)
		if err != nil {
			return err
		}
		page, err := everything(func(p attorn.Page) (api.List[api.Delegation], error) {
			return cl.Delegations(ctx, attorn.DelegationQuery{Delegator: "me", Page: p})
		})
		if err != nil {
			return err
		}
		all = page.Items
	}
	return c.show(all, each(all, func(d api.Delegation) string { return d.ID.String() }), func(w io.Writer) {
		row(w, "DELEGATION", "TO", "STATUS", "UNTIL", "USES", "PERMISSIONS")
		for _, d := range all {
			uses := "-"
			if m := d.Statement.MaxUses; m != nil {
				uses = fmt.Sprintf("%d of %d", d.Uses, *m)
			}
			var ps []string
			for _, p := range d.Statement.Permissions {
				ps = append(ps, permissionWords(p))
			}
			row(w, d.ID.String(), d.Statement.Delegate.Agent.String(), d.Status, seconds(d.Statement.ExpiresAt), uses, strings.Join(ps, "; "))
		}
	})
}

func chainRows(w io.Writer, chain []delegation.Link) {
	for i, l := range chain {
		st := l.Statement
		if i == 0 {
			say(w, "%s", account{User: st.Delegator.User, Agent: st.Delegator.Agent}.sub())
		}
		row(w, strings.Repeat("  ", i)+"└ "+st.Delegate.Agent.String(), st.ID.String(), "until "+seconds(st.ExpiresAt), usesWords(st))
		for _, p := range st.Permissions {
			row(w, strings.Repeat("  ", i)+"    "+permissionWords(p))
		}
	}
}

// verifyChain checks a chain, as `delegation show -o json` printed it, with nothing but the published keys. Whatever is wrong with the chain is a
// verification that failed; an error is about what the verifier brought along.
func (c *cli) verifyChain(file, keysFile string) error {
	if keysFile == "" {
		return usageError{fmt.Errorf("verify takes --keys FILE: the server's JWKS, kept from SERVER/oauth/jwks")}
	}
	keys, err := readJWKS(keysFile)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var chain []delegation.Link
	err = jose.Decode(raw, &chain, jose.Limits{Bytes: 1 << 20})
	if err == nil {
		err = delegation.VerifyChain(chain, func(kid id.Key) (jose.PublicKey, bool) { k, ok := keys[kid]; return k, ok })
	}
	if err != nil {
		say(c.out, "FAIL  %v (%s)", err, fault.Code(err))
		return quiet{exitUnverified}
	}
	return c.show(chain, "ok", func(w io.Writer) {
		say(w, "ok: %s, each countersigned, each narrower than the one before. Whether it is live now, only the server knows.", count(len(chain), "signed statement"))
		chainRows(w, chain)
	})
}

func readJWKS(file string) (map[id.Key]jose.PublicKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := jose.DecodeForeign(raw, &set, jose.Limits{}); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "malformed", "%s is no JWKS: %v", file, err)
	}
	keys := map[id.Key]jose.PublicKey{}
	for _, k := range set.Keys {
		key, err := jose.ParseJWK(k)
		if err != nil {
			return nil, err
		}
		keys[key.Thumbprint()] = key
	}
	return keys, nil
}
