package evidence_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// shards are two logs in two shards each: the server's, and that of the workspace default, whose events x and y are in one each.
type shards struct {
	*story
	server, log [2]*ledger

	closing  func(*evidence.Shard) // what the server's first shard says of its second
	opening  func(*evidence.Shard) // what the server's second shard says of itself
	reopened func(*evidence.Shard) // what it says of the workspace's second
}

func newShards(t testing.TB) *shards {
	s := &shards{story: newStory(t)}
	for i, name := range []string{"2026", "2026-2"} {
		s.server[i] = &ledger{t: t, ws: id.Server, signer: logSigner(t, evidence.Origin(issuer, id.Server, name))}
		s.log[i] = &ledger{t: t, ws: id.Default, signer: logSigner(t, evidence.Origin(issuer, id.Default, name))}
	}
	return s
}

func twist(f func(*evidence.Shard), s evidence.Shard) evidence.Shard {
	if f != nil {
		f(&s)
	}
	return s
}

// begin has both logs go on in their second shards.
func (s *shards) begin() {
	opens := func(l *ledger, name string, shard evidence.Shard) {
		s.happens(l, name, 0, evidence.LogOpened, evidence.What{Log: &shard})
	}
	opens(s.server[0], "opened", s.server[0].opening())
	opens(s.server[0], "log", s.log[0].opening())
	opens(s.log[0], "opened", s.log[0].opening())
	s.happens(s.log[0], "x", 1, evidence.SystemStarted, evidence.What{})

	s.log[1].base = 3
	next := s.log[1].opening()
	s.happens(s.log[0], "closed", 2, evidence.LogClosed, evidence.What{Log: &next})
	_, last := s.log[0].checkpoint()
	next.Checkpoint = string(last)
	reopened := twist(s.reopened, next)
	opens(s.log[1], "reopened", next)

	s.server[1].base = 3
	following := s.server[1].opening()
	closing := twist(s.closing, following)
	s.happens(s.server[0], "closed", 3, evidence.LogClosed, evidence.What{Log: &closing})
	_, last = s.server[0].checkpoint()
	following.Checkpoint = string(last)
	opens(s.server[1], "reopened", twist(s.opening, following))
	opens(s.server[1], "next log", reopened)
	s.happens(s.log[1], "y", 4, evidence.SystemStarted, evidence.What{})
}

// pack is the evidence of an event, all that explains it.
func (s *shards) packOf(l *ledger, name string) evidence.Pack {
	s.t.Helper()
	rev := l.rev(name)
	e, err := evidence.ParseEvent(l.bodies[rev-l.base])
	s.must(err)
	p := evidence.Pack{Question: evidence.Question{Event: e.ID, Workspace: id.Default, Rev: rev}, Issuer: issuer}
	for _, x := range []struct {
		l    *ledger
		name string
	}{{s.server[0], "opened"}, {s.server[0], "log"}, {s.server[0], "closed"}, {s.server[1], "reopened"}, {s.server[1], "next log"}, {l, name}} {
		p.Entries = append(p.Entries, x.l.entry(x.l.rev(x.name)))
	}
	return p
}

func (s *shards) verify(p evidence.Pack, trusted ...*ledger) *evidence.Report {
	s.t.Helper()
	var keys []evidence.LogKey
	for _, l := range trusted {
		keys = append(keys, l.signer.LogKey)
	}
	var b bytes.Buffer
	s.must(p.Write(&b))
	report, err := evidence.Verify(b.Bytes(), []byte(evidence.TrustPolicy(keys...)))
	s.must(err)
	return report
}

