package attorn_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// cut is a network that fails at one path: before the server hears of it, or before its answer is heard.
type cut struct {
	mu   sync.Mutex
	at   string
	late bool
}

func (c *cut) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	hit := c.at != "" && strings.HasSuffix(r.URL.Path, c.at)
	late := c.late
	c.mu.Unlock()
	if hit && !late {
		return nil, errors.New("cut")
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if hit && err == nil && res.StatusCode/100 == 2 {
		res.Body.Close()
		return nil, errors.New("cut")
	}
	return res, err
}

// keyIn is the thumbprint of the key in a file.
func keyIn(t testing.TB, path string) id.Key {
	t.Helper()
	s, err := attorn.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return s.Public().Thumbprint()
}

// whole demands that a rotation has left nothing beside the key, and that nobody else can read it.
func whole(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path + ".next"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next key is still beside it: %v", err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// works demands that the agent can act.
func works(t testing.TB, a *attorn.Agent) {
	t.Helper()
	if _, err := a.Delegations(t.Context()); err != nil {
		t.Errorf("the agent cannot act: %v (%s)", err, fault.Code(err))
	}
}

func TestRotateReachesEveryProcess(t *testing.T) {
	for name, grace := range map[string]time.Duration{"at once": 0, "with grace": time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			a, path := w.enrolled("bot")
			other := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{KeyFile: path}))
			works(t, other)
			old := a.Instance()
			got := must[api.Rotated](t)(a.Rotate(t.Context(), grace))
			if got.Before != old || got.Instance == old || got.Instance != a.Instance() || got.Instance != other.Instance() || got.Instance != keyIn(t, path) || got.Rev == 0 {
				t.Errorf("%+v; it is %s, and %s elsewhere", got, a.Instance(), other.Instance())
			}
			whole(t, path)
			works(t, a)
			works(t, other)
			for _, by := range []*attorn.Agent{a, other} { // also where the old key's token would still do
				access := must[attorn.Token](t)(by.Token(t.Context(), w.URL+"/api", attorn.TokenRequest{})).AccessToken
				if j, err := jose.Parse(access, 0); err != nil || !strings.Contains(string(j.Payload), got.Instance.String()) {
					t.Errorf("a token of another key: %v", err)
				}
			}
			_, err := other.Rotate(t.Context(), 0)
			if want := map[bool]string{false: "", true: "rotation_in_grace"}[grace > 0]; fault.Code(err) != want {
				t.Errorf("again: %v, want %q", err, want)
			}
			works(t, a)
			line := must[api.List[api.KeyRecord]](t)(w.priya.Line(t.Context(), a.Instance()))
			if len(line.Items) < 2 || line.Items[0].Key != old || line.Items[0].Status != "rotated" || line.Items[1].Before != old || line.Items[1].Rev != got.Rev {
				t.Errorf("the line: %+v", line)
			}
		})
	}
}

// A rotation can be interrupted anywhere; whoever comes next goes on from there, knowing nothing but the files.
func TestRotateIsInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		late  bool // after the server took the key
		grace time.Duration
		next  func(*attorn.Agent, *testing.T) error
	}{
		"before, then again":           {false, 0, again},
		"after, then again":            {true, 0, again},
		"after, in the grace, again":   {true, time.Hour, again},
		"after, then a call":           {true, 0, func(a *attorn.Agent, t *testing.T) error { _, err := a.Delegations(t.Context()); return err }},
		"before, then a call, again":   {false, 0, func(a *attorn.Agent, t *testing.T) error { works(t, a); return again(a, t) }},
		"after, in grace, call, again": {true, time.Hour, func(a *attorn.Agent, t *testing.T) error { works(t, a); return again(a, t) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			_, path := w.enrolled("bot")
			old := keyIn(t, path)
			net := &cut{at: "/rotate", late: c.late}
			first := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{KeyFile: path, HTTP: &http.Client{Transport: net}}))
			_, err := first.Rotate(t.Context(), c.grace)
			refused(t, "unreachable", err)
			next := keyIn(t, path+".next")
			if keyIn(t, path) != old {
				t.Fatal("the old key is gone")
			}
			a := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{KeyFile: path}))
			if err := c.next(a, t); err != nil {
				t.Fatal(err)
			}
			whole(t, path)
			if keyIn(t, path) != next || a.Instance() != next || first.Instance() != next {
				t.Error("it is not the key that was made first")
			}
			works(t, a)
			works(t, first)
			if l := must[api.List[api.Instance]](t)(w.priya.Instances(t.Context(), a.ID())); len(l.Items) != 2 {
				t.Errorf("%d keys were made instances", len(l.Items))
			}
		})
	}
}

func again(a *attorn.Agent, t *testing.T) error {
	_, err := a.Rotate(t.Context(), 0)
	return err
}

func TestRotateTogether(t *testing.T) {
	w := start(t)
	_, path := w.enrolled("bot")
	var all sync.WaitGroup
	for range 6 {
		a := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{KeyFile: path}))
		all.Go(func() {
			if _, err := a.Rotate(t.Context(), 0); err != nil && fault.Code(err) != "instance_rotated" && fault.Code(err) != "invalid_client" && fault.Code(err) != "key_statement_signature" {
				t.Errorf("%v (%s)", err, fault.Code(err))
			}
		})
	}
	all.Wait()
	a := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{KeyFile: path}))
	works(t, a)
	line := must[api.List[api.KeyRecord]](t)(w.priya.Line(t.Context(), a.Instance()))
	if last := line.Items[len(line.Items)-1]; last.Key != keyIn(t, path) || last.Status != "active" || len(line.Items) < 2 {
		t.Errorf("the line: %+v", line)
	}
}

