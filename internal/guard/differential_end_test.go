package guard_test

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
)

func (d *differ) introspect(rt *rapid.T, x doing) {
	if len(d.tokens) == 0 {
		return
	}
	k := d.tokens[x.a%len(d.tokens)]
	agent, key := k.agent, k.key
	if x.c%4 == 0 {
		agent, key = x.b%len(d.actors), x.c/4%2
	}
	if !d.able(agent, key) {
		return
	}
	client, err := d.at(x.door, d.actors[agent].keys[key]).authenticate()
	d.ok(err)
	seen, err := d.doors[x.door].Introspect(d.t.Context(), client, k.raw)
	d.ok(err)
	active, chain := seen.Active, seen.Chain
	good, ended := d.good(k)
	if want := good && agent == k.agent; active != want {
		rt.Fatalf("introspection of the token of deed %d under %d: %v, and the model says %v", k.deed, k.of, active, want)
	}
	if k.everEnded && active {
		rt.Fatalf("the token of deed %d, which had ended, is active again", k.deed)
	}
	k.everEnded = k.everEnded || ended
	if d.counts["introspect no"]++; !active {
		return
	}
	d.counts["introspect no"]--
	d.counts["introspect yes"]++
	links := d.chain(k.of)
	want := []string{d.people[links[0].by].user.String()}
	for _, l := range links {
		want = append(want, d.actors[l.to].keys[0].agent.String())
	}
	var got []string
	for _, hop := range chain {
		got = append(got, hop.Sub)
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("the chain is %v, and should be %v", got, want)
	}
}

func (d *differ) revokeToken(rt *rapid.T, x doing) {
	if len(d.tokens) == 0 {
		return
	}
	k := d.tokens[x.a%len(d.tokens)]
	agent, key := k.agent, x.b%2
	if x.c%3 == 0 {
		agent = x.b % len(d.actors)
	}
	if !d.able(agent, key) {
		return
	}
	client, err := d.at(x.door, d.actors[agent].keys[key]).authenticate()
	d.ok(err)
	ended, err := d.doors[x.door].RevokeToken(d.t.Context(), client, k.raw)
	d.agree(rt, "revoke a token", true, err)
	if len(ended) > 0 {
		rt.Fatalf("an agent's token is revoked, and %v ended", ended)
	}
	if agent == k.agent && d.now.Unix() < k.exp+30 && k.iat <= d.now.Unix()+30 { // what is no token now is nobody's
		k.wasEnded = true
	}
}

func (d *differ) revoke(rt *rapid.T, x doing) {
	if len(d.loans) == 0 {
		return
	}
	i := x.a % len(d.loans)
	l := d.loans[i]
	got, _, err := d.doors[x.door].Revoke(d.t.Context(), d.priya.api(), l.st().ID, "")
	if !d.agree(rt, "revoke", l.link != nil, err) {
		return
	}
	for d.loans[i].next > 0 { // what stands in its place ends
		i = d.loans[i].next
	}
	if want := d.end(i); !slices.Equal(names(got), want) {
		rt.Fatalf("revoking %d ended %v, and should %v", i, names(got), want)
	}
}

// replace narrows, renews, or tries to widen.
func (d *differ) replace(rt *rapid.T, x doing) {
	if len(d.loans) == 0 {
		return
	}
	i := x.a % len(d.loans)
	l := d.loans[i]
	if l.link == nil || l.parent < 0 && d.souls[l.by].suspended || l.parent >= 0 && !d.able(l.by, l.key) {
		return
	}
	next, now := *l, d.now.Unix()
	st := *l.st()
	st.ID = id.New[id.Delegation](d.now)
	switch x.b % 4 {
	case 0: // other times
		if st.NotBefore = max(now, st.NotBefore) + x.starts; x.life > 0 {
			st.ExpiresAt = now + x.life
		} else {
			st.ExpiresAt += 100
		}
	case 1:
		st.Permissions = changed(st.Permissions, x.how)
	case 2:
		if st.MaxDepth = x.depth; x.max > 0 {
			st.MaxUses = &x.max
		} else if x.c%3 == 0 {
			st.MaxUses = nil
		}
	default:
		if st.Task = x.task; x.bound >= 0 {
			next.bound, st.Delegate.Instance = x.bound, d.actors[l.to].keys[x.bound].instance()
		} else if x.c%3 == 0 {
			next.bound, st.Delegate.Instance = -1, id.Key{}
		}
	}
	signed, err := delegation.Sign(st, d.signer(l))
	if err != nil {
		return
	}
	next.signed, next.perms = signed, each(st.Permissions)
	want := !l.revoked && !l.exhausted() && now < l.st().ExpiresAt && (d.narrower(l, &next) || d.renewed(l, &next)) && d.fits(&next)
	got, err := d.doors[x.door].Replace(d.t.Context(), d.whoSigns(l).api(), l.st().ID, signed, false)
	if !d.agree(rt, "replace", want, err) {
		return
	}
	if want := d.end(i); !slices.Equal(names(got.Toll.Delegations), want) {
		rt.Fatalf("replacing %d ended %v, and should %v", i, names(got.Toll.Delegations), want)
	}
	next.link, next.revoked, next.next, l.next = &got.Link, false, 0, len(d.loans)
	d.loans = append(d.loans, &next)
}

