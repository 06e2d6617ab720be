package guard

import (
	"context"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Publication is one event by which a bundle became the live one.
type Publication struct {
	audit.Entry
	Name    string // of who did it, now
	Message string // "" also where it was erased
	Live    bool   // since then
}

// Publications lists what was live, newest first, before a revision; 0 is from the newest.
func (g *Guard) Publications(ctx context.Context, c *Caller, before int64, limit int) ([]Publication, error) {
	if err := g.May(ctx, c, "attorn:policy:read", "policy"); err != nil {
		return nil, err
	}
	newest, err := g.Log.Search(ctx, c.ws, audit.Filter{Target: "policy", Kind: evidence.PolicyPublished, Limit: 1})
	if err != nil {
		return nil, err
	}
	found, err := g.Log.Search(ctx, c.ws, audit.Filter{Target: "policy", Kind: evidence.PolicyPublished, Before: before, Limit: limit})
	if err != nil {
		return nil, err
	}
	all := make([]Publication, len(found))
	for i, e := range found {
		all[i] = Publication{Entry: e, Name: g.personName(ctx, c.ws, e.Who.Sub), Live: e.Rev == newest[0].Rev}
		if all[i].Message, err = g.words(ctx, e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// personName is what a person or agent is called; "" where nobody knows.
func (g *Guard) personName(ctx context.Context, ws id.Workspace, sub string) string {
	if u, err := id.Parse[id.User](sub); err == nil {
		if p, err := g.People.Person(ctx, ws, u); err == nil {
			return p.Name
		}
		return ""
	}
	if name := g.nameOf(ctx, ws, "agent", sub); name != sub {
		return name
	}
	return ""
}

// words are what somebody said in an event; "" where they said nothing, or it was erased.
func (g *Guard) words(ctx context.Context, e audit.Entry) (text string, err error) {
	if e.What == nil || e.What.Text == nil {
		return "", nil
	}
	disclosure, err := g.Log.Detail(ctx, e, "text")
	if fault.Code(err) == "not_found" {
		return "", nil
	} else if err != nil {
		return "", err
	}
	value, err := e.What.Text.Open(disclosure, "text")
	if err != nil {
		return "", err
	}
	return text, json.Unmarshal(value, &text)
}
