package attorn

import (
	"net/netip"
	"time"
)

// How often a second the issuer is asked about keys that this service never saw: by one network, by all beyond the first question of each, and by how many
// networks. Anybody can make up keys. So those who do use up what their own network has, and what is shared, but not the first question of
// another network: for that it takes as many networks.
const (
	networkQuestions = 50
	sharedQuestions  = 100
	firstQuestions   = 200
)

// strangers counts the questions of this second.
type strangers struct {
	second int64
	shared int
	by     map[netip.Prefix]int
}

// may reports whether one more is asked, for a request from an address with a port, as http.Request.RemoteAddr has it.
func (s *strangers) may(from string, now time.Time) bool {
	if second := now.Unix(); s.second != second || s.by == nil {
		*s = strangers{second: second, by: map[netip.Prefix]int{}}
	}
	of := network(from)
	switch asked := s.by[of]; {
	case asked == 0 && len(s.by) < firstQuestions:
	case asked > 0 && asked < networkQuestions && s.shared < sharedQuestions:
		s.shared++
	default:
		return false
	}
	s.by[of]++
	return true
}

// network is what one sender has of addresses at least: one of IPv4, 2^64 of IPv6. Whatever is no address is one network.
func network(from string) netip.Prefix {
	a, err := netip.ParseAddrPort(from)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := a.Addr().Unmap(), 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
