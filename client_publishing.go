package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
)

// Publish makes files the live policies, beside the built-in ones and what the API made. The request is signed as a whole with the person's key, as the built-in
// policies demand.
func (c *Client) Publish(ctx context.Context, in api.Publish) (api.Published, error) {
	return ask[api.Published](ctx, c.door, "Publish", nil, nil, in)
}

// Rollback makes a bundle that was published before the live one again. The request is signed like that of Publish.
func (c *Client) Rollback(ctx context.Context, in api.Rollback) (api.Published, error) {
	return ask[api.Published](ctx, c.door, "Rollback", nil, nil, in)
}

// Policy reads the live policies, the built-in ones under attorn/ among them.
func (c *Client) Policy(ctx context.Context) (api.Bundle, error) {
	return ask[api.Bundle](ctx, c.door, "Policy", nil, nil, nil)
}

// Bundle reads a bundle that was published: by its digest or an unambiguous beginning of it, or as "live" or "previous".
func (c *Client) Bundle(ctx context.Context, bundle string) (api.Bundle, error) {
	return ask[api.Bundle](ctx, c.door, "Bundle", []string{bundle}, nil, nil)
}

// PolicyLog lists who made which bundle the live one, newest first; Page.After is the Next of the page before.
func (c *Client) PolicyLog(ctx context.Context, p Page) (api.List[api.Publication], error) {
	return ask[api.List[api.Publication]](ctx, c.door, "PolicyLog", nil, p.query("before"), nil)
}

// Replay decides again, by a candidate, what was really asked since a time. told, unless nil, hears what is replayed, and then how far it is.
func (c *Client) Replay(ctx context.Context, in api.Replay, told func(started api.ReplayStarted, done int64)) (api.Replayed, error) {
	var out api.Replayed
	whole := false
	err := c.door.lines(ctx, "Replay", in, func(raw []byte) error {
		var l api.ReplayLine
		if err := understand(raw, &l); err != nil {
			return err
		}
		switch {
		case l.Problem != nil:
			return refused(l.Problem.Status, *l.Problem)
		case l.Outlook != nil:
			out.Outlook, whole = *l.Outlook, true
			return nil
		case l.Started != nil:
			out.Started = *l.Started
		}
		if told != nil {
			told(out.Started, l.Done)
		}
		return nil
	})
	if err == nil && !whole {
		err = fault.New(fault.Unavailable, "bad_answer", "the server's answer ended before there was an outcome").Try("try again")
	}
	return out, err
}
