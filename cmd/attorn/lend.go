package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func (c *cli) lendCommand() *cobra.Command {
	var permissions []string
	var l attorn.Lend
	var under string
	cmd := &cobra.Command{
		Use: "lend AGENT", Short: "Lend an agent some of your authority, signed with your key", Args: exactly(1),
		Long: "Lend an agent some of your authority for a time. The statement is signed with the key of the current context: a person's registered key, or an\n" +
			"agent's instance key, which lends on what it was lent (--under).\n\n" +
			"A permission may carry constraints on arguments: 'tool:files:write_file{path^=staging/}'.\n" +
			"Operators: = equals, =a|b one of, ^= begins with, <= at most, >= at least.",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, p := range permissions {
				parsed, err := parsePermission(p)
				if err != nil {
					return err
				}
				l.Permissions = append(l.Permissions, parsed)
			}
			if len(l.Permissions) == 0 {
				return usageError{fmt.Errorf("say what to lend: --permission tool:SERVER:TOOL (repeat it for more)")}
			}
			a, err := c.account()
			if err != nil {
				return err
			}
			if a.User.IsZero() {
				return c.lendAsAgent(cmd.Context(), args[0], under, l)
			}
			return c.lendAsPerson(cmd.Context(), args[0], l)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&permissions, "permission", "p", nil, "what is lent; repeatable")
	f.DurationVar(&l.TTL, "ttl", time.Hour, "for how long")
	f.Int64Var(&l.Uses, "uses", 0, "how many calls, shared with all that descends from it (0: no limit)")
	f.IntVar(&l.Depth, "depth", 0, "how many hops it may be lent on")
	f.StringVar(&l.Task, "task", "", "identifier of the piece of work")
	f.StringVar(&l.Purpose, "purpose", "", "a sentence for people")
	f.StringVar(&under, "under", "", "for an agent: the delegation it lends on (default: the only live one)")
	return cmd
}

func (c *cli) lendAsPerson(ctx context.Context, to string, l attorn.Lend) error {
	cl, _, err := c.client(ctx)
	if err != nil {
		return err
	}
	link, err := cl.Delegate(ctx, to, l)
	if err != nil {
		return err
	}
	return c.showLent(link, to)
}

func (c *cli) lendAsAgent(ctx context.Context, to, under string, l attorn.Lend) error {
	ag, _, err := c.agent(ctx)
	if err != nil {
		return err
	}
	parent, err := c.mine(ctx, ag, under)
	if err != nil {
		return err
	}
	l.Parent = parent.Link.String()
	link, err := ag.Delegate(ctx, to, l)
	if err != nil {
		return err
	}
	return c.showLent(link, to)
}

// mine is the delegation to the agent that text names, or the only live one.
func (c *cli) mine(ctx context.Context, ag *attorn.Agent, text string) (api.Delegation, error) {
	all, err := ag.Delegations(ctx)
	if err != nil {
		return api.Delegation{}, err
	}
	var live []api.Delegation
	for _, d := range all {
		if text == d.ID.String() {
			return d, nil
		}
		if d.Status == "active" {
			live = append(live, d)
		}
	}
	switch {
	case text != "":
		return api.Delegation{}, fault.New(fault.NotFound, "not_found", "nothing was lent to this agent as %s", text).Try("attorn delegation ls")
	case len(live) == 1:
		return live[0], nil
	case len(live) == 0:
		return api.Delegation{}, fault.New(fault.Denied, "not_lent", "nothing is lent to this agent now").Try("ask a person: attorn lend AGENT --permission …")
	}
	return api.Delegation{}, fault.New(fault.Conflict, "ambiguous_delegation", "%d delegations to this agent are live", len(live)).Try("name one: attorn delegation ls")
}

func (c *cli) showLent(link delegation.Link, to string) error {
	st := link.Statement
	return c.show(link, st.ID.String(), func(w io.Writer) {
		row(w, "lent to", fmt.Sprintf("%s (%s)", to, st.Delegate.Agent), st.ID.String())
		for _, p := range st.Permissions {
			row(w, "", permissionWords(p), "")
		}
		row(w, "until", time.Unix(st.ExpiresAt, 0).UTC().Format(time.RFC3339), usesWords(st))
	})
}

func permissionWords(p delegation.Permission) string {
	if len(p.Where) == 0 {
		return p.Permission
	}
	return p.Permission + " where " + delegation.Words(p.Where)
}

