package main

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

const dashedKey = "-KanBGWqnCMGiZAT-MnSZk3iTJWfiULBJ0PeqPr72YM"

// A key that begins with a hyphen is a word like any other, wherever it stands.
func TestDashedWords(t *testing.T) {
	for _, c := range [][]string{
		{"do", dashedKey},
		{"do", dashedKey, "other"},
		{"do", "other", dashedKey, "--key", dashedKey},
		{"do", "--yes", dashedKey},
		{"do", "-y", dashedKey, "--key=" + dashedKey},
		{"do", "--key", dashedKey, "--", dashedKey},
		{"do", "-k", dashedKey, dashedKey, dashedKey},
	} {
		var got []string
		var key string
		do := &cobra.Command{Use: "do", Args: cobra.ArbitraryArgs, RunE: func(_ *cobra.Command, args []string) error { got = args; return nil }}
		do.Flags().StringVarP(&key, "key", "k", "", "")
		do.Flags().BoolP("yes", "y", false, "")
		root := &cobra.Command{Use: "root"}
		root.AddCommand(do)
		root.SetArgs(markDashed(root, c))
		if err := root.Execute(); err != nil {
			t.Fatalf("%q: %v", c, err)
		}
		var want []string
		for i, a := range c[1:] {
			if prev := c[i]; a == "other" || a == dashedKey && prev != "--key" && prev != "-k" {
				want = append(want, a)
			}
		}
		if !slices.Equal(got, want) || key != "" && key != dashedKey {
			t.Errorf("%q: %q, key %q", c, got, key)
		}
	}
	for _, c := range []string{"-KanBGWqnCMGiZAT-MnSZk3iTJWfiULBJ0PeqPr72Y", "-x", "--KanBGWqnCMGiZAT MnSZk3iTJWfiULBJ0PeqPr72Y"} {
		if got := markDashed(&cobra.Command{}, []string{c}); got[0] != c {
			t.Errorf("%q", got)
		}
	}
}
