package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/policy"
)

// Room reads the catalogue; what changes it takes the transaction.
type Room struct {
	r       *db.Reader
	schemas schemas
}

// New makes the room.
func New(r *db.Reader) *Room { return &Room{r: r} }

const (
	serverColumns = `workspace, name, transport, url, command, env, allow_private, era, status, created_at, suspended_at, environment`
	toolColumns   = `workspace, server, kind, name, definition, pin, class, status, seen, seen_pin, seen_at, suspended_at, open_arguments`
	oneServer     = `SELECT ` + serverColumns + ` FROM mcp_server WHERE workspace = $1 AND name = $2`
	oneTool       = `SELECT ` + toolColumns + ` FROM mcp_tool WHERE workspace = $1 AND server = $2 AND kind = $3 AND name = $4`
	allTools      = `SELECT ` + toolColumns + ` FROM mcp_tool WHERE workspace = $1 AND server = $2 ORDER BY kind, name`
)

// Server reads one registered server, a removed one too. Code: unknown_server.
func (r *Room) Server(ctx context.Context, ws id.Workspace, name string) (Server, error) {
	if !ValidName(name) {
		return Server{}, unknownServer()
	}
	return scanServer(r.r.Row(ctx, oneServer, ws, name))
}

// Servers lists a workspace's active servers by name.
func (r *Room) Servers(ctx context.Context, ws id.Workspace) ([]Server, error) {
	rows, err := r.r.Rows(ctx, `SELECT `+serverColumns+` FROM mcp_server WHERE workspace = $1 AND status = 'active' ORDER BY name`, ws)
	return collect(rows, err, scanServer)
}

// Tool reads one definition. Code: unknown_tool.
func (r *Room) Tool(ctx context.Context, ws id.Workspace, server string, kind Kind, name string) (Tool, error) {
	if !ValidName(server) || !storable(name) {
		return Tool{}, unknownTool()
	}
	return scanTool(r.r.Row(ctx, oneTool, ws, server, kind, name))
}

// Tools lists all definitions of a server, of every kind and status, by kind and name.
func (r *Room) Tools(ctx context.Context, ws id.Workspace, server string) ([]Tool, error) {
	rows, err := r.r.Rows(ctx, allTools, ws, server)
	return collect(rows, err, scanTool)
}

// Callable reads what a permission's last segment names: a tool, "prompts/<name>", "server/instructions", or "resources/read", which has no
// definition of its own.
// Code: unknown_tool.
func (r *Room) Callable(ctx context.Context, ws id.Workspace, server, segment string) (Tool, error) {
	if segment == ResourcesRead {
		return Tool{Workspace: ws, Server: server, Kind: KindResource, Name: segment, Class: Read, Status: Accepted}, nil
	}
	if segment == serverText {
		return r.Tool(ctx, ws, server, KindInstructions, string(KindInstructions))
	}
	if prompt, ok := strings.CutPrefix(segment, "prompts/"); ok {
		return r.Tool(ctx, ws, server, KindPrompt, prompt)
	}
	return r.Tool(ctx, ws, server, KindTool, segment)
}

// Check holds a call of t to the schema of its accepted definition. Codes: tool_quarantined, schema.
func (r *Room) Check(t Tool, arguments []byte) error {
	if t.Status != Accepted {
		return fault.New(fault.Denied, "tool_quarantined", "the definition of %s is not the one that was accepted", t.Name).
			Try("have an administrator look at what changed and accept it")
	}
	switch t.Kind {
	case KindResource:
		return nil
	case KindInstructions:
		return fault.New(fault.NotFound, "unknown_tool", "instructions are not called")
	}
	s, err := r.Schema(t)
	if err != nil {
		return err
	}
	return s.Check(arguments)
}

// Shape is what policy sees of the arguments of a call of t's accepted definition. Code: schema.
func (r *Room) Shape(t Tool) (*policy.Shape, error) {
	if t.Kind == KindResource {
		return policy.ShapeOf(nil)
	}
	s, err := r.Schema(t)
	if err != nil {
		return nil, err
	}
	return s.shape, nil
}

// Schema is the check for calls of t's accepted definition, compiled once per pin. Code: schema, when it cannot be compiled.
func (r *Room) Schema(t Tool) (*Schema, error) { return r.schemas.get(t) }

// Add registers a server with what it offers; whoever adds it accepts what was shown, so every acceptable item is accepted with its suggested
// class. A removed server's name can be used again; nothing of the old one remains. Codes: server_invalid, server_exists.
func Add(tx *audit.Tx, s Server, offer Offer) error {
	if err := s.Check(); err != nil {
		return err
	}
	command, err1 := json.Marshal(s.Command)
	env, err2 := json.Marshal(s.Env, json.Deterministic(true))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO mcp_server (`+serverColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, NULL, $10)
		ON CONFLICT (workspace, name) DO UPDATE SET transport = excluded.transport, url = excluded.url, command = excluded.command, env = excluded.env,
			allow_private = excluded.allow_private, era = excluded.era, status = 'active', created_at = excluded.created_at, suspended_at = NULL,
			environment = excluded.environment
		WHERE mcp_server.status = 'removed'`,
		s.Workspace, s.Name, s.Transport, s.URL, string(command), string(env), number(s.AllowPrivate), offer.Era, tx.Now().UnixMicro(), s.Environment)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.Conflict, "server_exists", "there is a server named %s already", s.Name).Try("choose another name, or remove the other one first")
	}
	if _, err := tx.Exec(`DELETE FROM mcp_tool WHERE workspace = $1 AND server = $2`, s.Workspace, s.Name); err != nil {
		return err
	}
	for _, it := range offer.Items {
		status, class := Accepted, it.Class
		if it.Reason != "" {
			status, class = Quarantined, Destroy
		}
		if err := insertTool(tx, s.Workspace, s.Name, it, status, class); err != nil {
			return err
		}
	}
	return nil
}

