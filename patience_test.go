package attorn_test

import (
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// TestATokenIsAskedForAgainWhenTheServerSaysWhen: a refusal for the number of requests is tried again, a few times, if the wait is short.
func TestATokenIsAskedForAgainWhenTheServerSaysWhen(t *testing.T) {
	for _, c := range []struct {
		after string
		tries int64
		code  string
	}{
		{"0", 3, "unknown"}, // the third answer is another one
		{"60", 1, "rate_limited"},
		{"soon", 1, "rate_limited"},
		{"", 1, "rate_limited"},
	} {
		var asked atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if asked.Add(1) < 3 {
				w.Header().Set("Retry-After", c.after)
				w.WriteHeader(http.StatusTooManyRequests)
				w.Write([]byte(`{"error":"temporarily_unavailable","error_description":"too many","reason":"rate_limited"}`))
				return
			}
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error":"invalid_grant","error_description":"no","reason":"unknown"}`))
		}))
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		cl, err := attorn.NewClient(attorn.ClientConfig{Server: s.URL, User: id.New[id.User](time.Now()), Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cl.Token(t.Context(), s.URL+"/api"); fault.Code(err) != c.code || asked.Load() != c.tries {
			t.Errorf("Retry-After %q: %v after %d tries, want %s after %d", c.after, err, asked.Load(), c.code, c.tries)
		}
		s.Close()
	}
}
