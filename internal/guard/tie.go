package guard

import (
	"context"
	"slices"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
)

// untied refuses a voter who counts as one with any of others (identifiers of anybody), because of a recovery: who made the other's link could be the
// other. Being oneself is another rule's. Code: four_eyes.
func (g *Guard) untied(ctx context.Context, voter id.User, others []string) error {
	tied, err := g.People.Tied(ctx, voter, g.Now())
	if err != nil {
		return err
	}
	for _, t := range tied {
		if t != voter && slices.Contains(others, t.String()) {
			return fault.New(fault.Denied, "four_eyes", "%s and %s count as one here: one of them made the link by which the other was recovered, or somebody who did stands between them", voter, t).
				Try("ask another person who may vote")
		}
	}
	return nil
}

// onlyEyes refuses a vote beside that of somebody with whom the voter counts as one. Code: four_eyes.
func (g *Guard) onlyEyes(ctx context.Context, ws id.Workspace, voter id.User, a approvals.Approval) error {
	votes, err := g.Approvals.Votes(ctx, ws, a.ID)
	if err != nil {
		return err
	}
	var approved []string
	for _, b := range votes {
		if b.Vote.Vote == evidence.Approve {
			approved = append(approved, b.Vote.Voter.String())
		}
	}
	return g.untied(ctx, voter, approved)
}
