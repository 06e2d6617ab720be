package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
)

// The ladder: how a call waits for people. Clients give up at 60 seconds, and official SDKs stop after ten rounds of input_required.
const (
	holdTime    = 45 * time.Second
	holdLegacy  = 20 * time.Second // before a legacy client is sent to the URL
	beatTime    = 5 * time.Second
	commentAt   = 3  // beats: 15 s
	progressAt  = 2  // beats: 10 s
	maxHolds    = 16 // for one agent at a time
	maxRounds   = 7  // of waiting; three of ten stay for the upstream
	approvalKey = "approval"
)

// decide asks the guard until the call is permitted or answered otherwise; the latter is false.
func (x *exchange) decide(w *wanted) (guard.Verdict, bool) {
	for attempt := range 3 { // a second time after an approval, a third should that have ended meanwhile
		if w.tool.Status == catalog.Accepted && !x.fresh(w, attempt > 0) {
			return guard.Verdict{}, false
		}
		v, err := x.g.Guard.Start(x.ctx, x.caller, w.asked)
		if err != nil {
			x.failed(err)
			return v, false
		}
		switch v.Outcome {
		case evidence.Permit:
			if w.tool.Status != catalog.Accepted { // never, by the guard's own check of the definition
				x.finish(v, guard.Finished{Outcome: evidence.RPCError})
				x.refuse(refusalBody{Code: "tool_quarantined", Reason: "the tool's definition is not accepted"})
				return v, false
			}
			return v, true
		case evidence.Ask:
			if v.Approval == nil || !x.climb(w, v) {
				return v, false
			}
		default:
			x.denied(w, v)
			return v, false
		}
	}
	x.refuse(refusalBody{Code: "approval_expired", Reason: "the approval ended before the call could run", Remedy: "call again with identical arguments to ask anew"})
	return guard.Verdict{}, false
}

// denied renders a refusal: 401 for a used proof, 403 where more scope would help, else a reason for those who can see the tool.
func (x *exchange) denied(w *wanted, v guard.Verdict) {
	b := bodyOf(v)
	switch {
	case v.Code == "replayed":
		x.out.fail401(func() { x.g.replayed(x.w, x.place, b) })
	case len(v.Scopes) > 0:
		x.g.stepUp(x, b, v.Scopes)
	default:
		x.stranger(&w.asked, func() { x.refuse(b) })
	}
}

// replayed answers 401 for a proof that was used before.
func (g *Gateway) replayed(w http.ResponseWriter, p place, b refusalBody) {
	g.challenge(w.Header(), p, p.scope(), "invalid_token", "invalid_dpop_proof")
	writeJSON(w, http.StatusUnauthorized, encodeError(nil, (&rpcError{Code: codeUnauthenticated, Message: b.Reason, Data: b.encode()}).object()))
}

// climb waits for an approval on the rung that fits the client. True means that the call should be decided again; otherwise the client has
// been answered.
func (x *exchange) climb(w *wanted, v guard.Verdict) bool {
	release, free := x.g.holds.take(x.caller.Sub(), maxHolds)
	if !free {
		x.pending(v)
		return false
	}
	defer release()
	switch {
	case x.revision == modern && w.call.Meta.Capabilities.URL && (w.state == nil || w.state.Stage == stageApproval):
		return x.climbModern(w, v)
	case x.session != nil && x.session.features.URL:
		return x.climbLegacy(w, v)
	}
	return x.climbPlain(w, v)
}

// climbModern is rung 2: the page at once, then each retry waits.
func (x *exchange) climbModern(w *wanted, v guard.Verdict) bool {
	round := 1
	if w.state != nil {
		if !opened(w.call.Responses) {
			x.pending(v) // the person did not open the page: asking again would only annoy
			return false
		}
		if done, again := x.hold(v, x.g.holdTime, w.call.Meta.Progress); done {
			return again
		}
		if round = w.state.Round + 1; round > maxRounds {
			x.pending(v)
			return false
		}
	}
	state, err := x.seal(sealedState{Approval: v.Approval.ID, Digest: w.asked.Digest, Stage: stageApproval, Round: round})
	if err != nil {
		x.failed(err)
		return false
	}
	params := (&object{}).text("mode", "url").text("message", "This call needs approval: "+v.Reason).text("url", v.Approval.URL).end()
	request := (&object{}).text("method", "elicitation/create").raw("params", params).end()
	x.out.result((&object{}).text("resultType", "input_required").
		raw("inputRequests", (&object{}).raw(approvalKey, request).end()).text("requestState", state).end())
	return false
}

