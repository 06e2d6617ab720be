package keyring_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/keyring"
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func sealer(t *testing.T, fill byte) *keyring.Sealer {
	t.Helper()
	s, err := keyring.NewSealer(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedOpensOnlyInItsPlaceUnderItsKey(t *testing.T) {
	s := sealer(t, 1)
	sealed := s.Seal([]byte("words"), "here")
	if bytes.Contains(sealed, []byte("words")) {
		t.Fatal("it is not sealed")
	}
	if got, err := s.Open(sealed, "here"); err != nil || string(got) != "words" {
		t.Fatalf("%q, %v", got, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, try := range map[string]func() ([]byte, error){
		"elsewhere":   func() ([]byte, error) { return s.Open(sealed, "there") },
		"another key": func() ([]byte, error) { return sealer(t, 2).Open(sealed, "here") },
		"changed":     func() ([]byte, error) { return s.Open(changed, "here") },
		"cut":         func() ([]byte, error) { return s.Open(sealed[:10], "here") },
		"nothing":     func() ([]byte, error) { return s.Open(nil, "here") },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s: opened as %q", name, got)
		}
	}
	if _, err := keyring.NewSealer(make([]byte, 16)); fault.Code(err) != "sealing_key" {
		t.Errorf("a short key: %v", err)
	}
	if bytes.Equal(s.Derive("a"), s.Derive("b")) || bytes.Equal(s.Derive("a"), sealer(t, 2).Derive("a")) {
		t.Error("derived keys are not apart")
	}
}

func TestSubjectsHaveKeysOfTheirOwn(t *testing.T) {
	s := sealer(t, 1)
	maya, wrapped := s.NewSubjectKey("usr_maya")
	sealed := maya.Seal([]byte("words"), "here")
	again, err := s.UnwrapSubjectKey("usr_maya", wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(sealed, "here"); err != nil || string(got) != "words" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := s.UnwrapSubjectKey("usr_priya", wrapped); err == nil {
		t.Error("one subject's key opens as another's")
	}
	priya, _ := s.NewSubjectKey("usr_priya")
	if _, err := priya.Open(sealed, "here"); err == nil {
		t.Error("another subject's key opens the value")
	}
}

// TestTheRingKeepsItsKeysSealed: a key signs again after a restart under the same sealing key, does not open under another, and is nowhere in the clear.
func TestTheRingKeepsItsKeysSealed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := audittest.Open(t, dsn, start)
		made, err := add(r, start)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := add(r, start.Add(time.Hour)); fault.Code(err) != "key_exists" { // another process was faster
			t.Errorf("a second key for the same purpose: %v", err)
		}
		if k, err := r.Ring.Current(t.Context(), keyring.ForTokens); err != nil || k.Kid != made.Kid {
			t.Errorf("the current key is %v, %v", k, err)
		}
		again, err := keyring.Open(t.Context(), r.Reader, r.Ring.Sealer())
		if err != nil {
			t.Fatal(err)
		}
		k, err := again.Find(t.Context(), made.Kid)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := k.Signer().Sign([]byte("m"))
		if err != nil || made.Public.Verify([]byte("m"), sig) != nil {
			t.Errorf("the key does not sign as before: %v", err)
		}
		if all, err := again.All(t.Context(), keyring.ForTokens); err != nil || len(all) != 1 || all[0].Kid != made.Kid {
			t.Errorf("%d keys", len(all))
		}
		if _, err := keyring.Open(t.Context(), r.Reader, sealer(t, 9)); fault.Code(err) != "sealing_key" {
			t.Errorf("another sealing key: %v", err)
		}
		if _, err := again.Find(t.Context(), id.KeyOf(id.Sum([]byte("none")))); fault.Code(err) != "key_unknown" {
			t.Errorf("a key that is nobody's: %v", err)
		}
	})
}

func add(r *audittest.Rig, at time.Time) (*keyring.Key, error) {
	k, err := r.Ring.Make(keyring.ForTokens, at)
	if err != nil {
		return nil, err
	}
	if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.Ring.Store(tx, k) }); err != nil {
		return nil, err
	}
	r.Ring.Add(k)
	return k, nil
}
