package guard

import (
	"context"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// DeviceToken answers a poll of a device code's holder, proved by the same key that asked (RFC 8628 §3.4): once it is confirmed, an access token for
// attorn's own API in what the key has become, and what that is; exactly once over all callers. Codes: those of AuthenticateKey, ticket_unknown,
// ticket_spent, device_key, authorization_pending, access_denied, expired_token, and those of a token that is refused.
func (g *Guard) DeviceToken(ctx context.Context, code string, cr Credentials) (Issued, DeviceMade, error) {
	key, once, raw, err := g.AuthenticateKey(cr)
	if err != nil {
		return Issued{}, DeviceMade{}, err
	}
	d, err := g.Tickets.DeviceByCode(ctx, code)
	if err == nil && d.Key != key {
		err = fault.New(fault.Unauthenticated, "device_key", "the device code was given to another key").Try("poll with the key that asked for it")
	}
	if err != nil {
		return Issued{}, DeviceMade{}, err
	}
	if err := waiting(d, d.Expired(g.Now())); err != nil {
		if err := g.Log.Once(ctx, once); err != nil {
			return Issued{}, DeviceMade{}, unlessReplayed(err)
		}
		return Issued{}, DeviceMade{}, err
	}
	var made DeviceMade
	got, err := settled(func() (Issued, error) {
		c, m, err := g.deviceClient(ctx, d, key)
		if err != nil {
			return Issued{}, err
		}
		made = m
		c.once, c.proofRaw = once, raw
		c.proof = evidence.ProofRef{Type: "dpop", SHA256: id.Sum(raw)}
		c.ip, c.face = address(cr.IP), "oauth"
		return g.collect(ctx, c, code)
	})
	return got, made, err
}

// waiting is why there is nothing to collect yet, or any more.
func waiting(d tickets.Device, expired bool) error {
	switch {
	case d.Status == tickets.Denied:
		return fault.New(fault.Denied, "access_denied", "the person refused")
	case d.Status == tickets.Collected:
		return fault.New(fault.Unauthenticated, "ticket_spent", "this device code has been used already").Try("start again; if that was not you, tell an administrator")
	case expired:
		return fault.New(fault.Unauthenticated, "expired_token", "nobody confirmed the code in time").Try("start again")
	case d.Status != tickets.Confirmed:
		return fault.New(fault.Conflict, "authorization_pending", "nobody has confirmed the code yet").Try("ask again after the interval")
	}
	return nil
}

func unlessReplayed(err error) error {
	if fault.Code(err) == "replayed" {
		return replayed("dpop")
	}
	return err
}

// deviceClient is whom the key belongs to since it was confirmed: an instance, or a person.
func (g *Guard) deviceClient(ctx context.Context, d tickets.Device, key jose.PublicKey) (*Client, DeviceMade, error) {
	made := DeviceMade{Workspace: d.Workspace, Key: key.Thumbprint()}
	c := &Client{proven: made.Key}
	c.ws = d.Workspace
	if d.Purpose == tickets.ForPerson {
		p, _, err := g.People.PersonByKey(ctx, made.Key)
		if err != nil {
			return nil, made, err
		}
		c.id, c.person, c.key = p.ID.String(), p.ID, made.Key
		made.User, made.Name = p.ID, p.Name
		return c, made, nil
	}
	a, _, err := g.Agents.Live(ctx, made.Key, g.Now())
	if err != nil {
		return nil, made, err
	}
	c.id, c.agent, c.instance, c.owner = a.ID.String(), a.ID, made.Key, a.Owner
	made.Agent, made.Name = a, a.Name
	return c, made, nil
}

// collect issues the token, in the transaction that spends the code.
func (g *Guard) collect(ctx context.Context, c *Client, code string) (Issued, error) {
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	claims := token.Claims{Subject: c.Sub(), Workspace: c.ws}
	if c.agent.IsZero() {
		claims.Session = c.key.String()
	}
	all := []delegation.Permission{{Permission: "attorn:*"}}
	return g.issue(ctx, c, g.API(c.ws), TokenRequest{}, all, claims, nil, func(tx *audit.Tx) error { return g.Tickets.CollectDevice(tx, code) })
}
