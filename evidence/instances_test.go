package evidence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// vouch is how one key comes to vouch for another in a story; each member can be another than it should be.
type vouch struct {
	name, use string
	at        float64
	life      time.Duration // of the old key, or the child
	by, fresh jose.Signer
	of, as    id.Agent // whose the vouching key is, and the new one
	statement func(*token.KeyStatement)
	halves    func(voucher, possession string) (string, string)
	event     func(*evidence.Event)
}

// line is the story with a longer history: release-bot's key is replaced before it lends, in its grace; the new one spawns a deployer; and that one's
// key is replaced at once before it calls.
type line struct {
	*story
	botNew, child, childNew jose.Signer
	vouches                 []*vouch
}

func newLine(t testing.TB) *line {
	s := newStory(t)
	l := &line{story: s, botNew: keyOf(t, "release-bot, new"), child: keyOf(t, "child"), childNew: keyOf(t, "child, new")}
	s.deployKey, s.proofKey = l.childNew, l.childNew
	s.other = func(name string, e *evidence.Event) { // what is enrolled, whoever acts
		if owner, key, _ := strings.Cut(name, " "); key == "key" {
			pub := keyOf(t, map[string]string{"bot": "release-bot", "deployer": "deployer"}[owner]).Public()
			e.What.Instance, e.What.Key = pub.Thumbprint(), &pub
		}
	}
	bot, dep := agent("release-bot"), agent("deployer")
	l.vouches = []*vouch{
		{name: "bot rotated", use: token.UseRotate, at: 8, life: 5 * time.Minute, by: s.botKey, fresh: l.botNew, of: bot, as: bot},
		{name: "child", use: token.UseSpawn, at: 8.25, life: time.Hour, by: l.botNew, fresh: l.child, of: bot, as: dep},
		{name: "child rotated", use: token.UseRotate, at: 8.5, by: l.child, fresh: l.childNew, of: dep, as: dep},
	}
	s.also = func() (names []string) {
		for _, v := range l.vouches {
			l.happen(v)
			names = append(names, v.name)
		}
		return names
	}
	return l
}

func (l *line) happen(v *vouch) {
	l.t.Helper()
	at := minute(v.at)
	st := token.KeyStatement{
		Use: v.use, Issuer: issuer, Workspace: id.Default, Agent: v.as, Nonce: "bm9uY2Utb2YtdGhlLXN0b3J5", IssuedAt: at.Unix() - 1, Expires: at.Add(v.life).Unix() - 1,
	}
	if v.use == token.UseSpawn {
		st.Expires++
	}
	if v.statement != nil {
		v.statement(&st)
	}
	voucher, possession, err := token.SignKeyStatement(st, v.by, v.fresh)
	l.must(err)
	if v.halves != nil {
		voucher, possession = v.halves(voucher, possession)
	}
	pub := v.fresh.Public()
	e := evidence.Event{
		V: 1, ID: event(v.name), At: at.UnixMicro(), Kind: evidence.InstanceSpawned, Outcome: evidence.OK,
		Who: evidence.Who{Sub: v.of.String(), Instance: v.by.Public().Thumbprint()}, Where: evidence.Where{Face: "admin", Node: "n1"},
		What: &evidence.What{
			Agent: v.as, Instance: pub.Thumbprint(), Key: &pub, Until: at.Add(v.life).UnixMicro(), Parent: v.by.Public().Thumbprint(),
			Voucher: l.keep([]byte(voucher)), Possession: l.keep([]byte(possession)),
		},
	}
	if v.use == token.UseRotate {
		e.Kind, e.What.Parent, e.What.Before = evidence.InstanceRotated, id.Key{}, v.by.Public().Thumbprint()
	}
	if v.event != nil {
		v.event(&e)
	}
	l.log.add(v.name, e)
}

