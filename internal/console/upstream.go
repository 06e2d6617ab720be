package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
)

// The cookie of a trip to a provider: which browser left. Lax, since the provider sends the browser back from its own site.
const (
	tripSuffix = "-trip"
	tripMaxAge = 10 * time.Minute
)

func (f *face) setTrip(w http.ResponseWriter, browser string) {
	c := http.Cookie{
		Name: f.cookie + tripSuffix, Value: browser, Path: "/", MaxAge: int(tripMaxAge / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: f.cookie == secureCookie,
	}
	if browser == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, &c)
}

// provider is the one that the path names.
func (x *request) provider() (*provider, error) {
	for _, p := range x.providers {
		if p.Name == x.r.PathValue("name") {
			return p, nil
		}
	}
	return nil, missing("there is no such sign-in provider")
}

// providerNames are for the pages that offer them.
func (f *face) providerNames() []string {
	var names []string
	for _, p := range f.providers {
		names = append(names, p.Name)
	}
	return names
}

// goView sends the browser on. The page's address is ours and its form was, so a redirect would be one of a form, which the policy of form-action
// stops, and with it every redirect that the provider makes: the browser goes on by itself, or by the link.
type goView struct {
	Provider string
	URL      string
}

// departPage begins a trip to a provider: to sign in, to do so anew (fresh), or to add an account there to one's own (link).
func departPage(x *request) (view, error) {
	if err := x.limit(x.signIns, x.network()); err != nil {
		return view{}, err
	}
	p, err := x.provider()
	if err != nil {
		return view{}, err
	}
	fields, err := x.form("next", "fresh", "link")
	if err != nil {
		return view{}, err
	}
	trip := guard.Trip{Provider: p.Name, Next: next(fields["next"]), Fresh: fields["fresh"] != ""}
	if fields["link"] != "" {
		if err := x.signIn(); err != nil {
			return view{}, err
		}
		trip.Link, trip.Next = x.person.ID, "/account/upstream"
	}
	m, err := p.metadata(x.ctx)
	if err != nil {
		return view{}, x.noted(p, err)
	}
	if trip, err = x.Guard.Depart(x.ctx, x.caller, trip); err != nil {
		return view{}, err
	}
	x.setTrip(x.w, trip.Browser)
	to := p.authorizeURL(m, trip)
	x.w.Header().Set("Refresh", "0; url="+to)
	x.caller = nil // this page is outside the shell
	return view{Name: "go", Title: "Sign in with " + p.Name, Data: goView{p.Name, to}}, nil
}

// callbackPage is where a provider sends the browser back to.
func callbackPage(x *request) (view, error) {
	if err := x.limit(x.signIns, x.network()); err != nil {
		return view{}, err
	}
	return proving(x, func() (view, error) { return comeBack(x) })
}

// comeBack spends the state first, whatever else comes: nothing of the answer is used for a browser that did not leave, or for one that has been back.
func comeBack(x *request) (view, error) {
	p, err := x.provider()
	if err != nil {
		return view{}, err
	}
	q, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil || len(q["state"]) != 1 || !tripSecret(q.Get("state")) {
		return view{}, p.invalid("its answer is malformed (state)")
	}
	trip, err := x.Guard.Return(x.ctx, p.Name, q.Get("state"), x.tripCookie())
	if err != nil {
		return view{}, err
	}
	x.setTrip(x.w, "")
	i, err := x.answer(p, trip, q)
	if err != nil {
		return view{}, x.Guard.RefuseUpstream(x.ctx, p.Issuer, x.address(), x.noted(p, err))
	}
	if !trip.Link.IsZero() {
		if err := x.signIn(); err != nil {
			return view{}, err
		}
		return view{To: trip.Next}, x.Guard.LinkUpstream(x.ctx, x.caller, trip, i)
	}
	session, _, err := x.Guard.SignInUpstream(x.ctx, i, x.address())
	if err != nil {
		return view{}, err
	}
	return view{To: trip.Next}, x.begin(session)
}

