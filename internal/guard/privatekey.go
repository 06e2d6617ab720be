package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// NoPrivateKeyIn refuses a text that somebody sent if it holds a private key (authority.md §7), so that nothing of it is stored; neither the refusal nor the log
// repeats it. The refusal names place. Code: private_key.
func NoPrivateKeyIn(place string, text []byte) error {
	if !jose.HoldsPrivateKey(text) {
		return nil
	}
	return fault.New(fault.Invalid, "private_key", "%s holds a private key, which must never leave its holder; nothing was done with it and it is not kept", place).
		Try("give this key up, since it was exposed on the way: make a new one, send its public part alone, and revoke what was enrolled with the old one")
}

// NotePrivateKey records that a request held a private key, in the log of whom it is about: the holder of the registered key whose public part lay beside
// it, or else the client that the request claimed to come from. It reports who that is, "" for nobody that this server knows, where there is no log. Whether
// the private part fits the public one is not tried: nothing is ever done with it. admit says whether one more event about somebody may be written.
func (g *Guard) NotePrivateKey(ctx context.Context, public id.Key, claimed, face, ip string, admit func(who string) bool) (string, error) {
	holder, err := g.registered(ctx, public)
	if err != nil {
		return "", err
	}
	reason := "a request in this name held a private key, which was refused: whichever it is, it is exposed"
	if holder != "" {
		claimed = holder
		reason = "a request held a private key and beside it the public key " + public.String() + ": if the two are a pair, that key is exposed"
	}
	d := evidence.Draft{Target: claimed}
	d.Kind, d.Outcome, d.Where.Face, d.Who.Sub = evidence.TokenRefused, evidence.Deny, face, evidence.ServerSub
	d.Why = &evidence.Why{Code: "private_key", Reason: reason}
	if known, err := g.about(ctx, &d, claimed); err != nil || !known {
		return "", err
	}
	if !admit(claimed) {
		return claimed, nil
	}
	return claimed, g.recordFrom(ctx, &d, claimed, ip)
}

// registered is whose live key this is: an agent or a person; "" for nobody's.
func (g *Guard) registered(ctx context.Context, key id.Key) (string, error) {
	if key.IsZero() {
		return "", nil
	}
	a, _, err := g.Agents.Live(ctx, key, g.Now())
	if err == nil {
		return a.ID.String(), nil
	}
	if !refuses(err) {
		return "", err
	}
	p, _, err := g.People.PersonByKey(ctx, key)
	if err == nil {
		return p.ID.String(), nil
	}
	if !refuses(err) {
		return "", err
	}
	return "", nil
}

// refuses reports whether err says no, rather than that nobody could tell.
func refuses(err error) bool {
	f := fault.Of(err)
	return f != nil && f.Kind != fault.Internal && f.Kind != fault.Unavailable
}
