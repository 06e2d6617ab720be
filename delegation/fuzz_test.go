package delegation_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/vectors"
)

// seeds adds what a kind's cases hold to the corpus.
func seeds[In any](f *testing.F, kind string, add func(in In)) {
	f.Helper()
	cases, err := vectors.Load(kind)
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		var in In
		if err := vectors.Decode(c.In, &in); err != nil {
			f.Fatal(err)
		}
		add(in)
	}
}

// coded demands that a refusal is a fault.
func coded(t *testing.T, err error) {
	t.Helper()
	if fault.Of(err) == nil {
		t.Errorf("refused without a code: %v", err)
	}
}

// Whatever is read has exactly the bytes that were read, so two readers cannot differ over them.
func FuzzParseStatement(f *testing.F) {
	seeds(f, "delegation", func(in delegationCase) { f.Add([]byte(in.Statement)) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		st, err := delegation.ParseStatement(raw)
		if err != nil {
			coded(t, err)
			return
		}
		if b, err := st.Bytes(); err != nil || !bytes.Equal(b, raw) {
			t.Errorf("read %q, wrote %q (%v)", raw, b, err)
		}
		if delegation.Narrows(st, st) == nil {
			t.Error("a statement is its own child")
		}
	})
}

func FuzzParseToken(f *testing.F) {
	seeds(f, "delegation", func(in delegationCase) {
		for _, link := range in.Chain {
			f.Add(link)
		}
		if in.Token != nil {
			if text, err := in.Token.Text(); err == nil {
				f.Add(text)
			}
		}
	})
	f.Fuzz(func(t *testing.T, text string) {
		sd, link, err := delegation.ParseToken(text)
		if err != nil {
			coded(t, err)
			return
		}
		if link != nil {
			if link.String() != text {
				t.Errorf("link %q from %q", link, text)
			}
			if err := delegation.VerifyChain([]delegation.Link{*link}, published); err != nil {
				coded(t, err)
			}
			return
		}
		if own, err := delegation.Encode(sd); err != nil || own != text {
			t.Errorf("wrote %q (%v) from %q", own, err, text)
		}
	})
}

func FuzzCOSE(f *testing.F) {
	seeds(f, "assertion", func(in assertionCase) { f.Add([]byte(in.COSE), []byte("signature")) })
	f.Fuzz(func(t *testing.T, raw, signature []byte) {
		key, err := delegation.ParseCOSE(raw)
		if err != nil {
			coded(t, err)
			return
		}
		if !bytes.Equal(key.Bytes(), raw) || key.IsZero() {
			t.Errorf("%x became %x", raw, key.Bytes())
		}
		text, err := json.Marshal(key)
		var again delegation.CredentialKey
		if err != nil || json.Unmarshal(text, &again) != nil || !bytes.Equal(again.Bytes(), raw) {
			t.Errorf("%x does not survive JSON: %s", raw, text)
		}
		parts := wholeParts(id.Sum(raw))
		a := delegation.Assertion{CredentialID: raw, AuthenticatorData: parts.data, ClientDataJSON: []byte(parts.client), Signature: signature}
		if a.Verify(key, id.Sum(raw), theRP, theIssuer) == nil {
			t.Errorf("%x is a signature by %x", signature, raw)
		}
	})
}

func FuzzAssertion(f *testing.F) {
	seeds(f, "assertion", func(in assertionCase) {
		if a := in.Assertion; a != nil {
			f.Add([]byte(a.AuthenticatorData), []byte(a.ClientDataJSON), []byte(a.Signature))
		}
	})
	challenge := id.Sum([]byte("what is signed"))
	raw, soft := challenge.Bytes(), passkey("priya")
	whole := soft.Assert(raw[:], theRP, theIssuer)
	f.Fuzz(func(t *testing.T, data, client, signature []byte) {
		a := delegation.Assertion{CredentialID: []byte("c"), AuthenticatorData: data, ClientDataJSON: client, Signature: signature}
		if err := a.Verify(soft.Key(), challenge, theRP, theIssuer); err != nil {
			coded(t, err)
			return
		}
		if !bytes.Equal(data, whole.AuthenticatorData) || !bytes.Equal(client, whole.ClientDataJSON) {
			t.Errorf("%x, %q verifies", data, client)
		}
	})
}
