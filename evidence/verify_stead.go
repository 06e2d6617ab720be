package evidence

import (
	"reflect"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// onToken holds what was lent in a delegate's stead to the token that it rests on (RFC 8693 §4.4): signed by the issuer, good when it was lent on, and saying of
// person, agents, key, permissions and times exactly this.
func (v *verifier) onToken(l, parent delegation.Link) error {
	ref := steadOn([]delegation.Link{l})
	raw, ok := v.content[ref.SHA256]
	if !ok {
		return notShown("the token %s, on which the delegation %s rests, is not in the pack", ref.ID, l.Statement.ID)
	}
	var kid id.Key
	keys := func(k id.Key) (jose.PublicKey, bool) { kid = k; return v.key(k) }
	c, err := token.Verify(string(raw), keys, token.Want{Issuer: v.pack.Issuer, AnyAudience: true, Now: time.UnixMicro(l.At)})
	if err != nil {
		return err
	}
	st, at, err := c.InStead(string(raw), parent.Statement)
	if err != nil {
		return err
	}
	want, err := st.Digest()
	if err != nil {
		return err
	}
	if got, err := l.Statement.Digest(); err != nil || got != want || !reflect.DeepEqual(at, *l.Delegator.Attested) {
		return wrong("the token %s says something else than what was lent on it", ref.ID)
	}
	return v.tokenSigned(kid, c)
}

// steadOn is the token on which the last of links rests, if it was lent in a delegate's stead.
func steadOn(links []delegation.Link) *delegation.TokenRef {
	if at := links[len(links)-1].Delegator.Attested; at != nil {
		return at.Token
	}
	return nil
}
