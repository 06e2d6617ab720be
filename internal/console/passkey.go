package console

import "strings"

// passkeyView is the page on which a person makes a passkey.
type passkeyView struct {
	Passkeys  []passkeyRow
	Elsewhere string
	Next      string   // where to go on, once it is made
	Again     []string // providers where the reader can sign in anew, if that was a while ago
}

type passkeyRow struct {
	Credential string
	Made       when
}

func passkeyPage(x *request) (view, error) {
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	has, err := p.Passkeys(x.ctx)
	if err != nil {
		return view{}, err
	}
	v := passkeyView{Elsewhere: x.elsewhere(), Next: next(x.r.URL.Query().Get("next"))}
	if !p.SignedInJustNow() {
		if v.Again, err = x.ownProviders(p, 0); err != nil {
			return view{}, err
		}
	}
	for _, k := range has {
		v.Passkeys = append(v.Passkeys, passkeyRow{k.Credential, at(k.CreatedAt, x.now)})
	}
	return view{Name: "passkey", Title: "Make a passkey", Data: v}, nil
}

func beginPasskey(x *request, _ []byte) (any, error) {
	if err := x.limit(x.challenges, x.person.ID.String()); err != nil {
		return nil, err
	}
	return x.Guard.BeginPasskey(x.ctx, x.caller)
}

// madePasskey tells app.js which credential it was.
type madePasskey struct {
	Credential string `json:"credential"`
}

func finishPasskey(x *request, body []byte) (any, error) {
	k, err := x.Guard.FinishPasskey(x.ctx, x.caller, body, strings.TrimSpace(x.r.URL.Query().Get("label")))
	if err != nil {
		return nil, err
	}
	return madePasskey{k.Credential}, nil
}
