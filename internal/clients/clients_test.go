package clients_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

var other = id.Server // a second workspace

func newKey(t testing.TB) jose.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.Ed25519Key(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newP256(t testing.TB) jose.PublicKey {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.P256Key(&priv.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (r rig) register(n clients.NewService) (s clients.Service, err error) {
	err = r.Do(id.Default, func(tx *audit.Tx) (err error) { s, err = r.Register(tx, n); return err })
	return s, err
}

func (r rig) service(t testing.TB, ws id.Workspace, name string) clients.Service {
	t.Helper()
	s, err := r.register(clients.NewService{Workspace: ws, Name: name, Resource: "https://" + ws.String() + ".example/" + name, Prefix: "repo:" + name, Key: newKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r rig) remove(ws id.Workspace, service id.Service) (s clients.Service, err error) {
	err = r.Do(ws, func(tx *audit.Tx) (err error) { s, err = r.Remove(tx, ws, service); return err })
	return s, err
}

func TestRegisteredServiceIsReadBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		for n, key := range []jose.PublicKey{newKey(t), newP256(t)} {
			want := clients.Service{
				ID: id.New[id.Service](r.Now()), Workspace: id.Default, Name: fmt.Sprintf("repo-%d", n), Resource: fmt.Sprintf("https://repo%d.example", n),
				Prefix: "repo:acme", Key: key, CreatedAt: r.Now(),
			}
			s, err := r.register(clients.NewService{ID: want.ID, Workspace: want.Workspace, Name: want.Name, Resource: want.Resource, Prefix: want.Prefix, Key: key})
			if err != nil || s != want {
				t.Errorf("registered %+v, %v", s, err)
			}
			reads := map[string]func() (clients.Service, error){
				"Client":     func() (clients.Service, error) { return r.Client(t.Context(), s.ID) },
				"Service":    func() (clients.Service, error) { return r.Service(t.Context(), id.Default, s.ID) },
				"Find id":    func() (clients.Service, error) { return r.Find(t.Context(), id.Default, s.ID.String()) },
				"Find name":  func() (clients.Service, error) { return r.Find(t.Context(), id.Default, want.Name) },
				"ByResource": func() (clients.Service, error) { return r.ByResource(t.Context(), id.Default, want.Resource) },
			}
			for name, read := range reads {
				if got, err := read(); err != nil || got != want {
					t.Errorf("%s: %+v, %v", name, got, err)
				}
			}
			if p, err := s.Pattern(); err != nil || p.String() != "repo:acme:*" {
				t.Error(p, err)
			}
		}
		if s := r.service(t, id.Default, "made"); s.ID.IsZero() {
			t.Error("no id was made")
		}
	})
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		taken := r.service(t, id.Default, "taken")
		theirs := r.service(t, other, "theirs")
		good := clients.NewService{Workspace: id.Default, Name: "repo", Resource: "https://repo.example", Prefix: "repo:acme", Key: newKey(t)}
		for name, c := range map[string]struct {
			change func(*clients.NewService)
			want   string
		}{
			"no workspace":        {func(n *clients.NewService) { n.Workspace = id.Workspace{} }, "service_invalid"},
			"no key":              {func(n *clients.NewService) { n.Key = jose.PublicKey{} }, "service_invalid"},
			"no name":             {func(n *clients.NewService) { n.Name = "" }, "service_invalid"},
			"bad name":            {func(n *clients.NewService) { n.Name = "Repo" }, "service_invalid"},
			"name like an id":     {func(n *clients.NewService) { n.Name = taken.ID.String() }, "service_invalid"},
			"no resource":         {func(n *clients.NewService) { n.Resource = "" }, "resource_invalid"},
			"no prefix":           {func(n *clients.NewService) { n.Prefix = "" }, "permission_invalid"},
			"bad prefix":          {func(n *clients.NewService) { n.Prefix = "repo: acme" }, "permission_invalid"},
			"ends in a colon":     {func(n *clients.NewService) { n.Prefix = "repo:" }, "permission_invalid"},
			"any":                 {func(n *clients.NewService) { n.Prefix = "*" }, "service_invalid"},
			"open prefix":         {func(n *clients.NewService) { n.Prefix = "repo:acme*" }, "service_invalid"},
			"eight segments":      {func(n *clients.NewService) { n.Prefix = "a:b:c:d:e:f:g:h" }, "permission_invalid"},
			"long prefix":         {func(n *clients.NewService) { n.Prefix = strings.Repeat("a", 254) }, "permission_invalid"},
			"the name of another": {func(n *clients.NewService) { n.Name = "taken" }, "name_taken"},
			"the resource":        {func(n *clients.NewService) { n.Resource = taken.Resource }, "resource_taken"},
			"another workspace's": {func(n *clients.NewService) { n.Resource = theirs.Resource }, "resource_taken"},
			"both":                {func(n *clients.NewService) { n.Name, n.Resource = "taken", taken.Resource }, "name_taken"},
			"a name of elsewhere": {func(n *clients.NewService) { n.Name, n.Resource = "theirs", "https://x.example" }, ""},
			"seven segments": {func(n *clients.NewService) {
				n.Name, n.Resource, n.Prefix = "seven", "https://y.example", "a:b:c:d:e:f:g"
			}, ""},
			"the same key":         {func(n *clients.NewService) { n.Name, n.Resource, n.Key = "same", "https://z.example", taken.Key }, ""},
			"the same, other port": {func(n *clients.NewService) { n.Name, n.Resource = "port", "https://x.example:8443" }, ""},
		} {
			n := good
			c.change(&n)
			if s, err := r.register(n); fault.Code(err) != c.want {
				t.Errorf("%s: %+v, %v, want %q", name, s, err, c.want)
			}
		}
	})
}

