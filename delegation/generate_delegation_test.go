package delegation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

// A case of kind "delegation" reads one of:
//   - statement, a text; ok is its digest;
//   - token, a compact JWS; where key is given the delegator's signature is verified with it; ok is the form, "link" or "own", and the id;
//   - chain, compact links with the root first, verified with keys alone; ok is the number of links.
type delegationCase struct {
	Statement string                   `json:"statement,omitzero"`
	Token     *vectors.JWS             `json:"token,omitzero"`
	Key       *delegation.DelegatorKey `json:"key,omitzero"`
	Chain     []string                 `json:"chain,omitzero"`
	Keys      []jose.PublicKey         `json:"keys,omitzero"`
}

type tokenAnswer struct {
	Form string        `json:"form"`
	ID   id.Delegation `json:"id"`
}

func TestVectorsDelegation(t *testing.T) {
	run(t, "delegation", func(in delegationCase) (any, error) {
		switch {
		case in.Token != nil:
			return readToken(in)
		case in.Chain != nil:
			return verifyChain(in)
		}
		st, err := delegation.ParseStatement([]byte(in.Statement))
		if err != nil {
			return nil, err
		}
		return st.Digest()
	})
}

func readToken(in delegationCase) (any, error) {
	text, err := in.Token.Text()
	if err != nil {
		return nil, err
	}
	sd, link, err := delegation.ParseToken(text)
	if err != nil {
		return nil, err
	}
	form := "own"
	if link != nil {
		form = "link"
	}
	if in.Key != nil {
		err = delegation.VerifySignature(sd, *in.Key)
	}
	return tokenAnswer{form, sd.Statement.ID}, err
}

func verifyChain(in delegationCase) (any, error) {
	var chain []delegation.Link
	for _, text := range in.Chain {
		l, err := delegation.ParseLink(text)
		if err != nil {
			return nil, err
		}
		chain = append(chain, l)
	}
	return len(chain), delegation.VerifyChain(chain, func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range in.Keys {
			if k.Thumbprint() == kid {
				return k, true
			}
		}
		return jose.PublicKey{}, false
	})
}

func delegationCases(t *testing.T) []wanted {
	all := append(statementCases(t), statementRuleCases(t)...)
	all = append(all, tokenCases(t)...)
	all = append(all, chainCases(t)...)
	return slices.Concat(all, mayActRules(t), steadChains(t))
}

// statementCases are about bytes: each changes the text of a whole statement.
func statementCases(t *testing.T) (all []wanted) {
	root := string(must(rootStatement().Bytes()))
	child := string(must(childStatement(t, rootStatement(), "release-bot", "deployer").Bytes()))
	add := func(id, comment, text string, want any) {
		all = append(all, wanted{"statement-" + id, comment, delegationCase{Statement: text}, want})
	}
	swap := func(id, comment, old, new, code string) {
		if !strings.Contains(root, old) {
			t.Fatalf("%s: %q is not there", id, old)
		}
		add(id, comment, strings.Replace(root, old, new, 1), refused(code))
	}
	add("root", "a person lends", root, ok(id.Sum([]byte(root)).String()))
	add("child", "an agent lends on", child, ok(id.Sum([]byte(child)).String()))
	swap("space", "white space between members", `,"delegator"`, `, "delegator"`, "not_canonical")
	swap("newline", "a newline at the end", `"ws":"default"}`, `"ws":"default"}`+"\n", "not_canonical")
	swap("order", "members in another order", `"v":1,"ws":"default"}`, `"ws":"default","v":1}`, "not_canonical")
	swap("escape", "a letter escaped", `Ship`, `\u0053hip`, "not_canonical")
	swap("slash", "a slash escaped", `https://`, `https:\/\/`, "not_canonical")
	swap("float", "a float", `"max_uses":100`, `"max_uses":100.5`, "malformed")
	swap("point", "an integer written as a float", `"max_uses":100`, `"max_uses":100.0`, "malformed")
	swap("exponent", "an integer written with an exponent", `"max_uses":100`, `"max_uses":1e2`, "malformed")
	swap("minus-zero", "-0", `"max_depth":7`, `"max_depth":-0`, "not_canonical")
	swap("string-number", "a number as a string", `"max_depth":7`, `"max_depth":"7"`, "malformed")
	swap("unknown", "an unknown member", `"v":1`, `"v":1,"weight":1`, "malformed")
	swap("case", "a member in another case", `"task"`, `"Task"`, "malformed")
	swap("twice", "a member twice", `"v":1`, `"v":1,"v":1`, "malformed")
	swap("twice-deep", "a member twice, deeper down", `"prefix":"staging/"`, `"prefix":"staging/","prefix":"/"`, "malformed")
	swap("no-parent", "parent left out instead of null", `,"parent":null`, ``, "not_canonical")
	swap("task-empty", "an empty task written out", `"task":"REL-481"`, `"task":""`, "not_canonical")
	swap("uses-null", "an absent member written as null", `"max_uses":100`, `"max_uses":null`, "not_canonical")
	swap("where-empty", "no constraints written out", `"permission":"tool:files:read_*"`, `"permission":"tool:files:read_*","where":{}`, "not_canonical")
	swap("instance-empty", "an empty instance", `"instance":"`+instance("release-bot").String()+`"`, `"instance":""`, "malformed")
	swap("agent-form", "an agent of another form", `agt_`, `AGT_`, "malformed")
	swap("user-as-agent", "a user where an agent stands", agentOf("r").String(), priya.String(), "malformed")
	swap("trailing", "something after the statement", `"ws":"default"}`, `"ws":"default"}{}`, "malformed")
	swap("surrogate", "a lone surrogate", `Ship`, `\ud800`, "malformed")
	add("bom", "a byte order mark", "\ufeff"+root, refused("malformed"))
	add("empty", "no bytes", "{}", refused("not_canonical"))
	add("array", "not an object", "["+root+"]", refused("malformed"))
	add("large", "more than 8 KiB", root+strings.Repeat(" ", delegation.MaxBytes), refused("too_large"))
	return all
}

