package main

import "github.com/spf13/cobra"

func (c *cli) workspaceCommand() *cobra.Command {
	return noun("workspace", "Workspaces", c.resumeWorkspace())
}
