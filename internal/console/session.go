package console

import (
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

const (
	secureCookie  = "__Host-attorn" // RFC 6265bis §4.1.3.2: only over https, for this host alone
	devCookie     = "attorn-dev"    // on http://localhost, where a browser keeps no such cookie
	sessionMaxAge = 8 * time.Hour
)

// secret is the session's, from the one cookie of our name; "" where there is none that could be one. Two cookies mean that somebody else set one.
func (f *face) secret(r *http.Request) string {
	found := r.CookiesNamed(f.cookie)
	if len(found) != 1 {
		return ""
	}
	if raw, err := jose.DecodeBase64(found[0].Value); err != nil || len(raw) != 32 {
		return ""
	}
	return found[0].Value
}

func (f *face) setCookie(w http.ResponseWriter, secret string) {
	c := http.Cookie{
		Name: f.cookie, Value: secret, Path: "/", MaxAge: int(sessionMaxAge / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: f.cookie == secureCookie,
	}
	if secret == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, &c)
}

// begin gives the browser a new session; the one it had, whoever's it was, ends.
func (x *request) begin(secret string) error {
	if old := x.secret(x.r); old != "" {
		if err := x.Guard.SignOut(x.ctx, old); err != nil {
			return err
		}
	}
	x.setCookie(x.w, secret)
	return nil
}

// signIn fills in who the request comes from. Code: session_unknown.
func (x *request) signIn() error {
	secret := x.secret(x.r)
	if secret == "" {
		return fault.New(fault.Unauthenticated, "session_unknown", "you are not signed in, or your session has ended").Try("sign in")
	}
	var err error
	if x.caller, x.person, err = x.Guard.Session(x.ctx, secret, id.Default, x.address()); err != nil {
		return err
	}
	return x.Guard.KeepSession(x.ctx, secret)
}

// actIn makes the signed-in person the caller in a workspace of theirs. Code: not_found for one that is none, whether it exists or not.
func (x *request) actIn(ws id.Workspace) error {
	c, _, err := x.Guard.Session(x.ctx, x.secret(x.r), ws, x.address())
	if err != nil {
		return err
	}
	if c.Workspace() != ws {
		return missing("there is nothing of yours there")
	}
	x.caller = c
	return nil
}

// address is where the request comes from, in netip's form; "" where that is unknown.
func (x *request) address() string {
	host, _, err := net.SplitHostPort(x.r.RemoteAddr)
	if err != nil {
		return ""
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

// network is what attempts are counted by: an address, or the 64 bits of an IPv6 one that are a site's own choice.
func (x *request) network() string { return guard.Network(x.address()) }

var ownPath = regexp.MustCompile(`^/(approvals/apr_[0-9a-v]{26}|events/evt_[0-9a-v]{26}|passkey|lent|lent/dlg_[0-9a-v]{26}|consent/[A-Za-z0-9_-]{43}|account|account/upstream|device(\?user_code=[B-Z]{4}-[B-Z]{4})?)$`)

// next is where to go after signing in: a page of ours, whatever was asked for.
func next(s string) string {
	if !ownPath.MatchString(s) || strings.ContainsAny(s, "\r\n") {
		return "/"
	}
	return s
}
