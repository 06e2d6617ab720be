package rules

import (
	"context"
	"errors"

	"github.com/attorn/attorn/id"
)

// Hold stands for a caller that is compiling a bundle: others wait until release, by which it has failed or succeeded.
func (r *Room) Hold(ctx context.Context, ws id.Workspace, digest id.Digest) (release func(fail bool)) {
	e, mine := r.cache.claim(digest)
	if !mine {
		panic("compiled already")
	}
	return func(fail bool) {
		if fail {
			r.cache.settle(e, ws, nil, errors.New("it failed"))
			return
		}
		if _, err := r.fill(ctx, ws, e); err != nil {
			panic(err)
		}
	}
}
