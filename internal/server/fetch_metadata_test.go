package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/clients"
)

// What an app says about itself is never asked for at a private address, however its name leads there, and whatever rules about issuers allow.
func TestMetadataIsNotPrivate(t *testing.T) {
	port, asked := target(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	for what, f := range map[string]*fetcher{
		"loopback by name": resolved(false, names(t, "127.0.0.1")), "loopback by rebinding": resolved(false, names(t, "192.0.2.1", "127.0.0.1")),
		"private": resolved(false, names(t, "10.0.0.1")), "shared": resolved(false, names(t, "100.64.0.1")), "metadata of a cloud": resolved(true, names(t, "169.254.169.254")),
		"benchmarks": resolved(false, names(t, "198.18.0.1")), "all": resolved(false, names(t, "0.0.0.0")),
	} {
		for range 2 {
			if _, _, err := f.Metadata(t.Context(), "https://app.example.com:"+port+"/c"); fault.Code(err) != "fetch_refused" || !strings.Contains(err.Error(), "private address") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	f := newFetcher(false)
	for _, address := range []string{
		"https://127.0.0.1:" + port, "https://localhost:" + port, "https://[::1]:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://[64:ff9b::7f00:1]:" + port, "https://[2002:7f00:1::]:" + port,
		"http://127.0.0.1:" + port, "https://2130706433:" + port, "https://0x7f.1:" + port,
	} {
		if _, _, err := f.Metadata(t.Context(), address+"/c"); fault.Code(err) != "fetch_refused" {
			t.Errorf("%s: %v", address, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("it was asked %d times", asked.Load())
	}
}

func TestMetadataOddAnswers(t *testing.T) {
	var elsewhere atomic.Int64
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer away.Close()
	block := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Cookie")+r.Header.Get("Authorization")+r.Header.Get("Referer")+r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("it was sent %s %v", r.Method, r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		body := "{}"
		switch strings.TrimPrefix(r.URL.Path, "/") {
		case "most":
			body = strings.Repeat(" ", clients.MaxMetadata)
		case "more":
			body = strings.Repeat(" ", clients.MaxMetadata+1)
		case "endless":
			for n := 0; n < 1000; n++ {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		case "slow":
			w.(http.Flusher).Flush()
			<-block
			return
		case "silent":
			<-block
			return
		case "gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case "text":
			w.Header().Set("Content-Type", "text/json")
		case "none":
			w.Header()["Content-Type"] = nil
		case "special":
			w.Header().Set("Content-Type", "application/client+json; charset=utf-8")
		case "cookie":
			w.Header().Set("Set-Cookie", "a=b")
		case "301", "302", "303", "307", "308":
			var code int
			fmt.Sscan(r.URL.Path[1:], &code)
			http.Redirect(w, r, away.URL, code)
			return
		case "201", "203", "206", "404", "500":
			var code int
			fmt.Sscan(r.URL.Path[1:], &code)
			w.WriteHeader(code)
		case "aged":
			w.Header().Set("Cache-Control", "max-age=600")
			w.Header().Set("Age", "100")
		case "expires":
			w.Header().Set("Date", "Mon, 23 Nov 2026 09:00:00 GMT")
			w.Header().Set("Expires", "Mon, 23 Nov 2026 10:00:00 GMT")
		}
		fmt.Fprint(w, body)
	}))
	defer s.Close()
	defer close(block)
	f := newFetcher(true)
	for path, reason := range map[string]string{
		"ok": "", "most": "", "special": "", "cookie": "", "more": "more than", "endless": "more than", "slow": "ended early", "silent": "could not be fetched", "gzip": "coding", "text": "media type", "none": "media type",
		"301": "status is 301", "302": "status is 302", "303": "status is 303", "307": "status is 307", "308": "status is 308", "201": "status is 201", "203": "status is 203", "206": "status is 206", "404": "status is 404", "500": "status is 500",
	} {
		began := time.Now()
		_, _, err := f.Metadata(t.Context(), s.URL+"/"+path)
		if (err == nil) != (reason == "") || err != nil && (!strings.Contains(err.Error(), reason) || fault.Code(err) != "fetch_refused") || time.Since(began) > 2*fetchTime {
			t.Errorf("%s: %v after %s", path, err, time.Since(began))
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	for path, want := range map[string]time.Duration{"aged": 500 * time.Second, "expires": time.Hour} {
		if _, age, err := f.Metadata(t.Context(), s.URL+"/"+path); err != nil || age != want {
			t.Errorf("%s: %s, %v", path, age, err)
		}
	}
}
