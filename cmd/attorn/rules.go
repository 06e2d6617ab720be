package main

import "github.com/spf13/cobra"

func (c *cli) policyCommand() *cobra.Command {
	return noun("policy", "What is permitted, and what asks people", c.policyInitCommand(), c.policyCheckCommand(), c.policyFmtCommand(), c.policyTestCommand(), c.policySchemaCommand(),
		c.policyDiffCommand(), c.policyReplayCommand(), c.publishCommand(), c.rollbackCommand(), c.policyLogCommand(), c.policyShowCommand(), c.policyExplain(), c.policySimulate())
}
