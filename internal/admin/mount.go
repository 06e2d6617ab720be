package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

// Upstream contacts MCP servers.
type Upstream interface {
	// Inspect asks a server that is not registered yet what it offers. It stores nothing.
	Inspect(ctx context.Context, s catalog.Server) (catalog.Offer, error)
	// Forget ends what runs for a server that was removed.
	Forget(ws id.Workspace, server string)
}

// Explainer answers for an event. Whether the caller may know is decided before it is asked.
type Explainer interface {
	Answer(ctx context.Context, ws id.Workspace, e id.Event) (api.Answer, error)
	// Decision explains what policy said of the event, by the bundle that decided, or by with, unless that is nil.
	Decision(ctx context.Context, ws id.Workspace, e id.Event, with *policy.Set) (api.Explanation, error)
	Pack(ctx context.Context, ws id.Workspace, e id.Event) ([]byte, error)
	Trust(ctx context.Context) ([]byte, error)
}

// Config says what the face serves.
type Config struct {
	Issuer   string // the server's external URL, byte for byte, without a final slash
	Guard    *guard.Guard
	Upstream Upstream
	Explain  Explainer
	Log      *slog.Logger
}

// Mount adds the API's routes. It fails when they are not exactly those of package api.
func Mount(mux *http.ServeMux, cfg Config) error {
	f := &face{cfg, guard.NewLimiter(maxFailures, time.Minute)}
	own := endpoints()
	paths := map[string]methods{}
	for _, r := range api.Routes() {
		e, ok := own[r.Name]
		if !ok {
			return fmt.Errorf("admin: the route %s has no endpoint", r.Name)
		}
		delete(own, r.Name)
		pattern, suffix := split(r.Path)
		if paths[pattern] == nil {
			paths[pattern] = methods{}
		}
		paths[pattern][r.Method] = action{r, suffix, e}
	}
	for name := range own {
		return fmt.Errorf("admin: the endpoint %s has no route", name)
	}
	for pattern, m := range paths {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, m) })
		if inner := m.ofWorkspaces(); len(inner) > 0 {
			mux.HandleFunc("/w/{ws}"+pattern, func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, inner) })
		}
	}
	mux.HandleFunc("GET "+wellKnown+"/api", f.metadata)
	mux.HandleFunc("GET "+wellKnown+"/w/{ws}/api", f.metadata)
	mux.HandleFunc("GET "+authzenKnown, f.authzenMetadata)
	mux.HandleFunc("GET "+authzenKnown+"/w/{ws}", f.authzenMetadata)
	mux.HandleFunc("/access/", func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, nil) })
	mux.HandleFunc("/w/{ws}/access/", func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, nil) })
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, nil) })
	mux.HandleFunc("/w/{ws}/v1/", func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, nil) })
	return nil
}

type face struct {
	Config
	failures *guard.Limiter // on routes that take no access token, by network
}

// maxFailures is how many one-time secrets that are none a network may send in a minute (oauth.md §12).
const maxFailures = 10

// action is a route with what answers it.
type action struct {
	api.Route
	suffix string // of the last parameter
	run    endpoint
}

// methods are the actions of one path.
type methods map[string]action

// ofWorkspaces leaves out what is not a workspace's.
func (m methods) ofWorkspaces() methods {
	inner := methods{}
	for name, a := range m {
		if !a.Open {
			inner[name] = a
		}
	}
	return inner
}

// split cuts what follows a parameter of several segments off a path, since a mux takes such a parameter only at the end.
func split(path string) (pattern, suffix string) {
	pattern, suffix, ok := strings.Cut(path, "...}")
	if !ok {
		return path, ""
	}
	return pattern + "...}", suffix
}
