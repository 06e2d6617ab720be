package gateway

import (
	"context"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/catalog"
)

// Limits of what a server may offer.
const (
	maxPages = 40
	maxItems = 2000
	// probeTime is how long a server that answered initialize may take to say that it knows no server/discover.
	probeTime = 15 * time.Second
)

// Inspect asks a server that is not registered yet, or is to be looked at again, what it offers and in which revisions. Nothing is stored.
// Codes: server_invalid, upstream_unavailable, upstream_invalid.
func (g *Gateway) Inspect(ctx context.Context, srv catalog.Server) (catalog.Offer, error) {
	if err := srv.Check(); err != nil {
		return catalog.Offer{}, err
	}
	old, oldErr := g.inspectLegacy(ctx, srv)
	limit := startTime
	if oldErr == nil {
		limit = probeTime
	}
	offer, newErr := g.inspectModern(ctx, srv, limit)
	switch {
	case newErr == nil && oldErr == nil:
		offer.Era = catalog.Both
		return offer, nil
	case newErr == nil:
		offer.Era = catalog.Modern
		return offer, nil
	case oldErr == nil:
		old.Era = catalog.Legacy
		return old, nil
	}
	b, cause := refusalOf(oldErr)
	g.Log.Warn("gateway: inspect", "server", srv.Name, "legacy", oldErr, "cause", cause, "modern", newErr)
	return catalog.Offer{}, fault.Wrap(oldErr, fault.Unavailable, b.Code, "%s", b.Reason).Try("check that the command or URL starts an MCP server")
}

func (g *Gateway) inspectLegacy(ctx context.Context, srv catalog.Server) (catalog.Offer, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	up, err := g.open(srv, catalog.Legacy, nil)
	if err != nil {
		return catalog.Offer{}, err
	}
	defer up.close()
	first, err := g.initializeUpstream(ctx, up, nil)
	if err != nil {
		return catalog.Offer{}, err
	}
	return g.offer(ctx, up, legacy, first)
}

func (g *Gateway) inspectModern(ctx context.Context, srv catalog.Server, limit time.Duration) (catalog.Offer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	up, err := g.open(srv, catalog.Modern, nil)
	if err != nil {
		return catalog.Offer{}, err
	}
	defer up.close()
	first, err := g.discoverUpstream(ctx, up)
	if err != nil {
		return catalog.Offer{}, err
	}
	return g.offer(ctx, up, modern, first)
}

func (g *Gateway) offer(ctx context.Context, up upstream, revision string, first serverHead) (catalog.Offer, error) {
	items, skipped, err := g.lists(ctx, up, revision, first)
	return catalog.Offer{Items: items, Skipped: skipped}, err
}

// serverHead is what a server says of itself: the result of initialize, or of server/discover.
type serverHead struct {
	Version      string         `json:"protocolVersion"`
	Versions     []string       `json:"supportedVersions"`
	Capabilities serverFeatures `json:"capabilities"`
	Info         jsontext.Value `json:"serverInfo"`
	Instructions string         `json:"instructions"`
	Meta         struct {
		Info jsontext.Value `json:"io.modelcontextprotocol/serverInfo"`
	} `json:"_meta"`
}

// serverFeatures are the capabilities that the gateway serves, each as its client sees it: without notifications and subscriptions.
type serverFeatures struct {
	Tools       jsontext.Value `json:"tools"`
	Prompts     jsontext.Value `json:"prompts"`
	Resources   jsontext.Value `json:"resources"`
	Completions jsontext.Value `json:"completions"`
	Logging     jsontext.Value `json:"logging"`
}

func (f serverFeatures) encode() []byte {
	o := &object{}
	for _, c := range []struct {
		name  string
		value jsontext.Value
	}{{"completions", f.Completions}, {"logging", f.Logging}, {"prompts", f.Prompts}, {"resources", f.Resources}, {"tools", f.Tools}} {
		if c.value.Kind() == '{' {
			o.raw(c.name, []byte("{}"))
		}
	}
	return o.end()
}

// initializeUpstream opens a legacy session (2025-11-25, lifecycle). No client feature is declared: what an upstream asked for outside a call of
// its own would have nobody to answer it.
func (g *Gateway) initializeUpstream(ctx context.Context, up upstream, clientInfo []byte) (serverHead, error) {
	if clientInfo == nil {
		clientInfo = (&object{}).text("name", "attorn").text("version", "1").end()
	}
	params := (&object{}).text("protocolVersion", legacy).raw("capabilities", []byte("{}")).raw("clientInfo", clientInfo).end()
	head, err := g.head(ctx, up, outbound{ID: g.ids.Add(1), Method: "initialize", Params: params})
	if err != nil {
		return head, err
	}
	if head.Version != legacy {
		return head, invalid("the server speaks revision "+quoteShort(head.Version)+", the gateway "+legacy+" and "+modern, nil)
	}
	return head, up.notify(ctx, "notifications/initialized", nil)
}

