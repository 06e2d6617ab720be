package agents

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/id"
)

// Query says which agents of a workspace are wanted; the zero value is all. Every single filter is read by an index of its own, so that a page costs the
// same however many agents there are.
type Query struct {
	Prefix    string // of the name; then the order is that of names, else that of ids, which is that of registration
	Status    Status // as StatusAt
	Owner     id.User
	Tag       string // with its value Value
	Value     string
	Ownerless bool
	In        []id.Agent // only these; nil: all
	Names     []string   // only those with these names; nil: all
	After     id.Agent   // the last of the page before; zero: the first page
	Limit     int        // outside 1 to 200 it means 200
}

// List reads a page of the agents that a query wants, as they stand at now.
func (room *Room) List(ctx context.Context, ws id.Workspace, q Query, now time.Time) ([]Agent, error) {
	if q.In != nil && len(q.In) == 0 || q.Names != nil && len(q.Names) == 0 || q.Prefix != "" && !prefixForm(q.Prefix) {
		return nil, nil
	}
	text, args := q.sql(ws, now)
	rows, err := room.r.Rows(ctx, text, args...)
	return all(rows, err, (*Agent).into)
}

// prefixForm reports whether a name could begin so.
func prefixForm(s string) bool { return nameForm.MatchString(s) }

// sql is the query's text and arguments.
func (q Query) sql(ws id.Workspace, now time.Time) (text string, args []any) {
	add := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	in, order := add(ws), `agent.id`
	text, where := `SELECT `+agentColumns+` FROM agent WHERE `, []string{`agent.workspace = ` + in}
	if q.Ownerless {
		where = append(where, `agent.status <> `+add(Revoked), `(agent.expires_at IS NULL OR agent.expires_at > `+add(now.UnixMicro())+`)`) // what has ended needs no owner
	}
	switch {
	case q.Tag != "":
		text, order = `SELECT `+agentColumns+` FROM agent_tag JOIN agent ON agent.id = agent_tag.agent WHERE `, `agent_tag.agent`
		where = append(where, `agent_tag.workspace = `+in, `agent_tag.name = `+add(q.Tag), `agent_tag.value = `+add(q.Value))
		if q.Ownerless {
			where = append(where, `agent.owner IN (SELECT gone.owner FROM owner_gone gone WHERE gone.workspace IN ('', `+in+`))`)
		}
	case q.Ownerless: // few people are gone: from them to their agents
		text = `SELECT ` + agentColumns + ` FROM (SELECT DISTINCT owner FROM owner_gone WHERE workspace IN ('', ` + in + `)) absent CROSS JOIN agent WHERE `
		where = append(where, `agent.owner = absent.owner`)
	}
	if q.Prefix != "" {
		order = `agent.name`
		where = append(where, `agent.name >= `+add(q.Prefix), `agent.name < `+add(q.Prefix+"~")) // after every character of a name
	}
	switch {
	case q.After.IsZero():
	case q.Prefix != "":
		where = append(where, `agent.name > (SELECT last.name FROM agent last WHERE last.workspace = `+in+` AND last.id = `+add(q.After)+`)`)
	default:
		where = append(where, order+` > `+add(q.After))
	}
	if !q.Owner.IsZero() {
		where = append(where, `agent.owner = `+add(q.Owner))
	}
	switch q.Status {
	case "":
	case Revoked:
		where = append(where, `agent.status = `+add(Revoked))
	case Expired:
		where = append(where, `agent.expires_at IS NOT NULL`, `agent.expires_at <= `+add(now.UnixMicro()), `agent.status <> `+add(Revoked))
	default:
		where = append(where, `agent.status = `+add(q.Status), `(agent.expires_at IS NULL OR agent.expires_at > `+add(now.UnixMicro())+`)`)
	}
	if q.In != nil {
		where = append(where, `agent.id IN (`+marks(q.In, add)+`)`)
	}
	if q.Names != nil {
		where = append(where, `agent.name IN (`+marks(q.Names, add)+`)`)
	}
	return text + strings.Join(where, ` AND `) + ` ORDER BY ` + order + ` LIMIT ` + add(page(q.Limit)), args
}

func marks[T any](values []T, add func(any) string) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = add(v)
	}
	return strings.Join(all, ", ")
}

// With is an agent with some of its instances.
type With struct {
	Agent
	Instances []Instance
	More      int // instances that are not among them
}

// WithInstances is List with the first instances of each agent, those that have not ended before the others: two queries, however many agents there are.
func (room *Room) WithInstances(ctx context.Context, ws id.Workspace, q Query, instances int, now time.Time) ([]With, error) {
	found, err := room.List(ctx, ws, q, now)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	seen, at := make([]With, len(found)), make(map[id.Agent]int, len(found))
	ids := make([]id.Agent, len(found))
	for i, a := range found {
		seen[i].Agent, ids[i], at[a.ID] = a, a.ID, i
	}
	first, err := room.firstInstances(ctx, ws, ids, instances, now)
	for _, f := range first {
		s := &seen[at[f.Agent]]
		s.Instances = append(s.Instances, f.Instance)
		s.More = f.of - len(s.Instances)
	}
	return seen, err
}
