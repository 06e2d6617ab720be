package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

func (c *cli) policyCommand() *cobra.Command {
	check := &cobra.Command{Use: "check DIR", Short: "Check policies without publishing them", Args: exactly(1), RunE: func(_ *cobra.Command, args []string) error {
		files, err := readPolicies(args[0])
		if err != nil {
			return err
		}
		compiled := policy.Shipped()
		for _, f := range files {
			compiled = append(compiled, policy.File{Path: f.Path, Text: []byte(f.Text)})
		}
		set, problems := policy.Compile(compiled)
		b := api.Bundle{Files: files, Problems: []string{}}
		for _, p := range problems {
			b.Problems = append(b.Problems, p.String())
		}
		if set != nil {
			b.Digest = set.Digest()
		}
		if err := c.show(b, b.Digest.String(), func(w io.Writer) {
			for _, p := range b.Problems {
				say(w, "%s", p)
			}
			if set != nil {
				say(w, "ok: %s, bundle %s", count(len(files), "file"), b.Digest)
			}
		}); err != nil || set != nil {
			return err
		}
		return fault.New(fault.Invalid, "policy_invalid", "the policies in %s have errors", args[0]).Try("mend what is named, and check again")
	}}
	publish := &cobra.Command{Use: "publish DIR", Short: "Make the directory's policies the live ones", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		files, err := readPolicies(args[0])
		if err != nil {
			return err
		}
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		b, err := cl.Publish(cmd.Context(), api.Publish{Files: files})
		if err != nil {
			return err
		}
		for _, p := range b.Problems {
			fmt.Fprintln(c.talk, line(p))
		}
		return c.show(b, b.Digest.String(), func(w io.Writer) {
			say(w, "published %s, bundle %s", count(len(files), "file"), b.Digest)
		})
	}}
	show := &cobra.Command{Use: "show", Short: "Print the live policies", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		b, err := cl.Policy(cmd.Context())
		if err != nil {
			return err
		}
		return c.show(b, b.Digest.String(), func(w io.Writer) {
			fmt.Fprintf(w, "// bundle %s\n", b.Digest)
			for _, f := range b.Files {
				fmt.Fprintf(w, "\n// %s\n%s", line(f.Path), text(f.Text))
			}
		})
	}}
	return noun("policy", "What is permitted, and what asks people", check, publish, show)
}

// readPolicies reads DIR/policies/**/*.cedar.
func readPolicies(dir string) ([]api.PolicyFile, error) {
	var files []api.PolicyFile
	err := filepath.WalkDir(filepath.Join(dir, "policies"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(p) != ".cedar" {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		files = append(files, api.PolicyFile{Path: path.Clean(filepath.ToSlash(rel)), Text: string(text)})
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(files) == 0 {
		return nil, usageError{fmt.Errorf("there are no policies in %s: they are read from %s", dir, filepath.Join(dir, "policies", "*.cedar"))}
	}
	return files, err
}
