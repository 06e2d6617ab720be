package explain

import (
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// maxLineage is how many keys that vouched for one another a pack shows.
const maxLineage = 500

// lineage adds where a key came from, as of the event: the entry that made it an instance, what vouches for it, and the same of the key that vouched, up to
// one that was enrolled. And the entry by which another key replaced it.
func (g *gathering) lineage(ws id.Workspace, key id.Key, before int64) error {
	if err := g.replaced(ws, key, before); err != nil {
		return err
	}
	for range maxLineage {
		if key.IsZero() || g.traced[key] {
			return nil
		}
		g.traced[key] = true
		made, err := g.made(ws, key, before)
		if err != nil || made.Body == nil {
			return err // not shown
		}
		if err := g.add(ws, made); err != nil {
			return err
		}
		for _, d := range made.Statement() {
			b, err := g.Log.Content(g.ctx, d)
			if fault.Code(err) == "not_found" {
				continue
			} else if err != nil {
				return err
			}
			g.vouchers = append(g.vouchers, evidence.Content{Digest: d, Body: b})
		}
		key, before = made.What.Parent, made.Rev
		if made.Kind == evidence.InstanceRotated {
			key = made.What.Before
		}
	}
	return nil
}

// made is the entry that made a key an instance; the zero value where there is none.
func (g *gathering) made(ws id.Workspace, key id.Key, before int64) (best audit.Entry, err error) {
	for _, kind := range []evidence.Kind{evidence.InstanceEnrolled, evidence.InstanceSpawned, evidence.InstanceRotated} {
		found, err := g.newest(ws, audit.Filter{Target: key.String(), Kind: kind, Before: before, Limit: 200}, func(audit.Entry) bool { return true })
		if err != nil {
			return best, err
		}
		if found.Rev > best.Rev {
			best = found
		}
	}
	return best, nil
}

// replaced adds the entry by which another key took the key's place, if that was before.
func (g *gathering) replaced(ws id.Workspace, key id.Key, before int64) error {
	line, err := g.Agents.Line(g.ctx, ws, key)
	if fault.Code(err) == "not_found" {
		return nil
	} else if err != nil {
		return err
	}
	for _, i := range line {
		if i.Predecessor != key {
			continue
		}
		made, err := g.made(ws, i.Key, before)
		if err != nil || made.Body == nil {
			return err
		}
		return g.add(ws, made)
	}
	return nil
}
