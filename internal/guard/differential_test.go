package guard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// doing is one thing that somebody does, at a door, to what a and b fall on.
type doing struct {
	do         string
	a, b, c    int
	door       int
	how        []change
	max        int64 // uses; 0: no limit
	depth      int
	life       int64 // seconds; 0: as long as what is above
	starts     int64 // seconds from now
	bound      int   // to a key; -1: none
	task       string
	asks       bool // for what how says, and not for all
	pause      time.Duration
	sameServer bool
}

var doings = rapid.Custom(func(t *rapid.T) doing {
	d := doing{
		do: rapid.SampledFrom([]string{
			"lend", "lend", "lend", "lend", "lend", "exchange", "exchange", "exchange", "exchange", "exchange", "pass on", "pass on", "pass on", "call", "call", "call", "call",
			"introspect", "introspect", "resume", "resume", "resume", "suspend", "suspend", "replace", "replace", "sign", "revoke", "revoke a token", "wait", "a stranger",
		}).Draw(t, "do"),
		a: rapid.IntRange(0, 999).Draw(t, "a"), b: rapid.IntRange(0, 999).Draw(t, "b"), c: rapid.IntRange(0, 2239).Draw(t, "c"),
		door: rapid.IntRange(0, 1).Draw(t, "door"),
		max:  rapid.SampledFrom([]int64{0, 0, 0, 1, 3}).Draw(t, "uses"), depth: rapid.SampledFrom([]int{0, 1, 2, 2, 3, 3}).Draw(t, "depth"),
		life: rapid.SampledFrom([]int64{0, 0, 0, 20, 200, 900}).Draw(t, "life"), starts: rapid.SampledFrom([]int64{0, 0, 0, 0, 0, 10, -10}).Draw(t, "starts"),
		bound: rapid.SampledFrom([]int{-1, -1, -1, 0, 1}).Draw(t, "bound"), task: rapid.SampledFrom([]string{"", "", "", "T-1", "T-2"}).Draw(t, "task"),
		asks: rapid.IntRange(0, 3).Draw(t, "asks") == 0, sameServer: rapid.IntRange(0, 7).Draw(t, "the same server") > 0,
		pause: rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second}).Draw(t, "pause"),
	}
	d.how = rapid.SliceOfN(changes, 1, 3).Draw(t, "permissions")
	return d
})

// TestLendingAndExchangeAgreeWithTheWords holds lending, narrowing, renewing, exchange, introspection, revocation and decisions, as two doors of one database do
// them, against a model that tries every call of a small world: whatever happens, one accepts what the other does, tokens say the same, and nothing that
// ended comes back (authority.md §3, §4, §7.1, §7.2). More histories: -rapid.checks=N.
func TestLendingAndExchangeAgreeWithTheWords(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		d := newDiffer(t, dsn)
		steps, longest := 0, 160
		if testing.Short() || !strings.HasPrefix(dsn, "sqlite:") { // a commit of PostgreSQL takes its time
			longest = 50
		}
		rapid.Check(t, func(rt *rapid.T) {
			d.begin()
			defer d.finish()
			for _, x := range rapid.SliceOfN(doings, longest/4, longest).Draw(rt, "history") {
				d.step(rt, x)
				steps++
			}
		})
		t.Logf("%d steps: %v", steps, d.counts)
		if testing.Short() { // as with the race detector: few histories need not hold everything
			return
		}
		for _, what := range []string{
			"lend yes", "lend no", "sign yes", "exchange yes", "exchange no", "pass on yes", "pass on no", "call yes", "call no", "introspect yes", "introspect no",
			"revoke a token yes", "revoke yes", "replace yes", "replace no", "a stranger no",
		} {
			if d.counts[what] == 0 {
				t.Errorf("no history has %q", what)
			}
		}
	})
}

func (d *differ) step(rt *rapid.T, x doing) {
	d.deed++
	d.now = d.now.Add(x.pause)
	switch x.do {
	case "lend", "sign":
		d.lend(rt, x)
	case "exchange":
		d.exchange(rt, x)
	case "pass on":
		d.passOn(rt, x)
	case "call":
		d.call(rt, x)
	case "introspect":
		d.introspect(rt, x)
	case "revoke a token":
		d.revokeToken(rt, x)
	case "revoke":
		d.revoke(rt, x)
	case "replace":
		d.replace(rt, x)
	case "suspend", "resume":
		d.stop(rt, x)
	case "wait":
		d.now = d.now.Add(time.Duration(x.c%400) * time.Second)
	case "a stranger":
		d.strange(rt, x)
	}
}

