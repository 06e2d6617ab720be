package token_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
	"github.com/attorn/attorn/vectors"
)

// keySeed is the seed of RFC 8032 §7.1 test 2: the new key of these tests.
const keySeed = "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs"

// stated is the ok of a case of kind keystatement with op verify.
type stated struct {
	Use       string         `json:"use"`
	Issuer    string         `json:"issuer"`
	Workspace id.Workspace   `json:"workspace"`
	Agent     id.Agent       `json:"agent"`
	By        id.Key         `json:"by"`
	Key       jose.PublicKey `json:"key"`
	Nonce     string         `json:"nonce"`
	IssuedAt  int64          `json:"issued_at"`
	Expires   int64          `json:"expires,omitzero"`
}

// runKey answers one case of kind keystatement: op verify gives what was stated, sign the two compact JWS.
func runKey(t *testing.T, raw jsontext.Value) (any, error) {
	var in struct {
		Op         string         `json:"op"`
		Voucher    vectors.JWS    `json:"voucher"`
		Possession vectors.JWS    `json:"possession"`
		By         jose.PublicKey `json:"by"`
		Use        string         `json:"use"`
		Issuer     string         `json:"issuer"`
		Now        int64          `json:"now"`
		Statement  struct {
			Use       string       `json:"use"`
			Issuer    string       `json:"issuer"`
			Workspace id.Workspace `json:"workspace"`
			Agent     id.Agent     `json:"agent"`
			Nonce     string       `json:"nonce"`
			IssuedAt  int64        `json:"issued_at"`
			Expires   int64        `json:"expires"`
		} `json:"statement"`
		Old string `json:"old"`
		New string `json:"new"`
	}
	if err := vectors.Decode(raw, &in); err != nil {
		t.Fatal(err)
	}
	switch in.Op {
	case "verify":
		s, err := token.VerifyKeyStatement(text(t, in.Voucher), text(t, in.Possession), in.By, token.KeyWant{Use: in.Use, Issuer: in.Issuer, Now: time.Unix(in.Now, 0)})
		return stated(s), err
	case "sign":
		s := in.Statement
		voucher, possession, err := token.SignKeyStatement(token.KeyStatement{
			Use: s.Use, Issuer: s.Issuer, Workspace: s.Workspace, Agent: s.Agent, Nonce: s.Nonce, IssuedAt: s.IssuedAt, Expires: s.Expires,
		}, signer(t, in.Old), signer(t, in.New))
		return []string{voucher, possession}, err
	}
	t.Fatalf("unknown op %q", in.Op)
	return nil, nil
}

func TestKeyStatementVectors(t *testing.T) { runAll(t, "keystatement", runKey) }

// A key statement passes as it was made, and in no way that differs in one part.
func TestKeyStatementIsForOneThing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, fresh, third := randomSigner(t), randomSigner(t), randomSigner(t)
		s := token.KeyStatement{
			Use: rapid.SampledFrom([]string{token.UseRotate, token.UseSpawn}).Draw(t, "use"), Issuer: issuer, Workspace: id.Default,
			Agent: id.New[id.Agent](at), Nonce: rapid.StringMatching(`[A-Za-z0-9_-]{22,64}`).Draw(t, "nonce"), IssuedAt: at.Unix(),
			Expires: at.Unix() + rapid.Int64Range(1, 1e6).Draw(t, "life"),
		}
		voucher, possession, err := token.SignKeyStatement(s, old, fresh)
		if err != nil {
			t.Fatal(err)
		}
		want := token.KeyWant{Use: s.Use, Issuer: issuer, Now: at}
		s.By, s.Key = old.Public().Thumbprint(), fresh.Public()
		if got, err := token.VerifyKeyStatement(voucher, possession, old.Public(), want); err != nil || got != s {
			t.Fatalf("%+v, %v, want %+v", got, err, s)
		}
		other := s
		other.Nonce = strings.Repeat("n", 22)
		otherVoucher, otherPossession, _ := token.SignKeyStatement(other, old, fresh)
		_, thirds, _ := token.SignKeyStatement(s, old, third)
		for name, try := range map[string][2]string{
			"swapped":               {possession, voucher},
			"voucher twice":         {voucher, voucher},
			"possession twice":      {possession, possession},
			"another voucher":       {otherVoucher, possession},
			"another possession":    {voucher, otherPossession},
			"possession of a third": {voucher, thirds},
		} {
			if _, err := token.VerifyKeyStatement(try[0], try[1], old.Public(), want); fault.Code(err) != "key_statement_signature" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, change := range map[string]func(*token.KeyWant){
			"use":    func(w *token.KeyWant) { w.Use = "" },
			"issuer": func(w *token.KeyWant) { w.Issuer = "" },
			"late":   func(w *token.KeyWant) { w.Now = at.Add(61 * time.Second) },
			"early":  func(w *token.KeyWant) { w.Now = at.Add(-31 * time.Second) },
		} {
			w := want
			change(&w)
			if _, err := token.VerifyKeyStatement(voucher, possession, old.Public(), w); err == nil {
				t.Errorf("passed with another %s", name)
			}
		}
		for _, k := range []jose.PublicKey{third.Public(), fresh.Public(), {}} {
			if _, err := token.VerifyKeyStatement(voucher, possession, k, want); err == nil {
				t.Error("passed with another key")
			}
		}
	})
}

