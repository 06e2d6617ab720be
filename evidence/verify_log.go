package evidence

import (
	"fmt"
	"slices"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// serverLog checks the entries of the server's log with the trusted keys.
func (v *verifier) serverLog() (string, error) {
	for _, k := range v.trusted {
		if _, ws, ok := splitOrigin(k.Name()); ok && ws == id.Server {
			v.shards[k.Name()] = shard{key: k, workspace: id.Server, base: -1}
		}
	}
	size, origin := int64(0), ""
	for _, e := range v.pack.Entries {
		if e.Workspace != id.Server {
			continue
		}
		p, c, err := v.locate(e)
		if err != nil {
			return "", err
		}
		s := v.shards[c.Origin]
		if p.Index == 0 {
			if s.base, err = v.ownOpening(e, c.Origin, s); err != nil {
				return "", err
			}
			v.shards[c.Origin] = s
		}
		if origin == "" {
			origin, size = c.Origin, c.Size
			v.server, _, _ = splitOrigin(origin)
		}
		if server, _, _ := splitOrigin(c.Origin); server != v.server {
			return "", wrong("the pack mixes the logs of two servers")
		}
	}
	if origin == "" {
		return "", wrong("the pack has nothing of a server log that the trust policy names")
	}
	if withoutScheme(v.pack.Issuer) != v.server {
		return "", wrong("the issuer %s is not the server whose log is trusted", v.pack.Issuer)
	}
	for _, e := range v.pack.Entries {
		if e.Workspace == id.Server {
			if err := v.admit(e); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%s, %d entries, signed with the trusted key", origin, size), nil
}

// ownOpening reads a server log's first entry, which says at which revision it begins.
func (v *verifier) ownOpening(e Entry, origin string, s shard) (int64, error) {
	ev, err := ParseEvent(e.Body)
	if err != nil || ev.Kind != LogOpened || ev.Outcome != OK || ev.What == nil || ev.What.Log == nil {
		return 0, wrong("the first entry of %s does not open it", origin)
	}
	if l := ev.What.Log; l.Origin != origin || l.Workspace != id.Server || l.VKey != s.key.String() || l.Base < 0 {
		return 0, wrong("%s was opened as another log, or with another key, than the trusted one", origin)
	}
	return ev.What.Log.Base, nil
}

// locate finds the log of an entry and checks that the entry is in it.
func (v *verifier) locate(e Entry) (Inclusion, Checkpoint, error) {
	at := func(err error) error {
		if e.Workspace == v.pack.Question.Workspace && e.Rev == v.pack.Question.Rev {
			return err
		}
		return fault.Wrap(err, fault.Denied, fault.Code(err), "%s #%d: %s", e.Workspace, e.Rev, err.Error())
	}
	p, err := ParseInclusion(e.Proof)
	if err != nil {
		return p, Checkpoint{}, at(err)
	}
	c, err := parseCheckpoint(p.Checkpoint)
	if err != nil {
		return p, c, at(err)
	}
	if head, seen := v.heads[c.Origin]; !seen {
		s, ok := v.shards[c.Origin]
		if !ok {
			return p, c, at(wrong("nothing that is trusted names a key for the log %s", c.Origin))
		}
		if c, err = OpenCheckpoint(p.Checkpoint, s.key); err != nil {
			return p, c, at(err)
		}
		v.heads[c.Origin] = string(p.Checkpoint)
	} else if head != string(p.Checkpoint) { // two heads could be of two histories
		return p, c, at(wrong("the pack holds two checkpoints of the log %s", c.Origin))
	}
	if v.shards[c.Origin].workspace != e.Workspace {
		return p, c, at(wrong("the checkpoint is of another workspace's log"))
	}
	if err := p.leads(e.Body, c); err != nil {
		return p, c, at(err)
	}
	return p, c, nil
}

// admit adds an entry that is in its log to what is known.
func (v *verifier) admit(e Entry) error {
	p, c, err := v.locate(e)
	if err != nil {
		return err
	}
	s := v.shards[c.Origin]
	if s.base < 0 || e.Rev != s.base+p.Index {
		return wrong("%s #%d is entry %d of its log, which does not begin there", e.Workspace, e.Rev, p.Index)
	}
	ev, err := ParseEvent(e.Body)
	if err != nil {
		if ev, err = parseFuture(e.Body); err != nil {
			return wrong("%s #%d is no event: %s", e.Workspace, e.Rev, err.Error())
		}
	}
	if ev.Rev != e.Rev {
		return wrong("%s #%d says of itself that it is #%d", e.Workspace, e.Rev, ev.Rev)
	}
	v.entries = append(v.entries, entry{ev, e.Workspace, c.Size})
	return nil
}

// parseFuture reads what an event of a later version has in common with ours. Its kind is kept from meaning anything here.
func parseFuture(body []byte) (Event, error) {
	var e struct {
		ID   id.Event `json:"id"`
		At   int64    `json:"at"`
		Kind string   `json:"kind"`
		Rev  int64    `json:"rev"`
	}
	if err := jose.DecodeForeign(body, &e, jose.Limits{Bytes: MaxEvent}); err != nil {
		return Event{}, err
	}
	return Event{ID: e.ID, At: e.At, Kind: unknownKind, Rev: e.Rev}, nil
}

// unknownKind is the kind of an event whose body this version cannot read.
const unknownKind Kind = "?"

// openings reads from the server's log which logs there are.
func (v *verifier) openings() (string, error) {
	question := ""
	for _, e := range v.entries {
		if e.Kind != LogOpened || e.Outcome != OK || e.What == nil || e.What.Log == nil || e.What.Log.Workspace == id.Server {
			continue
		}
		l := *e.What.Log
		key, err := ParseVKey(l.VKey)
		server, ws, ok := splitOrigin(l.Origin)
		if err != nil || !ok || server != v.server || ws != l.Workspace || key.Name() != l.Origin || l.Base < 0 {
			return "", wrong("server #%d opens a log under an origin or key that is not its own", e.Rev)
		}
		if _, twice := v.shards[l.Origin]; twice {
			return "", wrong("server #%d opens the log %s again", e.Rev, l.Origin)
		}
		v.shards[l.Origin] = shard{key, l.Workspace, l.Base}
		if ws == v.pack.Question.Workspace {
			question = fmt.Sprintf("%s, opened at server #%d", l.Origin, e.Rev)
		}
	}
	if question == "" && v.pack.Question.Workspace != id.Server {
		return "", notShown("the opening of the log of workspace %s is not in the pack", v.pack.Question.Workspace)
	}
	return question, nil
}

// theEvent checks the question's event before any other of the workspace.
func (v *verifier) theEvent() (string, error) {
	q := v.pack.Question
	for _, e := range v.pack.Entries {
		if e.Workspace != q.Workspace || e.Rev != q.Rev {
			continue
		}
		if q.Workspace != id.Server {
			if err := v.admit(e); err != nil {
				return "", err
			}
		}
		i := slices.IndexFunc(v.entries, func(x entry) bool { return x.workspace == q.Workspace && x.Rev == q.Rev })
		if v.entries[i].ID != q.Event {
			return "", wrong("it is the event %s, not %s", v.entries[i].ID, q.Event)
		}
		found := v.entries[i]
		v.event = &found
		v.known = found.Kind.Known()
		return fmt.Sprintf("%s is #%d, in the checkpoint of %d entries", q.Event, q.Rev, found.size), nil
	}
	return "", wrong("the event %s is not in the pack", q.Event)
}

// others checks every further event of the pack.
func (v *verifier) others() (string, error) {
	n := 0
	for _, e := range v.pack.Entries {
		if e.Workspace == id.Server || e.Workspace == v.pack.Question.Workspace && e.Rev == v.pack.Question.Rev {
			continue
		}
		if err := v.admit(e); err != nil {
			return "", err
		}
		n++
	}
	return fmt.Sprintf("%d further events are in their logs", len(v.entries)-1), nil
}

// allDetails checks that each detail opens a member of its event.
func (v *verifier) allDetails() (string, error) {
	for _, d := range v.pack.Details {
		i := slices.IndexFunc(v.entries, func(e entry) bool { return e.workspace == d.Workspace && e.Rev == d.Rev })
		if i < 0 {
			return "", wrong("a detail %s of %s #%d, which is not in the pack", d.Field, d.Workspace, d.Rev)
		}
		value, err := v.entries[i].opened(d)
		if err != nil {
			return "", fault.Wrap(err, fault.Denied, fault.Code(err), "the detail %s of %s #%d: %s", d.Field, d.Workspace, d.Rev, err.Error())
		}
		if v.event.workspace == d.Workspace && v.event.Rev == d.Rev {
			v.details[d.Field] = value
		}
	}
	return fmt.Sprintf("%d open what the events sealed", len(v.pack.Details)), nil
}

// opened is the value of a detail: of a sealed member, or the bytes of the proof.
func (e *entry) opened(d Disclosed) ([]byte, error) {
	var sealed *Sealed
	switch d.Field {
	case "proof":
		if p := e.Who.Proof; p == nil || p.SHA256.IsZero() || id.Sum(d.Bytes) != p.SHA256 {
			return nil, wrong("it is not the proof that the event names")
		}
		return d.Bytes, nil
	case "args":
		if e.Did != nil {
			sealed = e.Did.Args
		}
	case "ip":
		sealed = e.Where.IP
	case "name":
		if e.What != nil {
			sealed = e.What.Name
		}
	case "email":
		if e.What != nil {
			sealed = e.What.Email
		}
	case "text":
		if e.What != nil {
			sealed = e.What.Text
		}
	}
	if sealed == nil {
		return nil, wrong("the event seals no such member")
	}
	return sealed.Open(d.Bytes, d.Field)
}
