package dpop

import (
	"cmp"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const (
	typ     = "dpop+jwt" // RFC 9449 §4.2
	maxJTI  = 128
	maxTime = 1<<53 - 1

	defaultPast   = 60 * time.Second
	defaultFuture = 30 * time.Second

	asTheRFC = "make the proof as RFC 9449 §4.2 says: a compact JWS with typ dpop+jwt, the public key in jwk, and jti, htm, htu, iat"
)

// Claims is what a proof is made of.
type Claims struct {
	Method      string    // the request's method, as sent
	URL         string    // the request's URL; query and fragment are left out of the proof
	JTI         string    // unique for this key, 1 to 128 bytes; at least 96 bits of it random
	Nonce       string    // the server's last DPoP-Nonce, "" for none
	AccessToken string    // the token that goes with the request, "" for none
	IssuedAt    time.Time // cut to seconds
}

// payload is the claim set (RFC 9449 §4.2). Names are in canonical order.
type payload struct {
	ATH   string `json:"ath,omitzero"`
	HTM   string `json:"htm"`
	HTU   string `json:"htu"`
	IAT   int64  `json:"iat"`
	JTI   string `json:"jti"`
	Nonce string `json:"nonce,omitzero"`
}

// Proof is a proof that Verify accepted.
type Proof struct {
	Method     string
	URL        string // as NormalURL gives it
	JTI        string
	Nonce      string // not checked: see Nonces
	ATH        string // "" without an access token
	IssuedAt   time.Time
	Key        jose.PublicKey
	Thumbprint id.Key // of Key; for a bound token it equals cnf.jkt
	Header     jose.Header
	Raw        string
}

// Want is what a proof must have been made for.
type Want struct {
	Method      string
	URL         string        // the external URL of the server and the path as received
	AccessToken string        // "": none was sent, and the proof must not name one
	Key         id.Key        // cnf.jkt of the token or the key that a client authenticated with; zero: any key
	Now         time.Time     //
	Past        time.Duration // how old a proof may be; 0 means 60 s
	Future      time.Duration // how far ahead its clock may be; 0 means 30 s
	Seen        jose.Header   // of a proof that was verified before: where this one has the same, byte for byte, it is not read again
}

// Sign makes a proof. Code: dpop_malformed for claims that no proof may have.
func Sign(s jose.Signer, in Claims) (string, error) {
	url, err := NormalURL(in.URL)
	if err != nil {
		return "", err
	}
	p := payload{HTM: in.Method, HTU: url, IAT: in.IssuedAt.Unix(), JTI: in.JTI, Nonce: in.Nonce}
	if err := p.check(); err != nil {
		return "", err
	}
	if in.AccessToken != "" {
		p.ATH = hash(in.AccessToken)
	}
	raw, err := jose.Canonical(p)
	if err != nil {
		return "", err
	}
	return jose.SignEmbedded(typ, raw, s)
}

// Verify checks a proof as RFC 9449 §4.3 says: form and type, the signature by the key inside, method, URL, access token and key, time. The nonce
// and whether the proof was seen before are its caller's to check. What was signed is looked at only after the signature held, and what a fresh proof
// would not mend is reported before the time.
func Verify(raw string, want Want) (Proof, error) {
	j, p, err := parse(raw, want.Seen)
	if err != nil {
		return Proof{}, err
	}
	if err := j.Verify(j.Header.JWK); err != nil {
		return Proof{}, malformed(err)
	}
	if err := p.check(); err != nil {
		return Proof{}, err
	}
	url, err := NormalURL(p.HTU)
	if err != nil {
		return Proof{}, err
	}
	proof := Proof{
		Method: p.HTM, URL: url, JTI: p.JTI, Nonce: p.Nonce, ATH: p.ATH, IssuedAt: time.Unix(p.IAT, 0),
		Key: j.Header.JWK, Thumbprint: j.Header.JWK.Thumbprint(), Header: j.Header, Raw: raw,
	}
	wanted := url
	if want.URL != p.HTU {
		if wanted, err = NormalURL(want.URL); err != nil {
			return Proof{}, fault.Wrap(err, fault.Internal, "", "the URL that the proof was to be compared with is none")
		}
	}
	if err := proof.checkBinding(want, wanted); err != nil {
		return Proof{}, err
	}
	if err := proof.checkTime(want); err != nil {
		return Proof{}, err
	}
	return proof, nil
}

func parse(raw string, seen jose.Header) (*jose.JWS, payload, error) {
	var p payload
	j, err := seen.Parse(raw, 0)
	if err != nil {
		return nil, p, malformed(err)
	}
	if err := j.Is(typ); err != nil {
		return nil, p, malformed(err)
	}
	if j.Header.JWK.IsZero() {
		return nil, p, fault.New(fault.Unauthenticated, "dpop_malformed", "the DPoP proof has no public key: its header needs jwk").
			Try("put the public members of the key that signs into jwk")
	}
	// Members that others add are allowed (RFC 9449 §4.2: "at least").
	if err := jose.DecodeForeign(j.Payload, &p, jose.Limits{}); err != nil {
		return nil, p, malformed(err)
	}
	return j, p, nil
}

// malformed keeps the reason and the remedy of a fault of package jose under this package's code.
func malformed(err error) error {
	f := fault.Of(err)
	if f == nil {
		return fault.Wrap(err, fault.Unauthenticated, "dpop_malformed", "the DPoP proof could not be read").Try(asTheRFC)
	}
	out := fault.Wrap(err, fault.Unauthenticated, "dpop_malformed", "the DPoP proof is not acceptable: %s", f.Reason)
	return out.Try("%s", cmp.Or(f.Remedy, asTheRFC))
}

func (p payload) check() error {
	switch {
	case p.HTM == "":
		return fault.New(fault.Unauthenticated, "dpop_malformed", "the DPoP proof names no method: htm is missing").
			Try("set htm to the method of the request")
	case p.JTI == "" || len(p.JTI) > maxJTI:
		return fault.New(fault.Unauthenticated, "dpop_malformed", "the DPoP proof needs a jti of 1 to %d bytes", maxJTI).
			Try("set jti to 16 random bytes in base64url, new for each proof")
	case p.IAT <= 0 || p.IAT > maxTime:
		return fault.New(fault.Unauthenticated, "dpop_malformed", "the DPoP proof needs its time as whole seconds in iat").
			Try("set iat to the seconds since 1970")
	}
	return nil
}

func (p Proof) checkBinding(want Want, url string) error {
	binding := func(reason string) *fault.Error {
		return fault.New(fault.Unauthenticated, "dpop_binding", "%s", reason)
	}
	switch {
	case p.Method != want.Method:
		return binding("the DPoP proof was made for another method: htm is not that of this request").Try("make a proof for each request, with its method in the same case")
	case p.URL != url:
		return binding("the DPoP proof was made for another URL: htu is not that of this request").
			Try("set htu to %s", url)
	case want.AccessToken == "" && p.ATH != "":
		return binding("the DPoP proof names an access token, and none was sent").Try("leave ath out, or send the token as Authorization: DPoP")
	case want.AccessToken != "" && p.ATH == "":
		return binding("the DPoP proof names no access token").Try("set ath to the base64url SHA-256 of the access token")
	case want.AccessToken != "" && p.ATH != hash(want.AccessToken):
		return binding("the DPoP proof was made for another access token").Try("make a proof for each request, with the ath of the token that is sent")
	case !want.Key.IsZero() && p.Thumbprint != want.Key:
		return binding("the DPoP proof was signed by another key than the one expected").Try("sign with the key that the token was issued to")
	}
	return nil
}

func (p Proof) checkTime(want Want) error {
	past, future := want.Past, want.Future
	if past <= 0 {
		past = defaultPast
	}
	if future <= 0 {
		future = defaultFuture
	}
	age := want.Now.Sub(p.IssuedAt)
	switch {
	case age > past:
		return fault.New(fault.Unauthenticated, "dpop_time", "the DPoP proof is %s old; at most %s is accepted", age.Truncate(time.Second), past).
			Try("make a proof for each request, and check the clock")
	case age < -future:
		return fault.New(fault.Unauthenticated, "dpop_time", "the DPoP proof is from %s ahead; at most %s is accepted", (-age).Truncate(time.Second), future).
			Try("check the clock")
	}
	return nil
}

// hash is the claim ath (RFC 9449 §4.2). The token is what the caller of Verify holds and the proof is signed: nothing here is secret.
func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return jose.EncodeBase64(sum[:])
}

