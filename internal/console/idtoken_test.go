package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// Whatever is wrong with an answer, nobody is signed in by it, the page says which part, and the log has it.
func TestUpstreamMisbehaves(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 600<<10)
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, text)
		}
	}
	type c = map[string]any
	for name, m := range map[string]struct {
		issuer func(i *issuer)
		claims func(c)
		fields func(t *trip, code string) []string
		says   string
		code   string
	}{
		"wrong nonce":          {claims: func(c c) { c["nonce"] = "another" }, says: "(nonce)"},
		"no nonce":             {claims: func(c c) { delete(c, "nonce") }, says: "(nonce)"},
		"wrong audience":       {claims: func(c c) { c["aud"] = "billing" }, says: "(aud)"},
		"no audience":          {claims: func(c c) { delete(c, "aud") }, says: "(aud)"},
		"two audiences":        {claims: func(c c) { c["aud"] = []string{"attorn", "billing"} }, says: "(azp)"},
		"another's":            {claims: func(c c) { c["azp"] = "billing" }, says: "(azp)"},
		"azp is no text":       {claims: func(c c) { c["azp"] = 1 }, says: "(azp)"},
		"wrong issuer":         {claims: func(c c) { c["iss"] = "https://evil.example" }, says: "(iss)"},
		"issuer in capitals":   {claims: func(c c) { c["ISS"], c["iss"] = c["iss"], "https://evil.example" }, says: "(iss)"},
		"expired":              {claims: func(c c) { c["exp"] = c["iat"].(int64) - 31 }, says: "(exp)"},
		"never expires":        {claims: func(c c) { delete(c, "exp") }, says: "(exp)"},
		"expires sometime":     {claims: func(c c) { c["exp"] = "soon" }, says: "malformed"},
		"not yet":              {claims: func(c c) { c["nbf"] = c["iat"].(int64) + 60 }, says: "(nbf)"},
		"nobody":               {claims: func(c c) { delete(c, "sub") }, says: "(sub)"},
		"a number":             {claims: func(c c) { c["sub"] = 7 }, says: "malformed"},
		"a long subject":       {claims: func(c c) { c["sub"] = strings.Repeat("s", 256) }, says: "255", code: "identity_invalid"},
		"a subject of lines":   {claims: func(c c) { c["sub"] = "a\nb" }, says: "255", code: "identity_invalid"},
		"in the future":        {claims: func(c c) { c["auth_time"] = c["iat"].(int64) + 60 }, says: "(auth_time)"},
		"wrong at_hash":        {claims: func(c c) { c["at_hash"] = base64([]byte("0123456789abcdef")) }, says: "(at_hash)"},
		"alg none":             {issuer: func(i *issuer) { i.sign = none }, says: "signature"},
		"the client's secret":  {issuer: func(i *issuer) { i.sign = hs256("a-shared-secret") }, says: "signature"},
		"the public key, HMAC": {issuer: func(i *issuer) { i.sign = hs256(fmt.Sprint(i.jwk(i.key)["x"])) }, says: "signature"},
		"a key not in the set": {issuer: func(i *issuer) { i.sign = func(c map[string]any) string { return i.signedBy(stranger, c) } }, says: "signature"},
		"changed afterwards": {issuer: func(i *issuer) {
			i.sign = func(c map[string]any) string {
				head, rest, _ := strings.Cut(i.es256(c), ".")
				body, sig, _ := strings.Cut(rest, ".")
				c["sub"] = "somebody-else"
				_, rest, _ = strings.Cut(none(c), ".")
				changed, _, _ := strings.Cut(rest, ".")
				if changed == body {
					panic("nothing was changed")
				}
				return head + "." + changed + "." + sig
			}
		}, says: "signature"},
		"two of a name": {issuer: func(i *issuer) {
			i.sign = i.twice
		}, says: "malformed"},
		"no ID token":       {issuer: func(i *issuer) { i.reply = func(_ string, out map[string]any) { delete(out, "id_token") } }, says: "no ID token"},
		"not a token":       {issuer: func(i *issuer) { i.reply = func(_ string, out map[string]any) { out["id_token"] = "x.y" } }, says: "signature"},
		"a large ID token":  {claims: func(c c) { c["more"] = large[:40<<10] }, says: "too large"},
		"a large answer":    {issuer: func(i *issuer) { i.serve["/token"] = say(`{"access_token":"` + large + `"}`) }, code: "provider_down"},
		"no answer in JSON": {issuer: func(i *issuer) { i.serve["/token"] = say(`<html>`) }, code: "provider_down"},
		"a redirect": {issuer: func(i *issuer) {
			i.serve["/token"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, i.url+"/elsewhere", http.StatusTemporaryRedirect)
			}
			i.serve["/elsewhere"] = func(http.ResponseWriter, *http.Request) { t.Error("the code went to another address") }
		}, code: "provider_down"},
		"a fault of its own": {issuer: func(i *issuer) {
			i.serve["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		}, code: "provider_down"},
		"no keys": {issuer: func(i *issuer) {
			i.serve["/jwks"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		}, code: "provider_down"},
		"large UserInfo":     {issuer: func(i *issuer) { i.userOf = map[string]any{"sub": "noor-1", "groups": large} }, code: "provider_down"},
		"UserInfo of others": {issuer: func(i *issuer) { i.userOf = map[string]any{"sub": "maya", "groups": "42"} }, says: "somebody else"},
		"UserInfo of nobody": {issuer: func(i *issuer) { i.userOf = map[string]any{"SUB": "noor-1", "groups": "42"} }, says: "somebody else"},

		"code and error": {fields: func(t *trip, code string) []string {
			return []string{"code", code, "error", "access_denied", "iss", t.issuer.url}
		}, says: "malformed"},
		"two codes":     {fields: func(t *trip, code string) []string { return []string{"code", code, "code", "x", "iss", t.issuer.url} }, says: "malformed"},
		"neither":       {fields: func(t *trip, _ string) []string { return []string{"iss", t.issuer.url} }, says: "malformed"},
		"an empty code": {fields: func(t *trip, _ string) []string { return []string{"code", "", "iss", t.issuer.url} }, says: "malformed"},
		"another code":  {fields: func(t *trip, _ string) []string { return []string{"code", "guessed", "iss", t.issuer.url} }, says: "invalid_grant"},
		"no iss":        {fields: func(_ *trip, code string) []string { return []string{"code", code} }, says: "(iss)"},
		"another iss":   {fields: func(_ *trip, code string) []string { return []string{"code", code, "iss", "https://evil.example"} }, says: "(iss)"},
		"two iss": {fields: func(t *trip, code string) []string {
			return []string{"code", code, "iss", t.issuer.url, "iss", t.issuer.url}
		}, says: "malformed"},
		"an error without iss":  {fields: func(*trip, string) []string { return []string{"error", "access_denied"} }, says: "(iss)"},
		"an error of another's": {fields: func(*trip, string) []string { return []string{"error", "access_denied", "iss", "https://evil.example"} }, says: "(iss)"},
		"iss with a final slash": {fields: func(t *trip, code string) []string {
			return []string{"code", code, "iss", t.issuer.url + "/"}
		}, says: "(iss)"},
		"denied": {fields: func(t *trip, _ string) []string { return []string{"error", "access_denied", "iss", t.issuer.url} }, says: "access_denied"},
		"a hostile error": {fields: func(t *trip, _ string) []string {
			return []string{"error", "<script>alert(1)</script>", "error_description", "call 0900", "iss", t.issuer.url}
		}, says: "none of OAuth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			if m.issuer != nil {
				m.issuer(i)
			}
			r := newRig(t, i.upstream("acme"))
			b := newBrowser(t, r.url)
			trip := r.depart(b, i, "acme")
			claims := trip.claims("noor-1")
			if m.claims != nil {
				m.claims(claims)
			}
			fields := []string{"code", trip.code(claims), "iss", i.url}
			if m.fields != nil {
				fields = m.fields(trip, fields[1])
			}
			got := trip.back(append(fields, "state", trip.asked.Get("state"))...)
			want := m.code
			if want == "" {
				want = "provider_answer"
			}
			if got.code() != want || !strings.Contains(got.body, m.says) || b.cookie() != "" {
				t.Errorf("%d %s, want %s that says %s: %s", got.status, got.code(), want, m.says, said(got.body))
			}
			lacks(t, got.body, "<script>alert", "0900", "<b>no</b>", "a-shared-secret", accessToken)
			failed, down := r.events(id.Server, evidence.UserSignInFailed), want == "provider_down"
			if down != (len(failed) == 0) || !down && (failed[0].Why == nil || failed[0].Why.Code != want || failed[0].Outcome != evidence.Deny) {
				t.Errorf("the log has %+v", failed)
			}
			if len(r.events(id.Default, evidence.UserAdded)) != 0 {
				t.Error("somebody was added")
			}
			// Nothing of it can be used again.
			if again := trip.whole(trip.claims("noor-1")); again.code() != "wrong_browser" && again.code() != "ticket_spent" {
				t.Errorf("the state again: %d %s", again.status, again.code())
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// said is what a page says to its reader.
func said(body string) string {
	_, body, _ = strings.Cut(body, "<h1>")
	return regexp.MustCompile(`\s*<[^>]*>\s*`).ReplaceAllString(body, " ")
}

// twice is a well-signed ID token with a name that appears twice.
func (i *issuer) twice(claims map[string]any) string {
	body := fmt.Sprintf(`{"iss":%q,"aud":"attorn","sub":"noor-1","sub":"maya","nonce":%q,"iat":%d,"exp":%d}`, i.url, claims["nonce"], claims["iat"], claims["exp"])
	input := base64([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + base64([]byte(body))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		panic(err)
	}
	return input + "." + base64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}