// tripCookie is what the browser kept; "" where there is none, or more than one, which means that somebody else set one.
func (x *request) tripCookie() string {
	found := x.r.CookiesNamed(x.cookie + tripSuffix)
	if len(found) != 1 || !tripSecret(found[0].Value) {
		return ""
	}
	return found[0].Value
}

func tripSecret(s string) bool {
	b, err := jose.DecodeBase64(s)
	return err == nil && len(b) == 32
}

// answer reads a provider's answer (RFC 6749 §4.1.2, RFC 9207).
func (x *request) answer(p *provider, t guard.Trip, q url.Values) (guard.Identity, error) {
	var none guard.Identity
	m, err := p.metadata(x.ctx)
	if err != nil {
		return none, err
	}
	code, failed, iss := q["code"], q["error"], q["iss"]
	switch {
	case len(code) > 1 || len(failed) > 1 || len(iss) > 1 || len(code)+len(failed) != 1:
		return none, p.invalid("its answer is malformed (code, error)")
	case len(iss) == 1 && iss[0] != p.Issuer, len(iss) == 0 && m.SaysISS:
		return none, p.invalid("its answer is of another provider (iss)")
	case len(failed) == 1:
		return none, p.invalid("it answered " + plainCode(failed[0]))
	case code[0] == "" || len(code[0]) > maxCode:
		return none, p.invalid("its answer is malformed (code)")
	}
	return p.redeem(x.ctx, m, t, code[0])
}

// noted writes into the server's log what is behind a refusal that people are told in general words.
func (x *request) noted(p *provider, err error) error {
	if f := fault.Of(err); f != nil && f.Unwrap() != nil {
		x.Log.Warn("a sign-in provider's answer", "provider", p.Name, "code", f.Code, "error", f.Unwrap().Error())
	}
	return err
}

const maxCode = 4 << 10

// accountView is the page of a person's accounts at providers.
type accountView struct {
	Accounts  []account
	Providers []string
	MayLink   bool // the session began with a passkey,
	Fresh     bool // a short time ago
}

type account struct {
	Provider string
	Issuer   shown
	Subject  shown
	Made     when
	issuer   string
	subject  string
}

// Form values, as they are stored.
func (a account) FormIssuer() string  { return a.issuer }
func (a account) FormSubject() string { return a.subject }

func upstreamPage(x *request) (view, error) {
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	has, err := p.Identities(x.ctx)
	if err != nil {
		return view{}, err
	}
	v := accountView{Providers: x.providerNames(), MayLink: p.SignedInWithPasskey(), Fresh: p.SignedInJustNow()}
	for _, i := range has {
		v.Accounts = append(v.Accounts, accountOf(i, x.now))
	}
	return view{Name: "upstream", Title: "Your accounts at other providers", Data: v}, nil
}

// ownProviders are those at which the reader has an account, and a sign-in may be of a level.
func (x *request) ownProviders(p *guard.Page, level int64) ([]string, error) {
	has, err := p.Identities(x.ctx)
	var names []string
	for _, of := range x.providers {
		if of.reaches(level) && slices.ContainsFunc(has, func(i people.Identity) bool { return i.Issuer == of.Issuer }) {
			names = append(names, of.Name)
		}
	}
	return names, err
}

func accountOf(i people.Identity, now time.Time) account {
	return account{Provider: i.Provider, Issuer: show(i.Issuer), Subject: show(i.Subject), Made: at(i.CreatedAt, now), issuer: i.Issuer, subject: i.Subject}
}

func removeUpstream(x *request) (view, error) {
	fields, err := x.form("issuer", "subject")
	if err != nil {
		return view{}, err
	}
	return view{To: "/account/upstream"}, x.Guard.UnlinkUpstream(x.ctx, x.caller, fields["issuer"], fields["subject"])
}
