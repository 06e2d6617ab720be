package evidence

import (
	"fmt"
	"slices"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

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
		if c, err = s.open(p.Checkpoint, c); err != nil {
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
		s := v.shards[l.Origin] // known already where the one after it was opened
		if s.hasKey() {
			return "", wrong("server #%d opens the log %s again", e.Rev, l.Origin)
		}
		v.shards[l.Origin] = shard{key: key, workspace: l.Workspace, base: l.Base, last: s.last}
		if err := v.follows(l, ws); err != nil {
			return "", err
		}
		if ws == v.pack.Question.Workspace {
			question = fmt.Sprintf("%s, opened at server #%d", l.Origin, e.Rev)
		}
	}
	if err := v.join(); err != nil {
		return "", err
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
