package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// connect opens a session with an MCP server through the gateway, as the current agent, with the official MCP SDK.
func (c *cli) connect(ctx context.Context, server, under string) (*mcp.ClientSession, error) {
	ag, a, err := c.agent(ctx)
	if err != nil {
		return nil, err
	}
	resource := a.Server + "/mcp/" + url.PathEscape(server)
	if a.Workspace != id.Default {
		resource = a.Server + "/w/" + a.Workspace.String() + "/mcp/" + url.PathEscape(server)
	}
	var r attorn.TokenRequest
	if under != "none" && !a.foreign() {
		if r.Delegation, err = c.subject(ctx, ag, under); err != nil {
			return nil, err
		}
	}
	var once sync.Once
	client := mcp.NewClient(&mcp.Implementation{Name: "attorn", Title: "attorn " + a.Name, Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			once.Do(func() { say(c.talk, "%s …", r.Params.Message) })
		},
	})
	s, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: resource, HTTPClient: &http.Client{Transport: ag.Transport(nil, resource, r)}, DisableStandaloneSSE: true, MaxRetries: -1,
	}, nil)
	return s, mcpError(server, err)
}

// rejected is the code with which the SDK's own transport, not the server, answers.
const rejected = -32005

// mcpError makes of what went wrong in a session what the gateway says of it.
func mcpError(server string, err error) error {
	if err == nil || fault.Of(err) != nil || errors.Is(err, context.Canceled) {
		return err
	}
	var e *jsonrpc.Error
	var network net.Error
	if !errors.As(err, &e) || e.Code == rejected || errors.As(err, &network) {
		return fault.Wrap(err, fault.Unavailable, "no_answer", "%s gave no answer: %v", server, err).Try("look whether it ran before you call again: attorn audit tail")
	}
	var r refusal
	if e.Data != nil && jose.DecodeForeign(e.Data, &r, jose.Limits{}) == nil && r.Code != "" {
		return fault.New(fault.Denied, r.Code, "%s", r.Reason).Try("%s", r.Remedy)
	}
	f := fault.New(fault.Invalid, "mcp_error", "%s answers: %s", server, e.Message)
	if e.Code == jsonrpc.CodeInvalidParams {
		f = f.Try("attorn mcp tools %s", server)
	}
	return f
}

func (c *cli) mcpTools() *cobra.Command {
	var under string
	cmd := &cobra.Command{Use: "tools SERVER", Short: "List the tools that the current agent could be permitted", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		s, err := c.connect(cmd.Context(), args[0], under)
		if err != nil {
			return err
		}
		defer s.Close()
		all, err := s.ListTools(cmd.Context(), nil)
		if err != nil {
			return mcpError(args[0], err)
		}
		return c.show(all, each(all.Tools, func(t *mcp.Tool) string { return t.Name }), func(w io.Writer) {
			row(w, "TOOL", "WHAT IT SAYS OF ITSELF")
			for _, t := range all.Tools {
				row(w, t.Name, shorten(strings.ReplaceAll(t.Description, "\n", " "), 80))
			}
		})
	}}
	cmd.Flags().StringVar(&under, "under", "", underWords)
	return cmd
}

func (c *cli) mcpCall() *cobra.Command {
	var under, raw string
	cmd := &cobra.Command{
		Use: "call SERVER TOOL [NAME=VALUE…]", Short: "Call a tool as the current agent",
		Long: "Call a tool as the current agent, under what was lent to it. Values are text; --args takes any JSON.\n" +
			"A call that needs people waits for them, up to a minute. The exit code is 3 when\n" +
			"the call is denied, and 4 when it still waits: call again with the same arguments.",
		Example: "  attorn mcp call files write_file path=staging/app.yaml content='version: 4.81'\n" +
			"  attorn mcp call files read_multiple_files --args '{\"paths\":[\"a\",\"b\"]}'",
		Args: between(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			arguments, err := callArguments(raw, args[2:])
			if err != nil {
				return err
			}
			s, err := c.connect(cmd.Context(), args[0], under)
			if err != nil {
				return err
			}
			defer s.Close()
			call := &mcp.CallToolParams{Name: args[1], Arguments: arguments}
			call.SetProgressToken("1") // so that a call that waits for people says so
			res, err := s.CallTool(cmd.Context(), call)
			if err != nil {
				return mcpError(args[0], err)
			}
			return c.showResult(res)
		},
	}
	cmd.Flags().StringVar(&under, "under", "", underWords)
	cmd.Flags().StringVar(&raw, "args", "", "arguments as a JSON object, or @FILE")
	return cmd
}

