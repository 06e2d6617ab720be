package evidence

import (
	"fmt"

	"github.com/attorn/attorn/id"
)

// shard is a log whose key, or whose last checkpoint, is established. A workspace's history is one shard after the other (evidence.md §4).
type shard struct {
	key       LogKey // zero where only the last checkpoint is known, from the shard after it
	workspace id.Workspace
	base      int64       // -1 while it is not known
	last      *Checkpoint // of a shard that was closed: nothing else is believed of it, whoever has its key now
}

func (s shard) hasKey() bool { return s.key.origin != "" }

// joint says that one shard follows another: where it begins, and how many entries the one before had.
type joint struct {
	before, after string
	size, base    int64
}

// serverLog checks the entries of the server's log. From a shard that the trust policy names the others follow, in both directions: the last entry of a
// closed one names the key of the next, and the first entry of that has the last checkpoint of the one before.
func (v *verifier) serverLog() (string, error) {
	for _, k := range v.trusted {
		if _, ws, ok := splitOrigin(k.Name()); ok && ws == id.Server {
			v.shards[k.Name()] = shard{key: k, workspace: id.Server, base: -1}
		}
	}
	var waiting []Entry
	for _, e := range v.pack.Entries {
		if e.Workspace == id.Server {
			waiting = append(waiting, e)
		}
	}
	said := ""
	for len(waiting) > 0 {
		var later []Entry
		for _, e := range waiting {
			if _, known := v.shards[proofOrigin(e)]; !known {
				later = append(later, e)
				continue
			}
			c, err := v.serverEntry(e)
			if err != nil {
				return "", err
			}
			if said == "" {
				said = fmt.Sprintf("%s, %d entries, signed with the trusted key", c.Origin, c.Size)
			}
		}
		if len(later) == len(waiting) {
			_, _, err := v.locate(later[0])
			return "", err
		}
		waiting = later
	}
	if said == "" {
		return "", wrong("the pack has nothing of a server log that the trust policy names")
	}
	if withoutScheme(v.pack.Issuer) != v.server {
		return "", wrong("the issuer %s is not the server whose log is trusted", v.pack.Issuer)
	}
	if err := v.join(); err != nil {
		return "", err
	}
	for _, e := range v.pack.Entries {
		if e.Workspace == id.Server {
			if err := v.admit(e); err != nil {
				return "", err
			}
		}
	}
	return said, nil
}

// proofOrigin is the log that an entry's proof is of; "" where that cannot be read.
func proofOrigin(e Entry) string {
	p, err := ParseInclusion(e.Proof)
	if err != nil {
		return ""
	}
	c, err := parseCheckpoint(p.Checkpoint)
	if err != nil {
		return ""
	}
	return c.Origin
}

// serverEntry checks that an entry is in a known shard of the server's log, and learns from it about the shards beside.
func (v *verifier) serverEntry(e Entry) (Checkpoint, error) {
	p, c, err := v.locate(e)
	if err != nil {
		return c, err
	}
	server, _, _ := splitOrigin(c.Origin)
	if v.server == "" {
		v.server = server
	}
	if server != v.server {
		return c, wrong("the pack mixes the logs of two servers")
	}
	if p.Index == 0 {
		opening, err := v.ownOpening(e, c.Origin)
		if err != nil {
			return c, err
		}
		s := v.shards[c.Origin]
		s.base = opening.Base
		v.shards[c.Origin] = s
		return c, v.follows(opening, id.Server)
	}
	if ev, err := ParseEvent(e.Body); err == nil && ev.Kind == LogClosed && ev.Outcome == OK && ev.What != nil && ev.What.Log != nil {
		if p.Index != c.Size-1 {
			return c, wrong("the log %s goes on after it was closed", c.Origin)
		}
		return c, v.closes(c, *ev.What.Log)
	}
	return c, nil
}

