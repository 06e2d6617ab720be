package token_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

const here = "https://attorn.other.example"

func signerOf(seed byte) jose.Signer {
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), ed25519.SeedSize))))
	if err != nil {
		panic(err)
	}
	return s
}

// theirs is what the other server issued, and the key of its agent.
func theirs(t testing.TB, edit func(*token.Claims)) (token.Foreign, id.Key) {
	t.Helper()
	server, agent := signerOf(0), signerOf(1)
	c := chain()
	c.Audience, c.JKT, c.Act.Instance = here, agent.Public().Thumbprint(), agent.Public().Thumbprint()
	if edit != nil {
		edit(&c)
	}
	raw, err := token.Issue(c, server)
	if err != nil {
		t.Fatal(err)
	}
	return token.Foreign{Token: raw, Keys: []jose.PublicKey{server.Public()}}, agent.Public().Thumbprint()
}

// lentThere is a chain of two links, the last of them to the instance of the other server's agent.
func lentThere(t testing.TB, edit func(i int, st *delegation.Statement)) (token.Foreign, id.Key) {
	t.Helper()
	server, first, last := signerOf(0), signerOf(1), signerOf(2)
	st := delegation.Statement{
		Version: 1, ID: id.Must[id.Delegation](lent), Issuer: issuer, Workspace: id.Default, Delegator: delegation.Delegator{User: id.Must[id.User](priya)},
		Delegate: delegation.Delegate{Agent: id.Must[id.Agent](bot)}, Permissions: []delegation.Permission{{Permission: "acme:*"}},
		NotBefore: at.Unix() - 10, ExpiresAt: at.Unix() + 600, MaxDepth: 1,
	}
	f := token.Foreign{Keys: []jose.PublicKey{server.Public()}}
	by := first
	for i := range 2 {
		if i == 1 {
			parent, err := st.Digest()
			if err != nil {
				t.Fatal(err)
			}
			by = last
			st.ID, st.Parent, st.Delegator = id.New[id.Delegation](at), &parent, delegation.Delegator{Agent: id.Must[id.Agent](bot), Instance: by.Public().Thumbprint()}
			st.Delegate, st.MaxDepth, st.ExpiresAt = delegation.Delegate{Agent: id.Must[id.Agent](deployer), Instance: signerOf(3).Public().Thumbprint()}, 0, at.Unix()+300
		}
		if edit != nil {
			edit(i, &st)
		}
		signed, err := delegation.Sign(st, by)
		if err != nil {
			t.Fatal(err)
		}
		l, err := delegation.Countersign(signed, delegation.DelegatorKey{JWK: by.Public()}, at, int64(i), server)
		if err != nil {
			t.Fatal(err)
		}
		f.Chain = append(f.Chain, l)
	}
	return f, signerOf(3).Public().Thumbprint()
}

