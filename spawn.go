package attorn

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// closing is how long Close waits for the server.
const closing = 10 * time.Second

// Spawn makes an instance below this one, of the same agent or of another one of the workspace (its id or name), with a key in this process's memory.
// It lives for l.TTL, at most a day and never longer than this instance; Close ends it. Where l has permissions, they are lent to it alone, under l.Parent:
// Delegation says under what. An agent lends nothing to itself: a child of the same agent has what the agent was lent.
func (a *Agent) Spawn(ctx context.Context, agent string, l Lend) (*Agent, error) {
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	s, err := jose.NewSigner(priv)
	if err != nil {
		return nil, err
	}
	return a.spawn(ctx, &held{signer: s}, agent, l)
}

// SpawnFile is Spawn with a key in a new file, for another process. Codes: those of Spawn and MakeKeyFile.
func (a *Agent) SpawnFile(ctx context.Context, keyFile, agent string, l Lend) (*Agent, error) {
	s, err := MakeKeyFile(keyFile)
	if err != nil {
		return nil, err
	}
	child, err := a.spawn(ctx, &held{signer: s, path: keyFile}, agent, l)
	if err != nil {
		return nil, err
	}
	k, err := readKeyFile(keyFile)
	if err == nil {
		k.Attorn = &keyHolder{Server: a.door.server, Workspace: a.door.ws, Agent: child.id, Name: child.name}
		child.door.keys.whose = k.Attorn
		err = k.write(keyFile, false)
	}
	if err != nil {
		child.Close()
		return nil, err
	}
	return child, nil
}

func (a *Agent) spawn(ctx context.Context, key *held, agent string, l Lend) (*Agent, error) {
	of, err := a.door.find(ctx, agent)
	if err != nil {
		return nil, err
	}
	in, err := a.vouch(token.KeyStatement{Use: token.UseSpawn, Agent: of, Expires: int64(l.TTL / time.Second)}, a.door.keys.key(), key.signer)
	if err != nil {
		return nil, err
	}
	out, err := ask[api.Spawned](ctx, a.door, "Spawn", nil, nil, in)
	if err != nil {
		return nil, err
	}
	if out.Instance != key.signer.Public().Thumbprint() || out.Agent != of {
		return nil, fault.New(fault.Unavailable, "bad_answer", "the server took another key than ours")
	}
	child := newAgent(&door{server: a.door.server, ws: a.door.ws, keys: key, http: a.door.http, nonces: map[string]string{}}, of, out.Name)
	child.spawned = true
	if len(l.Permissions) == 0 {
		return child, nil
	}
	l.Instance = out.Instance
	link, err := a.Delegate(ctx, of.String(), l)
	if err != nil {
		child.Close()
		return nil, err
	}
	child.lent = link.String()
	return child, nil
}

// find reads whose id or name a text is.
func (d *door) find(ctx context.Context, agent string) (id.Agent, error) {
	if a, err := id.Parse[id.Agent](agent); err == nil {
		return a, nil
	}
	found, err := ask[api.Agent](ctx, d, "Agent", []string{agent}, nil, nil)
	return found.ID, err
}

// Delegation is what a spawned instance was lent with its making, in compact form, for TokenRequest.Delegation; "" for nothing.
func (a *Agent) Delegation() string { return a.lent }

// End ends this instance for ever, with all that it spawned and lent: its own act.
func (a *Agent) End(ctx context.Context, reason string) (api.Ended, error) {
	return ask[api.Ended](ctx, a.door, "RevokeInstance", []string{a.Instance().String()}, nil, api.Reason{Reason: reason})
}

// Close ends an instance that Spawn made, unless it has ended; of any other Agent it ends nothing.
func (a *Agent) Close() error {
	if !a.spawned {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	_, err := a.End(ctx, "closed")
	if f := fault.Of(err); f != nil && f.Kind == fault.Unauthenticated { // it has ended by itself
		return nil
	}
	return err
}
