package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a condition is waited for: long, since machines are busy, and only ever spent by a test that fails.
const patience = 60 * time.Second

// waitFor looks until ok, or gives up.
func waitFor(ok func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}

// said is what a running process has written so far.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// process is a command that runs beside the test, in a group of its own.
type process struct {
	cmd       *exec.Cmd
	out, talk said
	ended     chan struct{}
}

func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.talk
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { cmd.Wait(); close(p.ended) }()
	return p, nil
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// says waits until the process has written text on its standard output, and gives the rest of that line.
func (p *process) says(text string) (string, error) {
	found := func() bool {
		_, rest, ok := strings.Cut(p.out.String(), text)
		return ok && strings.Contains(rest, "\n")
	}
	if !waitFor(func() bool { return found() || p.hasEnded() }) || !found() {
		return "", fmt.Errorf("%q was not said; out: %s\ntalk: %s", text, p.out.String(), p.talk.String())
	}
	_, rest, _ := strings.Cut(p.out.String(), text)
	line, _, _ := strings.Cut(rest, "\n")
	return line, nil
}

// stop ends the process as its user would, and reports how it went: it ends in time, with 0, and leaves nothing running that names dir.
func (p *process) stop(sig syscall.Signal, dir string) error {
	p.cmd.Process.Signal(sig)
	if !waitFor(p.hasEnded) {
		p.kill()
		return fmt.Errorf("%v did not end it; it said: %s", sig, p.talk.String())
	}
	if code := p.cmd.ProcessState.ExitCode(); sig != syscall.SIGKILL && code != 0 {
		return fmt.Errorf("it ended with %d, and said: %s", code, p.talk.String())
	}
	var left string
	if !waitFor(func() bool { left = naming(dir); return left == "" }) {
		return fmt.Errorf("it left running: %s", left)
	}
	return nil
}

func (p *process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// naming is a process whose command line names dir: the MCP servers of these tests do, by the folder that they serve.
func naming(dir string) string {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		all, _ := exec.Command("ps", "-axo", "args").Output()
		for line := range strings.Lines(string(all)) {
			if strings.Contains(line, dir) {
				return line
			}
		}
		return ""
	}
	for _, name := range lines {
		if raw, err := os.ReadFile(name); err == nil && bytes.Contains(raw, []byte(dir)) { // one that has ended since names nothing
			return string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
		}
	}
	return ""
}

// freePort is a port that nobody has now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// filesystemServer is the MCP server that the stories use.
func filesystemServer() (string, error) {
	file, err := filepath.Abs("../../demo/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("the MCP server is not installed (%w); run: npm --prefix demo ci --no-audit --no-fund", err)
	}
	return file, nil
}
