package evidence

// Policy is what Touches names for a change of a workspace's rules as a whole.
const Policy = "policy"

// Touches lists the identifiers whose earlier state ends with e. It follows from the event alone, so every node, and every later reader of
// the log, sees the same end at the same place. Draft.Depends speaks of the same identifiers: principals, instances (thumbprints),
// delegations, tokens (jti), "tool:<server>:<tool>", "server:<name>" and Policy.
func (e Event) Touches() []string {
	if !e.Kind.Alters() || e.Outcome == Deny || e.What == nil {
		return nil
	}
	w := e.What
	touched := append([]string(nil), w.Ended...)
	add := func(s string) {
		if s != "" {
			touched = append(touched, s)
		}
	}
	add(w.Agent.String())
	add(w.User.String())
	add(w.Instance.String())
	add(w.Delegation.String())
	switch {
	case w.Tool != "":
		add("tool:" + w.Server + ":" + w.Tool)
	case w.Server != "":
		add("server:" + w.Server)
	}
	if e.Kind == PolicyPublished {
		add(Policy)
	}
	return touched
}
