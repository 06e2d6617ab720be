package evidence

// What Touches names beside identifiers: a change of a workspace's rules as a whole; something that ends for the whole workspace (it is halted), or for more than
// an event can list; and another of the issuer's keys that signs from now on.
const (
	Policy    = "policy"
	Workspace = "workspace"
	IssuerKey = "issuer-key"
)

// Group begins the identifier of a group: "group:<name>". Decisions of its members rest on it, for what is bound to it and whom it has.
const Group = "group:"

// ResourceID is the identifier of an object of a resource type that is kept here: decisions about it, and about what is in it, rest on it.
func ResourceID(r Resource) string { return "resource:" + r.Type + ":" + r.ID }

// Touches lists the identifiers whose earlier state ends with e. It follows from the event alone, so every node, and every later reader of
// the log, sees the same end at the same place. Draft.Depends speaks of the same identifiers: principals, instances (thumbprints),
// delegations, tokens (jti), "tool:<server>:<tool>", "server:<name>", "group:<name>", "resource:<type>:<id>", keys of the server that are compromised (thumbprints), Policy,
// Workspace and IssuerKey.
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
	if w.Agent.IsZero() { // else it is the agent's owner, who stands as before
		add(w.User.String())
	}
	add(w.Instance.String())
	add(w.Before.String())
	if e.Kind == DelegationReplaced { // what took its place only begins
		add(w.Replaces.String())
	} else {
		add(w.Delegation.String())
	}
	switch {
	case w.Tool != "":
		add("tool:" + w.Server + ":" + w.Tool)
	case w.Server != "":
		add("server:" + w.Server)
	}
	if w.Group != "" {
		add(Group + w.Group)
	}
	if w.Resource != nil {
		add(ResourceID(*w.Resource))
	}
	if w.Count > int64(len(w.Ended)) {
		add(Workspace)
	}
	switch e.Kind {
	case PolicyPublished:
		add(Policy)
	case WorkspaceChanged, ClientChanged: // a rule may be about every app there is
		add(Workspace)
	case ClientRemoved:
		if w.Client != "" { // an app, which may be any number of agents
			add(Workspace)
		}
	case KeyRetired:
		if w.Use == UseToken {
			add(IssuerKey)
		}
	}
	return touched
}
