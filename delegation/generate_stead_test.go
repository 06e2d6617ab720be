package delegation_test

import (
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// steadStatement is what the server lends under parent to whom its may_act names, for five minutes.
func steadStatement(t *testing.T, parent delegation.Statement) delegation.Statement {
	return adopt(t, parent, delegation.Statement{
		Version: 1, ID: delegationOf(7), Issuer: parent.Issuer, Workspace: parent.Workspace, Delegator: parent.Delegator,
		Delegate: delegation.Delegate{Agent: parent.MayAct}, Permissions: parent.Permissions, NotBefore: begin + 60, ExpiresAt: begin + 360, Task: parent.Task,
	})
}

func withMayAct() delegation.Statement {
	s := rootStatement()
	s.MayAct = agentOf("deployer")
	return s
}

// steadCases are about what is lent in a delegate's stead (RFC 8693 §4.4).
func steadCases(t *testing.T) (all []wanted) {
	type st = *delegation.Statement
	add := func(id, comment string, want any, change func(parent, child st)) {
		parent := withMayAct()
		child := steadStatement(t, parent)
		adopted := child.Parent
		change(&parent, &child)
		if child.Parent == adopted {
			child = adopt(t, parent, child)
		}
		all = append(all, wanted{id, comment, narrowCase{parent, child}, want})
	}
	yes, wide, broken, bad := ok(true), refused("widens"), refused("chain_broken"), refused("statement_invalid")
	add("stead", "in the delegate's stead, to whom the parent's may_act names", yes, func(_, _ st) {})
	add("stead-no-depth", "it takes no depth: it is not lent on", yes, func(p, _ st) { p.MaxDepth = 0 })
	add("stead-nobody", "the parent names nobody", broken, func(p, _ st) { p.MayAct = id.Agent{} })
	add("stead-other", "to another agent than the parent names", broken, func(_, c st) { c.Delegate.Agent = agentOf("bystander") })
	add("stead-delegate", "to the parent's own delegate", broken, func(p, c st) { c.Delegate.Agent = p.Delegate.Agent })
	add("stead-person", "by another person", broken, func(_, c st) { c.Delegator.User = maya })
	add("stead-workspace", "of another workspace", broken, func(_, c st) { c.Workspace = workspace("other") })
	add("stead-parent", "names another parent", broken, func(p, c st) {
		other := *p
		other.Purpose = "another"
		*c = adopt(t, other, *c)
	})
	add("stead-stead", "under what was lent in a stead itself", broken, func(p, c st) {
		*p = steadStatement(t, *p)
		c.NotBefore, c.ExpiresAt = p.NotBefore, p.ExpiresAt
	})
	add("stead-agent", "under an agent's statement", broken, func(p, _ st) { *p = childStatement(t, *p, "release-bot", "bystander") })
	add("permissions-stead", "a permission that the parent has not", wide, func(_, c st) { c.Permissions = append(c.Permissions, allow("tool:files:delete")) })
	add("time-stead", "ends after the parent", wide, func(_, c st) { c.ExpiresAt = begin + 7201 })
	add("task-stead", "for another task", wide, func(_, c st) { c.Task = "REL-482" })
	add("stead-depth", "may be lent on", bad, func(_, c st) { c.MaxDepth = 1 })
	add("stead-uses", "has a limit of its own", bad, func(_, c st) { c.MaxUses = new(int64(1)) })
	add("stead-instance", "binds an instance", bad, func(_, c st) { c.Delegate.Instance = instance("deployer") })
	add("stead-may-act", "names somebody further", bad, func(_, c st) { c.MayAct = agentOf("bystander") })
	add("may-act-agent", "an agent says who may act", bad, func(p, c st) {
		*c = childStatement(t, *p, "release-bot", "deployer")
		c.MayAct = agentOf("bystander")
	})
	return all
}

// mayActRules are about statements that say who else may act.
func mayActRules(t *testing.T) (all []wanted) {
	add := func(name, comment, code string, s delegation.Statement) {
		b := must(jose.Canonical(s))
		want := refused(code)
		if code == "" {
			want = ok(id.Sum(b).String())
		}
		all = append(all, wanted{"rule-may-act" + name, comment, delegationCase{Statement: string(b)}, want})
	}
	add("", "another agent may act", "", withMayAct())
	self := withMayAct()
	self.MayAct = self.Delegate.Agent
	add("-itself", "the delegate may act in its own stead", "statement_invalid", self)
	child := childStatement(t, withMayAct(), "release-bot", "deployer")
	child.MayAct = agentOf("bystander")
	add("-agent", "an agent says who may act", "statement_invalid", child)
	add("-stead", "what is lent in a stead", "", steadStatement(t, withMayAct()))
	return all
}

// steadChains are chains whose last link the server lent on what a token's may_act says.
func steadChains(t *testing.T) (all []wanted) {
	server := []jose.PublicKey{signer("server").Public()}
	root := withMayAct()
	first := countersigned(t, signed(t, root, "priya's laptop"), jwk("priya's laptop"))
	st := steadStatement(t, root)
	unsigned := delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByAttested}}
	attested := func(change func(a *delegation.Attestation)) delegation.DelegatorKey {
		a := delegation.Attestation{
			Method: delegation.ByMayAct, Issuer: theIssuer, AuthTime: begin - 60, ACR: "urn:attorn:acr:3",
			Token: &delegation.TokenRef{ID: "t-1", SHA256: id.Sum([]byte("a token")), JKT: instance("release-bot")},
		}
		change(&a)
		return delegation.DelegatorKey{Attested: &a}
	}
	add := func(id, comment string, want any, by any, signature any, statement delegation.Statement) {
		last := forge(t, delegation.TypeCountersigned, map[string]any{"statement": statement, "signature": signature, "delegator": by, "at": first.At + 1, "rev": first.Rev + 1})
		all = append(all, wanted{"stead-" + id, comment, delegationCase{Chain: append(links(first), last), Keys: server}, want})
	}
	none := func(*delegation.Attestation) {}
	mismatch, invalid := refused("key_mismatch"), refused("statement_invalid")
	add("attested", "attested on a token", ok(2), attested(none), unsigned.Signature, st)
	add("unsaid", "the token does not say when the person signed in", ok(2), attested(func(a *delegation.Attestation) { a.AuthTime, a.ACR = 0, "" }), unsigned.Signature, st)
	add("no-token", "attested as a sign-in", mismatch, attested(func(a *delegation.Attestation) { a.Method, a.Token = "oidc", nil }), unsigned.Signature, st)
	add("token-missing", "on a token that is not named", mismatch, attested(func(a *delegation.Attestation) { a.Token = nil }), unsigned.Signature, st)
	add("method", "by another method, with a token", invalid, attested(func(a *delegation.Attestation) { a.Method = "oidc" }), unsigned.Signature, st)
	add("token-empty", "on a token without a name", invalid, attested(func(a *delegation.Attestation) { a.Token.ID = "" }), unsigned.Signature, st)
	add("token-unbound", "on a token without a key", refused("malformed"), map[string]any{"attested": map[string]any{
		"method": "may_act", "issuer": theIssuer, "auth_time": begin, "acr": "", "token": map[string]any{"jti": "t-1", "sha256": id.Sum(nil), "jkt": ""},
	}}, unsigned.Signature, st)
	own := signed(t, st, "priya's laptop")
	add("signed", "the person signed it with a key", mismatch, jwk("priya's laptop"), own.Signature, st)
	other := st
	other.Delegate.Agent = agentOf("bystander")
	add("other", "to another agent than may act", refused("chain_broken"), attested(none), unsigned.Signature, other)
	rootOnToken := forge(t, delegation.TypeCountersigned, map[string]any{
		"statement": root, "signature": unsigned.Signature, "delegator": attested(none), "at": first.At, "rev": first.Rev,
	})
	return append(all, wanted{"stead-root", "a root that is attested on a token", delegationCase{Chain: []string{rootOnToken}, Keys: server}, mismatch})
}
