package jose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

const (
	okp    = `{"crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}` // RFC 8037 A.1
	public = `{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

// inside puts a text where somebody might put it.
func inside(text string) map[string]string {
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	b64, std := base64.RawURLEncoding.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString([]byte(text))
	all := map[string]string{
		"alone": text, "in a string": quoted(text), "in a string in a string": quoted(quoted(text)),
		"in an array of a member": `{"a":[0,{"b":` + quoted(text) + `}]}`,
		"before rubbish":          `{"x":` + quoted(text) + `,}}`, "escaped": `{"x":"` + strings.ReplaceAll(quoted(text)[1:len(quoted(text))-1], "k", `\u006b`) + `"}`,
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "-") { // else it is base64 already
		all["in base64url"], all["in base64"] = b64, `{"x":`+quoted(std)+`}`
		all["in a part of a JWS"], all["in the payload of a JWS"] = `{"assertion":"`+b64+`.e30.AAAA"}`, `e30.`+b64+`.AAAA`
	}
	if strings.HasPrefix(text, "{") {
		all["as a member"] = `{"keys":[` + public + `,` + text + `]}`
		all["cut off"] = `{"key":` + text[:len(text)-1]
	}
	return all
}

func TestPrivateKeysAreKnown(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rs, _ := rsa.GenerateKey(rand.Reader, 2048)
	sec1, _ := x509.MarshalECPrivateKey(ec)
	pkcs8ed, _ := x509.MarshalPKCS8PrivateKey(ed)
	pkcs8ec, _ := x509.MarshalPKCS8PrivateKey(ec)
	pkcs8rsa, _ := x509.MarshalPKCS8PrivateKey(rs)
	pkcs1 := x509.MarshalPKCS1PrivateKey(rs)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, text := range map[string]string{
		"OKP": okp, "EC": `{"kty":"EC","crv":"P-256","x":"","y":"","d":"AA"}`, "oct": `{"k":"AA","kty":"oct"}`, "RSA": `{"n":"","e":"AQAB","p":"A","kty":"RSA"}`,
		"kty last": `{"d":"AAAA","crv":"Ed25519","kty":"OKP"}`, "kty first": `{"kty":"OKP","d":null }`, "AKP": `{"kty":"AKP","alg":"ML-DSA-44","priv":"AA"}`,
		"oth": `{"kty":"RSA","oth":[{"r":"A"}]}`, "spaces": "{ \n\t\"kty\" : \"OKP\" , \"d\" : \"AAAA\" }",
		"PEM of PKCS #8": block("PRIVATE KEY", pkcs8ed), "PEM of SEC 1": block("EC PRIVATE KEY", sec1), "PEM of PKCS #1": block("RSA PRIVATE KEY", pkcs1),
		"PEM encrypted": block("ENCRYPTED PRIVATE KEY", pkcs8ed), "PEM of OpenSSH": block("OPENSSH PRIVATE KEY", pkcs8ed),
		"PEM after another": block("PUBLIC KEY", []byte("x")) + block("PRIVATE KEY", pkcs8ed),
		"PKCS #8 Ed25519":   base64.StdEncoding.EncodeToString(pkcs8ed), "PKCS #8 P-256": base64.StdEncoding.EncodeToString(pkcs8ec),
		"PKCS #8 RSA": base64.RawURLEncoding.EncodeToString(pkcs8rsa), "SEC 1": base64.StdEncoding.EncodeToString(sec1), "PKCS #1": base64.StdEncoding.EncodeToString(pkcs1),
	} {
		for where, whole := range inside(text) {
			if !jose.HoldsPrivateKey([]byte(whole)) {
				t.Errorf("%s, %s: %.200s", name, where, whole)
			}
		}
	}
}

func TestWhatIsNoPrivateKey(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	spki, _ := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	sig, _ := ecdsa.SignASN1(rand.Reader, ec, make([]byte, 32))
	signed, err := jose.Sign("JWT", []byte(`{"sub":"a","d":"x","k":"y"}`), edSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := jose.SignEmbedded("dpop+jwt", []byte(`{"jti":"a"}`), edSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"public": public, "set": `{"keys":[` + public + `]}`, "nothing": "", "space": "  ", "d alone": `{"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`,
		"members of others": `{"a":{"kty":"OKP"},"b":{"d":"x"}}`, "d around": `{"d":{"kty":"OKP","x":"y"}}`, "kty around": `{"kty":{"d":"x"}}`,
		"in an array": `["kty","d"]`, "values": `{"a":"kty","b":"d"}`, "schema": `{"properties":{"kty":{"type":"string"},"d":{"type":"string"}}}`,
		"PEM public": "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", "words": "the PRIVATE KEY----- is not here", "far": "-----BEGIN " + strings.Repeat("x", 60) + "PRIVATE KEY-----",
		"SPKI": base64.StdEncoding.EncodeToString(spki), "signature": base64.StdEncoding.EncodeToString(sig), "JWS": signed, "DPoP": embedded, "dots": "......",
		"base64 of nothing": strings.Repeat("M", 41), "token": "attorn_rt_" + strings.Repeat("e", 43),
	} {
		for where, whole := range inside(text) {
			if jose.HoldsPrivateKey([]byte(whole)) {
				t.Errorf("%s, %s: %.200s", name, where, whole)
			}
		}
	}
}

// What ParseJWK refuses as private is known here, and no text makes the search fail or run away.
func FuzzHoldsPrivateKey(f *testing.F) {
	f.Add([]byte(okp))
	f.Add([]byte(`{"a":"{\"kty\":\"OKP\",\"d\":1}"}`))
	f.Add([]byte("eyJrdHkiOiJPS1AiLCJkIjoiQUEifQ.e30.AA"))
	f.Add([]byte("MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v_VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"))
	f.Fuzz(func(t *testing.T, text []byte) {
		holds := jose.HoldsPrivateKey(text)
		if json := bytes.TrimSpace(text); len(json) > 0 && strings.IndexByte(`{["`, json[0]) >= 0 && jose.WalkJWK(text) && !holds {
			t.Errorf("a walk finds more: %q", text)
		}
		var named struct {
			Kty *string `json:"kty"`
		}
		if _, err := jose.ParseJWK(text); fault.Code(err) == "private_key" && jose.DecodeForeign(text, &named, jose.Limits{}) == nil && named.Kty != nil && !holds {
			t.Errorf("%q", text)
		}
		if holds && !jose.HoldsPrivateKey(append(append([]byte(`[`), text...), ']')) && json.Unmarshal(text, new(any)) == nil {
			t.Errorf("not in an array: %q", text)
		}
	})
}

func BenchmarkHoldsPrivateKey(b *testing.B) {
	signed, err := jose.Sign("JWT", []byte(`{"aud":"https://attorn.example","exp":1795427583,"iat":1795427523,"iss":"agt_06h0fkepn1o010000000000008"}`), edSigner(b))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		jose.HoldsPrivateKey([]byte(signed))
	}
}
