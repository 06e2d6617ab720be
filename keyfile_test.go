package attorn_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "down", "bot.jwk")
	made := must[jose.Signer](t)(attorn.MakeKeyFile(path))
	opened := must[jose.Signer](t)(attorn.OpenKeyFile(path))
	if made.Public().Thumbprint() != opened.Public().Thumbprint() {
		t.Error("another key is read than was written")
	}
	sig, err := opened.Sign([]byte("x"))
	if err != nil || made.Public().Verify([]byte("x"), sig) != nil {
		t.Error("the key that was read does not sign:", err)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir, filepath.Dir(filepath.Dir(path)): 0o700 | os.ModeDir} {
		if info, err := os.Stat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) != 0 {
		t.Errorf("temporary files stay: %v", left)
	}
	before, _ := os.ReadFile(path)
	_, err = attorn.MakeKeyFile(path)
	refused(t, "key_exists", err)
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("a key was replaced")
	}
	if jwk, err := jose.ParseJWK(before); fault.Code(err) == "" {
		t.Errorf("the file is a public key: %s", jwk.JWK())
	}
}

func TestUnsafeKeyFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		must[jose.Signer](t)(attorn.MakeKeyFile(path))
		return path
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	read, err := os.ReadFile(file("good"))
	if err != nil {
		t.Fatal(err)
	}
	good := string(read)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "good"), link); err != nil {
		t.Fatal(err)
	}
	for mode, name := range map[os.FileMode]string{0o640: "group", 0o604: "others", 0o620: "writable"} {
		path := file(name)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := attorn.OpenKeyFile(path)
		refused(t, "key_unsafe", err)
	}
	for path, code := range map[string]string{
		link: "key_unsafe", dir: "key_unsafe", filepath.Join(dir, "none"): "key_missing",
		write("empty", ""): "key_malformed", write("text", "a key"): "key_malformed",
		write("big", strings.Repeat(" ", 20<<10)+good):                           "key_malformed",
		write("P-256", strings.Replace(good, "Ed25519", "P-256", 1)):             "key_malformed",
		write("another public key", strings.Replace(good, `"x":"`, `"x":"A`, 1)): "key_malformed",
		write("short", strings.Replace(good, `"d":"`, `"d":"AAAA","y":"`, 1)):    "key_malformed",
		write("twice", strings.Replace(good, `{`, `{"kty":"OKP",`, 1)):           "key_malformed",
	} {
		_, err := attorn.OpenKeyFile(path)
		refused(t, code, err)
		if err != nil && strings.Contains(good, err.Error()) {
			t.Errorf("the refusal tells the key: %v", err)
		}
	}
	if os.Geteuid() == 0 {
		path := file("another user's")
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		_, err := attorn.OpenKeyFile(path)
		refused(t, "key_unsafe", err)
	}
}

// Of two first starts at once exactly one makes the key.
func TestKeyFileRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.jwk")
	var made atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			switch _, err := attorn.MakeKeyFile(path); fault.Code(err) {
			case "":
				made.Add(1)
			case "key_exists":
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("%d made it", made.Load())
	}
	must[jose.Signer](t)(attorn.OpenKeyFile(path))
}

func TestEnrol(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	a := must[api.Agent](t)(w.priya.CreateAgent(ctx, api.NewAgent{Name: "bot"}))
	path := filepath.Join(t.TempDir(), "bot.jwk")
	_, err := attorn.Enrol(ctx, attorn.EnrolConfig{Server: w.URL, Token: "none", KeyFile: path})
	refused(t, "ticket_unknown", err)
	tried := must[jose.Signer](t)(attorn.OpenKeyFile(path)).Public().Thumbprint()
	_, err = attorn.Open(ctx, attorn.AgentConfig{KeyFile: path})
	refused(t, "not_enrolled", err)

	offer := must[api.Enrolment](t)(w.priya.OfferEnrolment(ctx, a.ID))
	made := must[*attorn.Agent](t)(attorn.Enrol(ctx, attorn.EnrolConfig{Server: w.URL, Token: offer.Token, KeyFile: path}))
	if made.ID() != a.ID || made.Instance() != tried {
		t.Errorf("enrolled %s as %s; the first try made %s", made.Instance(), made.ID(), tried)
	}
	opened := must[*attorn.Agent](t)(attorn.Open(ctx, attorn.AgentConfig{KeyFile: path}))
	if opened.ID() != a.ID || opened.Instance() != tried {
		t.Errorf("opened %s as %s", opened.Instance(), opened.ID())
	}
	must[[]api.Delegation](t)(opened.Delegations(ctx))

	_, err = attorn.Enrol(ctx, attorn.EnrolConfig{Server: w.URL, Token: "x", KeyFile: path})
	refused(t, "key_exists", err)
	for _, cfg := range []attorn.AgentConfig{
		{Server: "https://other.example"}, {Name: "other"}, {ID: id.Must[id.Agent]("agt_06h0h17mb9tgjc8f89j8095bv4")}, {Workspace: id.Server},
	} {
		cfg.KeyFile = path
		_, err := attorn.Open(ctx, cfg)
		refused(t, "key_of_another", err)
	}
}

// Without a file's name the key has its place by server, workspace and name.
func TestKeyPath(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	w := start(t)
	ctx := t.Context()
	a := must[api.Agent](t)(w.priya.CreateAgent(ctx, api.NewAgent{Name: "bot"}))
	offer := must[api.Enrolment](t)(w.priya.OfferEnrolment(ctx, a.ID))
	must[*attorn.Agent](t)(attorn.Enrol(ctx, attorn.EnrolConfig{Server: w.URL, Token: offer.Token, Name: "bot"}))
	opened := must[*attorn.Agent](t)(attorn.Open(ctx, attorn.AgentConfig{Server: w.URL, Name: "bot"}))
	if opened.ID() != a.ID {
		t.Errorf("opened %s", opened.ID())
	}
	_, err := attorn.Open(ctx, attorn.AgentConfig{Server: w.URL, Name: "bit"})
	refused(t, "key_missing", err)
	for _, name := range []string{"", "../x", "a/b", `a\b`, ".", "..", "a:b"} {
		_, err := attorn.KeyPath("https://attorn.example", id.Default, name)
		refused(t, "key_path", err)
	}
}
