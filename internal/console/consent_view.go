package console

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

// consentView is the page on which a person decides what an app may do in their name.
type consentView struct {
	Over          string // instead of the question: why there is none for this person
	Error, Remedy shown  // of what was tried

	Handle    string
	Me        principal
	Workspace string // "" where it is the one that people are in anyway
	Until     when   // of the question

	Barred *when // until then this person lends nothing, for they were let in again

	Host       shown // the largest thing on the page: where the app's identifier is; "" where it has no address
	Calls      shown // what it calls itself
	Client     shown
	Registered bool // it registered itself
	Redirect   shown
	Foreign    bool // one of the two addresses is written in other letters than those of ASCII
	Loopback   bool
	Agent      principal
	New        bool
	Key        string
	OwnKey     bool // it is an agent with keys of its own
	Bearer     bool

	Groups  []askedGroup
	Asked   int
	Lacking int // permissions that the person does not have now

	TTLs    []option
	Uses    string // in the field
	MaxUses int64  // 0: no limit was asked for
	Depths  []option
	Further *further // who may act in the client's stead
	Task    shown    // that was asked for
	OwnTask string   // that the person named
	Purpose shown

	Before  *when
	Changes []shown

	Hops []hop

	Passkey   bool
	StepUp    bool
	How       string   // the client asks for a sign-in like that; "": for a new one
	Making    bool     // which takes a passkey, and the person has none
	Again     []string // providers to sign in again with, where that can be enough
	SignedIn  when
	Elsewhere string
	Signs     string // what app.js holds the statement to, as JSON
}

const furtherKeys = 5 // of an agent that may act in the client's stead, shown

// further is an agent that may act in the client's stead.
type further struct {
	principal
	Keys []id.Key // of its copies that can act now, the first few
	More int      // keys that are not shown
	Kept bool
}

// askedGroup is what is asked for at one resource.
type askedGroup struct {
	Name  shown
	URL   shown
	Items []askedItem
}

// askedItem is one permission that is asked for.
type askedItem struct {
	spoken
	N    int
	Has  bool
	Kept bool
}

// option is one of a list.
type option struct {
	Value  int64
	Text   string
	Chosen bool
}

func (x *request) consentView(asked guard.Consent, chosen *choice) (*consentView, error) {
	r := asked.Request
	v := &consentView{
		Handle: x.handle(), Me: x.principal(x.person.ID.String()), Until: at(asked.Expires, x.now), Client: show(r.Client), Redirect: show(redirectWords(r.Redirect)),
		Loopback: asked.Loopback, New: asked.Agent.IsZero(), Bearer: asked.Bearer && r.JKT.IsZero(), MaxUses: r.Task.MaxUses,
		Task: show(r.Task.Task), Purpose: show(r.Task.Purpose), Passkey: asked.Passkey, StepUp: asked.StepUp, SignedIn: at(x.caller.SignedIn(), x.now), Elsewhere: x.elsewhere(),
	}
	if r.Workspace != id.Default {
		v.Workspace = r.Workspace.String()
	}
	if !r.JKT.IsZero() {
		v.Key = r.JKT.String()
	}
	if x.person.Settled(x.now) != nil {
		until := at(x.person.RecoveredAt.Add(people.Quarantine), x.now)
		v.Barred = &until
	}
	x.consentApp(v, asked)
	x.consentAsked(v, asked, chosen)
	if asked.Before != nil {
		before := at(asked.Before.At, x.now)
		v.Before, v.Changes = &before, changes(asked)
	}
	v.Hops = x.consentHops(v, asked)
	if v.StepUp {
		p, err := x.Guard.Page(x.ctx, x.caller)
		if err != nil {
			return v, err
		}
		if v.Again, err = x.ownProviders(p, asked.Level); err != nil {
			return v, err
		}
		v.How, v.Making = asked.How, !asked.Passkey && len(v.Again) == 0 && asked.Level > 0
	}
	signs, err := x.consentSigns(asked)
	v.Signs = signs
	return v, err
}