// callArguments reads NAME=VALUE as text, and one JSON object whose values stay as they are written.
func callArguments(raw string, pairs []string) (map[string]any, error) {
	if file, ok := strings.CutPrefix(raw, "@"); ok {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		raw = string(content)
	}
	arguments := map[string]any{}
	if raw != "" {
		var members map[string]jsontext.Value
		err := jose.Decode([]byte(raw), &members, jose.Limits{Bytes: 4 << 20})
		if err == nil && members == nil {
			err = errors.New("it is null")
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("--args is no JSON object: %w", err)}
		}
		for name, v := range members {
			arguments[name] = v
		}
	}
	for _, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("%q is not NAME=VALUE", p)}
		}
		if _, twice := arguments[name]; twice {
			return nil, usageError{fmt.Errorf("the argument %s is given twice", name)}
		}
		arguments[name] = value
	}
	return arguments, nil
}

// refusal is what the gateway says of a call that it refused, in the result's _meta.
type refusal struct {
	Code     string `json:"code"`
	Reason   string `json:"reason"`
	Remedy   string `json:"remedy"`
	Decision string `json:"decision"`
	Approval string `json:"approval"`
}

// showResult prints a tool's answer, or why there is none.
func (c *cli) showResult(res *mcp.CallToolResult) error {
	r, refused, err := refusalOf(res)
	switch {
	case err != nil:
		return err
	case c.format != "table":
		err = c.show(res, r.Decision, nil)
	case refused:
		c.showRefusal(r)
	default:
		err = c.showContent(res)
	}
	switch {
	case err != nil:
		return err
	case refused && r.Code == "approval_pending":
		return quiet{exitWaiting}
	case refused:
		return quiet{exitDenied}
	case res.IsError:
		return quiet{exitError}
	}
	return nil
}

func (c *cli) showRefusal(r refusal) {
	try := r.Remedy
	if try == "" {
		try = remedies[fault.Denied]
	}
	c.complain(r.Reason+" ("+r.Code+")", try)
	if r.Approval != "" {
		say(c.talk, "Look at it: attorn approval show %s", r.Approval)
	}
	if r.Decision != "" {
		say(c.talk, "Why: attorn why %s", r.Decision)
	}
}

// showContent prints what the tool says, or makes it an error where the tool says that it is one.
func (c *cli) showContent(res *mcp.CallToolResult) error {
	var parts []string
	for _, item := range res.Content {
		if t, ok := item.(*mcp.TextContent); ok {
			parts = append(parts, strings.TrimSuffix(t.Text, "\n"))
		} else {
			fmt.Fprintln(c.talk, "(there is content that is no text: -o json has it)")
		}
	}
	all := strings.Join(parts, "\n")
	if res.IsError {
		return fault.New(fault.Invalid, "tool_error", "the tool failed: %s", all).Try("mend the arguments: the call was permitted, and ran")
	}
	if all != "" {
		fmt.Fprintln(c.out, text(all))
	}
	return nil
}

func refusalOf(res *mcp.CallToolResult) (r refusal, refused bool, err error) {
	v, ok := res.Meta["io.github.attorn/refusal"]
	if !ok {
		return r, false, nil
	}
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	return r, true, err
}
