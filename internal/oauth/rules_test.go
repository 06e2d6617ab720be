package oauth_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/dpop"
)

// testdata/rules.json names, for each rule of the chapter on proofs and strict input, what shows it: a case of the vectors (vectors/kind#id), a test
// (package:Test) or one of its cases (package:Test/case). What it names must be there.
func TestEachRuleIsShown(t *testing.T) {
	raw, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var rules []struct {
		Rule string   `json:"rule"`
		By   []string `json:"by"`
	}
	if err := json.Unmarshal(raw, &rules, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	cases, sources := map[string]map[string]bool{}, map[string]string{}
	for _, r := range rules {
		if len(r.By) == 0 {
			t.Errorf("nothing shows %s", r.Rule)
		}
		for _, by := range r.By {
			if kind, id, ok := strings.Cut(strings.TrimPrefix(by, "vectors/"), "#"); ok {
				if cases[kind] == nil {
					cases[kind] = idsOf(t, kind)
				}
				if !cases[kind][id] {
					t.Errorf("%s: there is no case %s", r.Rule, by)
				}
				continue
			}
			pkg, test, _ := strings.Cut(by, ":")
			if sources[pkg] == "" {
				sources[pkg] = testsOf(t, pkg)
			}
			name, sub, _ := strings.Cut(test, "/")
			_, body, ok := strings.Cut(sources[pkg], "\nfunc "+name+"(")
			body, _, _ = strings.Cut(body, "\n}\n")
			if !ok || sub != "" && !strings.Contains(body, `"`+sub+`"`) && !strings.Contains(body, `"`+sub+`:`) {
				t.Errorf("%s: there is no test %s", r.Rule, by)
			}
		}
	}
}

func idsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob("../../vectors/" + dir + "/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no vectors %s: %v", dir, err)
	}
	ids := map[string]bool{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var in struct {
			Cases []struct {
				ID string `json:"id"`
			} `json:"cases"`
		}
		if err := json.Unmarshal(raw, &in); err != nil {
			t.Fatal(err)
		}
		for _, c := range in.Cases {
			ids[c.ID] = true
		}
	}
	return ids
}

func testsOf(t *testing.T, pkg string) string {
	t.Helper()
	names, err := filepath.Glob("../../" + pkg + "/*_test.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("%s has no tests: %v", pkg, err)
	}
	var all strings.Builder
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(raw)
	}
	return all.String()
}

// Headers are bounded, and of Authorization there is one.
func TestHeadersAreBounded(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	send := func(h http.Header) answer {
		h["Dpop"] = []string{bot.proof(tokenPath, w.nonce())}
		return w.send("POST", tokenPath, bot.with("grant_type", "client_credentials").Encode(), h)
	}
	if got := send(http.Header{"X-Long": {strings.Repeat("x", 24<<10)}}); got.status != 200 {
		t.Errorf("24 KiB: %d %s", got.status, got.raw)
	}
	if got := send(http.Header{"X-Long": {strings.Repeat("x", 40<<10)}}); got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("40 KiB: %d", got.status)
	}
	for _, path := range []string{tokenPath, "/oauth/device", "/oauth/introspect", "/oauth/revoke"} {
		got := w.send("POST", path, "", http.Header{"Authorization": {"DPoP x", "DPoP x"}})
		refuses(t, got, 400, "invalid_request", "malformed")
		if !strings.Contains(got.text("error_description"), "2 Authorization headers") {
			t.Errorf("%s", got.raw)
		}
	}
}

// A proof is refused in the same words here, at an API without a token, and with the same remedy.
func TestProofsAreRefusedInTheSameWords(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	at := func(path string, edit func(*dpop.Claims)) string {
		c := dpop.Claims{Method: "POST", URL: w.URL + path, JTI: "j" + path, Nonce: w.nonce(), IssuedAt: w.now()}
		edit(&c)
		raw, err := dpop.Sign(bot.signer, c)
		w.ok(err)
		return raw
	}
	for name, proof := range map[string]func(path string) string{
		"no JWS": func(string) string { return "x" },
		"typ": func(path string) string {
			return resigned(t, bot.signer, bot.proof(path, w.nonce()), func(h map[string]any) { h["typ"] = "JWT" }, nil)
		},
		"no jwk": func(path string) string {
			return resigned(t, bot.signer, bot.proof(path, w.nonce()), func(h map[string]any) { delete(h, "jwk") }, nil)
		},
		"alg": func(path string) string {
			return resigned(t, bot.signer, bot.proof(path, w.nonce()), func(h map[string]any) { h["alg"] = "none" }, nil)
		},
		"no jti": func(path string) string {
			return resigned(t, bot.signer, bot.proof(path, w.nonce()), nil, func(m map[string]any) { delete(m, "jti") })
		},
		"forged": func(path string) string { p := bot.proof(path, w.nonce()); return p[:len(p)-8] + "AAAAAAAA" },
		"method": func(path string) string { return at(path, func(c *dpop.Claims) { c.Method = "GET" }) },
		"for a token": func(path string) string {
			return at(path, func(c *dpop.Claims) { c.AccessToken = "x" })
		},
		"old": func(path string) string {
			return at(path, func(c *dpop.Claims) { c.IssuedAt = w.now().Add(-2 * time.Minute) })
		},
		"ahead": func(path string) string {
			return at(path, func(c *dpop.Claims) { c.IssuedAt = w.now().Add(2 * time.Minute) })
		},
		"no nonce": func(path string) string { return at(path, func(c *dpop.Claims) { c.Nonce = "" }) },
	} {
		here := w.post(tokenPath, bot.with("grant_type", "client_credentials"), proof(tokenPath))
		there := bot.json("POST", "/v1/enrol", map[string]string{"token": "x"}, proof("/v1/enrol"), "")
		if here.status != 400 || there.status != 401 || here.text("error_description") == "" || strings.ReplaceAll(here.text("error_description"), "?", "") != asciiOf(strings.ReplaceAll(there.text("detail"), "§", "section ")) ||
			here.text("remedy") == "" || strings.ReplaceAll(here.text("remedy"), "?", "") != asciiOf(there.text("remedy")) {
			t.Errorf("%s:\nhere  %s\nthere %s", name, here.raw, there.raw)
		}
		w.pass(time.Minute)
	}
}

// asciiOf leaves out what error_description may not have.
func asciiOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}
