package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

func (c *cli) mcpCommand() *cobra.Command {
	var allowPrivate bool
	var env map[string]string
	add := &cobra.Command{
		Use: "add NAME URL | add NAME -- COMMAND [ARG…]", Short: "Put an MCP server behind the gateway, and accept the tools that it shows",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("mcp add takes a name and a URL, or a name, -- and a command")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			n := api.NewServer{Name: args[0], AllowPrivate: allowPrivate}
			if cmd.ArgsLenAtDash() == 1 {
				n.Command, n.Env = args[1:], env
			} else {
				n.URL = args[1]
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			s, err := cl.AddServer(cmd.Context(), n)
			if err != nil {
				return err
			}
			return c.show(s, s.Name, func(w io.Writer) {
				row(w, "added", s.Name, s.Resource, s.Era)
				toolRows(w, s.Tools)
			})
		},
	}
	add.Flags().BoolVar(&allowPrivate, "allow-private", false, "the URL may lead to loopback or a private network")
	add.Flags().StringToStringVar(&env, "env", nil, "environment of the command: NAME=VALUE")
	ls := &cobra.Command{Use: "ls", Short: "List MCP servers", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.Servers(cmd.Context())
		if err != nil {
			return err
		}
		return c.show(all, "", func(w io.Writer) {
			row(w, "SERVER", "URL FOR CLIENTS", "REACHED BY", "ERA")
			for _, s := range all.Items {
				row(w, s.Name, s.Resource, s.Transport, s.Era)
			}
		})
	}}
	rm := &cobra.Command{Use: "rm NAME", Short: "Take an MCP server from the gateway", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.RemoveServer(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { row(w, "removed", args[0], fmt.Sprintf("log #%d", got.Rev)) })
	}}
	return noun("mcp", "MCP servers and calls of their tools", add, ls, rm, c.mcpTools(), c.mcpCall())
}

func toolRows(w io.Writer, tools []api.Tool) {
	for _, t := range tools {
		row(w, "  "+t.Permission, t.Class, t.Status, t.Pin.String())
	}
}

func (c *cli) toolCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls SERVER", Short: "List a server's pinned tools", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.Tools(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(all, "", func(w io.Writer) { toolRows(w, all.Items) })
	}}
	var class string
	pin := &cobra.Command{Use: "pin SERVER TOOL PIN", Short: "Accept a tool's definition by the pin that was shown", Args: exactly(3), RunE: func(cmd *cobra.Command, args []string) error {
		p, err := id.ParseDigest(args[2])
		if err != nil {
			return usageError{err}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.PinTool(cmd.Context(), args[0], args[1], api.Pin{Pin: p, Class: class})
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { row(w, "accepted", args[1], fmt.Sprintf("log #%d", got.Rev)) })
	}}
	pin.Flags().StringVar(&class, "class", "destroy", "what it does at worst: read, write or destroy")
	return noun("tool", "Tools and their pins", ls, pin)
}

// session connects to an MCP server through the gateway as the current agent, with the official MCP SDK.
func (c *cli) session(ctx context.Context, server, under string) (*mcp.ClientSession, error) {
	ag, a, err := c.agent(ctx)
	if err != nil {
		return nil, err
	}
	resource := a.Server + "/mcp/" + server
	if a.Workspace != id.Default {
		resource = a.Server + "/w/" + a.Workspace.String() + "/mcp/" + server
	}
	var r attorn.TokenRequest
	if under != "none" {
		d, err := c.mine(ctx, ag, under)
		if err != nil {
			return nil, err
		}
		r.Delegation = d.Link.String()
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "attorn", Title: "attorn " + a.Name, Version: "1"}, nil)
	return client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: resource, HTTPClient: &http.Client{Transport: ag.Transport(nil, resource, r)}, DisableStandaloneSSE: true, MaxRetries: -1,
	}, nil)
}

func (c *cli) mcpTools() *cobra.Command {
	var under string
	cmd := &cobra.Command{Use: "tools SERVER", Short: "List the tools that the current agent could be permitted", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		s, err := c.session(cmd.Context(), args[0], under)
		if err != nil {
			return err
		}
		defer s.Close()
		all, err := s.ListTools(cmd.Context(), nil)
		if err != nil {
			return err
		}
		return c.show(all, "", func(w io.Writer) {
			row(w, "TOOL", "WHAT IT SAYS OF ITSELF")
			for _, t := range all.Tools {
				row(w, t.Name, shorten(strings.ReplaceAll(t.Description, "\n", " "), 80))
			}
		})
	}}
	cmd.Flags().StringVar(&under, "under", "", "delegation to act under (default: the only live one; none: for nobody)")
	return cmd
}

func (c *cli) mcpCall() *cobra.Command {
	var under, raw string
	cmd := &cobra.Command{
		Use: "call SERVER TOOL [NAME=VALUE…]", Short: "Call a tool as the current agent",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			arguments, err := callArguments(raw, args[2:])
			if err != nil {
				return err
			}
			s, err := c.session(cmd.Context(), args[0], under)
			if err != nil {
				return err
			}
			defer s.Close()
			res, err := s.CallTool(cmd.Context(), &mcp.CallToolParams{Name: args[1], Arguments: arguments})
			if err != nil {
				return err
			}
			return c.showResult(res)
		},
	}
	cmd.Flags().StringVar(&under, "under", "", "delegation to act under (default: the only live one; none: for nobody)")
	cmd.Flags().StringVar(&raw, "args", "", "the arguments as JSON, or @FILE")
	return cmd
}

// callArguments reads NAME=VALUE as strings, or one JSON object.
func callArguments(raw string, pairs []string) (map[string]any, error) {
	arguments := map[string]any{}
	if file, ok := strings.CutPrefix(raw, "@"); ok {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		raw = string(text)
	}
	if raw != "" {
		if err := json.Unmarshal([]byte(raw), &arguments); err != nil {
			return nil, usageError{fmt.Errorf("--args is not a JSON object: %w", err)}
		}
	}
	for _, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("%q is not NAME=VALUE", p)}
		}
		arguments[name] = value
	}
	return arguments, nil
}

// refusal is what the gateway says of a call that it refused, in the result's _meta.
type refusal struct {
	Code      string `json:"code"`
	Reason    string `json:"reason"`
	Remedy    string `json:"remedy"`
	Decision  string `json:"decision"`
	Approval  string `json:"approval"`
	StatusURL string `json:"status_url"`
}

func (c *cli) showResult(res *mcp.CallToolResult) error {
	r, refused, err := refusalOf(res)
	if err != nil {
		return err
	}
	if refused && c.format == "table" {
		fmt.Fprintf(c.talk, "%s (%s)\n", printable(r.Reason), printable(r.Code))
		if r.Approval != "" {
			fmt.Fprintf(c.talk, "Waits as %s: %s\n", printable(r.Approval), printable(r.StatusURL))
		}
		if r.Remedy != "" {
			fmt.Fprintf(c.talk, "Try: %s\n", printable(r.Remedy))
		}
		if r.Decision != "" {
			fmt.Fprintf(c.talk, "Why: attorn why %s\n", printable(r.Decision))
		}
	} else if err := c.show(res, r.Decision, func(w io.Writer) {
		for _, item := range res.Content {
			if t, ok := item.(*mcp.TextContent); ok {
				row(w, t.Text)
			}
		}
	}); err != nil {
		return err
	}
	switch {
	case refused && r.Code == "approval_pending":
		return quiet{exitWaiting}
	case refused:
		return quiet{exitDenied}
	case res.IsError:
		return quiet{exitError}
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
