package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/policy"
)

// rounds is how often a decision is made anew because something that it rested on changed meanwhile.
const rounds = 3

// Start decides a call and records the decision (authority.md §5). Permit: tool.started is durable, and uses, approvals and the proof are spent.
// Ask: an approval waits for people. Deny: the refusal is in the log. Start may be called again for the same Caller, in the same request, after
// Wait. An error means that nothing was decided, and nothing may be done.
func (g *Guard) Start(ctx context.Context, c *Caller, call Call) (Verdict, error) {
	return settled(func() (Verdict, error) { return g.start(ctx, c, call) })
}

// settled decides, and decides anew when something that the decision rested on changed before it was recorded.
func settled[T any](decide func() (T, error)) (T, error) {
	for range rounds {
		v, err := decide()
		if !errors.Is(err, audit.ErrAgain) && !errors.Is(err, audit.ErrStale) {
			return v, err
		}
	}
	var none T
	return none, fault.New(fault.Unavailable, "unsettled", "what this rests on keeps changing; nothing was done").Try("try again")
}

func (g *Guard) start(ctx context.Context, c *Caller, call Call) (Verdict, error) {
	s, err := g.resolve(ctx, c)
	if s == nil {
		return Verdict{}, err
	}
	if err != nil {
		return g.refuseCall(ctx, c, s, call, nil, err)
	}
	s.depends = append(s.depends, "server:"+call.Server, call.Action)
	if c.signed != nil && c.signed.CallDigest != "" && c.signed.CallDigest != call.Digest.String() {
		return g.refuseCall(ctx, c, s, call, nil, fault.New(fault.Denied, "call_digest_mismatch", "the signed Attorn-Call-Digest is that of another call than the one that was sent").
			Try("compute it from the server, the tool, the accepted definition and the arguments as they are sent, or leave it out"))
	}
	if err := s.ends.Live(); err != nil { // halted: whoever asks
		return g.refuseCall(ctx, c, s, call, nil, err)
	}
	if err := s.person.Settled(s.now); err != nil { // in their own name; what they lent before goes on
		return g.refuseCall(ctx, c, s, call, nil, err)
	}
	server, tool, err := g.callable(ctx, c.ws, call.Server, call.Tool)
	if err != nil {
		return g.refuseCall(ctx, c, s, call, nil, err)
	}
	if tool.Pin != call.Pin {
		return g.refuseCall(ctx, c, s, call, nil, fault.New(fault.Conflict, "tool_quarantined", "the tool's definition changed since this call was prepared").Try("list the tools again"))
	}
	call.Class = tool.Class // as it is now, whatever it was when the call was prepared
	args, err := delegation.DecodeArgs(call.Arguments)
	if err != nil {
		return g.refuseCall(ctx, c, s, call, nil, err)
	}
	lacking, lacks := s.covers(c, call.Action, args)
	if lacks != nil && lacking == "delegation" {
		return g.refuseCall(ctx, c, s, call, nil, lacks)
	}
	if err := g.Catalog.Check(tool, call.Arguments); err != nil {
		return g.refuseCall(ctx, c, s, call, nil, err)
	}
	q := toolQuestion(server, call)
	if q.shape, err = g.Catalog.Shape(tool); err != nil {
		return g.refuseCall(ctx, c, s, call, nil, err)
	}
	q.open = tool.OpenArguments
	a, err := g.decide(ctx, c, s, q, func(o policy.Obligation) evidence.Approval { return g.object(c, s, call, o) })
	if err != nil {
		return Verdict{}, err
	}
	if lacks != nil { // step 2 failed in the token alone: more scope would help only if policy does not refuse anyway
		v, err := g.refuseCall(ctx, c, s, call, a, lacks)
		if a.Outcome != policy.Deny {
			v.Scopes = []string{call.Action}
		}
		return v, err
	}
	switch a.Outcome {
	case policy.Permit:
		return g.permitCall(ctx, c, s, call, a)
	case policy.Ask:
		if len(a.lost) > 0 {
			if err := g.voidLost(ctx, c, a.lost); err != nil {
				return Verdict{}, err
			}
			return Verdict{}, audit.ErrAgain
		}
		return g.askCall(ctx, c, s, call, a)
	}
	return g.refuseCall(ctx, c, s, call, a, a.refusal())
}