// narrower is no wider in any dimension.
func (d *differ) narrower(old, next *loan) bool {
	a, b := old.st(), next.st()
	return naiveCovers(old.perms, next.perms) && b.NotBefore >= a.NotBefore && b.ExpiresAt <= a.ExpiresAt && b.MaxDepth <= a.MaxDepth &&
		(a.MaxUses == nil || b.MaxUses != nil && *b.MaxUses <= *a.MaxUses) && (a.Task == "" || b.Task == a.Task) && (old.bound < 0 || next.bound == old.bound)
}

// renewed has other times alone.
func (d *differ) renewed(old, next *loan) bool {
	a, b := *old.st(), *next.st()
	b.ID, b.NotBefore, b.ExpiresAt = a.ID, a.NotBefore, a.ExpiresAt
	x, err := a.Bytes()
	d.ok(err)
	y, err := b.Bytes()
	d.ok(err)
	return string(x) == string(y)
}

// stop suspends or resumes a person, an agent or an instance.
func (d *differ) stop(rt *rapid.T, x doing) {
	g, by := d.doors[x.door], d.priya.api()
	if x.do == "resume" && x.c%8 > 0 {
		if x.a, x.b, x.c = d.someoneStopped(x); x.a < 0 {
			return
		}
	}
	var err error
	var s *soul
	switch x.a % 5 {
	case 0:
		i := x.b % len(d.people)
		s = &d.souls[i]
		_, _, err = g.EndPerson(d.t.Context(), by, d.people[i].user, x.do, "")
	case 1, 2:
		a := d.actors[x.b%len(d.actors)]
		s = &a.soul
		_, _, _, err = g.EndAgent(d.t.Context(), by, a.keys[0].agent, x.do, "")
	default:
		a := d.actors[x.b%len(d.actors)]
		s = &a.each[x.c%2]
		_, _, _, err = g.EndInstance(d.t.Context(), by, a.keys[x.c%2].instance(), x.do, "")
	}
	if d.agree(rt, x.do, s.suspended == (x.do == "resume"), err) {
		if s.suspended = x.do == "suspend"; s.suspended {
			s.stopped, s.at = d.deed, d.now.Unix()
		}
	}
}

// someoneStopped finds whom there is to resume, as stop reads it.
func (d *differ) someoneStopped(x doing) (a, b, c int) {
	var all [][3]int
	for i, s := range d.souls {
		if s.suspended {
			all = append(all, [3]int{0, i, 0})
		}
	}
	for i, is := range d.actors {
		if is.suspended {
			all = append(all, [3]int{1, i, 0})
		}
		for k, s := range is.each {
			if s.suspended {
				all = append(all, [3]int{3, i, k})
			}
		}
	}
	if len(all) == 0 {
		return -1, 0, 0
	}
	one := all[x.b%len(all)]
	return one[0], one[1], one[2]
}

// strange is somebody of another workspace, to whom nothing here is worth anything.
func (d *differ) strange(rt *rapid.T, x doing) {
	g, who := d.doors[x.door], d.at(x.door, d.stranger)
	client := func() *guard.Client {
		c, err := who.authenticate()
		d.ok(err)
		return c
	}
	try := func(raw, form string) {
		for _, resource := range []string{issuer + "/mcp/s", ""} {
			_, err := g.Exchange(d.t.Context(), client(), guard.TokenRequest{Resource: resource, Subject: raw, SubjectType: form})
			d.agree(rt, "a stranger", false, err)
		}
	}
	if len(d.loans) > 0 {
		l := d.loans[x.a%len(d.loans)]
		if l.link != nil {
			try(l.link.String(), guard.TypeDelegation)
		}
		st := *l.st()
		st.ID, st.Delegate = id.New[id.Delegation](d.now), delegation.Delegate{Agent: d.stranger.agent}
		signed, err := delegation.Sign(st, d.signer(l))
		d.ok(err)
		if l.parent < 0 && !d.souls[l.by].suspended || l.parent >= 0 && d.able(l.by, l.key) {
			_, err = g.Lend(d.t.Context(), d.whoSigns(l).api(), signed)
			d.agree(rt, "a stranger", false, err)
		}
		raw, err := delegation.Encode(signed)
		d.ok(err)
		try(raw, guard.TypeDelegation)
	}
	if len(d.tokens) > 0 {
		k := d.tokens[x.b%len(d.tokens)]
		try(k.raw, guard.TypeAccessToken)
		if seen, err := g.Introspect(d.t.Context(), client(), k.raw); err != nil || seen.Active {
			rt.Fatalf("a stranger sees the token of deed %d: %+v %v", k.deed, seen, err)
		}
		if _, err := g.RevokeToken(d.t.Context(), client(), k.raw); fault.Of(err) != nil {
			rt.Fatal(err)
		}
	}
}
