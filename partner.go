package attorn

import (
	"context"
	"net/url"
	"os"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Partner is how an agent acts at another server than its own: that server trusts its own one for it, by a rule, and takes its word. The agent needs no account
// there and no other key.
type Partner struct {
	Agent      *Agent // at its own server
	Delegation string // that it was lent there, with permissions for the other server: its id, or its compact form; or
	// ChainFile is a file with a chain of its own server's, as `attorn delegation export` writes it, whose last statement lends to this key alone and for a day at most.
	// It is read whenever it is shown, and the agent's own server is not asked.
	ChainFile string
}

// openPartner makes an Agent at cfg.Server of one that is another server's. It knows who it is there from its first token on.
func openPartner(cfg AgentConfig) (*Agent, error) {
	p := cfg.Partner
	if p.Agent == nil || (p.Delegation == "") == (p.ChainFile == "") || cfg.Evidence != nil || cfg.Signer != nil || cfg.KeyFile != "" {
		return nil, fault.New(fault.Invalid, "malformed", "an agent of another server is that Agent and a delegation or a chain of its own server's, and has no other key")
	}
	home := p.Agent.door
	if home.server == cfg.Server {
		return nil, fault.New(fault.Invalid, "malformed", "the agent is at home at %s, and needs nobody's word there", cfg.Server)
	}
	hc := cfg.HTTP
	if hc == nil {
		hc = home.http
	}
	d, err := newDoor(cfg.Server, cfg.Workspace, home.keys.key(), hc)
	if err != nil {
		return nil, err
	}
	d.keys = home.keys // the key is rotated at home
	a := newAgent(d, cfg.ID, cfg.Name)
	a.partner = p
	d.own = func(context.Context, string) (Token, error) {
		return Token{}, fault.New(fault.Denied, "partner_instance", "agents of other servers use tools and services there, and not attorn's own API")
	}
	return a, nil
}

// grantPartner shows the other server a token of the agent's own server that is for it alone, and gets one for a resource there.
func (a *Agent) grantPartner(ctx context.Context, resource string, r TokenRequest) (Token, error) {
	if r.Delegation != "" {
		return Token{}, fault.New(fault.Invalid, "malformed", "under which delegation an agent of another server acts, the rule there says")
	}
	form, by, err := a.partner.word(ctx, a.door.server)
	if err != nil {
		return Token{}, err
	}
	form.Set("resource", resource)
	if a.door.ws != id.Default {
		form.Set("workspace", a.door.ws.String())
	}
	if !a.id.IsZero() {
		form.Set("client_id", a.id.String())
	}
	if err := setPermissions(form, r.Permissions); err != nil {
		return Token{}, err
	}
	return a.door.grant(ctx, by, form, func(url.Values, string) {}, a.partner.Agent.id.String())
}

// word is what the agent's own server signed for the other one, as it is shown there, and the key that it is about.
func (p *Partner) word(ctx context.Context, server string) (url.Values, jose.Signer, error) {
	if p.ChainFile == "" {
		t, err := p.Agent.Token(ctx, server, TokenRequest{Delegation: p.Delegation})
		return url.Values{"grant_type": {grantPerson}, "assertion": {t.AccessToken}}, t.by, err
	}
	by := p.Agent.door.keys.key()
	links, err := p.chain(by.Public().Thumbprint())
	if err != nil {
		return nil, nil, err
	}
	subject, err := jose.Canonical(links)
	return url.Values{"grant_type": {grantExchange}, "subject_token": {string(subject)}, "subject_token_type": {typeChain}}, by, err
}

// chain reads the file. That it is for this key is looked at here, where it can be said; all else is the other server's to judge, which gives no reasons.
func (p *Partner) chain(key id.Key) ([]delegation.Link, error) {
	raw, err := os.ReadFile(p.ChainFile)
	if err != nil {
		return nil, err
	}
	f, err := delegation.ParseFile(raw)
	if err != nil {
		return nil, err
	}
	if to := f.Links[len(f.Links)-1].Statement.Delegate; to.Agent != p.Agent.id || to.Instance != key {
		return nil, fault.New(fault.Denied, "not_lent", "the chain's last statement does not lend to this instance of the agent alone").
			Try("have it lent to this one: attorn lend %s --instance %s", p.Agent.id, key)
	}
	return f.Links, nil
}
