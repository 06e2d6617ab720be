package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func (c *cli) trustCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls [AGENT]", Short: "List trust rules", Args: between(0, 1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		var agent id.Agent
		if len(args) == 1 {
			a, err := cl.Agent(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			agent = a.ID
		}
		all, err := everything(func(p attorn.Page) (api.List[api.TrustRule], error) { return cl.TrustRules(cmd.Context(), agent, p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(r api.TrustRule) string { return r.ID.String() }), func(w io.Writer) {
			row(w, "RULE", "AGENT", "ISSUER", "MATCHES")
			for _, r := range all.Items {
				row(w, r.ID.String(), r.Agent.String(), r.Issuer, matchText(r.Match))
			}
		})
	}}
	rm := &cobra.Command{Use: "rm RULE", Short: "Take a rule away; instances that it let in live until they expire", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		rule, err := id.Parse[id.TrustRule](args[0])
		if err != nil {
			return usageError{err}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.RemoveTrustRule(cmd.Context(), rule)
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "removed, log #%d", got.Rev) })
	}}
	return noun("trust", "Which platforms' workloads become instances of agents", c.addTrust(), ls, rm, c.testTrust())
}

// matchText is what a rule matches, in a fixed order.
func matchText(match map[string]string) string {
	var all []string
	for claim, pattern := range sorted(match) {
		all = append(all, claim+"="+pattern)
	}
	return strings.Join(all, " ")
}

// trustFlags are those of attorn agent trust add.
type trustFlags struct {
	issuer, keys, kubernetes, github, ref, environment, spiffe, bundle string
	match                                                              []string
	ttl                                                                time.Duration
	instances, keysPerAssertion                                        int
	private                                                            bool
}

