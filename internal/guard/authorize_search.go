package guard

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// What is searched for.
const (
	ForSubjects  = "subject"
	ForResources = "resource"
	ForActions   = "action"
)

// Search asks for all of one kind that a service would be answered permit for: of an Inquiry the member that is searched for counts by its type alone.
type Search struct {
	For     string
	Inquiry Inquiry
	Token   string    // Next of the page before
	Limit   int       // 0: as many as one answer holds, or as the page before had
	Query   id.Digest // of all that was asked but the page: a token is good for the same question alone
}

// Hits are subjects or resources, or names of actions (of no type), in the order of their ids.
type Hits struct {
	Found []policy.UID
	Next  string // "" on the last page
}

const (
	maxHits = 1000 // of an answer
	maxScan = 2000 // candidates that are looked at for one answer
)

// place is where a search goes on.
type place struct {
	After string `json:"after"`
	Limit int    `json:"limit"`
}

// Search answers by deciding about each candidate. It takes what asserting takes, is a read, and records nothing but refusals; an id or type that nobody knows has no
// hits. Codes: page_token, and those of policy.
func (g *Guard) Search(ctx context.Context, c *Caller, q Search) (Hits, error) {
	r, err := g.round(ctx, c)
	if err != nil {
		return Hits{}, err
	}
	if err := r.mayAsk(q.Inquiry.Resource.Type, true); err != nil {
		return Hits{}, err
	}
	at, err := r.opened(q)
	if err != nil {
		return Hits{}, err
	}
	if err := g.spend(ctx, c); err != nil {
		return Hits{}, err
	}
	if err := r.s.ends.Live(); err != nil {
		return Hits{}, nil
	}
	var found []policy.UID
	for scanned := 0; ; {
		candidates, err := r.candidates(q, at.After)
		if err != nil && !answerable(err) {
			return Hits{}, err
		}
		if err != nil || len(candidates) == 0 {
			return Hits{Found: found}, nil
		}
		for _, u := range candidates {
			if len(found) == at.Limit || scanned == maxScan {
				next, err := r.sealed(q, at)
				return Hits{found, next}, err
			}
			scanned++
			at.After = u.ID
			ok, err := r.would(q, u)
			if err != nil {
				return Hits{}, err
			}
			if ok {
				found = append(found, u)
			}
		}
	}
}

// would decides about one candidate.
func (r *round) would(q Search, u policy.UID) (bool, error) {
	i := q.Inquiry
	switch q.For {
	case ForSubjects:
		i.Subject = u
	case ForResources:
		i.Resource = u
	case ForActions:
		i.Action = u.ID
	}
	s, err := r.subject(i)
	var f Finding
	if err == nil {
		f, _, err = r.judged(s, i)
	}
	if err != nil && answerable(err) {
		return false, nil
	}
	return f.Outcome == policy.Permit, err
}

// candidates are some of those after one, in the order of their ids; none is the end.
func (r *round) candidates(q Search, after string) (all []policy.UID, err error) {
	switch q.For {
	case ForActions:
		if t := r.set.Type(q.Inquiry.Resource.Type); t != nil {
			for _, name := range t.ActionNames() {
				if name > after {
					all = append(all, policy.UID{ID: name})
				}
			}
		}
		return all, nil
	case ForResources:
		return r.kept(q.Inquiry.Resource.Type, after, false)
	}
	of := q.Inquiry.Subject.Type
	if t := r.set.Type(of); t != nil && t.Principal != "" {
		return r.kept(of, after, true)
	}
	return r.principals(of, after)
}

// kept are objects of a type; of those that can stand for principals, the ones that do.
func (r *round) kept(of, after string, standing bool) ([]policy.UID, error) {
	t := r.set.Type(of)
	if t == nil || t.Source != policy.SourceStored {
		return nil, nil
	}
	for {
		found, err := r.Rules.Resources(r.ctx, r.caller.ws, of, after, 200)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		var all []policy.UID
		for _, k := range found {
			if !standing || k.Principal != "" {
				all = append(all, k.UID)
			}
			after = k.UID.ID
		}
		if len(all) > 0 {
			return all, nil
		}
	}
}

// principals are agents, and after them people, whose ids come after theirs.
func (r *round) principals(of, after string) (all []policy.UID, err error) {
	people, programs := subjectKinds(of)
	if a, notAgent := id.Parse[id.Agent](after); programs && (after == "" || notAgent == nil) {
		found, err := r.Agents.List(r.ctx, r.caller.ws, agents.Query{After: a, Limit: 200}, r.s.now)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			all = append(all, policy.UID{Type: of, ID: a.ID.String()})
		}
		if len(all) > 0 {
			return all, nil
		}
		after = ""
	}
	if !people {
		return nil, nil
	}
	u, err := id.Parse[id.User](after)
	if err != nil && after != "" {
		return nil, nil
	}
	found, err := r.People.Members(r.ctx, r.caller.ws, u, 200)
	for _, p := range found {
		all = append(all, policy.UID{Type: of, ID: p.ID.String()})
	}
	return all, err
}

func (r *round) bound(q Search) string {
	return strings.Join([]string{"authzen-search/1", r.caller.ws.String(), r.caller.Sub(), q.For, q.Query.String()}, " ")
}

func (r *round) sealed(q Search, at place) (string, error) {
	plain, err := json.Marshal(at)
	return jose.EncodeBase64(r.Ring.Sealer().Seal(plain, r.bound(q))), err
}

// opened is where a search goes on. A token is the same caller's, for the same question.
func (r *round) opened(q Search) (place, error) {
	at := place{Limit: q.Limit}
	if q.Token != "" {
		bad := fault.New(fault.Invalid, "page_token", "the page token is not of this search").Try("ask with everything as before, or begin again without a token")
		raw, err := jose.DecodeBase64(q.Token)
		if err != nil {
			return at, bad
		}
		plain, err := r.Ring.Sealer().Open(raw, r.bound(q))
		if err != nil {
			return at, bad
		}
		if err := json.Unmarshal(plain, &at); err != nil || q.Limit != 0 && min(q.Limit, maxHits) != at.Limit {
			return at, bad
		}
		return at, nil
	}
	if at.Limit == 0 || at.Limit > maxHits {
		at.Limit = maxHits
	}
	return at, nil
}

// SignMetadata is metadata of the decision API as a JWT of the issuer's (AuthZEN 1.0, signed_metadata). Its typ is that of no other JWT here.
func (g *Guard) SignMetadata(ctx context.Context, metadata map[string]string) (string, error) {
	key, err := g.Ring.Current(ctx, keyring.ForTokens)
	if err != nil {
		return "", err
	}
	claims := map[string]any{"iss": g.Issuer, "iat": g.Now().Unix()}
	for name, v := range metadata {
		claims[name] = v
	}
	payload, err := jose.Canonical(claims)
	if err != nil {
		return "", err
	}
	return jose.Sign("authzen-metadata+jwt", payload, key.Signer())
}

// DecisionPoint is the URL of the workspace's decision API, below which its endpoints are (AuthZEN 1.0, policy_decision_point).
func (g *Guard) DecisionPoint(ws id.Workspace) string { return g.in(ws) }
