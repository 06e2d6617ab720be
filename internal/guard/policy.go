package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// PublishShipped makes the built-in policies the live bundle of a workspace that has none. It is the server's own act.
func (g *Guard) PublishShipped(ctx context.Context, ws id.Workspace) error {
	set, problems := policy.Compile(policy.Shipped())
	if set == nil {
		return fault.New(fault.Internal, "shipped_policy", "the built-in policies do not compile: %v", problems)
	}
	_, err := settled(func() (evidence.Receipt, error) { // another process may do the same, or somebody publish already
		asOf, err := g.Log.Rev(ctx, ws)
		if err != nil {
			return evidence.Receipt{}, err
		}
		if _, err := g.Rules.Live(ctx, ws); fault.Code(err) != "not_found" {
			return evidence.Receipt{}, err
		}
		d := evidence.Draft{Workspace: ws, Target: "policy", Depends: []string{evidence.Policy}, Content: bundleContent(set)}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.PolicyPublished, evidence.OK, evidence.ServerSub, "server"
		d.What, d.Why = &evidence.What{Bundle: set.Digest()}, &evidence.Why{AsOf: asOf}
		return g.Log.Record(ctx, d, func(tx *audit.Tx) error { return g.Rules.Publish(tx, ws, set, id.Digest{}) })
	})
	return err
}

// bundleContent is the bundle as evidence keeps it: its manifest, whose digest names it, and each file by its own.
func bundleContent(set *policy.Set) []evidence.Content {
	content := []evidence.Content{evidence.ContentOf(set.Manifest())}
	for _, f := range set.Files() {
		content = append(content, evidence.ContentOf(f.Text))
	}
	return content
}

// LivePolicy reads the live bundle.
func (g *Guard) LivePolicy(ctx context.Context, c *Caller) (*policy.Set, error) {
	return g.Bundle(ctx, c, refLive)
}

// Bundle reads a bundle that was published, by what names it (see find). Codes: not_found, ambiguous.
func (g *Guard) Bundle(ctx context.Context, c *Caller, ref string) (*policy.Set, error) {
	if err := g.May(ctx, c, "attorn:policy:read", "policy"); err != nil {
		return nil, err
	}
	d, err := g.find(ctx, c.ws, ref)
	if err != nil {
		return nil, err
	}
	return g.Rules.Load(ctx, c.ws, d)
}

// What names a bundle beside its digest.
const (
	refLive     = "live"
	refPrevious = "previous" // which was live before
)

// find is the digest of a bundle that was published in the workspace: live, previous, or the only one whose digest begins so. Codes: not_found, ambiguous.
func (g *Guard) find(ctx context.Context, ws id.Workspace, ref string) (id.Digest, error) {
	live, err := g.Rules.Live(ctx, ws)
	if err != nil || ref == refLive {
		return live, err
	}
	if ref != refPrevious {
		return g.Rules.Find(ctx, ws, ref)
	}
	f := audit.Filter{Target: "policy", Kind: evidence.PolicyPublished, Limit: logPage}
	for {
		found, err := g.Log.Search(ctx, ws, f)
		if err != nil {
			return id.Digest{}, err
		}
		for _, e := range found {
			if e.What != nil && e.Outcome == evidence.OK && e.What.Bundle != live {
				return e.What.Bundle, nil
			}
		}
		if len(found) < logPage {
			return id.Digest{}, fault.New(fault.NotFound, "not_found", "no other bundle was live before the one that is").Try("see which were published: attorn policy log")
		}
		f.Before = found[len(found)-1].Rev
	}
}

// Candidate is what somebody wants published: files of a directory, beside which stand the built-in ones and what the API made.
type Candidate struct {
	Files   []policy.File
	Base    id.Digest // which the publisher has seen; zero: whatever is live
	Message string    // why; personal
	Replay  id.Event  // whose outcome the publisher accepts; zero: none
}

// LiveBundle is a bundle that was just made the live one, and the one before.
type LiveBundle struct {
	Digest, Base id.Digest
	Problems     []policy.Problem // warnings
	Event        evidence.Receipt
}

