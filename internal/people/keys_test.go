package people_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

func newKey(t testing.TB) jose.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.Ed25519Key(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newCOSE is a passkey's key: {1: 1, 3: -8, -1: 6, -2: x} (RFC 9053 §7.2).
func newCOSE(t testing.TB) delegation.CredentialKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := delegation.ParseCOSE(append([]byte("\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"), pub...))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newPasskey(t testing.TB, person id.User) people.NewPasskey {
	return people.NewPasskey{
		Credential: jose.EncodeBase64([]byte(rand.Text())), Person: person, COSE: newCOSE(t), RPID: "localhost", Origin: "http://localhost:7070",
	}
}

func (r rig) addKey(person id.User, key jose.PublicKey) (k people.Key, err error) {
	err = r.Do(id.Default, func(tx *audit.Tx) (err error) { k, err = r.AddKey(tx, person, key, "laptop", false); return err })
	return k, err
}

func (r rig) addPasskey(n people.NewPasskey) (k people.Passkey, err error) {
	err = r.Do(id.Default, func(tx *audit.Tx) (err error) { k, err = r.AddPasskey(tx, n); return err })
	return k, err
}

func TestRegisteredKeyIsReadBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p, key := r.person(t, "Priya", id.Default), newKey(t)
		want := people.Key{Key: key.Thumbprint(), Person: p.ID, JWK: key, Label: "laptop", CreatedAt: r.Now()}
		if k, err := r.addKey(p.ID, key); err != nil || k != want {
			t.Fatalf("added %+v, %v", k, err)
		}
		if gotP, k, err := r.PersonByKey(t.Context(), key.Thumbprint()); err != nil || gotP != p || k != want {
			t.Errorf("by key: %+v %+v, %v", gotP, k, err)
		}
		if ks, err := r.KeysOf(t.Context(), p.ID); err != nil || len(ks) != 1 || ks[0] != want {
			t.Errorf("of the person: %+v, %v", ks, err)
		}
	})
}

// A key names one person for ever, and only while it and the person live does a lookup answer.
func TestKeysEnd(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		priya, maya, key := r.person(t, "Priya", id.Default), r.person(t, "Maya", id.Default), newKey(t)
		lookup := func(want string) {
			t.Helper()
			p, k, err := r.PersonByKey(t.Context(), key.Thumbprint())
			if fault.Code(err) != want || (err != nil) != (p == people.Person{} && k == people.Key{}) {
				t.Errorf("%+v %+v, %v, want %q", p, k, err, want)
			}
		}
		known := func() (is bool) {
			t.Helper()
			if err := r.Do(other, func(tx *audit.Tx) (err error) { is, err = r.Known(tx, key.Thumbprint()); return err }); err != nil {
				t.Fatal(err)
			}
			return is
		}
		end := func(person id.User) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.EndKey(tx, person, key.Thumbprint()) })
		}
		lookup("key_unknown")
		if known() {
			t.Error("nobody's key is known")
		}
		if _, err := r.addKey(priya.ID, key); err != nil {
			t.Fatal(err)
		}
		lookup("")
		if _, err := r.suspend(id.Default, priya.ID); err != nil {
			t.Fatal(err)
		}
		lookup("person_suspended")
		if err := r.resume(id.Default, priya.ID); err != nil {
			t.Fatal(err)
		}
		lookup("")
		for name, person := range map[string]id.User{"her": priya.ID, "another": maya.ID} {
			if _, err := r.addKey(person, key); fault.Code(err) != "key_in_use" {
				t.Errorf("again, for %s: %v", name, err)
			}
		}
		if err := end(maya.ID); fault.Code(err) != "not_found" {
			t.Errorf("somebody else ended it: %v", err)
		}
		lookup("")
		if err := end(priya.ID); err != nil {
			t.Fatal(err)
		}
		lookup("key_ended")
		if err := end(priya.ID); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if _, err := r.addKey(maya.ID, key); fault.Code(err) != "key_in_use" {
			t.Errorf("an ended key came back: %v", err)
		}
		if !known() {
			t.Error("an ended key is not known")
		}
		if ks, err := r.KeysOf(t.Context(), priya.ID); err != nil || len(ks) != 0 {
			t.Error(ks, err)
		}
	})
}

func TestAddKeyRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p, gone := r.person(t, "Priya", id.Default), r.person(t, "Gone", id.Default)
		if _, err := r.suspend(id.Default, gone.ID); err != nil {
			t.Fatal(err)
		}
		priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p256, err := jose.P256Key(&priv.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			person id.User
			key    jose.PublicKey
			label  string
			held   bool
			want   string
		}{
			"P-256":          {p.ID, p256, "", false, "alg_unsupported"},
			"no key":         {p.ID, jose.PublicKey{}, "", false, "alg_unsupported"},
			"long label":     {p.ID, newKey(t), strings.Repeat("x", 101), false, "label_invalid"},
			"control label":  {p.ID, newKey(t), "a\nb", false, "label_invalid"},
			"label no UTF-8": {p.ID, newKey(t), "\xff", false, "label_invalid"},
			"an instance's":  {p.ID, newKey(t), "", true, "key_in_use"},
			"nobody":         {id.User{}, newKey(t), "", false, "not_found"},
			"no such person": {id.New[id.User](r.Now()), newKey(t), "", false, "not_found"},
			"suspended":      {gone.ID, newKey(t), "", false, "person_suspended"},
		} {
			if err := r.Do(id.Default, func(tx *audit.Tx) error {
				_, err := r.AddKey(tx, c.person, c.key, c.label, c.held)
				return err
			}); fault.Code(err) != c.want {
				t.Errorf("%s: %v", name, err)
			}
			if _, _, err := r.PersonByKey(t.Context(), c.key.Thumbprint()); fault.Code(err) != "key_unknown" {
				t.Errorf("%s: it is registered: %v", name, err)
			}
		}
	})
}

// Of 64 additions of different keys, on every node and behind two logs, eight fit; of 64 of one key, one.
func TestLimitOfKeysHolds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		p, q := all[0].person(t, "Priya", id.Default), all[0].person(t, "Maya", id.Default)
		space := func(n int) id.Workspace { return []id.Workspace{id.Default, other}[n%2] }
		codes := audittest.Together(t, all, 64, func(r rig, n int) error {
			key := newKey(t)
			return r.Do(space(n), func(tx *audit.Tx) error { _, err := r.AddKey(tx, p.ID, key, "", false); return err })
		})
		if codes[""] != people.MaxKeys || codes["too_many_keys"] != 64-people.MaxKeys {
			t.Errorf("keys: %v", codes)
		}
		codes = audittest.Together(t, all, 64, func(r rig, n int) error {
			k := newPasskey(t, p.ID)
			return r.Do(space(n), func(tx *audit.Tx) error { _, err := r.AddPasskey(tx, k); return err })
		})
		if codes[""] != people.MaxKeys || codes["too_many_keys"] != 64-people.MaxKeys {
			t.Errorf("passkeys: %v", codes)
		}
		key := newKey(t)
		codes = audittest.Together(t, all, 64, func(r rig, n int) error {
			return r.Do(space(n), func(tx *audit.Tx) error { _, err := r.AddKey(tx, q.ID, key, "", false); return err })
		})
		if codes[""] != 1 || codes["key_in_use"] != 63 {
			t.Errorf("one key: %v", codes)
		}
		ks, err := all[0].KeysOf(t.Context(), p.ID)
		if err != nil || len(ks) != people.MaxKeys {
			t.Fatalf("%d keys, %v", len(ks), err)
		}
		if err := all[0].Do(id.Default, func(tx *audit.Tx) error { return all[0].EndKey(tx, p.ID, ks[0].Key) }); err != nil {
			t.Fatal(err)
		}
		if _, err := all[0].addKey(p.ID, newKey(t)); err != nil {
			t.Errorf("an ended key still takes a place: %v", err)
		}
	})
}

