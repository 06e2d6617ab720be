package explain

import (
	"maps"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// objects gives the facts of a decision about an object of a service's own what is kept of it now, and of those that stand for the principals.
func (g *gathering) objects(ws id.Workspace, set *policy.Set, f *policy.Facts) error {
	if set.Type(f.Resource.Type) == nil {
		return nil
	}
	subs := make([]string, len(f.Principals))
	for i, p := range f.Principals {
		subs[i] = p.ID
	}
	standing, err := g.Rules.StandingFor(g.ctx, ws, subs...)
	if err != nil {
		return err
	}
	for i, e := range f.Entities {
		if t := set.Type(e.UID.Type); t != nil && t.Source == policy.SourceStored {
			kept, err := g.Rules.Resource(g.ctx, ws, e.UID)
			if err != nil {
				return err
			}
			if f.Entities[i], err = t.Entity(kept.UID.ID, kept.Parents, kept.Attrs); err != nil {
				return err
			}
		}
		for _, o := range standing {
			t := set.Type(o.UID.Type)
			if o.Principal != e.UID.ID || t == nil {
				continue
			}
			object, err := t.Entity(o.UID.ID, o.Parents, o.Attrs)
			if err != nil {
				return err
			}
			tags := t.Tags(object)
			maps.Copy(tags, f.Entities[i].Tags)
			f.Entities[i].Tags = tags
		}
	}
	return nil
}