// statementRuleCases are about Check: canonical bytes of a statement that breaks one rule, or just keeps it.
func statementRuleCases(t *testing.T) (all []wanted) {
	type st = *delegation.Statement
	add := func(name, comment, code string, change func(s st)) {
		s := rootStatement()
		change(&s)
		b := must(jose.Canonical(s))
		want := refused(code)
		if code == "" {
			want = ok(id.Sum(b).String())
		}
		all = append(all, wanted{"rule-" + name, comment, delegationCase{Statement: string(b)}, want})
	}
	const bad = "statement_invalid"
	add("version", "another version", bad, func(s st) { s.Version = 2 })
	add("issuer-path", "an issuer with a path", "", func(s st) { s.Issuer = "https://example.com/attorn" })
	add("issuer-http", "an issuer on this machine", "", func(s st) { s.Issuer = "http://localhost:7070" })
	add("issuer-empty", "no issuer", bad, func(s st) { s.Issuer = "" })
	add("issuer-host", "an issuer without a host", bad, func(s st) { s.Issuer = "https:///x" })
	add("issuer-scheme", "an issuer of another scheme", bad, func(s st) { s.Issuer = "file://x/" })
	add("issuer-user", "an issuer with a user", bad, func(s st) { s.Issuer = "https://a@example.com" })
	add("issuer-query", "an issuer with a query", bad, func(s st) { s.Issuer = "https://example.com/?a" })
	add("issuer-fragment", "an issuer with a fragment", bad, func(s st) { s.Issuer = "https://example.com/#a" })
	add("issuer-long", "an issuer of 256 bytes", bad, func(s st) { s.Issuer = "https://example.com/" + strings.Repeat("a", 236) })
	add("nobody", "neither user nor agent lends", bad, func(s st) { s.Delegator = delegation.Delegator{} })
	add("both", "user and agent lend", bad, func(s st) { s.Delegator.Agent, s.Delegator.Instance = agentOf("bystander"), instance("x") })
	add("user-instance", "a user with an instance", bad, func(s st) { s.Delegator.Instance = instance("x") })
	add("user-parent", "a user's statement with a parent", bad, func(s st) { s.Parent = new(id.Sum(nil)) })
	add("agent-root", "an agent's statement without a parent", bad, func(s st) {
		s.Delegator = delegation.Delegator{Agent: agentOf("bystander"), Instance: instance("x")}
	})
	add("agent-no-instance", "an agent without the instance that signs", bad, func(s st) {
		s.Delegator, s.Parent = delegation.Delegator{Agent: agentOf("bystander")}, new(id.Sum(nil))
	})
	add("itself", "an agent that lends to itself", bad, func(s st) {
		s.Delegator, s.Parent = delegation.Delegator{Agent: s.Delegate.Agent, Instance: instance("x")}, new(id.Sum(nil))
	})
	add("any-instance", "lent to every instance of an agent", "", func(s st) { s.Delegate = delegation.Delegate{Agent: s.Delegate.Agent} })
	add("second", "a lifetime of one second", "", func(s st) { s.ExpiresAt = s.NotBefore + 1 })
	add("no-time", "ends as it begins", bad, func(s st) { s.ExpiresAt = s.NotBefore })
	add("backwards", "ends before it begins", bad, func(s st) { s.ExpiresAt = s.NotBefore - 1 })
	add("366-days", "366 days", "", func(s st) { s.ExpiresAt = s.NotBefore + 366*86400 })
	add("366-days-1", "a second more than 366 days", bad, func(s st) { s.ExpiresAt = s.NotBefore + 366*86400 + 1 })
	add("before-1970", "begins before 1970", bad, func(s st) { s.NotBefore = -1; s.ExpiresAt = 1 })
	add("year-10000", "ends after the year 9999", bad, func(s st) { s.NotBefore, s.ExpiresAt = 253402300799, 253402300800 })
	add("depth-8", "eight hops may follow", "", func(s st) { s.MaxDepth = 8 })
	add("depth-9", "nine hops may follow", bad, func(s st) { s.MaxDepth = 9 })
	add("depth-negative", "a negative number of hops", bad, func(s st) { s.MaxDepth = -1 })
	add("uses-none", "no limit of uses", "", func(s st) { s.MaxUses = nil })
	add("uses-0", "no use", bad, func(s st) { s.MaxUses = new(int64(0)) })
	add("uses-most", "a thousand million uses", "", func(s st) { s.MaxUses = new(int64(1_000_000_000)) })
	add("uses-more", "one use more", bad, func(s st) { s.MaxUses = new(int64(1_000_000_001)) })
	add("task-128", "a task of 128 bytes", "", func(s st) { s.Task = strings.Repeat("t", 128) })
	add("task-129", "a task of 129 bytes", bad, func(s st) { s.Task = strings.Repeat("t", 129) })
	add("task-newline", "a newline in a task", bad, func(s st) { s.Task = "REL-481\n" })
	add("purpose-none", "neither task nor purpose", "", func(s st) { s.Task, s.Purpose = "", "" })
	add("purpose-500", "a purpose of 500 bytes", "", func(s st) { s.Purpose = strings.Repeat("ä", 250) })
	add("purpose-501", "a purpose of 501 bytes", bad, func(s st) { s.Purpose = strings.Repeat("p", 501) })
	add("purpose-bidi", "a bidirectional override in a purpose", bad, func(s st) { s.Purpose = "read \u202eetirw" })
	add("purpose-isolate", "a bidirectional isolate in a purpose", bad, func(s st) { s.Purpose = "read \u2066write" })
	add("purpose-line", "a line separator in a purpose", bad, func(s st) { s.Purpose = "read\u2028write" })
	add("purpose-c1", "a control character of the second block", bad, func(s st) { s.Purpose = "read\u0085write" })
	add("permissions-0", "no permission", bad, func(s st) { s.Permissions = []delegation.Permission{} })
	add("permissions-64", "64 permissions", "", func(s st) { s.Permissions = repeat(64) })
	add("permissions-65", "65 permissions", bad, func(s st) { s.Permissions = repeat(65) })
	add("permission", "a permission outside the grammar", "permission_invalid", func(s st) { s.Permissions = append(s.Permissions, allow("tool:*x")) })
	add("constraint", "a constraint that can never hold", "permission_invalid", func(s st) {
		s.Permissions = append(s.Permissions, under("tool:x", "path", "a//"))
	})
	return all
}

