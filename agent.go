package attorn

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// AgentConfig says which agent this process is. An enrolled key file knows that itself; then the file, or the server and the name, are enough.
type AgentConfig struct {
	Server    string       // its URL, without a final slash
	Workspace id.Workspace // zero is default
	ID        id.Agent
	Name      string       // for the place of the key file where KeyFile is empty
	KeyFile   string       // unless Signer is given
	Signer    jose.Signer  // an enrolled key that is kept elsewhere
	HTTP      *http.Client // nil is a new one

	// Evidence makes the key an instance, by a trust rule, and renews it for as long as the Agent is used. Without KeyFile, Name and Signer the key
	// lives in this process alone.
	Evidence Evidence

	// Partner makes this an agent of another server, which Server trusts by a rule; with it, Server and Workspace are enough.
	Partner *Partner

	file  string // that Signer was read from
	whose *keyHolder
}

// Agent is one instance of an agent: it acts with its own key, in its own right or under what it was lent. Safe for concurrent use.
type Agent struct {
	door *door
	id   id.Agent
	name string
	work *workload // nil for a key that was enrolled otherwise

	partner *Partner // nil where the server is its own

	spawned bool   // by this process
	lent    string // with its making, in compact form

	mu    sync.Mutex
	links map[id.Delegation]string // compact links that were looked up
}