// consentApp says who asks. What identifies it comes first, what it says of itself after.
func (x *request) consentApp(v *consentView, asked guard.Consent) {
	v.Agent = principal{"agent", show(asked.AgentName), asked.Delegate.String(), asked.Delegate.Short()}
	switch {
	case asked.App.ID == "":
		v.Host, v.OwnKey = show(asked.AgentName), true
	case asked.App.Host != "":
		v.Host, v.Calls = show(asked.App.Host), show(asked.App.Name)
	default:
		v.Registered, v.Calls = true, show(asked.App.Name)
	}
	v.Foreign = foreignLetters(asked.App.Host) || foreignLetters(redirectWords(asked.Request.Redirect))
}

// foreignLetters reports whether a label of a host is the ASCII form of other letters (RFC 5890 §2.3.2.1): in those it could look like any other host.
func foreignLetters(host string) bool {
	host = strings.ToLower(host)
	if _, after, ok := strings.Cut(host, "://"); ok {
		host = after
	}
	return strings.HasPrefix(host, "xn--") || strings.Contains(host, ".xn--")
}

// consentAsked says what is asked for, and what of it the person let stand so far.
func (x *request) consentAsked(v *consentView, asked guard.Consent, chosen *choice) {
	for _, r := range asked.Lend {
		g := askedGroup{Name: show(r.Name), URL: show(r.URL)}
		for _, p := range r.Permissions {
			item := askedItem{spoken: speak(p.Permission), N: p.Index, Has: p.Has, Kept: chosen == nil || slices.Contains(chosen.Keep, p.Index)}
			if v.Asked++; !p.Has {
				v.Lacking++
			}
			g.Items = append(g.Items, item)
		}
		v.Groups = append(v.Groups, g)
	}
	c := choice{TTL: int64(asked.TTL / time.Second), Depth: asked.Request.Task.MaxDepth, Uses: asked.Request.Task.MaxUses, Further: true}
	if chosen != nil {
		c = *chosen
	}
	v.TTLs = lengths(asked.TTL, c.TTL, asked.Request.Task.ExpiresIn > 0)
	if c.Uses > 0 {
		v.Uses = strconv.FormatInt(c.Uses, 10)
	}
	for n := asked.Request.Task.MaxDepth; n >= 0; n-- {
		v.Depths = append(v.Depths, option{int64(n), furtherWords(n), n == c.Depth})
	}
	if to := asked.Request.Task.Delegate; !to.IsZero() {
		few := asked.Keys[:min(len(asked.Keys), furtherKeys)]
		v.Further = &further{x.principal(to.String()), few, len(asked.Keys) - len(few), c.Further}
	}
	v.OwnTask = c.Task
}

func furtherWords(n int) string {
	switch n {
	case 0:
		return "nobody: it may not lend it on"
	case 1:
		return "agents that it lends to"
	}
	return fmt.Sprintf("agents that it lends to, and theirs, %d deep", n)
}

// lengths are the times to choose from: what was asked for, or is the most where nothing was said, and what is shorter.
func lengths(asked time.Duration, chosen int64, said bool) (all []option) {
	add := func(d time.Duration) {
		seconds := int64(d / time.Second)
		all = append(all, option{seconds, exactly(d), seconds == chosen})
	}
	add(asked)
	if said {
		all[0].Text += ", as asked"
	}
	for _, d := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, 8 * time.Hour, time.Hour, 15 * time.Minute} {
		if d < asked {
			add(d)
		}
	}
	return all
}

// exactly says a length of time to the second: it is signed.
func exactly(d time.Duration) string {
	var parts []string
	for _, u := range []struct {
		long      time.Duration
		one, many string
	}{{24 * time.Hour, " day", " days"}, {time.Hour, " h", " h"}, {time.Minute, " min", " min"}, {time.Second, " s", " s"}} {
		switch n := int64(d / u.long); n {
		case 0:
		case 1:
			parts = append(parts, "1"+u.one)
		default:
			parts = append(parts, strconv.FormatInt(n, 10)+u.many)
		}
		d %= u.long
	}
	return strings.Join(parts, " ")
}

