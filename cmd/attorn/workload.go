package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/fault"
)

// Where an account's platform has its assertions, as contexts.json keeps it.
const (
	evidenceFile   = "file:"
	evidenceGitHub = "github"
)

// evidence is the account's; nil where its key was enrolled otherwise.
func (a account) evidence() attorn.Evidence {
	if file, ok := strings.CutPrefix(a.Evidence, evidenceFile); ok {
		return attorn.EvidenceFile(file)
	}
	if a.Evidence == evidenceGitHub {
		return attorn.GitHubEvidence(nil)
	}
	return nil
}

// joinByWorkload becomes an instance by what the platform says, and renews that whenever it is used.
func (c *cli) joinByWorkload(ctx context.Context, server, tokenFile, as string, by joinFlags) error {
	if server == "" || tokenFile != "" || by.name != "" {
		return usageError{fmt.Errorf("attorn agent join --workload takes --server URL, and neither --token nor --name")}
	}
	as = cmp.Or(as, "agent")
	if err := c.free(as); err != nil {
		return err
	}
	ws, err := workspaceOf(by.workspace)
	if err != nil {
		return err
	}
	a := account{Server: server, KeyFile: filepath.Join("keys", as+".jwk"), Evidence: evidenceGitHub}
	if by.assertion != "" {
		file, err := filepath.Abs(by.assertion)
		if err != nil {
			return err
		}
		a.Evidence = evidenceFile + file
	} else if !attorn.OnGitHub() {
		a.Evidence = evidenceFile + attorn.KubernetesTokenFile
	}
	got, err := attorn.Open(ctx, attorn.AgentConfig{Server: server, Workspace: ws, KeyFile: filepath.Join(c.home, a.KeyFile), Evidence: a.evidence()})
	if fault.Code(err) == "invalid_grant" { // not even a platform's token: taken for what a person's client shows, and answered so
		return fault.Wrap(err, fault.Denied, "untrusted_issuer", "the assertion is not trusted here").
			Try("look whether it is the platform's token: attorn agent trust test FILE, as an administrator, says what is wrong with it")
	}
	if err != nil {
		return err
	}
	a.Workspace, a.Agent, a.Name = got.Workspace(), got.ID(), got.Name()
	if err := c.remember(as, a); err != nil {
		return err
	}
	return c.showJoined(a, got)
}

// showJoined says what the key is now.
func (c *cli) showJoined(a account, got *attorn.Agent) error {
	return c.show(a, got.Instance().String(), func(w io.Writer) {
		row(w, "joined as", a.Name+" ("+a.Agent.String()+")")
		row(w, "instance", got.Instance().String())
		row(w, "key in", filepath.Join(c.home, a.KeyFile))
	})
}