// TestALongerLine: a call by a key that replaced that of a spawned instance, under what a key lent in its grace, is proved from the enrolment on.
func TestALongerLine(t *testing.T) {
	pack, trust := newLine(t).tell()
	r, err := evidence.Verify(pack, []byte(trust))
	if err != nil || !r.OK() {
		t.Fatalf("%v\n%s", err, r.Tree())
	}
	for _, l := range r.Lines {
		if l.Name == "keys" {
			for _, want := range []string{"replaced", "was spawned by", "#8", "#9", "#10"} {
				if !strings.Contains(l.Detail, want) {
					t.Errorf("it does not say %q: %s", want, l.Detail)
				}
			}
		}
	}
}

// TestForgedLines: whoever holds every key of the server still cannot say that one key followed another, or was live when it was not.
func TestForgedLines(t *testing.T) {
	const signature, no = "key_statement_signature", "evidence_wrong"
	on := func(i int, f func(*vouch)) func(*line) { return func(l *line) { f(l.vouches[i]) } }
	whose := func(i int, f func(*token.KeyStatement)) func(*line) { return on(i, func(v *vouch) { v.statement = f }) }
	what := func(i int, f func(*evidence.Event)) func(*line) { return on(i, func(v *vouch) { v.event = f }) }
	forge := func(i int) func(*line) { // the statement is signed by a key of the forger's, and the event says that it is the old key's
		return on(i, func(v *vouch) {
			real := v.by.Public().Thumbprint()
			v.by = keyOf(t, "mallory")
			v.event = func(e *evidence.Event) {
				e.Who.Instance = real
				if e.Kind == evidence.InstanceRotated {
					e.What.Before = real
				} else {
					e.What.Parent = real
				}
			}
		})
	}
	for _, c := range []struct {
		name, code, says string
		twist            func(*line)
	}{
		{"a rotation that the old key did not sign", signature, "#8", forge(0)},
		{"a child that its parent did not sign", signature, "#9", forge(1)},
		{"a child's rotation that it did not sign", signature, "#10", forge(2)},
		{"a new key whose holder did not sign", signature, "#8", on(0, func(v *vouch) {
			v.halves = func(voucher, _ string) (string, string) { return voucher, voucher }
		})},
		{"nothing that vouches", no, "nothing vouches", what(0, func(e *evidence.Event) { e.What.Voucher = id.Digest{} })},
		{"no possession", no, "nothing vouches", what(1, func(e *evidence.Event) { e.What.Possession = id.Digest{} })},
		{"what vouches is left out", hidden, "is not in the pack", what(0, func(e *evidence.Event) { e.What.Voucher = id.Sum([]byte("x")) })},
		{"a statement for a child", "key_statement_use", "", whose(2, func(st *token.KeyStatement) { st.Use = token.UseSpawn; st.Expires += 60 })},
		{"a statement for another server", "key_statement_issuer", "", whose(0, func(st *token.KeyStatement) { st.Issuer = "https://other.example" })},
		{"a statement for another workspace", no, "as another's", whose(0, func(st *token.KeyStatement) { st.Workspace = id.Server })},
		{"a statement for another agent", no, "as another's", whose(1, func(st *token.KeyStatement) { st.Agent = agent("eve") })},
		{"an old statement", "key_statement_time", "", whose(0, func(st *token.KeyStatement) { st.IssuedAt -= 600; st.Expires -= 600 })},
		{"a longer grace than was asked for", no, "another time", what(0, func(e *evidence.Event) { e.What.Until += 60e6 })},
		{"a shorter grace than was asked for", no, "another time", what(0, func(e *evidence.Event) { e.What.Until -= 60e6 })},
		{"a grace of two days", no, "another time", on(0, func(v *vouch) { v.life = 48 * time.Hour })},
		{"a child for two days", no, "more time than may be", on(1, func(v *vouch) { v.life = 48 * time.Hour })},
		{"a child for longer than was asked", no, "more time than may be", what(1, func(e *evidence.Event) { e.What.Until += 60e6 })},
		{"a child that never ends", no, "more time than may be", what(1, func(e *evidence.Event) { e.What.Until = 0 })},
		{"a child that had expired", no, "had expired", on(1, func(v *vouch) { v.life = 23 * time.Minute })},
		{"a key of another agent", no, "was enrolled for", what(2, func(e *evidence.Event) { e.What.Agent = agent("eve") })},
		{"a rotation of another agent's key", no, "by another than", what(0, func(e *evidence.Event) { e.Who.Sub = agent("deployer").String() })},
		{"a rotation by the server", no, "by another than", what(0, func(e *evidence.Event) { e.Who.Sub = evidence.ServerSub })},
		{"a spawn by another instance", no, "by another than", what(1, func(e *evidence.Event) { e.Who.Instance = mallory(t).Public().Thumbprint() })},
		{"a rotation from nothing", no, "by another than", what(0, func(e *evidence.Event) { e.What.Before = id.Key{} })},
		{"another key than the one named", no, "with another key", what(2, func(e *evidence.Event) { e.What.Key = ptr(mallory(t).Public()) })},
		{"a refused rotation", hidden, "enrolment", what(2, func(e *evidence.Event) { e.Outcome = evidence.Deny })},
		{"a call by a key that was replaced", no, "was replaced at #10", func(l *line) { l.deployKey, l.proofKey = l.child, l.child }},
		{"what a key lent after its grace", no, "was replaced at #8", on(0, func(v *vouch) { v.life = 2 * time.Minute })},
		{"what a key lent before it was an instance's", no, "no instance's yet", func(l *line) { l.linkRev, l.botKey = 2, l.botNew }},
		{"two keys that replaced one", no, "two keys have replaced", func(l *line) {
			twice := *l.vouches[2]
			twice.name, twice.fresh = "child rotated again", mallory(t)
			l.vouches = append(l.vouches, &twice)
		}},
		{"a child of a key that is not known", hidden, "enrolment", on(1, func(v *vouch) { v.by = mallory(t) })},
		{"a child that outlives its parent", no, "more time than", func(l *line) {
			grand := keyOf(t, "grandchild")
			l.vouches = append(l.vouches, &vouch{
				name: "grandchild", use: token.UseSpawn, at: 9, life: 2 * time.Hour, by: l.childNew, fresh: grand, of: agent("deployer"), as: agent("deployer"),
			})
			l.deployKey, l.proofKey = grand, grand
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLine(t)
			c.twist(l)
			pack, trust := l.tell()
			r, err := evidence.Verify(pack, []byte(trust))
			if err != nil {
				t.Fatal(err)
			}
			f := r.FirstFailure
			if f == nil || f.Name != "keys" || f.Code != c.code || !strings.Contains(f.Detail, c.says) {
				t.Errorf("%+v\n%s", f, r.Tree())
			}
		})
	}
}

