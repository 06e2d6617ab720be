package delegation_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/jose"
)

func chainCases(t *testing.T) (all []wanted) {
	server := []jose.PublicKey{signer("server").Public()}
	add := func(id, comment string, chain []string, want any) {
		all = append(all, wanted{"chain-" + id, comment, delegationCase{Chain: chain, Keys: server}, want})
	}
	three := links(chain(t, 3)...)
	add("passkey", "one link, signed with a passkey", three[:1], ok(1))
	add("three", "a person and two agents", three, ok(3))
	add("eight", "as long as it can be", links(chain(t, 8)...), ok(8))
	root := rootStatement()
	add("key", "one link, signed with a person's registered key", links(countersigned(t, signed(t, root, "priya's laptop"), jwk("priya's laptop"))), ok(1))
	attested := delegation.DelegatorKey{Attested: &delegation.Attestation{Method: "oidc", Issuer: "https://idp.example", AuthTime: begin - 60, ACR: "urn:attorn:acr:2"}}
	unsigned := delegation.Signed{Statement: root, Signature: delegation.Signature{Type: delegation.ByAttested}}
	add("attested", "one link, attested by the server", links(countersigned(t, unsigned, attested)), ok(1))

	broken, invalid := refused("chain_broken"), refused("signature_invalid")
	for _, l := range otherPasskeys(t, root) {
		add("passkey-"+l.name, "one link, signed with a passkey: "+l.name, links(l.link), ok(1))
		add("passkey-"+l.name+"-bit", "a bit of its signature changed", []string{forge(t, delegation.TypeCountersigned, damaged(l.link))}, invalid)
	}
	add("none", "no link", []string{}, broken)
	add("nine", "one link too many", links(chain(t, 9)...), broken)
	add("no-root", "the root left out", three[1:], broken)
	add("gap", "the middle left out", []string{three[0], three[2]}, broken)
	add("order", "out of order", []string{three[0], three[2], three[1]}, broken)
	add("twice", "a link twice", []string{three[0], three[1], three[1]}, broken)
	for i := range three {
		changed := append([]string{}, three...)
		changed[i] = flipLast(three[i])
		add("countersignature-"+string(rune('0'+i)), "a bit of a countersignature changed", changed, invalid)
		changed = append([]string{}, three...)
		changed[i] = resign(t, chain(t, 3)[i])
		add("server-"+string(rune('0'+i)), "a link of another server", changed, refused("key_unknown"))
	}
	for i, l := range chain(t, 3) {
		changed := append([]string{}, three...)
		changed[i] = forge(t, delegation.TypeCountersigned, damaged(l))
		add("signature-"+string(rune('0'+i)), "the server vouches for a signature that does not verify", changed, invalid)
	}
	return append(all, forgedCases(t, server)...)
}

// namedLink is a link by a passkey of an algorithm.
type namedLink struct {
	name string
	link delegation.Link
}

// otherPasskeys are links of a root that passkeys of the other two algorithms signed.
func otherPasskeys(t *testing.T, root delegation.Statement) (all []namedLink) {
	cryptotest.SetGlobalRandom(t, 2) // for the RSA key
	challenge := must(root.Digest())
	ed, edCOSE := edKey()
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, c := range []struct {
		name string
		cose []byte
		a    *delegation.Assertion
	}{
		{"eddsa", edCOSE, wholeParts(challenge).sign(t, ed, 0)},
		{"rs256", rsaCOSE(key.N.Bytes(), []byte{1, 0, 1}), wholeParts(challenge).sign(t, key, crypto.SHA256)},
	} {
		credential := must(delegation.ParseCOSE(c.cose))
		sd := delegation.Signed{Statement: root, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: c.a}}
		l := countersigned(t, sd, delegation.DelegatorKey{Passkey: &delegation.Passkey{Key: credential, RPID: theRP, Origin: theIssuer}})
		all = append(all, namedLink{c.name, l})
	}
	return all
}