func TestRotateRefuses(t *testing.T) {
	w := start(t)
	a, path := w.enrolled("bot")
	key := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{Server: w.URL, ID: a.ID(), Signer: newSigner(t)}))
	_, err := key.Rotate(t.Context(), 0)
	refused(t, "key_elsewhere", err)
	_, err = a.Rotate(t.Context(), 25*time.Hour)
	refused(t, "grace_invalid", err)
	_, err = a.Rotate(t.Context(), -time.Second)
	refused(t, "key_statement_malformed", err)
	if _, err := w.priya.RevokeInstance(t.Context(), a.Instance(), ""); err != nil {
		t.Fatal(err)
	}
	_, err = a.Rotate(t.Context(), 0)
	refused(t, "invalid_client", err)
	if keyIn(t, path) != a.Instance() {
		t.Error("the key's place was taken")
	}
}

func TestSpawn(t *testing.T) {
	w := start(t)
	server := w.files()
	bot, deployer := w.agent("bot"), w.agent("deployer")
	for _, a := range []*attorn.Agent{bot, deployer} {
		must[api.Bound](t)(w.priya.Bind(t.Context(), api.Binding{Principal: a.ID().String(), Role: "tool-user"}))
	}
	root := must[delegation.Link](t)(w.priya.Delegate(t.Context(), "bot", attorn.Lend{Permissions: permissions("tool:files:*"), Depth: 1}))
	child := must[*attorn.Agent](t)(bot.Spawn(t.Context(), "deployer", attorn.Lend{
		Permissions: permissions("tool:files:write"), TTL: 5 * time.Minute, Parent: root.Statement.ID.String(),
	}))
	if child.ID() != deployer.ID() || child.Name() != "deployer" || child.Instance() == deployer.Instance() || child.Delegation() == "" {
		t.Errorf("spawned %s %s %s", child.ID(), child.Name(), child.Instance())
	}
	lent := must[delegation.Link](t)(delegation.ParseLink(child.Delegation()))
	if lent.Statement.Delegate.Instance != child.Instance() || lent.Statement.Delegate.Agent != child.ID() {
		t.Errorf("it was lent to %+v", lent.Statement.Delegate)
	}
	if res := must[*mcp.CallToolResult](t)(w.call(child, server, lent, "staging/a")); res.IsError {
		t.Error(res.Content[0])
	}
	if _, err := deployer.Token(t.Context(), w.URL+"/mcp/files", attorn.TokenRequest{Delegation: child.Delegation()}); fault.Code(err) != "not_lent" {
		t.Errorf("what was lent to the child alone, with another instance: %v", err)
	}
	l := must[api.List[api.Instance]](t)(w.priya.Instances(t.Context(), child.ID()))
	if len(l.Items) != 2 || l.Items[1].Parent != bot.Instance() || l.Items[1].Trust != "spawned" || l.Items[1].Expires == "" || l.Items[1].LastUsed == "" {
		t.Errorf("instances %+v", l.Items)
	}
	grand := must[*attorn.Agent](t)(child.Spawn(t.Context(), "bot", attorn.Lend{}))
	works(t, grand)
	for range 2 {
		if err := child.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	_, err := grand.Delegations(t.Context())
	if f := fault.Of(err); f == nil || f.Kind != fault.Unauthenticated {
		t.Errorf("below what was closed: %v", err)
	}
	if err := grand.Close(); err != nil {
		t.Errorf("close what has ended: %v", err)
	}
	if err := bot.Close(); err != nil {
		t.Error(err)
	}
	works(t, bot)
	works(t, deployer)
}

func permissions(all ...string) (ps []delegation.Permission) {
	for _, p := range all {
		ps = append(ps, delegation.Permission{Permission: p})
	}
	return ps
}

func TestSpawnRefuses(t *testing.T) {
	w := start(t)
	bot := w.agent("bot")
	_, err := bot.Spawn(t.Context(), "nobody", attorn.Lend{})
	refused(t, "not_found", err)
	_, err = bot.Spawn(t.Context(), "bot", attorn.Lend{Permissions: permissions("tool:files:write")})
	refused(t, "malformed", err)
	l := must[api.List[api.Instance]](t)(w.priya.Instances(t.Context(), bot.ID()))
	if len(l.Items) != 2 || l.Items[1].Status != "revoked" {
		t.Errorf("a child that could not be lent to lives: %+v", l.Items)
	}
	path := t.TempDir() + "/child.jwk"
	child := must[*attorn.Agent](t)(bot.SpawnFile(t.Context(), path, "bot", attorn.Lend{TTL: time.Minute}))
	opened := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{KeyFile: path}))
	if opened.Instance() != child.Instance() || opened.ID() != bot.ID() {
		t.Errorf("opened %s of %s", opened.Instance(), opened.ID())
	}
	works(t, opened)
	_, err = bot.SpawnFile(t.Context(), path, "bot", attorn.Lend{TTL: time.Minute})
	refused(t, "key_exists", err)
	must[api.Ended](t)(opened.End(t.Context(), "done"))
	_, err = child.Delegations(t.Context())
	refused(t, "invalid_client", err)
}
