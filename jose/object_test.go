package jose_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

var objectAt = time.Unix(1795427523, 0)

func objectClaims() jose.ObjectClaims {
	return jose.ObjectClaims{Issuer: "agt_06h0fkepn1o010000000000008", Audience: "https://queue.example/jobs", Nonce: "AAECAwQFBgcICQoLDA0ODw", IssuedAt: objectAt}
}

func of(keys ...jose.PublicKey) func(string, id.Key) (jose.PublicKey, error) {
	return func(_ string, kid id.Key) (jose.PublicKey, error) {
		for _, k := range keys {
			if k.Thumbprint() == kid {
				return k, nil
			}
		}
		return jose.PublicKey{}, nil
	}
}

// runObject answers one case of kind object: op open gives what was signed, sign the compact JWS.
func runObject(t *testing.T, raw jsontext.Value) (any, error) {
	var in struct {
		Op       string           `json:"op"`
		JWS      vectors.JWS      `json:"jws"`
		Keys     []jose.PublicKey `json:"keys"`
		Audience string           `json:"audience"`
		Now      int64            `json:"now"`
		Past     int64            `json:"past"`
		Object   string           `json:"object"`
		Issuer   string           `json:"issuer"`
		Nonce    string           `json:"nonce"`
		Expires  *int64           `json:"expires"`
		Ed25519  string           `json:"ed25519"`
	}
	if err := vectors.Decode(raw, &in); err != nil {
		t.Fatal(err)
	}
	switch in.Op {
	case "open":
		compact, err := in.JWS.Text()
		if err != nil {
			t.Fatal(err)
		}
		o, err := jose.OpenObject(compact, jose.ObjectWant{Audience: in.Audience, Key: of(in.Keys...), Now: time.Unix(in.Now, 0), Past: time.Duration(in.Past) * time.Second})
		out := map[string]any{"object": string(o.Object), "iss": o.Issuer, "aud": o.Audience, "nonce": o.Nonce, "iat": o.IssuedAt.Unix(), "kid": o.Key.Thumbprint().String()}
		if !o.Expires.IsZero() {
			out["exp"] = o.Expires.Unix()
		}
		return out, err
	case "sign":
		c := jose.ObjectClaims{Issuer: in.Issuer, Audience: in.Audience, Nonce: in.Nonce, IssuedAt: time.Unix(in.Now, 0)}
		if in.Expires != nil {
			c.Expires = time.Unix(*in.Expires, 0)
		}
		seed, err := jose.DecodeBase64(in.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		s, err := jose.NewSigner(ed25519.NewKeyFromSeed(seed))
		if err != nil {
			t.Fatal(err)
		}
		return jose.SignObject([]byte(in.Object), c, s)
	}
	t.Fatalf("unknown op %q", in.Op)
	return nil, nil
}

// What was signed is what is read, for its audience, key and time alone.
func TestObjectsRoundTrip(t *testing.T) {
	s, other := edSigner(t), edSigner(t)
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.MapOfN(rapid.StringMatching(`[a-z]{6,9}`), value(3), 0, 6).Draw(t, "object")
		raw, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := jose.Canonical(jsontext.Value(raw))
		if err != nil {
			return // a number that is no integer
		}
		c := objectClaims()
		if rapid.Bool().Draw(t, "expires") {
			c.Expires = objectAt.Add(time.Minute)
		}
		compact, err := jose.SignObject(raw, c, s)
		if err != nil {
			t.Fatal(err)
		}
		want := jose.ObjectWant{Audience: c.Audience, Key: of(s.Public()), Now: objectAt}
		o, err := jose.OpenObject(compact, want)
		if err != nil || string(o.Object) != string(canonical) || o.ObjectClaims != c || o.Key != s.Public() {
			t.Fatalf("%+v, %v", o, err)
		}
		for name, change := range map[string]func(*jose.ObjectWant){
			"audience": func(w *jose.ObjectWant) { w.Audience += "x" },
			"key":      func(w *jose.ObjectWant) { w.Key = of(other.Public()) },
			"early":    func(w *jose.ObjectWant) { w.Now = objectAt.Add(-31 * time.Second) },
			"late":     func(w *jose.ObjectWant) { w.Now, w.Past = objectAt.Add(2*time.Minute), time.Minute },
		} {
			w := want
			change(&w)
			if _, err := jose.OpenObject(compact, w); err == nil {
				t.Errorf("passed with another %s", name)
			}
		}
	})
}

