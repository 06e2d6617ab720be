package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/jose"
)

// TestAuthZEN sends the working group's interoperability cases (vectors/authzen) to a running server, whose data was made through its API, and says how each scenario
// went: `make authzen` prints that.
func TestAuthZEN(t *testing.T) {
	z := newAuthZEN(t)
	for _, suite := range []string{"todo", "gateway", "search-subject", "search-resource", "search-action", "identity-provider"} {
		passed, failed := 0, 0
		for _, c := range z.cases(suite) {
			if got, err := z.answer(c.In.Endpoint, c.In.Request); err != nil || !bytes.Equal(got, c.Want.OK) {
				failed++
				t.Errorf("%s: %s, %v; want %s", c.ID, got, err, c.Want.OK)
			} else {
				passed++
			}
		}
		fmt.Printf("authzen: %-18s %3d passed  %d failed\n", suite, passed, failed)
	}
}

type authzenCase struct {
	ID, Comment string
	In          struct {
		Endpoint string
		Request  jsontext.Value
	}
	Want struct{ OK jsontext.Value }
}

type authzenRig struct {
	t      *testing.T
	ctx    context.Context
	url    string
	client *attorn.Client
	signer jose.Signer
}

func newAuthZEN(t *testing.T) *authzenRig {
	t.Helper()
	z := &authzenRig{t: t, ctx: t.Context(), signer: attorntest.NewSigner(t)}
	port, err := freePort()
	z.must(err)
	z.url = "http://localhost:" + port
	cmd := exec.Command("attorn", "dev", "--listen", "localhost:"+port, "--data", filepath.Join(t.TempDir(), "data"))
	cmd.Env = append(os.Environ(), "ATTORN_HOME="+t.TempDir())
	server, err := start(cmd)
	z.must(err)
	t.Cleanup(func() {
		if err := server.stop(syscall.SIGTERM, t.TempDir()); err != nil {
			t.Error(err)
		}
	})
	_, err = server.says("ready in ")
	z.must(err)
	link, err := server.says("  sign in   ")
	z.must(err)
	in, err := attorn.SignIn(z.ctx, attorn.SignInConfig{Server: z.url, Secret: strings.Fields(link)[0], Name: "Admin", Signer: z.signer})
	z.must(err)
	z.client, err = attorn.NewClient(attorn.ClientConfig{Server: z.url, User: in.User, Signer: z.signer})
	z.must(err)
	z.prepare()
	return z
}

func (z *authzenRig) must(err error) {
	z.t.Helper()
	if err != nil {
		z.t.Fatal(err)
	}
}

func (z *authzenRig) cases(suite string) []authzenCase {
	z.t.Helper()
	raw, err := os.ReadFile("../../vectors/authzen/" + suite + ".json")
	z.must(err)
	var file struct {
		Kind, Spec string
		Cases      []authzenCase
	}
	z.must(json.Unmarshal(raw, &file, json.MatchCaseInsensitiveNames(true), json.RejectUnknownMembers(true)))
	if len(file.Cases) == 0 {
		z.t.Fatal("no cases")
	}
	return file.Cases
}

// answer sends a request as it stands and brings the answer into the cases' form.
func (z *authzenRig) answer(endpoint string, body []byte) ([]byte, error) {
	token, err := z.client.Token(z.ctx, "")
	if err != nil {
		return nil, err
	}
	target := z.url + "/access/v1/" + endpoint
	proof, err := dpop.Sign(z.signer, dpop.Claims{Method: "POST", URL: target, JTI: rand.Text(), AccessToken: token.AccessToken, IssuedAt: time.Now()})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(z.ctx, "POST", target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"DPoP " + token.AccessToken}, "Dpop": {proof}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		return nil, fmt.Errorf("%d %s %w", res.StatusCode, raw, err)
	}
	var got struct {
		Decision    bool
		Evaluations []struct{ Decision bool }
		Results     []struct{ ID, Name string }
	}
	if err := json.Unmarshal(raw, &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, err
	}
	switch {
	case endpoint == "evaluation":
		return json.Marshal(got.Decision)
	case endpoint == "evaluations":
		all := []bool{}
		for _, e := range got.Evaluations {
			all = append(all, e.Decision)
		}
		return json.Marshal(all)
	}
	names := []string{}
	for _, r := range got.Results {
		names = append(names, r.ID+r.Name)
	}
	slices.Sort(names)
	return json.Marshal(names)
}

// prepare makes the scenarios' people, types, objects and policies.
func (z *authzenRig) prepare() {
	z.t.Helper()
	for _, name := range []string{"user", "identity", "todo", "route", "record"} {
		text, err := os.ReadFile("testdata/authzen/types/" + name + ".yaml")
		z.must(err)
		_, err = z.client.SetResourceType(z.ctx, name, string(text))
		z.must(err)
	}
	text, err := os.ReadFile("testdata/authzen/policies/scenarios.cedar")
	z.must(err)
	_, err = z.client.Publish(z.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/scenarios.cedar", Text: string(text)}}})
	z.must(err)
	var data struct {
		People  []struct{ Name, ID, Email, Role, Department string }
		Records []struct{ ID, Department, Owner string }
	}
	raw, err := os.ReadFile("testdata/authzen/data.json")
	z.must(err)
	z.must(json.Unmarshal(raw, &data, json.MatchCaseInsensitiveNames(true), json.RejectUnknownMembers(true)))
	users := map[string]string{}
	for _, p := range data.People {
		u, err := z.client.Invite(z.ctx, api.NewUser{Name: p.Name})
		z.must(err)
		users[p.ID] = u.ID.String()
		z.keep("user", p.ID, "is", u.ID.String(), "role", p.Role, "email", p.Email, "department", p.Department)
		if p.Email != "" {
			z.keep("identity", p.ID, "is", u.ID.String(), "role", p.Role)
			z.keep("user", p.Email) // as what is read, a user is called by the address
		}
	}
	for _, r := range data.Records {
		z.keep("record", r.ID, "department", r.Department, "owner", users[r.Owner])
	}
}

// keep keeps an object with those attributes that have a value.
func (z *authzenRig) keep(of, object string, attributes ...string) {
	z.t.Helper()
	r := api.Resource{Type: of, ID: object, Attributes: map[string]jsontext.Value{}}
	for i := 0; i < len(attributes); i += 2 {
		if attributes[i+1] != "" {
			v, err := jsontext.AppendQuote(nil, attributes[i+1])
			z.must(err)
			r.Attributes[attributes[i]] = v
		}
	}
	_, err := z.client.SetResource(z.ctx, r)
	z.must(err)
}
