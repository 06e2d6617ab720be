package delegation_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func TestChainVerifiesFromItsBytes(t *testing.T) {
	links := chain(t, 8)
	text, err := json.Marshal(links)
	if err != nil {
		t.Fatal(err)
	}
	var read []delegation.Link
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if err := delegation.VerifyChain(read, published); err != nil {
		t.Fatal(err)
	}
	if read[7].Rev != 4711 || read[7].At != begin*1_000_000 || read[7].Statement.Delegate.Agent != agentOf("h") {
		t.Errorf("%+v", read[7])
	}
}

// Whatever byte of a link is changed, the chain does not verify.
func TestEveryByteOfALinkCounts(t *testing.T) {
	links := chain(t, 2)
	for i := range links {
		whole := links[i].String()
		for at := range len(whole) {
			changed := whole[:at] + string(whole[at]^1) + whole[at+1:]
			l, err := delegation.ParseLink(changed)
			if err != nil {
				continue
			}
			broken := append([]delegation.Link{}, links...)
			broken[i] = l
			if delegation.VerifyChain(broken, published) == nil {
				t.Fatalf("link %d verifies with byte %d changed from %q", i, at, whole[at])
			}
		}
	}
}

// The refusal says which link, in words and by id.
func TestChainNamesTheLinkThatFails(t *testing.T) {
	for n := range 4 {
		links := chain(t, 4)
		sd, key := links[n].Signed, links[n].Delegator
		l, err := delegation.Countersign(sd, key, at(begin), 1, signer("another server"))
		if err != nil {
			t.Fatal(err)
		}
		links[n] = l
		err = delegation.VerifyChain(links, published)
		if want := "link " + string(rune('0'+n)) + " (" + sd.Statement.ID.String() + ")"; fault.Code(err) != "key_unknown" || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestZeroLinkVerifiesNothing(t *testing.T) {
	if err := (delegation.Link{}).Verify(published); err == nil {
		t.Error("the zero link verifies")
	}
	l := chain(t, 1)[0]
	built := delegation.Link{Signed: l.Signed, Delegator: l.Delegator, At: l.At, Rev: l.Rev}
	if err := delegation.VerifyChain([]delegation.Link{built}, published); err == nil {
		t.Error("a link that no server signed verifies")
	}
}

func TestCountersignVerifiesFirst(t *testing.T) {
	st := rootStatement()
	sd := signed(t, st, "priya's laptop")
	for name, key := range map[string]delegation.DelegatorKey{
		"another key":    jwk("maya's laptop"),
		"none":           {},
		"an attestation": {Attested: &delegation.Attestation{Method: "oidc", Issuer: "https://idp.example", AuthTime: begin}},
		"a passkey":      {Passkey: &delegation.Passkey{Key: passkey("priya").Key(), RPID: theRP, Origin: theIssuer}},
	} {
		if _, err := delegation.Countersign(sd, key, at(begin), 1, signer("server")); fault.Code(err) != "key_mismatch" {
			t.Errorf("%s: %v", name, err)
		}
	}
	sd.Statement.Task = "REL-482"
	if _, err := delegation.Countersign(sd, jwk("priya's laptop"), at(begin), 1, signer("server")); fault.Code(err) != "signature_invalid" {
		t.Errorf("another statement: %v", err)
	}
}

func TestSignDemandsTheNamedInstance(t *testing.T) {
	st := childStatement(t, rootStatement(), "release-bot", "deployer")
	if _, err := delegation.Sign(st, signer("release-bot's twin")); fault.Code(err) != "key_mismatch" {
		t.Error(err)
	}
}

func TestZeroParentIsNone(t *testing.T) {
	st := childStatement(t, rootStatement(), "release-bot", "deployer")
	st.Parent = new(id.Digest)
	if err := st.Check(); fault.Code(err) != "statement_invalid" {
		t.Error(err)
	}
}

func TestBothCompactFormsRoundTrip(t *testing.T) {
	st := childStatement(t, rootStatement(), "release-bot", "deployer")
	own, err := delegation.Encode(signed(t, st, "release-bot"))
	if err != nil {
		t.Fatal(err)
	}
	sd, link, err := delegation.ParseToken(own)
	if err != nil || link != nil || sd.Statement.ID != st.ID {
		t.Fatal(sd, link, err)
	}
	if err := delegation.VerifySignature(sd, jwk("release-bot")); err != nil {
		t.Error(err)
	}
	l := countersigned(t, sd, jwk("release-bot"))
	again, link, err := delegation.ParseToken(l.String())
	if err != nil || link == nil || again.Signature != sd.Signature {
		t.Fatal(again, link, err)
	}
	if err := link.Verify(published); err != nil {
		t.Error(err)
	}
	if back, err := delegation.Encode(again); back != own || err != nil {
		t.Errorf("the delegator's form changed on its way through the server: %v", err)
	}
	passkeyed, _ := byPasskey(t, rootStatement(), "priya")
	if _, err := delegation.Encode(passkeyed); fault.Code(err) != "signature_malformed" {
		t.Errorf("a statement signed with a passkey has no compact form of its own: %v", err)
	}
}

func TestLargestStatementFitsItsToken(t *testing.T) {
	st := rootStatement()
	st.Permissions = nil
	for range 64 {
		st.Permissions = append(st.Permissions, under("tool:"+strings.Repeat("s", 20)+":write", "path", strings.Repeat("d", 38)+"/"))
	}
	b, err := st.Bytes()
	if err != nil || len(b) < delegation.MaxBytes-200 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	sd, key := byPasskey(t, st, "priya")
	if l := countersigned(t, sd, key); len(l.String()) > delegation.MaxToken {
		t.Errorf("%d bytes", len(l.String()))
	}
	st.Permissions[0] = under("tool:a:write", "path", strings.Repeat("d", 500))
	if _, err := st.Bytes(); fault.Code(err) != "too_large" {
		t.Errorf("a larger statement: %v", err)
	}
}

func TestChainAsksForTheServersKeyAlone(t *testing.T) {
	asked := map[id.Key]int{}
	err := delegation.VerifyChain(chain(t, 3), func(kid id.Key) (jose.PublicKey, bool) {
		asked[kid]++
		return published(kid)
	})
	if err != nil || len(asked) != 1 || asked[instance("server")] != 3 {
		t.Error(err, asked)
	}
}
