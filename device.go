package attorn

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// DeviceCode is what a person needs to confirm a new key in their browser: show them the page, the code and the key's thumbprint, which the page shows, too.
type DeviceCode struct {
	UserCode string
	Page     string // where they type the code
	Complete string // the same with the code in it
	Key      id.Key // that is to be confirmed
	Expires  time.Time
}

// DeviceConfig is what EnrolDevice needs.
type DeviceConfig struct {
	Server    string
	Workspace id.Workspace // zero is default
	Name      string       // proposed for the agent, and for the place of the key file where KeyFile is empty
	KeyFile   string
	HTTP      *http.Client
	OnCode    func(DeviceCode) // called once, before the wait
}

const (
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
	deviceClient = "attorn-cli"
	defaultPoll  = 5 * time.Second // RFC 8628 §3.2
	slower       = 5 * time.Second // §3.5
)

// EnrolDevice makes a key in this process, keeps it in its file, and waits until a person has confirmed it in their browser: the key is then an instance of the
// agent that they chose. A key that an earlier try made and could not enrol is used again. Codes: access_denied, expired_token, those of Enrol.
func EnrolDevice(ctx context.Context, cfg DeviceConfig) (*Agent, error) {
	k, path, signer, err := freshKey(cfg.KeyFile, cfg.Server, cfg.Workspace, cfg.Name)
	if err != nil {
		return nil, err
	}
	form := url.Values{"purpose": {"agent"}}
	set(form, "agent_name", cfg.Name)
	got, err := confirmed(ctx, cfg.Server, cfg.Workspace, signer, cfg.HTTP, form, cfg.OnCode)
	if err != nil {
		return nil, err
	}
	if got.Instance != signer.Public().Thumbprint() || got.Agent.IsZero() {
		return nil, fault.New(fault.Unavailable, "bad_answer", "the server enrolled another key than ours")
	}
	k.Attorn = &keyHolder{Server: cfg.Server, Workspace: got.Workspace, Agent: got.Agent, Name: got.Name}
	if err := k.write(path, false); err != nil {
		return nil, err
	}
	return Open(ctx, AgentConfig{KeyFile: path, HTTP: cfg.HTTP})
}

// freshKey is the key of a file that is nobody's yet; a new one where there is none.
func freshKey(path, server string, ws id.Workspace, name string) (keyFile, string, jose.Signer, error) {
	if path == "" {
		var err error
		if path, err = KeyPath(server, ws, name); err != nil {
			return keyFile{}, "", nil, err
		}
	}
	if _, err := MakeKeyFile(path); err != nil && fault.Code(err) != "key_exists" {
		return keyFile{}, "", nil, err
	}
	k, err := readKeyFile(path)
	if err != nil {
		return k, path, nil, err
	}
	if k.Attorn != nil {
		return k, path, nil, fault.New(fault.Conflict, "key_exists", "the key in %s is enrolled already, as %s (%s)", path, k.Attorn.Name, k.Attorn.Agent).
			Try("open it, or name another file")
	}
	signer, err := k.signer()
	return k, path, signer, err
}

// SignInDeviceConfig is what SignInDevice needs.
type SignInDeviceConfig struct {
	Server    string
	Workspace id.Workspace     // zero is default
	Signer    jose.Signer      // a new key, which becomes the person's
	HTTP      *http.Client     //
	OnCode    func(DeviceCode) // called once, before the wait
}

// SignInDevice waits until a person who is signed in in their browser has confirmed the key as their own. Codes: access_denied, expired_token.
func SignInDevice(ctx context.Context, cfg SignInDeviceConfig) (api.SignedIn, error) {
	got, err := confirmed(ctx, cfg.Server, cfg.Workspace, cfg.Signer, cfg.HTTP, url.Values{"purpose": {"person"}}, cfg.OnCode)
	if err != nil {
		return api.SignedIn{}, err
	}
	if got.Key != cfg.Signer.Public().Thumbprint() || got.User.IsZero() {
		return api.SignedIn{}, fault.New(fault.Unavailable, "bad_answer", "the server registered another key than ours")
	}
	return api.SignedIn{User: got.User, Name: got.Name, Workspace: got.Workspace, Key: got.Key}, nil
}

// confirmed asks for a device code and polls until somebody has decided (RFC 8628).
func confirmed(ctx context.Context, server string, ws id.Workspace, signer jose.Signer, hc *http.Client, form url.Values, onCode func(DeviceCode)) (api.DeviceMade, error) {
	var made api.DeviceMade
	d, err := newDoor(server, ws, signer, hc)
	if err != nil {
		return made, err
	}
	form.Set("client_id", deviceClient)
	if !ws.IsZero() {
		form.Set("workspace", ws.String())
	}
	var code struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
		Page       string `json:"verification_uri"`
		Complete   string `json:"verification_uri_complete"`
		ExpiresIn  int64  `json:"expires_in"`
		Interval   int64  `json:"interval"`
	}
	asked := time.Now()
	if err := d.form(ctx, "/oauth/device", form, &code); err != nil {
		return made, err
	}
	end := asked.Add(time.Duration(code.ExpiresIn) * time.Second)
	if onCode != nil {
		onCode(DeviceCode{code.UserCode, code.Page, code.Complete, signer.Public().Thumbprint(), end})
	}
	interval := max(time.Duration(code.Interval)*time.Second, defaultPoll)
	for poll := (url.Values{"grant_type": {grantDevice}, "client_id": {deviceClient}, "device_code": {code.DeviceCode}}); ; {
		if err := pause(ctx, interval); err != nil {
			return made, err
		}
		err := d.form(ctx, "/oauth/token", poll, &made)
		switch f := fault.Of(err); {
		case err == nil:
			return made, nil
		case f == nil || !time.Now().Before(end):
			return made, err
		case f.Code == "slow_down", f.Kind == fault.Limited, f.Kind == fault.Unavailable: // a lost connection is waited for, too (§3.5)
			interval += slower
		case f.Code != "authorization_pending":
			return made, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// form posts to the authorization server, proved by the key alone, and reads the answer. Its demand for a nonce is met once.
func (d *door) form(ctx context.Context, path string, form url.Values, out any) error {
	for nonced := false; ; nonced = true {
		res, answer, err := d.ask(ctx, http.MethodPost, d.server+path, "application/x-www-form-urlencoded", []byte(form.Encode()), Token{}, maxAnswer)
		if err != nil {
			return err
		}
		if res.StatusCode == http.StatusOK {
			return understand(answer, out)
		}
		if err := oauthProblem(res.StatusCode, answer); fault.Code(err) != "use_dpop_nonce" || nonced {
			return err
		}
	}
}
