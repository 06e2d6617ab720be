package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/server"
)

func (c *cli) devCommand() *cobra.Command {
	cfg := server.Config{Dev: true}
	cmd := &cobra.Command{
		Use: "dev", Short: "Start a server on this machine, with nothing to configure", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), cfg) },
	}
	cmd.Flags().StringVar(&cfg.Listen, "listen", "localhost:7070", "address on loopback")
	cmd.Flags().StringVar(&cfg.Data, "data", ".attorn", "data directory")
	cmd.Flags().StringVar(&cfg.DSN, "dsn", "", "database: sqlite:PATH or postgres://…; default SQLite in the data directory")
	return cmd
}

func (c *cli) serveCommand() *cobra.Command {
	cfg := server.Config{}
	cmd := &cobra.Command{
		Use: "serve", Short: "Start a server", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), cfg) },
	}
	cmd.Flags().StringVar(&cfg.URL, "url", "", "external URL: the issuer")
	cmd.Flags().StringVar(&cfg.Listen, "listen", "localhost:7070", "address to listen on, behind a proxy that ends TLS")
	cmd.Flags().StringVar(&cfg.Data, "data", "", "data directory")
	cmd.Flags().StringVar(&cfg.DSN, "dsn", "", "database: sqlite:PATH or postgres://…; default SQLite in the data directory")
	cmd.Flags().StringVar(&cfg.SealingKey, "sealing-key", "", "file with the 32 bytes of the sealing key")
	return cmd
}

func (c *cli) serve(ctx context.Context, cfg server.Config) error {
	began := time.Now()
	cfg.Logger = slog.New(slog.NewJSONHandler(c.talk, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := server.Open(ctx, cfg)
	if f := fault.Of(err); f != nil && f.Kind == fault.Unavailable {
		return fault.Wrap(err, fault.Conflict, f.Code, "%s", f.Reason).Try("%s", f.Remedy) // it is not a server that cannot be reached: it does not start
	} else if err != nil {
		return err
	}
	defer s.Close()
	l, err := s.Listen()
	if err != nil {
		return err
	}
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
