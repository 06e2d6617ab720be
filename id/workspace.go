package id

import (
	"database/sql/driver"
	"errors"
	"regexp"
)

// Workspace names a tenant inside one server: a lower-case letter or digit, then up to 39 letters, digits and hyphens. The zero value is none.
type Workspace struct{ s string }

// The two workspaces that every server has from its first start: Default is everybody's, Server holds what belongs to no tenant.
var (
	Default = Workspace{"default"}
	Server  = Workspace{"server"}
)

var workspaceForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ParseWorkspace checks the form of a workspace's name, not that it exists.
func ParseWorkspace(s string) (Workspace, error) {
	if !workspaceForm.MatchString(s) {
		return Workspace{}, errors.New("not the name of a workspace: letters a-z, digits and hyphens, at most 40")
	}
	return Workspace{s}, nil
}

func (w Workspace) String() string { return w.s }

// IsZero reports whether w names no workspace.
func (w Workspace) IsZero() bool { return w.s == "" }

// MarshalText implements encoding.TextMarshaler.
func (w Workspace) MarshalText() ([]byte, error) { return []byte(w.s), nil }

// AppendText implements encoding.TextAppender.
func (w Workspace) AppendText(to []byte) ([]byte, error) { return append(to, w.s...), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it accepts what ParseWorkspace accepts.
func (w *Workspace) UnmarshalText(b []byte) error {
	v, err := ParseWorkspace(string(b))
	if err == nil {
		*w = v
	}
	return err
}

// Value implements driver.Valuer.
func (w Workspace) Value() (driver.Value, error) {
	if w.IsZero() {
		return nil, nil
	}
	return w.s, nil
}

// Scan implements sql.Scanner.
func (w *Workspace) Scan(src any) error {
	s, null, err := scanText(src)
	if err != nil || null {
		*w = Workspace{}
		return err
	}
	return w.UnmarshalText([]byte(s))
}
