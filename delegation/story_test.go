package delegation_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// The people and agents of these tests. Their keys are made of their names, so the same cases have the same bytes.
var (
	priya = id.Must[id.User]("usr_" + strings.Repeat("p", 25) + "0")
	maya  = id.Must[id.User]("usr_" + strings.Repeat("m", 25) + "0")
)

const (
	theIssuer = "https://attorn.example"
	theRP     = "attorn.example"
	begin     = 1_795_420_800
)

func agentOf(name string) id.Agent {
	return id.Must[id.Agent]("agt_" + strings.Repeat(name[:1], 25) + "0")
}

func delegationOf(n int) id.Delegation {
	return id.Must[id.Delegation]("dlg_" + strings.Repeat(string(rune('a'+n)), 25) + "0")
}

func signer(name string) jose.Signer {
	seed := sha256.Sum256([]byte(name))
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(err)
	}
	return s
}

func at(s int64) time.Time { return time.Unix(s, 0) }

func instance(name string) id.Key { return signer(name).Public().Thumbprint() }

func passkey(name string) *attorntest.SoftPasskey {
	d := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		panic(err)
	}
	return attorntest.NewSoftPasskey(key)
}

func allow(p string) delegation.Permission { return delegation.Permission{Permission: p} }

func under(p, path, prefix string) delegation.Permission {
	return delegation.Permission{Permission: p, Where: map[string]delegation.Constraint{path: {Prefix: &prefix}}}
}

// rootStatement is what Priya lends release-bot: reading everywhere, writing under two folders, for two hours.
func rootStatement() delegation.Statement {
	return delegation.Statement{
		Version: 1, ID: delegationOf(0), Issuer: theIssuer, Workspace: id.Default,
		Delegator: delegation.Delegator{User: priya}, Delegate: delegation.Delegate{Agent: agentOf("release-bot"), Instance: instance("release-bot")},
		Permissions: []delegation.Permission{allow("tool:files:read_*"), under("tool:files:write_file", "path", "staging/"), under("tool:files:write_file", "path", "production/")},
		NotBefore:   begin, ExpiresAt: begin + 7200, MaxUses: new(int64(100)), MaxDepth: 7, Task: "REL-481", Purpose: "Ship release 481",
	}
}

// childStatement is what the delegate of parent lends the agent of that name: writing alone, ten uses.
func childStatement(t testing.TB, parent delegation.Statement, by, to string) delegation.Statement {
	t.Helper()
	s := parent
	s.MayAct = id.Agent{}
	s.ID = delegationOf(9 - parent.MaxDepth)
	s.Delegator = delegation.Delegator{Agent: agentOf(by), Instance: instance(by)}
	s.Delegate = delegation.Delegate{Agent: agentOf(to)}
	s.Permissions = []delegation.Permission{under("tool:files:write_file", "path", "staging/")}
	s.MaxUses, s.MaxDepth = new(int64(10)), max(parent.MaxDepth-1, 0)
	s.Purpose = ""
	return adopt(t, parent, s)
}

// adopt has child name parent by its digest.
func adopt(t testing.TB, parent, child delegation.Statement) delegation.Statement {
	t.Helper()
	digest, err := parent.Digest()
	if err != nil {
		t.Fatal(err)
	}
	child.Parent = &digest
	return child
}

func signed(t testing.TB, st delegation.Statement, by string) delegation.Signed {
	t.Helper()
	sd, err := delegation.Sign(st, signer(by))
	if err != nil {
		t.Fatal(err)
	}
	return sd
}

// byPasskey signs with the software passkey of that name.
func byPasskey(t testing.TB, st delegation.Statement, name string) (delegation.Signed, delegation.DelegatorKey) {
	t.Helper()
	digest, err := st.Digest()
	if err != nil {
		t.Fatal(err)
	}
	raw, p := digest.Bytes(), passkey(name)
	a := p.Assert(raw[:], theRP, theIssuer)
	return delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: &a}},
		delegation.DelegatorKey{Passkey: &delegation.Passkey{Key: p.Key(), RPID: theRP, Origin: theIssuer}}
}

func jwk(name string) delegation.DelegatorKey {
	return delegation.DelegatorKey{JWK: signer(name).Public()}
}

func countersigned(t testing.TB, sd delegation.Signed, key delegation.DelegatorKey) delegation.Link {
	t.Helper()
	l, err := delegation.Countersign(sd, key, time.Unix(begin, 0), 4711, signer("server"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// chain is n links: Priya with her passkey, then agents named a, b, c … after release-bot.
func chain(t testing.TB, n int) []delegation.Link {
	t.Helper()
	st := rootStatement()
	st.MaxDepth = max(st.MaxDepth, n-1)
	sd, key := byPasskey(t, st, "priya")
	links := []delegation.Link{countersigned(t, sd, key)}
	by := "release-bot"
	for i := 1; i < n; i++ {
		to := string(rune('a' + i))
		st = childStatement(t, st, by, to)
		links = append(links, countersigned(t, signed(t, st, by), jwk(by)))
		by = to
	}
	return links
}

// published finds the server's key, and no other.
func published(kid id.Key) (jose.PublicKey, bool) {
	k := signer("server").Public()
	return k, kid == k.Thumbprint()
}

func workspace(name string) id.Workspace { return must(id.ParseWorkspace(name)) }
