package server

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/clients"
)

const fetchTime = 3 * time.Second

// fetcher gets the documents of other issuers, for the guard. URLs come from rules and from what issuers say, so it is the address that decides, when the
// connection is made: a name that changes its address is checked again.
type fetcher struct {
	dev             bool // http on loopback, and private addresses
	public, private *http.Client
}

func newFetcher(dev bool) *fetcher {
	return &fetcher{dev: dev, public: fetchClient(dev, nil), private: fetchClient(true, nil)}
}

// fetchClient follows no redirect, uses no proxy, keeps no cookie and adds no coding. names is what resolves names; nil is the system.
func fetchClient(private bool, names *net.Resolver) *http.Client {
	dialer := &net.Dialer{Timeout: fetchTime, Resolver: names, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !mayFetch(ap.Addr(), private) {
			return errFetchAddress
		}
		return nil
	}}
	return &http.Client{
		Timeout:       fetchTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: fetchTime, ResponseHeaderTimeout: fetchTime, DisableCompression: true, ForceAttemptHTTP2: true,
			DisableKeepAlives: true, MaxResponseHeaderBytes: 32 << 10,
		},
	}
}

var errFetchAddress = errors.New("address not allowed")

// neverFetched are networks in which no issuer is, whoever allows private ones: what is no host, link-local, clouds' metadata.
var neverFetched = prefixes("0.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24",
	"203.0.113.0/24", "192.88.99.0/24", "224.0.0.0/3", "::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::/32", "2001::/23", "2001:db8::/32", "3fff::/20")

// globalUnicast is all of IPv6 that is given out to networks (RFC 4291 §2.4, the IANA registry); the rest is reserved, or for a use of its own.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// privateNetworks are those that a rule, or a server for development, allows.
var privateNetworks = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "::1/128", "fc00::/7")

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, s := range all {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// mayFetch reports whether a document may be asked for at addr; an IPv4 address inside an IPv6 one counts (RFC 4291 §2.5.5, RFC 6052, RFC 3056).
func mayFetch(addr netip.Addr, private bool) bool {
	if !addr.IsValid() || addr.Zone() != "" {
		return false
	}
	addr = addr.Unmap()
	if addr.Is6() {
		b := addr.As16()
		if [4]byte(b[8:12]) == [4]byte{0, 0, 0x5e, 0xfe} || [4]byte(b[8:12]) == [4]byte{2, 0, 0x5e, 0xfe} { // RFC 5214 §6.1
			return false
		}
		switch {
		case netip.MustParsePrefix("64:ff9b::/96").Contains(addr):
			return mayFetch(netip.AddrFrom4([4]byte(b[12:16])), private)
		case netip.MustParsePrefix("2002::/16").Contains(addr):
			return mayFetch(netip.AddrFrom4([4]byte(b[2:6])), private)
		case netip.MustParsePrefix("::/96").Contains(addr) && addr != netip.IPv6Loopback(), netip.MustParsePrefix("64:ff9b:1::/48").Contains(addr):
			return false
		}
	}
	if within(neverFetched, addr) || addr.Is6() && !globalUnicast.Contains(addr) && !within(privateNetworks, addr) {
		return false
	}
	return private || !within(privateNetworks, addr)
}

// Fetch implements guard.Fetcher.
func (f *fetcher) Fetch(ctx context.Context, address string, private bool) ([]byte, time.Duration, error) {
	client := f.public
	if private {
		client = f.private
	}
	return f.get(ctx, client, address, agents.MaxKeySet)
}

// Metadata implements guard.Fetcher.
func (f *fetcher) Metadata(ctx context.Context, address string) ([]byte, time.Duration, error) {
	return f.get(ctx, f.public, address, clients.MaxMetadata)
}

func (f *fetcher) get(ctx context.Context, client *http.Client, address string, most int) ([]byte, time.Duration, error) {
	refused := func(reason string, args ...any) error {
		return fault.New(fault.Unavailable, "fetch_refused", "the document "+reason, args...)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !f.dev || !loopbackHost(u.Hostname())) {
		return nil, 0, refused("is not at an https address")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, refused("is not at an https address")
	}
	r.Header.Set("Accept", "application/json")
	res, err := client.Do(r)
	switch {
	case errors.Is(err, errFetchAddress):
		return nil, 0, refused("is at a private address, which is not asked")
	case err != nil:
		return nil, 0, refused("could not be fetched")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK { // a redirect, too
		return nil, 0, refused("could not be fetched: the answer's status is %d", res.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, 0, refused("is not JSON by its media type")
	}
	if res.Header.Get("Content-Encoding") != "" { // none was asked for
		return nil, 0, refused("has a content coding")
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
	if err != nil {
		return nil, 0, refused("ended early")
	}
	if len(body) > most {
		return nil, 0, refused("has more than %d bytes", most)
	}
	return body, maxAge(res.Header), nil
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// maxAge is how long a document is good for by its Cache-Control (RFC 9111 §5.2.2), or else by Expires (§5.3), less the Age that it has already (§4.2.3); 0 where
// nothing says so, or that it is not to be kept.
func maxAge(h http.Header) time.Duration {
	var age time.Duration
	date, dated := http.ParseTime(h.Get("Date"))
	if until, err := http.ParseTime(h.Get("Expires")); err == nil && dated == nil {
		age = max(0, until.Sub(date))
	}
	for part := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32)
			if err != nil || n < 0 {
				n = 0
			}
			age = time.Duration(n) * time.Second
		}
	}
	if n, err := strconv.ParseInt(h.Get("Age"), 10, 32); err == nil && n > 0 {
		age = max(0, age-time.Duration(n)*time.Second)
	}
	return age
}
