package attorn

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Evidence gets what the platform that this process runs on says of it: an assertion of the platform's own issuer for audience alone, which is the
// server's URL. It is asked each time anew; where the platform writes assertions to a file, it may return the same one until there is another.
type Evidence func(ctx context.Context, audience string) (string, error)

// KubernetesTokenFile is where docs/how-to/enrol-agents-kubernetes.md has a pod's projected token mounted.
const KubernetesTokenFile = "/var/run/secrets/attorn/token"

const (
	maxEvidence   = 16 << 10 // bytes
	gitHubURL     = "ACTIONS_ID_TOKEN_REQUEST_URL"
	gitHubToken   = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	noEvidence    = "no_evidence"
	gitHubPermits = "give the job the permission id-token: write"
)

// EvidenceFile reads a file that the platform keeps fresh: a Kubernetes projected token, a JWT-SVID that a SPIFFE helper writes.
func EvidenceFile(path string) Evidence {
	return func(context.Context, string) (string, error) {
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", fault.Wrap(err, fault.Invalid, noEvidence, "the platform's assertion cannot be read: %v", err).Try("mount a token for this server there, or name its file")
		}
		if len(raw) > maxEvidence {
			return "", fault.New(fault.TooLarge, noEvidence, "the file %s is too large for an assertion", path)
		}
		return strings.TrimSpace(string(raw)), nil
	}
}