// forgedCases hold links that a server signed and no honest one would.
func forgedCases(t *testing.T, server []jose.PublicKey) (all []wanted) {
	l := chain(t, 2)
	add := func(id, comment, code string, links ...string) {
		all = append(all, wanted{"forged-" + id, comment, delegationCase{Chain: links, Keys: server}, refused(code)})
	}
	link := func(change func(p map[string]any)) string {
		p := members(l[0])
		change(p)
		return forge(t, delegation.TypeCountersigned, p)
	}
	other, key := byPasskey(t, repurpose(rootStatement()), "priya")
	add("passkey-statement", "the passkey signed another statement", "passkey_challenge", link(func(p map[string]any) { p["signature"] = other.Signature }))
	add("passkey-party", "the passkey is of another relying party", "passkey_rp", link(func(p map[string]any) {
		p["delegator"] = map[string]any{"passkey": map[string]any{"cose": key.Passkey.Key, "rp_id": "attorn2.example", "origin": theIssuer}}
	}))
	add("passkey-origin", "the passkey was used at another origin", "passkey_origin", link(func(p map[string]any) {
		p["delegator"] = map[string]any{"passkey": map[string]any{"cose": key.Passkey.Key, "rp_id": theRP, "origin": "https://attorn2.example"}}
	}))
	add("key-kind", "a passkey's signature under a JWK", "key_mismatch", link(func(p map[string]any) { p["delegator"] = jwk("priya's laptop") }))
	add("two-keys", "two keys", "key_mismatch", link(func(p map[string]any) {
		p["delegator"] = map[string]any{"passkey": key.Passkey, "jwk": signer("priya's laptop").Public()}
	}))
	add("no-key", "no key", "key_mismatch", link(func(p map[string]any) { p["delegator"] = map[string]any{} }))
	add("agent-key", "an agent's statement under another key than its instance", "key_mismatch", l[0].String(), agentLink(t, l[1], "release-bot's twin"))
	attested := map[string]any{"attested": map[string]any{"method": "oidc", "issuer": "https://idp.example", "auth_time": begin, "acr": ""}}
	add("agent-attested", "an agent's statement attested", "key_mismatch", l[0].String(), forge(t, delegation.TypeCountersigned,
		map[string]any{"statement": l[1].Statement, "signature": map[string]any{"type": "attested"}, "delegator": attested, "at": l[1].At, "rev": l[1].Rev}))
	add("attested-empty", "an attestation that says nothing", "statement_invalid", link(func(p map[string]any) {
		p["signature"] = map[string]any{"type": "attested"}
		p["delegator"] = map[string]any{"attested": map[string]any{"method": "", "issuer": "", "auth_time": 0, "acr": ""}}
	}))
	add("signature-type", "a type that is none", "signature_malformed", link(func(p map[string]any) { p["signature"] = map[string]any{"type": "none"} }))
	add("signature-empty", "a passkey's signature without an assertion", "signature_malformed", link(func(p map[string]any) { p["signature"] = map[string]any{"type": "passkey"} }))
	object := must(jose.Sign("attorn-object+jws", must(rootStatement().Bytes()), signer("priya's laptop")))
	add("signature-typ", "the delegator signed it as another kind of object", "typ_wrong", link(func(p map[string]any) {
		p["delegator"] = jwk("priya's laptop")
		p["signature"] = delegation.Signature{Type: delegation.ByJWS, JWS: headless(object)}
	}))
	add("signature-whole", "a signature with a payload of its own", "malformed", link(func(p map[string]any) {
		p["delegator"] = jwk("priya's laptop")
		p["signature"] = delegation.Signature{Type: delegation.ByJWS, JWS: object}
	}))
	add("unknown", "an unknown member", "malformed", link(func(p map[string]any) { p["note"] = "" }))
	add("no-rev", "no log position", "not_canonical", link(func(p map[string]any) { delete(p, "rev") }))
	add("at-0", "no time", "statement_invalid", link(func(p map[string]any) { p["at"] = 0 }))
	add("rule", "a statement that breaks a rule", "statement_invalid", link(func(p map[string]any) {
		st := rootStatement()
		st.MaxDepth = 9
		p["statement"] = st
	}))
	add("space", "a payload that is not canonical", "not_canonical", must(jose.Sign(delegation.TypeCountersigned, append(must(jose.Canonical(members(l[0]))), ' '), signer("server"))))
	add("own-form", "a lender's own form is no link", "typ_wrong", must(delegation.Encode(signed(t, rootStatement(), "priya's laptop"))))
	return append(all, wideningCases(t, server)...)
}