// The clocks may differ by 30 s, to the second and not more; an object without exp is as old as its reader allows.
func TestObjectSkew(t *testing.T) {
	s := edSigner(t)
	c := objectClaims()
	lasting, err := jose.SignObject([]byte(`{}`), c, s)
	if err != nil {
		t.Fatal(err)
	}
	c.Expires = objectAt.Add(time.Minute)
	ending, err := jose.SignObject([]byte(`{}`), c, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		compact string
		shift   time.Duration
		past    time.Duration
		code    string
	}{
		{lasting, -30 * time.Second, 0, ""},
		{lasting, -30*time.Second - time.Millisecond, 0, "object_time"},
		{lasting, 1000 * time.Hour, 0, ""},
		{lasting, time.Hour, time.Hour, ""},
		{lasting, time.Hour + time.Millisecond, time.Hour, "object_time"},
		{ending, 90*time.Second - time.Millisecond, 0, ""},
		{ending, 90 * time.Second, 0, "object_time"},
		{ending, 80 * time.Second, time.Second, ""},
	} {
		_, err := jose.OpenObject(try.compact, jose.ObjectWant{Audience: c.Audience, Key: of(s.Public()), Now: objectAt.Add(try.shift), Past: try.past})
		if fault.Code(err) != try.code {
			t.Errorf("%s, past %s: %v, want %q", try.shift, try.past, err, try.code)
		}
	}
}

func TestObjectKeysOfTheCaller(t *testing.T) {
	s := edSigner(t)
	compact, err := jose.SignObject([]byte(`{"a":1}`), objectClaims(), s)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("store down")
	asked := ""
	_, err = jose.OpenObject(compact, jose.ObjectWant{Audience: objectClaims().Audience, Now: objectAt, Key: func(issuer string, _ id.Key) (jose.PublicKey, error) {
		asked = issuer
		return jose.PublicKey{}, down
	}})
	if !errors.Is(err, down) || asked != objectClaims().Issuer {
		t.Errorf("%v, asked for %q", err, asked)
	}
	_, err = jose.OpenObject(compact, jose.ObjectWant{Audience: objectClaims().Audience, Now: objectAt, Key: func(string, id.Key) (jose.PublicKey, error) {
		return edSigner(t).Public(), nil
	}})
	if fault.Code(err) != "object_key_unknown" {
		t.Errorf("another key than the one asked for: %v", err)
	}
	if _, err = jose.SignObject([]byte(`{"a":"`+strings.Repeat("a", 64<<10)+`"}`), objectClaims(), s); fault.Code(err) != "too_large" {
		t.Errorf("over 64 KiB: %v", err)
	}
	if _, err = jose.SignObject([]byte(`{"a":"`+strings.Repeat("a", 64<<10-20)+`"}`), objectClaims(), s); fault.Code(err) != "too_large" {
		t.Errorf("over 64 KiB with what is added: %v", err)
	}
	deep := strings.Repeat(`{"a":`, 16) + "1" + strings.Repeat("}", 16)
	if _, err = jose.SignObject([]byte(deep), objectClaims(), s); err != nil {
		t.Errorf("16 levels: %v", err)
	}
	if _, err = jose.SignObject([]byte(`{"a":`+deep+`}`), objectClaims(), s); fault.Code(err) != "too_large" {
		t.Errorf("17 levels: %v", err)
	}
}

func FuzzOpenObject(f *testing.F) {
	s := edSigner(f)
	compact, err := jose.SignObject([]byte(`{"a":[1,{"b":"c"}]}`), objectClaims(), s)
	if err != nil {
		f.Fatal(err)
	}
	want := jose.ObjectWant{Audience: objectClaims().Audience, Key: of(s.Public()), Now: objectAt}
	f.Add(compact, []byte(`{"aud":"https://queue.example/jobs","iat":1795427523,"iss":"a","nonce":"AAECAwQFBgcICQoLDA0ODw"}`))
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		if _, err := jose.OpenObject(text, want); err == nil && text != compact {
			t.Errorf("an object that was not made passed: %q", text)
		}
		if len(payload) == 0 {
			return
		}
		// Whatever was signed: what is accepted is what SignObject makes of it.
		made, err := jose.Sign("attorn-object+jws", payload, s)
		if err != nil {
			t.Fatal(err)
		}
		o, err := jose.OpenObject(made, want)
		if err != nil {
			return
		}
		if again, err := jose.SignObject(o.Object, o.ObjectClaims, s); err != nil || again != made {
			t.Errorf("accepted %q, made %q, %v", made, again, err)
		}
	})
}
