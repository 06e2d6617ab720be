package guard_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// soul is somebody who is on chains: a person, an agent or one of its instances. What happened to it is told by the count of deeds, for a clock is too coarse.
type soul struct {
	suspended bool
	stopped   int   // by the latest deed that did
	at        int64 // when, seconds
}

// actor is an agent with its instances.
type actor struct {
	soul
	keys []*party
	each []soul
}

// loan is a delegation as the naive model knows it.
type loan struct {
	signed  delegation.Signed
	link    *delegation.Link // nil: only signed
	parent  int              // -1 at a root
	by, key int              // the person at a root; else the agent, and its key that signs
	to      int
	bound   int // to a key of the delegate; -1: to none
	perms   []calls
	used    int64
	revoked bool
	next    int // what was lent in its place; 0: nothing
}

func (l *loan) st() *delegation.Statement { return &l.signed.Statement }

func (l *loan) exhausted() bool { return l.st().MaxUses != nil && l.used >= *l.st().MaxUses }

// ticketed is an access token as the model knows it.
type ticketed struct {
	raw       string
	jti       string
	of        int // the loan
	agent     int
	key       int
	server    string
	perms     []calls
	iat, exp  int64
	deed      int // that issued it
	wasEnded  bool
	everEnded bool // it was seen not to stand for a reason that does not pass
}

// differ is the doors, and beside them what the words of the design say they should do.
type differ struct {
	*story
	doors    []*guard.Guard
	people   []*party
	souls    []soul // of the people
	actors   []*actor
	stranger *party // of another workspace
	loans    []*loan
	tokens   []*ticketed
	deed     int
	counts   map[string]int
}

const (
	freePolicy = `
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" && context has subject };
`
)

func newDiffer(t *testing.T, dsn string) *differ {
	t.Helper()
	d := &differ{story: &story{rig: newRig(t, dsn)}, counts: map[string]int{}}
	d.priya = d.firstOwner("Ada")
	d.priya.publish(freePolicy)
	for server, tools := range map[string][]string{"s": {"a", "ab", "b"}, "t": {"a", "b"}} {
		offer := catalog.Offer{Era: catalog.Legacy}
		for _, name := range tools {
			item, err := catalog.ReadItem(catalog.KindTool, []byte(`{"name":"`+name+`","description":"d","inputSchema":{"type":"object","properties":{"p":{},"n":{}}}}`))
			d.ok(err)
			offer.Items = append(offer.Items, item)
		}
		_, err := d.RegisterServer(t.Context(), d.priya.api(), catalog.Server{Name: server, Transport: "stdio", Command: []string{server}}, offer)
		d.ok(err)
	}
	for _, name := range []string{"Priya", "Maya"} {
		p := d.priya.invite(name)
		d.bind(p, "developer", false)
		d.people = append(d.people, p)
	}
	for _, name := range []string{"planner", "coder", "tester", "runner"} {
		first := d.priya.register(name)
		second := *first
		second.signer = d.twin(first)
		d.actors = append(d.actors, &actor{keys: []*party{first, &second}})
	}
	acme := d.workspace("acme")
	a, _, err := d.RegisterAgent(t.Context(), d.priya.in(acme), agents.NewAgent{Name: "stranger"})
	d.ok(err)
	secret, _, err := d.OfferEnrolment(t.Context(), d.priya.in(acme), a.ID)
	d.ok(err)
	d.stranger = &party{rig: d.rig, signer: newSigner(t), agent: a.ID}
	_, _, err = d.Enrol(t.Context(), secret, d.keyCredentials(d.stranger.signer, "/v1/enrol"))
	d.ok(err)
	if d.doors = d.story.doors(dsn); len(d.doors) == 1 { // one process, and two that remember each for itself
		d.doors = append(d.doors, guard.New(d.Config))
	}
	return d
}

// begin forgets what was lent, and lets everybody go on.
func (d *differ) begin() {
	d.loans, d.tokens, d.souls = nil, nil, make([]soul, len(d.people))
	for _, a := range d.actors {
		a.soul, a.each = soul{}, make([]soul, len(a.keys))
	}
	d.now = d.now.Add(time.Hour) // no mark of before matters
}

// finish has everybody go on whom this history stopped.
func (d *differ) finish() {
	for i, s := range d.souls {
		if s.suspended {
			_, _, err := d.EndPerson(d.t.Context(), d.priya.api(), d.people[i].user, "resume", "")
			d.ok(err)
		}
	}
	for _, a := range d.actors {
		if a.suspended {
			_, _, _, err := d.EndAgent(d.t.Context(), d.priya.api(), a.keys[0].agent, "resume", "")
			d.ok(err)
		}
		for k, s := range a.each {
			if s.suspended {
				_, _, _, err := d.EndInstance(d.t.Context(), d.priya.api(), a.keys[k].instance(), "resume", "")
				d.ok(err)
			}
		}
	}
}

// at is a party as it comes to one of the doors.
func (d *differ) at(door int, p *party) *party {
	as := *p
	as.rig = &rig{Guard: d.doors[door%len(d.doors)], t: d.t, log: d.log, now: d.now}
	return &as
}

