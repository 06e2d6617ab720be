package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// script is a client in JavaScript. It prints "ok CHECK" and "not ok CHECK: REASON".
func script(name, how string) func(context.Context, *rig) []check {
	return func(ctx context.Context, r *rig) (all []check) {
		ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, r.node(), filepath.Join(r.clients, name))
		cmd.Env = append(os.Environ(), "HOW="+how, "ISSUER="+r.url, "RESOURCE="+r.resource, "DOCS="+r.docs, "REDIRECT="+redirect, "DIR="+r.dir)
		var talk bytes.Buffer
		cmd.Stderr = &talk
		out, err := cmd.Output()
		for line := range strings.Lines(string(out)) {
			line = strings.TrimSpace(line)
			if what, ok := strings.CutPrefix(line, "ok "); ok {
				all = append(all, check{what, nil})
			} else if what, ok := strings.CutPrefix(line, "not ok "); ok {
				what, reason, _ := strings.Cut(what, ": ")
				all = append(all, check{what, errors.New(reason)})
			}
		}
		if err != nil {
			all = append(all, check{"comes to its end", fmt.Errorf("%w: %s", err, bytes.TrimSpace(talk.Bytes()))})
		}
		return all
	}
}

// node is Node.js 22, which the conformance suite needs: the one that is installed with the clients, or else the machine's.
func (r *rig) node() string {
	found, err := filepath.Glob(filepath.Join(r.clients, "node_modules/node-*/bin/node"))
	if err != nil || len(found) == 0 {
		return "node"
	}
	return found[0]
}

func (r *rig) conformance(ctx context.Context, out string, args ...string) *exec.Cmd {
	suite := filepath.Join(r.clients, "node_modules/@modelcontextprotocol/conformance/dist/index.js")
	return exec.CommandContext(ctx, r.node(), append([]string{suite}, append(args, "-o", filepath.Join(r.dir, out))...)...)
}

// conformanceServer runs the suite's scenarios for authorization servers on ours.
func conformanceServer(ctx context.Context, r *rig) []check {
	address, err := free()
	if err != nil {
		return []check{{"runs", err}}
	}
	port := address[strings.LastIndexByte(address, ':')+1:]
	cmd := r.conformance(ctx, "authorization", "authorization", "--url", r.url, "--client-id", r.docs+"/app/conformance", "--resource", r.resource, "-p", port)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return []check{{"runs", err}}
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if at := strings.TrimSpace(lines.Text()); strings.HasPrefix(at, r.url+"/oauth/authorize?") {
			back, err := r.browser.decide(ctx, at, true)
			if err == nil {
				err = visit(ctx, back)
			}
			if err != nil {
				cmd.Process.Kill()
				cmd.Wait()
				return []check{{"the browser", err}}
			}
		}
	}
	err = cmd.Wait()
	return verdicts(filepath.Join(r.dir, "authorization"), err)
}

// visit opens an address, which may not be listened on yet.
func visit(ctx context.Context, address string) error {
	for try := 1; ; try++ {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(q)
		if err == nil {
			return res.Body.Close()
		}
		if try == 50 || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// conformanceClient runs the suite's scenarios for clients that are authorized, on the Go SDK's own client for it. attorn itself is no client of other people's
// authorization servers but to sign people in; what this says is whether the client that the lines above are about is one to go by.
func conformanceClient(ctx context.Context, r *rig) []check {
	cmd := r.conformance(ctx, "client", "client", "--command", r.suite, "--suite", "auth")
	cmd.Run() // what failed is in the files
	return verdicts(filepath.Join(r.dir, "client"), nil)
}

// verdicts reads what the suite wrote: a folder for each scenario, with its checks.
func verdicts(dir string, failed error) (all []check) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "checks.json" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var checks []struct {
			ID      string `json:"id"`
			Status  string `json:"status"`
			Message string `json:"errorMessage"`
		}
		if err := json.Unmarshal(raw, &checks); err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, filepath.Dir(path))
		for _, c := range checks {
			name := stamp.ReplaceAllString(filepath.ToSlash(rel), "") + "/" + c.ID
			switch c.Status {
			case "SUCCESS":
				all = append(all, check{name, nil})
			case "FAILURE", "WARNING", "SKIPPED":
				all = append(all, check{name, fmt.Errorf("%s %s", c.Status, c.Message)})
			}
		}
		return nil
	})
	if err != nil {
		all = append(all, check{"its files", err})
	}
	if failed != nil && len(all) == 0 {
		all = append(all, check{"runs", failed})
	}
	return all
}

// stamp is the time in the name of a scenario's folder.
var stamp = regexp.MustCompile(`-\d{4}-\d{2}-\d{2}T[\d-]+Z?`)
