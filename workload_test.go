package attorn_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// pods is a platform whose pods are trusted for one agent, on a server whose clock goes before or after ours.
type pods struct {
	*world
	*attorntest.Platform
	ahead atomic.Int64
	agent id.Agent
	shown atomic.Int64
	fails atomic.Bool
}

func newPods(t *testing.T, ttl int64) *pods {
	t.Helper()
	p := &pods{Platform: attorntest.NewPlatform(t)}
	p.world = &world{Server: attorntest.Start(t, attorntest.Config{Now: func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }}), t: t}
	p.priya = p.signIn(p.Link, "Priya Nair")
	p.agent = must[api.Agent](t)(p.priya.CreateAgent(t.Context(), api.NewAgent{Name: "deployer"})).ID
	rule := api.KubernetesTrust(p.agent, p.Issuer, "prod", "deployer")
	rule.InstanceTTL = ttl
	must[api.TrustRule](t)(p.priya.AddTrustRule(t.Context(), rule))
	return p
}

// pod is what the platform says now.
func (p *pods) pod(audience string) string {
	n := p.shown.Add(1)
	now := time.Now().Add(time.Duration(p.ahead.Load()))
	return p.Token(map[string]any{
		"iss": p.Issuer, "sub": "system:serviceaccount:prod:deployer", "aud": []string{audience}, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": fmt.Sprint(n),
		"kubernetes.io": map[string]any{"namespace": "prod", "serviceaccount": map[string]any{"name": "deployer"}},
	})
}

func (p *pods) evidence(_ context.Context, audience string) (string, error) {
	if p.fails.Load() {
		return "", fault.New(fault.Unavailable, "no_evidence", "the platform is away")
	}
	return p.pod(audience), nil
}

// tokenNow gets a token that is not held yet.
func tokenNow(t *testing.T, a *attorn.Agent, n int) error {
	t.Helper()
	_, err := a.Token(t.Context(), "", attorn.TokenRequest{Permissions: []delegation.Permission{{Permission: fmt.Sprintf("attorn:agent:x%d", n)}}})
	return err
}

// A process with evidence and nothing else is an instance, and stays one for as long as it acts, though each instance is good for a minute.
func TestWorkloadRenewsItself(t *testing.T) {
	p := newPods(t, 60)
	p.ahead.Store(int64(-20 * time.Second))
	a := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{Server: p.URL, Evidence: p.evidence}))
	if a.ID() != p.agent || a.Name() != "deployer" || p.shown.Load() != 1 {
		t.Fatalf("%s %s, %d shown", a.ID(), a.Name(), p.shown.Load())
	}
	for n := range 3 {
		if err := tokenNow(t, a, n); err != nil {
			t.Fatal(err)
		}
	}
	if p.shown.Load() != 1 {
		t.Errorf("%d shown while it is good", p.shown.Load())
	}
	is := must[api.List[api.Instance]](t)(p.priya.Instances(t.Context(), p.agent))
	if len(is.Items) != 1 || is.Items[0].Key != a.Instance() || is.Items[0].Trust != "workload" {
		t.Errorf("%+v", is)
	}
	// A process that did not renew in time, for it slept, joins again when it is refused. So does a new process with the same key.
	p.ahead.Store(int64(45 * time.Second))
	same := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{Server: p.URL, ID: p.agent, Signer: newSigner(t), Evidence: p.evidence}))
	if p.shown.Load() != 1 {
		t.Error("it joins before it acts")
	}
	if err := tokenNow(t, same, 10); err != nil || p.shown.Load() != 2 {
		t.Errorf("a new key: %v, %d shown", err, p.shown.Load())
	}
	if err := tokenNow(t, a, 11); err != nil || p.shown.Load() != 3 {
		t.Errorf("after its end: %v, %d shown", err, p.shown.Load())
	}
	p.fails.Store(true)
	if err := tokenNow(t, a, 12); err != nil {
		t.Errorf("while it is good, and the platform away: %v", err)
	}
	_, err := p.priya.RevokeInstance(t.Context(), a.Instance(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := tokenNow(t, a, 13); fault.Code(err) != "no_evidence" {
		t.Errorf("revoked, and the platform away: %v", err)
	}
	p.fails.Store(false)
	if err := tokenNow(t, a, 14); fault.Code(err) != "principal_inactive" {
		t.Errorf("revoked: %v", err)
	}
}

// The key is kept in its file, once, and the evidence of another agent is not taken for it.
func TestWorkloadWithAKeyFile(t *testing.T) {
	p := newPods(t, 3600)
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := attorn.AgentConfig{Server: p.URL, KeyFile: filepath.Join(t.TempDir(), "key.jwk"), Evidence: attorn.EvidenceFile(file)}
	if _, err := attorn.Open(t.Context(), cfg); fault.Code(err) != "no_evidence" {
		t.Errorf("no file: %v", err)
	}
	write("nonsense")
	if _, err := attorn.Open(t.Context(), cfg); fault.Kind(fault.Of(err).Kind) != fault.Denied {
		t.Errorf("nonsense: %v", err)
	}
	write(strings.Repeat("x", 20<<10))
	if _, err := attorn.Open(t.Context(), cfg); fault.Code(err) != "no_evidence" {
		t.Errorf("too large: %v", err)
	}
	write(p.pod(p.URL))
	one := must[*attorn.Agent](t)(attorn.Open(t.Context(), cfg))
	again := must[*attorn.Agent](t)(attorn.Open(t.Context(), cfg))
	if one.Instance() != again.Instance() || again.ID() != p.agent {
		t.Errorf("%s and %s", one.Instance(), again.Instance())
	}
	if err := tokenNow(t, again, 1); err != nil {
		t.Error(err)
	}
	plain := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{KeyFile: cfg.KeyFile}))
	if err := tokenNow(t, plain, 2); err != nil {
		t.Errorf("as an enrolled key: %v", err)
	}
	cfg.KeyFile = filepath.Join(t.TempDir(), "other.jwk")
	if _, err := attorn.Open(t.Context(), cfg); fault.Code(err) != "binding" {
		t.Errorf("another key with the same evidence: %v", err)
	}
}

// GitHub's own way: a URL and a secret in the environment, for the job alone.
func TestGitHubEvidence(t *testing.T) {
	p := newPods(t, 3600)
	var asked atomic.Int64
	github := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/token", http.StatusFound)
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Query().Get("api-version") != "2.0":
			w.WriteHeader(http.StatusBadRequest)
		default:
			fmt.Fprintf(w, `{"count":1,"value":%q}`, p.pod(r.URL.Query().Get("audience")))
		}
	}))
	defer github.Close()
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "")
	if _, err := attorn.PlatformEvidence(); fault.Code(err) != "no_evidence" {
		t.Errorf("nowhere: %v", err)
	}
	for url, secret := range map[string]string{"": "secret", github.URL + "/token?api-version=2.0": "", "http://github.example/": "secret", github.URL + "/moved": "secret", github.URL + "/token?api-version=1": "secret"} {
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", secret)
		if _, err := attorn.GitHubEvidence(nil)(t.Context(), p.URL); fault.Code(err) != "no_evidence" {
			t.Errorf("%q: %v", url, err)
		}
	}
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", github.URL+"/token?api-version=2.0")
	evidence := must[attorn.Evidence](t)(attorn.PlatformEvidence())
	a := must[*attorn.Agent](t)(attorn.Open(t.Context(), attorn.AgentConfig{Server: p.URL, Evidence: evidence}))
	if err := tokenNow(t, a, 1); err != nil || a.ID() != p.agent {
		t.Error(err)
	}
}
