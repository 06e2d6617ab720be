package oauth

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// jwkSet is RFC 7517 §5.
type jwkSet struct {
	Keys []jsontext.Value `json:"keys"`
}

// add writes a key as its canonical members with kid, use and alg (RFC 7517 §4).
func (s *jwkSet) add(k jose.PublicKey) {
	alg := "EdDSA"
	if k.Type() == "P-256" {
		alg = "ES256"
	}
	raw := k.JWK()
	raw = append(raw[:len(raw)-1:len(raw)-1], `,"kid":"`+k.Thumbprint().String()+`","use":"sig","alg":"`+alg+`"}`...)
	s.Keys = append(s.Keys, raw)
}

// jwks is GET /oauth/jwks: the keys that the issuer's tokens are, were and will next be signed with.
func (f *face) jwks(x *exchange) (any, error) {
	set := jwkSet{Keys: []jsontext.Value{}}
	keys, err := f.Guard.PublishedKeys(x.ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		set.add(k)
	}
	return set, nil
}

// keyHistory is GET /oauth/jwks/history: all keys that the issuer has ever signed with and that nobody else may have, for what is older than a token.
func (f *face) keyHistory(x *exchange) (any, error) {
	set := jwkSet{Keys: []jsontext.Value{}}
	keys, err := f.Guard.FormerKeys(x.ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		set.add(k)
	}
	return set, nil
}

func errNoAgent() error {
	return fault.New(fault.NotFound, "agent_unknown", "there is no such agent").Try("compare the identifier with the one that you were given")
}