// TestOneKeyReachesEveryShard: whichever shard's key of the server's log a verifier kept, it verifies what is in any shard of a workspace's log.
func TestOneKeyReachesEveryShard(t *testing.T) {
	s := newShards(t)
	s.begin()
	for _, event := range []struct {
		l    *ledger
		name string
	}{{s.log[0], "opened"}, {s.log[0], "x"}, {s.log[0], "closed"}, {s.log[1], "reopened"}, {s.log[1], "y"}} {
		for name, trusted := range map[string][]*ledger{"the first": {s.server[0]}, "the second": {s.server[1]}, "both": {s.server[0], s.server[1]}, "both, turned round": {s.server[1], s.server[0]}} {
			if r := s.verify(s.packOf(event.l, event.name), trusted...); r.Answers[0].Verdict != evidence.Holds {
				t.Errorf("%s with trust in %s:\n%s", event.name, name, r.Tree())
			}
		}
	}
	// Of a closed shard nothing needs its key: the next one says how it ended.
	p := s.packOf(s.log[0], "x")
	p.Entries = slices.DeleteFunc(p.Entries, func(e evidence.Entry) bool { return e.Workspace == id.Server && e.Rev < 3 })
	if r := s.verify(p, s.server[1]); r.Answers[0].Verdict != evidence.Holds {
		t.Errorf("without the first shard's entries:\n%s", r.Tree())
	}
}

func TestShardsThatDoNotFit(t *testing.T) {
	mine := func(t *testing.T, origin string) string {
		k, err := evidence.NewLogSigner(origin, mallory(t))
		if err != nil {
			t.Fatal(err)
		}
		return k.String()
	}
	first := evidence.Origin(issuer, id.Server, "2026")
	second := evidence.Origin(issuer, id.Server, "2026-2")
	for name, c := range map[string]struct {
		twist      func(t *testing.T, s *shards)
		trust      int // in which shard
		line, says string
	}{
		"closed for another key": {func(t *testing.T, s *shards) {
			s.closing = func(l *evidence.Shard) { l.VKey = mine(t, second) }
		}, 0, "server log", "not signed with the log's key"},
		"closed for another origin": {func(t *testing.T, s *shards) {
			s.closing = func(l *evidence.Shard) { l.Origin = "other.example/log/server/2027" }
		}, 0, "server log", "closed for one that is not its own"},
		"closed for a workspace's log": {func(t *testing.T, s *shards) {
			s.closing = func(l *evidence.Shard) {
				l.Origin = evidence.Origin(issuer, id.Default, "2027")
				l.VKey = mine(t, l.Origin)
			}
		}, 0, "server log", "closed for one that is not its own"},
		"closed for itself": {func(_ *testing.T, s *shards) {
			s.closing = func(l *evidence.Shard) { l.Origin, l.VKey = first, s.server[0].signer.String() }
		}, 0, "server log", "closed for one that is not its own"},
		"closed for a later place": {func(_ *testing.T, s *shards) { s.closing = func(l *evidence.Shard) { l.Base = 4 } }, 0, "server log", "does not begin where"},
		"opened at a later place":  {func(_ *testing.T, s *shards) { s.opening = func(l *evidence.Shard) { l.Base = 4 } }, 1, "server log", "does not begin where"},
		"opened with another key":  {func(t *testing.T, s *shards) { s.opening = func(l *evidence.Shard) { l.VKey = mine(t, second) } }, 1, "server log", "another key"},
		"opened after no such log": {func(_ *testing.T, s *shards) { s.opening = func(l *evidence.Shard) { l.Checkpoint = "x" } }, 1, "server log", "not a checkpoint"},
		"opened after a workspace": {func(_ *testing.T, s *shards) {
			s.opening = func(l *evidence.Shard) { l.Checkpoint = s.checkpointOf(s.log[0]) }
		}, 1, "server log", "continues a log that is not its own"},
		"a shard that is not named": {func(_ *testing.T, s *shards) { s.opening = func(l *evidence.Shard) { l.Checkpoint = "" } }, 1, "server log", "nothing that is trusted names a key"},
		"a workspace's log that continues another": {func(_ *testing.T, s *shards) {
			s.reopened = func(l *evidence.Shard) { l.Checkpoint = s.checkpointOf(s.server[0]) }
		}, 0, "log", "continues a log that is not its own"},
		"a workspace's log that begins later": {func(_ *testing.T, s *shards) {
			s.reopened = func(l *evidence.Shard) { l.Base = 9 }
		}, 0, "log", "does not begin where"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShards(t)
			c.twist(t, s)
			s.begin()
			r := s.verify(s.packOf(s.log[0], "x"), s.server[c.trust])
			if f := r.FirstFailure; f == nil || f.Verdict != evidence.Fails || f.Name != c.line || !strings.Contains(f.Detail, c.says) {
				t.Errorf("want a failing line %s with %q:\n%s", c.line, c.says, r.Tree())
			}
		})
	}
}

