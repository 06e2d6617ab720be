package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

func (c *cli) mcpCommand() *cobra.Command {
	var allowPrivate bool
	var environment string
	var env map[string]string
	add := &cobra.Command{
		Use: "add NAME URL | add NAME -- COMMAND [ARG…]", Short: "Put an MCP server behind the gateway, and accept the tools that it shows",
		Example: "  attorn mcp add files -- node server-filesystem/dist/index.js /srv/files\n" +
			"  attorn mcp add search https://mcp.example.com/mcp",
		Args: between(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := api.NewServer{Name: args[0], AllowPrivate: allowPrivate, Environment: environment}
			switch {
			case cmd.ArgsLenAtDash() == 1:
				n.Command, n.Env = args[1:], env
			case cmd.ArgsLenAtDash() < 0 && len(args) == 2 && len(env) == 0:
				n.URL = args[1]
			default:
				return usageError{fmt.Errorf("attorn mcp add takes a name and a URL, or a name, -- and a command with its --env before the --")}
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
				say(w, "added %s with %s, for clients at %s", s.Name, count(len(s.Tools), "tool"), s.Resource)
				toolRows(w, s.Tools)
			})
		},
	}
	add.Flags().BoolVar(&allowPrivate, "allow-private", false, "the URL may lead to loopback or a private network")
	add.Flags().StringVar(&environment, "environment", "", "where it runs, as roles' scopes and policies name it: prod, staging")
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
		return c.show(all, each(all.Items, func(s api.Server) string { return s.Name }), func(w io.Writer) {
			row(w, "SERVER", "URL FOR CLIENTS", "REACHED BY", "ERA", "ENVIRONMENT")
			for _, s := range all.Items {
				row(w, s.Name, s.Resource, s.Transport, s.Era, cmp.Or(s.Environment, "-"))
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
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "removed %s, log #%d", args[0], got.Rev) })
	}}
	return noun("mcp", "MCP servers and calls of their tools", add, ls, rm, c.mcpTools(), c.mcpCall())
}

func toolRows(w io.Writer, tools []api.Tool) {
	row(w, "TOOL", "AT WORST", "STATUS", "PIN")
	for _, t := range tools {
		status := t.Status
		if t.Suspended {
			status = "suspended"
		}
		cells := []string{t.Permission, t.Class, status, t.Pin.String()}
		if t.OpenArguments {
			cells = append(cells, "open arguments")
		}
		if !t.SeenPin.IsZero() && t.SeenPin != t.Pin {
			cells = append(cells, "now "+t.SeenPin.String())
		}
		row(w, cells...)
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
		return c.show(all, each(all.Items, func(t api.Tool) string { return t.Permission }), func(w io.Writer) { toolRows(w, all.Items) })
	}}
	var class string
	var open bool
	pin := &cobra.Command{Use: "pin SERVER TOOL PIN", Short: "Accept a tool's definition by the pin that was shown", Args: exactly(3), RunE: func(cmd *cobra.Command, args []string) error {
		p, err := id.ParseDigest(args[2])
		if err != nil {
			return usageError{err}
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.PinTool(cmd.Context(), args[0], args[1], api.Pin{Pin: p, Class: class, OpenArguments: open})
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "accepted %s, log #%d", args[1], got.Rev) })
	}}
	pin.Flags().StringVar(&class, "class", "destroy", "what it does at worst: read, write or destroy")
	pin.Flags().BoolVar(&open, "open-args", false, "let it take arguments that its definition does not declare, which no policy sees")
	return noun("tool", "Tools and their pins", ls, pin, c.resumeTool())
}
