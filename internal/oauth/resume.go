package oauth

import (
	"net/http"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// resume is GET /oauth/resume/{handle}: it takes what a person decided to the client, for the session that decided. It is the one endpoint of this face that reads a
// cookie, and it changes nothing but what that person just did.
func (f *face) resume(w http.ResponseWriter, r *http.Request) {
	x := f.browser(w, r)
	x.lent = f.Issuer + "/lent"
	defer x.caughtPage(w)
	if f.otherPage(w, r, http.MethodGet) {
		return
	}
	handle := r.PathValue("handle")
	if raw, err := jose.DecodeBase64(handle); err != nil || len(raw) != 32 || r.URL.RawQuery != "" {
		x.page(w, malformed("this address is none that the server made"))
		return
	}
	secret := f.session(r)
	if secret == "" {
		x.page(w, fault.New(fault.Unauthenticated, "session_unknown", "you are not signed in, or your session has ended").Try("start again where you came from"))
		return
	}
	c, _, err := f.Guard.Session(x.ctx, secret, id.Default, address(r))
	if err != nil {
		x.page(w, err)
		return
	}
	a, err := f.Guard.Resume(x.ctx, c, handle)
	if err != nil {
		x.page(w, err)
		return
	}
	description := ""
	if a.Error != "" {
		description = "the person refused"
	}
	x.deliver(w, a, description)
}

// session is the secret of the browser's session, from the one cookie that the console sets (oauth.md §11); "" where there is none that could be one.
func (f *face) session(r *http.Request) string {
	name := "__Host-attorn"
	if !strings.HasPrefix(f.Issuer, "https://") {
		name = "attorn-dev"
	}
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return ""
	}
	if raw, err := jose.DecodeBase64(found[0].Value); err != nil || len(raw) != 32 {
		return ""
	}
	return found[0].Value
}
