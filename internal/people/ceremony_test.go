package people_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

const rpID, origin = "localhost", "http://localhost:7070"

func soft(t testing.TB) *attorntest.SoftPasskey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return attorntest.NewSoftPasskey(key)
}

func ceremony() (people.Ceremony, []byte) {
	raw := make([]byte, 32)
	rand.Read(raw)
	return people.Ceremony{RPID: rpID, Origin: origin, Challenge: jose.EncodeBase64(raw)}, raw
}

func TestOptionsAskForADiscoverableVerifiedPasskey(t *testing.T) {
	c := people.Ceremony{RPID: rpID, Origin: origin, Challenge: "Y2hhbGxlbmdl"}
	p := people.Person{ID: id.Must[id.User]("usr_06idbavk45uo3fsos1oft8mobk"), Name: "Priya Nair"}
	has := []people.Passkey{{Credential: "AQID"}}
	got, err := json.Marshal([]any{c.Creation(p, has), c.Request(nil), c.Request(has)})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"rp":{"id":"localhost","name":"attorn"},"user":{"id":"dXNyXzA2aWRiYXZrNDV1bzNmc29zMW9mdDhtb2Jr","name":"Priya Nair","displayName":"Priya Nair"},` +
		`"challenge":"Y2hhbGxlbmdl","pubKeyCredParams":[{"type":"public-key","alg":-8},{"type":"public-key","alg":-7},{"type":"public-key","alg":-257}],` +
		`"timeout":300000,"excludeCredentials":[{"type":"public-key","id":"AQID"}],` +
		`"authenticatorSelection":{"residentKey":"required","requireResidentKey":true,"userVerification":"required"},"attestation":"none"},` +
		`{"challenge":"Y2hhbGxlbmdl","timeout":300000,"rpId":"localhost","allowCredentials":[],"userVerification":"required"},` +
		`{"challenge":"Y2hhbGxlbmdl","timeout":300000,"rpId":"localhost","allowCredentials":[{"type":"public-key","id":"AQID"}],"userVerification":"required"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// answer is a browser's answer taken apart, so that a test can change one thing in it.
type answer map[string]any

func parts(t testing.TB, raw []byte) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a answer) raw(t testing.TB) []byte {
	t.Helper()
	raw, err := json.Marshal(a, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// edit changes the bytes of one member of the response.
func (a answer) edit(t testing.TB, name string, change func([]byte) []byte) {
	t.Helper()
	response := a["response"].(map[string]any)
	old, err := jose.DecodeBase64(response[name].(string))
	if err != nil {
		t.Fatal(err)
	}
	response[name] = jose.EncodeBase64(change(old))
}

func replace(from, to string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(from), []byte(to)) }
}

