//go:build unix

// Command pgtest runs a command beside a PostgreSQL of its own:
//
//	pgtest -- go test ./...
//
// Where ATTORN_TEST_POSTGRES names a server already, the command just runs. Otherwise pgtest makes a database cluster in a temporary
// directory, starts it on a free loopback port with fsync on, puts its URL into ATTORN_TEST_POSTGRES for the command, and stops it and
// removes the directory when the command has ended, however it ended. The exit code is the command's, 125 when pgtest itself failed, 127
// when the command could not be started. `pgtest -find` only says which PostgreSQL would be started, and fails where there is none.
//
// The command runs in a process group of its own without a standard input: an interrupt reaches all of it, and nothing waits for a terminal.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// The variable that names a PostgreSQL to test against, for the tests and for pgtest itself.
const variable = "ATTORN_TEST_POSTGRES"

const (
	exitFailed     = 125 // pgtest could not do its part
	exitNotStarted = 127 // the command could not be started
	grace          = 10 * time.Second
)

func main() {
	// The kernel ends our children when the thread that started them ends (see dieWithParent): that thread has to be the one that lives longest.
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	say := func(format string, a ...any) { fmt.Fprintf(stderr, "pgtest: "+format+"\n", a...) }
	if len(args) == 1 && args[0] == "-find" {
		return find(stdout, say)
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		say("nothing to run. Try: pgtest -- go test ./...")
		return exitFailed
	}

	// From here on an interrupt is ours to answer: what was started has to be stopped.
	interrupts := make(chan os.Signal, 4)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	if os.Getenv(variable) != "" {
		say("%s is set: using that PostgreSQL", variable)
		return command(args, os.Environ(), stdout, stderr, interrupts)
	}
	begin := time.Now()
	server, err := start(interrupts)
	if err != nil {
		say("%v", err)
		return exitFailed
	}
	say("PostgreSQL %s on port %d, its own and with fsync on, ready in %.1f s", server.version, server.port, time.Since(begin).Seconds())
	code := command(args, append(os.Environ(), variable+"="+server.url()), stdout, stderr, interrupts)
	if err := server.stop(); err != nil {
		say("%v", err)
		if code == 0 {
			code = exitFailed
		}
		return code
	}
	say("PostgreSQL stopped and its directory removed; %s ended with exit code %d after %.0f s", args[0], code, time.Since(begin).Seconds())
	return code
}

func find(stdout io.Writer, say func(string, ...any)) int {
	if os.Getenv(variable) != "" {
		fmt.Fprintf(stdout, "the server that %s names\n", variable)
		return 0
	}
	found, err := findBinaries(places(os.Getenv("PATH")))
	if err != nil {
		say("%v", err)
		return 1
	}
	fmt.Fprintf(stdout, "PostgreSQL %s in %s\n", found.version, found.dir)
	return 0
}

// command runs args to its end and returns its exit code, 128 + N when signal N ended it. Interrupts go on to its whole process group; what
// has not ended ten seconds after one is killed.
func command(args, env []string, stdout, stderr io.Writer, interrupts <-chan os.Signal) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, stdout, stderr
	cmd.SysProcAttr = dieWithParent(&syscall.SysProcAttr{Setpgid: true}, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(stderr, "pgtest: cannot start %s: %v\n", args[0], err)
		return exitNotStarted
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var kill <-chan time.Time
	for {
		select {
		case err := <-ended:
			return exitCode(err, cmd.ProcessState)
		case s := <-interrupts:
			syscall.Kill(-cmd.Process.Pid, s.(syscall.Signal))
			if kill == nil {
				kill = time.After(grace)
			}
		case <-kill:
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}
}

func exitCode(err error, state *os.ProcessState) int {
	if state == nil {
		return exitFailed
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return exitFailed // it ended well, but its output could not be passed on
	}
	return state.ExitCode()
}
