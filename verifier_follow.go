package attorn

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/token"
)

// How old the last word of the issuer may be before nothing is believed any more (evidence.md §3), and how long the follower waits after a failure.
const (
	staleAfter = 2 * time.Second
	feedTime   = 5 * time.Second // of one question, which the issuer holds for a second
	waitFirst  = 50 * time.Millisecond
	waitMost   = time.Second
)

// follower keeps a Verifier up with what ends at the issuer. To ask for what follows an answer confirms that the answer was applied: `attorn kill`
// lists the service by it.
type follower struct {
	door    *door
	service string
	process string
	stop    context.CancelFunc
	done    chan struct{}
	first   chan struct{} // closed at the first word

	mu    sync.Mutex
	heard time.Time // of this process's clock, which does not jump
}

// follow begins to follow, where the service has an identity of its own for it.
func (v *Verifier) follow() error {
	if v.cfg.Service.IsZero() {
		return nil
	}
	d, err := newDoor(v.cfg.Issuer, v.cfg.Workspace, v.cfg.Signer, v.cfg.HTTP)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &follower{door: d, service: v.cfg.Service.String(), process: rand.Text()[:10], stop: stop, done: make(chan struct{}), first: make(chan struct{})}
	d.own = func(ctx context.Context, resource string) (Token, error) {
		return d.grant(ctx, v.cfg.Signer, url.Values{"grant_type": {"client_credentials"}, "resource": {resource}}, func(form url.Values, assertion string) {
			form.Set("client_assertion_type", assertionType)
			form.Set("client_assertion", assertion)
		}, f.service)
	}
	v.ends, v.feed = &ends{}, f
	go func() {
		defer close(f.done)
		v.run(ctx)
	}()
	return nil
}

func (v *Verifier) run(ctx context.Context) {
	after, wait := FeedAfter{Process: v.feed.process}, waitFirst
	for ctx.Err() == nil {
		asked := v.now()
		question, cancel := context.WithTimeout(ctx, feedTime)
		got, err := v.feed.door.feed(question, after)
		cancel()
		switch {
		case err == nil && !after.Began: // what ended before is not known: ask about every token
			v.agents.forget()
			v.keys.forget()
			v.ends.gap(v.now())
		case err == nil:
			for _, item := range got.Ended {
				v.apply(item.Touch)
			}
		case fault.Code(err) == "feed_gap":
			after.Began = false
			continue
		default:
			v.pause(ctx, wait)
			wait = min(2*wait, waitMost)
			continue
		}
		after.Began, after.Rev, after.Server, wait = true, got.Rev, got.Server, waitFirst
		v.feed.hear()
		if len(got.Ended) == 0 && v.now().Sub(asked).Abs() < waitFirst { // it did not wait
			v.pause(ctx, waitFirst)
		}
	}
}

// pause waits, or until the Verifier is closed.
func (v *Verifier) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// apply drops what rests on what ended.
func (v *Verifier) apply(touched []string) {
	v.ends.note(touched, v.now())
	if slices.Contains(touched, everything) {
		v.agents.forget()
	}
	if slices.Contains(touched, issuerKey) {
		v.keys.forget()
	}
	for _, name := range touched {
		if kid, err := id.ParseKey(name); err == nil {
			v.agents.forget(kid)
		} else if agent, err := id.Parse[id.Agent](name); err == nil {
			v.agents.forgetAgent(agent)
		}
	}
}

func (f *follower) hear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard.IsZero() {
		close(f.first)
	}
	f.heard = time.Now()
}

func (v *Verifier) follows() bool { return v.feed != nil }

// contact refuses where the issuer was not heard of for too long: what ended since is not known. Right after the start it waits for the first word.
// Code: stale.
func (v *Verifier) contact(ctx context.Context) error {
	f := v.feed
	f.mu.Lock()
	heard := f.heard
	f.mu.Unlock()
	if heard.IsZero() {
		t := time.NewTimer(staleAfter)
		defer t.Stop()
		select {
		case <-f.first:
			return nil
		case <-t.C:
		case <-ctx.Done():
		}
	} else if time.Since(heard) <= staleAfter {
		return nil
	}
	return fault.New(fault.Unavailable, "stale", "the issuer was not heard of for %s, so that what ended since is not known", staleAfter).
		Try("check that the issuer runs and can be reached from this service")
}

// introspect asks the issuer whether a token still stands (RFC 7662).
func (v *Verifier) introspect(ctx context.Context, raw string) (bool, error) {
	d := v.feed.door
	assertion, err := token.SignAssertion(v.cfg.Signer, v.feed.service, d.server, rand.Text(), time.Now(), assertionLife)
	if err != nil {
		return false, err
	}
	form := url.Values{"token": {raw}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	res, answer, err := d.ask(ctx, http.MethodPost, d.server+"/oauth/introspect", "application/x-www-form-urlencoded", []byte(form.Encode()), Token{}, maxDocument)
	if err != nil {
		return false, err
	}
	if res.StatusCode != http.StatusOK {
		return false, fault.Wrap(oauthProblem(res.StatusCode, answer), fault.Unavailable, "issuer_unreachable", "the issuer does not say whether the token still stands")
	}
	var got struct {
		Active bool `json:"active"`
	}
	err = understand(answer, &got)
	return got.Active, err
}
