package console_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"
)

// late gives its bytes after something has happened, which is when they are first asked for.
type late struct {
	io.Reader
	happens func()
}

func (l *late) Read(b []byte) (int, error) {
	if l.happens != nil {
		l.happens()
		l.happens = nil
	}
	return l.Reader.Read(b)
}

// TestABodyThatComesLate: whoever holds a request open while their session ends has nothing by it.
func TestABodyThatComesLate(t *testing.T) {
	r := newRig(t)
	owner := r.firstOwner("Priya")
	maya := owner.invite("Maya")
	own, err := r.NewLink(t.Context(), maya.caller(), maya.id)
	r.ok(err)
	session, _, _, err := r.SignInPage(t.Context(), own, "", "")
	r.ok(err)
	thief := newBrowser(t, r.url)
	thief.http.Transport = &http.Transport{ExpectContinueTimeout: time.Minute} // the body is asked for once the server has read who sends it
	stall := func(q *http.Request) {
		q.Header.Set("Cookie", "attorn-dev="+session)
		body, _ := io.ReadAll(q.Body)
		q.Header.Set("Expect", "100-continue")
		q.GetBody, q.Body = nil, io.NopCloser(&late{bytes.NewReader(body), func() {
			if _, _, err := r.SignOutEverywhere(t.Context(), r.owner(owner), maya.id, "stolen"); err != nil {
				t.Error(err)
			}
		}})
	}
	var o options
	thief.post("/passkey/begin", struct{}{}, &o, func(q *http.Request) { q.Header.Set("Cookie", "attorn-dev="+session) })
	thief.key.UserHandle = o.User.ID
	got := thief.post("/passkey/finish", thief.key.Register(o.Challenge, o.RP.ID, r.url), nil, stall)
	if got.code() != "session_unknown" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if keys, err := r.People.PasskeysOf(t.Context(), maya.id); err != nil || len(keys) != 1 {
		t.Errorf("%d passkeys, %v", len(keys), err)
	}
}