func repeat(n int) (ps []delegation.Permission) {
	for range n {
		ps = append(ps, allow("tool:files:read"))
	}
	return ps
}

func tokenCases(t *testing.T) (all []wanted) {
	st := childStatement(t, rootStatement(), "release-bot", "deployer")
	own, body := must(delegation.Encode(signed(t, st, "release-bot"))), string(must(st.Bytes()))
	sd, passkeyOf := byPasskey(t, rootStatement(), "priya")
	link := countersigned(t, sd, passkeyOf)
	add := func(id, comment, text string, key *delegation.DelegatorKey, want any) {
		all = append(all, wanted{"token-" + id, comment, delegationCase{Token: &vectors.JWS{Compact: text}, Key: key}, want})
	}
	header := func(id, comment, header, payload, code string) {
		seed := vectorSeed("release-bot")
		all = append(all, wanted{"token-" + id, comment, delegationCase{Token: &vectors.JWS{Header: header, Payload: payload, Ed25519: seed}}, refused(code)})
	}
	keyOf := func(name string) *delegation.DelegatorKey { return new(jwk(name)) }
	kid := instance("release-bot").String()
	good := `{"alg":"EdDSA","kid":"` + kid + `","typ":"attorn-delegation+jws"}`

	add("own", "the lender's own form", own, nil, ok(tokenAnswer{"own", st.ID}))
	add("own-verified", "its signature, with the lender's key", own, keyOf("release-bot"), ok(tokenAnswer{"own", st.ID}))
	add("own-other-key", "another key than the instance that lends", own, keyOf("release-bot's twin"), refused("key_mismatch"))
	add("own-passkey", "an agent has no passkey", own, &passkeyOf, refused("key_mismatch"))
	add("own-user", "a person's registered key", must(delegation.Encode(signed(t, rootStatement(), "priya's laptop"))), keyOf("priya's laptop"), ok(tokenAnswer{"own", delegationOf(0)}))
	add("own-user-other", "another person's key", must(delegation.Encode(signed(t, rootStatement(), "priya's laptop"))), keyOf("maya's laptop"), refused("key_mismatch"))
	add("own-bit", "a bit of the signature changed", flipLast(own), keyOf("release-bot"), refused("signature_invalid"))
	add("link", "the server's form", link.String(), nil, ok(tokenAnswer{"link", delegationOf(0)}))
	add("link-verified", "the signature in it", link.String(), &passkeyOf, ok(tokenAnswer{"link", delegationOf(0)}))
	add("link-other-passkey", "another person's passkey", link.String(), new(second(byPasskey(t, rootStatement(), "maya"))), refused("signature_invalid"))
	add("other-signature", "the signature of another statement", splice(own, must(delegation.Encode(signed(t, repurpose(st), "release-bot")))), keyOf("release-bot"), refused("signature_invalid"))
	loose := members(link)
	wide := rootStatement()
	wide.MaxDepth = 9
	loose["statement"] = wide
	add("link-rule", "a link with a statement that breaks a rule", forge(t, delegation.TypeCountersigned, loose), nil, refused("statement_invalid"))
	add("four-parts", "four parts", own+".", nil, refused("malformed"))
	add("padding", "padding", own+"=", nil, refused("malformed"))
	add("detached", "without its payload", headless(own), nil, refused("malformed"))
	add("large", "more than 16 KiB", own+strings.Repeat("A", delegation.MaxToken), nil, refused("too_large"))
	add("empty", "no bytes", ".", nil, refused("malformed"))
	header("typ-missing", "no typ", `{"alg":"EdDSA","kid":"`+kid+`"}`, body, "typ_wrong")
	header("typ-jwt", "another typ", strings.Replace(good, "attorn-delegation+jws", "JWT", 1), body, "typ_wrong")
	header("typ-case", "typ in another case", strings.Replace(good, "attorn-d", "Attorn-d", 1), body, "typ_wrong")
	header("typ-swapped", "a statement under the server's typ", strings.Replace(good, "attorn-delegation", "attorn-countersign", 1), body, "malformed")
	header("alg-none", "alg none", strings.Replace(good, "EdDSA", "none", 1), body, "alg_unsupported")
	header("alg-rs256", "RS256 is for passkeys alone", strings.Replace(good, "EdDSA", "RS256", 1), body, "alg_unsupported")
	header("crit", "crit", strings.Replace(good, `{`, `{"crit":["b64"],`, 1), body, "malformed")
	header("payload-space", "a payload that is not canonical", good, " "+body, "not_canonical")
	header("payload-unknown", "an unknown member in the payload", good, strings.Replace(body, `"v":1`, `"v":1,"x":1`, 1), "malformed")
	header("payload-rule", "a statement that breaks a rule", good, strings.Replace(body, `"v":1`, `"v":3`, 1), "statement_invalid")
	return all
}

// repurpose is the statement with another purpose, so that its bytes and signature are others.
func repurpose(st delegation.Statement) delegation.Statement {
	st.Purpose = "something else"
	return st
}

func vectorSeed(name string) string {
	sum := id.Sum([]byte(name)).Bytes()
	return jose.EncodeBase64(sum[:])
}

// splice gives a with the signature of b.
func splice(a, b string) string {
	return a[:strings.LastIndexByte(a, '.')] + b[strings.LastIndexByte(b, '.'):]
}

// flipLast changes a bit in the middle of the last part of a compact JWS.
func flipLast(compact string) string {
	i := len(compact) - 20
	c := byte('A')
	if compact[i] == c {
		c = 'B'
	}
	return compact[:i] + string(c) + compact[i+1:]
}

func second[A, B any](_ A, b B) B { return b }
