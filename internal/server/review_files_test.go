package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
)

// TestWhatOthersCanReadIsRefused: a data directory or database that is open to others holds no secrets (evidence.md §10).
func TestWhatOthersCanReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{URL: "https://attorn.example.com", Data: filepath.Join(dir, "d"), SealingKey: filepath.Join(dir, "sealing.key"), Node: "n"}
	if err := os.WriteFile(cfg.SealingKey, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() error {
		s, err := Open(t.Context(), cfg)
		if err == nil {
			s.Close()
		}
		return err
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	for path, closed := range map[string]os.FileMode{cfg.Data: 0o700, filepath.Join(cfg.Data, "attorn.db"): 0o600, cfg.SealingKey: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != closed {
			t.Errorf("%s was made %v, %v", path, info.Mode(), err)
		}
		if err := os.Chmod(path, closed|0o044); err != nil {
			t.Fatal(err)
		}
		if err := start(); fault.Code(err) != "storage_open" && fault.Code(err) != "sealing_key" {
			t.Errorf("%s is open to others: %v", path, err)
		}
		if err := os.Chmod(path, closed); err != nil {
			t.Fatal(err)
		}
	}
	if err := start(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