func usesWords(st delegation.Statement) string {
	var parts []string
	if st.MaxUses != nil {
		parts = append(parts, strconv.FormatInt(*st.MaxUses, 10)+" uses")
	}
	if st.MaxDepth > 0 {
		parts = append(parts, fmt.Sprintf("may be lent on %d hop(s)", st.MaxDepth))
	}
	if st.Task != "" {
		parts = append(parts, "task "+st.Task)
	}
	return strings.Join(parts, ", ")
}

func (c *cli) delegationCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls", Short: "List what you lent, or what was lent to the agent", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		return c.listDelegations(cmd.Context())
	}}
	show := &cobra.Command{Use: "show DELEGATION", Short: "Show a delegation, hop by hop", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		d, err := id.Parse[id.Delegation](args[0])
		if err != nil {
			return usageError{err}
		}
		chain, err := cl.Chain(cmd.Context(), d)
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
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.RevokeDelegation(cmd.Context(), d, reason)
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
		page, err := cl.Delegations(ctx, attorn.DelegationQuery{Delegator: "me"})
		if err != nil {
			return err
		}
		all = page.Items
	}
	return c.show(all, "", func(w io.Writer) {
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
			row(w, d.ID.String(), d.Statement.Delegate.Agent.String(), d.Status, time.Unix(d.Statement.ExpiresAt, 0).UTC().Format(time.RFC3339), uses, strings.Join(ps, "; "))
		}
	})
}

func chainRows(w io.Writer, chain []delegation.Link) {
	for i, l := range chain {
		st := l.Statement
		if i == 0 {
			row(w, st.Delegator.User.String(), "a person")
		}
		row(w, strings.Repeat("  ", i)+"└ "+st.Delegate.Agent.String(), st.ID.String(), "until "+time.Unix(st.ExpiresAt, 0).UTC().Format(time.RFC3339), usesWords(st))
		for _, p := range st.Permissions {
			row(w, strings.Repeat("  ", i)+"    "+permissionWords(p))
		}
	}
}

// verifyChain checks a chain, as `delegation show -o json` printed it, with nothing but the published keys.
func (c *cli) verifyChain(file, keysFile string) error {
	if keysFile == "" {
		return usageError{fmt.Errorf("verify takes --keys FILE: the server's JWKS, kept from SERVER/oauth/jwks")}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var chain []delegation.Link
	if err := json.Unmarshal(raw, &chain); err != nil {
		return fault.Wrap(err, fault.Invalid, "malformed", "%s is no chain: a JSON list of links, the root first", file)
	}
	keys, err := readJWKS(keysFile)
	if err != nil {
		return err
	}
	if err := delegation.VerifyChain(chain, func(kid id.Key) (jose.PublicKey, bool) { k, ok := keys[kid]; return k, ok }); err != nil {
		c.complain(err.Error()+" ("+fault.Code(err)+")", "")
		return quiet{exitUnverified}
	}
	return c.show(chain, "ok", func(w io.Writer) {
		row(w, fmt.Sprintf("%d of %d signatures verify, and each hop narrows the one before. Whether it is live now, only the server knows.", len(chain), len(chain)))
		chainRows(w, chain)
	})
}

func readJWKS(file string) (map[id.Key]jose.PublicKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct {
			Kty string `json:"kty"`
			Crv string `json:"crv"`
			X   string `json:"x"`
		} `json:"keys"`
	}
	if err := jose.DecodeForeign(raw, &set, jose.Limits{}); err != nil {
		return nil, err
	}
	keys := map[id.Key]jose.PublicKey{}
	for _, k := range set.Keys {
		jwk, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		key, err := jose.ParseJWK(jwk)
		if err != nil {
			return nil, err
		}
		keys[key.Thumbprint()] = key
	}
	return keys, nil
}

func (c *cli) tokenCommand() *cobra.Command {
	var under string
	get := &cobra.Command{Use: "get RESOURCE", Short: "Get an access token for a resource, as the current agent", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		ag, _, err := c.agent(cmd.Context())
		if err != nil {
			return err
		}
		r := attorn.TokenRequest{}
		if under != "none" {
			d, err := c.mine(cmd.Context(), ag, under)
			if err != nil {
				return err
			}
			r.Delegation = d.Link.String()
		}
		t, err := ag.Token(cmd.Context(), args[0], r)
		if err != nil {
			return err
		}
		return c.show(t, t.AccessToken, func(w io.Writer) { row(w, t.AccessToken) })
	}}
	get.Flags().StringVar(&under, "under", "", "delegation to act under (default: the only live one; none: for nobody)")
	return noun("token", "Access tokens", get)
}
