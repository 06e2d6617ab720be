package admin_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
)

// At the two doors for whoever has nothing but a secret, a network has ten wrong ones a minute however many come at once; right ones and challenges for a nonce
// do not count, and who is told to wait is told for how long.
func TestWrongSecretsAreLimited(t *testing.T) {
	for _, c := range []struct {
		path, wrong string
		right       int // how many may follow each other: a person has eight keys
	}{{"/v1/signin", `{"secret":"x"}`, 7}, {"/v1/enrol", `{"token":"x"}`, 12}} {
		w := start(t)
		bot, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: "bot"})
		w.ok(err)
		right := func() string {
			if c.path == "/v1/enrol" {
				offer, err := w.priya.OfferEnrolment(w.ctx, bot.ID)
				w.ok(err)
				return `{"token":"` + offer.Token + `"}`
			}
			l, err := w.maya.NewLink(w.ctx, "me")
			w.ok(err)
			_, secret, _ := strings.Cut(l.Link, "#")
			return `{"secret":"` + secret + `"}`
		}
		res, p, _ := w.send(newSigner(t), request{method: "POST", path: c.path, body: c.wrong})
		if p.Code != "dpop_nonce_required" {
			t.Fatal(p)
		}
		nonce := res.Header.Get("DPoP-Nonce")
		var mu sync.Mutex
		var wg sync.WaitGroup
		codes := map[string]int{}
		for range 64 {
			wg.Go(func() {
				res, p, _ := w.send(newSigner(t), request{method: "POST", path: c.path, body: c.wrong, nonce: nonce})
				mu.Lock()
				defer mu.Unlock()
				if codes[p.Code]++; p.Code != "too_many" {
					return
				}
				if wait := res.Header.Get("Retry-After"); res.StatusCode != 429 || wait == "" || wait == "0" || !strings.Contains(p.Remedy, "seconds") {
					t.Errorf("%s: %d, Retry-After %q, %+v", c.path, res.StatusCode, wait, p)
				}
			})
		}
		wg.Wait()
		if len(codes) != 2 || codes["too_many"] != 54 {
			t.Errorf("%s: %v", c.path, codes)
		}
		var good []string
		for range c.right {
			good = append(good, right())
		}
		if _, p, _ := w.send(newSigner(t), request{method: "POST", path: c.path, body: good[0], nonce: nonce}); p.Code != "too_many" {
			t.Errorf("%s, a right one in the same minute: %+v", c.path, p)
		}
		if _, p, _ := w.send(nil, request{method: "GET", path: "/v1/me"}); p.Code != "token_missing" {
			t.Errorf("other routes: %+v", p)
		}
		w.pass(time.Minute)
		for i, body := range good {
			if res, p, _ := w.send(newSigner(t), request{method: "POST", path: c.path, body: body, nonce: nonce}); res.StatusCode/100 != 2 {
				t.Fatalf("%s, right one %d a minute later: %+v", c.path, i, p)
			}
		}
	}
}
