package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
)

// Authorize asks whether a subject may do something with an object of a service's own (AuthZEN 1.0). The decision is recorded before it is answered. Permitted is what
// Decision says, and nothing else; a denial is no error.
func (c *Client) Authorize(ctx context.Context, in api.Evaluation) (api.Decision, error) {
	return c.Evaluation(ctx, in)
}

// Evaluation is Authorize, under the route's name.
func (c *Client) Evaluation(ctx context.Context, in api.Evaluation) (api.Decision, error) {
	return ask[api.Decision](ctx, c.door, "Evaluation", nil, nil, in)
}

// Evaluations asks several questions at once; all answers are recorded in one transaction.
func (c *Client) Evaluations(ctx context.Context, in api.Evaluations) (api.Decisions, error) {
	return ask[api.Decisions](ctx, c.door, "Evaluations", nil, nil, in)
}

// SearchSubject asks who may.
func (c *Client) SearchSubject(ctx context.Context, in api.EntitySearch) (api.Found, error) {
	return ask[api.Found](ctx, c.door, "SearchSubject", nil, nil, in)
}

// SearchResource asks what with.
func (c *Client) SearchResource(ctx context.Context, in api.EntitySearch) (api.Found, error) {
	return ask[api.Found](ctx, c.door, "SearchResource", nil, nil, in)
}

// SearchAction asks what somebody may do.
func (c *Client) SearchAction(ctx context.Context, in api.EntitySearch) (api.Found, error) {
	return ask[api.Found](ctx, c.door, "SearchAction", nil, nil, in)
}

// Authorize asks as the agent: for a service that is one, with the permission attorn:decision:check.
func (a *Agent) Authorize(ctx context.Context, in api.Evaluation) (api.Decision, error) {
	return ask[api.Decision](ctx, a.door, "Evaluation", nil, nil, in)
}
