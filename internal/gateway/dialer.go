package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

var errAddress = errors.New("address not allowed for an upstream")

// never are networks that no upstream may be in: link-local, the metadata addresses of clouds, what is no host.
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's host
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba's metadata
	netip.MustParsePrefix("192.0.0.0/24"),       // RFC 6890; Oracle's metadata
	netip.MustParsePrefix("224.0.0.0/3"),        // multicast, reserved, broadcast
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::/32"), // Amazon's metadata
	netip.MustParsePrefix("ff00::/8"),
}

// private are networks that only an upstream that is registered with allow_private may be in.
var private = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fec0::/10"),
}

// embedding are IPv6 networks whose addresses carry an IPv4 address in the given bytes: NAT64 (RFC 6052), 6to4 (RFC 3056). Teredo is refused whole.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

// mayDial reports whether an upstream may have the address.
func mayDial(addr netip.Addr, allowPrivate bool) bool {
	if addr.Zone() != "" {
		return false
	}
	addr = addr.Unmap()
	for _, e := range embedding {
		if e.prefix.Contains(addr) {
			b := addr.As16()
			return mayDial(netip.AddrFrom4([4]byte(b[e.at:e.at+4])), allowPrivate)
		}
	}
	if !addr.IsValid() || netip.MustParsePrefix("2001::/32").Contains(addr) || netip.MustParsePrefix("::/96").Contains(addr) && addr != netip.IPv6Loopback() {
		return false
	}
	for _, p := range never {
		if p.Contains(addr) {
			return false
		}
	}
	for _, p := range private {
		if p.Contains(addr) {
			return allowPrivate
		}
	}
	return true
}

// newClient makes the HTTP client for one upstream. Addresses are checked when the connection is made, so that a name that changes its
// address is checked again. It follows no redirect, uses no proxy and adds no coding.
func newClient(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{
		Timeout:   5 * time.Second,
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil || !mayDial(ap.Addr(), allowPrivate) {
				return errAddress
			}
			return nil
		},
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  60 * time.Second,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    16,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
}
