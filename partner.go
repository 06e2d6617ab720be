package attorn

import (
	"context"
	"net/url"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Partner is how an agent acts at another server than its own: that server trusts its own one for it, by a rule, and takes its word. The agent needs no account
// there and no other key.
type Partner struct {
	Agent      *Agent // at its own server
	Delegation string // that it was lent there, with permissions for the other server: its id, or its compact form
}

// openPartner makes an Agent at cfg.Server of one that is another server's. It knows who it is there from its first token on.
func openPartner(cfg AgentConfig) (*Agent, error) {
	p := cfg.Partner
	if p.Agent == nil || p.Delegation == "" || cfg.Evidence != nil || cfg.Signer != nil || cfg.KeyFile != "" {
		return nil, fault.New(fault.Invalid, "malformed", "an agent of another server is that Agent and a delegation of its own server's, and has no other key")
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
	word, err := a.partner.Agent.Token(ctx, a.door.server, TokenRequest{Delegation: a.partner.Delegation})
	if err != nil {
		return Token{}, err
	}
	form := url.Values{"grant_type": {grantPerson}, "assertion": {word.AccessToken}, "resource": {resource}}
	if a.door.ws != id.Default {
		form.Set("workspace", a.door.ws.String())
	}
	if !a.id.IsZero() {
		form.Set("client_id", a.id.String())
	}
	if err := setPermissions(form, r.Permissions); err != nil {
		return Token{}, err
	}
	return a.door.grant(ctx, word.by, form, func(url.Values, string) {}, a.partner.Agent.id.String())
}
