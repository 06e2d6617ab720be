package catalog

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// Server is an MCP server behind the gateway.
type Server struct {
	Workspace    id.Workspace
	Name         string
	Transport    string            // "http" or "stdio"
	URL          string            // of "http"
	Command      []string          // of "stdio": program and arguments, no secret among them
	Env          map[string]string // of "stdio": declared variables
	AllowPrivate bool              // of "http": loopback and private addresses may be reached
	Environment  string            // where it runs, as scopes of roles name it: "prod"; "" is nowhere in particular
	Era          string            // "modern", "legacy" or "both": which revisions it answered
	Status       string            // "active" or "removed"
	SuspendedAt  time.Time         // zero: its tools may be called
	CreatedAt    time.Time
}

// Within are the entities that the server belongs to in policy's eyes: its workspace and its environment.
func (s Server) Within() []policy.UID {
	in := []policy.UID{{Type: "Workspace", ID: s.Workspace.String()}}
	if s.Environment != "" {
		in = append(in, policy.UID{Type: "Environment", ID: s.Environment})
	}
	return in
}

// Eras, as Server.Era has them.
const (
	Modern = "modern" // 2026-07-28
	Legacy = "legacy" // 2025-11-25
	Both   = "both"
)

// Speaks reports whether the server answered in that era.
func (s Server) Speaks(era string) bool { return s.Era == era || s.Era == Both }

var serverName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ValidName reports whether a server may be called so; "attorn" is the product's own.
func ValidName(name string) bool { return serverName.MatchString(name) && name != "attorn" }

// Check holds a server to the closed rules of its form. Code: server_invalid.
func (s Server) Check() error {
	bad := func(reason string) error { return fault.New(fault.Invalid, "server_invalid", "%s", reason) }
	if !ValidName(s.Name) {
		return bad("a server's name is a-z, 0-9 and hyphens, at most 40, and not attorn")
	}
	if s.Environment != "" && !serverName.MatchString(s.Environment) {
		return bad("an environment's name is a-z, 0-9 and hyphens, at most 40")
	}
	switch s.Transport {
	case "http":
		u, err := url.Parse(s.URL)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.Fragment != "" || len(s.URL) > 2<<10 {
			return bad("the server's URL must be an http or https URL without user name and fragment")
		}
		if u.Scheme == "http" && !s.AllowPrivate {
			return bad("a server outside private networks is reached over https")
		}
		if len(s.Command) > 0 || len(s.Env) > 0 {
			return bad("a server that is reached by URL has no command and no environment")
		}
	case "stdio":
		if s.URL != "" || len(s.Command) == 0 || len(s.Command) > 64 || s.Command[0] == "" {
			return bad("a stdio server has a command of 1 to 64 words, and no URL")
		}
		for _, word := range s.Command {
			if len(word) > 4<<10 || strings.ContainsRune(word, 0) {
				return bad("a word of the command is over 4 KiB or has a null in it")
			}
		}
		return checkEnv(s.Env)
	default:
		return bad("a server's transport is http or stdio")
	}
	return nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func checkEnv(env map[string]string) error {
	for name, value := range env {
		own := name == "PATH" || name == "HOME" || name == "TMPDIR" || strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "DYLD_")
		if !variable.MatchString(name) || own || len(value) > 32<<10 || strings.ContainsRune(value, 0) {
			return fault.New(fault.Invalid, "server_invalid", "the variable %.128q cannot be set for a server", name)
		}
	}
	if len(env) > 64 {
		return fault.New(fault.Invalid, "server_invalid", "a server has at most 64 variables")
	}
	return nil
}
