package attorn

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// The times of following (evidence of the server holds two seconds): what is known is stale when the issuer has not been heard for longer.
const (
	feedStale   = 2 * time.Second
	feedHeld    = time.Second     // how long the server holds an answer that has nothing to tell
	feedPatient = 3 * time.Second // with one answer, which the server holds for a second at most
	feedBackoff = 200 * time.Millisecond
	feedSlowest = 5 * time.Second
)

// feed follows what ends at an issuer, in the name of a registered service. It asks again at once, so that what ended is heard within moments, and asking
// again confirms that it was applied.
type feed struct {
	door   *door
	after  FeedAfter
	placed bool                 // the door knows the service's workspace
	quiet  bool                 // the last answer had nothing to tell, so that the next one may wait
	ended  func(touch []string) // applies what ended; it returns before the issuer is told
	drop   func()               // drops all that was kept: what ended meanwhile cannot be told any more

	mu    sync.Mutex
	heard time.Time // up to when all that ended is applied
}

// newFeed makes a feed; run follows. ended is called with identifiers of agents, users, instances, delegations, tokens and servers, and with "workspace",
// "policy" and "issuer-key"; drop at the beginning, too, and both from one goroutine.
func newFeed(issuer string, service id.Service, signer jose.Signer, hc *http.Client, ended func(touch []string), drop func()) (*feed, error) {
	d, err := newDoor(issuer, id.Default, signer, hc)
	if err != nil {
		return nil, err
	}
	d.own = func(ctx context.Context, _ string) (Token, error) {
		form := url.Values{"grant_type": {"client_credentials"}}
		return d.grant(ctx, signer, form, asClient, service.String())
	}
	return &feed{door: d, after: FeedAfter{Process: processName()}, ended: ended, drop: drop}, nil
}

// processName tells this process apart from others of the same service.
func processName() string {
	host, _ := os.Hostname()
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '-'
	}, host)
	return name[:min(len(name), 50)] + "-" + strings.ToLower(rand.Text()[:6])
}

// run follows until ctx ends.
func (f *feed) run(ctx context.Context) {
	pause := feedBackoff
	for ctx.Err() == nil {
		err := f.once(ctx)
		if err == nil {
			pause = feedBackoff
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, feedSlowest)
	}
}

// once asks for what ended, and applies it.
func (f *feed) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, feedPatient)
	defer cancel()
	if !f.placed {
		if err := f.place(ctx); err != nil {
			return err
		}
	}
	asked, wait := time.Now(), f.after.Began && f.quiet
	got, err := f.door.feed(ctx, f.after, wait)
	if fault.Code(err) == "feed_gap" {
		f.after.Began, f.quiet = false, false
		f.drop()
		return nil
	} else if err != nil {
		return err
	}
	if !f.after.Began {
		f.drop() // what was kept before is from before anybody listened
	}
	for _, e := range got.Ended {
		f.ended(e.Touch)
	}
	f.after.Began, f.after.Rev, f.after.Server, f.quiet = true, got.Rev, got.Server, len(got.Ended) == 0 && !got.More
	if wait && f.quiet { // it was held to the end, and looked again then
		asked = earlier(asked.Add(feedHeld), time.Now())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = asked
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// place finds the workspace of the service, which its token names: the feed's address is in it.
func (f *feed) place(ctx context.Context) error {
	t, err := f.door.own(ctx, "")
	if err != nil {
		return err
	}
	var claims struct {
		Workspace id.Workspace `json:"ws"`
	}
	parts := strings.Split(t.AccessToken, ".")
	if len(parts) != 3 {
		return fault.New(fault.Unavailable, "bad_answer", "the server's answer has no token")
	}
	raw, err := jose.DecodeBase64(parts[1])
	if err == nil {
		err = jose.DecodeForeign(raw, &claims, jose.Limits{})
	}
	if err != nil || claims.Workspace.IsZero() {
		return fault.New(fault.Unavailable, "bad_answer", "the server's token names no workspace")
	}
	f.door.ws, f.placed = claims.Workspace, true
	return nil
}

// fresh reports whether what was kept is as new as is promised: the issuer was heard within two seconds. The code of what is refused otherwise is stale.
func (f *feed) fresh(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.heard.IsZero() && now.Sub(f.heard) <= feedStale
}
