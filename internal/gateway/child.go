package gateway

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Steps of stopping a child: its input is closed, then SIGTERM, then SIGKILL.
const (
	waitClosed     = 2 * time.Second
	waitTerminated = 3 * time.Second
)

// childConfig is how a child is run. Nothing of the server's own environment reaches it.
type childConfig struct {
	Command []string
	Env     map[string]string // declared variables; their values are masked in what is logged
	Path    string            // PATH
	Lang    string            // LANG
	Dir     string            // private: holds HOME and TMPDIR
	Log     *slog.Logger
	Clock   Clock
}

// child is a running process that speaks on its standard streams. All of its group ends with it.
type child struct {
	clock  Clock
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	stderr *ring

	write sync.Mutex
	ended chan struct{} // closed when the process has been reaped
	once  sync.Once
}

// start runs the command in a process group of its own.
func start(c childConfig) (*child, error) {
	home, tmp := filepath.Join(c.Dir, "home"), filepath.Join(c.Dir, "tmp")
	if err := errors.Join(os.MkdirAll(home, 0o700), os.MkdirAll(tmp, 0o700)); err != nil {
		return nil, err
	}
	if len(c.Command) == 0 {
		return nil, errors.New("no command")
	}
	path, err := lookPath(c.Command[0], c.Path)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: c.Command, Dir: home}
	cmd.Env = []string{"PATH=" + c.Path, "LANG=" + c.Lang, "HOME=" + home, "TMPDIR=" + tmp}
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	ownGroup(cmd)
	ch := &child{clock: c.Clock, cmd: cmd, ended: make(chan struct{}), stderr: newRing(c)}
	var theirs [3]*os.File
	defer func() {
		for _, f := range theirs {
			if f != nil {
				f.Close()
			}
		}
	}()
	var errs [3]error
	var errOut *os.File
	theirs[0], ch.stdin, errs[0] = os.Pipe()
	ch.stdout, theirs[1], errs[1] = os.Pipe()
	errOut, theirs[2], errs[2] = os.Pipe()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		ch.stdin.Close()
		ch.stdout.Close()
		errOut.Close()
		return nil, err
	}
	go ch.stderr.read(errOut)
	go func() {
		_ = cmd.Wait() // how it ended shows in what the calls in flight get
		kill(cmd.Process)
		close(ch.ended)
		// The pipes' other ends are closed now, unless something left the group; then reading stops all the same.
		c.Clock.AfterFunc(time.Second, func() { ch.stdout.Close(); errOut.Close() })
	}()
	return ch, nil
}

// lookPath finds the program of a command in the PATH that the child will have.
func lookPath(name, path string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		return name, nil
	}
	for dir := range strings.SplitSeq(path, string(os.PathListSeparator)) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && filepath.IsAbs(dir) && !info.IsDir() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", errors.New("program not found in PATH")
}

// send writes one line. A child that does not read within ten seconds is not alive.
func (c *child) send(line []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	select {
	case <-c.ended:
		return errGone
	default:
	}
	stuck := c.clock.AfterFunc(10*time.Second, func() { c.stdin.Close() })
	defer stuck.Stop()
	_, err := c.stdin.Write(append(oneLine(line), '\n'))
	return err
}

// stop ends the child, politely first, and returns when it is gone.
func (c *child) stop() {
	c.once.Do(func() { c.stdin.Close() })
	if c.wait(waitClosed) {
		return
	}
	terminate(c.cmd.Process)
	if c.wait(waitTerminated) {
		return
	}
	kill(c.cmd.Process)
	<-c.ended
}

func (c *child) wait(d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	select {
	case <-c.ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// ring keeps the last of what a child wrote to its standard error, and passes lines on to the log, some at a time.
type ring struct {
	log    *slog.Logger
	clock  Clock
	masked []string

	mu   sync.Mutex
	kept []byte
}

const (
	ringSize = 256 << 10
	maxLines = 100 // a second that are logged
)

func newRing(c childConfig) *ring {
	r := &ring{log: c.Log, clock: c.Clock}
	for _, value := range c.Env {
		if len(value) >= 4 {
			r.masked = append(r.masked, value, "***")
		}
	}
	return r
}

// read takes lines until the stream ends; a line is cut at 4 KiB.
func (r *ring) read(f *os.File) {
	defer f.Close()
	mask := strings.NewReplacer(r.masked...)
	in := bufio.NewReaderSize(f, 4<<10)
	lines, second := 0, int64(0)
	for {
		part, err := in.ReadSlice('\n')
		if len(part) > 0 {
			line := mask.Replace(strings.ToValidUTF8(string(part), "?"))
			r.keep(line)
			if now := r.clock.Now().Unix(); now != second {
				lines, second = 0, now
			}
			if lines++; lines <= maxLines {
				r.log.LogAttrs(context.Background(), slog.LevelDebug, "upstream", slog.String("stderr", strings.TrimRight(line, "\r\n")))
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			return // the child ended, or its pipe was closed for it
		}
	}
}

func (r *ring) keep(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, line...)
	if over := len(r.kept) - ringSize; over > 0 {
		r.kept = append(r.kept[:0], r.kept[over:]...)
	}
}

// tail is the last of it, for people.
func (r *ring) tail(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.ToValidUTF8(string(r.kept[max(0, len(r.kept)-n):]), "?")
}
