package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/keyring"
)

func filled(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// TestSealingKeySources: the key comes from a file, the environment or a command, raw or in base64, from one of them and no other.
func TestSealingKeySources(t *testing.T) {
	dir := t.TempDir()
	std := base64.StdEncoding.EncodeToString(filled(0xfb))
	raw, text := file(t, "raw", string(filled(0xfb)), 0o600), file(t, "text", std+"\n", 0o600)
	script := func(name, body string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		cfg  Config
		code string
	}{
		"a file":                          {Config{SealingKey: raw}, ""},
		"a file in base64":                {Config{SealingKey: text}, ""},
		"the environment":                 {Config{sealing: sealingWords{key: std}}, ""},
		"the environment, for URLs":       {Config{sealing: sealingWords{key: base64.RawURLEncoding.EncodeToString(filled(0xfb))}}, ""},
		"a command":                       {Config{SealingCommand: "cat " + raw}, ""},
		"a command in base64":             {Config{SealingCommand: "cat " + text}, ""},
		"none":                            {Config{}, "config_missing"},
		"a file and the environment":      {Config{SealingKey: raw, sealing: sealingWords{key: std}}, "sealing_key"},
		"a file and a command":            {Config{SealingKey: raw, SealingCommand: "cat " + raw}, "sealing_key"},
		"the environment and a command":   {Config{SealingCommand: "cat " + raw, sealing: sealingWords{key: std}}, "sealing_key"},
		"two previous ones":               {Config{SealingKey: raw, SealingPrevious: raw, sealing: sealingWords{previous: std}}, "sealing_key"},
		"a previous one that is none":     {Config{SealingKey: raw, sealing: sealingWords{previous: "x"}}, "sealing_key"},
		"a previous file that is missing": {Config{SealingKey: raw, SealingPrevious: filepath.Join(dir, "none")}, "sealing_key"},
		"a short key":                     {Config{sealing: sealingWords{key: base64.StdEncoding.EncodeToString(filled(1)[:31])}}, "sealing_key"},
		"a key with spare bits":           {Config{sealing: sealingWords{key: std[:42] + "/="}}, "sealing_key"},
		"a key on two lines":              {Config{sealing: sealingWords{key: std[:20] + "\n" + std[20:]}}, "sealing_key"},
		"no such command":                 {Config{SealingCommand: "no-such-command-anywhere"}, "sealing_key"},
		"a command of spaces":             {Config{SealingCommand: "  "}, "sealing_key"},
		"a command that fails":            {Config{SealingCommand: script("fails", "cat "+raw+"; exit 3")}, "sealing_key"},
		"a command that says too much":    {Config{SealingCommand: script("much", "head -c 100000 /dev/zero")}, "sealing_key"},
		"a command that says nothing":     {Config{SealingCommand: "true"}, "sealing_key"},
		"a shell's words":                 {Config{SealingCommand: "echo $(cat " + raw + ")"}, "sealing_key"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := c.cfg
			err := cfg.checkSealing()
			var s *keyring.Sealer
			if err == nil {
				s, err = cfg.sealer(t.Context(), false)
			}
			if fault.Code(err) != c.code || err != nil && fault.Of(err).Remedy == "" {
				t.Fatalf("got %q (%v), want %q", fault.Code(err), err, c.code)
			}
			if err != nil && (strings.Contains(err.Error(), std) || strings.Contains(err.Error(), string(filled(0xfb)))) {
				t.Errorf("the key is in the error: %v", err)
			}
			if want, _ := keyring.NewSealer(filled(0xfb)); err == nil && !bytes.Equal(s.Derive("x"), want.Derive("x")) {
				t.Error("it is another key")
			}
		})
	}
	t.Run("a command that does not end", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := runSealing(ctx, "sleep 60"); fault.Code(err) != "sealing_key" || time.Since(began) > 20*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
	t.Run("it leaves the environment", func(t *testing.T) {
		t.Setenv(sealingVariable, std)
		t.Setenv(previousVariable, std)
		c, all, err := Load(Sources{})
		if err != nil || c.sealing.key != std || c.sealing.previous != std || os.Getenv(sealingVariable)+os.Getenv(previousVariable) != "" {
			t.Errorf("%q, and the environment has %q; %v", c.sealing.key, os.Getenv(sealingVariable), err)
		}
		for _, s := range all {
			if strings.Contains(s.Value, std) || strings.HasPrefix(s.Key, "sealing.") && s.Key != "sealing.command" && (s.Value != "set" || !strings.HasPrefix(s.Origin, "environment ATTORN_SEALING_")) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// vault is a server's data, started again and again with other sealing keys.
type vault struct {
	t     *testing.T
	dsn   string
	files map[byte]string
}

func newVault(t *testing.T, dsn string) *vault {
	v := &vault{t: t, dsn: dsn, files: map[byte]string{}}
	for _, b := range []byte("abc") {
		v.files[b] = file(t, string(b), string(filled(b)), 0o600)
	}
	return v
}

// start starts a server with a sealing key and perhaps the one before it.
func (v *vault) start(key, previous byte) (*Server, error) {
	return Open(v.t.Context(), Config{
		URL: "https://attorn.example.com", Data: filepath.Join(v.t.TempDir(), "d"), DSN: v.dsn, SealingKey: v.files[key], SealingPrevious: v.files[previous], Node: "n",
	})
}

func (v *vault) must(key, previous byte) *Server {
	v.t.Helper()
	s, err := v.start(key, previous)
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

// note records an event with something sealed for somebody.
func note(s *Server, subject string) error {
	d := s.ownAct(id.Default, evidence.DecisionMade, subject)
	d.Details = []evidence.Detail{{Field: "text", Subject: subject, Disclosure: []byte("the words of " + subject)}}
	_, err := s.log.Record(context.Background(), d, nil)
	return err
}

// reads demands that everything that was noted can be read, and that the server signs.
func (v *vault) reads(s *Server, subjects ...string) {
	v.t.Helper()
	for _, subject := range subjects {
		e, err := s.log.Last(v.t.Context(), id.Default, evidence.DecisionMade, subject)
		if err != nil {
			v.t.Fatal(err)
		}
		if got, err := s.log.Detail(v.t.Context(), e, "text"); err != nil || string(got) != "the words of "+subject {
			v.t.Errorf("%s: %q, %v", subject, got, err)
		}
	}
	if _, err := s.guard.Signer(v.t.Context()); err != nil {
		v.t.Error(err)
	}
}

// opens counts the stored values that a key alone opens, and all of them.
func (v *vault) opens(key byte) (n, all int) {
	v.t.Helper()
	s, err := keyring.NewSealer(filled(key))
	if err != nil {
		v.t.Fatal(err)
	}
	r, w, err := db.Open(v.t.Context(), v.dsn)
	if err != nil {
		v.t.Fatal(err)
	}
	defer w.Close()
	for query, place := range map[string]string{`SELECT kid, sealed FROM server_key`: "server_key/", `SELECT subject, wrapped FROM subject_key`: "subject/"} {
		rows, err := r.Rows(v.t.Context(), query)
		if err != nil {
			v.t.Fatal(err)
		}
		for rows.Next() {
			var name string
			var sealed []byte
			if err := rows.Scan(&name, &sealed); err != nil {
				v.t.Fatal(err)
			}
			all++
			if _, err := s.Open(sealed, place+name); err == nil {
				n++
			}
		}
		rows.Close()
	}
	return n, all
}

// TestTheSealingKeyChanges: with the new key and the one before it everything is sealed again, once and recorded; the old one is good for nothing
// afterwards, and the new one alone is enough.
func TestTheSealingKeyChanges(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		v := newVault(t, dsn)
		s := v.must('a', 0)
		for i := range 20 {
			if err := note(s, fmt.Sprintf("usr_%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		for name, wrong := range map[string][2]byte{"the new one alone": {'b', 0}, "with another before it": {'b', 'c'}} {
			if _, err := v.start(wrong[0], wrong[1]); fault.Code(err) != "sealing_key" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n, all := v.opens('a'); n != all || all < 23 {
			t.Fatalf("%d of %d are sealed under the first key", n, all)
		}

		s = v.must('b', 'a')
		v.reads(s, "usr_0", "usr_19")
		if err := note(s, "usr_new"); err != nil {
			t.Error(err)
		}
		s.Close()
		if n, _ := v.opens('a'); n != 0 {
			t.Errorf("%d values open with the old key", n)
		}
		if n, all := v.opens('b'); n != all {
			t.Errorf("%d of %d open with the new key", n, all)
		}
		if _, err := v.start('a', 0); fault.Code(err) != "sealing_key" {
			t.Errorf("the old key: %v", err)
		}
		for _, previous := range []byte{0, 'a', 'c'} { // whatever is named now, it is not needed
			s = v.must('b', previous)
			v.reads(s, "usr_0", "usr_19", "usr_new")
			if found, err := s.log.Search(t.Context(), id.Server, audit.Filter{Target: evidence.UseSealing, Kind: evidence.KeyRetired}); err != nil || len(found) != 1 {
				t.Errorf("%d events of it, %v", len(found), err)
			}
			s.Close()
		}
	})
}

// TestAnInterruptedChange: where sealing again fails on the way, everything is as it was, and the next try does all of it.
func TestAnInterruptedChange(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		v := newVault(t, dsn)
		s := v.must('a', 0)
		for i := range 10 {
			if err := note(s, fmt.Sprintf("usr_%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		swap := func(from, to string) {
			t.Helper()
			_, w, err := db.Open(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			tx, err := w.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), `UPDATE subject_key SET subject = $2 WHERE subject = $1`, from, to); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		swap("usr_7", "usr_x") // it does not open there
		if _, err := v.start('b', 'a'); err == nil {
			t.Fatal("it starts with a value that does not open")
		}
		if n, all := v.opens('a'); n != all-1 {
			t.Errorf("after a change that failed, %d of %d open with the old key", n, all)
		}
		if n, _ := v.opens('b'); n != 0 {
			t.Errorf("and %d with the new one", n)
		}
		swap("usr_x", "usr_7")
		s = v.must('b', 'a')
		v.reads(s, "usr_0", "usr_7", "usr_9")
		s.Close()
		if n, all := v.opens('b'); n != all {
			t.Errorf("%d of %d open with the new key", n, all)
		}
	})
}

// TestNodesAndTheSealingKey: of nodes that start together with both keys one seals again; a node that still runs with the old key seals nothing more.
func TestNodesAndTheSealingKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		if strings.HasPrefix(dsn, "sqlite:") { // one process
			return
		}
		v := newVault(t, dsn)
		old := v.must('a', 0)
		defer old.Close()
		if err := note(old, "usr_0"); err != nil {
			t.Fatal(err)
		}
		nodes, errs := make([]*Server, 4), make([]error, 4)
		var wg sync.WaitGroup
		for i := range nodes {
			wg.Go(func() { nodes[i], errs[i] = v.start('b', 'a') })
		}
		wg.Wait()
		for i, s := range nodes {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			defer s.Close()
			v.reads(s, "usr_0")
		}
		if found, err := nodes[0].log.Search(t.Context(), id.Server, audit.Filter{Target: evidence.UseSealing, Kind: evidence.KeyRetired}); err != nil || len(found) != 1 {
			t.Errorf("%d events of it, %v", len(found), err)
		}
		if err := note(old, "usr_late"); fault.Code(err) != "sealing_key" {
			t.Errorf("a node with the old key seals: %v", err)
		}
		if n, _ := v.opens('a'); n != 0 {
			t.Errorf("%d values open with the old key", n)
		}
	})
}