// wideningCases are chains whose every signature holds.
func wideningCases(t *testing.T, server []jose.PublicKey) (all []wanted) {
	add := func(id, comment, code string, at int, change func(s *delegation.Statement)) {
		st, by := rootStatement(), "release-bot"
		sd, key := byPasskey(t, st, "priya")
		links := []string{countersigned(t, sd, key).String()}
		for i := 1; i <= 3; i++ {
			to := string(rune('a' + i))
			st = childStatement(t, st, by, to)
			if i == at {
				change(&st)
			}
			links = append(links, countersigned(t, signed(t, st, by), jwk(by)).String())
			by = to
		}
		all = append(all, wanted{"widening-" + id, comment, delegationCase{Chain: links, Keys: server}, refused(code)})
	}
	type st = *delegation.Statement
	add("first", "the first child is lent more", "widens", 1, func(s st) { s.Permissions = append(s.Permissions, allow("tool:files:delete")) })
	add("second", "the second child is lent more", "widens", 2, func(s st) { s.Permissions = append(s.Permissions, allow("tool:files:read_file")) })
	add("last", "the last child may be lent on further", "widens", 3, func(s st) { s.MaxDepth++ })
	add("later", "the second child lives longer", "widens", 2, func(s st) { s.ExpiresAt++ })
	add("uses", "the last child has more uses", "widens", 3, func(s st) { s.MaxUses = new(int64(11)) })
	add("task", "the first child is for another task", "widens", 1, func(s st) { s.Task = "REL-482" })
	add("workspace", "the second child is of another workspace", "chain_broken", 2, func(s st) { s.Workspace = workspace("other") })
	return all
}

// members is the payload of a link, to be changed.
func members(l delegation.Link) map[string]any {
	return map[string]any{"statement": l.Statement, "signature": l.Signature, "delegator": l.Delegator, "at": l.At, "rev": l.Rev}
}

// damaged is the payload of a link with a bit of the delegator's signature changed.
func damaged(l delegation.Link) map[string]any {
	p := members(l)
	if a := l.Signature.Passkey; a != nil {
		changed := *a
		changed.Signature = append(delegation.Bytes{}, a.Signature...)
		changed.Signature[len(changed.Signature)-1] ^= 1
		p["signature"] = delegation.Signature{Type: delegation.ByPasskey, Passkey: &changed}
		return p
	}
	p["signature"] = delegation.Signature{Type: delegation.ByJWS, JWS: flipLast(l.Signature.JWS)}
	return p
}

// agentLink is a link whose delegator's key is that of another name, and its signature made with it.
func agentLink(t *testing.T, l delegation.Link, name string) string {
	t.Helper()
	compact := must(jose.Sign(delegation.TypeStatement, must(l.Statement.Bytes()), signer(name)))
	p := members(l)
	p["signature"] = delegation.Signature{Type: delegation.ByJWS, JWS: headless(compact)}
	p["delegator"] = jwk(name)
	return forge(t, delegation.TypeCountersigned, p)
}

// headless is a compact JWS without its payload.
func headless(compact string) string {
	return compact[:strings.IndexByte(compact, '.')] + "." + compact[strings.LastIndexByte(compact, '.'):]
}

// resign is the link countersigned by another server.
func resign(t *testing.T, l delegation.Link) string {
	t.Helper()
	again, err := delegation.Countersign(l.Signed, l.Delegator, at(begin), l.Rev, signer("another server"))
	if err != nil {
		t.Fatal(err)
	}
	return again.String()
}
