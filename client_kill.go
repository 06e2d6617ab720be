package attorn

import (
	"context"
	"net/url"
	"strconv"

	"github.com/attorn/attorn/api"
)

// Kill ends an agent, instance, person, delegation, tool or whole workspace, with everything that descends from it, at once.
func (c *Client) Kill(ctx context.Context, in api.Kill) (api.Killed, error) {
	return ask[api.Killed](ctx, c.door, "Kill", nil, nil, in)
}

// ResumeTool ends the suspension of a tool, or of all that an MCP server offers.
func (c *Client) ResumeTool(ctx context.Context, in api.ToolReason) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "ResumeTool", nil, nil, in)
}

// ResumeWorkspace ends a halt of the workspace.
func (c *Client) ResumeWorkspace(ctx context.Context, reason string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "ResumeWorkspace", nil, nil, api.Reason{Reason: reason})
}

// Confirmations says which processes and followers have applied what ended up to a revision of the log.
func (c *Client) Confirmations(ctx context.Context, rev int64) (api.List[api.Confirmation], error) {
	return ask[api.List[api.Confirmation]](ctx, c.door, "Confirmations", nil, url.Values{"rev": {strconv.FormatInt(rev, 10)}}, nil)
}

// Feed reads what ended since an earlier answer, whose Rev and Server it is given, and waits up to a second for something. To ask after a revision
// confirms that everything up to it is applied. The zero FeedAfter begins with now. Code: feed_gap, where everything that was kept has to be dropped.
func (c *Client) Feed(ctx context.Context, after FeedAfter) (api.Feed, error) {
	return c.door.feed(ctx, after)
}

// FeedAfter says how far a follower has applied the feed.
type FeedAfter struct {
	Began       bool   // false: it begins now, and Rev and Server mean nothing
	Rev, Server int64  // of the last answer
	Process     string // tells processes that follow as the same principal apart
}

func (d *door) feed(ctx context.Context, after FeedAfter) (api.Feed, error) {
	q := url.Values{}
	if after.Began {
		q = url.Values{"after": {strconv.FormatInt(after.Rev, 10)}, "server": {strconv.FormatInt(after.Server, 10)}, "wait": {"1"}}
	}
	set(q, "process", after.Process)
	return ask[api.Feed](ctx, d, "Feed", nil, q, nil)
}
