package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// account is who the command line acts as at one server: a person or an agent's instance. It holds no secret; the key lies in a file of its own.
type account struct {
	Server    string       `json:"server"`
	Workspace id.Workspace `json:"workspace"`
	User      id.User      `json:"user,omitzero"`
	Agent     id.Agent     `json:"agent,omitzero"`
	Name      string       `json:"name"`
	KeyFile   string       `json:"key_file"`          // relative to the home directory
	Evidence  string       `json:"evidence,omitzero"` // of a workload: "github", or "file:" and the file; of another server's agent "agent:", its own context, and the delegation there
}

// accounts is contexts.json.
type accounts struct {
	Current  string             `json:"current"`
	Contexts map[string]account `json:"contexts"`
}

// home is where contexts and keys are kept: ATTORN_HOME, or the user's configuration directory.
func home() string {
	if h := os.Getenv("ATTORN_HOME"); h != "" {
		return h
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ".attorn-home"
	}
	return filepath.Join(dir, "attorn")
}

func (c *cli) contextsFile() string { return filepath.Join(c.home, "contexts.json") }

func (c *cli) accounts() (accounts, error) {
	all := accounts{Contexts: map[string]account{}}
	raw, err := os.ReadFile(c.contextsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	} else if err != nil {
		return all, err
	}
	if err := json.Unmarshal(raw, &all, json.RejectUnknownMembers(true)); err != nil {
		return all, fault.Wrap(err, fault.Invalid, "contexts_broken", "the file of contexts cannot be read: %s", c.contextsFile()).Try("mend it, or move it away and sign in again")
	}
	if all.Contexts == nil {
		all.Contexts = map[string]account{}
	}
	return all, nil
}

// remember stores an account under a name and makes it the current one.
func (c *cli) remember(name string, a account) error {
	all, err := c.accounts()
	if err != nil {
		return err
	}
	all.Contexts[name], all.Current = a, name
	return c.store(all)
}

// keep stores an account under a name and leaves the current one current.
func (c *cli) keep(name string, a account) error {
	all, err := c.accounts()
	if err != nil {
		return err
	}
	all.Contexts[name] = a
	return c.store(all)
}

func (c *cli) store(all accounts) error {
	raw, err := json.Marshal(all, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.home, 0o700); err != nil {
		return err
	}
	tmp := c.contextsFile() + ".new"
	if err := os.WriteFile(tmp, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, c.contextsFile())
}

// chosen is the name of the context that --context, ATTORN_CONTEXT or the last sign-in names.
func (c *cli) chosen(all accounts) string {
	return cmp.Or(c.context, os.Getenv("ATTORN_CONTEXT"), all.Current)
}

// account is the chosen context's.
func (c *cli) account() (account, error) {
	all, err := c.accounts()
	if err != nil {
		return account{}, err
	}
	name := c.chosen(all)
	a, ok := all.Contexts[name]
	switch {
	case name == "":
		return a, fault.New(fault.Unauthenticated, "not_signed_in", "you are not signed in").Try("attorn login LINK; an agent: attorn agent join --help")
	case !ok:
		return a, fault.New(fault.NotFound, "no_context", "there is no context %q", name).Try("attorn ctx ls")
	case c.ws == "":
		return a, nil
	case a.User.IsZero():
		return a, usageError{fmt.Errorf("an agent acts in its own workspace, %s: --workspace is for people", a.Workspace)}
	}
	if a.Workspace, err = id.ParseWorkspace(c.ws); err != nil {
		return a, usageError{err}
	}
	return a, nil
}

// free refuses a name that cannot be a context's, or that another account has.
func (c *cli) free(name string) error {
	if !contextName.MatchString(name) {
		return usageError{fmt.Errorf("%q cannot be a context's name: it takes 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit", name)}
	}
	all, err := c.accounts()
	if err != nil {
		return err
	}
	if a, taken := all.Contexts[name]; taken {
		return fault.New(fault.Conflict, "context_exists", "there is a context %q already: %s at %s", name, a.Name, a.Server).Try("name the new one: --as NAME")
	}
	return nil
}

// contextName is also a file's name.
var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
