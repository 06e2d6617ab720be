package lending_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/internal/lending"
)

// Whatever takes the place of a delegation, however often, is no wider than the first one in anything but time: a rule about another server that goes on with it
// lets nobody do more.
func TestSuccessorsNeverWiden(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"tool:files:*", "tool:files:read", "tool:mail:send", "tool:*", "*"}
		permissions := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) delegation.Permission {
			p := delegation.Permission{Permission: rapid.SampledFrom(names).Draw(rt, "name")}
			if rapid.Bool().Draw(rt, "bounded") {
				p.Where = map[string]delegation.Constraint{"path": {Prefix: new(rapid.SampledFrom([]string{"a/", "a/b/"}).Draw(rt, "prefix"))}}
			}
			return p
		}), 1, 3)
		bot := agent()
		first := statement(nil, person(), bot, uses(rapid.Int64Range(1, 9).Draw(rt, "uses")), func(st *delegation.Statement) {
			st.Permissions, st.MaxDepth = permissions.Draw(rt, "permissions"), rapid.IntRange(0, 4).Draw(rt, "depth")
		})
		last, taken := first, 0
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			next := successor(last, func(st *delegation.Statement) {
				switch rapid.IntRange(0, 6).Draw(rt, "what") {
				case 0:
					st.Permissions = permissions.Draw(rt, "permissions")
				case 1:
					st.ExpiresAt += rapid.Int64Range(-60, 3600).Draw(rt, "longer")
				case 2:
					st.MaxUses = ptr(rapid.Int64Range(1, 12).Draw(rt, "uses"))
				case 3:
					st.MaxUses = nil
				case 4:
					st.MaxDepth = rapid.IntRange(0, 8).Draw(rt, "depth")
				case 5:
					st.Task = rapid.SampledFrom([]string{"", "T-1", "T-2"}).Draw(rt, "task")
				case 6:
					st.Delegate.Instance = bot.key.Public().Thumbprint()
				}
			})
			if _, err := lending.Replaces(last, next); err == nil {
				last, taken = next, taken+1
			}
		}
		same := last
		same.NotBefore, same.ExpiresAt = first.NotBefore, first.ExpiresAt
		if how, err := lending.Replaces(first, same); err != nil || how != lending.Narrowed {
			rt.Fatalf("after %d replacements: %v", taken, err)
		}
	})
}
