package evidence

import "github.com/attorn/attorn/id"

// Elsewhere is what other logs than its own workspace's hold of an act on a person: what became of whom, by whom, and where it came in. What is the
// own workspace's business stays there: under which authority it was done and why, in whose name, from which address, anybody's words, and what else ended there.
func (e Event) Elsewhere() Event {
	e.Under = nil
	e.Who = Who{Sub: e.Who.Sub, Instance: e.Who.Instance, Proof: e.Who.Proof}
	e.Where.IP = nil
	if e.Why != nil {
		why := Why{Code: e.Why.Code}
		if e.Why = nil; why.Code != "" {
			e.Why = &why
		}
	}
	if e.What != nil {
		what := *e.What
		if what.Text = nil; !what.User.IsZero() { // what a person lent in one workspace
			what.Ended, what.Count, what.List = e.endedKeys(), 0, id.Digest{}
		}
		e.What = &what
	}
	return e
}

// endedKeys are the keys that an event takes from a person, who has them in every workspace.
func (e Event) endedKeys() (keys []string) {
	if e.Kind != UserPasskeyChanged && e.Kind != UserChanged {
		return nil
	}
	for _, s := range e.What.Ended {
		if _, err := id.Parse[id.Delegation](s); err != nil {
			keys = append(keys, s)
		}
	}
	return keys
}

// ElsewhereDetails are those of an event's details that other logs hold, too: the name of a person who is now known there.
func ElsewhereDetails(all []Detail) []Detail {
	var some []Detail
	for _, d := range all {
		if d.Field == "name" {
			some = append(some, d)
		}
	}
	return some
}
