package console

import (
	"strings"

	"github.com/attorn/attorn/fault"
)

// signIn is what the sign-in pages show.
type signInView struct {
	Next      string
	Elsewhere string // the address to open instead: passkeys work at no other
	Providers []string
	Error     shown
	Remedy    shown
}

func signInPage(x *request) (view, error) {
	to := next(x.r.URL.Query().Get("next"))
	if x.signIn() == nil {
		return view{To: to}, nil
	}
	x.caller = nil
	return view{Name: "signin", Title: "Sign in", Data: signInView{Next: to, Elsewhere: x.elsewhere(), Providers: x.providerNames()}}, nil
}

// elsewhere is where passkeys work, if that is not where the browser is: they are bound to the host name.
func (x *request) elsewhere() string {
	if strings.EqualFold(x.r.Host, x.host) {
		return ""
	}
	return x.Issuer + x.r.URL.Path
}

func beginSignIn(x *request, _ []byte) (any, error) {
	if err := x.limit(x.signIns, x.network()); err != nil {
		return nil, err
	}
	return x.Guard.BeginSignIn(x.ctx)
}

func finishSignIn(x *request, body []byte) (any, error) {
	if err := x.limit(x.signIns, x.network()); err != nil {
		return nil, err
	}
	session, err := proving(x, func() (string, error) {
		session, _, err := x.Guard.FinishSignIn(x.ctx, body, x.address())
		return session, err
	})
	if err != nil {
		return nil, err
	}
	return struct{}{}, x.begin(session)
}

func signOut(x *request) (view, error) {
	if secret := x.secret(x.r); secret != "" {
		if err := x.Guard.SignOut(x.ctx, secret); err != nil {
			return view{}, err
		}
	}
	x.setCookie(x.w, "")
	return view{To: "/signin"}, nil
}

// linkView is the page of a one-time link. The secret is in the fragment, which no browser sends: app.js puts it into the form, or the person
// does.
type linkView struct {
	Secret  string // as it was sent, after a refusal that did not spend it
	AskName bool   // the link makes the first administrator
	Name    string
	Error   shown
	Remedy  shown
}

func linkPage(*request) (view, error) {
	return view{Name: "link", Title: "Sign in with a one-time link", Data: linkView{}}, nil
}

// spendLink spends a link. The first administrator's is refused without a name, and then asked for one; it is not spent by that.
func spendLink(x *request) (view, error) {
	if err := x.limit(x.signIns, x.network()); err != nil {
		return view{}, err
	}
	fields, err := x.form("secret", "name")
	if err != nil {
		return view{}, err
	}
	secret, name := strings.TrimSpace(fields["secret"]), strings.TrimSpace(fields["name"])
	if _, after, pasted := strings.Cut(secret, "#"); pasted { // the whole link
		secret = after
	}
	session, err := proving(x, func() (string, error) {
		session, _, _, err := x.Guard.SignInPage(x.ctx, secret, name, x.address())
		return session, err
	})
	if err == nil {
		return view{To: "/passkey"}, x.begin(session)
	}
	f := fault.Of(err)
	if f == nil || f.Kind != fault.Unauthenticated && f.Kind != fault.Invalid {
		return view{}, err
	}
	v := view{Name: "link", Title: "Sign in with a one-time link", Status: statusOf(f)}
	if f.Code != "person_invalid" {
		v.Data = linkView{Error: show(f.Reason), Remedy: show(f.Remedy)}
		return v, nil
	}
	again := linkView{Secret: secret, AskName: true, Name: name}
	if _, asked := fields["name"]; asked {
		again.Error = show(f.Reason)
	} else {
		v.Status = 0
	}
	v.Title, v.Data = "Welcome", again
	return v, nil
}
