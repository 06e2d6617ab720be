package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// example is a directory of policies to begin with.
//
//go:embed example
var example embed.FS

func (c *cli) policyInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init [DIR]", Short: "Make a directory of policies to begin with", Args: between(0, 1),
		Long: "Write a small directory of policies with a role and tests, which pass: `policy` unless DIR is given. Nothing that is there is written over.",
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "policy"
			if len(args) > 0 {
				dir = args[0]
			}
			made, err := writeExample(dir)
			if err != nil {
				return err
			}
			return c.show(map[string]any{"files": made}, each(made, func(s string) string { return s }), func(w io.Writer) {
				for _, name := range made {
					say(w, "wrote %s", name)
				}
				say(w, "next: attorn policy check %s  ·  attorn policy test %s", dir, dir)
			})
		},
	}
}

// writeExample writes the example into dir, which must have none of its files, and names them.
func writeExample(dir string) (made []string, err error) {
	for _, write := range []bool{false, true} {
		made = nil
		err := fs.WalkDir(example, "example", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			to := path.Join(filepath.ToSlash(dir), strings.TrimPrefix(p, "example/"))
			made = append(made, to)
			if !write {
				if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
					return usageError{fmt.Errorf("there is a file %s already", to)}
				}
				return nil
			}
			text, err := example.ReadFile(p)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(path.Dir(to), 0o755); err != nil {
				return err
			}
			return writeNew(to, text)
		})
		if err != nil {
			return nil, err
		}
	}
	return made, nil
}

// writeNew writes a file that must not be there.
func writeNew(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