func TestPasskeyIsReadBackAndEnds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p, q := r.person(t, "Priya", id.Default), r.person(t, "Maya", id.Default)
		n := newPasskey(t, p.ID)
		n.SignCount = 1<<32 - 1
		want := people.Passkey{
			Credential: n.Credential, Person: p.ID, COSE: n.COSE, RPID: n.RPID, Origin: n.Origin, SignCount: n.SignCount, CreatedAt: r.Now(),
		}
		same := func(a people.Passkey) bool {
			cose := string(a.COSE.Bytes()) == string(want.COSE.Bytes())
			a.COSE = delegation.CredentialKey{}
			b := want
			b.COSE = delegation.CredentialKey{}
			return cose && a == b
		}
		if k, err := r.addPasskey(n); err != nil || !same(k) {
			t.Fatalf("added %+v, %v", k, err)
		}
		if k, gotP, err := r.PasskeyByCredential(t.Context(), n.Credential); err != nil || gotP != p || !same(k) {
			t.Errorf("by credential: %+v %+v, %v", k, gotP, err)
		}
		if ks, err := r.PasskeysOf(t.Context(), p.ID); err != nil || len(ks) != 1 || !same(ks[0]) {
			t.Errorf("of the person: %+v, %v", ks, err)
		}
		lookup := func(credential, code string) {
			t.Helper()
			if k, p, err := r.PasskeyByCredential(t.Context(), credential); fault.Code(err) != code || k.Credential != "" || !p.ID.IsZero() {
				t.Errorf("%.20q: %+v %+v, %v, want %q", credential, k, p, err, code)
			}
		}
		for _, credential := range []string{"", "AAAA", n.Credential + "=", n.Credential + "\n", "\x00", "\xff"} {
			lookup(credential, "passkey_unknown")
		}
		if _, err := r.suspend(id.Default, p.ID); err != nil {
			t.Fatal(err)
		}
		lookup(n.Credential, "person_suspended")
		if err := r.resume(id.Default, p.ID); err != nil {
			t.Fatal(err)
		}
		n.Person = q.ID
		if _, err := r.addPasskey(n); fault.Code(err) != "key_in_use" {
			t.Errorf("a second person has the passkey: %v", err)
		}
		end := func(person id.User) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.EndPasskey(tx, person, n.Credential) })
		}
		if err := end(q.ID); fault.Code(err) != "not_found" {
			t.Errorf("somebody else ended it: %v", err)
		}
		if err := end(p.ID); err != nil {
			t.Fatal(err)
		}
		lookup(n.Credential, "passkey_ended")
		if err := end(p.ID); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if _, err := r.addPasskey(n); fault.Code(err) != "key_in_use" {
			t.Errorf("an ended passkey came back: %v", err)
		}
		if ks, err := r.PasskeysOf(t.Context(), p.ID); err != nil || len(ks) != 0 {
			t.Error(ks, err)
		}
	})
}

func TestAddPasskeyRefuses(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t))
	p := r.person(t, "Priya", id.Default)
	for name, change := range map[string]func(*people.NewPasskey){
		"no credential":  func(n *people.NewPasskey) { n.Credential = "" },
		"padded":         func(n *people.NewPasskey) { n.Credential = "AA==" },
		"not base64url":  func(n *people.NewPasskey) { n.Credential = "a+b/" },
		"long":           func(n *people.NewPasskey) { n.Credential = jose.EncodeBase64(make([]byte, 1024)) },
		"no key":         func(n *people.NewPasskey) { n.COSE = delegation.CredentialKey{} },
		"no domain":      func(n *people.NewPasskey) { n.RPID = "" },
		"no origin":      func(n *people.NewPasskey) { n.Origin = "" },
		"long domain":    func(n *people.NewPasskey) { n.RPID = strings.Repeat("x", 256) },
		"long origin":    func(n *people.NewPasskey) { n.Origin = strings.Repeat("x", 256) },
		"nobody":         func(n *people.NewPasskey) { n.Person = id.User{} },
		"no such person": func(n *people.NewPasskey) { n.Person = id.New[id.User](r.Now()) },
	} {
		n, want := newPasskey(t, p.ID), "passkey_invalid"
		if change(&n); n.Person != p.ID {
			want = "not_found"
		}
		if _, err := r.addPasskey(n); fault.Code(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// WebAuthn §7.2 step 22: each row is one use after another.
func TestCountersGrow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p := r.person(t, "Priya", id.Default)
		use := func(credential string, signs uint32) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.UsePasskey(tx, credential, signs) })
		}
		counts, never := newPasskey(t, p.ID), newPasskey(t, p.ID)
		for _, n := range []people.NewPasskey{counts, never} {
			if _, err := r.addPasskey(n); err != nil {
				t.Fatal(err)
			}
		}
		for n, c := range []struct {
			credential string
			signs      uint32
			want       string
		}{
			{never.Credential, 0, ""},
			{never.Credential, 0, ""},
			{counts.Credential, 1, ""},
			{counts.Credential, 1, "passkey_cloned"},
			{counts.Credential, 0, "passkey_cloned"},
			{counts.Credential, 1<<32 - 1, ""},
			{counts.Credential, 2, "passkey_cloned"},
			{"AAAA", 1, "passkey_unknown"},
		} {
			if err := use(c.credential, c.signs); fault.Code(err) != c.want {
				t.Errorf("%d: %v, want %q", n, err, c.want)
			}
		}
		codes := audittest.Together(t, []rig{r}, 16, func(rig, int) error { return use(never.Credential, 7) })
		if codes[""] != 1 || codes["passkey_cloned"] != 15 {
			t.Errorf("one counter, 16 times at once: %v", codes)
		}
		r.Pass(time.Minute)
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.EndPasskey(tx, p.ID, never.Credential) }); err != nil {
			t.Fatal(err)
		}
		if err := use(never.Credential, 9); fault.Code(err) != "passkey_ended" {
			t.Error(err)
		}
	})
}