// Remove ends a server: its tools are neither listed nor callable. Code: unknown_server.
func Remove(tx *audit.Tx, ws id.Workspace, name string) error {
	n, err := tx.Exec(`UPDATE mcp_server SET status = 'removed' WHERE workspace = $1 AND name = $2 AND status = 'active'`, ws, name)
	if err == nil && n == 0 {
		err = unknownServer()
	}
	return err
}

// Observe stores what a server offers now: items never seen are new, items with another pin than the last one seen are quarantined until a
// person accepts that pin. It returns the changes, none when all is as before. Code: unknown_server.
func Observe(tx *audit.Tx, ws id.Workspace, server string, items []Item) ([]Change, error) {
	s, err := scanServer(tx.Row(oneServer+tx.ForUpdate(), ws, server))
	if err != nil {
		return nil, err
	}
	if s.Status != "active" {
		return nil, unknownServer()
	}
	rows, err := tx.Rows(allTools, ws, server)
	stored, err := collect(rows, err, scanTool)
	if err != nil {
		return nil, err
	}
	changes := Compare(stored, items)
	for _, c := range changes {
		var it Item
		for _, i := range items {
			if i.Kind == c.Kind && i.Name == c.Name {
				it = i
			}
		}
		if c.What == "new" {
			err = insertTool(tx, ws, server, it, Unaccepted, Destroy)
		} else {
			_, err = tx.Exec(`UPDATE mcp_tool SET status = CASE WHEN status = 'new' THEN 'new' ELSE 'quarantined' END, seen = $5, seen_pin = $6, seen_at = $7
				WHERE workspace = $1 AND server = $2 AND kind = $3 AND name = $4`, ws, server, it.Kind, it.Name, string(it.Definition), it.Pin, tx.Now().UnixMicro())
		}
		if err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// Accept makes the definition that was last seen the served one, with a class that somebody confirmed, only if its pin is the one named: what
// a person saw is what is accepted. open lets it take arguments that the definition does not declare. Codes: unknown_tool, pin_changed, definition_refused.
func Accept(tx *audit.Tx, ws id.Workspace, server string, kind Kind, name string, pin id.Digest, class string, open bool) error {
	t, err := scanTool(tx.Row(oneTool+tx.ForUpdate(), ws, server, kind, name))
	if err != nil {
		return err
	}
	if t.SeenPin != pin {
		return fault.New(fault.Conflict, "pin_changed", "the server's current definition of %s has another pin than the one named", name).
			Try("look at what changed, then accept the pin that is shown")
	}
	it, err := ReadItem(kind, t.Seen)
	if err != nil {
		return err
	}
	if it.Reason != "" {
		return fault.New(fault.Invalid, "definition_refused", "%s cannot be accepted: %s", name, it.Reason)
	}
	if class != Read && class != Write && class != Destroy {
		return fault.New(fault.Invalid, "malformed", "a class is read, write or destroy")
	}
	_, err = tx.Exec(`UPDATE mcp_tool SET definition = seen, pin = seen_pin, class = $5, open_arguments = $6, status = 'accepted'
		WHERE workspace = $1 AND server = $2 AND kind = $3 AND name = $4`, ws, server, kind, name, class, number(open))
	return err
}

// insertTool stores an item; only an accepted one has a definition that is served.
func insertTool(tx *audit.Tx, ws id.Workspace, server string, it Item, status Status, class string) error {
	definition, pin := string(it.Definition), it.Pin.String()
	if status != Accepted {
		definition, pin = "", ""
	}
	_, err := tx.Exec(`INSERT INTO mcp_tool (`+toolColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, 0)`,
		ws, server, it.Kind, it.Name, definition, pin, class, status, string(it.Definition), it.Pin, tx.Now().UnixMicro())
	return err
}

type scanner interface{ Scan(dest ...any) error }

func scanServer(row scanner) (Server, error) {
	var s Server
	var command, env string
	var private, created int64
	var suspended sql.Null[int64]
	err := row.Scan(&s.Workspace, &s.Name, &s.Transport, &s.URL, &command, &env, &private, &s.Era, &s.Status, &created, &suspended, &s.Environment)
	if errors.Is(err, sql.ErrNoRows) {
		return s, unknownServer()
	}
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(command), &s.Command), json.Unmarshal([]byte(env), &s.Env))
	}
	s.AllowPrivate, s.CreatedAt, s.SuspendedAt = private == 1, time.UnixMicro(created), moment(suspended)
	return s, err
}

func scanTool(row scanner) (Tool, error) {
	var t Tool
	var definition, seen string
	var at, open int64
	var suspended sql.Null[int64]
	err := row.Scan(&t.Workspace, &t.Server, &t.Kind, &t.Name, &definition, &t.Pin, &t.Class, &t.Status, &seen, &t.SeenPin, &at, &suspended, &open)
	if errors.Is(err, sql.ErrNoRows) {
		return t, unknownTool()
	}
	t.Definition, t.Seen, t.SeenAt, t.SuspendedAt, t.OpenArguments = []byte(definition), []byte(seen), time.UnixMicro(at), moment(suspended), open == 1
	return t, err
}

// moment is a time that may be none.
func moment(us sql.Null[int64]) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return time.UnixMicro(us.V)
}

func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func unknownTool() error {
	return fault.New(fault.NotFound, "unknown_tool", "the server has no such tool, prompt or instructions")
}

func unknownServer() error {
	return fault.New(fault.NotFound, "unknown_server", "there is no such server").Try("see what there is: attorn mcp ls")
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
