package dpop_test

import (
	"testing"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/jose"
)

// What a proof may allocate when it is checked: a number that only a change with a reason raises. Every one is paid for by each request.
func TestAllocs(t *testing.T) {
	raw, err := dpop.Sign(signer(t, seed), dpop.Claims{Method: "GET", URL: "https://a.example/", JTI: "j", AccessToken: "t", IssuedAt: at})
	if err != nil {
		t.Fatal(err)
	}
	want := dpop.Want{Method: "GET", URL: "https://a.example/", AccessToken: "t", Now: at}
	p, err := dpop.Verify(raw, want)
	if err != nil {
		t.Fatal(err)
	}
	for what, most := range map[string]float64{"new": 15, "seen": 8} {
		if what == "seen" {
			want.Seen = p.Header
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := dpop.Verify(raw, want); err != nil {
				t.Fatal(err)
			}
		}); n > most {
			t.Errorf("with a %s header Verify allocates %v times, at most %v are expected", what, n, most)
		}
		want.Seen = jose.Header{}
	}
}
