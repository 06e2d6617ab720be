package guard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// partnerLife is for how long at most another server's word makes a key an instance: nobody tells us if it ends there before.
const partnerLife = time.Hour

// PartnerProof is what another server's agent shows of itself: its server's word, and the key that this word is about.
type PartnerProof struct {
	Credentials        // of the DPoP proof by that key
	Token       string // an access token of its server's, for this server; or
	Chain       string // what it was lent there, as token.ParseChain reads it
	Workspace   id.Workspace
	Agent       id.Agent // as which it wants to act here, where several rules may match; zero: the only one
}

// foreign reads what is shown, and whose word it says it is; nothing is verified yet.
func (p PartnerProof) foreign() (f token.Foreign, issuer string, err error) {
	if p.Token != "" {
		var c struct {
			Iss string `json:"iss"`
		}
		j, err := jose.Parse(p.Token, 0)
		if err == nil {
			err = jose.DecodeForeign(j.Payload, &c, jose.Limits{})
		}
		return token.Foreign{Token: p.Token}, c.Iss, err
	}
	links, err := token.ParseChain([]byte(p.Chain))
	if err != nil {
		return f, "", err
	}
	return token.Foreign{Chain: links}, links[0].Statement.Issuer, nil
}

// word is another server's, believed by a rule.
type word struct {
	token.Shown
	bytes []byte // of the token.Foreign
	rule  lending.Issuer
	chain bool
}

// PartnerToken issues a token to an agent of another server that a rule of the workspace trusts: for the agent that the rule names, under the delegation that it
// names or what its delegator put in its place, and of the permissions that both this delegation and the other server's word cover. It lives no longer than that word. Codes: untrusted_issuer,
// ambiguous_rule, rule_removed, key_in_use, those of AuthenticateKey, and those of a token that is refused.
func (g *Guard) PartnerToken(ctx context.Context, p PartnerProof, r TokenRequest) (Issued, WorkloadMade, error) {
	var made WorkloadMade
	key, once, raw, err := g.AuthenticateKey(p.Credentials)
	if err != nil {
		return Issued{}, made, err
	}
	w, err := g.believed(ctx, p, key)
	if err != nil {
		noted := WorkloadProof{Credentials: p.Credentials, Workspace: p.Workspace}
		return Issued{}, made, g.noteUntrusted(ctx, noted, key, once, raw, err)
	}
	until := g.Now().Add(partnerLife)
	for _, end := range []int64{w.rule.ExpiresAt, w.Ends} {
		if e := time.Unix(end, 0); e.Before(until) && (end == w.rule.ExpiresAt || w.chain) {
			until = e
		}
	}
	made.Agent, made.Instance, err = g.Agents.Live(ctx, key.Thumbprint(), g.Now())
	lasts := min(w.Ends, g.Now().Add(g.TokenTTL).Unix(), until.Unix())
	if i := made.Instance; err != nil || i.Trust != agents.Partner || i.Rule != w.rule.ID.String() || i.ExpiresAt.Unix() < lasts {
		if made.Instance, err = g.admitPartner(ctx, p, w, key, until, once, raw); err != nil {
			return Issued{}, made, err
		}
		once = nil // spent
	}
	if made.Agent, err = g.Agents.Agent(ctx, w.rule.Workspace, w.rule.Agent); err != nil {
		return Issued{}, made, err
	}
	c := &Client{id: made.Agent.ID.String(), owner: made.Agent.Owner, proven: made.Instance.Key}
	c.ws, c.agent, c.instance = w.rule.Workspace, made.Agent.ID, made.Instance.Key
	c.once, c.proof, c.proofRaw = once, evidence.ProofRef{Type: "dpop", SHA256: id.Sum(raw)}, raw
	c.ip, c.face = address(p.IP), "oauth"
	got, err := settled(func() (Issued, error) { return g.partnerToken(ctx, c, w, made.Instance, r) })
	return got, made, err
}

