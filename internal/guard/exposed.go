package guard

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const (
	maxExposures = 10 // events a minute about private keys that were sent: about one holder, and from one network
	formFields   = 64 // that are looked at one by one: no form that a face takes has more
)

// Sent is a request as it came in, as far as a private key may lie in it.
type Sent struct {
	Header   map[string][]string
	Query    string
	Body     []byte
	Form     bool   // the body is one, as far as it can be read
	Claimed  string // who it says that it comes from: an id; "" where it does not say
	IP, Face string
	Path     string // for the server's own log
}

// NoPrivateKeySent refuses a request that holds a private key in the value of a header, in the query of its URL or in the body, whatever type that is of and however
// malformed, in a form that jose.HoldsPrivateKey knows, which is wide: any object with kty and a private member is a key. A face asks
// before it does anything else with what it has read, so that nothing else is said of such a request, and nothing done with it. It writes down that a key was sent:
// in the log of whom it is about, else in the server's own; not more often than strangers may fill it. Codes: private_key, and dpop_private_key where it lies in a
// DPoP proof.
func (g *Guard) NoPrivateKeySent(ctx context.Context, s Sent, log *slog.Logger) error {
	err := s.exposes()
	if err != nil {
		g.exposed(ctx, s, log)
	}
	return err
}

func (s Sent) exposes() error {
	for name, values := range s.Header {
		for _, value := range values {
			if name == "Dpop" {
				if err := leaks("the DPoP proof", value); err != nil {
					f := *fault.Of(err)
					f.Kind, f.Code = fault.Unauthenticated, "dpop_private_key"
					return &f
				}
			} else if err := leaks("the header "+name[:min(len(name), 40)], value); err != nil {
				return err
			}
		}
	}
	if err := leaksForm("the URL", []byte(s.Query)); err != nil {
		return err
	}
	if s.Form {
		return leaksForm("the body", s.Body)
	}
	return NoPrivateKeyIn("the body", s.Body)
}

// leaks looks at a text as a whole, and at its words: a header has a scheme before what it says.
func leaks(place, text string) error {
	err := NoPrivateKeyIn(place, []byte(text))
	if _, rest, ok := strings.Cut(strings.TrimSpace(text), " "); ok && err == nil {
		return NoPrivateKeyIn(place, []byte(rest))
	}
	return err
}

// leaksForm looks at each parameter, as far as a text can be read as a form, and at the text as it is.
func leaksForm(place string, text []byte) error {
	for n, field := range bytes.SplitN(text, []byte("&"), formFields+1) {
		if n == formFields {
			break
		}
		name, value, _ := bytes.Cut(field, []byte("="))
		for _, part := range [][]byte{name, value} {
			plain := part
			if bytes.ContainsAny(part, "%+") {
				if s, err := url.QueryUnescape(string(part)); err == nil {
					plain = []byte(s)
				}
			}
			if NoPrivateKeyIn(place, plain) == nil {
				continue
			}
			if n := string(name); parameter(n) {
				place = "the parameter " + n
			}
			return NoPrivateKeyIn(place, plain)
		}
	}
	return NoPrivateKeyIn(place, text)
}

// parameter reports whether a name can be one of a parameter, which a refusal may repeat.
func parameter(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// exposed writes down that a private key was sent.
func (g *Guard) exposed(ctx context.Context, s Sent, log *slog.Logger) {
	now, from := g.Now(), Network(s.IP)
	if g.exposures.Take("from "+from, now) > 0 {
		return
	}
	form := url.Values{}
	if s.Form {
		if sent, err := url.ParseQuery(string(s.Body)); err == nil {
			form = sent
		}
	}
	assertion := cmp.Or(form.Get("client_assertion"), form.Get("assertion"))
	who, beside := cmp.Or(s.Claimed, claimedBy(assertion), form.Get("client_id")), id.Key{}
	for _, jws := range append([]string{assertion}, s.Header["Dpop"]...) {
		if leaks("", jws) != nil {
			beside = ProofKey(jws)
		}
		if who == "" {
			who, _ = g.registered(ctx, ProofKey(jws)) // by its own word, like the others
		}
	}
	who, err := g.NotePrivateKey(ctx, beside, who, s.Face, s.IP, func(who string) bool { return g.exposures.Take("of "+who, now) == 0 })
	switch {
	case err != nil:
		log.Error("a private key was sent and refused, which could not be recorded", "path", s.Path, "from", from, "error", err)
	case who == "":
		log.Warn("a private key was sent and refused", "path", s.Path, "from", from, "thumbprint", beside.String())
	}
}

// ProofKey is the thumbprint of the public members of the jwk in the header of a JWS; zero where there is none. Nothing vouches for it.
func ProofKey(jws string) id.Key {
	head, _, _ := strings.Cut(jws, ".")
	raw, err := jose.DecodeBase64(head)
	if err != nil {
		return id.Key{}
	}
	var h struct {
		JWK struct {
			Kty string `json:"kty"`
			Crv string `json:"crv"`
			X   string `json:"x"`
			Y   string `json:"y,omitzero"`
		} `json:"jwk"`
	}
	if jose.DecodeForeign(raw, &h, jose.Limits{}) != nil {
		return id.Key{}
	}
	public, err := json.Marshal(h.JWK)
	if err != nil {
		return id.Key{}
	}
	k, err := jose.ParseJWK(public)
	if err != nil {
		return id.Key{}
	}
	return k.Thumbprint()
}

// claimedBy is the sub of a JWS, which nothing vouches for; "" where there is none.
func claimedBy(jws string) string {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return ""
	}
	var c struct {
		Sub string `json:"sub"`
	}
	raw, err := jose.DecodeBase64(parts[1])
	if err != nil || jose.DecodeForeign(raw, &c, jose.Limits{}) != nil {
		return ""
	}
	return c.Sub[:min(len(c.Sub), 40)]
}
