package admin

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
)

func kill(x *request, in api.Kill) (api.Killed, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Killed{}, err
	}
	if len(in.ID) > maxParam || !plain(in.ID) {
		return api.Killed{}, fault.New(fault.Invalid, "malformed", "an id is plain text of at most %d bytes", maxParam)
	}
	got, err := x.Guard.Kill(x.ctx, x.caller, guard.Order{Kind: in.Kind, ID: in.ID, Reason: why, Revoke: in.Revoke, DryRun: in.DryRun})
	if err != nil {
		return api.Killed{}, err
	}
	t := got.Toll
	return api.Killed{
		Event: got.Receipt.ID, Rev: got.Receipt.Rev, At: when(got.At), Undo: got.Undo,
		Ended: api.Toll{Instances: t.Instances, Delegations: t.Delegations, Approvals: t.Approvals, Sessions: t.Sessions, Tokens: t.Tokens},
	}, nil
}

func resumeTool(x *request, in api.ToolReason) (api.Done, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Done{}, err
	}
	if !catalog.ValidName(in.Server) || len(in.Tool) > maxParam || !plain(in.Tool) {
		return api.Done{}, fault.New(fault.NotFound, "unknown_tool", "no server could have such a tool")
	}
	got, err := x.Guard.EndTool(x.ctx, x.caller, in.Server, in.Tool, "resume", why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func resumeWorkspace(x *request, in api.Reason) (api.Done, error) {
	why, err := reasonOf(in)
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.EndAll(x.ctx, x.caller, "resume", why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

// maxFeedWait is how long the feed waits for something to tell: a follower's knowledge is never older than two seconds.
const maxFeedWait = time.Second

var processName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func feed(x *request, _ none) (api.Feed, error) {
	after, err := x.revision("after")
	if err != nil {
		return api.Feed{}, err
	}
	server, err := x.revision("server")
	if err != nil {
		return api.Feed{}, err
	}
	if (after < 0) != (server < 0) {
		return api.Feed{}, fault.New(fault.Invalid, "malformed", "after and server go together: the revisions of the answer before")
	}
	var wait time.Duration
	switch x.query.Get("wait") {
	case "", "0":
	case "1":
		wait = maxFeedWait
	default:
		return api.Feed{}, fault.New(fault.Invalid, "malformed", "wait is 0 or 1, in seconds")
	}
	name := x.query.Get("process")
	if name != "" && !processName.MatchString(name) {
		return api.Feed{}, fault.New(fault.Invalid, "malformed", "process is a name of letters, digits, dots, underscores and hyphens, 64 at most")
	}
	h, err := x.Guard.Feed(x.ctx, x.caller, name, after, server, wait)
	if err != nil {
		return api.Feed{}, err
	}
	out := api.Feed{Rev: h.Rev, Server: h.Server, More: h.More, Ended: []api.FeedItem{}}
	for _, a := range h.Ended {
		out.Ended = append(out.Ended, api.FeedItem{Rev: a.Rev, Touch: a.Touches})
	}
	return out, nil
}

// revision is a parameter that names a place in the log; -1 where it is absent.
func (x *request) revision(name string) (int64, error) {
	text := x.query.Get(name)
	if text == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(text, "+") {
		return 0, fault.New(fault.Invalid, "malformed", "%s is a revision of the log", name)
	}
	return n, nil
}

func confirmations(x *request, _ none) (api.List[api.Confirmation], error) {
	rev, err := x.revision("rev")
	if err != nil {
		return api.List[api.Confirmation]{}, err
	}
	found, err := x.Guard.Confirmations(x.ctx, x.caller, rev)
	return page(found, 0, func(c guard.Confirmation) api.Confirmation {
		return api.Confirmation{
			Kind: c.Kind, Name: c.Name, ID: c.ID, Rev: c.Rev, ConfirmedAt: when(c.ConfirmedAt), SeenAt: when(c.SeenAt), Gone: c.Gone, Confirmed: c.Confirmed,
		}
	}, nil), err
}