func randomSigner(t *rapid.T) jose.Signer {
	_, priv, _ := ed25519.GenerateKey(rand.Reader)
	s, err := jose.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzVerifyKeyStatement(f *testing.F) {
	old, fresh := signer(f, seed), signer(f, keySeed)
	s := token.KeyStatement{
		Use: token.UseSpawn, Issuer: issuer, Workspace: id.Default, Agent: id.Must[id.Agent](bot), Nonce: strings.Repeat("n", 22), IssuedAt: at.Unix(),
	}
	voucher, possession, err := token.SignKeyStatement(s, old, fresh)
	if err != nil {
		f.Fatal(err)
	}
	j, err := jose.Parse(voucher, 0)
	if err != nil {
		f.Fatal(err)
	}
	want := token.KeyWant{Use: token.UseSpawn, Issuer: issuer, Now: at}
	f.Add(voucher, possession, j.Payload)
	f.Fuzz(func(t *testing.T, a, b string, payload []byte) {
		if _, err := token.VerifyKeyStatement(a, b, old.Public(), want); err == nil && (a != voucher || b != possession) {
			t.Errorf("statements that were not made passed: %q %q", a, b)
		} else if err != nil && !strings.HasPrefix(fault.Code(err), "key_statement_") {
			t.Errorf("code %q of %v", fault.Code(err), err)
		}
		if len(payload) == 0 {
			return
		}
		// Whatever both keys signed: what is accepted is what SignKeyStatement makes of it.
		one, err1 := jose.Sign("attorn-key+jws", payload, old)
		two, err2 := jose.Sign("attorn-key+jws", payload, fresh)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		got, err := token.VerifyKeyStatement(one, two, old.Public(), want)
		if err != nil {
			return
		}
		again, _, err := token.SignKeyStatement(got, old, fresh)
		if err != nil || again != one {
			t.Errorf("accepted %q, made %q, %v", one, again, err)
		}
	})
}

func BenchmarkVerifyKeyStatement(b *testing.B) {
	old, fresh := signer(b, seed), signer(b, keySeed)
	voucher, possession, err := token.SignKeyStatement(token.KeyStatement{
		Use: token.UseSpawn, Issuer: issuer, Workspace: id.Default, Agent: id.Must[id.Agent](bot), Nonce: strings.Repeat("n", 22), IssuedAt: at.Unix(),
	}, old, fresh)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := token.VerifyKeyStatement(voucher, possession, old.Public(), token.KeyWant{Use: token.UseSpawn, Issuer: issuer, Now: at}); err != nil {
			b.Fatal(err)
		}
	}
}

// runAll runs every case of a kind.
func runAll(t *testing.T, kind string, run func(*testing.T, jsontext.Value) (any, error)) {
	cases, err := vectors.Load(kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			got, err := run(t, c.In)
			if code := fault.Code(err); code != c.Want.Error {
				t.Fatalf("%s: got code %q (%v), want %q", c.Comment, code, err, c.Want.Error)
			}
			if err != nil {
				if f := fault.Of(err); f.Reason == "" || f.Remedy == "" || strings.HasSuffix(f.Reason, ": ") {
					t.Errorf("%s: %q does not say what failed, or what mends it", c.Comment, f.Reason)
				}
				return
			}
			have, err := jose.Canonical(got)
			if err != nil {
				t.Fatal(err)
			}
			want, err := jose.Canonical(c.Want.OK)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(have)); d != "" {
				t.Error(d)
			}
		})
	}
}