// Open makes an Agent of an enrolled key; nothing is sent yet, but to join by evidence where it is not known yet which agent that makes. Codes:
// key_missing, key_unsafe, key_malformed, not_enrolled, server_url; with evidence no_evidence, untrusted_issuer.
func Open(ctx context.Context, cfg AgentConfig) (*Agent, error) {
	if cfg.Partner != nil {
		return openPartner(cfg)
	}
	if cfg.Evidence != nil {
		return openWorkload(ctx, cfg)
	}
	if cfg.Signer == nil {
		if err := cfg.fromFile(); err != nil {
			return nil, err
		}
	}
	if cfg.ID.IsZero() {
		return nil, fault.New(fault.Unauthenticated, "not_enrolled", "the key is not known to be any agent's").
			Try("enrol it with a token from: attorn agent enrol")
	}
	d, err := newDoor(cfg.Server, cfg.Workspace, cfg.Signer, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	d.keys.path, d.keys.whose = cfg.file, cfg.whose
	return newAgent(d, cfg.ID, cfg.Name), nil
}

func newAgent(d *door, agent id.Agent, name string) *Agent {
	a := &Agent{door: d, id: agent, name: name, links: map[id.Delegation]string{}}
	d.own = func(ctx context.Context, resource string) (Token, error) {
		return a.grant(ctx, url.Values{"grant_type": {"client_credentials"}, "resource": {resource}}, nil)
	}
	return a
}

// fromFile takes the key from its file, and what the file says of it; what the caller says must agree.
func (cfg *AgentConfig) fromFile() (err error) {
	if cfg.KeyFile == "" {
		if cfg.KeyFile, err = KeyPath(cfg.Server, cfg.Workspace, cfg.Name); err != nil {
			return err
		}
	}
	k, err := readKeyFile(cfg.KeyFile)
	if err != nil {
		return err
	}
	cfg.file, cfg.whose = cfg.KeyFile, k.Attorn
	if cfg.Signer, err = k.signer(); err != nil || k.Attorn == nil {
		return err
	}
	h := *k.Attorn
	if cfg.Server != "" && cfg.Server != h.Server || !cfg.Workspace.IsZero() && cfg.Workspace != h.Workspace ||
		!cfg.ID.IsZero() && cfg.ID != h.Agent || cfg.Name != "" && cfg.Name != h.Name {
		return fault.New(fault.Invalid, "key_of_another", "the key in %s is enrolled as %s (%s) in workspace %s of %s", cfg.KeyFile, h.Name, h.Agent, h.Workspace, h.Server).
			Try("name the key file of the agent that is meant")
	}
	cfg.Server, cfg.Workspace, cfg.ID, cfg.Name = h.Server, h.Workspace, h.Agent, h.Name
	return nil
}

// EnrolConfig is what Enrol needs.
type EnrolConfig struct {
	Server    string
	Workspace id.Workspace // for the place of the key file where KeyFile is empty
	Name      string       // likewise
	Token     string       // one-time, from attorn agent enrol
	KeyFile   string
	HTTP      *http.Client
}

// Enrol makes a key in this process, keeps it in its file and spends the token: the key is then an instance of the agent that the token is for. A
// key that an earlier try made and could not enrol is used again.
func Enrol(ctx context.Context, cfg EnrolConfig) (*Agent, error) {
	k, path, signer, err := freshKey(cfg.KeyFile, cfg.Server, cfg.Workspace, cfg.Name)
	if err != nil {
		return nil, err
	}
	d, err := newDoor(cfg.Server, id.Default, signer, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	got, err := ask[api.Enrolled](ctx, d, "Enrol", nil, nil, api.Enrol{Token: cfg.Token})
	if err != nil {
		return nil, err
	}
	if got.Instance != signer.Public().Thumbprint() {
		return nil, fault.New(fault.Unavailable, "bad_answer", "the server enrolled another key than ours")
	}
	k.Attorn = &keyHolder{Server: cfg.Server, Workspace: got.Workspace, Agent: got.Agent, Name: got.Name}
	if err := k.write(path, false); err != nil {
		return nil, err
	}
	return Open(ctx, AgentConfig{KeyFile: path, HTTP: cfg.HTTP})
}

// ID is the agent.
func (a *Agent) ID() id.Agent { return a.id }

// Name is what the agent is called, where its key file or its opener knew; it identifies nothing.
func (a *Agent) Name() string { return a.name }

// Instance is this instance: its key's thumbprint.
func (a *Agent) Instance() id.Key { return a.door.keys.key().Public().Thumbprint() }

// Workspace is where the agent is registered.
func (a *Agent) Workspace() id.Workspace { return a.door.ws }

// TokenRequest says what a token is for.
type TokenRequest struct {
	Permissions []delegation.Permission // nil: all that may be had
	// Under what the agent acts: a delegation's id or compact form, or an access token that was handed to it, which says that it may act (RFC 8693 §4.4); "": in its
	// own right, for nobody.
	Delegation string
	Asserted   string // instead of Delegation: what the person's sign-in provider asserts (an ID-JAG, a draft), which is good for one token
}

// Token gets an access token for one resource, or the one that it has while that has lived less than 80 % of its life.
func (a *Agent) Token(ctx context.Context, resource string, r TokenRequest) (Token, error) {
	key, err := walletKey(resource, r)
	if err != nil {
		return Token{}, err
	}
	return a.door.token(ctx, key, func(ctx context.Context) (Token, error) {
		if a.partner != nil {
			return a.grantPartner(ctx, resource, r)
		}
		form := url.Values{"resource": {resource}}
		if r.Asserted != "" {
			if r.Delegation != "" {
				return Token{}, fault.New(fault.Invalid, "malformed", "an agent acts under a delegation, or by what a provider asserts, and not by both")
			}
			form.Set("grant_type", grantPerson)
			form.Set("assertion", r.Asserted)
			return a.grant(ctx, form, r.Permissions)
		}
		if r.Delegation == "" {
			form.Set("grant_type", "client_credentials")
			return a.grant(ctx, form, r.Permissions)
		}
		compact, err := a.compact(ctx, r.Delegation)
		if err != nil {
			return Token{}, err
		}
		form.Set("grant_type", grantExchange)
		form.Set("subject_token", compact)
		form.Set("subject_token_type", subjectType(compact))
		return a.grant(ctx, form, r.Permissions)
	})
}

func walletKey(resource string, r TokenRequest) (string, error) {
	if len(r.Permissions) == 0 && r.Delegation == "" && r.Asserted == "" {
		return resource, nil
	}
	ps, err := jose.Canonical(r.Permissions)
	return resource + "\n" + r.Delegation + r.Asserted + "\n" + string(ps), err
}

// grant asks for a token with the key of now. The refusal of a key that was rotated may be what an interrupted rotation left; that of a workload's is
// mended by new evidence.
func (a *Agent) grant(ctx context.Context, form url.Values, ps []delegation.Permission) (Token, error) {
	if a.work != nil {
		return a.grantWorkload(ctx, form, ps)
	}
	t, err := a.grantWith(ctx, a.door.keys.key(), form, ps)
	if fault.Code(err) == "invalid_client" && a.resume(ctx) {
		return a.grantWith(ctx, a.door.keys.key(), form, ps)
	}
	return t, err
}

func (a *Agent) grantWith(ctx context.Context, by jose.Signer, form url.Values, ps []delegation.Permission) (Token, error) {
	if err := setPermissions(form, ps); err != nil {
		return Token{}, err
	}
	return a.door.grant(ctx, by, form, func(f url.Values, assertion string) {
		f.Set("client_assertion_type", assertionType)
		f.Set("client_assertion", assertion)
	}, a.id.String())
}

// subjectType tells an access token from a delegation, by its typ (RFC 9068 §2.1).
func subjectType(compact string) string {
	if j, err := jose.Parse(compact, 0); err == nil && j.Header.Typ == "at+jwt" {
		return typeAccessToken
	}
	return typeDelegation
}

// compact is the compact form of a delegation: what was given, or what the server has under its id.
func (a *Agent) compact(ctx context.Context, text string) (string, error) {
	if strings.Contains(text, ".") {
		return text, nil
	}
	d, err := id.Parse[id.Delegation](text)
	if err != nil {
		return "", fault.New(fault.Invalid, "malformed", "a delegation is named by its id (dlg_…) or given in its compact form")
	}
	a.mu.Lock()
	known := a.links[d]
	a.mu.Unlock()
	if known != "" {
		return known, nil
	}
	found, err := ask[api.Delegation](ctx, a.door, "Delegation", []string{text}, nil, nil)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.links) >= maxHeld {
		clear(a.links)
	}
	a.links[d] = found.Link.String()
	return a.links[d], nil
}

// Delegate lends on what the agent was lent under l.Parent; delegate is an agent's id or name.
func (a *Agent) Delegate(ctx context.Context, delegate string, l Lend) (delegation.Link, error) {
	if l.Parent == "" {
		return delegation.Link{}, fault.New(fault.Invalid, "malformed", "an agent lends on what it was lent").Try("name the delegation in Lend.Parent")
	}
	compact, err := a.compact(ctx, l.Parent)
	if err != nil {
		return delegation.Link{}, err
	}
	parent, err := delegation.ParseLink(compact)
	if err != nil {
		return delegation.Link{}, err
	}
	return a.door.delegate(ctx, delegation.Delegator{Agent: a.id, Instance: a.Instance()}, delegate, l, &parent)
}

// Delegations lists what was lent to the agent, newest first, ended ones too.
func (a *Agent) Delegations(ctx context.Context) ([]api.Delegation, error) {
	return a.delegations(ctx, DelegationQuery{Delegate: "me"})
}

// Lent lists what the agent lent on, newest first, ended ones too.
func (a *Agent) Lent(ctx context.Context) ([]api.Delegation, error) {
	return a.delegations(ctx, DelegationQuery{Delegator: "me"})
}

// List lists a page of delegations, newest first: what was lent to the agent (Delegate is its id, or "me") or by it (Delegator).
func (a *Agent) List(ctx context.Context, q DelegationQuery) (api.List[api.Delegation], error) {
	return ask[api.List[api.Delegation]](ctx, a.door, "Delegations", nil, q.values(), nil)
}

func (a *Agent) delegations(ctx context.Context, q DelegationQuery) (all []api.Delegation, err error) {
	q.Limit = 200
	for {
		l, err := a.List(ctx, q)
		if err != nil {
			return nil, err
		}
		if all = append(all, l.Items...); l.Next == "" {
			return all, nil
		}
		q.After = l.Next
	}
}

// Tree reads a delegation of the agent's, lent to or by it, with all that descends from it.
func (a *Agent) Tree(ctx context.Context, d id.Delegation) (api.Tree, error) {
	return ask[api.Tree](ctx, a.door, "Tree", []string{d.String()}, nil, nil)
}

// Approval reads an approval of the agent's own call; with wait, at most 45 s, the answer is held until it is decided.
func (a *Agent) Approval(ctx context.Context, approval id.Approval, wait time.Duration) (api.Approval, error) {
	return a.door.approval(ctx, approval, wait)
}

// Revoke gives back a delegation that the agent was lent, or ends one that it lent, with all that descends from it.
func (a *Agent) Revoke(ctx context.Context, d id.Delegation, reason string) (api.Ended, error) {
	return ask[api.Ended](ctx, a.door, "RevokeDelegation", []string{d.String()}, nil, api.Reason{Reason: reason})
}