// agree holds what a door did to what the model says.
func (d *differ) agree(rt *rapid.T, what string, want bool, err error) bool {
	if want != (err == nil) {
		rt.Fatalf("%s at %s: the door says %v (%s), the model %v", what, d.now, err, fault.Code(err), want)
	}
	if f := fault.Of(err); err != nil && (f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable || f.Code == "" || f.Reason == "") {
		rt.Fatalf("%s is refused for no reason that a person understands: %v", what, err)
	}
	if want {
		d.counts[what+" yes"]++
	} else {
		d.counts[what+" no"]++
	}
	return want
}

// signs makes a statement: under a loan, or by a person.
func (d *differ) signs(x doing) *loan {
	l := &loan{parent: x.a%(len(d.loans)+2) - 2, bound: x.bound}
	now := d.now.Unix()
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](d.now), Issuer: issuer, Workspace: id.Default, MaxDepth: x.depth, Task: x.task, NotBefore: now + x.starts,
		ExpiresAt: now + 3600,
	}
	if x.max > 0 {
		st.MaxUses = &x.max
	}
	if l.to = x.b % len(d.actors); l.parent < 0 {
		l.parent, l.by, st.MaxDepth = -1, x.b/7%len(d.people), max(x.depth, 2)
		st.Delegator.User, st.Permissions = d.people[l.by].user, changed(nil, x.how)
	} else {
		above := d.loans[l.parent]
		up := above.st()
		l.by, l.key = above.to, max(above.bound, 0)
		if x.c%8 == 0 { // the other key
			l.key = x.c / 8 % 2
		}
		if l.to == l.by {
			l.to = (l.to + 1) % len(d.actors)
		}
		by := d.actors[l.by].keys[l.key]
		st.Delegator = delegation.Delegator{Agent: by.agent, Instance: by.instance()}
		st.Permissions = changed(up.Permissions, x.how)
		st.ExpiresAt = up.ExpiresAt
		if st.NotBefore = max(now, up.NotBefore) + x.starts; x.depth > 0 { // mostly what is allowed
			st.MaxDepth = max(up.MaxDepth-1, 0)
		}
		if up.Task != "" && x.c%4 > 0 {
			st.Task = up.Task
		}
		parent, err := up.Digest()
		d.ok(err)
		st.Parent = &parent
	}
	if x.life > 0 {
		st.ExpiresAt = now + x.life
	}
	if l.bound >= 0 {
		st.Delegate.Instance = d.actors[l.to].keys[l.bound].instance()
	}
	st.Delegate.Agent, l.perms = d.actors[l.to].keys[0].agent, each(st.Permissions)
	signed, err := delegation.Sign(st, d.signer(l))
	if err != nil { // what can be no statement, cannot be signed
		return nil
	}
	l.signed = signed
	return l
}

func (d *differ) lend(rt *rapid.T, x doing) {
	l := d.signs(x)
	if l == nil {
		return
	}
	if x.do == "sign" && l.parent >= 0 { // and its delegate brings it
		d.loans = append(d.loans, l)
		d.counts["sign yes"]++
		return
	}
	if l.parent >= 0 && !d.able(l.by, l.key) || l.parent < 0 && d.souls[l.by].suspended {
		return // nobody who could hand it in
	}
	g := d.doors[x.door]
	link, err := g.Lend(d.t.Context(), d.whoSigns(l).api(), l.signed)
	if d.agree(rt, "lend", d.fits(l), err) {
		l.link = &link
		d.loans = append(d.loans, l)
	}
}

var serverNames = []string{"s", "t"}

// exchange is by a statement: as the server countersigned it, or as its lender did.
func (d *differ) exchange(rt *rapid.T, x doing) {
	if len(d.loans) == 0 {
		return
	}
	i := x.a % len(d.loans)
	l := d.loans[i]
	agent, key := l.to, max(l.bound, x.b%2)
	if x.c%8 == 0 {
		agent, key = x.b%len(d.actors), x.c/8%2
	}
	raw, err := delegation.Encode(l.signed)
	d.ok(err)
	if l.link != nil && x.c%2 == 0 {
		raw = l.link.String()
	}
	fresh := l.link == nil
	want := !fresh || d.fits(l)
	if fresh && want { // as it will be
		l.link = &delegation.Link{}
	}
	want = want && d.stands(i, agent, key)
	if fresh {
		l.link = nil
	}
	got := d.issued(rt, x, "exchange", want, raw, guard.TypeDelegation, i, agent, key, [][]calls{l.perms})
	if got && fresh {
		known, err := d.Lending.Get(d.t.Context(), id.Default, l.st().ID)
		d.ok(err)
		l.link = &known.Link
	}
}

