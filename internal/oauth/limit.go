package oauth

import (
	"net/http"
	"net/netip"

	"github.com/attorn/attorn/internal/guard"
)

// peer is where the request came from: the connection's other end alone, for what a proxy says could be anybody's word.
func peer(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// address is the peer's, "" where it has none.
func address(r *http.Request) string {
	if a := peer(r); a.IsValid() {
		return a.String()
	}
	return ""
}

// network is what one customer of a provider holds.
func network(r *http.Request) string { return guard.Network(address(r)) }
