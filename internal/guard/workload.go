package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// WorkloadProof is what a workload shows of itself: what its platform says of it, and the key that it wants to act with.
type WorkloadProof struct {
	Credentials        // of the DPoP proof by that key
	Assertion   string // of another issuer's (RFC 7523 §2.1)
	Workspace   id.Workspace
	Agent       id.Agent // which it wants to be an instance of, where several rules may match; zero: the only one
}

// WorkloadMade is the instance that a workload's key is.
type WorkloadMade struct {
	Agent    agents.Agent
	Instance agents.Instance
}

// untrusted is the one text for an unknown issuer, a forged, old or misdirected assertion, and claims that no rule matches: it tells a forger
// nothing. What it wraps is for the server's own log.
func untrusted(cause error) error {
	if f := fault.Of(cause); cause != nil && (f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable) {
		return cause
	}
	return fault.Wrap(cause, fault.Unauthenticated, "untrusted_issuer", "the assertion is not trusted here").
		Try("have an administrator test it: attorn agent trust test FILE")
}

// WorkloadToken makes the key an instance, or renews it, by the assertion of a platform that a trust rule trusts, and issues it a token as client
// credentials do. The same assertion with the same key is good again and renews nothing. Codes: untrusted_issuer, ambiguous_rule, those of
// AuthenticateKey and of agents.Admit, and those of a token that is refused.
func (g *Guard) WorkloadToken(ctx context.Context, p WorkloadProof, r TokenRequest) (Issued, WorkloadMade, error) {
	var made WorkloadMade
	key, once, raw, err := g.AuthenticateKey(p.Credentials)
	if err != nil {
		return Issued{}, made, err
	}
	f, rule, err := g.trusted(ctx, p)
	if err != nil {
		return Issued{}, made, g.noteUntrusted(ctx, p, key, once, raw, err)
	}
	known, err := g.Agents.Presented(ctx, f.signed, key.Thumbprint())
	if err != nil {
		return Issued{}, made, err
	}
	if made.Agent, made.Instance, err = g.Agents.Live(ctx, key.Thumbprint(), g.Now()); err != nil || !known || made.Agent.ID != rule.Agent || made.Instance.Trust != agents.Workload {
		if made.Instance, err = g.admit(ctx, p, f, rule, key, once, raw); err != nil {
			return Issued{}, made, err
		}
		once = nil // spent
	}
	if made.Agent, err = g.Agents.Agent(ctx, rule.Workspace, rule.Agent); err != nil {
		return Issued{}, made, err
	}
	c := &Client{id: made.Agent.ID.String(), owner: made.Agent.Owner, proven: made.Instance.Key}
	c.ws, c.agent, c.instance = rule.Workspace, made.Agent.ID, made.Instance.Key
	c.once, c.proof, c.proofRaw = once, evidence.ProofRef{Type: "dpop", SHA256: id.Sum(raw)}, raw
	c.ip, c.face = address(p.IP), "oauth"
	got, err := g.ClientCredentials(ctx, c, r)
	return got, made, err
}

// mismatched says which rules did not match an authentic assertion, and by which claim.
type mismatched struct{ error }

func (m mismatched) Unwrap() error { return m.error }

// trusted finds the rule that an assertion matches. Nothing that the assertion says is believed before a key that a rule trusts has verified it.
func (g *Guard) trusted(ctx context.Context, p WorkloadProof) (vouched, agents.TrustRule, error) {
	f, tries, err := g.tryRules(ctx, p.Assertion, p.Workspace)
	if err != nil {
		return f, agents.TrustRule{}, untrusted(err)
	}
	var found []agents.TrustRule
	var missed []string
	cause, authentic := error(notAcceptable("no trust rule of the workspace is for its issuer")), false
	for _, t := range tries {
		switch {
		case t.Problem != nil:
			if !authentic {
				cause = t.Problem
			}
		case t.Mismatch != "":
			authentic = true
			missed = append(missed, t.Rule.ID.String()+": "+t.Mismatch)
		case p.Agent.IsZero() || p.Agent == t.Rule.Agent:
			found = append(found, t.Rule)
		}
	}
	switch {
	case len(found) == 0 && authentic:
		return f, agents.TrustRule{}, untrusted(mismatched{notAcceptable("it is authentic, and a claim does not match: %s", short(strings.Join(missed, ", ")))})
	case len(found) == 0:
		return f, agents.TrustRule{}, untrusted(cause)
	}
	for _, r := range found[1:] {
		if r.Agent != found[0].Agent {
			return f, r, fault.New(fault.Invalid, "ambiguous_rule", "trust rules of several agents match the assertion").Try("name the agent in client_id")
		}
	}
	return f, found[0], nil
}

const maxMissed = 500 // bytes