// passOn is an exchange by a token: the one live delegation under its own to who asks.
func (d *differ) passOn(rt *rapid.T, x doing) {
	if len(d.tokens) == 0 {
		return
	}
	k := d.tokens[len(d.tokens)-1-x.a%len(d.tokens)%5]
	agent, key := x.b%len(d.actors), x.c%2
	found := d.under(k, agent)
	for _, l := range d.loans {
		if len(found) == 0 && x.c%4 > 0 && l.parent == k.of && l.link != nil && !l.revoked { // mostly somebody to whom there is one
			agent, key, found = l.to, max(l.bound, key), d.under(k, l.to)
		}
	}
	good, _ := d.good(k)
	if len(found) != 1 {
		d.issued(rt, x, "pass on", false, k.raw, guard.TypeAccessToken, -1, agent, key, nil)
		return
	}
	l := d.loans[found[0]]
	d.issued(rt, x, "pass on", good && d.stands(found[0], agent, key), k.raw, guard.TypeAccessToken, found[0], agent, key, [][]calls{l.perms, k.perms})
}

// under are the loans to an agent that the holder of a token made under its own, and that have not ended.
func (d *differ) under(k *ticketed, agent int) (found []int) {
	for i, l := range d.loans {
		if l.parent == k.of && l.link != nil && l.by == k.agent && l.to == agent && !l.revoked && !l.exhausted() && d.now.Unix() < l.st().ExpiresAt {
			found = append(found, i)
		}
	}
	return found
}

// issued exchanges a subject token, and holds the new one to what the model says: whether there is one, and what it says.
func (d *differ) issued(rt *rapid.T, x doing, what string, want bool, raw, form string, i, agent, key int, limits [][]calls) bool {
	who := d.actors[agent].keys[key]
	client, err := d.at(x.door, who).authenticate()
	if !d.able(agent, key) { // a door that has not heard of it yet may take the proofs, and gives nothing for them
		if err == nil {
			_, err = d.doors[x.door].Exchange(d.t.Context(), client, guard.TokenRequest{Subject: raw, SubjectType: form})
		}
		if f := fault.Of(err); f == nil || f.Kind == fault.Internal { // such a door may find something else wrong first
			rt.Fatalf("somebody who is suspended gets a token, or worse: %v", err)
		}
		return false
	}
	d.ok(err)
	server := serverNames[0]
	if !x.sameServer {
		server = serverNames[1]
	}
	r := guard.TokenRequest{Resource: issuer + "/mcp/" + server, Subject: raw, SubjectType: form}
	all := []calls{under("tool:" + server + ":")}
	for _, limit := range limits {
		var both []calls
		for _, p := range all {
			for _, q := range limit {
				both = append(both, p.and(q))
			}
		}
		all = both
	}
	want = want && union(all) != calls{}
	if x.asks && i >= 0 {
		r.Permissions = changed(d.loans[i].st().Permissions, x.how)
		if slices.ContainsFunc(r.Permissions, func(p delegation.Permission) bool { return p.Check() != nil }) {
			r.Permissions = nil
		} else {
			asked := each(r.Permissions)
			want, all = want && naiveCovers(all, asked), asked
		}
	}
	got, err := d.doors[x.door].Exchange(d.t.Context(), client, r)
	if want && fault.Code(err) == "delegation_expired" {
		want = !d.tooShort(i, agent, key)
	}
	if !d.agree(rt, what, want, err) {
		return false
	}
	k := d.says(rt, got, i, who, server)
	k.agent, k.key, k.deed = agent, key, d.deed
	k.perms = each(k.permissions)
	if a, b := union(all), union(k.perms); a != b {
		rt.Fatalf("%s under %d: the token permits\n%s\nand should\n%s", what, i, b, a)
	}
	d.tokens = append(d.tokens, &k.ticketed)
	return true
}

// told is a token with what it says.
type told struct {
	ticketed
	permissions []delegation.Permission
}

