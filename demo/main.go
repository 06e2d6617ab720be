// Command demo tells attorn's story against a real MCP server: real processes, real HTTP, nothing staged. Each step says what was expected and
// what happened; the last line counts them, and the exit code says whether all were as expected.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	once := flag.Bool("once", false, "end with the story, instead of keeping the server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := play(ctx, *once)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if err != nil || !ok {
		stop()
		os.Exit(1)
	}
}

// play tells the whole story and reports whether every step was as expected.
func play(ctx context.Context, once bool) (bool, error) {
	bin, err := filepath.Abs("bin/attorn")
	if err != nil {
		return false, err
	}
	module, err := filepath.Abs("demo")
	if err != nil {
		return false, err
	}
	files := filepath.Join(module, "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js")
	for _, need := range []string{bin, files} {
		if _, err := os.Stat(need); err != nil {
			return false, fmt.Errorf("%s is missing; `make demo` builds and installs what the story needs", need)
		}
	}
	dir, err := os.MkdirTemp("", "attorn-demo-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	s := &story{ctx: ctx, bin: bin, dir: dir, policy: filepath.Join(module, "policy"), files: files, scratch: filepath.Join(dir, "scratch")}
	for _, d := range []string{"staging", "production"} {
		if err := os.MkdirAll(filepath.Join(s.scratch, d), 0o755); err != nil {
			return false, err
		}
	}
	defer s.stop()
	if err := s.start(once); err != nil {
		return false, err
	}
	err = s.tell()
	if ctx.Err() != nil {
		return false, errors.New("interrupted")
	}
	if err != nil {
		return false, err
	}
	fmt.Printf("\ndemo: %d steps, %d as expected\n", s.steps, s.expected)
	if ok := s.steps == s.expected; !ok || once {
		return ok, nil
	}
	return true, s.keep()
}
