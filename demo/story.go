package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// story is one telling: who has which process, and what was as expected.
type story struct {
	ctx                            context.Context
	bin, dir, policy, files        string
	scratch, url, link             string
	server                         *exec.Cmd
	steps, expected                int
	deployer, root, leaf, approval string // identifiers met on the way
	production                     string // the event of the write that was approved
}

// step prints what is tried and what came of it. want is what must be in what was said; an empty want expects success.
func (s *story) step(title string, r result, wantCode int, want string) bool {
	s.steps++
	ok := r.code == wantCode && strings.Contains(r.out+"\n"+r.talk, want)
	fmt.Printf("%3d  %s\n", s.steps, title)
	mark := "ok   "
	if wantCode != 0 {
		mark = "as it should, refused:"
	}
	if !ok {
		mark = fmt.Sprintf("NOT AS EXPECTED (exit %d, wanted %d and %q):", r.code, wantCode, want)
	} else {
		s.expected++
	}
	said := r.first()
	if wantCode == 0 {
		said, _, _ = strings.Cut(r.out, "\n")
	}
	fmt.Printf("     %s %s\n", mark, strings.Join(strings.Fields(said), " "))
	return ok
}

// must is for what the rest of the story stands on.
func (s *story) must(title string, r result) error {
	if s.step(title, r, 0, "") {
		return nil
	}
	return fmt.Errorf("step %d failed, and the rest stands on it: %s", s.steps, r.talk)
}

func (s *story) chapter(title string) { fmt.Printf("\n%s\n", title) }

