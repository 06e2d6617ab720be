package admin

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

func events(x *request, _ none) (api.List[api.Event], error) {
	var none api.List[api.Event]
	f, err := x.filter()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.Events(x.ctx, x.caller, f)
	if err != nil {
		return none, err
	}
	return page(found, f.Limit, eventOf, func(e audit.Entry) string { return strconv.FormatInt(e.Rev, 10) }), nil
}

// filter reads the search from the query.
func (x *request) filter() (f audit.Filter, err error) {
	get := x.query.Get
	f.Target, f.Task, f.Kind = get("target"), get("task"), evidence.Kind(get("kind"))
	if f.Kind != "" && !f.Kind.Known() {
		return f, fault.New(fault.Invalid, "malformed", "kind: there are no events of kind %q", f.Kind)
	}
	if f.Agent, err = read(id.Parse[id.Agent], "agent", x.me(get("agent"))); err != nil {
		return f, err
	}
	if f.Person, err = read(id.Parse[id.User], "person", x.me(get("person"))); err != nil {
		return f, err
	}
	if f.Thread, err = read(id.Parse[id.Event], "thread", get("thread")); err != nil {
		return f, err
	}
	if f.Refused, err = read(strconv.ParseBool, "refused", get("refused")); err != nil {
		return f, err
	}
	rev := func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
	if f.Before, err = read(rev, "before", get("before")); err != nil {
		return f, err
	}
	if get("before") != "" && f.Before < 1 {
		return f, fault.New(fault.Invalid, "malformed", "before is the rev of an event, at least 1")
	}
	f.Limit, err = x.limit()
	return f, err
}

func eventOf(e audit.Entry) api.Event {
	return api.Event{ID: e.ID, Rev: e.Rev, Body: jsontext.Value(e.Body)}
}

func oneEvent(x *request, _ none) (api.Event, error) {
	e, err := x.event()
	if err != nil {
		return api.Event{}, err
	}
	found, err := x.Guard.Event(x.ctx, x.caller, e)
	return eventOf(found), err
}

func why(x *request, _ none) (api.Answer, error) {
	e, err := x.event()
	if err != nil {
		return api.Answer{}, err
	}
	if err := x.Guard.MayExplain(x.ctx, x.caller, e); err != nil {
		return api.Answer{}, err
	}
	return x.Explain.Answer(x.ctx, x.caller.Workspace(), e)
}

func pack(x *request, _ none) (file, error) {
	e, err := x.event()
	if err != nil {
		return file{}, err
	}
	if err := x.Guard.MayExplain(x.ctx, x.caller, e); err != nil {
		return file{}, err
	}
	b, err := x.Explain.Pack(x.ctx, x.caller.Workspace(), e)
	return file{"application/zip", b}, err
}

func head(x *request, _ none) (api.Head, error) {
	history, err := x.Guard.History(x.ctx, x.caller)
	if err != nil {
		return api.Head{}, err
	}
	var shards []api.Shard
	for _, h := range history {
		shards = append(shards, api.Shard{Origin: h.Shard.Origin, VKey: h.Shard.VKey, Rev: h.Rev(), Checkpoint: h.Shard.Checkpoint})
	}
	last := len(shards) - 1
	return api.Head{Shard: shards[last], Earlier: shards[:last]}, nil
}

func trust(x *request, _ none) (file, error) {
	b, err := x.Explain.Trust(x.ctx)
	return file{"text/plain; charset=utf-8", b}, err
}
