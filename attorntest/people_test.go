package attorntest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/attorntest"
)

// What docs/how-to/verify-callers.md shows: somebody's service in a test, with the whole product beside it.
func TestAServiceInATest(t *testing.T) {
	var handler http.Handler
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(service.Close)
	s := attorntest.Start(t, attorntest.Config{})
	admin := s.Admin(t)
	bot := s.Agent(t, admin, "bot")
	link := s.Lend(t, admin, bot, "repo:acme:read")
	handler = s.Verifier(t, admin, service.URL+"/api", "repo:acme").Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := attorn.CallerOf(r)
		fmt.Fprint(w, c.Agent, " for ", c.Person, ": ", c.Allows("repo:acme:read", nil), c.Allows("repo:acme:write", nil))
	}))
	client := &http.Client{Transport: bot.Transport(nil, service.URL+"/api", attorn.TokenRequest{Delegation: link.String()})}
	res, err := client.Get(service.URL + "/api/repos")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if want := fmt.Sprint(bot.ID(), " for ", admin.User(), ": true false"); err != nil || string(body) != want {
		t.Errorf("%s: %s, %v, want %s", res.Status, body, err, want)
	}
	if res, err = http.Get(service.URL + "/api/repos"); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger: %v, %v", res, err)
	}
}