// GitHubEvidence asks GitHub Actions for a token of this job's. hc may be nil.
func GitHubEvidence(hc *http.Client) Evidence {
	return func(ctx context.Context, audience string) (string, error) {
		base, secret := os.Getenv(gitHubURL), os.Getenv(gitHubToken)
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || secret == "" || u.Scheme != "https" && !loopback(u.Hostname()) {
			return "", fault.New(fault.Invalid, noEvidence, "this is no job of GitHub Actions that may ask for a token").Try(gitHubPermits)
		}
		q := u.Query()
		q.Set("audience", audience)
		u.RawQuery = q.Encode()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return "", err
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		own := http.Client{Timeout: 30 * time.Second}
		if hc != nil {
			own = *hc
		}
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the bearer token is for GitHub alone
		res, err := own.Do(r)
		if err != nil {
			return "", unreachable(ctx, err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(io.LimitReader(res.Body, maxEvidence+1))
		var got struct {
			Value string `json:"value"`
		}
		if err != nil || res.StatusCode != http.StatusOK || jose.DecodeForeign(raw, &got, jose.Limits{Bytes: maxEvidence}) != nil || got.Value == "" {
			return "", fault.New(fault.Unavailable, noEvidence, "GitHub gave no token for this job (status %d)", res.StatusCode).Try(gitHubPermits)
		}
		return got.Value, nil
	}
}

// OnGitHub reports whether this process runs in a job of GitHub Actions that may ask for tokens.
func OnGitHub() bool { return os.Getenv(gitHubURL) != "" }

// PlatformEvidence is that of the platform that this process runs on: GitHub Actions, or a token in KubernetesTokenFile. Code: no_evidence.
func PlatformEvidence() (Evidence, error) {
	if OnGitHub() {
		return GitHubEvidence(nil), nil
	}
	if _, err := os.Stat(KubernetesTokenFile); err == nil {
		return EvidenceFile(KubernetesTokenFile), nil
	}
	return nil, fault.New(fault.Unauthenticated, noEvidence, "this process runs on no platform that vouches for it: no job of GitHub Actions, and there is no %s", KubernetesTokenFile).
		Try("name the file with the platform's token")
}

// workload renews an instance by evidence.
type workload struct {
	evidence Evidence
	mu       sync.Mutex // one at a time asks the platform
	joined   time.Time
	renew    time.Time // zero: when the server refuses
	expires  time.Time
}

// workloadKey is the key that a workload acts with: the signer that it has, that of its file, or, where it names none, a new one that lives as long as the process.
func (cfg *AgentConfig) workloadKey() (keep func(*AgentConfig) error, err error) {
	keep = func(*AgentConfig) error { return nil }
	if cfg.Signer != nil {
		return keep, nil
	}
	if cfg.KeyFile == "" && cfg.Name == "" {
		_, priv, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		cfg.Signer, err = jose.NewSigner(priv)
		return keep, err
	}
	if err := cfg.fromFile(); fault.Code(err) != "key_missing" && err != nil || !cfg.ID.IsZero() {
		return keep, err
	}
	k, path, signer, err := freshKey(cfg.KeyFile, cfg.Server, cfg.Workspace, cfg.Name)
	cfg.Signer, cfg.KeyFile = signer, path
	return func(cfg *AgentConfig) error {
		k.Attorn = &keyHolder{Server: cfg.Server, Workspace: cfg.Workspace, Agent: cfg.ID, Name: cfg.Name}
		cfg.file, cfg.whose = path, k.Attorn
		return k.write(path, false)
	}, err
}

func openWorkload(ctx context.Context, cfg AgentConfig) (*Agent, error) {
	keep, err := cfg.workloadKey()
	if err != nil {
		return nil, err
	}
	d, err := newDoor(cfg.Server, cfg.Workspace, cfg.Signer, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	w := &workload{evidence: cfg.Evidence}
	if cfg.ID.IsZero() {
		got, err := w.join(ctx, d, cfg.ID)
		if err != nil {
			return nil, err
		}
		cfg.ID, cfg.Name, cfg.Workspace = got.Agent, got.Name, got.Workspace
		if err := keep(&cfg); err != nil {
			return nil, err
		}
	}
	d.keys.path, d.keys.whose = cfg.file, cfg.whose
	a := newAgent(d, cfg.ID, cfg.Name)
	a.work = w
	return a, nil
}

// grantWorkload asks for a token with an instance that is kept alive.
func (a *Agent) grantWorkload(ctx context.Context, form url.Values, ps []delegation.Permission) (Token, error) {
	before, err := a.work.keep(ctx, a.door, a.id)
	if err != nil {
		return Token{}, err
	}
	t, err := a.grantWith(ctx, a.door.keys.key(), form, ps)
	if fault.Code(err) != "invalid_client" {
		return t, err
	}
	if !a.resume(ctx) { // no rotation was interrupted: the instance has expired, or never was
		if err := a.work.again(ctx, a.door, a.id, before); err != nil {
			return Token{}, err
		}
	}
	return a.grantWith(ctx, a.door.keys.key(), form, ps)
}

// joined is the answer to evidence: what the key is now, and for how long.
type joined struct {
	api.DeviceMade
	InstanceExpiresIn int64 `json:"instance_expires_in"` // seconds
}

// join shows the platform's evidence to the server. agent may be zero: then the one whose trust rule matches.
func (w *workload) join(ctx context.Context, d *door, agent id.Agent) (joined, error) {
	var got joined
	assertion, err := w.evidence(ctx, d.server)
	if err != nil {
		return got, err
	}
	form := url.Values{"grant_type": {grantPerson}, "assertion": {assertion}, "workspace": {d.ws.String()}}
	if !agent.IsZero() {
		form.Set("client_id", agent.String())
	}
	asked, by := time.Now(), d.keys.key()
	if err := d.form(ctx, "/oauth/token", form, &got); err != nil {
		return got, err
	}
	if got.Instance != by.Public().Thumbprint() || got.Agent.IsZero() || !agent.IsZero() && got.Agent != agent || got.Workspace != d.ws {
		return got, fault.New(fault.Unavailable, "bad_answer", "the server enrolled another key than ours, or as another agent")
	}
	life := time.Duration(got.InstanceExpiresIn) * time.Second
	w.joined, w.renew, w.expires = asked, asked.Add(life*tokenLifeTenths/10), asked.Add(life)
	return got, nil
}

// keep renews the instance when it has lived 80 % of its time, and says when it last joined; a platform that fails then is asked again, until its time is
// over.
func (w *workload) keep(ctx context.Context, d *door, agent id.Agent) (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.renew.IsZero() || now.Before(w.renew) {
		return w.joined, nil
	}
	_, err := w.join(ctx, d, agent)
	if err != nil && !errors.Is(err, ctx.Err()) && now.Before(w.expires) {
		w.renew = now.Add(min(w.expires.Sub(now)/4+time.Second, time.Minute))
		return w.joined, nil
	}
	return w.joined, err
}

// again joins once more after the server did not know the key, unless somebody has since before.
func (w *workload) again(ctx context.Context, d *door, agent id.Agent, before time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.joined.Equal(before) {
		return nil
	}
	_, err := w.join(ctx, d, agent)
	return err
}
