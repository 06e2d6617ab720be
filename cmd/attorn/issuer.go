package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func (c *cli) issuerCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls", Short: "List the rules for other servers", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.TrustedIssuer], error) { return cl.TrustedIssuers(cmd.Context(), p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(r api.TrustedIssuer) string { return r.ID.String() }), func(w io.Writer) {
			row(w, "RULE", "SERVER", "ITS AGENTS", "AS", "UNDER", "UNTIL", "STATUS")
			for _, r := range all.Items {
				row(w, r.ID.String(), r.Issuer, count(len(r.Agents), "agent"), r.Agent.String(), r.Stands.String(), seconds(r.Expires), cmp.Or(r.Closed, "open"))
			}
		})
	}}
	show := &cobra.Command{Use: "show RULE", Short: "Show a rule for another server", Args: exactly(1), RunE: c.withIssuer(func(ctx context.Context, cl *attorn.Client, rule id.Issuer) error {
		r, err := cl.TrustedIssuer(ctx, rule)
		if err != nil {
			return err
		}
		return c.showIssuer(r)
	})}
	rm := &cobra.Command{Use: "rm RULE", Short: "Take a rule away, with everything that came by it", Args: exactly(1), RunE: c.withIssuer(func(ctx context.Context, cl *attorn.Client, rule id.Issuer) error {
		got, err := cl.RemoveIssuer(ctx, rule)
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "removed, log #%d: what came by it has ended", got.Rev) })
	})}
	return noun("issuer", "Other organisations' servers whose agents may act here", c.trustIssuer(), ls, show, rm)
}

func (c *cli) withIssuer(do func(context.Context, *attorn.Client, id.Issuer) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		rule, err := id.Parse[id.Issuer](args[0])
		if err != nil {
			return usageError{err}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		return do(cmd.Context(), cl, rule)
	}
}

func (c *cli) showIssuer(r api.TrustedIssuer) error {
	return c.show(r, r.ID.String(), func(w io.Writer) {
		row(w, "rule", r.ID.String())
		row(w, "trusts", r.Issuer)
		for _, a := range r.Agents {
			row(w, "for its agent", a.String())
		}
		row(w, "as", r.Agent.String())
		under := r.Stands.String() + " at most"
		if r.Stands != r.Delegation {
			under += ", which took the place of " + r.Delegation.String()
		}
		row(w, "under", under)
		row(w, "of what is lent there as", r.Prefix+":…")
		keys := "that it publishes"
		if len(r.KeySet) > 0 {
			keys = "that were given"
		}
		row(w, "by the keys", keys)
		row(w, "until", seconds(r.Expires)+", or sooner with what was lent")
		if r.Closed != "" {
			row(w, "lets nobody in", r.Closed)
		}
	})
}

// issuerFlags are those of attorn issuer trust.
type issuerFlags struct {
	agents            []string
	as, under, prefix string
	keys              string
	expires           time.Duration
	private           bool
}

func (c *cli) trustIssuer() *cobra.Command {
	var f issuerFlags
	cmd := &cobra.Command{
		Use: "trust URL", Short: "Let agents of another server act here as an agent of yours, under what was lent to it", Args: exactly(1),
		Example: "  attorn issuer trust https://attorn.partner.example --agent agt_… --as guest --under dlg_… --prefix acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			n, err := f.rule(cmd.Context(), cl, args[0])
			if err != nil {
				return err
			}
			r, err := cl.TrustIssuer(cmd.Context(), n)
			if err != nil {
				return err
			}
			return c.showIssuer(r)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.agents, "agent", nil, "id of an agent of the other server; repeatable")
	fl.StringVar(&f.as, "as", "", "the agent of yours as which they act")
	fl.StringVar(&f.under, "under", "", "the delegation to it, which is what they may at most")
	fl.StringVar(&f.prefix, "prefix", "", "how permissions for this server begin there: the prefix of the service as which it is registered")
	fl.StringVar(&f.keys, "keys", "", "file with the other server's public keys (a JWK Set), where this server cannot reach it")
	fl.DurationVar(&f.expires, "expires", 0, "how long the rule lasts: longer than the delegation, too, if that may be renewed under it (default: until the delegation ends)")
	fl.BoolVar(&f.private, "allow-private", false, "the other server may be at a private address")
	return cmd
}