func TestRegister(t *testing.T) {
	user, key := id.Must[id.User]("usr_06idbavk45uo3fsos1oft8mobk"), soft(t)
	c, raw := ceremony()
	register := func(c people.Ceremony, answer []byte) (people.NewPasskey, error) {
		a, err := people.ParseCreated(answer)
		if err != nil {
			return people.NewPasskey{}, err
		}
		if a.Challenge == "" {
			t.Error("the answer names no challenge")
		}
		return c.Register(user, a)
	}
	good := key.Register(raw, rpID, origin)
	n, err := register(c, good)
	if err != nil || n.Credential != jose.EncodeBase64(key.ID()) || n.Person != user || string(n.COSE.Bytes()) != string(key.Key().Bytes()) ||
		n.RPID != rpID || n.Origin != origin {
		t.Fatalf("%+v, %v", n, err)
	}
	flags := func(set byte) func([]byte) []byte { // of the authenticator data: after the hash of the domain
		return func(b []byte) []byte {
			at := bytes.Index(b, []byte("authData")) + len("authData") + 2 + 32
			b[at] = b[at]&^0x05 | set
			return b
		}
	}
	for _, x := range []struct {
		name   string
		change func(a answer)
		want   string
	}{
		{"unchanged", func(answer) {}, ""},
		{"more members", func(a answer) { a["novelty"] = 1 }, ""},
		{"sign-in", func(a answer) { a.edit(t, "clientDataJSON", replace("webauthn.create", "webauthn.get")) }, "passkey_malformed"},
		{"other origin", func(a answer) { a.edit(t, "clientDataJSON", replace(origin, "http://localhost:7071")) }, "passkey_origin"},
		{"origin in capitals", func(a answer) { a.edit(t, "clientDataJSON", replace(origin, "HTTP://LOCALHOST:7070")) }, "passkey_origin"},
		{"framed", func(a answer) { a.edit(t, "clientDataJSON", replace(`"crossOrigin":false`, `"crossOrigin":true`)) }, "passkey_origin"},
		{"below another", func(a answer) {
			a.edit(t, "clientDataJSON", replace(`"crossOrigin"`, `"topOrigin":"https://a","crossOrigin"`))
		}, "passkey_origin"},
		{"twice the origin", func(a answer) {
			a.edit(t, "clientDataJSON", replace(`"crossOrigin"`, `"origin":"https://a","crossOrigin"`))
		}, "passkey_malformed"},
		{"not verified", func(a answer) { a.edit(t, "attestationObject", flags(0x01)) }, "passkey_refused"},
		{"not present", func(a answer) { a.edit(t, "attestationObject", flags(0x04)) }, "passkey_refused"},
		{"attested", func(a answer) { a.edit(t, "attestationObject", replace("\x63fmt\x64none", "\x63fmt\x63tpm")) }, "passkey_refused"},
		{"cut short", func(a answer) { a.edit(t, "attestationObject", func(b []byte) []byte { return b[:len(b)-1] }) }, "passkey_malformed"},
		{"other curve", func(a answer) { a.edit(t, "attestationObject", replace("\x03\x26\x20\x01", "\x03\x26\x20\x02")) }, "key_malformed"},
		{"other algorithm", func(a answer) { a.edit(t, "attestationObject", replace("\x01\x02\x03\x26", "\x01\x02\x03\x24")) }, "passkey_refused"},
		{"other credential", func(a answer) { a["id"], a["rawId"] = "AQID", "AQID" }, "passkey_refused"},
		{"two credentials", func(a answer) { a["id"] = "AQID" }, "passkey_malformed"},
		{"no id", func(a answer) { delete(a, "id") }, "passkey_malformed"},
		{"another type", func(a answer) { a["type"] = "password" }, "passkey_malformed"},
		{"no response", func(a answer) { delete(a, "response") }, "passkey_malformed"},
	} {
		a := parts(t, good)
		x.change(a)
		if _, err := register(c, a.raw(t)); fault.Code(err) != x.want {
			t.Errorf("%s: %v (%s), want %s", x.name, err, fault.Code(err), x.want)
		}
	}
	for name, x := range map[string]struct {
		c    people.Ceremony
		want string
	}{
		"another challenge": {people.Ceremony{RPID: rpID, Origin: origin, Challenge: jose.EncodeBase64(make([]byte, 32))}, "passkey_challenge"},
		"no challenge":      {people.Ceremony{RPID: rpID, Origin: origin}, "passkey_challenge"},
		"another domain":    {people.Ceremony{RPID: "example.com", Origin: origin, Challenge: c.Challenge}, "passkey_refused"},
		"no origin":         {people.Ceremony{RPID: rpID, Challenge: c.Challenge}, "passkey_origin"},
	} {
		if _, err := register(x.c, good); fault.Code(err) != x.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerify(t *testing.T) {
	user, key := id.Must[id.User]("usr_06idbavk45uo3fsos1oft8mobk"), soft(t)
	key.UserHandle = []byte(user.String())
	mine := people.Passkey{Credential: jose.EncodeBase64(key.ID()), Person: user, COSE: key.Key(), RPID: rpID, Origin: origin}
	c, raw := ceremony()
	verify := func(c people.Ceremony, k people.Passkey, answer []byte) error {
		a, err := people.ParseAsserted(answer)
		if err != nil {
			return err
		}
		_, err = c.Verify(k, a)
		return err
	}
	good := key.SignIn(raw, rpID, origin)
	for _, x := range []struct {
		name   string
		change func(a answer)
		want   string
	}{
		{"unchanged", func(answer) {}, ""},
		{"registration", func(a answer) { a.edit(t, "clientDataJSON", replace("webauthn.get", "webauthn.create")) }, "passkey_malformed"},
		{"other origin", func(a answer) { a.edit(t, "clientDataJSON", replace(origin, "http://localhost:7071")) }, "passkey_origin"},
		{"other client data", func(a answer) { a.edit(t, "clientDataJSON", replace(`false}`, `false }`)) }, "passkey_refused"},
		{"not verified", func(a answer) { a.edit(t, "authenticatorData", func(b []byte) []byte { b[32] = 1; return b }) }, "passkey_refused"},
		{"other counter", func(a answer) { a.edit(t, "authenticatorData", func(b []byte) []byte { b[36] = 1; return b }) }, "passkey_refused"},
		{"longer", func(a answer) { a.edit(t, "authenticatorData", func(b []byte) []byte { return append(b, 0) }) }, "passkey_malformed"},
		{"other signature", func(a answer) { a.edit(t, "signature", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }) }, "passkey_refused"},
		{"no signature", func(a answer) { a.edit(t, "signature", func([]byte) []byte { return nil }) }, "passkey_refused"},
		{"other user", func(a answer) { a.edit(t, "userHandle", replace("usr_06", "usr_07")) }, "passkey_refused"},
		{"no user", func(a answer) { delete(a["response"].(map[string]any), "userHandle") }, "passkey_refused"},
		{"not an object", func(a answer) { a["response"] = "x" }, "passkey_malformed"},
	} {
		a := parts(t, good)
		x.change(a)
		if err := verify(c, mine, a.raw(t)); fault.Code(err) != x.want {
			t.Errorf("%s: %v (%s), want %s", x.name, err, fault.Code(err), x.want)
		}
	}
	decoy, err := people.Decoy(mine.Credential)
	if err != nil {
		t.Fatal(err)
	}
	other, hers := soft(t), mine
	hers.COSE = other.Key()
	another, _ := ceremony()
	for name, err := range map[string]error{
		"another key":       verify(c, hers, good),
		"a decoy":           verify(c, decoy, good),
		"another passkey":   verify(c, people.Passkey{Credential: "AQID", Person: user, COSE: key.Key()}, good),
		"another domain":    verify(people.Ceremony{RPID: "example.com", Origin: origin, Challenge: c.Challenge}, mine, good),
		"another challenge": verify(another, mine, good),
		"too long":          verify(c, mine, append(slices.Clone(good), strings.Repeat(" ", 32<<10)...)),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// What a browser sends is anybody's: whatever it is, the answer is an error or a ceremony that only the right key passes.
func FuzzAnswers(f *testing.F) {
	key := soft(f)
	c, raw := ceremony()
	f.Add(key.Register(raw, rpID, origin))
	f.Add(key.SignIn(raw, rpID, origin))
	f.Add([]byte(`{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`))
	other := people.Passkey{Credential: "AQID", COSE: delegation.CredentialKey{}}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := people.ParseCreated(b); err == nil {
			if n, err := c.Register(id.User{}, a); err == nil && (n.COSE.IsZero() || n.Credential == "") {
				t.Error("a passkey without key or credential")
			}
		}
		if a, err := people.ParseAsserted(b); err == nil {
			if _, err := c.Verify(other, a); err == nil {
				t.Error("no key verifies")
			}
		}
	})
}