// ownOpening reads a server log's first entry, which says at which revision it begins.
func (v *verifier) ownOpening(e Entry, origin string) (Shard, error) {
	ev, err := ParseEvent(e.Body)
	if err != nil || ev.Kind != LogOpened || ev.Outcome != OK || ev.What == nil || ev.What.Log == nil {
		return Shard{}, wrong("the first entry of %s does not open it", origin)
	}
	l, s := *ev.What.Log, v.shards[origin]
	if l.Origin != origin || l.Workspace != id.Server || s.hasKey() && l.VKey != s.key.String() || l.Base < 0 {
		return Shard{}, wrong("%s was opened as another log, or with another key, than the trusted one", origin)
	}
	return l, nil
}

// closes learns from the last entry of a shard of the server's log which one comes next.
func (v *verifier) closes(c Checkpoint, next Shard) error {
	key, err := ParseVKey(next.VKey)
	server, ws, ok := splitOrigin(next.Origin)
	if err != nil || !ok || key.Name() != next.Origin || server != v.server || ws != id.Server || next.Workspace != id.Server || next.Origin == c.Origin {
		return wrong("the log %s was closed for one that is not its own", c.Origin)
	}
	s, known := v.shards[next.Origin]
	switch {
	case !known:
		s = shard{workspace: id.Server, base: -1}
	case s.hasKey() && s.key.raw != key.raw:
		return wrong("the log %s was closed for one with another key than is known", c.Origin)
	}
	s.key = key
	v.shards[next.Origin] = s
	v.joints = append(v.joints, joint{c.Origin, next.Origin, c.Size, next.Base})
	return v.ended(c, id.Server)
}

// follows learns from the opening of a shard how the one before ended; the first of a workspace has none before it.
func (v *verifier) follows(l Shard, ws id.Workspace) error {
	if l.Checkpoint == "" {
		return nil
	}
	last, err := parseCheckpoint([]byte(l.Checkpoint))
	if err != nil {
		return err
	}
	if server, of, ok := splitOrigin(last.Origin); !ok || server != v.server || of != ws || last.Origin == l.Origin {
		return wrong("%s continues a log that is not its own", l.Origin)
	}
	v.joints = append(v.joints, joint{last.Origin, l.Origin, last.Size, l.Base})
	return v.ended(last, ws)
}

// ended notes the last checkpoint of a shard. That is stronger than its key: whoever else may have that cannot add to what was closed.
func (v *verifier) ended(last Checkpoint, ws id.Workspace) error {
	s, known := v.shards[last.Origin]
	if !known {
		s = shard{workspace: ws, base: -1}
	}
	if s.last != nil && *s.last != last {
		return wrong("the log %s ended in two ways", last.Origin)
	}
	if head, seen := v.heads[last.Origin]; seen {
		if c, err := parseCheckpoint([]byte(head)); err != nil || c != last {
			return notAsClosed(last.Origin)
		}
	}
	s.last = &last
	v.shards[last.Origin] = s
	return nil
}

func notAsClosed(origin string) error {
	return wrong("the log %s is not as it was when it was closed", origin)
}

// open gives the checkpoint of a proof, which must be of the shard's key, and of a closed shard its last.
func (s shard) open(signed []byte, c Checkpoint) (Checkpoint, error) {
	if s.last != nil {
		if c != *s.last {
			return c, notAsClosed(c.Origin)
		}
		return c, nil
	}
	return OpenCheckpoint(signed, s.key)
}

// join has each shard begin where the one before it ended.
func (v *verifier) join() error {
	for range 2 { // the second time round every one that any says is known
		for _, l := range v.joints {
			before, after := v.shards[l.before], v.shards[l.after]
			if l.base < l.size || after.base >= 0 && after.base != l.base || before.base >= 0 && before.base != l.base-l.size {
				return wrong("the log %s does not begin where %s ended", l.after, l.before)
			}
			after.base, before.base = l.base, l.base-l.size
			v.shards[l.before], v.shards[l.after] = before, after
		}
	}
	return nil
}
