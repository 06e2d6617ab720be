package guard_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// wire counts what a process asks of PostgreSQL on its way there: statements that are run, commits and roll-backs among them.
type wire struct{ asked atomic.Int64 }

// through is dsn by way of the counter.
func (w *wire) through(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", u.Host
	if dir := u.Query().Get("host"); dir != "" {
		port := u.Query().Get("port")
		if port == "" {
			port = "5432"
		}
		network, address = "unix", dir+"/.s.PGSQL."+port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial(network, address)
			if err != nil {
				t.Error(err)
				from.Close()
				return
			}
			go func() { io.Copy(from, to); from.Close() }()
			go func() { w.copy(to, from); to.Close() }()
		}
	}()
	q := u.Query()
	q.Del("host")
	q.Del("port")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = l.Addr().String(), q.Encode()
	return u.String()
}

// copy passes messages on (PostgreSQL's protocol 3.0: after the first, a type, a length, a body) and counts Execute and simple Query.
func (w *wire) copy(to io.Writer, from io.Reader) {
	first := true
	for {
		head := make([]byte, 5)
		if first {
			head = head[:4]
		}
		if _, err := io.ReadFull(from, head); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(head[len(head)-4:])
		body := make([]byte, n-4)
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		if !first && (head[0] == 'E' || head[0] == 'Q') {
			w.asked.Add(1)
		}
		first = false
		if _, err := to.Write(append(bytes.Clone(head), body...)); err != nil {
			return
		}
	}
}

// A one-time secret that opens nothing is the same work whether it is unknown, spent, expired, or good and used with a key that it may not be used with: as many
// statements, one commit with one event, and one signature (AuthenticateKey comes before the secret is looked at).
func TestSecretsThatOpenNothingCostTheSame(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		w := &wire{}
		if !strings.HasPrefix(dsn, "sqlite:") {
			dsn = w.through(t, dsn)
		}
		s := newStory(t, dsn, 10)
		ctx := t.Context()
		events := func() (n int64) {
			for _, ws := range []id.Workspace{id.Default, id.Server} {
				rev, err := s.log.Rev(ctx, ws)
				s.ok(err)
				n += rev
			}
			return n
		}
		for name, door := range map[string]struct {
			issue func() string
			open  func(secret string, p *party) error
		}{
			"enrolment": {func() string {
				secret, _, err := s.OfferEnrolment(ctx, s.priya.api(), s.bot.agent)
				s.ok(err)
				return secret
			}, func(secret string, p *party) error {
				_, _, err := s.Enrol(ctx, secret, p.keyCredentials(p.signer, "/v1/enrol"))
				return err
			}},
			"sign-in": {func() string {
				secret, err := s.NewLink(ctx, s.maya.api(), s.maya.user)
				s.ok(err)
				return secret
			}, func(secret string, p *party) error {
				_, _, err := s.SignIn(ctx, secret, "", "laptop", p.keyCredentials(p.signer, "/v1/signin"))
				return err
			}},
			"sign-in page": {func() string {
				secret, err := s.NewLink(ctx, s.maya.api(), s.maya.user)
				s.ok(err)
				return secret
			}, func(secret string, _ *party) error {
				_, _, _, err := s.SignInPage(ctx, secret, "", "192.0.2.7")
				return err
			}},
		} {
			stranger := func() *party { return &party{rig: s.rig, signer: newSigner(t)} }
			spent, expired := door.issue(), door.issue()
			s.ok(door.open(spent, stranger()))
			good := door.issue()
			type try struct {
				what, secret, code string
				by                 *party
			}
			tries := []try{{"unknown", "x", "ticket_unknown", stranger()}, {"unknown, of the right form", good[:42] + "_", "ticket_unknown", stranger()}, {"spent", spent, "ticket_spent", stranger()}}
			if name != "sign-in page" { // which registers no key
				tries = append(tries, try{"by a key that is somebody's", good, "key_in_use", s.priya}, try{"by an agent's key", door.issue(), "key_in_use", s.deployer})
			}
			measure := func(c try) (asked, recorded int64) {
				before := events()
				from := w.asked.Load()
				err := door.open(c.secret, c.by)
				asked = w.asked.Load() - from
				if fault.Code(err) != c.code {
					t.Errorf("%s, %s: %v (%s), want %s", name, c.what, err, fault.Code(err), c.code)
				}
				return asked, events() - before
			}
			measure(try{"warm", "y", "ticket_unknown", stranger()}) // heads and statements are prepared once a connection
			measure(try{"warm", spent, "ticket_spent", stranger()})
			wantAsked, _ := measure(tries[0])
			check := func(c try) {
				asked, recorded := measure(c)
				if asked != wantAsked || recorded != 1 {
					t.Errorf("%s, %s: %d statements and %d events; unknown ones take %d and 1", name, c.what, asked, recorded, wantAsked)
				}
			}
			for _, c := range tries {
				check(c)
			}
			s.now = s.now.Add(2 * time.Hour)
			measure(try{"warm", "y", "ticket_unknown", stranger()}) // nonces are forgotten
			check(try{"expired", expired, "ticket_expired", stranger()})
		}
	})
}
