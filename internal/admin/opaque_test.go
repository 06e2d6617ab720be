package admin

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/jose"
)

// newFace is a face with nothing behind its door; log takes what it logs.
func newFace(t *testing.T, log *bytes.Buffer) *face {
	t.Helper()
	reader, writer, err := db.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { writer.Close() })
	sealer, err := keyring.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(t.Context(), reader, sealer)
	if err != nil {
		t.Fatal(err)
	}
	g := guard.New(guard.Config{Issuer: "http://localhost", Ring: ring, Now: time.Now})
	return &face{Config{Issuer: "http://localhost", Guard: g, Log: slog.New(slog.NewTextHandler(log, nil))}, guard.NewLimiter(maxFailures, time.Minute)}
}

// What is not a refusal of ours leaves without a word of its cause, which the log has under the request's id. No panic reaches a client.
func TestUnknownErrorsAreOpaque(t *testing.T) {
	for name, run := range map[string]endpoint{
		"an error": func(*request, []byte) (any, error) { return nil, errors.New("the secret") },
		"a fault of ours": func(*request, []byte) (any, error) {
			return nil, fault.New(fault.Internal, "hidden_code", "the secret")
		},
		"a panic":             func(*request, []byte) (any, error) { panic("the secret") },
		"no JSON comes of it": func(*request, []byte) (any, error) { return map[string]any{"f": func() {}, "s": "the secret"}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			f := newFace(t, &log)
			w := httptest.NewRecorder()
			f.serve(w, httptest.NewRequest("GET", "/v1/x", nil), methods{"GET": {api.Route{Method: "GET", Status: 200, Open: true}, "", run}})
			var p api.Problem
			if err := jose.Decode(w.Body.Bytes(), &p, jose.Limits{}); err != nil {
				t.Fatal(err)
			}
			if w.Code != 500 || p.Code != "internal" || strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "hidden") {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			if !strings.Contains(log.String(), p.RequestID) || name != "no JSON comes of it" && !strings.Contains(log.String(), "the secret") {
				t.Errorf("logged %s", log.String())
			}
		})
	}
}

func TestStatusAndHeaders(t *testing.T) {
	for kind, want := range map[fault.Kind]int{
		fault.Invalid: 400, fault.Unauthenticated: 401, fault.Denied: 403, fault.NotFound: 404, fault.Conflict: 409, fault.TooLarge: 413,
		fault.Limited: 429, fault.Unavailable: 503, fault.Internal: 500,
	} {
		var log bytes.Buffer
		f, w := newFace(t, &log), httptest.NewRecorder()
		f.refuse(w, httptest.NewRequest("GET", "/v1/x", nil), fault.New(kind, "some_code", "because \xff").Try("again"))
		if w.Code != want {
			t.Errorf("kind %d: %d, want %d", kind, w.Code, want)
		}
		if (w.Header().Get("Retry-After") != "") != (want == 429 || want == 503) || (w.Header().Get("WWW-Authenticate") != "") != (want == 401) {
			t.Errorf("kind %d: %v", kind, w.Header())
		}
	}
}

// Whatever the table has is mounted, under its path and its workspace's, and nothing else is.
func TestRoutesAreMounted(t *testing.T) {
	var log bytes.Buffer
	mux := http.NewServeMux()
	if err := Mount(mux, newFace(t, &log).Config); err != nil {
		t.Fatal(err)
	}
	named := endpoints()
	var seen []string
	for _, r := range api.Routes() {
		if named[r.Name] == nil || slices.Contains(seen, r.Name) || slices.Contains(seen, r.Method+r.Path) || r.Doc == "" || r.Status/100 != 2 {
			t.Errorf("the route %s is not whole, or there twice", r.Name)
		}
		seen = append(seen, r.Name, r.Method+r.Path)
		delete(named, r.Name)
		path := strings.NewReplacer("{segment...}", "a/b", "{", "", "}", "").Replace(r.Path)
		pattern, _ := split(r.Path)
		for prefix, want := range map[string]string{"": pattern, "/w/other": "/w/{ws}" + pattern} {
			if prefix != "" && r.Open {
				want = "/w/{ws}/v1/"
			}
			if _, got := mux.Handler(httptest.NewRequest(r.Method, prefix+path, nil)); got != want {
				t.Errorf("%s %s%s is answered by %q, want %q", r.Method, prefix, path, got, want)
			}
		}
	}
	if len(named) > 0 {
		t.Errorf("endpoints without a route: %v", named)
	}
}

func TestHasNull(t *testing.T) {
	for body, want := range map[string]bool{
		`"a"`: false, `"\u0000"`: true, `"\\u0000"`: false, `"\\\u0000"`: true, `"\\\\u0000"`: false, `"\u00000"`: true, `"\\u0000\u0000"`: true, `"\u0001"`: false,
	} {
		if hasNull([]byte(body)) != want {
			t.Errorf("%s: %v", body, !want)
		}
	}
}

func FuzzHasNull(f *testing.F) {
	f.Add(`a\u0000`)
	f.Add("\x00\\")
	f.Fuzz(func(t *testing.T, s string) {
		body, err := jose.Canonical(s)
		if err != nil {
			t.Skip()
		}
		if hasNull(body) != strings.Contains(s, "\x00") {
			t.Errorf("%q: %v", s, hasNull(body))
		}
	})
}
