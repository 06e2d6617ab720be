package attorn

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// A token is kept for 80 % of its life, an error not at all, and whoever waits for another's request can give up.
func TestWallet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wallet
		made := 0
		fresh := func(context.Context) (Token, error) {
			made++
			return Token{AccessToken: strconv.Itoa(made), Expires: time.Now().Add(100 * time.Second)}, nil
		}
		get := func() string {
			got, err := w.get(t.Context(), "k", fresh)
			if err != nil {
				t.Fatal(err)
			}
			return got.AccessToken
		}
		if _, err := w.get(t.Context(), "k", func(context.Context) (Token, error) { return Token{}, errors.New("no") }); err == nil {
			t.Error("no error")
		}
		if get() != "1" {
			t.Error("an error was kept")
		}
		time.Sleep(79 * time.Second)
		if get() != "1" {
			t.Error("renewed before 80 %")
		}
		time.Sleep(2 * time.Second)
		if get() != "2" {
			t.Error("not renewed after 80 %")
		}
		w.drop("k", "1")
		if get() != "2" {
			t.Error("another token than the refused one was dropped")
		}
		w.drop("k", "2")
		if get() != "3" {
			t.Error("the refused token was kept")
		}

		hold, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			w.get(t.Context(), "slow", func(ctx context.Context) (Token, error) { <-hold; return fresh(ctx) })
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.get(ctx, "slow", fresh); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(hold)
		<-done
	})
}
