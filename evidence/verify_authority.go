package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// held is how long after its proof was made a call may begin: it can wait 45 s for people's votes, and clocks differ by half a minute.
const held = 2 * time.Minute

// authority is what the checks of AUTHORISED-THEN establish, each from the ones before.
type authority struct {
	raw    string // the access token
	claims *token.Claims
	alone  bool              // no token: an instance signed the request, and acts for nobody
	signer jose.PublicKey    // of the proof
	links  []delegation.Link // the root first
	args   []byte            // RFC 8785 form, once disclosed
	facts  *policy.Facts
	set    *policy.Set
	shape  *policy.Shape // of a tool
	lifts  []policy.Lift
	voted  []string
	judged bool // the approvals hold, or none was used

	lineage []string // how keys came to be that were not enrolled
	via     string   // whose authority at another server it rests on, in words
}

// authorityChecks are those that the kind of the event allows.
func (v *verifier) authorityChecks() []check {
	e := v.event
	only := func(reason string, args ...any) []check {
		return []check{{AuthorisedThen, "kind", func() (string, error) { return "", notShown(reason, args...) }}}
	}
	decision := []check{
		{AuthorisedThen, "facts", v.checkFacts},
		{AuthorisedThen, "bundle", v.checkBundle},
		{AuthorisedThen, "approvals", v.checkApprovals},
		{AuthorisedThen, "decision", v.checkDecision},
	}
	if len(e.Who.Chain) > 0 && !v.aCall() { // an act on attorn itself rests on what was lent as well
		decision = append([]check{{AuthorisedThen, "chain", v.checkChain}}, decision...)
	}
	switch {
	case !v.known:
		return only("an event of kind %q is authentic; what it means is not known to this version", e.Kind)
	case e.Kind == ToolFinished:
		return only("the decision behind it is the event %s", e.Cause)
	case e.Why == nil || e.Why.Bundle.IsZero() || e.Did == nil:
		return only("an event of kind %s holds no decision by policy", e.Kind)
	case (e.Kind == InstanceSpawned || e.Kind == InstanceRotated) && e.Outcome == OK:
		return append([]check{{AuthorisedThen, "keys", v.checkNewKey}}, decision...)
	case !v.aCall():
		return decision
	}
	return slices.Concat([]check{
		{AuthorisedThen, "token", v.checkToken},
		{AuthorisedThen, "proof", v.checkProof},
		{AuthorisedThen, "chain", v.checkChain},
		{AuthorisedThen, "live", v.checkLive},
		{AuthorisedThen, "keys", v.checkKeys},
	}, v.viaChecks(), []check{
		{AuthorisedThen, "covers", v.checkCovers},
	}, decision)
}

// aCall reports whether the event decided a call that everything before policy had let through: it was permitted, or waits for people.
func (v *verifier) aCall() bool { return v.event.Kind == ToolStarted || v.event.Kind == ApprovalAsked }

// person reports whether a person acted themselves, with a key of theirs instead of an instance's.
func (v *verifier) person() bool {
	_, err := id.Parse[id.User](v.event.Who.Sub)
	return err == nil && v.event.Who.Instance.IsZero()
}

// under is the event's authority; one that names none, as of an instance that signed for itself, is empty.
func (v *verifier) under() Under {
	if v.event.Under == nil {
		return Under{}
	}
	return *v.event.Under
}

func (v *verifier) when() time.Time { return time.UnixMicro(v.event.At) }

// audience is the resource that the event's action is on, which the token must be for.
func (v *verifier) audience() (string, error) {
	parts := strings.Split(v.event.Did.Action, ":")
	if len(parts) != 3 || parts[0] != "tool" {
		return "", wrong("the action %s is no call of a tool", v.event.Did.Action)
	}
	if r := v.event.Did.Resource; r.Type != "Tool" || r.ID != parts[1]+":"+parts[2] {
		return "", wrong("the resource %s %s is not what the action %s is on", r.Type, r.ID, v.event.Did.Action)
	}
	return ServerURL(v.pack.Issuer, v.event.workspace, parts[1]), nil
}

func (v *verifier) checkToken() (string, error) {
	e := v.event
	if v.under().Token == nil {
		if v.bySignature() && len(e.Who.Chain) == 0 && v.under().Delegation.IsZero() && !v.person() {
			v.alone = true
			return "none: the instance signed the request itself, and acts for nobody", nil
		}
		return "", wrong("the event names no token")
	}
	ref := v.under().Token
	if v.byBearer() {
		return "", notShown("token %s was bound to no key, so it is not kept: whoever had it could act", ref.ID)
	}
	raw, ok := v.content[ref.SHA256]
	if !ok {
		return "", notShown("the token is not in the pack")
	}
	audience, err := v.audience()
	if err != nil {
		return "", err
	}
	var kid id.Key
	keys := func(k id.Key) (jose.PublicKey, bool) { kid = k; return v.key(k) }
	c, err := token.Verify(string(raw), keys, token.Want{Issuer: v.pack.Issuer, Audience: audience, Now: v.when(), Leeway: held})
	if err != nil {
		return "", err
	}
	if c.ID != ref.ID || kid != ref.Kid || c.Expires != ref.Expires {
		return "", wrong("the token is another one than the event describes")
	}
	if c.Workspace != e.workspace || c.Delegation != v.under().Delegation || c.JKT != e.Who.Instance && !v.person() {
		return "", wrong("the token is of another workspace, delegation or instance than the event")
	}
	if c.Via != nil && v.under().Via == nil {
		return "", wrong("the event does not say that the token rests on another server's word")
	}
	if err := v.sameActors(c); err != nil {
		return "", err
	}
	if err := v.tokenSigned(kid, c); err != nil {
		return "", err
	}
	v.raw, v.claims = string(raw), &c
	return fmt.Sprintf("token %s by issuer key %s, for %s", c.ID, kid.Short(), audience), nil
}

