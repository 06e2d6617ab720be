package oauth

import (
	"bytes"
	"cmp"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// noPrivateKey refuses a request that holds a private key anywhere: in a header, in its URL, in the body, whatever type that is of and however malformed.
// It comes first, so that nothing else is said of such a request, and nothing done with it. Codes: private_key, and dpop_private_key where it lies in a DPoP proof.
func (x *exchange) noPrivateKey(body []byte) error {
	for name, values := range x.r.Header {
		for _, value := range values {
			place := "the header " + short(name)
			if name == "Dpop" {
				place = "the DPoP proof"
			}
			err := leaks(place, value)
			if err == nil {
				continue
			}
			if name == "Dpop" {
				f := *fault.Of(err)
				f.Code = "dpop_private_key"
				err = &f
			}
			x.exposed(body)
			return err
		}
	}
	err := leaksForm("the URL", []byte(x.r.URL.RawQuery))
	if err == nil {
		err = leaksForm("the body", body)
	}
	if err != nil {
		x.exposed(body)
	}
	return err
}

// leaks looks at a text as a whole, and at its words: a header has a scheme before what it says.
func leaks(place, text string) error {
	err := guard.NoPrivateKeyIn(place, []byte(text))
	if _, rest, ok := strings.Cut(strings.TrimSpace(text), " "); ok && err == nil {
		return guard.NoPrivateKeyIn(place, []byte(rest))
	}
	return err
}

// leaksForm looks at each parameter, as far as a text can be read as a form, and at the text as it is.
func leaksForm(place string, text []byte) error {
	for field := range bytes.SplitSeq(text, []byte("&")) {
		name, value, _ := bytes.Cut(field, []byte("="))
		for _, part := range [][]byte{name, value} {
			plain := part
			if bytes.ContainsAny(part, "%+") {
				if s, err := url.QueryUnescape(string(part)); err == nil {
					plain = []byte(s)
				}
			}
			if guard.NoPrivateKeyIn(place, plain) == nil {
				continue
			}
			if n := string(name); known(n) {
				place = "the parameter " + n
			}
			return guard.NoPrivateKeyIn(place, plain)
		}
	}
	return guard.NoPrivateKeyIn(place, text)
}

// known reports whether a name can be one of a parameter, which a refusal may repeat.
func known(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// exposed writes down that a private key was sent: in the log of whom it is about, else in the server's own. Not more often than failures are: strangers may
// send what they like.
func (x *exchange) exposed(body []byte) {
	now := x.Guard.Now()
	from := network(x.r)
	if x.noted.Take("private key from "+from, now) > 0 {
		return
	}
	sent, err := url.ParseQuery(string(body))
	if err != nil {
		sent = url.Values{}
	}
	assertion := cmp.Or(sent.Get("client_assertion"), sent.Get("assertion"))
	public := publicPart(assertion)
	for _, proof := range x.r.Header.Values("DPoP") {
		if k := publicPart(proof); !k.IsZero() {
			public = k
		}
	}
	who := cmp.Or(subject(assertion), sent.Get("client_id"))
	who, err = x.Guard.NotePrivateKey(x.ctx, public, who, address(x.r), func(who string) bool { return x.noted.Take("private key of "+who, now) == 0 })
	switch {
	case err != nil:
		x.Log.Error("a private key was sent and refused, which could not be recorded", "path", x.r.URL.Path, "from", from, "error", err)
	case who == "":
		x.Log.Warn("a private key was sent and refused", "path", x.r.URL.Path, "from", from, "thumbprint", public.String())
	}
}

// publicPart is the thumbprint of the public members of the jwk in the header of a JWS; zero where there is none.
func publicPart(jws string) id.Key {
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

// subject is the sub of a JWS, which nothing vouches for; "" where there is none.
func subject(jws string) string {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := jose.DecodeBase64(parts[1])
	if err != nil {
		return ""
	}
	return subjectOf(raw)
}

// subjectOf is the sub of a claim set.
func subjectOf(claims []byte) string {
	var c struct {
		Sub string `json:"sub"`
	}
	if jose.DecodeForeign(claims, &c, jose.Limits{}) != nil {
		return ""
	}
	return short(c.Sub)
}
