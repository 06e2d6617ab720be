package guard_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
	attorntoken "github.com/attorn/attorn/token"
)

// heldOnce says for each kind of thing that is used once which test brings it 64 times at once to every node: one here, by its name in attempts, or another.
var heldOnce = map[string]string{
	"ticket signin": "a sign-in link", "ticket enrol": "an enrolment", "ticket challenge": "a passkey's challenge",
	"ticket par": "internal/oauth TestOnceFlow", "ticket resume": "internal/oauth TestOnceFlow", "ticket code": "internal/oauth TestOnceFlow",
	"ticket refresh": "internal/oauth TestOnceFlow", "ticket consent": "internal/guard TestOnceConsent", "ticket upstream": "internal/console TestUpstreamAtOnce",
	"ticket app": "internal/guard TestInvitedAppOnce", "device code": "internal/guard TestDeviceOnce",
	"seen assertion": "a client's assertion", "seen dpop": "a client's proof", "seen httpsig": "internal/guard TestSignatureOnce", "seen jag": "an identity assertion",
}

// attempts brings one single-use thing 64 times: the i-th time at that door, made before by whoever brings it.
var attempts = map[string]func(s *once) func(g *guard.Guard, i int) error{
	"a sign-in link": func(s *once) func(*guard.Guard, int) error {
		_, secret, err := s.Invite(s.t.Context(), s.priya.api(), "Omar "+rand.Text()[:4])
		s.ok(err)
		creds := made(func() guard.Credentials { return s.keyCredentials(newSigner(s.t), "/v1/signin") })
		return func(g *guard.Guard, i int) error {
			_, _, err := g.SignIn(context.Background(), secret, "", "", creds[i])
			return err
		}
	},
	"an enrolment": func(s *once) func(*guard.Guard, int) error {
		secret, _, err := s.OfferEnrolment(s.t.Context(), s.priya.api(), s.bot.agent)
		s.ok(err)
		creds := made(func() guard.Credentials { return s.keyCredentials(newSigner(s.t), "/v1/enrol") })
		return func(g *guard.Guard, i int) error {
			_, _, err := g.Enrol(context.Background(), secret, creds[i])
			return err
		}
	},
	"a passkey's challenge": func(s *once) func(*guard.Guard, int) error {
		soft := s.maya.soft(s.maya.session())
		o, err := s.BeginSignIn(s.t.Context())
		s.ok(err)
		challenge, err := jose.DecodeBase64(o.Challenge)
		s.ok(err)
		answers := made(func() []byte { return soft.SignIn(challenge, "localhost", issuer) })
		return func(g *guard.Guard, i int) error {
			_, _, err := g.FinishSignIn(context.Background(), answers[i], "")
			return err
		}
	},
	"a client's assertion": func(s *once) func(*guard.Guard, int) error {
		assertion, err := attorntoken.SignAssertion(s.bot.signer, s.bot.sub(), issuer, rand.Text(), s.now, time.Minute)
		s.ok(err)
		return s.asClient(func() (string, string) { return assertion, s.proof(s.bot.signer, "POST", issuer+"/oauth/token", "") })
	},
	"a client's proof": func(s *once) func(*guard.Guard, int) error {
		proof := s.proof(s.bot.signer, "POST", issuer+"/oauth/token", "")
		return s.asClient(func() (string, string) {
			assertion, err := attorntoken.SignAssertion(s.bot.signer, s.bot.sub(), issuer, rand.Text(), s.now, time.Minute)
			s.ok(err)
			return assertion, proof
		})
	},
	"another server's agent's first proof": func(s *once) func(*guard.Guard, int) error {
		cr := s.keyCredentials(s.key, "/oauth/token")
		words := made(s.word)
		return func(g *guard.Guard, i int) error {
			_, err := s.comes(g, cr, words[i])
			return err
		}
	},
	"another server's agent's next proof": func(s *once) func(*guard.Guard, int) error {
		_, err := s.comes(s.Guard, s.keyCredentials(s.key, "/oauth/token"), s.word())
		s.ok(err)
		cr := s.keyCredentials(s.key, "/oauth/token")
		words := made(s.word)
		return func(g *guard.Guard, i int) error {
			_, err := s.comes(g, cr, words[i])
			return err
		}
	},
}

type once struct{ *elsewhere }

func made[T any](one func() T) (all []T) {
	for range 64 {
		all = append(all, one())
	}
	return all
}

func (s *once) asClient(proofs func() (assertion, dpop string)) func(*guard.Guard, int) error {
	all := made(func() *guard.Client {
		assertion, dpop := proofs()
		c, err := s.AuthenticateClient(s.t.Context(), guard.ClientProof{
			Method: "POST", URL: issuer + "/oauth/token", Assertion: assertion, DPoP: []string{dpop}, NeedDPoP: true,
		})
		s.ok(err)
		return c
	})
	return func(g *guard.Guard, i int) error {
		_, err := g.ClientCredentials(context.Background(), all[i], guard.TokenRequest{})
		return err
	}
}

// refusedTwice are the codes by which what was used before is refused.
var refusedTwice = []string{"ticket_spent", "invalid_client", "dpop_replayed", "replayed", "assertion_spent", "sign_in_failed"}

