package api

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/id"
)

// NewTrustRule lets workloads of another platform become instances of an agent. Zero numbers are the defaults.
type NewTrustRule struct {
	Agent            id.Agent          `json:"agent"`
	Issuer           string            `json:"issuer"`
	Keys             string            `json:"keys"` // discovery, jwks or spiffe
	KeySet           jsontext.Value    `json:"key_set,omitzero"`
	AllowPrivate     bool              `json:"allow_private,omitzero"`
	Match            map[string]string `json:"match"`
	InstanceTTL      int64             `json:"instance_ttl,omitzero"` // seconds
	MaxInstances     int               `json:"max_instances,omitzero"`
	KeysPerAssertion int               `json:"keys_per_assertion,omitzero"`
}

// TrustRule is a rule that is in force. Digest names it in events.
type TrustRule struct {
	ID               id.TrustRule      `json:"id"`
	Digest           id.Digest         `json:"digest"`
	Agent            id.Agent          `json:"agent"`
	Issuer           string            `json:"issuer"`
	Keys             string            `json:"keys"`
	KeySet           jsontext.Value    `json:"key_set,omitzero"`
	AllowPrivate     bool              `json:"allow_private,omitzero"`
	Match            map[string]string `json:"match"`
	InstanceTTL      int64             `json:"instance_ttl"`
	MaxInstances     int               `json:"max_instances"`
	KeysPerAssertion int               `json:"keys_per_assertion"`
	Created          string            `json:"created"`
}

// TestTrust asks how an assertion would fare.
type TestTrust struct {
	Assertion string `json:"assertion"`
}

// TrustTested says which rules an assertion matches. Problem is why it fares with none.
type TrustTested struct {
	Problem string       `json:"problem,omitempty"`
	Rules   []TrustTried `json:"rules"`
}

// TrustTried is how an assertion fares with one rule: a problem with its keys, or the claim that does not match; neither where it is trusted.
type TrustTried struct {
	Rule    id.TrustRule `json:"rule"`
	Agent   id.Agent     `json:"agent"`
	Trusted bool         `json:"trusted"`
	Problem string       `json:"problem,omitempty"`
	Claim   string       `json:"claim,omitempty"`
	Pattern string       `json:"pattern,omitempty"` // that the claim does not match
}

// The issuer of GitHub Actions on github.com.
const GitHubIssuer = "https://token.actions.githubusercontent.com"

// KubernetesTrust is the rule for the pods of one service account: those that the issuer's API server issues projected tokens to. Keys is discovery, where
// this server reaches the issuer; else give its key set.
func KubernetesTrust(agent id.Agent, issuer, namespace, account string) NewTrustRule {
	return NewTrustRule{Agent: agent, Issuer: issuer, Keys: "discovery", Match: map[string]string{
		"sub":                                "system:serviceaccount:" + namespace + ":" + account,
		"/kubernetes.io/namespace":           namespace,
		"/kubernetes.io/serviceaccount/name": account,
	}}
}

// GitHubTrust is the rule for the workflows of one repository, by its number, which unlike its name is never given to another one. Exactly one of ref, such as
// refs/heads/main, and environment is given. GitHub writes sub in more than one way, and a repository may choose another one: the number decides.
func GitHubTrust(agent id.Agent, repository, ref, environment string) NewTrustRule {
	r := NewTrustRule{Agent: agent, Issuer: GitHubIssuer, Keys: "discovery", Match: map[string]string{"sub": "repo:*", "repository_id": repository}}
	if ref != "" {
		r.Match["ref"] = ref
	}
	if environment != "" {
		r.Match["environment"] = environment
	}
	return r
}

// SPIFFETrust is the rule for the workloads of a SPIFFE id, or, with a * at its end, of all ids that begin so, in a trust domain, by its trust bundle.
func SPIFFETrust(agent id.Agent, domain, spiffeID string, bundle []byte) NewTrustRule {
	return NewTrustRule{Agent: agent, Issuer: "spiffe://" + domain, Keys: "spiffe", KeySet: bundle, Match: map[string]string{"sub": spiffeID}}
}