// callable reads a tool of a server that has not been removed, where neither is suspended.
func (g *Guard) callable(ctx context.Context, ws id.Workspace, server, segment string) (catalog.Server, catalog.Tool, error) {
	s, err := g.server(ctx, ws, server)
	if err != nil {
		return s, catalog.Tool{}, err
	}
	t, err := g.Catalog.Callable(ctx, ws, server, segment)
	if err == nil {
		err = catalog.Suspended(s, t)
	}
	return s, t, err
}

func (g *Guard) server(ctx context.Context, ws id.Workspace, name string) (catalog.Server, error) {
	s, err := g.Catalog.Server(ctx, ws, name)
	if err == nil && s.Status != "active" {
		err = fault.New(fault.NotFound, "unknown_server", "there is no server named %s in this workspace", name)
	}
	return s, err
}

// refusal is policy's denial as a fault.
func (a *answer) refusal() error {
	e := fault.New(fault.Denied, a.Code, "%s", a.Message)
	if a.remedy != "" {
		return e.Try("%s", a.remedy)
	}
	if a.Code == "no_permit" {
		return e.Try("ask for a policy or a role that permits it")
	}
	return e
}

// toolQuestion is the call of a server's tool in policy's terms.
func toolQuestion(s catalog.Server, call Call) question {
	workspace := policy.UID{Type: "Workspace", ID: s.Workspace.String()}
	server := policy.UID{Type: "Server", ID: s.Name}
	return question{
		action: call.Action, class: call.Class, arguments: call.Arguments,
		resource: policy.Entity{
			UID: policy.UID{Type: "Tool", ID: s.Name + ":" + call.Tool}, Parents: []policy.UID{server},
			Attrs: map[string]any{"pin": call.Pin.String()},
		},
		more: []policy.Entity{{UID: server, Parents: s.Within()}, {UID: workspace}},
	}
}

// object is what people approve: exactly this call, by this chain, under this gate.
func (g *Guard) object(c *Caller, s *standing, call Call, o policy.Obligation) evidence.Approval {
	a := evidence.Approval{
		Issuer: g.Issuer, Workspace: c.ws, Gate: o.Gate, GateSHA256: o.GateSHA256, Flow: o.Flow, FlowSHA256: id.Sum([]byte(o.Flow)),
		Actor: c.Sub(), Subject: c.person, Task: c.claims.Task, Action: call.Action, Resource: evidence.Resource{Type: "Tool", ID: call.Server + ":" + call.Tool},
		Pin: call.Pin, Binds: o.Binds, ArgsSHA256: id.Sum(call.Arguments), Call: call.Digest,
	}
	for _, d := range s.chain {
		a.Chain = append(a.Chain, d.Digest)
	}
	return a
}

// callDraft begins the event of a call.
func (g *Guard) callDraft(c *Caller, s *standing, call Call, a *answer, kind evidence.Kind) (evidence.Draft, error) {
	d := s.draft(c, kind)
	d.Target = "Tool::" + call.Server + ":" + call.Tool
	d.Where.MCP = call.Protocol
	d.Did = &evidence.Did{
		Action: call.Action, Resource: evidence.Resource{Type: "Tool", ID: call.Server + ":" + call.Tool}, Pin: call.Pin, Digest: call.Digest,
	}
	if len(call.Arguments) <= maxKeptArguments {
		if err := sealJSON(&d, &d.Did.Args, c.Sub(), "args", call.Arguments); err != nil {
			return d, err
		}
	}
	if a != nil && a.kept.Body != nil {
		d.Why = a.why(s.asOf)
		d.Content = append(d.Content, a.kept)
	}
	return d, nil
}

// maxKeptArguments bounds the arguments that the log keeps, in bytes; of larger ones it has the call digest alone.
const maxKeptArguments = 64 << 10

