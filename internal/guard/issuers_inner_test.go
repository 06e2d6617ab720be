package guard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
)

// issuerAsked is an issuer that 64 callers ask for its keys at once; it answers when it is told to.
type issuerAsked struct {
	*Guard
	asked  int
	answer chan error
	got    chan error
}

func (a *issuerAsked) ask() ([]gojose.JSONWebKey, time.Duration, error) {
	a.asked++ // one at a time, or the race detector says so
	if err := <-a.answer; err != nil {
		return nil, 0, err
	}
	return []gojose.JSONWebKey{{KeyID: "k"}}, time.Hour, nil
}

func (a *issuerAsked) call(ctx context.Context) {
	keys, err := a.heldKeys(ctx, "issuer", "k", a.ask)
	if err == nil && (len(keys) != 1 || keys[0].KeyID != "k") {
		err = errors.New("other keys")
	}
	a.got <- err
}

func (a *issuerAsked) all(n int) {
	for range n {
		go a.call(context.Background())
	}
	synctest.Wait()
}

// Who waits while somebody asks an issuer gets the same answer, also a failure; who comes later asks again, and who asked and left has answered nobody.
func TestHeldKeysWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &issuerAsked{Guard: &Guard{}, answer: make(chan error), got: make(chan error, 64)}
		a.Now = time.Now
		expect := func(what string, n int, want error, asked int) {
			t.Helper()
			for range n {
				if err := <-a.got; !errors.Is(err, want) {
					t.Fatalf("%s: %v", what, err)
				}
			}
			synctest.Wait() // whoever asks next has begun to
			if a.asked != asked {
				t.Errorf("%s: asked %d times", what, a.asked)
			}
		}
		down := errors.New("down")
		a.all(64)
		a.answer <- down
		expect("a failure", 64, down, 1)

		a.all(64) // a failure is not kept
		a.answer <- nil
		expect("keys", 64, nil, 2)
		a.all(64)
		expect("keys that are held", 64, nil, 2)

		time.Sleep(time.Hour) // in the bubble: nobody waits
		ctx, leave := context.WithCancel(t.Context())
		go a.call(ctx)
		synctest.Wait()
		a.all(63)
		leave()
		a.answer <- context.Canceled
		expect("who left", 1, context.Canceled, 4)
		a.answer <- nil
		expect("who stayed", 63, nil, 4)

		time.Sleep(time.Hour)
		go a.call(t.Context())
		synctest.Wait()
		gone, leave := context.WithCancel(t.Context())
		go a.call(gone)
		synctest.Wait()
		leave()
		expect("who waited and left", 1, context.Canceled, 5)
		a.answer <- nil
		expect("who asked", 1, nil, 5)
	})
}