func (s *story) tell() error {
	fmt.Printf("attorn %s, data in %s; the people's keys are files here, each in a home of its own\n", s.url, s.dir)
	for _, part := range []func() error{s.people, s.lending, s.calls, s.cheats, s.revocation, s.proof} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) people() error {
	s.chapter("People, agents, a tool server")
	if err := s.must("Priya Nair signs in with the one-time link; her key is made on her side", s.run("priya", "login", s.link, "--name", "Priya Nair")); err != nil {
		return err
	}
	invited := s.run("priya", "user", "invite", "Maya Chen")
	if invited.code != 0 {
		return fmt.Errorf("invite Maya: %s", invited.talk)
	}
	if err := s.must("Maya Chen, whom Priya invited, signs in", s.run("maya", "login", invited.out)); err != nil {
		return err
	}
	if err := s.must("Maya becomes a release manager", s.run("priya", "role", "bind", "Maya Chen", "release-manager", "--reason", "she releases")); err != nil {
		return err
	}
	if err := s.must("Priya publishes policy: production needs a release manager", s.run("priya", "policy", "publish", s.policy)); err != nil {
		return err
	}
	if err := s.must("Priya puts the filesystem MCP server behind the gateway", s.run("priya", "mcp", "add", "files", "--", "node", s.files, s.scratch)); err != nil {
		return err
	}
	for _, name := range []string{"release-bot", "deployer"} {
		var a struct {
			ID string `json:"id"`
		}
		if err := s.run("priya", "agent", "create", name, "-o", "json").read(&a); err != nil {
			return err
		}
		if name == "deployer" {
			s.deployer = a.ID
		}
		token := s.run("priya", "agent", "enrol", name)
		if token.code != 0 {
			return fmt.Errorf("enrol %s: %s", name, token.talk)
		}
		joined := s.runWith(strings.NewReader(token.out), name, "agent", "join", "--server", s.url, "--token", "-", "--as", name)
		if err := s.must(name+" is registered, and joins with a key that it made itself", joined); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) lending() error {
	s.chapter("Lending, narrower at each hop")
	lent := s.run("priya", "lend", "release-bot", "--ttl", "2h", "--depth", "1", "--purpose", "Release 4.81", "-o", "id",
		"-p", "tool:files:read_text_file", "-p", "tool:files:list_directory", "-p", "tool:files:search_files",
		"-p", "tool:files:write_file{path^=staging/}", "-p", "tool:files:write_file{path^=production/}")
	if err := s.must("Priya lends release-bot reading everywhere, writing under staging/ and production/, for two hours", lent); err != nil {
		return err
	}
	s.root = lent.out
	lent = s.run("release-bot", "lend", "deployer", "--ttl", "1h", "--uses", "10", "--task", "REL-481",
		"-o", "id", "-p", "tool:files:write_file{path^=staging/}", "-p", "tool:files:write_file{path^=production/}")
	s.leaf = lent.out
	return s.must("release-bot lends deployer only writing, only there, one task, ten uses", lent)
}

// write is deployer's call of the tool, through the gateway, with the official MCP SDK.
func write(path, content string) []string {
	return []string{"mcp", "call", "files", "write_file", "path=" + path, "content=" + content}
}

func (s *story) calls() error {
	s.chapter("Calls of a real tool")
	if err := s.must("deployer writes to staging/", s.run("deployer", write("staging/app.yaml", "version: 4.81")...)); err != nil {
		return err
	}
	waiting := s.begin("deployer", write("production/app.yaml", "version: 4.81")...)
	var err error
	if s.approval, err = s.pending(waiting); err != nil {
		return err
	}
	s.step("deployer writes to production/: policy asks for a release manager, and the call waits", s.run("maya", "approval", "show", s.approval), 0, "pending")
	if err := s.must("Maya looks at exactly what would run, and approves it", s.run("maya", "approve", s.approval)); err != nil {
		return err
	}
	if err := s.must("the call that waited runs", <-waiting); err != nil {
		return err
	}
	started, err := s.started()
	if err != nil {
		return err
	}
	text, _ := os.ReadFile(filepath.Join(s.scratch, "production/app.yaml"))
	ran := result{out: fmt.Sprintf("%d calls started in all, production/app.yaml says %q", len(started), text)}
	s.production = started[0]
	s.step("it ran once", ran, 0, `2 calls started in all, production/app.yaml says "version: 4.81"`)
	return nil
}

// pending waits until a call of deployer's waits for people.
func (s *story) pending(call <-chan result) (string, error) {
	for range 100 {
		var list struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		if err := s.run("maya", "approval", "ls", "-o", "json").read(&list); err != nil {
			return "", err
		}
		if len(list.Items) > 0 {
			return list.Items[0].ID, nil
		}
		select {
		case r := <-call:
			return "", fmt.Errorf("the call did not wait: exit %d, %s %s", r.code, r.out, r.talk)
		case <-s.ctx.Done():
			return "", s.ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return "", errors.New("no approval was asked for")
}

// started lists the events of calls that were permitted, newest first.
func (s *story) started() ([]string, error) {
	var list struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	err := s.run("priya", "audit", "tail", "--kind", "tool.started", "-n", "200", "-o", "json").read(&list)
	var ids []string
	for _, e := range list.Items {
		ids = append(ids, e.ID)
	}
	if err == nil && len(ids) == 0 {
		err = errors.New("no call has started")
	}
	return ids, err
}

func (s *story) revocation() error {
	s.chapter("Revocation")
	_, held, err := s.session(nil) // with a token that was issued before
	if err != nil {
		return err
	}
	defer held.Close()
	if err := s.must("Priya revokes what she lent: it ends with all that descends from it", s.run("priya", "revoke", s.root, "--reason", "the release is out")); err != nil {
		return err
	}
	deployers := s.run("deployer", "delegation", "ls")
	s.step("deployer's delegation ended with it", deployers, 0, "revoked")
	s.step("deployer calls with the token that it still holds", writeStaging(s.ctx, held), exitDenied, "delegation_revoked")
	s.step("deployer asks for a new token", s.run("deployer", append(write("staging/app.yaml", "x"), "--under", s.leaf)...), exitDenied, "delegation_ended")
	s.step("release-bot lends again", s.run("release-bot", "lend", "deployer", "-p", "tool:files:write_file{path^=staging/}", "--under", s.root), exitDenied, "delegation_revoked")
	return nil
}

func (s *story) proof() error {
	s.chapter("The answer, and its proof")
	why := s.run("priya", "why", s.production)
	fmt.Println(indent(why.out))
	s.step("attorn why: who wrote to production/, under whose authority, and should it have been allowed", why, 0, "AUTHORISED-THEN       yes")
	pack, trust := filepath.Join(s.dir, "pack.zip"), filepath.Join(s.dir, "trust.policy")
	if r := s.run("auditor-before", "version"); r.code != 0 {
		return errors.New(r.talk)
	}
	policy := s.run("priya", "audit", "trust")
	if err := os.WriteFile(trust, []byte(policy.out+"\n"), 0o600); err != nil {
		return err
	}
	if err := s.must("Priya writes the evidence to a file", s.run("priya", "audit", "pack", s.production, "-f", pack)); err != nil {
		return err
	}
	s.step("an auditor without any account verifies it offline, with one public key", s.run("auditor", "verify", pack, "--trust", trust), 0, "AUTHENTIC             yes")
	raw, err := os.ReadFile(pack)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(pack, raw, 0o600); err != nil {
		return err
	}
	s.step("one bit of one byte is flipped", s.run("auditor", "verify", pack, "--trust", trust), exitUnverified, "FAIL")
	return nil
}

// The exit codes of the command line that the story meets.
const (
	exitDenied     = 3
	exitNoSignIn   = 5
	exitUnverified = 7
)

func indent(s string) string { return "     " + strings.ReplaceAll(s, "\n", "\n     ") }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// keep leaves the server running until it is interrupted.
func (s *story) keep() error {
	link := s.run("priya", "user", "link", "me")
	if link.code != 0 {
		return errors.New(link.talk)
	}
	fmt.Printf("\nThe server stays at %s until you press Ctrl-C. As Priya, once, within 15 minutes:\n  %s\n", s.url, link.out)
	<-s.ctx.Done()
	return nil
}
