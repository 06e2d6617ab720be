//go:build unix

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgres is a running server that this process started and alone stops.
type postgres struct {
	version  string
	port     int
	password string
	dir      string // holds the cluster, the socket, the log
	process  *os.Process
	ended    chan struct{} // closed when the process has ended
}

// start makes a cluster and a server on it, and returns when the server takes connections. On an error or an interrupt nothing is left.
func start(interrupts <-chan os.Signal) (*postgres, error) {
	found, err := findBinaries(places(os.Getenv("PATH")))
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "attorn-pg-")
	if err != nil {
		return nil, fmt.Errorf("no temporary directory for PostgreSQL: %w", err)
	}
	p := &postgres{version: found.version, dir: dir, password: rand.Text()}
	if err := p.initialise(found, owner); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// A port that is free now may be taken a moment later: try another one then.
	for try := 0; ; try++ {
		err = p.launch(found, owner)
		if err == nil {
			err = p.wait(interrupts)
		}
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, errPortTaken) || try == 4 {
			return nil, errors.Join(err, p.stop())
		}
	}
}

// unprivileged is whom the server runs as: PostgreSQL refuses root, so root lends it to the system's own user for it, or to nobody.
// nil is who we are.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and the system has neither a user postgres nor a user nobody. Try: run as another user")
}

// program is one of PostgreSQL's programs, run as owner in the cluster's directory, in a group of its own and with nothing of our environment.
func (p *postgres) program(b binaries, owner *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(b.dir, name), args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + b.dir + ":/usr/bin:/bin", "HOME=" + p.dir, "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = dieWithParent(&syscall.SysProcAttr{Setpgid: true, Credential: owner}, syscall.SIGQUIT)
	return cmd
}

func (p *postgres) initialise(b binaries, owner *syscall.Credential) error {
	secret := filepath.Join(p.dir, "password")
	if err := os.WriteFile(secret, []byte(p.password+"\n"), 0o600); err != nil {
		return err
	}
	if owner != nil {
		for _, path := range []string{p.dir, secret} {
			if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
				return err
			}
		}
	}
	// A password, in the clear because only on loopback, keeps the other users of this machine out; hashing it would cost each connection.
	cmd := p.program(b, owner, "initdb", "--pgdata="+p.cluster(), "--username=attorn", "--pwfile="+secret,
		"--auth-host=password", "--auth-local=password", "--encoding=UTF8", "--locale=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb failed: %w\n%s", err, bytes.TrimSpace(out))
	}
	return os.Remove(secret)
}

func (p *postgres) cluster() string { return filepath.Join(p.dir, "data") }
func (p *postgres) log() string     { return filepath.Join(p.dir, "log") }

func (p *postgres) url() string {
	return fmt.Sprintf("postgres://attorn:%s@127.0.0.1:%d/postgres?sslmode=disable", p.password, p.port)
}

func (p *postgres) launch(b binaries, owner *syscall.Credential) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("no free port on loopback: %w", err)
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	out, err := os.Create(p.log())
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := p.program(b, owner, "postgres", "-D", p.cluster(), "-p", strconv.Itoa(p.port), "-k", p.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start PostgreSQL: %w", err)
	}
	p.process, p.ended = cmd.Process, make(chan struct{})
	go func() {
		cmd.Wait() // how it ended stands in its log
		close(p.ended)
	}()
	return nil
}

var errPortTaken = errors.New("the port was taken by somebody else")

// wait returns when the server says in its own pid file that it takes connections, as pg_ctl does.
func (p *postgres) wait(interrupts <-chan os.Signal) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(60 * time.Second)
	for {
		select {
		case <-tick.C:
			file, _ := os.ReadFile(filepath.Join(p.cluster(), "postmaster.pid"))
			if lines := strings.Split(string(file), "\n"); len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready" {
				return nil
			}
		case <-p.ended:
			log, _ := os.ReadFile(p.log())
			if bytes.Contains(log, []byte("Address already in use")) {
				return errPortTaken
			}
			return fmt.Errorf("PostgreSQL did not start; it said:\n%s", tail(log))
		case <-late:
			log, _ := os.ReadFile(p.log())
			return fmt.Errorf("PostgreSQL was not ready after 60 s; it said:\n%s", tail(log))
		case s := <-interrupts:
			return fmt.Errorf("stopped by a signal while PostgreSQL started: %v", s)
		}
	}
}

func tail(log []byte) []byte {
	log = bytes.TrimSpace(log)
	return log[max(0, len(log)-4000):]
}

// stop ends the server by its own process id, gently and then not, and removes its directory.
func (p *postgres) stop() error {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if p.process == nil {
			break
		}
		p.process.Signal(s) // an error says that it has ended, which the channel tells too
		select {
		case <-p.ended:
			p.process = nil
		case <-time.After(grace):
		}
	}
	if p.process != nil {
		return fmt.Errorf("PostgreSQL, process %d, did not end; its directory %s stays", p.process.Pid, p.dir)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("PostgreSQL is stopped, but its directory stays: %w", err)
	}
	return nil
}