func TestRemovedServiceIsGone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		s := r.service(t, id.Default, "repo")
		_, theirs := r.remove(other, s.ID)
		_, none := r.remove(other, id.New[id.Service](r.Now()))
		if fault.Code(theirs) != "not_found" || theirs.Error() != none.Error() {
			t.Errorf("another workspace: %v, %v", theirs, none)
		}
		if got, err := r.Client(t.Context(), s.ID); err != nil || got != s {
			t.Fatalf("another workspace removed it: %v", err)
		}
		if got, err := r.remove(id.Default, s.ID); err != nil || got != s {
			t.Errorf("removed %+v, %v", got, err)
		}
		if _, err := r.remove(id.Default, s.ID); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if _, err := r.Client(t.Context(), s.ID); fault.Code(err) != "not_found" {
			t.Error(err)
		}
		if again := r.service(t, id.Default, "repo"); again.ID == s.ID {
			t.Error("the id came back")
		}
	})
}

func TestWorkspacesDoNotMeet(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		s := r.service(t, id.Default, "repo")
		for name, read := range map[string]func() (clients.Service, error){
			"Service":    func() (clients.Service, error) { return r.Service(t.Context(), other, s.ID) },
			"Find id":    func() (clients.Service, error) { return r.Find(t.Context(), other, s.ID.String()) },
			"Find name":  func() (clients.Service, error) { return r.Find(t.Context(), other, "repo") },
			"ByResource": func() (clients.Service, error) { return r.ByResource(t.Context(), other, s.Resource) },
			"no service": func() (clients.Service, error) { return r.Service(t.Context(), id.Default, id.Service{}) },
			"no such service": func() (clients.Service, error) {
				return r.Service(t.Context(), id.Default, id.New[id.Service](r.Now()))
			},
			"no such name":     func() (clients.Service, error) { return r.Find(t.Context(), id.Default, "nope") },
			"hostile name":     func() (clients.Service, error) { return r.Find(t.Context(), id.Default, "\x00' OR 1=1") },
			"no such resource": func() (clients.Service, error) { return r.ByResource(t.Context(), id.Default, s.Resource+"/v1") },
			"slash":            func() (clients.Service, error) { return r.ByResource(t.Context(), id.Default, s.Resource+"/") },
			"hostile resource": func() (clients.Service, error) { return r.ByResource(t.Context(), id.Default, "\x00\xff") },
			"no workspace":     func() (clients.Service, error) { return r.Service(t.Context(), id.Workspace{}, s.ID) },
			"upper-case host": func() (clients.Service, error) {
				return r.ByResource(t.Context(), id.Default, strings.ToUpper(s.Resource))
			},
			"Client of no one":   func() (clients.Service, error) { return r.Client(t.Context(), id.Service{}) },
			"Client of no such ": func() (clients.Service, error) { return r.Client(t.Context(), id.New[id.Service](r.Now())) },
		} {
			if got, err := read(); fault.Code(err) != "not_found" || got != (clients.Service{}) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if list, err := r.List(t.Context(), other, id.Service{}, 10); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
	})
}