func (d *differ) chain(i int) (all []*loan) {
	for ; i >= 0; i = d.loans[i].parent {
		all = append([]*loan{d.loans[i]}, all...)
	}
	return all
}

// lent is whether each delegation of a chain is live: begun, not over, not revoked, uses left.
func (d *differ) lent(i int) bool {
	now := d.now.Unix()
	return !slices.ContainsFunc(d.chain(i), func(l *loan) bool {
		return l.link == nil || l.revoked || l.exhausted() || now < l.st().NotBefore || now >= l.st().ExpiresAt
	})
}

func (d *differ) able(agent, key int) bool {
	return !d.actors[agent].suspended && !d.actors[agent].each[key].suspended
}

// everybody is each soul on the chain of a loan, but for who acts.
func (d *differ) everybody(chain []*loan) (all []*soul) {
	for _, l := range chain {
		if l.parent < 0 {
			all = append(all, &d.souls[l.by])
		} else {
			all = append(all, &d.actors[l.by].soul, &d.actors[l.by].each[l.key])
		}
	}
	return all
}

// stands is whether a chain can be used by somebody now.
func (d *differ) stands(i, agent, key int) bool {
	l := d.loans[i]
	return d.lent(i) && d.able(agent, key) && l.to == agent && (l.bound < 0 || l.bound == key) &&
		!slices.ContainsFunc(d.everybody(d.chain(i)), func(s *soul) bool { return s.suspended })
}

// tooShort is whether what was lent is over before a token could begin: its iat is some seconds ahead where somebody on the chain was stopped just now.
func (d *differ) tooShort(i, agent, key int) bool {
	all, now := append(d.everybody(d.chain(i)), &d.actors[agent].soul, &d.actors[agent].each[key]), d.now.Unix()
	return slices.ContainsFunc(all, func(s *soul) bool { return s.stopped > 0 && s.at >= now-10 }) &&
		slices.ContainsFunc(d.chain(i), func(l *loan) bool { return l.st().ExpiresAt <= now+10 })
}

// good is whether a token is worth anything now: ended is true where it never will be again.
func (d *differ) good(k *ticketed) (good, ended bool) {
	all := append(d.everybody(d.chain(k.of)), &d.actors[k.agent].soul, &d.actors[k.agent].each[k.key])
	ended = k.wasEnded || d.now.Unix() >= k.exp+30 || slices.ContainsFunc(all, func(s *soul) bool { return s.stopped > k.deed })
	for _, l := range d.chain(k.of) {
		ended = ended || l.revoked || l.exhausted() || d.now.Unix() >= l.st().ExpiresAt
	}
	return !ended && d.stands(k.of, k.agent, k.key) && k.iat <= d.now.Unix()+30, ended
}

// fits is whether a signed statement may be lent now (authority.md §3, "Lend").
func (d *differ) fits(l *loan) bool {
	st, now := l.st(), d.now.Unix()
	if now >= st.ExpiresAt || d.actors[l.to].suspended || l.exhausted() {
		return false
	}
	if l.parent < 0 {
		return !d.souls[l.by].suspended
	}
	above := d.loans[l.parent]
	p := above.st()
	switch {
	case !d.able(l.by, l.key), above.link == nil, !d.lent(l.parent), above.to != l.by, above.bound >= 0 && above.bound != l.key:
		return false
	case !naiveCovers(above.perms, l.perms), st.NotBefore < p.NotBefore, st.ExpiresAt > p.ExpiresAt:
		return false
	case p.MaxDepth == 0, st.MaxDepth > p.MaxDepth-1, st.MaxUses != nil && p.MaxUses != nil && *st.MaxUses > *p.MaxUses:
		return false
	case p.Task != "" && st.Task != p.Task, len(d.chain(l.parent))+1 > 8:
		return false
	}
	return true
}

// below are a loan and all that descends from it.
func (d *differ) below(i int) (all []int) {
	for j, l := range d.loans {
		if l.link != nil && slices.Contains(d.chain(j), d.loans[i]) {
			all = append(all, j)
		}
	}
	return all
}

// end revokes a loan and what descends from it, and says what that ended.
func (d *differ) end(i int) (ended []string) {
	for _, j := range d.below(i) {
		if l := d.loans[j]; !l.revoked {
			l.revoked = true
			ended = append(ended, l.st().ID.String())
		}
	}
	slices.Sort(ended)
	return ended
}

func names(all []id.Delegation) (texts []string) {
	for _, one := range all {
		texts = append(texts, one.String())
	}
	slices.Sort(texts)
	return texts
}

func (d *differ) signer(l *loan) jose.Signer {
	if l.parent < 0 {
		return d.people[l.by].signer
	}
	return d.actors[l.by].keys[l.key].signer
}

// whoSigns is the party that hands a loan in.
func (d *differ) whoSigns(l *loan) *party {
	if l.parent < 0 {
		return d.people[l.by]
	}
	return d.actors[l.by].keys[l.key]
}
