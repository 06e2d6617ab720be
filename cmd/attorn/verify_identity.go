package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// keptIdentity is what an agent's kept identity is verified with.
type keptIdentity struct {
	keys, server string
	key, at      string // what is asked of it; "" for nothing more
}

// maxKeptIdentity is how large a file with a kept identity may be, in bytes.
const maxKeptIdentity = 64 << 20

// verifyIdentity checks what `agent identity --save` wrote, with nothing but the server's keys. Whatever is wrong with it is a verification that failed;
// an error is about what the verifier brought along.
func (c *cli) verifyIdentity(file string, k keptIdentity) error {
	kid, at, err := k.question()
	if err != nil {
		return err
	}
	server := k.server
	if server == "" {
		a, err := c.account()
		if err != nil {
			return usageError{fmt.Errorf("verify takes --server URL: whose agent this is, for what an identity says of itself proves nothing")}
		}
		server = a.Server
	}
	keys, err := readJWKS(k.keys)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Size() > maxKeptIdentity {
		return fault.New(fault.TooLarge, "too_large", "%s has more than %d MiB, so it is no agent's identity", file, maxKeptIdentity>>20).Try("keep one with: attorn agent identity AGENT --save FILE")
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	i, err := openIdentity(string(raw), strings.TrimSuffix(server, "/"), keys)
	if err == nil && !kid.IsZero() {
		if at == 0 {
			at = i.AsOf
		}
		_, err = i.KeyAt(kid, at)
	}
	if err != nil {
		say(c.out, "FAIL  %v (%s)", err, fault.Code(err))
		return quiet{exitUnverified}
	}
	return c.show(i, i.ID.String(), func(w io.Writer) {
		say(w, "ok: signed by %s; about later times than %s it says nothing", i.Issuer, seconds(i.AsOf))
		if !kid.IsZero() {
			say(w, "the key %s could act as agent %s at %s", kid, i.ID, seconds(at))
		}
		identityTable(w, attorn.PublicIdentity{Identity: i})
	})
}

// question reads what is asked about a key.
func (k keptIdentity) question() (kid id.Key, at int64, err error) {
	if k.key == "" {
		if k.at != "" {
			err = usageError{fmt.Errorf("--at goes with --key: the key that is asked about")}
		}
		return kid, 0, err
	}
	if kid, err = id.ParseKey(k.key); err != nil {
		return kid, 0, usageError{fmt.Errorf("--key: %w", err)}
	}
	if k.at == "" {
		return kid, 0, nil
	}
	text, err := readInstant(k.at)
	if err != nil {
		return kid, 0, usageError{fmt.Errorf("--at: %w", err)}
	}
	t, err := time.Parse(time.RFC3339, text)
	return kid, t.Unix(), err
}

// openIdentity verifies the pages of an identity, which follow one another: each is of the same agent and says that it begins where the one before ended. What
// the whole says of the agent, and how old it is, is what its first page says: the oldest.
func openIdentity(text, server string, keys map[id.Key]jose.PublicKey) (token.Identity, error) {
	var all token.Identity
	pages := strings.Fields(text)
	malformed := func(reason string) error {
		return fault.New(fault.Invalid, "identity_malformed", "the identity is refused: %s", reason)
	}
	if len(pages) == 0 {
		return all, malformed("the file is empty")
	}
	for n, raw := range pages {
		page, err := token.VerifyIdentity(raw, server, func(kid id.Key) (jose.PublicKey, bool) { k, ok := keys[kid]; return k, ok })
		if err != nil {
			return all, err
		}
		switch {
		case n == 0 && !page.After.IsZero():
			return all, malformed("its first pages are missing: it begins after the key " + page.After.String())
		case n == 0:
			all = page
			continue
		case page.ID != all.ID:
			return all, malformed("its pages are of several agents")
		case all.Next.IsZero() || page.After != all.Next:
			return all, malformed("its pages do not follow one another")
		case page.AsOf < all.AsOf:
			return all, malformed("its pages are of several times, the later ones first")
		}
		all.Keys, all.Next = append(all.Keys, page.Keys...), page.Next
	}
	if !all.Next.IsZero() {
		return all, malformed("its last pages are missing: more keys follow")
	}
	return all, nil
}