// opened reports whether the client accepted to open the page. It says nothing about the approval.
func opened(responses jsontext.Value) bool {
	var all map[string]struct {
		Action string `json:"action"`
	}
	if responses == nil {
		return true // a retry without an answer waits too
	}
	if foreign(responses, &all) != nil {
		return false
	}
	r, ok := all[approvalKey]
	return !ok || r.Action == "accept"
}

// climbLegacy is rung 3: wait a little, then send the client to the page; its notification comes on the session's stream (2025-11-25,
// client/elicitation "URL Mode With Elicitation Required Error Flow").
func (x *exchange) climbLegacy(w *wanted, v guard.Verdict) bool {
	if done, again := x.hold(v, x.g.holdLegacy, w.call.Meta.Progress); done {
		return again
	}
	elicitation := (&object{}).text("mode", "url").text("elicitationId", v.Approval.ID.String()).text("url", v.Approval.URL).
		text("message", "This call needs approval: "+v.Reason).end()
	x.session.watch(x.caller, v.Approval)
	x.out.fail(&rpcError{
		Code: codeURLElicitation, Message: "This call needs approval: " + v.Reason,
		Data: (&object{}).raw("elicitations", append(append([]byte{'['}, elicitation...), ']')).end(),
	})
	return false
}

// climbPlain is rung 4: wait, then say that it is pending.
func (x *exchange) climbPlain(w *wanted, v guard.Verdict) bool {
	if done, again := x.hold(v, x.g.holdTime, w.call.Meta.Progress); done {
		return again
	}
	x.pending(v)
	return false
}

// pending tells the client to call again.
func (x *exchange) pending(v guard.Verdict) {
	b := bodyOf(v)
	b.Code, b.RetryAfter = "approval_pending", 15
	b.Remedy = "call again with identical arguments once it is approved"
	x.refuse(b)
}

// hold waits for an approval and keeps the connection alive. done is false when it is still pending; again says that it was approved, and the
// call should be decided anew. Otherwise the client has been answered, or is gone.
func (x *exchange) hold(v guard.Verdict, d time.Duration, progress jsontext.Value) (done, again bool) {
	ctx, cancel := context.WithTimeout(x.ctx, d)
	defer cancel()
	defer context.AfterFunc(x.g.draining, cancel)()
	x.beat(ctx, 1, progress)
	status, err := x.g.Guard.Wait(ctx, x.caller, v.Approval.ID)
	cancel()
	switch {
	case x.ctx.Err() != nil:
		return true, false // nobody is left to answer; the approval stays
	case err != nil:
		x.failed(err)
		return true, false
	case status == "pending":
		return false, false
	case status == "approved" || status == "spent":
		return true, true
	}
	b := bodyOf(v)
	b.StatusURL, b.ExpiresAt = "", ""
	switch status {
	case "denied":
		b.Code, b.Reason, b.Remedy = "approval_denied", "the approval was denied", ""
	case "expired":
		b.Code, b.Reason, b.Remedy = "approval_expired", "nobody decided in time", "call again to ask anew"
	default:
		b.Code, b.Reason, b.Remedy = "approval_void", "what the approval rested on has changed", "call again to ask anew"
	}
	x.refuse(b)
	return true, false
}

// beat says something now and then while ctx lasts.
func (x *exchange) beat(ctx context.Context, n int, progress jsontext.Value) {
	x.g.Clock.AfterFunc(x.g.beatTime, func() {
		if ctx.Err() != nil {
			return
		}
		if n%commentAt == 0 {
			x.out.comment()
		}
		if progress != nil && n%progressAt == 0 {
			p := (&object{}).raw("progressToken", progress).number("progress", int64(n)).text("message", "waiting for approval").end()
			x.out.note(encodeNotification("notifications/progress", p))
		}
		x.beat(ctx, n+1, progress)
	})
}

// pendingOf makes a pending approval's lifetime usable as a context.
func pendingOf(parent context.Context, g *Gateway, p *guard.Pending) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, p.Expires.Sub(g.Clock.Now())+time.Second)
}
