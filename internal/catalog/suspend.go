package catalog

import (
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Suspend stops a tool or prompt, by its segment, or with segment "" all of its server, until Resume: nobody may call it, and no list shows it. Its
// definition stays accepted. Codes: unknown_server, unknown_tool, wrong_state.
func Suspend(tx *audit.Tx, ws id.Workspace, server, segment string) error {
	return suspend(tx, ws, server, segment, tx.Now().UnixMicro(), "suspended_at IS NULL", "suspended")
}

// Resume ends a suspension. A tool of a suspended server is not callable until the server is resumed. Codes: as Suspend.
func Resume(tx *audit.Tx, ws id.Workspace, server, segment string) error {
	return suspend(tx, ws, server, segment, nil, "suspended_at IS NOT NULL", "not suspended")
}

func suspend(tx *audit.Tx, ws id.Workspace, server, segment string, at any, when, is string) error {
	s, err := scanServer(tx.Row(oneServer+tx.ForUpdate(), ws, server))
	if err == nil && s.Status != "active" {
		err = unknownServer()
	}
	if err != nil {
		return err
	}
	what := "the server " + server
	var n int64
	if segment == "" {
		n, err = tx.Exec(`UPDATE mcp_server SET suspended_at = $3 WHERE workspace = $1 AND name = $2 AND `+when, ws, server, at)
	} else {
		kind, name := split(segment)
		if _, err := scanTool(tx.Row(oneTool, ws, server, kind, name)); err != nil {
			return err
		}
		what = "the tool " + server + ":" + segment
		n, err = tx.Exec(`UPDATE mcp_tool SET suspended_at = $5 WHERE workspace = $1 AND server = $2 AND kind = $3 AND name = $4 AND `+when, ws, server, kind, name, at)
	}
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "wrong_state", "%s is %s already", what, is)
	}
	return err
}

// split tells what a permission's last segment names. Reading resources is the server's own act: it has no definition to suspend.
func split(segment string) (Kind, string) {
	if segment == serverText {
		return KindInstructions, string(KindInstructions)
	}
	if prompt, ok := strings.CutPrefix(segment, "prompts/"); ok {
		return KindPrompt, prompt
	}
	return KindTool, segment
}

// Suspended is the refusal of a call of what is suspended; nil for what is not. Code: tool_suspended.
func Suspended(s Server, t Tool) error {
	switch {
	case !s.SuspendedAt.IsZero():
		return fault.New(fault.Denied, "tool_suspended", "the MCP server %s is suspended", s.Name).Try("ask an administrator to resume it: attorn tool resume %s", s.Name)
	case !t.SuspendedAt.IsZero():
		return fault.New(fault.Denied, "tool_suspended", "the tool %s is suspended", t.Action()).
			Try("ask an administrator to resume it: attorn tool resume %s:%s", t.Server, t.Segment())
	}
	return nil
}
