package httpsig_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const (
	seed     = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" // RFC 8037 A.1
	audience = "https://files.example/api"
	nonce    = "AAECAwQFBgcICQoLDA0ODw"
)

var at = time.Unix(1795427523, 0)

// signed is a request with the fields that Sign made for it, in a real header.
func signed(t testing.TB, s jose.Signer, r httpsig.Request, header http.Header, p httpsig.Params) httpsig.Request {
	t.Helper()
	r.Header = httpsig.Fields(header)
	h, err := httpsig.Sign(s, r, p)
	if err != nil {
		t.Fatal(err)
	}
	header.Set("Attorn-Audience", h.Audience)
	header.Set("Content-Digest", h.Digest)
	header.Add("Signature-Input", h.Input)
	header.Add("Signature", h.Signature)
	return r
}

// What was signed passes, and no request that differs in one part.
func TestSignatureFitsOneRequest(t *testing.T) {
	s := signer(t, seed)
	rapid.Check(t, func(r *rapid.T) {
		token := rapid.Bool().Draw(r, "token")
		text := rapid.StringMatching(`[A-Za-z0-9._~-]{1,40}`)
		q := httpsig.Request{
			Method:    rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(r, "method"),
			TargetURI: "https://files.example/" + text.Draw(r, "path") + rapid.SampledFrom([]string{"", "?", "?a=b"}).Draw(r, "query"),
			Body:      rapid.SliceOf(rapid.Byte()).Draw(r, "body"),
		}
		h := http.Header{"Content-Type": {"application/json"}}
		if token {
			h.Set("Authorization", "DPoP "+text.Draw(r, "access"))
		}
		p := httpsig.Params{Audience: audience, Created: at, Nonce: rapid.StringMatching(`[A-Za-z0-9_-]{22,64}`).Draw(r, "nonce")}
		if rapid.Bool().Draw(r, "more") {
			p.Cover = []string{"content-type", "@query"}
		}
		q = signed(t, s, q, h, p)
		want := httpsig.Want{Audience: audience, Now: at, Key: known(s.Public())}
		got, err := httpsig.Verify(q, want)
		if err != nil || got.KeyID != s.Public().Thumbprint() || got.Nonce != p.Nonce || got.Authorization != h.Get("Authorization") || got.ContentDigest != httpsig.ContentDigest(q.Body) {
			t.Fatalf("%+v, %v", got, err)
		}
		if again, err := httpsig.VerifyRecord(got.Record(), want); err != nil || again.TargetURI != q.TargetURI || again.Authorization != got.Authorization {
			t.Fatalf("%+v, %v", again, err)
		}
		for name, change := range map[string]func(*httpsig.Request, http.Header, *httpsig.Want){
			"method":           func(q *httpsig.Request, _ http.Header, _ *httpsig.Want) { q.Method += "X" },
			"path":             func(q *httpsig.Request, _ http.Header, _ *httpsig.Want) { q.TargetURI += "x" },
			"query":            func(q *httpsig.Request, _ http.Header, _ *httpsig.Want) { q.TargetURI += "?" },
			"body":             func(q *httpsig.Request, _ http.Header, _ *httpsig.Want) { q.Body = append([]byte("x"), q.Body...) },
			"token":            func(_ *httpsig.Request, h http.Header, _ *httpsig.Want) { h.Set("Authorization", "DPoP other") },
			"second token":     func(_ *httpsig.Request, h http.Header, _ *httpsig.Want) { h.Add("Authorization", "DPoP other") },
			"call digest":      func(_ *httpsig.Request, h http.Header, _ *httpsig.Want) { h.Set("Attorn-Call-Digest", "x") },
			"audience":         func(_ *httpsig.Request, h http.Header, _ *httpsig.Want) { h.Set("Attorn-Audience", "x") },
			"wanted audience":  func(_ *httpsig.Request, _ http.Header, w *httpsig.Want) { w.Audience += "x" },
			"late":             func(_ *httpsig.Request, _ http.Header, w *httpsig.Want) { w.Now = at.Add(91 * time.Second) },
			"early":            func(_ *httpsig.Request, _ http.Header, w *httpsig.Want) { w.Now = at.Add(-31 * time.Second) },
			"no key":           func(_ *httpsig.Request, _ http.Header, w *httpsig.Want) { w.Key = known() },
			"signature gone":   func(_ *httpsig.Request, h http.Header, _ *httpsig.Want) { h.Del("Signature") },
			"input gone":       func(_ *httpsig.Request, h http.Header, _ *httpsig.Want) { h.Del("Signature-Input") },
			"second signature": func(_ *httpsig.Request, h http.Header, _ *httpsig.Want) { h.Add("Signature", h.Get("Signature")) },
		} {
			q2, h2, w2 := q, h.Clone(), want
			q2.Header = httpsig.Fields(h2)
			change(&q2, h2, &w2)
			if _, err := httpsig.Verify(q2, w2); err == nil {
				t.Errorf("passed with another %s", name)
			}
		}
	})
}