// A rotation and a spawning are questions themselves: whether the key that they say vouched, did.
func TestTheMakingOfAKeyIsProved(t *testing.T) {
	for i, name := range []string{"bot rotated", "child", "child rotated"} {
		for forged, want := range map[bool]evidence.Verdict{false: evidence.NotShown, true: evidence.Fails} {
			l := newLine(t)
			if forged {
				l.vouches[i].halves = func(_, possession string) (string, string) { return possession, possession }
			}
			l.vouches[i].event = func(e *evidence.Event) {
				e.Did = &evidence.Did{Action: "attorn:instance:" + l.vouches[i].use, Resource: evidence.Resource{Type: "Noun", ID: "instance"}}
				e.Why = &evidence.Why{Bundle: id.Sum([]byte("x")), Facts: id.Sum([]byte("y"))}
			}
			l.begin()
			l.question = evidence.Event{ID: event(name)}
			l.links = []delegation.Link{{}}
			l.added = slices.DeleteFunc(l.added, func(s string) bool { return s == name })
			pack, trust := l.packed(l.log.rev(name))
			r, err := evidence.Verify(pack, []byte(trust))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range r.Lines {
				if line.Name == "keys" && (line.Verdict == evidence.Fails) != forged {
					t.Errorf("%s, forged %v: %+v", name, forged, line)
				}
			}
			if got := r.Answers[1].Verdict; got != want {
				t.Errorf("%s, forged %v: %s\n%s", name, forged, got, r.Tree())
			}
		}
	}
}