// discoverUpstream finds out whether a server is modern (MCP 2026-07-28, server/discover).
func (g *Gateway) discoverUpstream(ctx context.Context, up upstream) (serverHead, error) {
	o := outbound{ID: g.ids.Add(1), Method: "server/discover"}
	o.Params = (&object{}).raw("_meta", encodeMeta(requestMeta{}, modern, o.ID)).end()
	head, err := g.head(ctx, up, o)
	if err != nil {
		return head, err
	}
	for _, v := range head.Versions {
		if v == modern {
			return head, nil
		}
	}
	return head, invalid("the server does not speak revision "+modern, nil)
}

func (g *Gateway) head(ctx context.Context, up upstream, o outbound) (serverHead, error) {
	var head serverHead
	m, err := up.call(ctx, o, func(message) {})
	if err != nil {
		return head, err
	}
	if m.Error != nil {
		return head, invalid("the server refused "+o.Method, nil)
	}
	if err := foreign(m.Result, &head); err != nil {
		return head, invalid("the server's answer to "+o.Method+" is not of the form", err)
	}
	return head, nil
}

// definitions asks for everything that is pinned, on a connection that is open.
func (g *Gateway) definitions(ctx context.Context, up upstream, revision string) ([]catalog.Item, int, error) {
	var head serverHead
	if revision == modern {
		var err error
		if head, err = g.discoverUpstream(ctx, up); err != nil {
			return nil, 0, err
		}
	} else { // what it said at initialize is gone; a list that it lacks is refused
		head.Capabilities.Tools, head.Capabilities.Prompts = jsontext.Value("{}"), jsontext.Value("{}")
	}
	return g.lists(ctx, up, revision, head)
}

func (g *Gateway) lists(ctx context.Context, up upstream, revision string, head serverHead) ([]catalog.Item, int, error) {
	var items []catalog.Item
	skipped := 0
	if head.Instructions != "" {
		if it, err := catalog.Instructions(head.Instructions); err == nil {
			items = append(items, it)
		} else {
			skipped++
		}
	}
	for _, l := range []struct {
		method, member string
		kind           catalog.Kind
		offered        jsontext.Value
	}{{"tools/list", "tools", catalog.KindTool, head.Capabilities.Tools}, {"prompts/list", "prompts", catalog.KindPrompt, head.Capabilities.Prompts}} {
		if l.offered.Kind() != '{' {
			continue
		}
		raws, err := g.pages(ctx, up, revision, l.method, l.member)
		if err != nil {
			return nil, 0, err
		}
		names := map[string]bool{}
		for _, raw := range raws {
			it, err := catalog.ReadItem(l.kind, raw)
			if err != nil {
				skipped++
				continue
			}
			if names[it.Name] {
				return nil, 0, invalid("the server lists "+quoteShort(it.Name)+" twice", nil)
			}
			names[it.Name] = true
			items = append(items, it)
		}
	}
	return items, skipped, nil
}

// pages reads a whole list; a server that does not know the method has none.
func (g *Gateway) pages(ctx context.Context, up upstream, revision, method, member string) ([]jsontext.Value, error) {
	var all []jsontext.Value
	cursor := ""
	for range maxPages {
		o := outbound{ID: g.ids.Add(1), Method: method}
		params := &object{}
		if cursor != "" {
			params.text("cursor", cursor)
		}
		if meta := encodeMeta(requestMeta{}, revision, o.ID); meta != nil {
			params.raw("_meta", meta)
		}
		o.Params = params.end()
		m, err := up.call(ctx, o, func(message) {})
		if err != nil {
			return nil, err
		}
		if m.Error != nil {
			if errorCode(m.Error) == codeMethod && cursor == "" {
				return nil, nil
			}
			return nil, invalid("the server refused "+method, nil)
		}
		var page map[string]jsontext.Value
		var items []jsontext.Value
		if foreign(m.Result, &page) != nil || foreign(page[member], &items) != nil {
			return nil, invalid("the server's answer to "+method+" is not of the form", nil)
		}
		if all = append(all, items...); len(all) > maxItems {
			return nil, invalid("the server lists more than 2000 items", nil)
		}
		next, more := decodeString(page["nextCursor"])
		if !more || next == "" || len(next) > maxState {
			return all, nil
		}
		cursor = next
	}
	return nil, invalid("the server's list has more than 40 pages", nil)
}

// quoteShort shows a server's own word in a reason.
func quoteShort(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return string(appendText(nil, s))
}
