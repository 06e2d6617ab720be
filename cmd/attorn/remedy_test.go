package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Whatever a refusal tells people to run exists: the words after attorn in every remedy lead to a command.
func TestRemediesNameCommands(t *testing.T) {
	t.Parallel()
	root := (&cli{}).root()
	remedy := regexp.MustCompile(`Try\("((?:[^"\\]|\\.)*)"`)
	command := regexp.MustCompile(`attorn((?: [a-z]+)+)`)
	found := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, r := range remedy.FindAllStringSubmatch(string(source), -1) {
			for _, c := range command.FindAllStringSubmatch(r[1], -1) {
				found++
				words := strings.Fields(c[1])
				if cmd := descend(root, words); cmd.HasSubCommands() && cmd.Name() != "kill" {
					t.Errorf("%s tells people to run attorn %s, which is no command: %q", path, strings.Join(words, " "), r[1])
				}
			}
		}
		return err
	})
	if err != nil || found < 30 {
		t.Errorf("%d commands in remedies: %v", found, err)
	}
}

// descend follows words as far as they name commands.
func descend(cmd *cobra.Command, words []string) *cobra.Command {
	for _, w := range words {
		next := cmd
		for _, sub := range cmd.Commands() {
			if sub.Name() == w {
				next = sub
			}
		}
		if next == cmd {
			break
		}
		cmd = next
	}
	return cmd
}