// redirectWords is where the answer goes: the host and scheme, without what a client may have put behind them.
func redirectWords(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme == "" {
		return redirect
	}
	if u.Host == "" {
		return u.Scheme + ":, an app on this device"
	}
	return u.Scheme + "://" + u.Host
}

// changes says what is not as it was last time.
func changes(asked guard.Consent) (all []shown) {
	b := asked.Before
	if b.Name != asked.App.Name {
		all = append(all, show(fmt.Sprintf("It calls itself “%s”; last time it was “%s”.", asked.App.Name, b.Name)))
	}
	if now := asked.AnswerTo; b.RedirectHost != now {
		all = append(all, show(fmt.Sprintf("The answer goes to %s; last time it went to %s.", now, b.RedirectHost)))
	}
	for _, p := range asked.Request.Permissions {
		if !slices.ContainsFunc(b.Permissions, func(q delegation.Permission) bool { return delegation.Covers(q, p) }) {
			all = append(all, show("It asks for more: "+words(p.Permission)+where(p)+"."))
		}
	}
	for _, q := range b.Permissions {
		if !slices.ContainsFunc(asked.Request.Permissions, func(p delegation.Permission) bool { return delegation.Covers(p, q) }) {
			all = append(all, show("It does not ask any more: "+words(q.Permission)+where(q)+"."))
		}
	}
	return all
}

func where(p delegation.Permission) string {
	if w := delegation.Words(p.Where); w != "" {
		return ", only where " + w
	}
	return ""
}

// consentHops is the chain as it would be.
func (x *request) consentHops(v *consentView, asked guard.Consent) []hop {
	me := hop{principal: v.Me, How: "lends, signed with your passkey"}
	if !v.Passkey {
		me.How = "lends; the server attests that you are signed in"
	}
	agent := hop{principal: v.Agent, How: "already an agent here", Instance: asked.Request.JKT}
	if v.New {
		agent.How = "becomes an agent of yours"
	}
	var names []string
	for _, g := range v.Groups {
		names = append(names, g.Name.String())
		for _, i := range g.Items {
			p := permission{Name: i.Name, Where: i.Where, N: strconv.Itoa(i.N)}
			if !i.Kept {
				p.State = "cut"
			}
			agent.Permissions = append(agent.Permissions, p)
		}
	}
	all := []hop{me, agent}
	if v.Further != nil {
		all = append(all, hop{principal: v.Further.principal, How: "may act in the app's stead, with a token of it and never with more", Mark: "further", Cut: !v.Further.Kept})
	} else if asked.Request.Task.MaxDepth > 0 {
		all = append(all, hop{principal: principal{Kind: "agent", Name: show("agents that it lends to")}, How: "never with more than it has"})
	}
	tool := hop{principal: principal{Kind: "tool", Name: show(strings.Join(names, ", "))}, How: "what it is for"}
	return append(all, tool)
}

// consentSigns is what the statement must say, for app.js: everything but what the person chooses on the page, and the two that the server draws.
func (x *request) consentSigns(asked guard.Consent) (string, error) {
	r := asked.Request
	raw, err := jose.Canonical(struct {
		Issuer      string                  `json:"iss"`
		Workspace   string                  `json:"ws"`
		User        string                  `json:"user"`
		Agent       string                  `json:"agent"`
		Permissions []delegation.Permission `json:"permissions"`
		Uses        int64                   `json:"uses"`
		Task        string                  `json:"task"`
		Purpose     string                  `json:"purpose"`
		MayAct      string                  `json:"may_act"` // "": nobody was named
		From        int64                   `json:"from"`    // seconds: the statement begins between these
		To          int64                   `json:"to"`
	}{
		x.Issuer, r.Workspace.String(), x.person.ID.String(), asked.Delegate.String(), r.Permissions, r.Task.MaxUses, r.Task.Task, r.Task.Purpose, r.Task.Delegate.String(),
		x.now.Add(-time.Minute).Unix(), asked.Expires.Add(time.Minute).Unix(),
	})
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "internal", "what is asked for has no canonical form")
	}
	return ascii(string(raw)), nil
}

// ascii writes what is not ASCII in JSON text as escapes, so that nothing in an attribute can be unseen.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