// Publish makes a candidate the live bundle. Codes: policy_invalid, with what is wrong and where; stale_base; lockout; replay_other; unchanged.
func (g *Guard) Publish(ctx context.Context, c *Caller, in Candidate) (LiveBundle, error) {
	a := act{action: "attorn:policy:publish", noun: "policy", kind: evidence.PolicyPublished, target: "policy", cause: in.Replay}
	return g.repoint(ctx, c, a, in.Base, in.Message, func(live *policy.Set) (*policy.Set, []policy.Problem, error) {
		set, problems, err := g.candidate(ctx, c.ws, live, in.Files)
		if err == nil && !in.Replay.IsZero() {
			err = g.replayed(ctx, c, in.Replay, set, live)
		}
		return set, problems, err
	})
}

// Rollback makes a bundle that was published before the live one again, just as it was. Codes: not_found, ambiguous, stale_base, lockout, unchanged.
func (g *Guard) Rollback(ctx context.Context, c *Caller, ref string, base id.Digest, message string) (LiveBundle, error) {
	a := act{action: "attorn:policy:rollback", noun: "policy", kind: evidence.PolicyPublished, target: "policy"}
	return g.repoint(ctx, c, a, base, message, func(live *policy.Set) (*policy.Set, []policy.Problem, error) {
		to, err := g.find(ctx, c.ws, ref)
		if err == nil && to == live.Digest() {
			err = fault.New(fault.Conflict, "unchanged", "that bundle is the live one already").Try("see which were before: attorn policy log")
		}
		if err != nil {
			return nil, nil, err
		}
		set, err := g.Rules.Load(ctx, c.ws, to)
		return set, nil, err
	})
}

// candidate makes a bundle of files, of the built-in ones and of what the API made. Codes: bad_path, policy_invalid.
func (g *Guard) candidate(ctx context.Context, ws id.Workspace, live *policy.Set, files []policy.File) (*policy.Set, []policy.Problem, error) {
	if slices.ContainsFunc(files, func(f policy.File) bool { return strings.HasPrefix(f.Path, storePath) }) {
		return nil, nil, fault.New(fault.Invalid, "bad_path", "%s holds what commands made, and stays as it is", storePath)
	}
	set, problems, err := g.compile(ctx, ws, slices.Concat(policy.Shipped(), kept(live), files), nil)
	if err == nil && set == nil {
		err = invalid(problems)
	}
	return set, problems, err
}

// compile makes a set of files whose policies type for what the workspace has; no set where one of the problems is an error. What does not type in before either,
// if that is given, is no reason to refuse.
func (g *Guard) compile(ctx context.Context, ws id.Workspace, files []policy.File, before *policy.Set) (*policy.Set, []policy.Problem, error) {
	set, problems := policy.Compile(files)
	if set == nil {
		return nil, problems, nil
	}
	actions, err := g.actions(ctx, ws)
	if err != nil {
		return nil, nil, err
	}
	types := policy.Check(set, actions)
	if before != nil && len(types) > 0 {
		was := policy.Check(before, actions)
		types = slices.DeleteFunc(types, func(p policy.Problem) bool { return slices.Contains(was, p) })
	}
	if len(types) > 0 {
		return nil, append(types, problems...), nil
	}
	return set, problems, nil
}