// believed finds the rule by which a server's word is taken. Nothing that it says is believed before a key of that server's has verified it.
func (g *Guard) believed(ctx context.Context, p PartnerProof, key jose.PublicKey) (word, error) {
	f, issuer, err := p.foreign()
	if err != nil {
		return word{}, p.untrusted(err)
	}
	rules, err := g.Lending.IssuersOf(ctx, p.Workspace, issuer)
	if err != nil {
		return word{}, err
	}
	want := token.ForeignWant{Issuer: issuer, Audience: g.Issuer, Key: key.Thumbprint(), Now: g.Now()}
	cause := error(notAcceptable("no rule of the workspace trusts its issuer"))
	verified := map[id.Digest]func() (token.Foreign, token.Shown, error){} // by where the keys are from
	var found []word
	for _, r := range rules {
		if p.Agent != r.Agent && !p.Agent.IsZero() {
			continue
		}
		source := id.Sum(fmt.Appendf(nil, "%t %s", r.AllowPrivate, r.KeySet))
		if verified[source] == nil {
			proved, err := g.proveForeign(ctx, f, r)
			var s token.Shown
			if err == nil {
				s, err = proved.Verify(want)
			}
			verified[source] = func() (token.Foreign, token.Shown, error) { return proved, s, err }
		}
		proved, s, err := verified[source]()
		if err == nil {
			err = r.Live(g.Now())
		}
		if err == nil {
			err = fleeting(f.Chain)
		}
		switch {
		case err != nil:
			cause = err
		case !slices.Contains(r.Agents, s.Actors[0]):
			cause = mismatched{notAcceptable("it is authentic, and of the agent %s there, which no rule names", s.Actors[0])}
		default:
			bytes, err := proved.Bytes()
			if err != nil {
				return word{}, err
			}
			found = append(found, word{Shown: s, bytes: bytes, rule: r, chain: p.Chain != ""})
		}
	}
	if len(found) == 0 {
		return word{}, p.untrusted(cause)
	}
	if len(found) > 1 {
		return word{}, fault.New(fault.Invalid, "ambiguous_rule", "rules of several agents trust it").Try("name the agent in client_id")
	}
	return found[0], nil
}

// untrusted is the one text for a word that is not believed, whatever the cause; what it must be like anybody may know.
func (p PartnerProof) untrusted(cause error) error {
	if err := untrusted(cause); fault.Code(err) != "untrusted_issuer" {
		return err
	}
	shown, like := "assertion", "a token of the agent's own server for this one, by which it acts for a person there"
	if p.Chain != "" {
		shown, like = "chain", "a chain whose last statement lends to this key alone, for a day at most and without a limit of uses"
	}
	return fault.Wrap(cause, fault.Unauthenticated, "untrusted_issuer", "the %s is not trusted here", shown).
		Try("show %s, and have an administrator here look whether a rule is for this agent and that server's keys: attorn issuer ls", like)
}

// maxChainLife is for how long at most the last statement of another server's chain lends, from its countersignature on. No signature shows that something was ended
// there since, but that server countersigns nothing under what has ended: so what is revoked there ends here within that time.
const maxChainLife = 24 * time.Hour

func fleeting(chain []delegation.Link) error {
	if len(chain) == 0 {
		return nil
	}
	last := chain[len(chain)-1]
	if time.Unix(last.Statement.ExpiresAt, 0).Sub(time.UnixMicro(last.At).Truncate(time.Second)) > maxChainLife {
		return notAcceptable("the chain's last statement lends for more than %s from when its server accepted it", maxChainLife)
	}
	return nil
}