func TestForeignToken(t *testing.T) {
	t.Parallel()
	f, key := theirs(t, nil)
	want := token.ForeignWant{Issuer: issuer, Audience: here, Key: key, Now: at}
	s, err := f.Verify(want)
	if err != nil || s.Issuer != issuer || s.Sub.String() != priya || len(s.Actors) != 2 || s.Actors[0].String() != deployer || s.Ends != at.Unix()+300 || len(s.Permissions) != 2 || s.Shown.IsZero() {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, c := range []struct {
		name, code string
		edit       func(*token.Claims)
		want       func(*token.ForeignWant)
		keys       []jose.PublicKey
	}{
		{"another key", "foreign_refused", nil, func(w *token.ForeignWant) { w.Key = id.KeyOf(id.Sum(nil)) }, nil},
		{"a bearer token", "foreign_refused", func(c *token.Claims) { c.JKT, c.Act.Instance = id.Key{}, id.Key{} }, nil, nil},
		{"a bearer token and no key", "foreign_refused", func(c *token.Claims) { c.JKT, c.Act.Instance = id.Key{}, id.Key{} }, func(w *token.ForeignWant) { w.Key = id.Key{} }, nil},
		{"for nobody", "foreign_refused", func(c *token.Claims) { c.Act, c.Delegation, c.Subject = nil, id.Delegation{}, deployer }, nil, nil},
		{"a person's own", "foreign_refused", func(c *token.Claims) { c.Act, c.Delegation, c.Session = nil, id.Delegation{}, "s" }, nil, nil},
		{"another audience", "token_audience", nil, func(w *token.ForeignWant) { w.Audience = "https://third.example" }, nil},
		{"another issuer", "token_issuer", nil, func(w *token.ForeignWant) { w.Issuer = "https://third.example" }, nil},
		{"expired", "token_expired", nil, func(w *token.ForeignWant) { w.Now = at.Add(331 * time.Second) }, nil},
		{"not yet", "token_not_yet", nil, func(w *token.ForeignWant) { w.Now = at.Add(-31 * time.Second) }, nil},
		{"by another key", "token_signature", nil, nil, []jose.PublicKey{signerOf(9).Public()}},
		{"by no key", "token_signature", nil, nil, []jose.PublicKey{}},
	} {
		f, _ := theirs(t, c.edit)
		if c.keys != nil {
			f.Keys = c.keys
		}
		w := want
		if c.want != nil {
			c.want(&w)
		}
		if _, err := f.Verify(w); fault.Code(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestForeignChain(t *testing.T) {
	t.Parallel()
	f, key := lentThere(t, nil)
	want := token.ForeignWant{Issuer: issuer, Audience: here, Key: key, Now: at}
	s, err := f.Verify(want)
	if err != nil || s.Sub.String() != priya || len(s.Actors) != 2 || s.Actors[0].String() != deployer || s.Actors[1].String() != bot || s.Ends != at.Unix()+300 || s.Begins != at.Unix()-10 {
		t.Fatalf("%+v, %v", s, err)
	}
	uses := int64(9)
	for _, c := range []struct {
		name, code string
		edit       func(int, *delegation.Statement)
		want       func(*token.ForeignWant)
		chain      func([]delegation.Link) []delegation.Link
	}{
		{"another key", "foreign_refused", nil, func(w *token.ForeignWant) { w.Key = id.KeyOf(id.Sum(nil)) }, nil},
		{"any instance", "foreign_refused", func(i int, st *delegation.Statement) { st.Delegate.Instance = id.Key{} }, nil, nil},
		{"any instance, and no key", "foreign_refused", func(i int, st *delegation.Statement) { st.Delegate.Instance = id.Key{} }, func(w *token.ForeignWant) { w.Key = id.Key{} }, nil},
		{"uses", "foreign_refused", func(i int, st *delegation.Statement) { st.MaxUses = &uses }, nil, nil},
		{"another issuer", "foreign_refused", nil, func(w *token.ForeignWant) { w.Issuer = here }, nil},
		{"expired", "foreign_refused", nil, func(w *token.ForeignWant) { w.Now = at.Add(300 * time.Second) }, nil},
		{"not begun", "foreign_refused", nil, func(w *token.ForeignWant) { w.Now = at.Add(-11 * time.Second) }, nil},
		{"no root", "chain_broken", nil, nil, func(l []delegation.Link) []delegation.Link { return l[1:] }},
		{"one twice", "chain_broken", nil, nil, func(l []delegation.Link) []delegation.Link { return append(l, l[1]) }},
		{"nothing", "chain_broken", nil, nil, func([]delegation.Link) []delegation.Link { return nil }},
		{"wider", "widens", func(i int, st *delegation.Statement) {
			st.Permissions = []delegation.Permission{{Permission: []string{"acme:read", "acme:*"}[i]}}
		}, nil, nil},
	} {
		f, _ := lentThere(t, c.edit)
		if c.chain != nil {
			f.Chain = c.chain(f.Chain)
		}
		w := want
		if c.want != nil {
			c.want(&w)
		}
		if _, err := f.Verify(w); fault.Code(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	f.Keys = []jose.PublicKey{signerOf(9).Public()}
	if _, err := f.Verify(want); fault.Code(err) != "key_unknown" {
		t.Errorf("another server's keys: %v", err)
	}
}

func TestForeignBytes(t *testing.T) {
	t.Parallel()
	tok, _ := theirs(t, nil)
	links, _ := lentThere(t, nil)
	for _, f := range []token.Foreign{tok, links} {
		raw, err := f.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := token.ParseForeign(raw)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := again.Bytes(); err != nil || string(b) != string(raw) {
			t.Errorf("%s, %v", b, err)
		}
		if _, err := token.ParseForeign(append(raw, ' ')); fault.Code(err) != "foreign_malformed" {
			t.Errorf("with a space: %v", err)
		}
	}
	both := token.Foreign{Token: tok.Token, Chain: links.Chain, Keys: tok.Keys}
	for name, f := range map[string]token.Foreign{"both": both, "neither": {Keys: tok.Keys}, "no keys": {Token: tok.Token}} {
		raw, err := f.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.ParseForeign(raw); fault.Code(err) != "foreign_malformed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Via is in a token only where it can be true.
func TestVia(t *testing.T) {
	t.Parallel()
	s := signerOf(0)
	via := token.Via{Issuer: here, Sub: id.Must[id.User](priya), Actors: []id.Agent{id.Must[id.Agent](bot)}, Shown: id.Sum([]byte("x"))}
	for _, c := range []struct {
		name string
		edit func(*token.Claims)
		ok   bool
	}{
		{"as it is", func(*token.Claims) {}, true},
		{"ourselves", func(c *token.Claims) { c.Via.Issuer = issuer }, false},
		{"nobody's", func(c *token.Claims) { c.Via.Issuer = "" }, false},
		{"for nobody", func(c *token.Claims) { c.Via.Sub = id.User{} }, false},
		{"no agent", func(c *token.Claims) { c.Via.Actors = nil }, false},
		{"nine agents", func(c *token.Claims) {
			for range 8 {
				c.Via.Actors = append(c.Via.Actors, c.Via.Actors[0])
			}
		}, false},
		{"an agent without an id", func(c *token.Claims) { c.Via.Actors = append(c.Via.Actors, id.Agent{}) }, false},
		{"nothing that proves it", func(c *token.Claims) { c.Via.Shown = id.Digest{} }, false},
		{"a bearer token", func(c *token.Claims) { c.JKT, c.Act.Instance = id.Key{}, id.Key{} }, false},
		{"an agent for itself", func(c *token.Claims) { c.Act, c.Delegation, c.Subject = nil, id.Delegation{}, bot }, false},
	} {
		cl, v := chain(), via
		cl.Via = &v
		c.edit(&cl)
		raw, err := token.Issue(cl, s)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !c.ok {
			continue
		}
		got, err := token.Verify(raw, published(s), token.Want{Issuer: issuer, Audience: audience, Now: at})
		if err != nil || got.Via == nil || !got.Via.Equal(v) {
			t.Errorf("%s: %+v, %v", c.name, got.Via, err)
		}
	}
}

func FuzzForeign(f *testing.F) {
	one, key := theirs(f, nil)
	two, _ := lentThere(f, nil)
	for _, v := range []token.Foreign{one, two} {
		raw, err := v.Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = token.ParseChain(raw)
		v, err := token.ParseForeign(raw)
		if err != nil {
			return
		}
		if again, err := v.Bytes(); err != nil || string(again) != string(raw) {
			t.Errorf("%q becomes %q, %v", raw, again, err)
		}
		_, _ = v.Verify(token.ForeignWant{Issuer: issuer, Audience: here, Key: key, Now: at})
	})
}
