package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/internal/server"
	"github.com/attorn/attorn/jose"
)

// A private key that somebody sends, in whatever form and wherever in the request, is refused for what it is, and stays nowhere: not in the answer, the log or
// any file of the server.
func TestPrivateKeysStayNowhere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var mu sync.Mutex
	data := filepath.Join(t.TempDir(), "attorn")
	base := fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	s, err := server.Open(t.Context(), server.Config{
		Dev: true, URL: base, Listen: l.Addr().String(), Data: data, Node: "test",
		Logger: slog.New(slog.NewTextHandler(locked{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(cancel)

	link, err := s.SignInLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(link, "#")
	_, own, _ := ed25519.GenerateKey(nil)
	signer, err := jose.NewSigner(own)
	if err != nil {
		t.Fatal(err)
	}
	who, err := attorn.SignIn(t.Context(), attorn.SignInConfig{Server: base, Secret: secret, Name: "Priya", Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	client, err := attorn.NewClient(attorn.ClientConfig{Server: base, User: who.User, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	api := &http.Client{Transport: proving(func(r *http.Request) error {
		access, err := client.Token(r.Context(), "")
		if err != nil {
			return err
		}
		proof, err := dpop.Sign(signer, dpop.Claims{Method: r.Method, URL: r.URL.String(), JTI: rand.Text(), AccessToken: access.AccessToken, IssuedAt: time.Now()})
		r.Header.Set("Authorization", "DPoP "+access.AccessToken)
		r.Header.Set("DPoP", proof)
		return err
	})}

	_, lost, _ := ed25519.GenerateKey(nil)
	der, err := x509.MarshalPKCS8PrivateKey(lost)
	if err != nil {
		t.Fatal(err)
	}
	seed := base64.RawURLEncoding.EncodeToString(lost.Seed())
	jwk := `{"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(lost.Public().(ed25519.PublicKey)) + `","d":"` + seed + `"}`
	pkcs8 := base64.StdEncoding.EncodeToString(der)
	secrets := []string{seed, base64.StdEncoding.EncodeToString(lost.Seed())[:40], string(lost.Seed()), pkcs8}
	for form, key := range map[string]string{
		"JWK": jwk, "PEM": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "PKCS #8": pkcs8,
		"header of a JWS": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","jwk":`+jwk+`}`)) + ".e30.AAAA",
	} {
		quoted, _ := json.Marshal(key)
		member := string(quoted)
		if form == "JWK" {
			member = key
		}
		for name, send := range map[string]func() (*http.Response, error){
			"sign-in": func() (*http.Response, error) {
				return post(http.DefaultClient, base+"/v1/signin", `{"secret":`+string(quoted)+`}`)
			},
			"enrolment": func() (*http.Response, error) {
				return post(http.DefaultClient, base+"/v1/enrol", `{"token":"x","key":`+member+`}`)
			},
			"a new agent": func() (*http.Response, error) { return post(api, base+"/v1/agents", `{"name":`+string(quoted)+`}`) },
			"deep": func() (*http.Response, error) {
				return post(api, base+"/v1/agents", `{"name":"a","tags":[{"x":[`+member+`]}]}`)
			},
			"token request": func() (*http.Response, error) {
				return http.PostForm(base+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_assertion": {key}})
			},
			"any parameter": func() (*http.Response, error) {
				return http.PostForm(base+"/oauth/revoke", url.Values{"token": {"x"}, "whatever": {key}})
			},
			"sign-in page": func() (*http.Response, error) { return http.PostForm(base+"/signin/link", url.Values{"secret": {key}}) },
		} {
			res, err := send()
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if name != "sign-in page" && (res.StatusCode != 400 || !bytes.Contains(body, []byte("private_key"))) || !bytes.Contains(body, []byte("give this key up")) && !bytes.Contains(body, []byte("Give this key up")) {
				t.Errorf("%s, %s: %d %s", form, name, res.StatusCode, body)
			}
			holds(t, form+", "+name, "the answer", body, secrets)
		}
	}
	if made, err := client.Agents(t.Context(), attorn.AgentQuery{}); err != nil || len(made.Items) != 0 {
		t.Errorf("agents were made: %+v, %v", made, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.Close()
	mu.Lock()
	defer mu.Unlock()
	holds(t, "all", "the log", log.Bytes(), secrets)
	files := 0
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files++
		holds(t, "all", d.Name(), raw, secrets)
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d files, %v", files, err)
	}
}

func holds(t *testing.T, what, where string, text []byte, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if bytes.Contains(text, []byte(s)) {
			t.Errorf("%s: %s holds the key", what, where)
		}
	}
}

// proving sends requests after they were given what proves them.
type proving func(r *http.Request) error

func (p proving) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := p(r); err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

func post(c *http.Client, url, body string) (*http.Response, error) {
	return c.Post(url, "application/json", strings.NewReader(body))
}

// locked is a log that requests write at once.
type locked struct {
	mu *sync.Mutex
	to io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}