// repoint makes the bundle that next chooses the live one, in one step for all nodes: what was decided before that on the other bundle is decided anew, since its
// commit comes after. Nothing is chosen for who may not publish.
func (g *Guard) repoint(ctx context.Context, c *Caller, a act, base id.Digest, message string, next func(live *policy.Set) (*policy.Set, []policy.Problem, error)) (LiveBundle, error) {
	return settled(func() (p LiveBundle, err error) {
		if _, _, err := g.judge(ctx, c, a); err != nil {
			return p, err
		}
		live, err := g.live(ctx, c.ws)
		if err != nil {
			return p, err
		}
		if p.Base = live.Digest(); !base.IsZero() && base != p.Base {
			return p, g.refuseAct(ctx, c, nil, a, nil, fault.New(fault.Conflict, "stale_base", "another bundle than %s is live: %s", base, p.Base).
				Try("look at what was published since, and publish on top of that: attorn policy diff"))
		}
		var set *policy.Set
		if set, p.Problems, err = next(live); err == nil {
			a.depends, err = g.open(ctx, c, set)
		}
		if fault.Of(err) != nil {
			return p, g.refuseAct(ctx, c, nil, a, nil, err)
		} else if err != nil {
			return p, err
		}
		a.what, a.content = &evidence.What{Bundle: set.Digest(), Base: p.Base}, bundleContent(set)
		p.Digest, a.personal = set.Digest(), g.reason(c, message)
		p.Event, err = g.try(ctx, c, a, func(tx *audit.Tx) error {
			err := g.Rules.Publish(tx, c.ws, set, p.Base)
			if fault.Code(err) == "stale_base" { // since it was read
				err = audit.ErrAgain
			}
			return err
		})
		return p, err
	})
}

// replayed holds a replay whose outcome was accepted to what is published: the same candidate on the same base. Code: replay_other.
func (g *Guard) replayed(ctx context.Context, c *Caller, replay id.Event, set, live *policy.Set) error {
	e, err := g.Log.Event(ctx, c.ws, replay)
	if err != nil && fault.Code(err) != "not_found" {
		return err
	}
	if err == nil && e.Kind == evidence.LogRead && e.Outcome == evidence.OK && e.Did != nil && e.Did.Action == "attorn:policy:replay" &&
		e.What != nil && e.What.Bundle == set.Digest() && e.What.Base == live.Digest() {
		return nil
	}
	return fault.New(fault.Conflict, "replay_other", "%s is no replay of these policies beside those that are live now", replay).Try("replay them as they are, and accept that: attorn policy replay")
}

// logPage is how much of the log, or of the members, is read at once.
const logPage = 200

// open refuses a bundle under which nobody could publish any more: nobody could take it back. It returns what that rests on. Only who publishes with a registered
// key counts, which is how people publish. Code: lockout.
func (g *Guard) open(ctx context.Context, c *Caller, set *policy.Set) ([]string, error) {
	if !c.person.IsZero() {
		if rests, ok, err := g.couldPublish(ctx, c, set, c.person); err != nil || ok {
			return rests, err
		}
	}
	var after id.User
	for {
		people, err := g.People.Members(ctx, c.ws, after, logPage)
		if err != nil {
			return nil, err
		}
		var ids []id.User
		for _, p := range people {
			if after = p.ID; p.Live() == nil && p.ID != c.person {
				ids = append(ids, p.ID)
			}
		}
		if rests, ok, err := g.couldPublish(ctx, c, set, ids...); err != nil || ok {
			return rests, err
		}
		if len(people) < logPage {
			return nil, fault.New(fault.Conflict, "lockout", "under these policies nobody in the workspace could publish or roll back any more").
				Try("leave somebody a way to it: see who may: attorn role bindings; and which policy forbids it: attorn policy show")
		}
	}
}

// couldPublish finds one of people whom set permits to publish, from where the caller is, and what that rests on.
func (g *Guard) couldPublish(ctx context.Context, c *Caller, set *policy.Set, people ...id.User) ([]string, bool, error) {
	subs := make([]string, len(people))
	for i, p := range people {
		subs[i] = p.String()
	}
	found, groups, err := g.known(ctx, c.ws, g.Now(), subs...)
	if err != nil {
		return nil, false, err
	}
	for i, e := range found {
		f := g.facts(&Caller{ip: c.ip}, &standing{principals: []policy.UID{e.UID}, entities: []policy.Entity{e}, actor: policy.Actor{Proof: seenSignature}, now: g.Now()},
			act{action: "attorn:policy:publish", noun: "policy"}.question(c.ws))
		if policy.Decide(set, nil, f, nil).Outcome == policy.Permit {
			return append(groups, subs[i]), true, nil
		}
	}
	return nil, false, nil
}
