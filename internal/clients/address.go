package clients

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const (
	maxAddress = 512 // bytes
	maxDepth   = 16  // segments of its path
)

// pathForm leaves out percent-encoding, which would give one document several addresses, and "*", which rules are written with.
var pathForm = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()+,;=:@/-]*$`)

// CheckAddress says whether s may be the client_id of an app that is the address of its metadata (draft-ietf-oauth-client-id-metadata-document §3): https on port
// 443, with a path, without dot segments, user info, query and fragment, in the one form that can be compared byte for byte. Where local, http on a
// loopback host is allowed too, on any port. Code: client_unknown.
func CheckAddress(s string, local bool) error {
	bad := func(reason string) error {
		return fault.New(fault.Invalid, "client_unknown", "this address cannot be a client_id: %s", reason).Try("use an address like https://app.example.com/client.json")
	}
	u, err := url.Parse(s)
	switch {
	case len(s) > maxAddress || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return bad("it has at most 512 printable ASCII characters")
	case err != nil || u.Opaque != "" || u.String() != s || u.Scheme != "https" && u.Scheme != "http":
		return bad("it is no https URL")
	case strings.ContainsAny(s, "?#") || u.User != nil:
		return bad("it has user info, a query or a fragment")
	case u.Path == "":
		return bad("it has no path")
	case !pathForm.MatchString(u.EscapedPath()), path.Clean(u.Path) != u.Path && path.Clean(u.Path)+"/" != u.Path, strings.Count(u.Path, "/") > maxDepth:
		return bad("its path is not in its normal form, without dot segments and percent-encoding")
	}
	host, port := u.Hostname(), u.Port()
	ip, notIP := netip.ParseAddr(host)
	if local && u.Scheme == "http" && (host == "localhost" || notIP == nil && ip.IsLoopback()) && (port == "" || portForm.MatchString(port)) {
		return nil
	}
	switch {
	case u.Scheme != "https":
		return bad("it is not https")
	case u.Host != host:
		return bad("it names a port; 443 alone is asked, and not named")
	case notIP == nil || !dnsForm.MatchString(host) || host == "localhost":
		return bad("its host is not a name in lower case")
	}
	return nil
}

// IsApp reports whether a client_id is an app's by its form: an address, or app_….
func IsApp(clientID string) bool {
	_, err := id.Parse[id.App](clientID)
	return err == nil || isAddress(clientID)
}

func isAddress(clientID string) bool {
	return strings.HasPrefix(clientID, "https://") || strings.HasPrefix(clientID, "http://")
}