func (f *issuerFlags) rule(ctx context.Context, cl *attorn.Client, server string) (api.NewTrustedIssuer, error) {
	n := api.NewTrustedIssuer{Issuer: server, Prefix: f.prefix, AllowPrivate: f.private}
	if len(f.agents) == 0 || f.as == "" || f.under == "" || f.prefix == "" {
		return n, usageError{fmt.Errorf("attorn issuer trust takes --agent, --as, --under and --prefix")}
	}
	for _, text := range f.agents {
		a, err := id.Parse[id.Agent](text)
		if err != nil {
			return n, usageError{fmt.Errorf("--agent takes the id of an agent of the other server: names there are not known here: %w", err)}
		}
		n.Agents = append(n.Agents, a)
	}
	var err error
	if n.Delegation, err = id.Parse[id.Delegation](f.under); err != nil {
		return n, usageError{err}
	}
	own, err := cl.Agent(ctx, f.as)
	if err != nil {
		return n, err
	}
	n.Agent = own.ID
	if f.expires != 0 {
		n.Expires = time.Now().Add(f.expires).Unix()
	}
	if f.keys != "" {
		raw, err := os.ReadFile(f.keys)
		if err != nil {
			return n, err
		}
		if n.KeySet = raw; !n.KeySet.IsValid() {
			return n, fault.New(fault.Invalid, "issuer_invalid", "%s is no JSON", f.keys).Try("give the other server's keys: its /oauth/jwks")
		}
	}
	return n, nil
}

// atHome is what an account of another server's agent has as its evidence: the context of its own account, and the delegation there or the file with its chain.
const atHome = "agent:"

// foreign reports whether the account is of an agent that is at home at another server: under what it acts, the rule there says.
func (a account) foreign() bool { return strings.HasPrefix(a.Evidence, atHome) }

// partner is how the account's agent acts at a server that is not its own; nil where it is.
func (c *cli) partner(ctx context.Context, a account) (*attorn.Partner, error) {
	rest, ok := strings.CutPrefix(a.Evidence, atHome)
	if !ok {
		return nil, nil
	}
	name, under, _ := strings.Cut(rest, ":")
	all, err := c.accounts()
	if err != nil {
		return nil, err
	}
	home, ok := all.Contexts[name]
	if !ok {
		return nil, fault.New(fault.NotFound, "no_context", "there is no context %q any more, which is where the agent is at home", name).Try("attorn ctx ls")
	}
	p := &attorn.Partner{Delegation: under}
	if file, ok := strings.CutPrefix(under, evidenceFile); ok {
		p.Delegation, p.ChainFile = "", file
	}
	p.Agent, err = c.openAgent(ctx, home)
	return p, err
}

// joinAsPartner makes the current agent act at another server, which trusts its own one.
func (c *cli) joinAsPartner(ctx context.Context, server, tokenFile, as string, by joinFlags) error {
	if server == "" || tokenFile != "" || by.name != "" || by.assertion != "" {
		return usageError{fmt.Errorf("attorn agent join --partner takes --server URL, and neither --token, --name nor --assertion-file")}
	}
	ag, own, err := c.agent(ctx)
	if err != nil {
		return err
	}
	all, err := c.accounts()
	if err != nil {
		return err
	}
	as = cmp.Or(as, c.chosen(all)+"-there")
	if err := c.free(as); err != nil {
		return err
	}
	under, told, err := c.lentAtHome(ctx, ag, by)
	if err != nil {
		return err
	}
	ws, err := workspaceOf(by.workspace)
	if err != nil {
		return err
	}
	if ws.IsZero() {
		ws = id.Default
	}
	a := account{Server: server, Workspace: ws, Agent: own.Agent, Name: own.Name, KeyFile: own.KeyFile, Evidence: atHome + c.chosen(all) + ":" + under}
	if err := c.remember(as, a); err != nil {
		return err
	}
	return c.show(a, ag.Instance().String(), func(w io.Writer) {
		row(w, "acts at", server)
		row(w, "as", own.Name+" ("+own.Agent.String()+") of "+own.Server)
		row(w, "under", told)
	})
}

// lentAtHome is what an agent was lent at its own server, for an account of another one's: a delegation there, or the file with its chain.
func (c *cli) lentAtHome(ctx context.Context, ag *attorn.Agent, by joinFlags) (under, told string, err error) {
	if by.chain == "" {
		d, err := c.mine(ctx, ag, by.under)
		return d.ID.String(), d.ID.String() + " there", err
	}
	if by.under != "" {
		return "", "", usageError{fmt.Errorf("--chain says itself what the agent acts under: leave --under out")}
	}
	file, err := filepath.Abs(by.chain)
	if err != nil {
		return "", "", err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	f, err := delegation.ParseFile(raw)
	if err != nil {
		return "", "", err
	}
	_, ends := window(f.Links)
	return evidenceFile + file, f.Links[len(f.Links)-1].Statement.ID.String() + " there, by its chain, until " + seconds(ends) + " even if it is revoked there", nil
}
