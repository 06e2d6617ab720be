//go:build unix

package main

import (
	"bufio"
	"bytes"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is pgtest itself when it is told so, so that whole processes can be tried.
func TestMain(m *testing.M) {
	if os.Getenv("PGTEST_IS_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// pgtest prepares a run without a server given and with a temporary directory of its own, which it returns too.
func pgtest(t *testing.T, args ...string) (cmd *exec.Cmd, tmp string) {
	t.Helper()
	// Not t.TempDir: the server's own user has to reach it, and a socket's path is short.
	tmp, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	if err := os.Chmod(tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self, args...)
	cmd.Env = append(os.Environ(), variable+"=", "PGTEST_IS_MAIN=1", "TMPDIR="+tmp)
	return cmd, tmp
}

// gone fails the test unless nothing answers at the URL any more and, where it should be, the directory is empty.
func gone(t *testing.T, server string, tmp string) {
	t.Helper()
	u, err := url.Parse(strings.TrimSpace(server))
	if err != nil || u.Port() == "" {
		t.Fatalf("not a server's URL: %q", server)
	}
	deadline := time.Now().Add(15 * time.Second)
	for {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server is still there")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); tmp != "" && len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestTheCommandGetsAServerThatEndsWithIt(t *testing.T) {
	cmd, tmp := pgtest(t, "--", "sh", "-c", `echo "$ATTORN_TEST_POSTGRES"; exit 7`)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Fatalf("exit code %d, want the command's 7\n%s", code, said.String())
	}
	gone(t, string(out), tmp)
	if lines := strings.Count(said.String(), "\n"); lines != 2 {
		t.Errorf("want one line at the start and one at the end:\n%s", said.String())
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"the command's own", []string{"--", "sh", "-c", "exit 3"}, 3},
		{"a signal", []string{"--", "sh", "-c", "kill -9 $$"}, 137},
		{"no such command", []string{"--", "/nonexistent"}, exitNotStarted},
		{"nothing to run", nil, exitFailed},
	} {
		cmd, _ := pgtest(t, c.args...)
		cmd.Env = append(cmd.Env, variable+"=postgres://given")
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.want {
			t.Errorf("%s: exit code %d, want %d\n%s", c.name, got, c.want, out)
		}
	}
}

func TestAGivenServerIsUsed(t *testing.T) {
	cmd, tmp := pgtest(t, "--", "sh", "-c", `echo "$ATTORN_TEST_POSTGRES"; ls -A "$TMPDIR"`)
	cmd.Env = append(cmd.Env, variable+"=postgres://given")
	out, err := cmd.Output()
	if err != nil || string(out) != "postgres://given\n" {
		t.Errorf("the command saw %q in %s, %v", out, tmp, err)
	}
}

// However pgtest is ended, the server ends: by an interrupt in good order, and when pgtest is killed because the kernel sees to it.
func TestASignalLeavesNoServer(t *testing.T) {
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !orphans {
		signals = append(signals, syscall.SIGKILL)
	}
	for _, s := range signals {
		cmd, tmp := pgtest(t, "--", "sh", "-c", `echo "$ATTORN_TEST_POSTGRES"; exec sleep 300`)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		server, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(s)
		cmd.Wait()
		if s == syscall.SIGKILL {
			tmp = "" // nobody is left to remove it
		} else if code := cmd.ProcessState.ExitCode(); code != 128+int(s) {
			t.Errorf("%v: exit code %d, want %d", s, code, 128+int(s))
		}
		gone(t, server, tmp)
	}
}

func TestTheNewestServerIsFound(t *testing.T) {
	install := func(version string) string {
		dir := t.TempDir()
		for _, name := range []string{"postgres", "initdb"} {
			script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	client := t.TempDir() // psql alone is no server
	if err := os.WriteFile(filepath.Join(client, "psql"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	old, older, new := install("14.9"), install("9.6.24"), install("18rc1 (Debian 18~rc1-1)")
	linked := t.TempDir()
	if err := os.Symlink(filepath.Join(install("17.2"), "postgres"), filepath.Join(linked, "postgres")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dirs []string
		want string // a version, or a part of the error
	}{
		{[]string{old, new, client}, "18rc1"},
		{[]string{new, linked}, "18rc1"},
		{[]string{linked}, "17.2"},
		{[]string{older, old}, "14.9 in " + old + " is too old"},
		{[]string{client, "/nonexistent"}, "no PostgreSQL server is installed"},
		{nil, "no PostgreSQL server is installed"},
	} {
		got, err := findBinaries(c.dirs)
		if err == nil && got.version != c.want {
			t.Errorf("found %q, want %q", got.version, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("refused with %q, want %q", err, c.want)
		}
	}
}
