package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/graph"
	"github.com/attorn/attorn/jose"
)

func (c *cli) exportCommand() *cobra.Command {
	var file string
	var bare bool
	cmd := &cobra.Command{
		Use: "export DELEGATION", Short: "Write a delegation's chain to a file that verifies offline", Args: exactly(1),
		Long: "Write the links from the root to a delegation to one file, with the keys that the server publishes. `attorn delegation verify` reads it anywhere, without\n" +
			"the server. An agent can read its own link alone, which is a chain where a person lent to it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			chain, err := c.chain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			f := delegation.File{Links: links(chain)}
			if !bare {
				if f.Keys, err = c.published(cmd.Context()); err != nil {
					return err
				}
			}
			raw, err := f.Bytes()
			if err != nil {
				return err
			}
			if file == "" {
				file = args[0] + ".json"
			}
			if file == "-" {
				_, err := io.WriteString(c.out, escaped(string(raw)))
				return err
			}
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				return err
			}
			return c.show(map[string]any{"file": file, "bytes": len(raw)}, file, func(w io.Writer) {
				say(w, "wrote %s: %s, %s", file, count(len(chain), "link"), count(len(f.Keys), "key"))
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "where to; - is standard output (default DELEGATION.json)")
	cmd.Flags().BoolVar(&bare, "without-keys", false, "leave the server's keys out")
	return cmd
}

// published are the keys that the server of the current context signs with and signed with.
func (c *cli) published(ctx context.Context) ([]jose.PublicKey, error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Server+"/oauth/jwks", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "bad_answer", "the server's keys cannot be had: %s", res.Status)
	}
	return parseJWKS(raw)
}

func (c *cli) verifyChainCommand() *cobra.Command {
	var v chainVerifier
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Verify a chain offline: what `export` wrote, or a JSON array of links", Args: exactly(1),
		Long: "Verify a chain of delegations with nothing but the file and what you trust: the server's keys, kept from SERVER/oauth/jwks (--keys), or the thumbprints of\n" +
			"those that are in the file (--trust; attorn keys ls on the server lists them).",
		Example: "  attorn delegation verify dlg_….json --trust 0OWchRYVJSRS0mOK70ETsGDxZBW09axy5YS9RkkmOyg\n  attorn delegation verify dlg_….json --keys jwks.json",
		RunE:    func(_ *cobra.Command, args []string) error { return c.verifyChain(args[0], v) },
	}
	cmd.Flags().StringVar(&v.keys, "keys", "", "file with the server's JWKS (SERVER/oauth/jwks)")
	cmd.Flags().StringSliceVar(&v.trust, "trust", nil, "thumbprint of a key of the server, which is in the file; repeatable")
	return cmd
}

// chainVerifier is what the verifier brings along.
type chainVerifier struct {
	keys  string
	trust []string
}

// verifyChain checks a chain. Whatever is wrong with the file is a verification that failed; an error is about what the verifier brought along.
func (c *cli) verifyChain(file string, v chainVerifier) error {
	if (v.keys == "") == (len(v.trust) == 0) {
		return usageError{fmt.Errorf("verify takes --keys FILE, the server's JWKS as you kept it, or --trust KEY, the thumbprint of its key: the keys in the file prove nothing by being there")}
	}
	find, err := v.finder()
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	f, err := delegation.ParseFile(raw)
	if err == nil {
		err = delegation.VerifyChain(f.Links, find(f))
	}
	if err != nil {
		say(c.out, "FAIL  %v (%s)", err, fault.Code(err))
		return quiet{exitUnverified}
	}
	return c.show(f.Links, "ok", func(w io.Writer) { verifiedRows(w, f.Links, time.Now()) })
}

// finder makes a finder of trusted keys for a file.
func (v chainVerifier) finder() (func(delegation.File) func(id.Key) (jose.PublicKey, bool), error) {
	if v.keys == "" {
		var trusted []id.Key
		for _, s := range v.trust {
			k, err := id.ParseKey(s)
			if err != nil {
				return nil, usageError{fmt.Errorf("--trust is the thumbprint of a key: attorn keys ls lists the server's")}
			}
			trusted = append(trusted, k)
		}
		return func(f delegation.File) func(id.Key) (jose.PublicKey, bool) { return f.Trusting(trusted...) }, nil
	}
	keys, err := readJWKS(v.keys)
	if err != nil {
		return nil, err
	}
	return func(delegation.File) func(id.Key) (jose.PublicKey, bool) {
		return func(kid id.Key) (jose.PublicKey, bool) { k, ok := keys[kid]; return k, ok }
	}, nil
}

// verifiedRows tells what was checked, and what a file cannot tell.
func verifiedRows(w io.Writer, links []delegation.Link, now time.Time) {
	last := links[len(links)-1].Statement
	say(w, "ok: %s of %s, workspace %s", count(len(links), "signed statement"), last.Issuer, last.Workspace)
	fmt.Fprintln(w)
	_, _ = io.WriteString(w, graph.Text(forest(recordsOf(links), now, true)))
	fmt.Fprintln(w)
	say(w, "checked")
	for i, l := range links {
		say(w, "  link %d  signed by its delegator %s, countersigned by the server's key %s, %s, log #%d", i+1, signedWith(l), l.Kid(), moment(time.UnixMicro(l.At).Format(time.RFC3339)), l.Rev)
	}
	if len(links) > 1 {
		say(w, "  each names the one before by its digest, is signed by whom that was lent to, and is no wider than it in permissions, time, uses, depth and task")
	}
	switch begins, ends := window(links); {
	case now.Unix() >= ends:
		say(w, "  by this machine's clock it expired %s", seconds(ends))
	case now.Unix() < begins:
		say(w, "  by this machine's clock it begins %s", seconds(begins))
	default:
		say(w, "  by this machine's clock all of it runs, until %s", seconds(ends))
	}
	say(w, "not checked: only the server knows")
	say(w, "  whether any of it has been revoked or used up, whether everybody on it may still act, and what policy says of a call")
	say(w, "  whether a key of the server has been declared compromised since; attorn audit pack brings what proves when it was good")
}

// window is when all links run.
func window(links []delegation.Link) (begins, ends int64) {
	ends = links[0].Statement.ExpiresAt
	for _, l := range links {
		begins, ends = max(begins, l.Statement.NotBefore), min(ends, l.Statement.ExpiresAt)
	}
	return begins, ends
}

// signedWith says with what the delegator signed.
func signedWith(l delegation.Link) string {
	switch l.Signature.Type {
	case delegation.ByPasskey:
		return "with a passkey at " + l.Delegator.Passkey.Origin
	case delegation.ByAttested:
		at := l.Delegator.Attested
		if at.Token != nil {
			return "in the server's word, on the token " + at.Token.ID + " of the one above, which says that it may act"
		}
		return "in the server's word alone: signed in by " + strings.TrimSpace(at.Method+" "+at.Issuer) + " " + seconds(at.AuthTime)
	}
	return "with the key " + l.Delegator.JWK.Thumbprint().String()
}

func readJWKS(file string) (map[id.Key]jose.PublicKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all, err := parseJWKS(raw)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "malformed", "%s is no JWKS: %v", file, err)
	}
	keys := map[id.Key]jose.PublicKey{}
	for _, k := range all {
		keys[k.Thumbprint()] = k
	}
	return keys, nil
}

func parseJWKS(raw []byte) (keys []jose.PublicKey, err error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := jose.DecodeForeign(raw, &set, jose.Limits{}); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		key, err := jose.ParseJWK(k)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
