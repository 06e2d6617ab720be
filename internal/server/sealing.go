package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/keyring"
)

// A command that yields the sealing key has this long, and this many bytes.
const (
	sealingPatience = 15 * time.Second
	sealingOutput   = 4 << 10
)

// The variables that hold a sealing key itself. The keys' other variables, with _FILE, name files.
const (
	sealingVariable  = "ATTORN_SEALING_KEY"
	previousVariable = "ATTORN_SEALING_PREVIOUS"
)

// sealingWords are sealing keys as the environment had them.
type sealingWords struct{ key, previous string }

// takeSealing takes the sealing keys out of the environment, so that no child of this process has them.
func (l *loading) takeSealing(c *Config) {
	for name, into := range map[string]*string{sealingVariable: &c.sealing.key, previousVariable: &c.sealing.previous} {
		if *into = os.Getenv(name); *into != "" {
			os.Unsetenv(name)
			l.origin["sealing."+map[bool]string{true: "key", false: "previous"}[name == sealingVariable]] = "environment " + name
		}
	}
}

// checkSealing demands one source of the sealing key, and at most one of the previous one.
func (c *Config) checkSealing() error {
	count := func(sources ...string) (n int) {
		for _, s := range sources {
			if s != "" {
				n++
			}
		}
		return n
	}
	switch n := count(c.SealingKey, c.SealingCommand, c.sealing.key); {
	case n == 0:
		return missing("sealing.key", "there is no sealing key").
			Try("make one with: head -c 32 /dev/urandom > sealing.key, keep it apart from the data, and start with --sealing.key sealing.key")
	case n > 1:
		return fault.New(fault.Invalid, "sealing_key", "the sealing key is given in more than one way: a file, %s or a command", sealingVariable).
			Try("give one of them; a key from before is the previous one: --sealing.previous")
	case count(c.SealingPrevious, c.sealing.previous) > 1:
		return fault.New(fault.Invalid, "sealing_key", "the previous sealing key is given as a file and in %s", previousVariable).Try("give one of them")
	}
	return nil
}

// apart refuses a sealing key that lies with the data.
func (c *Config) apart() error {
	if c.SealingKey == "" {
		return nil
	}
	key, err := filepath.Abs(c.SealingKey)
	if err != nil {
		return err
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	if inside, err := filepath.Rel(data, key); err == nil && filepath.IsLocal(inside) {
		return fault.New(fault.Invalid, "sealing_key", "the sealing key is inside the data directory: whoever gets a copy of one has the other").
			Try("keep it apart, as in: --sealing.key /etc/attorn/sealing.key")
	}
	return nil
}

// sealer reads the sealing key, and the one before it where that is given. dry runs no command.
func (c *Config) sealer(ctx context.Context, dry bool) (*keyring.Sealer, error) {
	var raw []byte
	var err error
	switch {
	case c.sealing.key != "":
		raw, err = parseSealing([]byte(c.sealing.key), sealingVariable)
	case c.SealingCommand != "" && dry:
		_, err = findCommand(c.SealingCommand)
		return nil, err
	case c.SealingCommand != "":
		raw, err = runSealing(ctx, c.SealingCommand)
	default:
		raw, err = readSealing(c.SealingKey)
	}
	if err != nil {
		return nil, err
	}
	s, err := keyring.NewSealer(raw)
	if err != nil || c.SealingPrevious == "" && c.sealing.previous == "" {
		return s, err
	}
	if c.sealing.previous != "" {
		raw, err = parseSealing([]byte(c.sealing.previous), previousVariable)
	} else {
		raw, err = readSealing(c.SealingPrevious)
	}
	if err != nil {
		return nil, err
	}
	old, err := keyring.NewSealer(raw)
	if err != nil {
		return nil, err
	}
	s.After(old)
	return s, nil
}

// parseSealing reads a key: 32 bytes as they are, or in base64 with or without a line's end.
func parseSealing(raw []byte, from string) ([]byte, error) {
	if len(raw) == 32 {
		return raw, nil
	}
	text := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(string(raw), "\r\n")), "=")
	key, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) != 32 || strings.ContainsAny(text, "\r\n") {
		return nil, fault.New(fault.Invalid, "sealing_key", "%s holds no sealing key: 32 bytes, as they are or in base64", from).
			Try("make one with: head -c 32 /dev/urandom | base64")
	}
	return key, nil
}

// readSealing refuses a key that others can read.
func readSealing(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "sealing_key", "the sealing key cannot be read: %s", file).Try("check the path and the owner of the file")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "sealing_key", "others can read the sealing key %s", file).Try("chmod 600 %s", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "sealing_key", "the sealing key cannot be read: %s", file).Try("check the path and the owner of the file")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, sealingOutput))
	if err != nil {
		return nil, err
	}
	return parseSealing(raw, file)
}

// findCommand takes a command apart at its spaces, for no shell reads it, and finds its program.
func findCommand(line string) (words []string, err error) {
	if words = strings.Fields(line); len(words) == 0 {
		return nil, sealingFailed(errors.New("there is no command"))
	}
	if words[0], err = exec.LookPath(words[0]); err != nil {
		return nil, sealingFailed(err)
	}
	return words, nil
}

// runSealing has a command yield the key on its standard output, in bounded time and length. What it says elsewhere goes nowhere: it could be the key.
func runSealing(ctx context.Context, line string) ([]byte, error) {
	words, err := findCommand(line)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, sealingPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.WaitDelay = time.Second
	out := &bounded{left: sealingOutput}
	cmd.Stdout = out
	if err := cmd.Run(); ctx.Err() != nil {
		return nil, sealingFailed(fmt.Errorf("it did not end within %s", sealingPatience))
	} else if err != nil {
		return nil, sealingFailed(err)
	}
	return parseSealing(out.Bytes(), "what the command of sealing.command writes")
}

func sealingFailed(err error) error {
	return fault.Wrap(err, fault.Invalid, "sealing_key", "the command that yields the sealing key failed: %v", err).
		Try("run it as the server's user; it is taken apart at spaces and needs no shell, and writes the key and nothing else to its standard output")
}

// bounded is a buffer that takes so much and then fails.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("it writes over %d bytes", sealingOutput)
	}
	return b.Buffer.Write(p)
}

// reseal seals everything again where the sealing key is a new one: all of it, in one transaction, or nothing.
func (s *Server) reseal(ctx context.Context, given bool) error {
	if !s.ring.Stale() {
		if given {
			s.cfg.Logger.Warn("everything is sealed under the sealing key: the previous one is needed no more", "key", "sealing.previous")
		}
		return nil
	}
	d := s.ownAct(id.Server, evidence.KeyRetired, evidence.UseSealing)
	d.Everywhere = true // while it lasts nobody seals anything
	d.What = &evidence.What{Use: evidence.UseSealing, Status: evidence.KeyReplaced}
	_, err := s.log.Record(ctx, d, func(tx *audit.Tx) error {
		if _, err := s.ring.Reseal(tx); err != nil {
			return err
		}
		_, err := s.log.ResealSubjects(tx)
		return err
	})
	if fault.Code(err) == "resealed" {
		err = nil
	}
	if err == nil {
		s.ring.Forget()
	}
	return err
}
