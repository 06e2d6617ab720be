package audit

import (
	"context"
	"fmt"
)

// listEvery is how many events come together before the names in them are listed.
const listEvery = 1024

// list puts the agents, people, targets and pieces of work of the latest events into the table mention, by which they are found. For many events at once, in
// the table's order: were each event to do it in its own commit, each would write to a page of its own for every name. What is not listed yet is few enough
// to be looked through (named).
func (r *run) list(h *head) error {
	size := h.frontier.Size()
	if size-h.listed < listEvery {
		return nil
	}
	_, err := r.tx.Exec(`INSERT INTO mention (log, name, seq)
		SELECT log, 'a' || agent, seq FROM event WHERE log = $1 AND seq >= $2 AND seq < $3 AND agent IS NOT NULL UNION ALL
		SELECT log, 'p' || person, seq FROM event WHERE log = $1 AND seq >= $2 AND seq < $3 AND person IS NOT NULL UNION ALL
		SELECT log, 'r' || target, seq FROM event WHERE log = $1 AND seq >= $2 AND seq < $3 AND target IS NOT NULL UNION ALL
		SELECT log, 't' || task, seq FROM event WHERE log = $1 AND seq >= $2 AND seq < $3 AND task IS NOT NULL ORDER BY 2, 3`, h.log, h.listed, size)
	h.listed = size
	return err
}

// shard is a part of a workspace's log, for a search.
type shard struct {
	log          string
	base, listed int64
}

// named reads a shard's events that have a name (see list), in their order or against it, at most limit. which narrows further, by args from $3 on.
func (l *Log) named(ctx context.Context, s shard, name, which string, args []any, newest bool, limit int) ([]Entry, error) {
	order := map[bool]string{false: `ASC`, true: `DESC`}[newest]
	args = append([]any{s.log, s.listed}, args...)
	end := func(limit int) ([]Entry, error) {
		return l.entries(ctx, fmt.Sprintf(`WHERE e.log = $1 AND e.seq >= $2 AND %s ORDER BY e.seq %s LIMIT %d`, which, order, limit), args...)
	}
	listed := func(limit int) ([]Entry, error) {
		return l.entries(ctx, fmt.Sprintf(`JOIN mention m ON m.log = e.log AND m.seq = e.seq WHERE m.log = $1 AND m.seq < $2 AND m.name = $%d AND %s ORDER BY m.seq %s LIMIT %d`,
			len(args)+1, which, order, limit), append(args, name)...)
	}
	first, then := listed, end
	if newest {
		first, then = end, listed
	}
	found, err := first(limit)
	if err != nil || len(found) == limit {
		return found, err
	}
	more, err := then(limit - len(found))
	return append(found, more...), err
}
