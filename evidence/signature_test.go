package evidence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// signing is what the message signature of the call is made of.
type signing struct {
	method, url, audience, authorization, call string
	at                                         time.Time
	key                                        jose.Signer
	record                                     func(string) string
}

// sign puts a message signature in the place of the DPoP proof.
func (s *story) sign(e *evidence.Event) {
	s.t.Helper()
	q := signing{method: "POST", url: issuer + "/mcp/files", audience: issuer + "/mcp/files", authorization: "DPoP " + s.rawToken, at: s.at.Add(-20 * time.Second), key: s.proofKey, call: e.Did.Digest.String()}
	s.signature(&q)
	header := map[string][]string{"authorization": {q.authorization}, "attorn-call-digest": {q.call}}
	for name, v := range header {
		if v[0] == "" {
			delete(header, name)
		}
	}
	r := httpsig.Request{Method: q.method, TargetURI: q.url, Header: func(name string) []string { return header[name] }, Body: []byte(`{"jsonrpc":"2.0"}`)}
	h, err := httpsig.Sign(q.key, r, httpsig.Params{Audience: q.audience, Created: q.at, Nonce: "nonce-of-the-call-1234"})
	s.must(err)
	header["attorn-audience"], header["content-digest"] = []string{h.Audience}, []string{h.Digest}
	header["signature-input"], header["signature"] = []string{h.Input}, []string{h.Signature}
	v, err := httpsig.VerifyHead(r, httpsig.Want{Audience: q.audience, Now: q.at, Key: func(id.Key) (jose.PublicKey, error) { return q.key.Public(), nil }})
	s.must(err)
	raw := v.Record()
	if q.record != nil {
		raw = q.record(raw)
	}
	e.Who.Proof = &evidence.ProofRef{Type: "httpsig", SHA256: id.Sum([]byte(raw))}
	s.details = append(s.details, evidence.Detail{Field: "proof", Disclosure: []byte(raw)})
}

func onSignature(f func(*signing)) func(*testing.T, *story) {
	return func(_ *testing.T, s *story) { s.signature = f }
}

func signatureMutants() []mutant {
	return []mutant{
		{"signature on another URL", "proof", no, "not on POST", onSignature(func(q *signing) { q.url += "x" })},
		{"signature on another query", "proof", no, "not on POST", onSignature(func(q *signing) { q.url += "?a=b" })},
		{"signature on another method", "proof", no, "not on POST", onSignature(func(q *signing) { q.method = "GET" })},
		{"signature for another audience", "proof", "signature_invalid", "another audience", onSignature(func(q *signing) { q.audience = issuer + "/mcp/other" })},
		{"signature beside another token", "proof", no, "another token", onSignature(func(q *signing) { q.authorization = "DPoP other" })},
		{"signature beside no token", "proof", no, "another token", onSignature(func(q *signing) { q.authorization = "" })},
		{"signature on another call", "proof", no, "another call", onSignature(func(q *signing) { q.call = id.Sum([]byte("x")).String() })},
		{"old signature", "proof", "signature_expired", "", onSignature(func(q *signing) { q.at = minute(28.9) })},
		{"signature of the future", "proof", "signature_expired", "", onSignature(func(q *signing) { q.at = minute(34.1) })},
		{"signature by the agent before", "proof", no, "by another key", func(_ *testing.T, s *story) { s.signature = func(q *signing) { q.key = s.botKey } }},
		{"signature by a key that nobody knows", "proof", hidden, "is not in the pack", func(t *testing.T, s *story) { s.signature = func(q *signing) { q.key = mallory(t) } }},
		{"signature forged", "proof", "signature_invalid", "", onSignature(func(q *signing) {
			q.record = func(raw string) string {
				base, _, _ := strings.Cut(raw, ".")
				return base + "." + jose.EncodeBase64(make([]byte, 64))
			}
		})},
		{"signature cut", "proof", "signature_malformed", "", onSignature(func(q *signing) { q.record = func(raw string) string { return raw[:len(raw)-8] } })},
		{"a signature in the place of the token that the chain needs", "token", no, "names no token", func(_ *testing.T, s *story) {
			s.signature = func(q *signing) { q.authorization = "" }
			s.event = func(e *evidence.Event) { e.Under.Token = nil }
		}},
		{"facts of the weaker proof", "facts", no, "another proof", func(_ *testing.T, s *story) {
			s.signature = func(*signing) {}
			s.facts = func(f *policy.Facts) { f.Actor.Proof = "dpop" }
		}},
		{"signature not disclosed", "proof", hidden, "is not in the pack", func(_ *testing.T, s *story) {
			s.signature = func(*signing) {}
			s.pack = func(p *evidence.Pack) {
				p.Details = slices.DeleteFunc(p.Details, func(d evidence.Disclosed) bool { return d.Field == "proof" })
			}
		}},
	}
}

// A story told with a message signature verifies like one told with a DPoP proof, with and without the digest of the call.
func TestSignedStoryVerifies(t *testing.T) {
	for name, f := range map[string]func(*signing){"with the call": func(*signing) {}, "without": func(q *signing) { q.call = "" }} {
		s := newStory(t)
		s.signature = f
		pack, trust := s.tell()
		r, err := evidence.Verify(pack, []byte(trust))
		if err != nil || !r.OK() {
			t.Fatalf("%s: %v\n%s", name, err, r.Tree())
		}
		if said := r.Tree(); !strings.Contains(said, "and the body") || strings.Contains(said, ", the call") != (name == "with the call") {
			t.Errorf("%s: %s", name, said)
		}
	}
}