// admitPartner makes the key an instance, or moves its end, and records which rule let it in, by which word. The proof is spent, whether it is admitted or not.
func (g *Guard) admitPartner(ctx context.Context, p PartnerProof, w word, key jose.PublicKey, until time.Time, once []evidence.Nonce, raw []byte) (agents.Instance, error) {
	rule, err := w.rule.Bytes()
	if err != nil {
		return agents.Instance{}, err
	}
	about := evidence.ContentOf(rule)
	d := keyDraft(w.rule.Workspace, key, once, raw, p.Credentials, evidence.InstanceEnrolled)
	d.Refusal, d.Agent = evidence.TokenRefused, w.rule.Agent
	d.Who.Sub, d.Who.Instance = w.rule.Agent.String(), key.Thumbprint()
	d.What = &evidence.What{Agent: w.rule.Agent, Instance: key.Thumbprint(), Key: &key, Status: string(agents.Partner), Rule: about.Digest}
	d.Under = &evidence.Under{Via: &w.Via}
	d.Content = append(d.Content, about, evidence.ContentOf(w.bytes))
	if ip := address(p.IP); ip != "" {
		if err := seal(&d, &d.Where.IP, w.rule.Agent.String(), "ip", ip); err != nil {
			return agents.Instance{}, err
		}
	}
	var made agents.Instance
	var cause error
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		cause = g.Lending.IssuerLives(tx, w.rule)
		if cause == nil {
			var held bool
			if held, cause = g.People.Known(tx, key.Thumbprint()); cause == nil {
				made, cause = g.Agents.AdmitPartner(tx, agents.PartnerAdmission{
					Workspace: w.rule.Workspace, Agent: w.rule.Agent, Rule: w.rule.ID, JWK: key, Until: until, Held: held,
				})
			}
		}
		if cause != nil {
			tx.Refuse(fault.Code(cause), cause.Error())
			return keepable(cause)
		}
		what := *tx.Event().What
		what.Until = made.ExpiresAt.UnixMicro()
		tx.Event().What = &what
		return nil
	})
	switch {
	case err != nil:
		return made, err
	case cause != nil:
		return made, cause
	case got.Outcome == evidence.Deny:
		return made, replayed(got.Seen)
	}
	return made, nil
}

// partnerToken is the exchange of another server's word: who answers for it here is the person at the root of the local delegation.
func (g *Guard) partnerToken(ctx context.Context, c *Client, w word, i agents.Instance, r TokenRequest) (Issued, error) {
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	prefix, aud, err := g.resource(ctx, c.ws, r.Resource)
	if err == nil && aud == g.API(c.ws) {
		err = fault.New(fault.Invalid, "unknown_resource", "agents of other servers use tools and services here, and not attorn's own API").Try("name one in resource")
	}
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	stands, err := g.standsAsOf(ctx, c.ws, c.asOf, w.rule.Agent, w.rule.Delegation)
	if err != nil {
		return Issued{}, err
	}
	sub, err := g.chainSubject(ctx, c, stands)
	if err == nil {
		err = g.fits(ctx, c, sub)
	}
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	last := sub.statements[len(sub.statements)-1]
	sub.word, sub.ends = &w, min(w.Ends, w.rule.ExpiresAt, i.ExpiresAt.Unix())
	sub.limit = w.rule.Here(w.Permissions)
	sub.rests = append(sub.rests, w.rule.ID.String())
	claims := token.Claims{
		Subject: sub.statements[0].Delegator.User.String(), Workspace: c.ws, Delegation: last.ID, Task: last.Task, Act: sub.actors(c), Via: &w.Via,
	}
	all := within(meet(last.Permissions, sub.limit), prefix)
	return g.issue(ctx, c, aud, r, all, claims, sub, func(tx *audit.Tx) error { return g.Lending.IssuerLives(tx, w.rule) })
}

// notPartner refuses what an agent of another server does not do here. Code: partner_instance.
func notPartner(i agents.Instance) error {
	if i.Trust != agents.Partner {
		return nil
	}
	return fault.New(fault.Denied, "partner_instance", "the key is that of another server's agent, which acts here with tokens for its server's word alone").
		Try("show the server's word at the token endpoint")
}