func short(s string) string {
	if len(s) > maxMissed {
		return strings.ToValidUTF8(s[:maxMissed], "") + " …"
	}
	return s
}

// Tried is how an assertion fares with one rule.
type Tried struct {
	Rule     agents.TrustRule
	Problem  error  // why the rule's keys do not verify it
	Mismatch string // the claim that does not match; "" where all do
}

// tryRules reads an assertion and holds it to each of the workspace's rules for its issuer, the oldest first.
func (g *Guard) tryRules(ctx context.Context, assertion string, ws id.Workspace) (vouched, []Tried, error) {
	f, err := parseVouched(assertion, g.Issuer, g.Now())
	if err != nil {
		return f, nil, err
	}
	issuer := f.issuer
	if domain, ok := strings.CutPrefix(f.subject, "spiffe://"); ok { // a JWT-SVID need not name its issuer: its trust domain is it
		domain, _, _ = strings.Cut(domain, "/")
		issuer = "spiffe://" + domain
	}
	rules, err := g.Agents.TrustRulesOf(ctx, ws, issuer)
	if err == nil && issuer != f.issuer && f.issuer != "" {
		var more []agents.TrustRule
		more, err = g.Agents.TrustRulesOf(ctx, ws, f.issuer)
		rules = append(rules, more...)
	}
	if err != nil {
		return f, nil, err
	}
	tries := make([]Tried, len(rules))
	verified := map[id.Digest]error{} // by where the keys are from
	for i, r := range rules {
		source := id.Sum([]byte(string(r.Keys) + " " + r.Issuer + " " + string(r.KeySet)))
		problem, done := verified[source]
		if !done {
			problem = g.verifyVouched(ctx, f, r)
			verified[source] = problem
		}
		tries[i] = Tried{Rule: r, Problem: problem}
		if problem == nil {
			tries[i].Mismatch = r.Mismatch(f.claims)
		}
	}
	return f, tries, nil
}

// noteUntrusted records an authentic assertion whose claims match no rule in the workspace's log: somebody whom its platform vouches for tried. What is
// not even authentic anybody can send, as often as they like; the face's log has that. The DPoP proof is spent.
func (g *Guard) noteUntrusted(ctx context.Context, p WorkloadProof, key jose.PublicKey, once []evidence.Nonce, raw []byte, cause error) error {
	f := fault.Of(cause)
	if f == nil || f.Code != "untrusted_issuer" {
		return cause
	}
	m, ok := f.Unwrap().(mismatched)
	if !ok {
		return cause
	}
	d := keyDraft(p.Workspace, key, once, raw, p.Credentials, evidence.TokenRefused)
	d.Outcome, d.Who.Sub = evidence.Deny, evidence.ServerSub
	d.Why = &evidence.Why{Code: f.Code, Reason: m.Error()}
	got, err := g.Log.Record(ctx, d, nil)
	if err != nil {
		return err
	}
	if got.Code == "replayed" {
		return replayed(got.Seen)
	}
	return cause
}

// admit makes the key an instance, or moves its end, and records which rule let it in. The proof is spent and the assertion is bound to the key, whether it is
// admitted or not.
func (g *Guard) admit(ctx context.Context, p WorkloadProof, f vouched, rule agents.TrustRule, key jose.PublicKey, once []evidence.Nonce, raw []byte) (agents.Instance, error) {
	digest, err := rule.Digest()
	if err != nil {
		return agents.Instance{}, err
	}
	content, err := rule.Bytes()
	if err != nil {
		return agents.Instance{}, err
	}
	d := keyDraft(rule.Workspace, key, once, raw, p.Credentials, evidence.InstanceEnrolled)
	d.Refusal = evidence.TokenRefused
	d.Agent, d.Who.Sub, d.Who.Instance = rule.Agent, rule.Agent.String(), key.Thumbprint()
	d.What = &evidence.What{Agent: rule.Agent, Instance: key.Thumbprint(), Key: &key, Status: string(agents.Workload), Rule: digest}
	d.Content = append(d.Content, evidence.ContentOf(content))
	if err := seal(&d, &d.What.Text, rule.Agent.String(), "text", f.subject); err != nil { // which workload it was
		return agents.Instance{}, err
	}
	if ip := address(p.IP); ip != "" {
		if err := seal(&d, &d.Where.IP, rule.Agent.String(), "ip", ip); err != nil {
			return agents.Instance{}, err
		}
	}
	var made agents.Instance
	var cause error
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		cause = nil
		held, err := g.People.Known(tx, key.Thumbprint())
		if err != nil {
			return err
		}
		made, _, err = g.Agents.Admit(tx, agents.Admission{Rule: rule, JWK: key, Assertion: f.signed, Expires: f.expires.Add(skew + time.Second), Held: held})
		if err != nil {
			cause = err
			tx.Refuse(fault.Code(err), err.Error())
			return keepable(err)
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