func (g *Guard) permitCall(ctx context.Context, c *Caller, s *standing, call Call, a *answer) (Verdict, error) {
	d, err := g.callDraft(c, s, call, a, evidence.ToolStarted)
	if err != nil {
		return Verdict{}, err
	}
	d.Outcome, d.Refusal = evidence.Permit, evidence.ToolRefused
	for _, l := range a.lifts {
		if d.Under == nil {
			d.Under = &evidence.Under{}
		}
		d.Under.Approvals = append(d.Under.Approvals, l.ref)
		d.Depends = append(d.Depends, voterIDs(l)...)
	}
	d.Depends = append(d.Depends, a.rests...)
	links := make([]id.Delegation, len(s.chain))
	for i, l := range s.chain {
		links[i] = l.ID
	}
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		for _, l := range a.lifts {
			if err := g.Approvals.Spend(tx, c.ws, l.approval.ID, l.approval.Digest); err != nil {
				if fault.Of(err) != nil {
					return audit.ErrAgain
				}
				return err
			}
		}
		if len(links) == 0 {
			return nil
		}
		left, _, err := g.Lending.Use(tx, c.ws, links)
		if err != nil {
			return err
		}
		under := *tx.Event().Under
		under.UsesLeft = left
		tx.Event().Under = &under
		return nil
	})
	if f := fault.Of(err); f != nil && f.Kind == fault.Denied { // a use that somebody else took meanwhile
		return g.refuseCall(ctx, c, s, call, a, err)
	}
	if err != nil {
		return Verdict{}, err
	}
	c.used(&got)
	if got.Outcome == evidence.Deny {
		return Verdict{Outcome: evidence.Deny, Event: got.ID, Code: got.Code, Reason: got.Reason, Remedy: remedyFor(got.Code)}, nil
	}
	fin := s.draft(c, evidence.ToolFinished)
	fin.Once, fin.Details, fin.Content, fin.Depends, fin.Where.IP = nil, nil, nil, nil, nil
	fin.Target, fin.Thread, fin.Cause = d.Target, got.ID, got.ID
	fin.Did = &evidence.Did{Action: call.Action, Resource: d.Did.Resource, Pin: call.Pin, Digest: call.Digest}
	return Verdict{
		Outcome: evidence.Permit, Event: got.ID, Deadline: s.deadline(c), started: Started{
			event: got.ID, workspace: c.ws, draft: fin, server: call.Server, tool: call.Tool, rests: s.depends, asOf: s.asOf,
		},
	}, nil
}

func voterIDs(l lift) (ids []string) {
	for _, v := range l.Voters {
		ids = append(ids, v.ID)
	}
	return ids
}

// deadline is when the authority of a call ends by itself.
func (s *standing) deadline(c *Caller) time.Time {
	var end time.Time
	for _, d := range s.chain {
		if t := time.Unix(d.Link.Statement.ExpiresAt, 0); end.IsZero() || t.Before(end) {
			end = t
		}
	}
	return end
}

// refuseCall records that a call was refused. What cannot even be recorded is an error, and so refused, too.
func (g *Guard) refuseCall(ctx context.Context, c *Caller, s *standing, call Call, a *answer, cause error) (Verdict, error) {
	f := fault.Of(cause)
	if f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return Verdict{}, cause
	}
	d, err := g.callDraft(c, s, call, a, evidence.ToolRefused)
	if err != nil {
		return Verdict{}, err
	}
	why := evidence.Why{}
	if d.Why != nil {
		why = *d.Why
	}
	why.Code, why.Reason = f.Code, f.Reason
	d.Why, d.Outcome, d.Depends = &why, evidence.Deny, nil
	got, err := g.Log.Record(ctx, d, nil)
	if err != nil {
		return Verdict{}, err
	}
	c.used(&got)
	v := Verdict{Outcome: evidence.Deny, Event: got.ID, Code: f.Code, Reason: f.Reason, Remedy: f.Remedy}
	if got.Code != "" { // the proof was used before: say that, whatever else is wrong
		v.Code, v.Reason, v.Remedy = got.Code, got.Reason, remedyFor(got.Code)
	}
	return v, nil
}

func remedyFor(code string) string {
	if code == "replayed" {
		return "sign a new proof for each request"
	}
	return ""
}

// askCall makes, or joins, what people must approve before the call.
func (g *Guard) askCall(ctx context.Context, c *Caller, s *standing, call Call, a *answer) (Verdict, error) {
	for _, o := range a.Obligations {
		if o.Kind == policy.KindStepUp {
			return g.refuseCall(ctx, c, s, call, a, stepUp(c, o))
		}
	}
	if len(call.Arguments) > maxKeptArguments {
		return g.refuseCall(ctx, c, s, call, a, fault.New(fault.TooLarge, "args_too_large", "arguments over %d bytes cannot be shown to the people who would approve them", maxKeptArguments))
	}
	var first *approvals.Approval
	for _, w := range a.asks {
		if w.pending != nil {
			first = w.pending
			continue
		}
		asked, v, err := g.askOne(ctx, c, s, call, a, w)
		if err != nil || asked == nil {
			return v, err
		}
		if first == nil {
			first = asked
		}
	}
	if first == nil {
		return Verdict{}, audit.ErrAgain
	}
	if err := g.spend(ctx, c); err != nil { // all asks were joined: the proof is spent all the same
		return g.refuseCall(ctx, c, s, call, a, err)
	}
	return Verdict{
		Outcome: evidence.Ask, Event: first.Asked, Code: "approval_pending", Reason: first.Reason,
		Remedy:   "wait for approval by " + flow(first) + ", then call again with the same arguments",
		Approval: &Pending{ID: first.ID, URL: g.ApprovalURL(first.ID), Expires: first.ExpiresAt},
	}, nil
}

