package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestTutorial does what docs/tutorial/quickstart.md says, in its order, and holds what is seen to what it shows. What a page's reader does not see
// is in the words after the language of a code block:
//
//	sh               run in terminal 2, to its end; each command must succeed
//	sh refused       the last command must fail
//	sh until         run again until it shows what the page shows
//	sh terminal=N    begun in terminal N, where it goes on
//	text             what the block before it shows; text terminal=N: what the last block of terminal N has come to show
//	bash             not run: it prepares a checkout, which the test has; its make targets must exist
//
// In what is shown, identifiers, times and digests are masked, runs of spaces count as one, … stands for anything, and a line of it for any lines.
// The port is the one that is free.
func TestTutorial(t *testing.T) {
	const file = "../../docs/tutorial/quickstart.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filesystemServer(); err != nil {
		t.Fatal(err)
	}
	r := reader{dir: t.TempDir(), port: port, terminals: map[string]*terminal{}}
	defer r.kill()
	ran := 0
	for _, b := range blocks(string(page)) {
		if err := r.follow(b); err != nil {
			t.Fatalf("%s:%d: %v", strings.TrimPrefix(file, "../../"), b.line, err)
		}
		if b.is("sh") {
			ran++
		}
	}
	if ran == 0 {
		t.Error("the page has no commands")
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

// block is a fenced block of the page, or one of its remarks, which are no text of the page.
type block struct {
	line int
	info []string
	body string
}

func (b block) is(word string) bool {
	for _, w := range b.info {
		if w == word {
			return true
		}
	}
	return false
}

// terminal is the block's; "" is the one where a block runs to its end.
func (b block) terminal() string {
	for _, w := range b.info {
		if n, ok := strings.CutPrefix(w, "terminal="); ok {
			return n
		}
	}
	return ""
}

var interrupts = regexp.MustCompile(`^<!-- Ctrl-C in terminal (\d+) -->$`)

func blocks(page string) []block {
	var all []block
	var open *block
	n := 0
	for line := range strings.Lines(page) {
		n++
		fence, isFence := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch m := interrupts.FindStringSubmatch(strings.TrimSpace(line)); {
		case isFence && open == nil:
			open = &block{line: n, info: strings.Fields(fence)}
		case isFence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.body += line
		case m != nil:
			all = append(all, block{line: n, info: []string{"interrupt", "terminal=" + m[1]}})
		}
	}
	return all
}

// reader follows the page in a folder of their own.
type reader struct {
	dir, port string
	terminals map[string]*terminal
	last      *block // that ran in the terminal without a number
	shown     string // by it
}

// terminal is a shell; from is where in what it has written its last block begins.
type terminal struct {
	*process
	in   io.WriteCloser
	from int
}

func (r *reader) follow(b block) error {
	switch {
	case b.is("bash"):
		return targets(b.body)
	case b.is("sh") && b.terminal() != "":
		r.last = nil
		_, err := r.send(b.terminal(), b)
		return err
	case b.is("sh"):
		r.last = &b
		return r.run(b)
	case b.is("text") && b.terminal() != "":
		t, ok := r.terminals[b.terminal()]
		if !ok {
			return fmt.Errorf("nothing ran in terminal %s", b.terminal())
		}
		var err error
		if waitFor(func() bool { err = r.shows(b.body, endOf(t.out.String()[t.from:])); return err == nil }) {
			return nil
		}
		return err
	case b.is("text") && r.last == nil:
		return errors.New("what it shows belongs to no commands")
	case b.is("text"):
		return r.see(b)
	case b.is("interrupt"):
		t := r.terminals[b.terminal()]
		syscall.Kill(-t.cmd.Process.Pid, syscall.SIGINT)
		if !waitFor(t.hasEnded) || naming(r.dir) != "" && !waitFor(func() bool { return naming(r.dir) == "" }) {
			return fmt.Errorf("Ctrl-C does not end what runs in terminal %s, or leaves %s", b.terminal(), naming(r.dir))
		}
		delete(r.terminals, b.terminal())
	default:
		return fmt.Errorf("a block is sh, text or bash, not %q", strings.Join(b.info, " "))
	}
	return nil
}

// see compares what the last block showed; one that is run until it shows this is run again.
func (r *reader) see(b block) error {
	err := r.shows(b.body, r.shown)
	if err != nil && r.last.is("until") {
		waitFor(func() bool {
			if err = r.run(*r.last); err == nil {
				err = r.shows(b.body, r.shown)
			}
			return err == nil
		})
	}
	return err
}

const ended = "\n--- this block ended with "

// endOf is what was written before a block's end, if that has come.
func endOf(out string) string {
	before, _, _ := strings.Cut(out, ended)
	return before
}

// send gives a block to a terminal, opening that first.
func (r *reader) send(number string, b block) (*terminal, error) {
	t, ok := r.terminals[number]
	if !ok {
		repo, err := filepath.Abs("../..")
		if err != nil {
			return nil, err
		}
		cmd := exec.Command("bash")
		cmd.Dir = r.dir
		cmd.Env = append(os.Environ(), "REPO="+repo, "HOME="+r.dir, "ATTORN_CONTEXT=")
		t = &terminal{}
		if t.in, err = cmd.StdinPipe(); err != nil {
			return nil, err
		}
		if t.process, err = start(cmd); err != nil {
			return nil, err
		}
		r.terminals[number] = t
		fmt.Fprintln(t.in, "exec 2>&1; set -o pipefail")
	}
	script := filepath.Join(r.dir, ".block-"+strconv.Itoa(b.line))
	// Each command must succeed, as one that a reader has typed must, or the block ends there.
	body := "set -e\n" + b.body
	if b.is("refused") {
		body = b.body
	}
	if err := os.WriteFile(script, []byte(strings.ReplaceAll(body, "localhost:7070", "localhost:"+r.port)), 0o600); err != nil {
		return nil, err
	}
	t.from = len(t.out.String())
	_, err := fmt.Fprintf(t.in, ". %s </dev/null; printf '%s%%d\\n' $?; set +e\n", script, strings.ReplaceAll(ended, "\n", `\n`))
	return t, err
}

// run runs a block to its end.
func (r *reader) run(b block) error {
	t, err := r.send("", b)
	if err != nil {
		return err
	}
	done := func() bool { return strings.Contains(t.out.String()[t.from:], ended) }
	if !waitFor(func() bool { return done() || t.hasEnded() }) {
		return fmt.Errorf("it does not end; so far:\n%s", t.out.String()[t.from:])
	}
	shown, rest, _ := strings.Cut(t.out.String()[t.from:], ended)
	code := strings.TrimSpace(rest)
	if r.shown = shown; b.is("refused") != (code != "0") || code == "" {
		return fmt.Errorf("it ends with %q:\n%s", code, shown)
	}
	return nil
}

// close ends the terminals: what was begun in them must have gone well.
func (r *reader) close() (err error) {
	for n, t := range r.terminals {
		t.in.Close()
		if !waitFor(t.hasEnded) {
			t.kill()
			err = errors.Join(err, fmt.Errorf("terminal %s does not end: %s", n, t.out.String()))
		}
		for _, part := range strings.Split(t.out.String(), ended)[1:] {
			if code, _, _ := strings.Cut(part, "\n"); n != "" && code != "0" {
				err = errors.Join(err, fmt.Errorf("a block of terminal %s ended with %s: %s", n, code, t.out.String()))
			}
		}
	}
	r.terminals = map[string]*terminal{}
	return err
}

// kill ends what a reader who gave up has left.
func (r *reader) kill() {
	for _, t := range r.terminals {
		t.kill()
	}
}

var spaces = regexp.MustCompile(`[ \t]+`)

// shows compares what was seen with what the page shows.
func (r *reader) shows(want, got string) error {
	plain := func(s string) string {
		return strings.TrimSpace(spaces.ReplaceAllString(masked(s), " "))
	}
	var pattern strings.Builder
	for i, line := range strings.Split(plain(want), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "…":
			pattern.WriteString(`(\n.*)*`)
			continue
		case i > 0:
			pattern.WriteString(`\n ?`)
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	if regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(plain(got)) {
		return nil
	}
	return fmt.Errorf("the page shows\n%s\nand this is seen:\n%s", want, got)
}

// targets holds the make targets of a block to the Makefile.
func targets(body string) error {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		return err
	}
	for line := range strings.Lines(body) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "make" {
			continue
		}
		for _, target := range words[1:] {
			if !strings.Contains("\n"+string(makefile), "\n"+target+":") {
				return fmt.Errorf("the Makefile has no %s", target)
			}
		}
	}
	return nil
}
