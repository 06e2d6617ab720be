package approvals

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// The limits of asking.
const (
	MaxWait      = 7 * 24 * time.Hour // for votes
	MaxTTL       = 8 * time.Hour      // to use what was approved
	maxArguments = 64 << 10           // bytes that people can be shown
	maxText      = 2000               // bytes of a reason
	maxPending   = 10                 // per actor
	maxHourly    = 60                 // per actor
	pause        = 15 * time.Minute   // after a denial
	denialsAgain = 3                  // of an actor at one gate in an hour, after which any ask there pauses
)

// Asked is what became of an ask.
type Asked struct {
	Approval
	Joined  bool        // an identical ask was live already: this is it, and nothing new was written
	Expired id.Approval // an earlier one for the same digest, whose time had run out; zero if there was none
}

// Ask makes an approval, or joins the live one of the same digest. A stale one, whose time has run out, is expired first. Codes: invalid_ask,
// args_too_large, too_many_asks, recently_denied, and those of evidence.Approval.Bytes.
func (*Room) Ask(tx *audit.Tx, ws id.Workspace, ask Ask) (Asked, error) {
	object, err := ask.check(ws)
	if err != nil {
		return Asked{}, err
	}
	now, digest := tx.Now(), id.Sum(object)
	stale, err := expire(tx, ws, digest)
	if err != nil {
		return Asked{}, err
	}
	var out Asked
	if len(stale) > 0 {
		out.Expired = stale[0]
	}
	var found bool
	if out.Approval, found, err = liveOf(tx, ws, digest); err != nil || found {
		out.Joined = true
		return out, err
	}
	if err := patient(tx, ask.Object, digest); err != nil {
		return Asked{}, err
	}
	ask.Excluded = slices.Compact(slices.Sorted(slices.Values(ask.Excluded)))
	out.Approval = Approval{Ask: ask, Digest: digest, Status: Pending, MaxUses: 1, CreatedAt: now, ExpiresAt: now.Add(ask.Wait)}
	written, err := insert(tx, out.Approval, object)
	if err != nil || written {
		return out, err
	}
	out.Joined = true
	if out.Approval, found, err = liveOf(tx, ws, digest); err == nil && !found {
		err = invalid("an approval has an id of its own")
	}
	return out, err
}

func invalid(reason string, args ...any) error {
	return fault.New(fault.Invalid, "invalid_ask", reason, args...)
}

// check refuses what could not be shown to people, what is not bound by the digest, and what could never be decided. It returns the object's bytes.
func (a Ask) check(ws id.Workspace) ([]byte, error) {
	o := a.Object
	switch {
	case a.ID.IsZero() || o.Workspace != ws:
		return nil, invalid("an ask has an id, and its object names its workspace")
	case a.Quorum < 1 || a.Quorum > 99 || o.Flow != strconv.Itoa(a.Quorum)+" of "+a.Role || o.FlowSHA256 != id.Sum([]byte(o.Flow)):
		return nil, invalid("the quorum, 1 to 99, and the role are those that the object's flow names")
	case a.Wait <= 0 || a.Wait > MaxWait || a.TTL <= 0 || a.TTL > MaxTTL:
		return nil, invalid("an ask waits at most %s, and its approval can be used for at most %s", MaxWait, MaxTTL)
	case len(a.Arguments) > maxArguments:
		return nil, fault.New(fault.TooLarge, "args_too_large", "arguments of more than %d bytes cannot be shown to people, so nobody can approve them", maxArguments)
	case id.Sum(a.Arguments) != o.ArgsSHA256:
		return nil, invalid("the arguments that people see are those that the object is bound to")
	case !slices.Contains(a.Excluded, o.Actor) || !o.Subject.IsZero() && !slices.Contains(a.Excluded, o.Subject.String()):
		return nil, invalid("who acts, and for whom, may not vote")
	case !readable(a.Reason):
		return nil, invalid("a reason is text of at most %d bytes", maxText)
	}
	if c, err := jose.CanonicalRaw(a.Arguments, jose.Limits{Bytes: maxArguments, Depth: 64, Values: maxArguments}); err != nil || string(c) != string(a.Arguments) {
		return nil, invalid("the arguments are JSON in RFC 8785 form")
	}
	return o.Bytes()
}

// readable is text that both engines store: UTF-8, no control character but those of paragraphs.
func readable(s string) bool {
	return len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

// patient keeps an actor from tiring people out.
func patient(tx *audit.Tx, o evidence.Approval, digest id.Digest) error {
	pending, hourly, denied, err := asksOf(tx, o.Workspace, o.Actor)
	if err != nil {
		return err
	}
	if pending >= maxPending || hourly >= maxHourly {
		return fault.New(fault.Limited, "too_many_asks", "%s has asked for %d approvals in an hour and %d are pending; the limits are %d and %d",
			o.Actor, hourly, pending, maxHourly, maxPending).Try("wait until some are decided, or cancel those that are not needed")
	}
	if until := pausedUntil(denied, digest, o.Gate); tx.Now().Before(until) {
		return fault.New(fault.Denied, "recently_denied", "people denied this a short time ago").Try("ask again after %s, or differently", until.UTC().Format(time.RFC3339))
	}
	return nil
}

// denial is one that was denied.
type denial struct {
	digest id.Digest
	gate   string
	at     time.Time
}

// pausedUntil is when an ask may come again after these denials of the actor, the latest first: 15 minutes after this very ask was denied, and
// after the third denial within an hour at the same gate. Zero: now.
func pausedUntil(denied []denial, digest id.Digest, gate string) time.Time {
	var until time.Time
	var here []time.Time
	for _, d := range denied {
		if d.digest == digest && d.at.Add(pause).After(until) {
			until = d.at.Add(pause)
		}
		if d.gate == gate {
			here = append(here, d.at)
		}
	}
	if len(here) >= denialsAgain && here[0].Sub(here[denialsAgain-1]) < time.Hour && here[0].Add(pause).After(until) {
		until = here[0].Add(pause)
	}
	return until
}
