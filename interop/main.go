// Command interop runs OAuth and MCP clients that other people wrote against a running attorn: the real binary, on a fresh directory, on this machine alone. It prints
// one line a client, and fails where a check failed that known.go gives no reason for.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// check is one thing that a client did, and what went wrong with it.
type check struct {
	name string
	err  error
}

// client is somebody's client.
type client struct {
	name string
	run  func(context.Context, *rig) []check
}

var clients = []client{
	{"go-sdk, registers itself", goSDKRegisters},
	{"go-sdk, metadata document", goSDKDocument},
	{"typescript-sdk 1, registers itself", script("typescript-sdk.mjs", "register")},
	{"typescript-sdk 1, metadata document", script("typescript-sdk.mjs", "document")},
	{"typescript-sdk 2, registers itself", script("typescript-client.mjs", "register")},
	{"typescript-sdk 2, metadata document", script("typescript-client.mjs", "document")},
	{"typescript-sdk 2, DPoP, Ed25519", script("typescript-client.mjs", "document:EdDSA")},
	{"typescript-sdk 2, DPoP, ES256", script("typescript-client.mjs", "document:ES256")},
	{"oauth4webapi", script("oauth4webapi.mjs", "")},
	{"openid-client", script("openid-client.mjs", "")},
	{"conformance, authorization server", conformanceServer},
	{"conformance, go-sdk as client", conformanceClient},
}

func main() {
	bin := flag.String("attorn", "bin/attorn", "the binary")
	dir := flag.String("dir", "interop", "where the clients are installed")
	suite := flag.String("suite-client", "bin/everything-client", "the Go SDK's own client for the conformance suite")
	only := flag.String("only", "", "clients whose name has this alone")
	loud := flag.Bool("v", false, "print every check")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	if err := run(ctx, *bin, *dir, *suite, *only, *loud); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, dir, suite, only string, loud bool) error {
	for _, path := range []*string{&bin, &dir, &suite} {
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	r, err := start(ctx, bin, dir, suite)
	if err != nil {
		return err
	}
	defer r.stop()
	bad := 0
	for _, c := range clients {
		if strings.Contains(c.name, only) {
			bad += report(c.name, c.run(ctx, r), loud)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d checks failed for no known reason", bad)
	}
	return ctx.Err()
}

// report prints a client's line, and what failed, and returns how many failed for no known reason.
func report(name string, checks []check, loud bool) (bad int) {
	passed, failed := 0, 0
	for _, c := range checks {
		if c.err == nil {
			passed++
		} else {
			failed++
		}
	}
	if len(checks) == 0 {
		checks, failed = []check{{"runs", fmt.Errorf("it checked nothing")}}, 1
	}
	fmt.Printf("%-36s  passed %3d  failed %2d\n", name, passed, failed)
	for _, c := range checks {
		reason := known[name+": "+c.name]
		switch {
		case c.err == nil && reason != "":
			fmt.Printf("    %s: passes, and is known to fail: %s\n", c.name, reason)
			bad++
		case c.err == nil && loud:
			fmt.Printf("    %s: ok\n", c.name)
		case c.err == nil:
		case reason != "":
			fmt.Printf("    %s: fails, as is known: %s\n", c.name, reason)
		default:
			fmt.Printf("    %s: %v\n", c.name, c.err)
			bad++
		}
	}
	return bad
}