// TestOnceOfEveryKind: what is used once is, of 64 who bring it at once to every node.
func TestOnceOfEveryKind(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := &once{newElsewhere(t, dsn)}
		doors := s.doors(dsn)
		for name, attempt := range attempts {
			s.now = s.now.Add(time.Minute)
			bring := attempt(s)
			got := inParallel(64, func(i int) string { return fault.Code(bring(doors[i%len(doors)], i)) })
			count := got[""]
			for _, code := range refusedTwice {
				count += got[code]
			}
			if got[""] != 1 || count != 64 {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

// TestOnceIdentityAssertion: of 64 who show one assertion of a provider's at once, each with proofs of their own, one is lent what it says.
func TestOnceIdentityAssertion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a := newAsserts(t, dsn)
		doors := (&story{rig: a.rig}).doors(dsn)
		for _, g := range doors {
			g.Asserting, g.Fetch = a.Asserting, overHTTP{}
		}
		raw, clients := a.jag(nil), made(a.bot.client)
		got := inParallel(64, func(i int) string {
			_, err := doors[i%len(doors)].IdentityToken(context.Background(), clients[i], raw, guard.TokenRequest{Resource: issuer + "/mcp/files"})
			return fault.Code(err)
		})
		if got[""] != 1 || got["assertion_spent"] != 63 {
			t.Errorf("%v", got)
		}
	})
}

// TestEveryKindIsHeldOnce: each kind of ticket, and of what is remembered as seen, that the source has is brought 64 times by some test.
func TestEveryKindIsHeldOnce(t *testing.T) {
	found := map[string]bool{"device code": true}
	for _, kind := range ticketKinds(t) {
		found["ticket "+kind] = true
	}
	for _, kind := range nonceKinds(t) {
		found["seen "+kind] = true
	}
	for kind := range found {
		held := heldOnce[kind]
		if _, here := attempts[held]; here || held == "an identity assertion" {
			continue
		}
		dir, name, _ := strings.Cut(held, " ")
		if held == "" || !slices.Contains(testsIn(t, dir), name) {
			t.Errorf("%s: no test brings it 64 times at once (%q)", kind, held)
		}
	}
	for kind := range maps.Keys(heldOnce) {
		if !found[kind] {
			t.Errorf("%s: the source has no such kind", kind)
		}
	}
}

// parsed reads the Go files of a directory of the repository.
func parsed(t *testing.T, dir string, which func(name string) bool) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatal(dir, err)
	}
	for _, name := range names {
		if !which(name) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

func isSource(name string) bool { return !isTest(name) }

func testsIn(t *testing.T, dir string) (names []string) {
	for _, f := range parsed(t, dir, isTest) {
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// constants are the string constants of a package, of one type or of any.
func constants(t *testing.T, dir, of string) map[string]string {
	all := map[string]string{}
	for _, f := range parsed(t, dir, isSource) {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) == 0 {
				return true
			}
			if typ, _ := v.Type.(*ast.Ident); of != "" && (typ == nil || typ.Name != of) {
				return true
			}
			for i, name := range v.Names {
				if s, ok := quoted(v.Values[min(i, len(v.Values)-1)]); ok {
					all[name.Name] = s
				}
			}
			return true
		})
	}
	return all
}

func quoted(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

func ticketKinds(t *testing.T) []string {
	return slices.Sorted(maps.Values(constants(t, "internal/tickets", "Kind")))
}

// nonceKinds are the kinds of evidence.Nonce that any package makes.
func nonceKinds(t *testing.T) (kinds []string) {
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && len(name) > 2 {
			return fs.SkipDir
		}
		sources, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || !slices.ContainsFunc(sources, isSource) {
			return err
		}
		dir, err := filepath.Rel(filepath.Join("..", ".."), path)
		if err != nil {
			return err
		}
		var consts map[string]string
		for _, f := range parsed(t, dir, isSource) {
			ast.Inspect(f, func(n ast.Node) bool {
				c, ok := n.(*ast.CompositeLit)
				if !ok || !nonceType(c.Type) {
					return true
				}
				for _, e := range literals(c) {
					kind, ok := kindOf(e)
					if !ok {
						continue
					}
					if consts == nil {
						consts = constants(t, dir, "")
					}
					if name, isName := kind.(*ast.Ident); isName && consts[name.Name] != "" {
						kinds = append(kinds, consts[name.Name])
					} else if s, isText := quoted(kind); isText {
						kinds = append(kinds, s)
					} else {
						t.Errorf("%s: the kind of an evidence.Nonce is not plain to see", dir)
					}
				}
				return true
			})
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// nonceType is evidence.Nonce, or a list of it.
func nonceType(e ast.Expr) bool {
	if list, ok := e.(*ast.ArrayType); ok {
		e = list.Elt
	}
	return strings.HasSuffix(fmt.Sprint(e), "evidence Nonce}")
}

// literals are the composite literal itself, or those in a list.
func literals(c *ast.CompositeLit) []*ast.CompositeLit {
	if _, list := c.Type.(*ast.ArrayType); !list {
		return []*ast.CompositeLit{c}
	}
	var all []*ast.CompositeLit
	for _, e := range c.Elts {
		if inner, ok := e.(*ast.CompositeLit); ok && inner.Type == nil {
			all = append(all, inner)
		}
	}
	return all
}

func kindOf(c *ast.CompositeLit) (ast.Expr, bool) {
	for _, e := range c.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok && fmt.Sprint(kv.Key) == "Kind" {
			return kv.Value, true
		}
	}
	return nil, false
}
