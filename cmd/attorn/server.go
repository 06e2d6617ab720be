package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/server"
)

func (c *cli) devCommand() *cobra.Command {
	src := server.Sources{Dev: true}
	cmd := &cobra.Command{
		Use: "dev", Short: "Start a server on this machine, with nothing to configure", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.start(cmd, src) },
	}
	configFlags(cmd, &src)
	return cmd
}

func (c *cli) serveCommand() *cobra.Command {
	src := server.Sources{}
	cmd := &cobra.Command{
		Use: "serve", Short: "Start a server", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.start(cmd, src) },
	}
	configFlags(cmd, &src)
	return cmd
}

// configFlags gives a command --config and a flag for each key that is one text.
func configFlags(cmd *cobra.Command, src *server.Sources) {
	cmd.Flags().StringVar(&src.File, "config", "", "configuration file (YAML)")
	for _, k := range server.Keys() {
		cmd.Flags().String(k.Name, "", k.Why)
		cmd.Flags().Lookup(k.Name).DefValue = k.Default
	}
}

// load reads the configuration that a command was given.
func load(cmd *cobra.Command, src server.Sources) (server.Config, []server.Setting, error) {
	src.Flags = map[string]string{}
	for _, k := range server.Keys() {
		if f := cmd.Flags().Lookup(k.Name); f.Changed {
			src.Flags[k.Name] = f.Value.String()
		}
	}
	return server.Load(src)
}

func (c *cli) start(cmd *cobra.Command, src server.Sources) error {
	cfg, _, err := load(cmd, src)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		return err
	}
	return c.serve(cmd.Context(), cfg)
}

// setting is a line of config show.
type setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"`
}

func (c *cli) configCommand() *cobra.Command {
	var shown, checked server.Sources
	var origin bool
	show := &cobra.Command{
		Use: "show", Short: "Show what a server would be started with; secrets as set", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, settings, err := load(cmd, shown)
			if err != nil {
				return err
			}
			var list []setting
			for _, s := range settings {
				list = append(list, setting(s))
			}
			return c.show(list, "", func(w io.Writer) {
				for _, s := range list {
					if s.Value == "" && s.Origin == "" {
						s.Value, s.Origin = "-", "not set"
					}
					if origin {
						row(w, s.Key, s.Value, s.Origin)
					} else {
						row(w, s.Key, s.Value)
					}
				}
			})
		},
	}
	configFlags(show, &shown)
	show.Flags().BoolVar(&origin, "origin", false, "also where each value comes from")
	check := &cobra.Command{
		Use: "check", Short: "Say whether a server would start with a configuration", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := load(cmd, checked)
			if err == nil {
				err = cfg.Check()
			}
			if err == nil {
				fmt.Fprintln(c.talk, "  a server can start with this configuration")
			}
			return err
		},
	}
	configFlags(check, &checked)
	return noun("config", "A server's configuration", show, check)
}

func (c *cli) serve(ctx context.Context, cfg server.Config) error {
	began := time.Now()
	cfg.Logger = slog.New(slog.NewJSONHandler(c.talk, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l, err := server.Listen(cfg)
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := server.Open(ctx, cfg)
	if f := fault.Of(err); f != nil && f.Kind == fault.Unavailable {
		return fault.Wrap(err, fault.Conflict, f.Code, "%s", f.Reason).Try("%s", f.Remedy) // it is not a server that cannot be reached: it does not start
	} else if err != nil {
		return err
	}
	defer s.Close()
	link, err := s.SignInLink(ctx)
	if err != nil {
		return err
	}
	note := "data in " + cfg.Data
	if cfg.Dev {
		note += ", not for production"
	}
	fmt.Fprintf(c.out, "  ready in %.1f s   %s       %s\n", time.Since(began).Seconds(), s.URL(), note)
	if link != "" {
		fmt.Fprintf(c.out, "  sign in   %s    once, within 15 minutes\n", link)
		fmt.Fprintf(c.out, "  or here   attorn login '%s' --name 'Your Name'\n", link)
	}
	return s.Serve(ctx, l)
}

func versionCommand(c *cli) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: exactly(0), RunE: func(*cobra.Command, []string) error {
		version := "unknown"
		if info, ok := debug.ReadBuildInfo(); ok {
			version = info.Main.Version
		}
		_, err := fmt.Fprintln(c.out, "attorn", version)
		return err
	}}
}
