package httpsig_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/attorn/attorn/httpsig"
)

// What one signature may allocate: a number that only a change with a reason raises. Every one is paid for by each signed request.
func TestAllocs(t *testing.T) {
	s := signer(t, seed)
	token := http.Header{"Authorization": {"DPoP " + strings.Repeat("e", 900)}}
	p := httpsig.Params{Audience: audience, Created: at, Nonce: nonce}
	q := httpsig.Request{Method: "POST", TargetURI: audience + "?a=1", Header: httpsig.Fields(token), Body: make([]byte, 1024)}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := httpsig.Sign(s, q, p); err != nil {
			t.Fatal(err)
		}
	}); n > 23 {
		t.Errorf("Sign allocates %v times", n)
	}
	q = signed(t, s, q, token, p)
	want := httpsig.Want{Audience: audience, Now: at, Key: known(s.Public())}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := httpsig.Verify(q, want); err != nil {
			t.Fatal(err)
		}
	}); n > 12 {
		t.Errorf("Verify allocates %v times", n)
	}
}
