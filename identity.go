package attorn

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// PublicIdentity is what a server says to everybody about an agent, with all its keys, and the signed pages that say so: whoever keeps these, and the
// server's key, can verify them for years with token.VerifyIdentity.
type PublicIdentity struct {
	token.Identity
	Signed []string
}

// maxPages bounds how many pages of keys are read.
const maxPages = 1000

// ReadIdentity asks a server, without signing in, who an agent is, and verifies the answer with the keys that the server publishes. hc nil is a new
// client. Codes: unknown for no such agent, and those of token.VerifyIdentity.
func ReadIdentity(ctx context.Context, server string, agent id.Agent, hc *http.Client) (PublicIdentity, error) {
	if hc == nil {
		hc = &http.Client{}
	}
	server = strings.TrimSuffix(server, "/")
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := fetchDocument(ctx, hc, server+"/oauth/jwks", &set); err != nil {
		return PublicIdentity{}, err
	}
	known := map[id.Key]jose.PublicKey{}
	for _, raw := range set.Keys {
		if k, err := jose.ParseJWK(raw); err == nil { // one of a kind that we do not know signs nothing for us
			known[k.Thumbprint()] = k
		}
	}
	var all PublicIdentity
	after := url.Values{}
	for range maxPages {
		raw, err := fetchBytes(ctx, hc, server+"/oauth/agents/"+agent.String()+"/identity.jws?"+after.Encode())
		if err != nil {
			return PublicIdentity{}, err
		}
		page, err := token.VerifyIdentity(string(raw), server, func(kid id.Key) (jose.PublicKey, bool) { k, ok := known[kid]; return k, ok })
		if err == nil && page.ID != agent {
			err = fault.New(fault.Invalid, "identity_malformed", "the server answers for agent %s, not for %s", page.ID, agent)
		}
		if err == nil && page.After != all.Next {
			err = fault.New(fault.Invalid, "identity_malformed", "the server answers with another page of the agent's keys than the one that was asked for")
		}
		if err != nil {
			return PublicIdentity{}, err
		}
		keys := append(all.Keys, page.Keys...)
		all.Identity, all.Signed = page, append(all.Signed, string(raw))
		if all.Keys = keys; page.Next.IsZero() {
			return all, nil
		}
		after.Set("after", page.Next.String())
	}
	return all, fault.New(fault.TooLarge, "too_large", "the agent has more than %d keys", maxPages*token.MaxIdentityKeys)
}

// fetchBytes reads a public document.
func fetchBytes(ctx context.Context, hc *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "malformed", "the request cannot be made: %v", err)
	}
	res, err := hc.Do(r)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer res.Body.Close()
	answer, err := readAll(res.Body, maxDocument)
	if err == nil && res.StatusCode != http.StatusOK {
		err = oauthProblem(res.StatusCode, answer)
	}
	return answer, err
}