// The clocks of signer and verifier may differ by 30 s, to the second and not more.
func TestSkew(t *testing.T) {
	s := signer(t, seed)
	q := signed(t, s, httpsig.Request{Method: "GET", TargetURI: audience}, http.Header{}, httpsig.Params{Audience: audience, Created: at, Nonce: nonce})
	for shift, code := range map[time.Duration]string{
		-30 * time.Second: "", -30*time.Second - time.Millisecond: "signature_expired", -31 * time.Second: "signature_expired",
		90 * time.Second: "", 90*time.Second + time.Millisecond: "signature_expired", 91 * time.Second: "signature_expired",
	} {
		if _, err := httpsig.Verify(q, httpsig.Want{Audience: audience, Now: at.Add(shift), Key: known(s.Public())}); fault.Code(err) != code {
			t.Errorf("%s: %v, want %q", shift, err, code)
		}
	}
	if _, err := httpsig.Verify(q, httpsig.Want{Audience: audience, Now: at.Add(95 * time.Second), Key: known(s.Public()), Leeway: time.Minute}); err != nil {
		t.Errorf("a wider leeway: %v", err)
	}
}

// A store that fails is no unknown key, and a key that is not the one asked for is.
func TestKeysOfTheCaller(t *testing.T) {
	s := signer(t, seed)
	q := signed(t, s, httpsig.Request{Method: "GET", TargetURI: audience}, http.Header{}, httpsig.Params{Audience: audience, Created: at, Nonce: nonce})
	down := errors.New("store down")
	priv, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p256, err := jose.P256Key(&priv.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  jose.PublicKey
		err  error
		code string
	}{
		"failure": {err: down, code: "internal"}, "refusal": {err: fault.New(fault.Denied, "suspended", "no"), code: "suspended"}, "none": {code: "signature_key_unknown"},
		"of another type": {key: p256, code: "signature_key_unknown"}, "another": {key: signer(t, "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs").Public(), code: "signature_key_unknown"},
	} {
		_, err := httpsig.Verify(q, httpsig.Want{Audience: audience, Now: at, Key: func(id.Key) (jose.PublicKey, error) { return c.key, c.err }})
		if fault.Code(err) != c.code || (c.err != nil && !errors.Is(err, c.err)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	es, err := jose.NewES256Signer(priv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpsig.Sign(es, httpsig.Request{Method: "GET", TargetURI: audience}, httpsig.Params{Audience: audience, Created: at, Nonce: nonce}); fault.Code(err) != "signature_malformed" {
		t.Errorf("signed with P-256: %v", err)
	}
	if _, err := httpsig.Verify(httpsig.Request{Header: http.Header{}.Values}, httpsig.Want{}); fault.Code(err) != "internal" {
		t.Errorf("no request of ours: %v", err)
	}
	if fault.Code(httpsig.Replayed()) != "signature_replayed" {
		t.Error("Replayed")
	}
}

// A record has one form: whatever is added to it, left out or put in another order is refused, though the signature would hold for the rest.
func TestRecordsHaveOneForm(t *testing.T) {
	s := signer(t, seed)
	q := signed(t, s, httpsig.Request{Method: "GET", TargetURI: audience}, http.Header{"X-A": {"b"}}, httpsig.Params{Audience: audience, Created: at, Nonce: nonce, Cover: []string{"x-a"}})
	want := httpsig.Want{Audience: audience, Now: at, Key: known(s.Public())}
	got, err := httpsig.Verify(q, want)
	if err != nil {
		t.Fatal(err)
	}
	base, sig := string(got.Base), "."+jose.EncodeBase64(got.Bytes)
	if _, err := httpsig.VerifyRecord(jose.EncodeBase64([]byte(base))+sig, want); err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]string{
		"a line more": "\"x-b\": c\n" + base, "a line twice": "\"x-a\": b\n" + base, "a line less": strings.Replace(base, "\"x-a\": b\n", "", 1),
		"another order": strings.Replace("\"x-a\": b\n"+base, "\n\"x-a\": b\n", "\n", 1), "a line behind": base + "\n", "space": strings.Replace(base, "x-a\": b", "x-a\":  b", 1),
		"parameters behind": base + ";x=1", "white space in the parameters": strings.Replace(base, ");created", "); created", 1), "another method": strings.Replace(base, "GET", "PUT", 1),
	} {
		if changed == base {
			t.Fatal(name)
		}
		if _, err := httpsig.VerifyRecord(jose.EncodeBase64([]byte(changed))+sig, want); err == nil {
			t.Errorf("accepted with %s", name)
		}
	}
	for _, text := range []string{"", ".", jose.EncodeBase64(got.Base), jose.EncodeBase64(got.Base) + ".AAAA", got.Record() + ".AAAA", got.Record() + "="} {
		if _, err := httpsig.VerifyRecord(text, want); fault.Code(err) != "signature_malformed" {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// The whole way over real HTTP, through a proxy that changes nothing but the address, and through one that meddles.
func TestOverHTTP(t *testing.T) {
	s := signer(t, seed)
	var last error
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := r.Body.Read(body); err != nil && int64(len(body)) != r.ContentLength {
			t.Error(err)
		}
		_, last = httpsig.Verify(httpsig.Request{
			Method: r.Method, TargetURI: "https://files.example" + r.URL.EscapedPath() + query(r), Header: httpsig.Fields(r.Header), Body: body,
		}, httpsig.Want{Audience: audience, Now: at, Key: known(s.Public())})
	}))
	defer server.Close()
	for path, meddled := range map[string]string{"/api/pay?a=1": "/api/pay?a=2", "/api/%7Epay?": "/api/%7Epay", "/": "/x", "/a//b/../c": "/a/c"} {
		for _, to := range []string{path, meddled} {
			req, err := http.NewRequest("POST", server.URL+to, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			signed(t, s, httpsig.Request{Method: "POST", TargetURI: "https://files.example" + path, Body: []byte("body")}, req.Header, httpsig.Params{Audience: audience, Created: at, Nonce: nonce})
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if to == path && last != nil || to != path && fault.Code(last) != "signature_invalid" {
				t.Errorf("%s sent as %s: %v", path, to, last)
			}
		}
	}
}

func query(r *http.Request) string {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return "?" + r.URL.RawQuery
	}
	return ""
}

func FuzzVerify(f *testing.F) {
	s := signer(f, seed)
	h := http.Header{}
	q := signed(f, s, httpsig.Request{Method: "GET", TargetURI: audience}, h, httpsig.Params{Audience: audience, Created: at, Nonce: nonce})
	want := httpsig.Want{Audience: audience, Now: at, Key: known(s.Public())}
	whole, err := httpsig.Verify(q, want)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(h.Get("Signature-Input"), h.Get("Signature"), h.Get("Content-Digest"), whole.Record())
	f.Add(`a=("x";sf);b=?1, c`, `a=::`, `sha-256=:AA==:`, "IkBtZXRob2QiOiBHRVQ.AAAA")
	f.Fuzz(func(t *testing.T, in, sig, digest, record string) {
		r := httpsig.Request{Method: "GET", TargetURI: audience, Header: http.Header{
			"Signature-Input": {in}, "Signature": {sig}, "Content-Digest": {digest}, "Attorn-Audience": {audience},
		}.Values}
		got, err := httpsig.Verify(r, want)
		if err == nil && string(got.Base) != string(whole.Base) {
			t.Errorf("a signature that was not made passed: %q %q %q", in, sig, digest)
		}
		if code := fault.Code(err); err != nil && !strings.HasPrefix(code, "signature_") && code != "digest_mismatch" {
			t.Errorf("code %q of %v", code, err)
		}
		got, err = httpsig.VerifyRecord(record, want)
		if err == nil && got.Record() != whole.Record() {
			t.Errorf("a record that was not made passed: %q", record)
		}
		if code := fault.Code(err); err != nil && !strings.HasPrefix(code, "signature_") {
			t.Errorf("code %q of %v", code, err)
		}
		// What a signer is given, a verifier reads.
		p := httpsig.Params{Audience: audience, Created: at, Nonce: nonce, Cover: []string{"x-fuzz"}}
		fuzzed := http.Header{"X-Fuzz": {in, digest}}
		made, err := httpsig.Sign(s, httpsig.Request{Method: "GET", TargetURI: audience, Header: httpsig.Fields(fuzzed)}, p)
		if err != nil {
			return
		}
		fuzzed.Set("Attorn-Audience", made.Audience)
		fuzzed.Set("Content-Digest", made.Digest)
		fuzzed.Set("Signature-Input", made.Input)
		fuzzed.Set("Signature", made.Signature)
		if _, err := httpsig.Verify(httpsig.Request{Method: "GET", TargetURI: audience, Header: httpsig.Fields(fuzzed)}, want); err != nil {
			t.Errorf("signed and refused: %v", err)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	s := signer(b, seed)
	h := http.Header{"Authorization": {"DPoP " + strings.Repeat("e", 900)}}
	q := httpsig.Request{Method: "POST", TargetURI: audience + "?a=1", Header: httpsig.Fields(h), Body: make([]byte, 1024)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := httpsig.Sign(s, q, httpsig.Params{Audience: audience, Created: at, Nonce: nonce}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	s := signer(b, seed)
	q := signed(b, s, httpsig.Request{Method: "POST", TargetURI: audience + "?a=1", Body: make([]byte, 1024)},
		http.Header{"Authorization": {"DPoP " + strings.Repeat("e", 900)}}, httpsig.Params{Audience: audience, Created: at, Nonce: nonce})
	want := httpsig.Want{Audience: audience, Now: at, Key: known(s.Public())}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := httpsig.Verify(q, want); err != nil {
			b.Fatal(err)
		}
	}
}

// The yardsticks: what one signature costs, to make and to check, over as many bytes.
func BenchmarkYardVerify(b *testing.B) {
	pub, priv, _ := ed25519.GenerateKey(nil)
	m := make([]byte, 1400)
	sig := ed25519.Sign(priv, m)
	for b.Loop() {
		if !ed25519.Verify(pub, m, sig) {
			b.Fatal()
		}
	}
}

func BenchmarkYardSign(b *testing.B) {
	_, priv, _ := ed25519.GenerateKey(nil)
	m := make([]byte, 1400)
	for b.Loop() {
		ed25519.Sign(priv, m)
	}
}