// sameActors compares the token's subject and nested actors with the event's chain.
func (v *verifier) sameActors(c token.Claims) error {
	who, actors := v.event.Who, c.Actors()
	if len(who.Chain) == 0 {
		if c.Subject != who.Sub || len(actors) != 0 {
			return wrong("the token is of %s, the event of %s acting for nobody", c.Subject, who.Sub)
		}
		return nil
	}
	if c.Subject != who.Chain[0].Sub || len(actors) != len(who.Chain)-1 {
		return wrong("the token has another person or another number of actors than the event")
	}
	for i, a := range actors {
		hop := who.Chain[len(who.Chain)-1-i]
		if a.Sub.String() != hop.Sub || !a.Instance.IsZero() && a.Instance != hop.Instance {
			return wrong("the token's actor %s is not the event's %s", a.Sub, hop.Sub)
		}
	}
	return nil
}

func (v *verifier) checkProof() (string, error) {
	e := v.event
	if v.bySignature() {
		return v.checkSignature()
	}
	if v.byBearer() {
		if !e.Who.Instance.IsZero() {
			return "", wrong("the event names the instance %s, and a bearer token is bound to none", e.Who.Instance.Short())
		}
		return "", notShown("none: a bearer token says nothing about who sent it")
	}
	if e.Who.Proof == nil || e.Who.Proof.Type != "dpop" {
		return "", notShown("the request came without a DPoP proof or a message signature")
	}
	raw, ok := v.details["proof"]
	if !ok || v.claims == nil {
		return "", notShown("the proof, or the token it is bound to, is not in the pack")
	}
	audience, err := v.audience()
	if err != nil {
		return "", err
	}
	p, err := dpop.Verify(string(raw), dpop.Want{
		Method: "POST", URL: audience, AccessToken: v.raw, Key: v.claims.JKT, Now: v.when(), Past: held, Future: held,
	})
	if err != nil {
		return "", err
	}
	if v.claims.JKT.IsZero() || p.Thumbprint != e.Who.Instance && !v.person() {
		return "", wrong("the proof is by the key %s, the event names %s", p.Thumbprint.Short(), e.Who.Instance.Short())
	}
	v.signer = p.Key
	return fmt.Sprintf("signed by %s, bound to POST %s and the token", p.Thumbprint.Short(), audience), nil
}

// byBearer reports whether the request came with a token that is bound to no key, by the event's own word.
func (v *verifier) byBearer() bool {
	p := v.event.Who.Proof
	return p != nil && p.Type == "bearer"
}

func (v *verifier) checkChain() (string, error) {
	e := v.event
	hops := e.Who.Chain
	if len(hops) == 0 {
		if !v.under().Delegation.IsZero() || !v.under().Statement.IsZero() {
			return "", wrong("the event names a delegation and no chain")
		}
		return fmt.Sprintf("%s acts for nobody else", e.Who.Sub), nil
	}
	if _, err := id.Parse[id.User](hops[0].Sub); err != nil || len(hops) < 2 {
		return "", wrong("the chain does not begin with a person")
	}
	var links []delegation.Link
	for _, h := range hops[1:] {
		raw, ok := v.content[h.Link]
		if !ok {
			return "", notShown("the statement %s of the chain is not in the pack", h.Delegation)
		}
		l, err := delegation.ParseLink(string(raw))
		if err != nil {
			return "", err
		}
		links = append(links, l)
	}
	if err := delegation.VerifyChain(links, v.key); err != nil {
		return "", err
	}
	for i, l := range links {
		if err := v.fits(l, hops[i], hops[i+1]); err != nil {
			return "", err
		}
		if err := v.signedAt("the countersignature of "+l.Statement.ID.String(), l.Kid(), l.Rev); err != nil {
			return "", err
		}
		if l.Statement.InStead() {
			if err := v.onToken(l, links[i-1]); err != nil {
				return "", err
			}
		}
	}
	last := links[len(links)-1].Statement
	digest, err := last.Digest()
	if err != nil {
		return "", err
	}
	if end := hops[len(hops)-1]; end.Sub != e.Who.Sub || end.Instance != e.Who.Instance || v.under().Delegation != last.ID || v.under().Statement != digest {
		return "", wrong("the chain ends with another actor or statement than the event names")
	}
	if v.under().Task != last.Task || v.claims != nil && v.claims.Task != last.Task {
		return "", wrong("the event or its token names another task than the last statement")
	}
	v.links = links
	said := fmt.Sprintf("%d statements narrow, from %s to %s", len(links), hops[0].Sub, e.Who.Sub)
	if t := steadOn(links); t != nil {
		said += fmt.Sprintf(", who may act in the stead of %s on its token %s", hops[len(hops)-2].Sub, t.ID)
	}
	return said, nil
}

