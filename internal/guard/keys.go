package guard

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/jose"
)

// published is how long a retired key stays among the published ones: every token that it signed has ended by then (oauth.md §10).
const published = 61 * time.Minute

// PublishedKeys are the issuer's keys that verify tokens which may be live, oldest first.
func (g *Guard) PublishedKeys() []jose.PublicKey {
	now := g.Now()
	keys := slices.DeleteFunc(g.Ring.All(keyring.ForTokens), func(k *keyring.Key) bool {
		return !k.Retired.IsZero() && now.Sub(k.Retired) > published
	})
	all := make([]jose.PublicKey, len(keys))
	for i, k := range keys {
		all[i] = k.Public
	}
	return all
}

// AgentKeys are the public keys of an agent's instances that may act now: none where the agent itself may not. Anybody may know them: they
// verify what the agent signed. Code: not_found.
func (g *Guard) AgentKeys(ctx context.Context, agent id.Agent) ([]jose.PublicKey, error) {
	return g.Agents.LiveKeys(ctx, agent, g.Now())
}
