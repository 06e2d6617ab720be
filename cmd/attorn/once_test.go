package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
)

// TestProcessesSpendOnce: of 64 who bring one code, one refresh token or one approval to the processes of a server at once, over HTTP, one is served.
func TestProcessesSpendOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		n := newNodes(t, dsn, "--oauth.registration", "open")
		n.attorn("ann", "login", n.link, "--name", "Ann")
		n.attorn("ben", "login", n.attorn("ann", "user", "invite", "Ben"))
		n.attorn("ann", "role", "bind", "Ben", "release-manager")
		n.must(os.MkdirAll(filepath.Join(n.dir, "policy", "policies"), 0o700))
		n.must(os.WriteFile(filepath.Join(n.dir, "policy", "policies", "words.cedar"), []byte(onceRules), 0o600))
		n.attorn("ann", "policy", "publish", "policy")
		said := &atomic.Int64{}
		n.attorn("ann", "mcp", "add", "words", n.words(said), "--allow-private")

		d := n.desk(n.attorn("ann", "user", "link", "me"))
		first := d.code("tool:words:*", "/mcp/words")
		d.tokens(first) // which brings the nonce, whatever becomes of it
		code := d.code("tool:words:*", "/mcp/words")
		_, codes := d.together(code)
		if !onceOf64(codes) {
			t.Fatalf("one code: %v", codes)
		}
		_, given := d.tokens(d.code("tool:words:*", "/mcp/words"))
		refresh, _ := given["refresh_token"].(string)
		good, all := d.together(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
		if !onceOf64(all) {
			t.Fatalf("one refresh token: %v", all)
		}

		d.given = good[0]
		pending := func(int64) bool { return n.attorn("ben", "approval", "ls", "-o", "id") != "" }
		if got := d.says(4, pending); got != 0 {
			t.Fatalf("%d calls were answered before anybody approved", got)
		}
		n.attorn("ben", "approve", n.attorn("ben", "approval", "ls", "-o", "id"))
		if answered := d.says(64, func(answered int64) bool { return answered > 0 && pending(0) }); answered != 1 || said.Load() != 1 {
			t.Errorf("one approval: %d calls were answered, the tool ran %d times", answered, said.Load())
		}
	})
}

const onceRules = `
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" && context has subject };
@id("ask") @approve("1 of release-manager") @reason("Somebody listens first.") forbid (principal, action == Action::"tool:words:says", resource);
`

// words is an MCP server whose tool counts how often it ran.
func (n *nodes) words(said *atomic.Int64) string {
	server := mcp.NewServer(&mcp.Implementation{Name: "words", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "says"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		said.Add(1)
		return nil, nil, nil
	})
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	n.t.Cleanup(h.Close)
	return h.URL
}

// desk is an app, with the browser of the person in whose name it acts.
type desk struct {
	*nodes
	program
	web    *http.Client
	doors  []*http.Client // to each process
	nonces sync.Map       // by process: they know each other's
}

func newAppKey() (jose.Signer, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return jose.NewSigner(priv)
}

func (n *nodes) desk(link string) *desk {
	n.t.Helper()
	key, err := newAppKey()
	n.must(err)
	jar, err := cookiejar.New(nil)
	n.must(err)
	d := &desk{nodes: n, program: program{key: key}}
	d.web = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, port := range n.ports {
		var dial net.Dialer
		d.doors = append(d.doors, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial.DialContext(ctx, network, "localhost:"+port)
		}}})
	}
	d.leads("POST", n.url+"/signin/link", url.Values{"secret": {link}})
	res, err := http.Post(n.url+"/oauth/register", "application/json", strings.NewReader(
		`{"client_name":"Desk","redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}`))
	n.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	n.must(err)
	var made struct {
		ID string `json:"client_id"`
	}
	n.must(json.Unmarshal(body, &made))
	if d.id = made.ID; d.id == "" {
		n.t.Fatalf("%s", body)
	}
	return d
}

// leads is where the browser is sent.
func (d *desk) leads(method, address string, form url.Values) string {
	d.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	d.must(err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", d.url)
	}
	res, err := d.web.Do(r)
	d.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	d.must(err)
	to, err := res.Location()
	if err != nil {
		d.t.Fatalf("%s %s: %d %s", method, address, res.StatusCode, body)
	}
	return to.String()
}