func (c *cli) addTrust() *cobra.Command {
	var f trustFlags
	cmd := &cobra.Command{
		Use: "add AGENT", Short: "Let workloads of a platform become instances of an agent", Args: exactly(1),
		Example: "  attorn agent trust add deployer --kubernetes prod/deployer --issuer https://oidc.cluster.example\n" +
			"  attorn agent trust add builder --github 123456789 --ref refs/heads/main\n" +
			"  attorn agent trust add worker --spiffe spiffe://example.org/ns/prod/worker --bundle bundle.json\n" +
			"  attorn agent trust add runner --issuer https://gitlab.com --match sub=project_path:group/app:ref_type:branch:ref:main --match project_id=4711",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			a, err := cl.Agent(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			n, err := f.rule(a.ID)
			if err != nil {
				return err
			}
			r, err := cl.AddTrustRule(cmd.Context(), n)
			if err != nil {
				return err
			}
			return c.show(r, r.ID.String(), func(w io.Writer) {
				row(w, "rule", r.ID.String())
				row(w, "lets in", "workloads of "+r.Issuer)
				row(w, "as", a.Name+" ("+a.ID.String()+")")
				row(w, "where", matchText(r.Match))
				row(w, "each for", (time.Duration(r.InstanceTTL) * time.Second).String())
				row(w, "at most", count(r.MaxInstances, "instance"))
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.issuer, "issuer", "", "the issuer of the platform's tokens, as they have it in iss")
	fl.StringVar(&f.keys, "keys", "", "file with the issuer's public keys (a JWK Set), where this server cannot reach it")
	fl.StringVar(&f.kubernetes, "kubernetes", "", "NAMESPACE/SERVICEACCOUNT of pods; takes --issuer")
	fl.StringVar(&f.github, "github", "", "number of a GitHub repository; takes --ref or --environment")
	fl.StringVar(&f.ref, "ref", "", "with --github: the ref that workflows run on, such as refs/heads/main")
	fl.StringVar(&f.environment, "environment", "", "with --github: the environment that jobs run in")
	fl.StringVar(&f.spiffe, "spiffe", "", "a SPIFFE id, or how ids begin with * at the end; takes --bundle")
	fl.StringVar(&f.bundle, "bundle", "", "file with the trust domain's bundle")
	fl.StringArrayVar(&f.match, "match", nil, "CLAIM=PATTERN that must match, with one * at the end at most; a claim inside another is named /like/this; repeatable")
	fl.DurationVar(&f.ttl, "ttl", 0, "how long an instance is good for without a fresh token (default 1h)")
	fl.IntVar(&f.instances, "max-instances", 0, "how many may live at a time (default 10)")
	fl.IntVar(&f.keysPerAssertion, "keys-per-assertion", 0, "how many keys one token lets in (default 1)")
	fl.BoolVar(&f.private, "allow-private", false, "the issuer may be at a private address")
	return cmd
}

// rule makes the rule that the flags ask for.
func (f *trustFlags) rule(agent id.Agent) (api.NewTrustRule, error) {
	var r api.NewTrustRule
	given := 0
	for _, s := range []string{f.kubernetes, f.github, f.spiffe} {
		if s != "" {
			given++
		}
	}
	namespace, account, both := strings.Cut(f.kubernetes, "/")
	rest, isSPIFFE := strings.CutPrefix(f.spiffe, "spiffe://")
	domain, _, _ := strings.Cut(rest, "/")
	var err error
	switch {
	case given > 1:
		err = fmt.Errorf("--kubernetes, --github and --spiffe are rules of their own: one at a time")
	case f.kubernetes != "" && (!both || namespace == "" || account == "" || f.issuer == ""):
		err = fmt.Errorf("--kubernetes takes NAMESPACE/SERVICEACCOUNT, and --issuer URL")
	case f.github != "" && (f.ref == "") == (f.environment == ""):
		err = fmt.Errorf("--github takes --ref or --environment: whoever may push to a repository can run a workflow in it")
	case f.github == "" && f.ref+f.environment != "":
		err = fmt.Errorf("--ref and --environment go with --github")
	case f.spiffe != "" && (!isSPIFFE || f.bundle == ""):
		err = fmt.Errorf("--spiffe takes an id, spiffe://…, and --bundle FILE")
	case given == 0 && (f.issuer == "" || len(f.match) == 0):
		err = fmt.Errorf("a rule takes --kubernetes, --github or --spiffe, or --issuer and --match")
	}
	if err != nil {
		return r, usageError{err}
	}
	switch {
	case f.kubernetes != "":
		r = api.KubernetesTrust(agent, f.issuer, namespace, account)
	case f.github != "":
		r = api.GitHubTrust(agent, f.github, f.ref, f.environment)
		if f.issuer != "" {
			r.Issuer = f.issuer
		}
	case f.spiffe != "":
		r = api.SPIFFETrust(agent, domain, f.spiffe, nil)
	default:
		r = api.NewTrustRule{Agent: agent, Issuer: f.issuer, Keys: "discovery", Match: map[string]string{}}
	}
	return f.complete(r)
}

func (f *trustFlags) complete(r api.NewTrustRule) (api.NewTrustRule, error) {
	for _, m := range f.match {
		claim, pattern, ok := strings.Cut(m, "=")
		if !ok {
			return r, usageError{fmt.Errorf("--match takes CLAIM=PATTERN, not %q", m)}
		}
		r.Match[claim] = pattern
	}
	file := f.bundle
	if f.keys != "" {
		file, r.Keys = f.keys, "jwks"
	}
	if file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return r, err
		}
		r.KeySet = raw
		if !r.KeySet.IsValid() {
			return r, fault.New(fault.Invalid, "rule_invalid", "%s is no JSON", file).Try("give a JWK Set (RFC 7517), or a SPIFFE bundle")
		}
	}
	r.InstanceTTL, r.MaxInstances, r.KeysPerAssertion, r.AllowPrivate = int64(f.ttl/time.Second), f.instances, f.keysPerAssertion, f.private
	return r, nil
}

func (c *cli) testTrust() *cobra.Command {
	return &cobra.Command{
		Use: "test FILE", Short: "Say which rule a platform's token matches, or which claim does not; - is standard input", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			raw, err := c.readSecret(args[0])
			if err != nil {
				return err
			}
			got, err := cl.TestTrust(cmd.Context(), raw)
			if err != nil {
				return err
			}
			trusted := slices.ContainsFunc(got.Rules, func(t api.TrustTried) bool { return t.Trusted })
			err = c.show(got, each(got.Rules, func(t api.TrustTried) string { return t.Rule.String() }), func(w io.Writer) { showTried(w, got) })
			if err == nil && !trusted {
				err = fault.New(fault.Denied, "not_trusted", "no trust rule of the workspace trusts this token").Try("attorn agent trust add --help, or change what the platform says")
			}
			return err
		},
	}
}

func showTried(w io.Writer, got api.TrustTested) {
	if got.Problem != "" {
		say(w, "not trusted: %s", got.Problem)
	}
	for _, t := range got.Rules {
		switch {
		case t.Trusted:
			say(w, "%s trusts it, as %s", t.Rule, t.Agent)
		case t.Problem != "":
			say(w, "%s does not: %s", t.Rule, t.Problem)
		default:
			say(w, "%s does not: the claim %s is not %s", t.Rule, t.Claim, t.Pattern)
		}
	}
}
