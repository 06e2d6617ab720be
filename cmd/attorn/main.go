// Command attorn is the whole product: the server, and the command line of the people and agents that use it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(Main())
}

// Main runs the command with the process's arguments and returns its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// run is Main without the process: data goes to out, talk to talk.
func run(ctx context.Context, args []string, in io.Reader, out, talk io.Writer) int {
	c := &cli{in: in, out: out, talk: talk, home: home()}
	root := c.root()
	root.SetArgs(markDashed(root, args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(talk)
	cmd, err := root.ExecuteContextC(ctx)
	return c.exit(cmd.CommandPath(), err)
}
