package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/tickets"
)

// opens reads what a one-time secret would open for the holder of key (zero: none is registered by it), and why it opens nothing: it is unknown, spent or
// expired, or the key names somebody already. The same is read whatever is found.
func (g *Guard) opens(ctx context.Context, kind tickets.Kind, secret string, key id.Key) (t tickets.Ticket, refusal, err error) {
	t, refusal = g.Tickets.Peek(ctx, kind, secret, g.Now())
	if refusal != nil && keepable(refusal) != nil {
		return t, nil, refusal
	}
	if key.IsZero() {
		return t, refusal, nil
	}
	instance, err := g.Agents.Taken(ctx, key)
	if err != nil {
		return t, nil, err
	}
	person, err := g.People.Taken(ctx, key)
	if err != nil {
		return t, nil, err
	}
	if refusal == nil && (instance || person) {
		refusal = keyInUse()
	}
	return t, refusal, nil
}

// refuseSecret records that a one-time secret opened nothing: in the log of its workspace, or in the server's where nobody issued it. It spends the secret,
// should it be good, and is the same work whatever the reason: how long it takes tells nobody which secrets there are.
func (g *Guard) refuseSecret(ctx context.Context, kind tickets.Kind, secret string, t tickets.Ticket, d evidence.Draft, refusal error) error {
	if t.Workspace.IsZero() {
		d.Workspace, d.Kind, d.Who.Sub, d.What = id.Server, evidence.TokenRefused, evidence.ServerSub, nil
	}
	for i := range d.Details {
		d.Details[i].Subject = "" // nobody's: a stranger gets no key of their own in the store
	}
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		if _, err := g.Tickets.Spend(tx, kind, secret); err != nil && keepable(err) != nil {
			return err
		}
		tx.Refuse(fault.Code(refusal), refusal.Error())
		return nil
	})
	if err != nil {
		return err
	}
	if got.Code == "replayed" {
		return fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason).Try("%s", remedyFor(got.Code))
	}
	return refusal
}