// code asks the person, who allows it, and is what redeems the code.
func (d *desk) code(scope, resource string) url.Values {
	d.t.Helper()
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	callback := "http://127.0.0.1:5173/callback"
	page := d.leads("GET", d.url+"/oauth/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {d.id}, "redirect_uri": {callback}, "code_challenge": {jose.EncodeBase64(sum[:])}, "code_challenge_method": {"S256"},
		"resource": {d.url + resource}, "scope": {scope}, "state": {"s"},
	}.Encode(), nil)
	back, err := url.Parse(d.leads("GET", d.url+pathOf(d.leads("POST", page, url.Values{"verdict": {"allow"}, "ttl": {"3600"}, "keep0": {"1"}})), nil))
	d.must(err)
	return url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

// tokens asks the first process's token endpoint, until it has a nonce and is not asked too often.
func (d *desk) tokens(form url.Values) (what string, given map[string]any) {
	d.t.Helper()
	waitFor(func() bool {
		what, given = d.asks(0, form)
		return given["error"] != "use_dpop_nonce" && given["error"] != "temporarily_unavailable"
	})
	return what, given
}

// onceOf64 is whether one was served, and the others were refused: as what was used before, or, by a process that was asked too often, for now.
func onceOf64(all map[string]int) bool {
	return all["200 "] == 1 && all["400 invalid_grant"] > 32 && all["400 invalid_grant"]+all["429 temporarily_unavailable"] == 63
}

func (d *desk) asks(door int, form url.Values) (string, map[string]any) {
	form = url.Values(http.Header(form).Clone())
	form.Set("client_id", d.id)
	nonce, _ := d.nonces.Load("nonce")
	text, _ := nonce.(string)
	proof, err := dpop.Sign(d.key, dpop.Claims{Method: "POST", URL: d.url + "/oauth/token", JTI: rand.Text(), Nonce: text, IssuedAt: time.Now()})
	if err != nil {
		return err.Error(), nil
	}
	r, err := http.NewRequest(http.MethodPost, d.url+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err.Error(), nil
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("DPoP", proof)
	res, err := d.doors[door%len(d.doors)].Do(r)
	if err != nil {
		return err.Error(), nil
	}
	defer res.Body.Close()
	given := map[string]any{}
	body, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(body, &given)
	}
	if err != nil {
		return err.Error(), nil
	}
	if next := res.Header.Get("DPoP-Nonce"); next != "" {
		d.nonces.Store("nonce", next)
	}
	name, _ := given["error"].(string)
	return fmt.Sprint(res.StatusCode, " ", name), given
}

// together brings the same 64 times to all processes at once.
func (d *desk) together(form url.Values) (good []map[string]any, all map[string]int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	all = map[string]int{}
	begin := make(chan struct{})
	for i := range 64 {
		wg.Go(func() {
			<-begin
			what, given := d.asks(i, form)
			mu.Lock()
			defer mu.Unlock()
			if all[what]++; what == "200 " {
				good = append(good, given)
			}
		})
	}
	close(begin)
	wg.Wait()
	return good, all
}

// by is the app's token, with a proof of its key, at one process.
type by struct {
	*program
	door *http.Client
}

func (b by) RoundTrip(r *http.Request) (*http.Response, error) {
	access, _ := b.given["access_token"].(string)
	proof, err := dpop.Sign(b.key, dpop.Claims{Method: r.Method, URL: r.URL.String(), JTI: rand.Text(), AccessToken: access, IssuedAt: time.Now()})
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "DPoP "+access)
	r.Header.Set("DPoP", proof)
	return b.door.Transport.RoundTrip(r)
}

// says makes the same call many times at once over all processes, and counts those that are answered until the rest are seen to wait.
func (d *desk) says(times int, wait func(answered int64) bool) int64 {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	defer cancel()
	var answered atomic.Int64
	var wg sync.WaitGroup
	for _, door := range d.doors {
		session, err := mcp.NewClient(&mcp.Implementation{Name: "desk", Version: "1"}, nil).Connect(d.t.Context(), &mcp.StreamableClientTransport{
			Endpoint: d.url + "/mcp/words", HTTPClient: &http.Client{Transport: by{&d.program, door}}, DisableStandaloneSSE: true,
		}, nil)
		d.must(err)
		defer session.Close()
		for range times / len(d.doors) {
			wg.Go(func() {
				if r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "says", Arguments: map[string]any{}}); err == nil && !r.IsError {
					answered.Add(1)
				}
			})
		}
	}
	if !waitFor(func() bool { return wait(answered.Load()) }) {
		d.t.Error("nobody waits")
	}
	cancel()
	wg.Wait()
	return answered.Load()
}