// fits holds a link to the two hops that it joins.
func (v *verifier) fits(l delegation.Link, from, to Hop) error {
	st := l.Statement
	by := st.Delegator.User.String() + st.Delegator.Agent.String()
	if st.InStead() && by == v.event.Who.Chain[0].Sub { // VerifyChain held it to the person's own statement before, which names from
		by = from.Sub
	}
	switch {
	case st.Issuer != v.pack.Issuer || st.Workspace != v.event.workspace:
		return wrong("the statement %s is of another issuer or workspace", st.ID)
	case st.ID != to.Delegation || by != from.Sub || st.Delegate.Agent.String() != to.Sub:
		return wrong("the statement %s is not by %s for %s", st.ID, from.Sub, to.Sub)
	case l.Through() != from.Instance:
		return wrong("the statement %s is by another instance than the event names", st.ID)
	case !st.Delegate.Instance.IsZero() && st.Delegate.Instance != to.Instance:
		return wrong("the statement %s is for another instance than acted", st.ID)
	}
	return nil
}

func (v *verifier) checkLive() (string, error) {
	if len(v.event.Who.Chain) > 0 && v.links == nil {
		return "", notShown("the chain is not in the pack")
	}
	now := v.when().Unix()
	for _, l := range v.links {
		switch st := l.Statement; {
		case now < st.NotBefore:
			return "", wrong("the delegation %s begins only at %s", st.ID, stamp(st.NotBefore))
		case now >= st.ExpiresAt:
			return "", wrong("the delegation %s had expired at %s", st.ID, stamp(st.ExpiresAt))
		case l.Rev >= v.event.Rev:
			return "", wrong("the delegation %s was accepted only at #%d", st.ID, l.Rev)
		}
	}
	return "at " + stamp(now), nil
}

func stamp(seconds int64) string {
	return time.Unix(seconds, 0).UTC().Format("2006-01-02 15:04:05 UTC")
}

// arguments are the disclosed ones; an event without sealed arguments had none.
func (v *verifier) arguments() ([]byte, error) {
	if v.event.Did.Args == nil {
		return []byte("{}"), nil
	}
	args, ok := v.details["args"]
	if !ok {
		return nil, notShown("the arguments are not disclosed")
	}
	return args, nil
}

func (v *verifier) checkCovers() (string, error) {
	raw, err := v.arguments()
	if err != nil {
		return "", err
	}
	alone := v.alone && !v.signer.IsZero()
	if v.claims == nil && !alone || len(v.event.Who.Chain) > 0 && v.links == nil {
		return "", notShown("the token or the chain is not in the pack")
	}
	did := v.event.Did
	args, err := delegation.DecodeArgs(raw)
	if err != nil {
		return "", err
	}
	audience, err := v.audience()
	if err != nil {
		return "", err
	}
	c, err := CallOf(audience, did.Action, raw, did.Pin)
	if err != nil {
		return "", err
	}
	if digest, err := CallDigest(c); err != nil {
		return "", err
	} else if digest != did.Digest {
		return "", fault.New(fault.Denied, "digest_mismatch", "the call digest is not that of the arguments")
	}
	if v.claims != nil && !delegation.Allows(v.claims.Permissions(), did.Action, args) {
		return "", wrong("the token does not cover %s with these arguments", did.Action)
	}
	for _, l := range v.links {
		if !delegation.Allows(l.Statement.Permissions, did.Action, args) {
			return "", wrong("the delegation %s does not cover %s with these arguments", l.Statement.ID, did.Action)
		}
	}
	v.args = raw
	if alone {
		return "nothing was lent and no token limits it: policy alone decided", nil
	}
	return fmt.Sprintf("token and every statement cover %s with its arguments", did.Action), nil
}

// summary is what people look for in an answer that holds.
func (v *verifier) authoritySummary() string {
	said := []string{"acts for nobody else"}
	if n := len(v.links); n > 0 {
		said[0] = fmt.Sprintf("%d statements narrow", n)
	} else if len(v.event.Who.Chain) > 0 {
		said[0] = "the chain is not part of this answer"
	}
	if k := v.event.Who.Instance; !k.IsZero() {
		said = append(said, "signed by "+k.Short())
	}
	outcome := "permits"
	if v.event.Outcome != Permit {
		outcome = "says " + string(v.event.Outcome)
	}
	said = append(said, "bundle "+v.event.Why.Bundle.String()[:8]+" "+outcome)
	if v.via != "" {
		said = append(said, v.via)
	}
	return strings.Join(append(said, v.voted...), " · ")
}
