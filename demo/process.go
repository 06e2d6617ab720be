package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// start starts the server with no configuration, as its user would: on port 7070, or, for a story that only ends, on a free one.
func (s *story) start(once bool) error {
	args := []string{"dev", "--data", filepath.Join(s.dir, "attorn")}
	if once {
		port, err := freePort()
		if err != nil {
			return err
		}
		args = append(args, "--listen", fmt.Sprintf("localhost:%d", port))
	}
	s.server = exec.Command(s.bin, args...)
	s.server.Env = append(os.Environ(), "ATTORN_HOME="+filepath.Join(s.dir, "nobody"))
	s.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of ours is not the server's: it is stopped by us
	var talk bytes.Buffer
	s.server.Stderr = &talk
	out, err := s.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.server.Start(); err != nil {
		return err
	}
	lines := make(chan string)
	go func() {
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
		close(lines)
	}()
	patience := time.After(30 * time.Second)
	for s.link == "" {
		select {
		case line, ok := <-lines:
			if !ok {
				s.server.Wait()
				return fmt.Errorf("the server did not start: %s", strings.TrimSpace(talk.String()))
			}
			for word := range strings.FieldsSeq(line) {
				if strings.Contains(word, "/signin/link#") {
					s.link = word
				}
			}
		case <-patience:
			return errors.New("the server is not ready after 30 s")
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	go func() {
		for range lines { // the server must never block on us
		}
	}()
	s.url, _, _ = strings.Cut(s.link, "/signin/link#")
	return nil
}

// stop ends the server, and with it the MCP server that it runs.
func (s *story) stop() {
	if s.server == nil || s.server.Process == nil {
		return
	}
	s.server.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { s.server.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		syscall.Kill(-s.server.Process.Pid, syscall.SIGKILL)
		<-ended
	}
}

// result is what a process of the story said.
type result struct {
	code      int
	out, talk string
}

// run is one command of somebody's, in a process of their own with a home of their own: they share nothing but the server.
func (s *story) run(who string, args ...string) result {
	return s.runWith(nil, who, args...)
}

func (s *story) runWith(in io.Reader, who string, args ...string) result {
	cmd := exec.CommandContext(s.ctx, s.bin, args...)
	cmd.Env = append(os.Environ(), "ATTORN_HOME="+s.home(who))
	cmd.Stdin = in
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		code, talk = -1, *bytes.NewBufferString(err.Error())
	}
	return result{code, strings.TrimSpace(out.String()), strings.TrimSpace(talk.String())}
}

// begin is run in the background.
func (s *story) begin(who string, args ...string) <-chan result {
	done := make(chan result, 1)
	go func() { done <- s.run(who, args...) }()
	return done
}

func (s *story) home(who string) string { return filepath.Join(s.dir, "home", who) }

// read decodes what a command printed with -o json.
func (r result) read(v any) error {
	if r.code != 0 {
		return fmt.Errorf("exit %d: %s", r.code, r.talk)
	}
	return json.Unmarshal([]byte(r.out), v)
}

// first is the first line that a command said, its reason when it was refused.
func (r result) first() string {
	text := r.talk
	if text == "" {
		text = r.out
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}
