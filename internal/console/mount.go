package console

import (
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

// Explainer answers for an event. Whether the reader may know is decided before it is asked.
type Explainer interface {
	Answer(ctx context.Context, ws id.Workspace, e id.Event) (api.Answer, error)
	// Decision explains what policy said of the event, by the bundle that decided, or by with, unless that is nil.
	Decision(ctx context.Context, ws id.Workspace, e id.Event, with *policy.Set) (api.Explanation, error)
	// Name is what people call a principal now; "" where nobody knows.
	Name(ctx context.Context, ws id.Workspace, sub string) string
}

// Config says what the face serves.
type Config struct {
	Issuer    string // the server's external URL, byte for byte, without a final slash
	Guard     *guard.Guard
	Explain   Explainer
	Upstreams []Upstream // that people sign in with, beside their passkeys
	Now       func() time.Time
	Log       *slog.Logger
}

//go:embed templates static
var files embed.FS

type face struct {
	Config
	cookie     string // its name
	host       string // the only one that passkeys work at
	pages      map[string]*template.Template
	assets     map[string]asset
	sameOne    *http.CrossOriginProtection
	signIns    *guard.Limiter // by network
	failures   *guard.Limiter // by network
	challenges *guard.Limiter // by person
	providers  []*provider
}

// Mount adds the console's routes. Everything that no other face answers is a page that was not found.
func Mount(mux *http.ServeMux, cfg Config) {
	f := &face{
		Config: cfg, cookie: devCookie, assets: readAssets(), sameOne: http.NewCrossOriginProtection(), signIns: guard.NewLimiter(signInsPerNetwork, time.Minute),
		failures: guard.NewLimiter(failuresPerNetwork, time.Minute), challenges: guard.NewLimiter(challengesPerPerson, time.Minute),
	}
	if u, err := url.Parse(cfg.Issuer); err == nil { // package server checked it
		f.host = u.Host
		if u.Scheme == "https" {
			f.cookie = secureCookie
		}
		_ = f.sameOne.AddTrustedOrigin(u.Scheme + "://" + u.Host) // ours, also where a proxy changes Host
	}
	for _, u := range cfg.Upstreams {
		f.providers = append(f.providers, newProvider(u, cfg.Issuer, cfg.Now))
	}
	f.pages = f.parse()
	for pattern, h := range map[string]handler{
		"GET /{$}":                         f.page(true, overview),
		"GET /approvals/{id}":              f.page(true, approvalPage),
		"POST /approvals/{id}/challenge":   f.action(true, voteChallenge),
		"POST /approvals/{id}/vote":        f.action(true, vote),
		"GET /events/{id}":                 f.page(true, eventPage),
		"GET /device":                      f.page(true, devicePage),
		"POST /device":                     f.page(true, decideDevice),
		"GET /passkey":                     f.page(true, passkeyPage),
		"POST /passkey/begin":              f.action(true, beginPasskey),
		"POST /passkey/finish":             f.action(true, finishPasskey),
		"GET /signin":                      f.page(false, signInPage),
		"POST /signin/begin":               f.action(false, beginSignIn),
		"POST /signin/finish":              f.action(false, finishSignIn),
		"GET /signin/link":                 f.page(false, linkPage),
		"POST /signin/link":                f.page(false, spendLink),
		"POST /signin/oidc/{name}":         f.page(false, departPage),
		"GET /signin/oidc/{name}/callback": f.page(false, callbackPage),
		"GET /account":                     f.page(true, accountPage),
		"POST /account/remove":             f.page(true, removeKey),
		"POST /account/signout":            f.page(true, signOutEverywhere),
		"GET /account/upstream":            f.page(true, upstreamPage),
		"POST /account/upstream/remove":    f.page(true, removeUpstream),
		"GET /consent/{handle}":            f.page(true, consentPage),
		"POST /consent/{handle}":           f.page(true, answerConsent),
		"POST /consent/{handle}/propose":   f.action(true, proposeConsent),
		"POST /consent/{handle}/give":      f.action(true, giveConsent),
		"POST /consent/{handle}/attest":    f.action(true, attestConsent),
		"POST /consent/{handle}/refuse":    f.action(true, refuseConsent),
		"GET /lent":                        f.page(true, lentPage),
		"GET /lent/{id}":                   f.page(true, treePage),
		"POST /lent/{id}/revoke":           f.page(true, revokeLent),
		"POST /signout":                    f.page(false, signOut),
		"GET /static/{file}":               serveAsset,
		"/":                                f.page(false, notFound),
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, h) })
	}
}

// parse reads the templates: each page with the layout and the parts.
func (f *face) parse() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(template.FuncMap{
		"asset": f.assetPath, "show": show, "pill": func(kind, word string) pill { return pill{kind, word} },
		"row": func(r treeRow, ws, chosen string) treeItem { return treeItem{r, ws, chosen} },
	}).
		ParseFS(files, "templates/layout.html", "templates/parts.html"))
	pages := map[string]*template.Template{}
	for _, name := range []string{"overview", "approval", "event", "passkey", "device", "signin", "link", "go", "upstream", "account", "consent", "lent", "tree", "error"} {
		pages[name] = template.Must(template.Must(shared.Clone()).ParseFS(files, path.Join("templates", name+".html")))
	}
	return pages
}

// headers are those of every answer (console.md §1).
func headers(h http.Header) {
	contentPolicy(h, "")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self)")
	h.Set("Cache-Control", "no-store")
}

// contentPolicy is what a page may load and where its forms may lead: here, and to one more source where it says one.
func contentPolicy(h http.Header, formTo string) {
	if formTo != "" {
		formTo = " " + formTo
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "+
		"form-action 'self'"+formTo+"; base-uri 'none'; frame-ancestors 'none'")
}

// notFound is what answers where nothing else does.
func notFound(x *request) (view, error) {
	return view{}, missing("there is no page at this address")
}
