package guard

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// storePath begins the paths of a bundle's files that acts of the API make. Who publishes a directory keeps them.
const storePath = "store/"

// live is the bundle that decides in a workspace.
func (g *Guard) live(ctx context.Context, ws id.Workspace) (*policy.Set, error) {
	digest, err := g.Rules.Live(ctx, ws)
	if err != nil {
		return nil, err
	}
	return g.Rules.Load(ctx, ws, digest)
}

// changeStored makes a new live bundle of the one that is, with one file under store/ changed or, where text is nil, taken away, by an act whose kind and content it
// fills in. fits may refuse on the bundle that there was. Codes: policy_invalid, stale_base while others keep changing it, and those of policy.
func (g *Guard) changeStored(ctx context.Context, c *Caller, a act, path string, text []byte, fits func(live *policy.Set) error) (*policy.Set, evidence.Receipt, error) {
	a.kind = evidence.PolicyPublished
	if _, _, err := g.judge(ctx, c, a); err != nil { // before a stranger is told what there is
		return nil, evidence.Receipt{}, err
	}
	for round := 1; ; round++ {
		base, err := g.live(ctx, c.ws)
		if err != nil {
			return nil, evidence.Receipt{}, err
		}
		if err := fits(base); err != nil {
			return nil, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
		}
		files := slices.DeleteFunc(base.Files(), func(f policy.File) bool { return f.Path == path })
		if text != nil {
			files = append(files, policy.File{Path: path, Text: text})
		}
		set, problems, err := g.compile(ctx, c.ws, files, base)
		if err != nil {
			return nil, evidence.Receipt{}, err
		}
		if set == nil {
			return nil, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, invalid(problems))
		}
		rests, err := g.open(ctx, c, set)
		if fault.Of(err) != nil {
			return nil, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
		} else if err != nil {
			return nil, evidence.Receipt{}, err
		}
		a.depends = slices.Concat(a.depends, rests)
		a.what, a.content = &evidence.What{Bundle: set.Digest(), Base: base.Digest()}, bundleContent(set)
		var stale error
		got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
			stale = g.Rules.Publish(tx, c.ws, set, base.Digest())
			if fault.Code(stale) == "stale_base" {
				return errStale
			}
			return stale
		})
		switch {
		case fault.Code(stale) != "stale_base":
			return set, got, err
		case round == rounds:
			return nil, got, g.refuseAct(ctx, c, nil, a, nil, stale)
		}
	}
}

// errStale undoes a change that came too late, which is no refusal yet: it is made again.
var errStale = errors.New("another bundle is live by now")

// kept are the files of a bundle that publishing a directory keeps.
func kept(set *policy.Set) []policy.File {
	return slices.DeleteFunc(set.Files(), func(f policy.File) bool { return !strings.HasPrefix(f.Path, storePath) })
}

// invalid is the refusal of files with errors, which says where.
func invalid(problems []policy.Problem) error {
	var text strings.Builder
	for _, p := range problems {
		text.WriteString("\n  " + p.String())
	}
	return fault.New(fault.Invalid, "policy_invalid", "the policies have errors:%s", text.String())
}
