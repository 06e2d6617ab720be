package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/attorn/attorn/fault"
)

// networks reads the addresses of trusted proxies; a single one is a network of its own. Code: config_value.
func networks(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); err != nil && single == nil && a.Zone() == "" {
			p, err = a.Unmap().Prefix(a.Unmap().BitLen())
		}
		if err != nil || p != p.Masked() || p.Addr().Is4In6() {
			return nil, fault.New(fault.Invalid, "config_value", "proxy.trusted has %q, which is no address and no network", text).
				Try("write networks as 10.0.0.0/8 or fd00::/8, and a single proxy as 127.0.0.1")
		}
		all = append(all, p)
	}
	return all, nil
}

// maxHops is how many proxies in a row are believed.
const maxHops = 16

// behind gives each request the address of its client: where the connection comes from a trusted proxy, what X-Forwarded-For says of the hop
// before the trusted ones. Each proxy adds the address that it was called from at the end, so the list is read from there; what stands before
// an address that nobody vouches for was written by whoever wanted to. Nobody else's header counts, and where a proxy's own entry is none, the
// proxy is the client.
func behind(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := clientOf(trusted, r); ok {
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

func clientOf(trusted []netip.Prefix, r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !within(trusted, peer.Addr()) {
		return netip.Addr{}, false
	}
	client := peer.Addr()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && i >= len(hops)-maxHops; i-- {
		hop, ok := address(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		if client = hop; !within(trusted, hop) {
			break
		}
	}
	return client.Unmap().WithZone(""), true
}

// address reads an entry; some proxies add the port.
func address(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a, true
	}
	p, err := netip.ParseAddrPort(text)
	return p.Addr(), err == nil
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
