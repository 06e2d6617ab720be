package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

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
	KeyFile   string       `json:"key_file"` // relative to the home directory
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

// account is the one that --context, ATTORN_CONTEXT or the current one names.
func (c *cli) account() (account, error) {
	all, err := c.accounts()
	if err != nil {
		return account{}, err
	}
	name := c.context
	if name == "" {
		name = os.Getenv("ATTORN_CONTEXT")
	}
	if name == "" {
		name = all.Current
	}
	a, ok := all.Contexts[name]
	switch {
	case name == "":
		return a, fault.New(fault.Unauthenticated, "not_signed_in", "you are not signed in").Try("attorn login LINK, or attorn agent join TOKEN")
	case !ok:
		return a, usageError{fmt.Errorf("there is no context %q; there are %v", name, slices.Sorted(maps.Keys(all.Contexts)))}
	}
	return a, nil
}
