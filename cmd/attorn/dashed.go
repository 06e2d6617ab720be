package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// One key or digest in 64 begins with a hyphen, which a command line reads as flags. Nothing else has 43 characters of base64url behind one, so where such a word
// stands for itself, and not as the value of the flag before it, it is taken for what it is.

var dashedForm = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}$`)

const undashed = "\x00" // marks such a word; no argument of a process holds this character

// markDashed marks the words of args that begin with a hyphen and are no flags, and has the commands below root see them as they were.
func markDashed(root *cobra.Command, args []string) []string {
	visit(root, func(cmd *cobra.Command) {
		if run := cmd.RunE; run != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd, unmark(args)) }
		}
	})
	out := append([]string(nil), args...)
	for i, a := range out {
		if a == "--" {
			break
		}
		if dashedForm.MatchString(a) && (i == 0 || !takesValue(root, args[i-1])) {
			out[i] = undashed + a
		}
	}
	return out
}

func unmark(args []string) []string {
	for i, a := range args {
		args[i] = strings.TrimPrefix(a, undashed)
	}
	return args
}

func visit(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, sub := range cmd.Commands() {
		visit(sub, do)
	}
}

// takesValue reports whether a word is a flag that the next word is the value of.
func takesValue(root *cobra.Command, word string) bool {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") || dashedForm.MatchString(word) {
		return false
	}
	alone := false // it is a flag that takes none
	visit(root, func(cmd *cobra.Command) {
		f, g := cmd.Flags().Lookup(word[1:]), cmd.PersistentFlags().Lookup(word[1:])
		switch name, long := strings.CutPrefix(word, "--"); {
		case long:
			f, g = cmd.Flags().Lookup(name), cmd.PersistentFlags().Lookup(name)
		case len(word) == 2:
			f, g = cmd.Flags().ShorthandLookup(word[1:]), cmd.PersistentFlags().ShorthandLookup(word[1:])
		}
		alone = alone || f != nil && f.NoOptDefVal != "" || g != nil && g.NoOptDefVal != ""
	})
	return !alone
}
