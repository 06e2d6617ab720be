package token_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
	"github.com/attorn/attorn/vectors"
)

// verified is the ok of a case with op verify: the chain, current actor first and flat, what the token permits at most, and who at another server is behind it.
type verified struct {
	Actors      []token.Actor           `json:"actors"`
	Permissions []delegation.Permission `json:"permissions"`
	Via         *token.Via              `json:"via,omitzero"`
}

// read is the ok of a case with op assertion, whose signature was verified with the case's key after every other rule.
type read struct {
	Sub string `json:"sub"`
	Jti string `json:"jti"`
	Iat int64  `json:"iat,omitzero"`
	Exp int64  `json:"exp"`
	Kid id.Key `json:"kid"`
}

// run answers one case; sign-assertion gives the assertion.
func run(t *testing.T, raw jsontext.Value) (any, error) {
	var in struct {
		Op        string           `json:"op"`
		Token     vectors.JWS      `json:"token"`
		Keys      []jose.PublicKey `json:"keys"`
		Audience  string           `json:"audience"`
		Assertion vectors.JWS      `json:"assertion"`
		Key       jose.PublicKey   `json:"key"`
		Issuer    string           `json:"issuer"`
		Now       int64            `json:"now"`
		Ed25519   string           `json:"ed25519"`
		Client    string           `json:"client"`
		JTI       string           `json:"jti"`
		TTL       int64            `json:"ttl"`
	}
	if err := vectors.Decode(raw, &in); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(in.Now, 0)
	switch in.Op {
	case "verify":
		text := text(t, in.Token)
		c, err := token.Verify(text, keys(in.Keys), token.Want{Issuer: in.Issuer, Audience: in.Audience, Now: now})
		if err == nil {
			sameClaims(t, c, text, in.Token.Ed25519)
		}
		flat := c.Actors()
		for i := range flat {
			flat[i].Act = nil
		}
		return verified{flat, c.Permissions(), c.Via}, err
	case "assertion":
		a, j, err := token.ParseAssertion(text(t, in.Assertion), in.Issuer, now, jose.Header{})
		if err == nil {
			err = j.Verify(in.Key)
		}
		out := read{Sub: a.Subject, Jti: a.JTI, Exp: a.Expires.Unix(), Kid: a.Kid}
		if !a.IssuedAt.IsZero() {
			out.Iat = a.IssuedAt.Unix()
		}
		return out, err
	case "sign-assertion":
		return token.SignAssertion(signer(t, in.Ed25519), in.Client, in.Issuer, in.JTI, now, time.Duration(in.TTL)*time.Second)
	}
	t.Fatalf("unknown op %q", in.Op)
	return nil, nil
}

// sameClaims checks that nothing was lost: what was read, issued again, says the same.
func sameClaims(t *testing.T, c token.Claims, text, seed string) {
	again, err := token.Issue(c, signer(t, seed))
	if err != nil {
		t.Fatal(err)
	}
	var payloads [2]string
	for i, compact := range []string{text, again} {
		j, err := jose.Parse(compact, 0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := jose.Canonical(jsontext.Value(j.Payload))
		if err != nil {
			t.Fatal(err)
		}
		payloads[i] = string(b)
	}
	if d := cmp.Diff(payloads[0], payloads[1]); d != "" {
		t.Error(d)
	}
}

func text(t *testing.T, j vectors.JWS) string {
	s, err := j.Text()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keys(all []jose.PublicKey) func(id.Key) (jose.PublicKey, bool) {
	return func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range all {
			if k.Thumbprint() == kid {
				return k, true
			}
		}
		return jose.PublicKey{}, false
	}
}

func signer(t testing.TB, seed string) jose.Signer {
	t.Helper()
	b, err := jose.DecodeBase64(seed)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVectors(t *testing.T) { runAll(t, "token", run) }
