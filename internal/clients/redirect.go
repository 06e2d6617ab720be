package clients

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/attorn/attorn/fault"
)

const maxRedirect = 1024 // bytes

// answers are the parameters of an authorization response, which the server alone adds (RFC 6749 §4.1.2, RFC 9207).
var answers = []string{"code", "state", "iss", "error", "error_description", "error_uri", "access_token", "id_token", "response"}

// schemeForm is a private-use scheme as RFC 8252 §7.1 wants it: a domain name, reversed, so with a dot. One without a dot is anybody's (§8.4), and those that
// browsers act on themselves have none.
var schemeForm = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$`)

// CheckRedirect says whether an app may have its answers sent to uri: https, http on loopback (RFC 8252 §7.3), or a private-use scheme (RFC 8252 §7.1), in the
// one form that can be compared byte for byte: printable ASCII, lower-case scheme and host, no user info, no fragment (RFC 6749 §3.1.2), and no parameter that
// the answer has. Code: redirect_invalid.
func CheckRedirect(uri string) error {
	_, err := readRedirect(uri)
	return err
}

// MatchRedirect reports whether asked is the registered redirect URI: the same bytes, but for the port of a loopback address over http, which a program gets from
// its system when it starts (RFC 8252 §7.3). Both are redirect URIs by CheckRedirect.
func MatchRedirect(registered, asked string) bool {
	a, err := readRedirect(registered)
	if err != nil {
		return false
	}
	b, err := readRedirect(asked)
	if err != nil {
		return false
	}
	if !a.free || !b.free {
		return registered == asked
	}
	return a.host == b.host && a.rest == b.rest
}

// LoopbackRedirect reports whether what is sent to uri stays on the machine whose browser is redirected, where any program may be the one that takes it.
func LoopbackRedirect(uri string) bool {
	r, err := readRedirect(uri)
	return err == nil && r.loopback
}

// RedirectHost is where an answer goes, for people: a host, with its port where it has one, or a private-use scheme with its colon. "" where uri is none that
// CheckRedirect accepts.
func RedirectHost(uri string) string {
	r, err := readRedirect(uri)
	if err != nil {
		return ""
	}
	return r.shown
}

// redirect is a redirect URI, read.
type redirect struct {
	host     string // without port
	rest     string // what follows host and port
	shown    string
	loopback bool
	free     bool // of port
}

func readRedirect(uri string) (redirect, error) {
	bad := func(reason string) (redirect, error) {
		return redirect{}, fault.New(fault.Invalid, "redirect_invalid", "this cannot be a redirect URI: %s", reason).
			Try("register https://…, http://127.0.0.1/… or a scheme like com.example.app:/…")
	}
	if uri == "" || len(uri) > maxRedirect || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '#' }) {
		return bad("it has 1 to 1,024 printable ASCII characters, no space, no backslash and no fragment")
	}
	u, err := url.Parse(uri)
	if err != nil || u.String() != uri {
		return bad("it is not an absolute URI in its normal form")
	}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case u.User != nil || strings.Contains(u.Host, "@"):
		return bad("it has user info")
	case err != nil:
		return bad("its query cannot be read")
	case slices.ContainsFunc(answers, func(name string) bool { _, ok := query[name]; return ok }):
		return bad("its query has a parameter of the answer, such as code or state")
	case schemeForm.MatchString(u.Scheme) && u.Opaque == "" && strings.HasPrefix(uri, u.Scheme+":/"):
		return redirect{rest: uri, shown: u.Scheme + ":"}, nil
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("it is neither https, nor http on this machine, nor a private-use scheme with a dot (RFC 8252 §7.1)")
	}
	host, port := u.Hostname(), u.Port()
	ip, notIP := netip.ParseAddr(host)
	loopback := host == "localhost" || notIP == nil && ip.IsLoopback()
	switch {
	case u.Opaque != "", notIP != nil && !dnsForm.MatchString(host), notIP == nil && host != ip.WithZone("").String():
		return bad("its host is neither a name in lower case nor an IP address in its usual form")
	case strings.HasSuffix(u.Host, ":"), port != "" && (!portForm.MatchString(port) || len(port) == 5 && port > "65535"):
		return bad("its port is empty or out of range")
	case u.Scheme == "http" && !loopback:
		return bad("http is for loopback addresses alone; use https")
	}
	return redirect{
		host: u.Scheme + "://" + host, rest: strings.TrimPrefix(uri, u.Scheme+"://"+u.Host), shown: u.Host, loopback: loopback, free: loopback && u.Scheme == "http",
	}, nil
}
