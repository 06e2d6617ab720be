package guard

import (
	"maps"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// about is whom a decision is about: who a service says acts, or the whole chain of what it was shown.
type about struct {
	principals []policy.UID
	entities   []policy.Entity
	depends    []string
	actor      policy.Actor
	lent       policy.Lent
	auth       *policy.Auth
	person     id.User // of who is said to act, for the search of the log
	agent      id.Agent

	holder   *Caller // of the token that was shown; nil: said
	standing *standing
}

// subject finds who acts. Codes: unknown_subject, subject_mismatch, and those of tokens, proofs, people and agents that do not stand.
func (r *round) subject(q Inquiry) (*about, error) {
	if err := r.s.ends.Live(); err != nil { // halted: whoever asks
		return nil, err
	}
	p, err := r.named(q.Subject)
	if err != nil {
		return nil, err
	}
	if q.Shown == nil {
		return r.said(p)
	}
	s, err := r.proved(*q.Shown)
	if err != nil {
		return nil, err
	}
	for _, of := range s.principals {
		if of == p {
			return s, nil
		}
	}
	return nil, fault.New(fault.Denied, "subject_mismatch", "the token is not %s's, nor of anybody on whose behalf it was given", p.ID).Try("ask about who the token says acts")
}

// named finds whom a service means. A stored type that has principals says who is called so; where there is none, user and agent are people and agents by their ids,
// identity is either, and a person is also "<issuer>#<subject>", their account at a sign-in provider. A name identifies nobody: people choose their own.
func (r *round) named(u policy.UID) (policy.UID, error) {
	unknown := fault.New(fault.NotFound, "unknown_subject", "nobody here is the %.64s %.255q", u.Type, u.ID).
		Try("give the id of a user or agent (usr_…, agt_…), or say who is called so with a resource type that has principals")
	if t := r.set.Type(u.Type); t != nil && t.Principal != "" {
		k, err := r.Rules.Resource(r.ctx, r.caller.ws, u)
		if fault.Code(err) == "not_found" || err == nil && k.Principal == "" {
			return policy.UID{}, unknown
		}
		if err != nil {
			return policy.UID{}, err
		}
		if strings.HasPrefix(k.Principal, "agt_") {
			return policy.UID{Type: policy.TypeAgent, ID: k.Principal}, nil
		}
		return policy.UID{Type: policy.TypeUser, ID: k.Principal}, nil
	}
	people, programs := subjectKinds(u.Type)
	if _, err := id.Parse[id.User](u.ID); err == nil && people {
		return policy.UID{Type: policy.TypeUser, ID: u.ID}, nil
	}
	if _, err := id.Parse[id.Agent](u.ID); err == nil && programs {
		return policy.UID{Type: policy.TypeAgent, ID: u.ID}, nil
	}
	issuer, sub, ok := strings.Cut(u.ID, "#")
	if !people || !ok {
		return policy.UID{}, unknown
	}
	p, err := r.People.PersonByIdentity(r.ctx, issuer, sub)
	if f := fault.Of(err); f != nil && f.Kind == fault.Unauthenticated {
		return policy.UID{}, unknown
	}
	return policy.UID{Type: policy.TypeUser, ID: p.ID.String()}, err
}

// subjectKinds says whether a type of subjects that the bundle does not speak of means people, agents or both.
func subjectKinds(of string) (people, programs bool) {
	switch of {
	case "user", policy.TypeUser:
		return true, false
	case "agent", policy.TypeAgent:
		return false, true
	case "identity":
		return true, true
	}
	return false, false
}

// said is who acts by the word of whoever asks. They must be able to act here at all.
func (r *round) said(p policy.UID) (*about, error) {
	if s := r.known[p]; s != nil {
		return s, nil
	}
	s := &about{principals: []policy.UID{p}, depends: []string{p.ID}}
	var a agents.Agent
	if p.Type == policy.TypeUser {
		s.person, _ = id.Parse[id.User](p.ID)
		found, err := r.People.Person(r.ctx, r.caller.ws, s.person)
		if err != nil {
			return nil, err
		}
		if err := found.Live(); err != nil {
			return nil, err
		}
	} else {
		s.agent, _ = id.Parse[id.Agent](p.ID)
		var err error
		if a, err = r.Agents.Agent(r.ctx, r.caller.ws, s.agent); err == nil {
			err = a.Live(r.s.now)
		}
		if err != nil {
			return nil, err
		}
	}
	found, groups, err := r.Guard.known(r.ctx, r.caller.ws, r.s.now, p.ID)
	if err != nil {
		return nil, err
	}
	if p.Type == policy.TypeAgent {
		found[0].Attrs, found[0].Tags = owned(a.Owner), a.Tags.Map()
	}
	s.entities, s.depends = found, append(s.depends, groups...)
	if err := r.tagged(s); err != nil {
		return nil, err
	}
	r.known[p] = s
	return s, nil
}

// tagged gives principals the tags of the objects that stand for them.
func (r *round) tagged(s *about) error {
	if !slices.ContainsFunc(r.set.Types(), func(t *policy.Type) bool { return t.Principal != "" }) {
		return nil
	}
	subs := make([]string, len(s.principals))
	for i, p := range s.principals {
		subs[i] = p.ID
	}
	objects, err := r.Rules.StandingFor(r.ctx, r.caller.ws, subs...)
	if err != nil {
		return err
	}
	for i, e := range s.entities {
		tags := maps.Clone(e.Tags)
		for _, o := range objects {
			t := r.set.Type(o.UID.Type)
			if o.Principal != e.UID.ID || t == nil {
				continue
			}
			more, err := tagsOf(t, o)
			if err != nil {
				return err
			}
			if tags == nil {
				tags = map[string]string{}
			}
			maps.Copy(tags, more)
			s.depends = append(s.depends, evidence.ResourceID(evidence.Resource{Type: o.UID.Type, ID: o.UID.ID}))
		}
		s.entities[i].Tags = tags
	}
	return nil
}

func tagsOf(t *policy.Type, o rules.Resource) (map[string]string, error) {
	e, err := t.Entity(o.UID.ID, o.Parents, o.Attrs)
	if err != nil {
		return nil, err
	}
	return t.Tags(e), nil
}

// proved is the chain of a token that a service was shown, with the DPoP proof of the request in which it was.
func (r *round) proved(shown Shown) (*about, error) {
	if s := r.shown[shown]; s != nil {
		return s, nil
	}
	claims, err := token.Verify(shown.Token, r.issuerKey(r.ctx), token.Want{Issuer: r.Issuer, AnyAudience: true, Now: r.s.now, Leeway: skew})
	if err != nil {
		return nil, err
	}
	switch {
	case claims.Workspace != r.caller.ws:
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the token is of another workspace")
	case claims.JKT.IsZero():
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the token is bound to no key, so nothing proves who sent it")
	case shown.URL != claims.Audience && !strings.HasPrefix(shown.URL, claims.Audience+"/"):
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the token is for %s, and was shown elsewhere", claims.Audience)
	}
	cr := Credentials{Method: shown.Method, URL: shown.URL, DPoP: []string{shown.Proof}}
	proof, err := r.proof(cr, shown.Token, claims.JKT, r.s.now)
	if err != nil {
		return nil, err
	}
	holder := &Caller{
		ws: claims.Workspace, claims: claims, raw: shown.Token, face: r.caller.face, acr: acrOf(claims.ACR), authTime: claims.AuthTime,
		proof: evidence.ProofRef{Type: "dpop", SHA256: id.Sum([]byte(proof.Raw))}, proofRaw: []byte(proof.Raw),
	}
	if err := holder.identify(claims); err != nil {
		return nil, err
	}
	st, err := r.resolve(r.ctx, holder)
	if err != nil {
		return nil, err
	}
	s := &about{
		principals: st.principals, entities: st.entities, depends: st.depends, actor: st.actor, lent: st.lent(), auth: st.auth(holder), holder: holder, standing: st,
	}
	if err := r.tagged(s); err != nil {
		return nil, err
	}
	r.nonces = append(r.nonces, dpopNonce(proof, r.s.now))
	r.shown[shown] = s
	return s, nil
}
