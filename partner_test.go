package attorn_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// An agent shows another server the chain that is in a file now, and the next time the one that is there then; both directions.
func TestPartnerChainFile(t *testing.T) {
	a, b := start(t), start(t)
	for _, way := range []struct{ home, away *world }{{a, b}, {b, a}} {
		home, away, ctx := way.home, way.away, t.Context()
		must[api.Service](t)(home.priya.AddService(ctx, api.NewService{Name: "away", Resource: away.URL, Prefix: "away", JWK: newSigner(t).Public()}))
		bot, guest, files := home.agent("bot"), away.agent("guest"), away.files()
		lend := func(w *world, to *attorn.Agent, instance id.Key, permission string) delegation.Link {
			return must[delegation.Link](t)(w.priya.Delegate(ctx, to.ID().String(), attorn.Lend{Instance: instance, Permissions: []delegation.Permission{{Permission: permission}}}))
		}
		ceiling := lend(away, guest, id.Key{}, "tool:files:write")
		must[api.TrustedIssuer](t)(away.priya.TrustIssuer(ctx, api.NewTrustedIssuer{
			Issuer: home.URL, Prefix: "away", Agents: []id.Agent{bot.ID()}, Agent: guest.ID(), Delegation: ceiling.Statement.ID,
		}))

		file := filepath.Join(t.TempDir(), "chain.json")
		there := must[*attorn.Agent](t)(attorn.Open(ctx, attorn.AgentConfig{Server: away.URL, Partner: &attorn.Partner{Agent: bot, ChainFile: file}}))
		if _, err := there.Token(ctx, files.Resource, attorn.TokenRequest{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without the file: %v", err)
		}
		shows := func(links ...delegation.Link) error {
			raw := must[[]byte](t)(delegation.File{Links: links}.Bytes())
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := there.Token(ctx, files.Resource, attorn.TokenRequest{})
			return err
		}
		refused(t, "not_lent", shows(lend(home, bot, id.Key{}, "away:tool:files:write")))
		refused(t, "not_lent", shows(lend(home, home.agent("other"), bot.Instance(), "away:tool:files:write")))
		refused(t, "not_covered", shows(lend(home, bot, bot.Instance(), "tool:files:write")))
		if err := shows(lend(home, bot, bot.Instance(), "away:tool:files:*")); err != nil {
			t.Error(err)
		}
		_, err := attorn.Open(ctx, attorn.AgentConfig{Server: away.URL, Partner: &attorn.Partner{Agent: bot, ChainFile: file, Delegation: ceiling.Statement.ID.String()}})
		refused(t, "malformed", err)
	}
}
