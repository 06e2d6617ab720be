package evidence

import (
	"fmt"
	"time"

	"github.com/attorn/attorn/token"
)

// viaChecks are those of an act that rests on another server's word.
func (v *verifier) viaChecks() []check {
	if v.under().Via == nil {
		return nil
	}
	return []check{{AuthorisedThen, "other server", v.checkVia}}
}

// checkVia holds the event to the token, and the token to what the other server had signed: for this very key and this issuer, and good for as long as the
// token was. That the keys are the other server's, and that it had ended nothing, is this server's word.
func (v *verifier) checkVia() (string, error) {
	said := v.under().Via
	if v.claims == nil {
		return "", notShown("the token is not in the pack")
	}
	if v.claims.Via == nil || !v.claims.Via.Equal(*said) {
		return "", wrong("the token does not say what the event says of the other server")
	}
	raw, ok := v.content[said.Shown]
	if !ok {
		return "", notShown("what the other server had signed is not in the pack")
	}
	f, err := token.ParseForeign(raw)
	if err != nil {
		return "", err
	}
	got, err := f.Verify(token.ForeignWant{Issuer: said.Issuer, Audience: v.pack.Issuer, Key: v.claims.JKT, Now: time.Unix(v.claims.IssuedAt, 0)})
	if err != nil {
		return "", err
	}
	if !got.Via.Equal(*said) || v.claims.Expires > got.Ends {
		return "", wrong("what the other server had signed is of others, or for a shorter time, than the token says")
	}
	v.via = ViaWords(*said)
	return v.via + ", signed for the key " + v.claims.JKT.Short(), nil
}

// ViaWords says whose authority at another server an act rests on.
func ViaWords(v token.Via) string {
	if len(v.Actors) == 0 {
		return ""
	}
	words := fmt.Sprintf("on behalf of agent %s of %s (person %s there)", v.Actors[0], v.Issuer, v.Sub)
	if n := len(v.Actors) - 1; n > 0 {
		words += fmt.Sprintf(", through %d more of its agents", n)
	}
	return words
}