// stepUp is the refusal of an act that wants a better sign-in or, which the caller can mend at once, a stronger proof.
func stepUp(c *Caller, o policy.Obligation) error {
	if o.StepUp.Proof != "" && o.StepUp.Proof != c.proof.Type {
		return fault.New(fault.Denied, "signature_needed", "%s", o.Reason).Try("sign the request (RFC 9421) as Accept-Signature says, beside token and DPoP proof where there are these")
	}
	return fault.New(fault.Denied, "step_up_needed", "%s", o.Reason).Try("have the person sign in again")
}

// voidLost ends approvals whose voters may no longer vote, so that people are asked anew.
func (g *Guard) voidLost(ctx context.Context, c *Caller, lost []id.Approval) error {
	for _, a := range lost {
		d := evidence.Draft{Workspace: c.ws, Target: a.String()}
		d.Kind, d.Outcome, d.Who.Sub, d.Where = evidence.ApprovalVoided, evidence.OK, evidence.ServerSub, c.where()
		d.What = &evidence.What{Approval: a, Status: "quorum lost"}
		_, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
			_, err := g.Approvals.VoidAll(tx, c.ws, approvals.Ground{Approval: a})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// askOne records one ask. A nil approval comes with the verdict that it was refused.
func (g *Guard) askOne(ctx context.Context, c *Caller, s *standing, call Call, a *answer, w ask) (*approvals.Approval, Verdict, error) {
	d, err := g.callDraft(c, s, call, a, evidence.ApprovalAsked)
	if err != nil {
		return nil, Verdict{}, err
	}
	d.Outcome = evidence.Ask
	d.ID = id.New[id.Event](s.now)
	approval := id.New[id.Approval](s.now)
	d.What = &evidence.What{Approval: approval, Ask: w.digest}
	d.Content = append(d.Content, evidence.Content{Digest: w.digest, Body: w.raw})
	var asked approvals.Asked
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		var excluded []string
		for _, u := range a.facts.Excluded() {
			excluded = append(excluded, u.ID)
		}
		asked, err = g.Approvals.Ask(tx, c.ws, approvals.Ask{
			ID: approval, Object: w.object, Role: w.obligation.Role, Quorum: w.obligation.Quorum, Excluded: excluded,
			Delegation: c.claims.Delegation, Arguments: call.Arguments, Reason: w.obligation.Reason, TTL: w.obligation.TTL, Wait: approvalWait, Asked: d.ID,
		})
		if err != nil {
			return err
		}
		what := *tx.Event().What
		what.Approval = asked.ID
		tx.Event().What = &what
		return nil
	})
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable {
		v, err := g.refuseCall(ctx, c, s, call, a, err)
		return nil, v, err
	}
	if err != nil {
		return nil, Verdict{}, err
	}
	c.used(&got)
	if got.Outcome == evidence.Deny {
		return nil, Verdict{Outcome: evidence.Deny, Event: got.ID, Code: got.Code, Reason: got.Reason, Remedy: remedyFor(got.Code)}, nil
	}
	return &asked.Approval, Verdict{}, nil
}

// approvalWait is how long an approval waits for votes.
const approvalWait = 30 * time.Minute

// Finish records how a permitted call ended; it is durable when Finish returns.
func (g *Guard) Finish(ctx context.Context, v Verdict, f Finished) error {
	if v.Outcome != evidence.Permit || v.started.event.IsZero() {
		return fault.New(fault.Internal, "not_started", "only a call that was started can finish")
	}
	d := v.started.draft
	did := *d.Did
	did.Result, did.Bytes = f.Result, f.Bytes
	d.Did, d.Outcome = &did, f.Outcome
	_, err := g.Log.Record(ctx, d, nil)
	return err
}

// Sight is whether a tool is on a caller's list.
type Sight uint8