// says reads a token: sub is the person at the root, act the agents from the one that acts to the first, it is bound to the key and lives no longer than what was lent.
func (d *differ) says(rt *rapid.T, got guard.Issued, i int, who *party, server string) told {
	keys, err := d.PublishedKeys(d.t.Context())
	d.ok(err)
	c, err := token.Verify(got.Token, func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range keys {
			if k.Thumbprint() == kid {
				return k, true
			}
		}
		return jose.PublicKey{}, false
	}, token.Want{Issuer: issuer, Audience: issuer + "/mcp/" + server, Now: time.Unix(d.now.Unix()+3600, 0), Leeway: 2 * time.Hour})
	d.ok(err)
	chain := d.chain(i)
	exp := d.now.Unix() + 300
	wantActors := []token.Actor{{Sub: who.agent, Instance: who.instance()}}
	for j, l := range slices.Backward(chain) {
		if exp = min(exp, l.st().ExpiresAt); j > 0 {
			by := d.actors[l.by].keys[l.key]
			wantActors = append(wantActors, token.Actor{Sub: by.agent, Instance: by.instance()})
		}
	}
	actors := c.Actors()
	for j := range actors {
		actors[j].Act = nil
	}
	last := chain[len(chain)-1].st()
	if c.Subject != d.people[chain[0].by].user.String() || !slices.Equal(actors, wantActors) || c.Expires != exp || c.JKT != who.instance() || c.ClientID != who.agent.String() ||
		c.Delegation != last.ID || c.Task != last.Task || c.Workspace != id.Default || c.Via != nil {
		rt.Fatalf("the token says %+v; actors %v, should %v; exp %d", c, actors, wantActors, exp)
	}
	k := told{permissions: c.Permissions()}
	k.raw, k.jti, k.of, k.server, k.iat, k.exp = got.Token, c.ID, i, server, c.IssuedAt, c.Expires
	return k
}

// call decides one call of the world by a token.
func (d *differ) call(rt *rapid.T, x doing) {
	if len(d.tokens) == 0 {
		return
	}
	k := d.tokens[x.a%len(d.tokens)]
	var tools []int
	may := union(k.perms)
	covered := func(i int) bool {
		return may.has(i) && !slices.ContainsFunc(d.chain(k.of), func(l *loan) bool { p := union(l.perms); return !p.has(i) })
	}
	for i, t := range world {
		real := t.action == "tool:"+k.server+":a" || t.action == "tool:"+k.server+":b" || t.action == "tool:s:ab" && k.server == "s"
		if real && (x.b%2 == 0 || covered(i)) {
			tools = append(tools, i)
		}
	}
	d.fast(rt, k, covered)
	if len(tools) == 0 {
		return
	}
	i := tools[x.c%len(tools)]
	g := d.doors[x.door]
	url := issuer + "/mcp/" + k.server
	who := d.actors[k.agent].keys[k.key]
	good, ended := d.good(k)
	c, err := g.Authenticate(d.t.Context(), guard.Credentials{
		Method: "POST", URL: url, Authorization: []string{"DPoP " + k.raw}, DPoP: []string{d.proof(who.signer, "POST", url, k.raw)}, Face: "gateway",
	}, url)
	want := good && covered(i)
	permitted := false
	if err == nil {
		v, err := g.Start(d.t.Context(), c, d.callOf(k.server, world[i]))
		d.ok(err)
		permitted = v.Outcome == evidence.Permit
		err = fault.New(fault.Denied, v.Code, "%s", v.Reason)
		if permitted != want {
			rt.Fatalf("%s %s with a token of deed %d under %d: %s %v, and the model says %v (good %v, ended %v)", world[i].action, world[i].raw, k.deed, k.of, v.Outcome, err, want, good, ended)
		}
	} else if want {
		rt.Fatalf("the token of deed %d under %d is not taken: %v", k.deed, k.of, err)
	}
	if k.everEnded && permitted {
		rt.Fatalf("a token of deed %d, which had ended, permits again", k.deed)
	}
	k.everEnded = k.everEnded || ended
	if d.counts["call no"]++; permitted {
		d.counts["call no"]--
		d.counts["call yes"]++
		for _, l := range d.chain(k.of) {
			if l.st().MaxUses != nil {
				l.used++
			}
		}
	}
}

// fast tries what decides in the product, for each call of the world: what the token and every delegation of its chain allow.
func (d *differ) fast(rt *rapid.T, k *ticketed, covered func(int) bool) {
	if k.of%3 != 0 {
		return
	}
	chain := d.chain(k.of)
	for i, t := range world {
		allows := !slices.ContainsFunc(chain, func(l *loan) bool { return !delegation.Allows(l.st().Permissions, t.action, t.read) })
		may := slices.ContainsFunc(k.perms, func(p calls) bool { return p.has(i) })
		if (allows && may) != covered(i) {
			rt.Fatalf("%s %s under %d: allowed %v, and the model says %v", t.action, t.raw, k.of, allows && may, covered(i))
		}
	}
}

func (d *differ) callOf(server string, t tried) guard.Call {
	raw, err := jose.CanonicalRaw([]byte(t.raw), jose.Limits{})
	d.ok(err)
	tool := t.action[len("tool:s:"):]
	known, err := d.Catalog.Callable(d.t.Context(), id.Default, server, tool)
	d.ok(err)
	return guard.Call{
		Server: server, Method: "tools/call", Tool: tool, Action: t.action, Class: known.Class, Arguments: raw, Pin: known.Pin,
		Digest: id.Sum(append([]byte(tool), raw...)), Protocol: "2025-11-25",
	}
}
