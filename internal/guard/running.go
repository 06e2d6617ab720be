package guard

import (
	"context"
	"slices"
	"sync"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// running is what goes on in this process under somebody's authority: calls, sessions, waits. When something that one of them rests on is touched, it is
// looked at again, and cut if that has ended.
type running struct {
	mu      sync.Mutex
	all     map[*run]struct{}
	by      map[string]map[*run]struct{} // what is touched
	applied map[id.Workspace]int64       // the last alteration that was applied
}

type run struct {
	caller *Caller
	server string // of a call: the MCP server,
	tool   string // and the tool's segment
	rests  []string
	cut    context.CancelCauseFunc
}

// maxRunning bounds what is watched at once.
const maxRunning = 1 << 16

func (r *running) init() {
	r.all, r.by, r.applied = map[*run]struct{}{}, map[string]map[*run]struct{}{}, map[id.Workspace]int64{}
}

// add watches x, and says which alteration of its workspace had been applied before.
func (r *running) add(x *run) (applied int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) >= maxRunning {
		return 0, false
	}
	r.all[x] = struct{}{}
	for _, on := range x.rests {
		if r.by[on] == nil {
			r.by[on] = map[*run]struct{}{}
		}
		r.by[on][x] = struct{}{}
	}
	return r.applied[x.caller.ws], true
}

func (r *running) remove(x *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, x)
	for _, on := range x.rests {
		if delete(r.by[on], x); len(r.by[on]) == 0 {
			delete(r.by, on)
		}
	}
}

// apply notes that an alteration of a workspace was heard of, and lists what rests on something that it touched.
func (r *running) apply(ws id.Workspace, rev int64, touches []string) []*run {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied[ws] = max(r.applied[ws], rev)
	var hit []*run
	for _, t := range touches {
		for x := range r.by[t] {
			if x.caller.ws == ws {
				hit = append(hit, x)
			}
		}
	}
	return hit
}

func (r *running) everything() []*run {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*run, 0, len(r.all))
	for x := range r.all {
		all = append(all, x)
	}
	return all
}

// Watch gives ctx, in which a permitted call runs, an end that comes as soon as what it was permitted on has ended, whichever process ended it:
// context.Cause is then the fault that says what did. stop is called when the call is over. Code: overloaded.
func (g *Guard) Watch(ctx context.Context, c *Caller, v Verdict) (watched context.Context, stop func(), err error) {
	return g.watch(ctx, &run{caller: c, server: v.started.server, tool: v.started.tool, rests: v.started.rests}, v.started.asOf)
}

// Attend is Watch for a session or a wait: it ends as soon as the caller may not act any more. Codes: those of a caller that may not act now; overloaded.
func (g *Guard) Attend(ctx context.Context, c *Caller) (watched context.Context, stop func(), err error) {
	s, err := g.resolveAgain(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	return g.watch(ctx, &run{caller: c, rests: s.depends}, s.asOf)
}

func (g *Guard) watch(ctx context.Context, x *run, asOf int64) (context.Context, func(), error) {
	ctx, x.cut = context.WithCancelCause(ctx)
	x.rests = slices.DeleteFunc(slices.Clone(x.rests), func(on string) bool { return on == evidence.Policy || on == "" })
	applied, ok := g.running.add(x)
	if !ok {
		x.cut(nil)
		return nil, nil, fault.New(fault.Unavailable, "overloaded", "more runs in this process than it can watch").Try("try again in a few seconds")
	}
	if applied >= asOf { // heard of between our reading and our listening
		g.review(ctx, x)
	}
	return ctx, func() {
		g.running.remove(x)
		x.cut(nil)
	}, nil
}

// resolveAgain is resolve for what was permitted and goes on: a delegation that this very call used up is no end.
func (g *Guard) resolveAgain(ctx context.Context, c *Caller) (*standing, error) {
	again := &Caller{
		ws: c.ws, agent: c.agent, instance: c.instance, person: c.person, key: c.key, service: c.service, claims: c.claims, raw: c.raw, goesOn: true,
	}
	return g.resolve(ctx, again)
}

// review looks at something that goes on, and cuts it if its authority has ended. What cannot be looked at is left to the next look: Follow cuts what it
// could not look at for too long.
func (g *Guard) review(ctx context.Context, x *run) {
	s, err := g.resolveAgain(ctx, x.caller)
	if err == nil {
		err = s.ends.Live()
	}
	if err == nil && x.server != "" {
		_, _, err = g.callable(ctx, x.caller.ws, x.server, x.tool)
	}
	if f := fault.Of(err); f != nil && f.Kind != fault.Internal && f.Kind != fault.Unavailable {
		x.cut(err)
	}
}