// The sights.
const (
	Hidden Sight = iota // it could not be permitted with any arguments
	Open
	Gated // it could, after approval or step-up
)

// Visible says for each call, its arguments unknown, whether the caller could be permitted it. It spends the proof as a plain read. An error
// means that nothing may be shown.
func (g *Guard) Visible(ctx context.Context, c *Caller, calls []Call) ([]Sight, error) {
	s, err := g.resolve(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.ends.Live(); err != nil {
		return nil, err
	}
	if err := g.spend(ctx, c); err != nil {
		return nil, err
	}
	live, err := g.Rules.Live(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	set, err := g.Rules.Load(ctx, c.ws, live)
	if err != nil {
		return nil, err
	}
	sights, servers := make([]Sight, len(calls)), map[string]catalog.Server{}
	for i, call := range calls {
		if !s.couldCover(c, call.Action) {
			continue
		}
		server, read := servers[call.Server]
		if !read {
			if server, err = g.Catalog.Server(ctx, c.ws, call.Server); err != nil {
				return nil, err
			}
			servers[call.Server] = server
		}
		q := toolQuestion(server, call)
		f := g.facts(c, s, q)
		if policy.Visible(set, f) {
			sights[i] = Open
			if policy.MayAsk(set, f) {
				sights[i] = Gated
			}
		}
	}
	return sights, nil
}

// couldCover is covers for some arguments.
func (s *standing) couldCover(c *Caller, action string) bool {
	could := func(ps []delegation.Permission) bool {
		for _, p := range ps {
			if delegation.Covers(delegation.Permission{Permission: p.Permission}, delegation.Permission{Permission: action}) {
				return true
			}
		}
		return false
	}
	for _, d := range s.chain {
		if !could(d.Link.Statement.Permissions) {
			return false
		}
	}
	return c.raw == "" || could(c.claims.Permissions())
}

// Wait returns how an approval of the caller's own call stands as soon as it is decided, or "pending" when ctx ends.
func (g *Guard) Wait(ctx context.Context, c *Caller, a id.Approval) (string, error) {
	found, err := g.Approvals.Get(ctx, c.ws, a)
	if ctx.Err() != nil {
		return string(approvals.Pending), nil
	}
	if err == nil && found.Object.Actor != c.Sub() {
		err = fault.New(fault.NotFound, "not_found", "there is no such approval").Try("see what waits: attorn approval ls")
	}
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return string(approvals.Pending), nil
	}
	found, err = g.attended(ctx, c, found)
	return string(found.StatusAt(g.Now())), err
}

// attended is settle for as long as the caller may act; then its error says why it may not. A time that is over while something is read is no failure:
// the approval stands as it was read last.
func (g *Guard) attended(ctx context.Context, c *Caller, a approvals.Approval) (approvals.Approval, error) {
	later, err := g.attend(ctx, c, a)
	if err != nil && ctx.Err() != nil && fault.Of(err) == nil {
		return a, nil
	}
	return later, err
}

func (g *Guard) attend(ctx context.Context, c *Caller, a approvals.Approval) (approvals.Approval, error) {
	watched, stop, err := g.Attend(ctx, c)
	if err != nil {
		return a, err
	}
	defer stop()
	a, err = g.settle(watched, a)
	if ctx.Err() != nil || watched.Err() == nil || err != nil {
		return a, err
	}
	if a, err = g.Approvals.Get(ctx, a.Object.Workspace, a.ID); err == nil && a.StatusAt(g.Now()) == approvals.Pending { // else it ended, too, and says more
		err = context.Cause(watched)
	}
	return a, err
}

// settle reads an approval again until it is decided or ctx ends; then it returns what it read last.
func (g *Guard) settle(ctx context.Context, a approvals.Approval) (approvals.Approval, error) {
	tick := time.NewTicker(500 * time.Millisecond) // another node's commits wake nobody here
	defer tick.Stop()
	for {
		moved := g.Log.Moved()
		found, err := g.Approvals.Get(ctx, a.Object.Workspace, a.ID)
		if ctx.Err() != nil {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		if a = found; a.StatusAt(g.Now()) != approvals.Pending {
			return a, nil
		}
		select {
		case <-ctx.Done():
			return a, nil
		case <-moved:
		case <-tick.C:
		}
	}
}

func flow(a *approvals.Approval) string { return fmt.Sprintf("%d of %s", a.Quorum, a.Role) }