func (s *shards) checkpointOf(l *ledger) string {
	_, signed := l.checkpoint()
	return string(signed)
}

// TestAClosedShardStaysAsItWas: whoever has the key of a shard that was closed adds nothing to it that a verifier believes.
func TestAClosedShardStaysAsItWas(t *testing.T) {
	forge := func(s *shards, l *ledger) { // the key still signs: another history of the shard, and a longer one
		s.happens(l, "forged", 5, evidence.SystemStarted, evidence.What{})
	}
	s := newShards(t)
	s.begin()
	forge(s, s.log[0])
	if r := s.verify(s.packOf(s.log[0], "forged"), s.server[1]); r.FirstFailure == nil || !strings.Contains(r.FirstFailure.Detail, "is not as it was when it was closed") {
		t.Errorf("an entry of a workspace's shard after its end:\n%s", r.Tree())
	}
	s = newShards(t)
	s.begin()
	p := s.packOf(s.log[0], "x")
	forge(s, s.server[0])
	for i, e := range p.Entries[:3] {
		p.Entries[i] = s.server[0].entry(e.Rev)
	}
	for i, says := range []string{"goes on after it was closed", "is not as it was when it was closed"} {
		if r := s.verify(p, s.server[i]); r.FirstFailure == nil || !strings.Contains(r.FirstFailure.Detail, says) {
			t.Errorf("an entry of the server's shard after its end, with trust in shard %d:\n%s", i, r.Tree())
		}
	}
}

// TestCheckHistory: a log in shards is one, and each way in which it is not is named.
func TestCheckHistory(t *testing.T) {
	s := newShards(t)
	s.begin()
	heads := func() (all []evidence.ShardHead) {
		for _, l := range s.log {
			_, signed := l.checkpoint()
			all = append(all, evidence.ShardHead{Key: l.signer.LogKey, Base: l.base, Signed: signed})
		}
		return all
	}
	bodies := slices.Concat(s.log[0].bodies, s.log[1].bodies)
	sum, err := evidence.CheckHistory(slices.Values(stored(bodies)), heads())
	if err != nil || sum.Size != 5 {
		t.Errorf("%+v, %v", sum, err)
	}
	other := &ledger{t: t, ws: id.Default, base: 3, signer: s.log[1].signer}
	for i, b := range s.log[1].bodies {
		e, err := evidence.ParseEvent(b)
		s.must(err)
		if i == 0 {
			e.Kind = evidence.SystemStarted
		}
		other.add("", e)
	}
	for name, c := range map[string]struct {
		bodies [][]byte
		heads  func([]evidence.ShardHead) []evidence.ShardHead
		says   string
	}{
		"no log":                 {nil, func([]evidence.ShardHead) []evidence.ShardHead { return nil }, "there is no log"},
		"an entry is missing":    {slices.Delete(slices.Clone(bodies), 1, 2), nil, "has another revision"},
		"the last is missing":    {bodies[:4], nil, "the tree of 1 entries"},
		"the second is missing":  {bodies[:3], nil, "comes after it"},
		"the first is left out":  {bodies[3:], func(h []evidence.ShardHead) []evidence.ShardHead { return h[1:] }, ""},
		"the shards change":      {bodies, func(h []evidence.ShardHead) []evidence.ShardHead { slices.Reverse(h); return h }, "does not begin where"},
		"the second starts late": {bodies, func(h []evidence.ShardHead) []evidence.ShardHead { h[1].Base++; return h }, "does not begin where"},
		"another key": {bodies, func(h []evidence.ShardHead) []evidence.ShardHead {
			h[1].Key = s.log[0].signer.LogKey
			return h
		}, "of another log than the key"},
		"a shard nobody named": {slices.Concat(s.log[0].bodies, other.bodies), func(h []evidence.ShardHead) []evidence.ShardHead {
			_, signed := other.checkpoint()
			h[1].Signed = signed
			return h
		}, "does not open"},
	} {
		t.Run(name, func(t *testing.T) {
			h := heads()
			if c.heads != nil {
				h = c.heads(h)
			}
			_, err := evidence.CheckHistory(slices.Values(stored(c.bodies)), h)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}
