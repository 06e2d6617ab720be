package oauth

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/tickets"
)

// Config says what the face serves.
type Config struct {
	Issuer string // the server's external URL, byte for byte, without a final slash
	Guard  *guard.Guard
	Log    *slog.Logger
}

type face struct {
	Config
	failures failures       // client authentications that failed
	noted    *guard.Limiter // those of them that are in the log, by client
	requests *guard.Limiter // token requests, by proven key
	devices  *guard.Limiter // requests for a device code, by network
	polls    *guard.Limiter // of device codes, by proven key
	pages    *guard.Limiter // authorization requests, by network
	pushes   *guard.Limiter // and those that are pushed

	registrations *guard.Limiter // of apps, by network
}

// The limits of oauth.md §12, and of how much they remember.
const (
	maxFailures = 10 // a minute
	maxRequests = 50 // a second
	maxDevices  = 60 // a minute
	maxPages    = 60 // a minute

	maxRegistrations = 10 // a minute

	pollGap = tickets.DeviceInterval - time.Second // what is on its way longer than the one before comes sooner after it
)

// Mount adds the authorization server's routes.
func Mount(mux *http.ServeMux, cfg Config) {
	f := &face{
		Config:   cfg,
		failures: newFailures(),
		noted:    guard.NewLimiter(maxFailures, time.Minute),
		requests: guard.NewLimiter(maxRequests, time.Second),
		devices:  guard.NewLimiter(maxDevices, time.Minute),
		polls:    guard.NewLimiter(1, pollGap),
		pages:    guard.NewLimiter(maxPages, time.Minute),
		pushes:   guard.NewLimiter(maxPages, time.Minute),

		registrations: guard.NewLimiter(maxRegistrations, time.Minute),
	}
	mux.HandleFunc("/oauth/authorize", f.authorize)
	mux.HandleFunc("/oauth/resume/{handle}", f.resume)
	mux.HandleFunc(api.ErrorPath, f.errors)
	mux.HandleFunc(api.ErrorPath+"/{code}", f.errors)
	f.post(mux, parPath, f.par)
	f.post(mux, "/oauth/token", f.token)
	f.post(mux, "/oauth/device", f.device)
	f.post(mux, "/oauth/introspect", f.introspect)
	mux.HandleFunc("/oauth/register", f.register)
	f.post(mux, "/oauth/revoke", f.revoke)
	f.get(mux, "/oauth/jwks", f.jwks)
	f.get(mux, "/oauth/jwks/history", f.keyHistory)
	f.get(mux, "/oauth/agents/{agent}", f.identity)
	f.get(mux, "/oauth/agents/{agent}/identity.jws", f.signedIdentity)
	f.get(mux, "/oauth/agents/{agent}/jwks", f.agentJWKS)
	f.get(mux, "/.well-known/http-message-signatures-directory", f.directory)
	// RFC 8414 §3.1: the issuer's path comes after the well-known one; OpenID Connect Discovery §4 has it before.
	const known, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	f.get(mux, known, f.metadata)
	f.get(mux, openid, f.metadata)
	if path := issuerPath(cfg.Issuer); path != "" {
		f.get(mux, known+path, f.metadata)
		f.get(mux, openid+path, f.metadata)
		f.get(mux, path+openid, f.metadata)
	}
}

func issuerPath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || strings.ContainsAny(u.Path, "{} ") {
		return ""
	}
	return u.Path
}