// NormalURL is the form in which htu is compared (RFC 9449 §4.3, RFC 3986 §6.2.2, §6.2.3): an absolute http or https URL without query and
// fragment, scheme and host in lower case, no default port, "/" for an empty path. The path is otherwise left as it is. User information,
// characters that a URL does not have and a malformed host or port are refused. Code: dpop_malformed.
func NormalURL(raw string) (string, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !ok || len(raw) > 4096 || scheme != "https" && scheme != "http" || !urlForm(raw) {
		return "", errURL()
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	authority, path := rest, "/"
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
	}
	host = strings.ToLower(host)
	if !hostForm(host) || strings.Trim(port, "0123456789") != "" || len(port) > 5 {
		return "", errURL()
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host + path, nil
	}
	return scheme + "://" + host + ":" + port + path, nil
}

// urlForm accepts the characters of RFC 3986 §2, which are printable ASCII.
func urlForm(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}

// hostForm accepts a name or an address, in brackets for IPv6, in the characters that they have.
func hostForm(host string) bool {
	inner, ipv6 := strings.CutPrefix(host, "[")
	if ipv6 {
		inner, ipv6 = strings.CutSuffix(inner, "]")
		return ipv6 && inner != "" && strings.Trim(inner, "0123456789abcdef:.") == ""
	}
	return host != "" && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

func errURL() error {
	return fault.New(fault.Unauthenticated, "dpop_malformed", "htu is not an absolute http or https URL of a host without user information").
		Try("set htu to the URL of the request as it is sent, such as https://api.example.com/path")
}