func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		var want, got []clients.Service
		for _, name := range []string{"e", "d", "c", "b", "a"} {
			r.Pass(time.Millisecond)
			want = append(want, r.service(t, id.Default, name))
		}
		for after, more := (id.Service{}), true; more; {
			page, err := r.List(t.Context(), id.Default, after, 2)
			if err != nil || len(page) > 2 {
				t.Fatal(page, err)
			}
			if more = len(page) > 0; more {
				got, after = append(got, page...), page[len(page)-1].ID
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("listed %+v", got)
		}
		for _, limit := range []int{-1, 0, 201} {
			if page, err := r.List(t.Context(), id.Default, id.Service{}, limit); err != nil || len(page) != 5 {
				t.Error(limit, page, err)
			}
		}
	})
}

// Of 64 registrations of one resource, in two workspaces and on every node, one succeeds.
func TestResourceBelongsToOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		key := newKey(t)
		codes := audittest.Together(t, all, 64, func(r rig, n int) error {
			ws := []id.Workspace{id.Default, other}[n%2]
			return r.Do(ws, func(tx *audit.Tx) error {
				_, err := r.Register(tx, clients.NewService{Workspace: ws, Name: fmt.Sprintf("n%d", n), Resource: "https://repo.example", Prefix: "repo", Key: key})
				return err
			})
		})
		if codes[""] != 1 || codes["resource_taken"] != 63 {
			t.Error(codes)
		}
	})
}

func TestCheckResource(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://repo.example", "https://repo.example/", "https://repo.example/v1", "https://repo.example/v1/", "https://repo.example:8443/a/b.c~d",
		"https://192.0.2.1", "https://[2001:db8::1]:8443/x", "https://xn--bcher-kva.example", "http://localhost", "http://localhost:7070/api", "http://127.0.0.1:65535",
		"http://127.1.2.3", "http://[::1]:9", "https://repo.example/a%20b", "https://repo.example/" + strings.Repeat("x", 255-len("https://repo.example/")),
	} {
		if err := clients.CheckResource(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "repo", "/v1", "repo.example", "//repo.example", "https:", "https://", "https:///v1", "https:repo.example", "https://:8443",
		"http://repo.example", "http://localhost.example", "http://127.0.0.1.example", "http://0.0.0.0", "http://[::]", "http://192.168.0.1", "http://2130706433",
		"ftp://repo.example", "urn:repo", "javascript:alert(1)", "HTTPS://repo.example", "https://Repo.example", "https://repo.example:443", "http://localhost:80",
		"https://repo.example:", "https://repo.example?", "https://repo.example?a=b", "https://repo.example#", "https://repo.example/#a", "https://user@repo.example",
		"https://user:pw@repo.example", "https://repo.example@evil.example", "https://repo.example/@x", "https://repo.example\\@evil.example",
		"https://repo.example/a/../b", "https://repo.example/./a", "https://repo.example/..", "https://repo.example//a", "https://repo.example/a//",
		"https://repo.example/a b", " https://repo.example", "https://repo.example\n", "https://repo.example\x00", "https://bücher.example", "https://repo.example/ü",
		"https://[::1%25eth0]", "https://repo.example:65536", "https://repo.example:99999", "https://repo.example:0", "https://repo.example:08443", "https://[0:0::1]", "https://[2001:DB8::1]",
		"https://repo_.example", "https://repo.example.", "https://-repo.example", "https://repo..example", "https://repo.example/%2e%2e/a", "https://repo.example/a/%2E", "https://repo.example:a", "https://repo.example/%zz", "https://repo%2eexample",
		"https://repo.example/" + strings.Repeat("x", 256-len("https://repo.example/")),
	} {
		if err := clients.CheckResource(bad); fault.Code(err) != "resource_invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Whatever passes is what RFC 8707 §2 allows, and reading and printing it gives the same bytes.
func FuzzCheckResource(f *testing.F) {
	for _, s := range []string{"https://repo.example/v1", "http://[::1]:9/", "https://a@b", "http://localhost", "https://x/%2e%2e/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if clients.CheckResource(s) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.String() != s || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" {
			t.Errorf("%q passed", s)
		}
		local := u.Hostname() == "localhost" || u.Hostname() == "::1" || strings.HasPrefix(u.Hostname(), "127.") || strings.Contains(u.Hostname(), ":")
		if u.Scheme != "https" && (u.Scheme != "http" || !local) {
			t.Errorf("%q passed", s)
		}
	})
}
