package agents

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// KeySource says where an issuer's keys come from.
type KeySource string

// The sources.
const (
	Discovery KeySource = "discovery" // the issuer's own metadata (OpenID Connect Discovery 1.0 §4)
	JWKS      KeySource = "jwks"      // the rule's key set (RFC 7517 §5), for issuers that cannot be reached
	SPIFFE    KeySource = "spiffe"    // the rule's trust bundle; the issuer is the trust domain, spiffe://…
)

// TrustRule says which workloads of another issuer become instances of an agent (oauth.md §3).
type TrustRule struct {
	ID               id.TrustRule      `json:"id"`
	Workspace        id.Workspace      `json:"workspace"`
	Agent            id.Agent          `json:"agent"`
	Issuer           string            `json:"issuer"` // as in iss, byte for byte; for SPIFFE the trust domain's id
	Keys             KeySource         `json:"keys"`
	KeySet           jsontext.Value    `json:"key_set,omitzero"` // public keys, RFC 8785; absent for Discovery
	AllowPrivate     bool              `json:"allow_private,omitzero"`
	Match            map[string]string `json:"match"`              // Claim to pattern; sub is always there
	InstanceTTL      int64             `json:"instance_ttl"`       // seconds that an instance is good for, without a fresh assertion
	MaxInstances     int               `json:"max_instances"`      // live ones by this rule
	KeysPerAssertion int               `json:"keys_per_assertion"` // that one assertion can make instances
	CreatedAt        time.Time         `json:"-"`
}

// The limits of a rule, and what a zero means.
const (
	MaxKeySet = 64 << 10 // bytes

	defaultInstanceTTL  = 3600
	minInstanceTTL      = 60
	maxInstanceTTL      = 7 * 24 * 3600
	defaultInstances    = 10
	maxKeysPerAssertion = 10
	maxMatch            = 20
	maxClaimText        = 512
	maxIssuer           = 1024
	maxRules            = 500 // of a workspace
)

// ours are claims that are always checked, so no rule names them.
var ours = []string{"iss", "aud", "exp", "nbf", "iat", "jti"}

func ruleInvalid(reason string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "rule_invalid", reason, args...)
}

// Check completes the rule and says what is wrong with it. Code: rule_invalid.
func (r *TrustRule) Check() error {
	if r.InstanceTTL == 0 {
		r.InstanceTTL = defaultInstanceTTL
	}
	if r.MaxInstances == 0 {
		r.MaxInstances = defaultInstances
	}
	if r.KeysPerAssertion == 0 {
		r.KeysPerAssertion = 1
	}
	switch {
	case r.InstanceTTL < minInstanceTTL || r.InstanceTTL > maxInstanceTTL:
		return ruleInvalid("an instance is good for %d to %d seconds", minInstanceTTL, maxInstanceTTL)
	case r.MaxInstances < 1 || r.MaxInstances > MaxInstances:
		return ruleInvalid("a rule lets 1 to %d instances live", MaxInstances)
	case r.KeysPerAssertion < 1 || r.KeysPerAssertion > maxKeysPerAssertion:
		return ruleInvalid("an assertion is good for 1 to %d keys", maxKeysPerAssertion)
	}
	if err := r.checkIssuer(); err != nil {
		return err
	}
	if err := r.checkKeySet(); err != nil {
		return err
	}
	if err := r.checkMatch(); err != nil {
		return err
	}
	if r.gitHub() {
		return r.checkGitHub()
	}
	return nil
}

func (r *TrustRule) checkIssuer() error {
	u, err := url.Parse(r.Issuer)
	plain := err == nil && len(r.Issuer) <= maxIssuer && u.Host != "" && u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" &&
		!strings.ContainsAny(r.Issuer, "# \\\"") && printable(r.Issuer)
	switch {
	case r.Keys == SPIFFE && (!plain || u.Scheme != "spiffe" || u.Path != "" || u.Port() != "" || u.Host != strings.ToLower(u.Host)):
		return ruleInvalid("the issuer of SPIFFE assertions is a trust domain, such as spiffe://example.org")
	case r.Keys == SPIFFE:
		return nil
	case r.Keys != Discovery && r.Keys != JWKS:
		return ruleInvalid("keys is discovery, jwks or spiffe")
	case !plain || u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())):
		return ruleInvalid("an issuer is a URL, https://…, as its tokens have it in iss")
	}
	return nil
}

func onThisMachine(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// checkKeySet reads the key set as far as that it is one; package guard reads its keys.
func (r *TrustRule) checkKeySet() error {
	if r.Keys == Discovery {
		if len(r.KeySet) > 0 {
			return ruleInvalid("an issuer whose keys are discovered has no key set here")
		}
		return nil
	}
	if r.AllowPrivate {
		return ruleInvalid("nothing is fetched for a rule with its own keys, so there is no private address to allow")
	}
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if len(r.KeySet) > MaxKeySet || jose.DecodeForeign(r.KeySet, &set, jose.Limits{Bytes: MaxKeySet}) != nil || len(set.Keys) == 0 {
		return ruleInvalid("the key set is no JSON object with public keys under keys, of at most %d bytes", MaxKeySet)
	}
	canonical, err := jose.CanonicalRaw(r.KeySet, jose.Limits{Bytes: MaxKeySet})
	if err != nil {
		return ruleInvalid("the key set is not JSON in a form that can be signed for: %v", err)
	}
	r.KeySet = canonical
	return nil
}

func (r *TrustRule) checkMatch() error {
	if len(r.Match) == 0 || len(r.Match) > maxMatch {
		return ruleInvalid("a rule matches 1 to %d claims", maxMatch)
	}
	for claim, pattern := range r.Match {
		if len(claim) == 0 || len(claim) > maxClaimText || !printable(claim) {
			return ruleInvalid("the name of a claim is printable text of 1 to %d bytes", maxClaimText)
		}
		if path, ok := claimPath(claim); !ok || len(path) == 1 && slices.Contains(ours, path[0]) {
			return ruleInvalid("%.80q is no claim to match: iss, aud and the times are always checked; a claim inside another is named by a JSON Pointer, such as /kubernetes.io/namespace", claim)
		}
		if star := strings.IndexByte(pattern, '*'); len(pattern) == 0 || len(pattern) > maxClaimText || !printable(pattern) || star >= 0 && star != len(pattern)-1 {
			return ruleInvalid("the pattern of %.80q is printable text of 1 to %d bytes, with a * at its end at most", claim, maxClaimText)
		}
	}
	sub, ok := r.Match["sub"]
	if !ok || sub == "*" {
		return ruleInvalid("a rule says whom it trusts: it matches sub, and not anything").Try("match sub, exactly or by how it begins")
	}
	if r.Keys == SPIFFE && !strings.HasPrefix(sub, r.Issuer+"/") {
		return ruleInvalid("sub is a SPIFFE id of the rule's trust domain: %s/…", r.Issuer)
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// gitHub reports whether the issuer is GitHub Actions: of github.com, of an enterprise there, or of an Enterprise Server.
func (r *TrustRule) gitHub() bool {
	u, err := url.Parse(r.Issuer)
	return err == nil && (strings.EqualFold(u.Hostname(), "token.actions.githubusercontent.com") || strings.HasPrefix(u.Hostname(), "token.actions.") && strings.HasSuffix(u.Hostname(), ".ghe.com") ||
		strings.HasSuffix(u.Path, "/_services/token"))
}

// checkGitHub refuses a rule that would trust whoever registers a name next: an account's or repository's name is free again once it was renamed or
// deleted, its number never is. And it says what in the repository may run it: anybody who may push can run a workflow.
func (r *TrustRule) checkGitHub() error {
	number := func(claim string) bool {
		p := r.Match[claim]
		return p != "" && strings.Trim(p, "0123456789") == ""
	}
	if !number("repository_id") && !number("repository_owner_id") {
		return ruleInvalid("GitHub's names get registered again by others: a rule for GitHub matches repository_id or repository_owner_id, exactly").
			Try("look the number up: gh api repos/OWNER/REPO --jq .id")
	}
	for _, claim := range []string{"ref", "environment", "job_workflow_ref", "workflow_ref"} {
		if p := r.Match[claim]; p != "" && p != "*" {
			return nil
		}
	}
	return ruleInvalid("whoever may push to a repository can run a workflow in it: a rule for GitHub also matches ref, environment, workflow_ref or job_workflow_ref").
		Try("match ref, such as refs/heads/main, or an environment with protection rules")
}

// Mismatch is the first claim, by name, that does not match; "" where all do.
func (r *TrustRule) Mismatch(claims map[string]jsontext.Value) string {
	names := make([]string, 0, len(r.Match))
	for name := range r.Match {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text, ok := claimText(claims, name)
		if !ok || !matches(r.Match[name], text) {
			return name
		}
	}
	return ""
}

// matches is equality, or, with one * at the pattern's end, that of the beginning.
func matches(pattern, text string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(text, prefix)
	}
	return pattern == text
}

// Bytes is the rule as it is stored, and kept as evidence: RFC 8785.
func (r *TrustRule) Bytes() ([]byte, error) { return jose.Canonical(r) }

// Digest names the rule in events.
func (r *TrustRule) Digest() (id.Digest, error) {
	raw, err := r.Bytes()
	return id.Sum(raw), err
}

// AddTrustRule stores a checked rule of an agent that has not ended; whether it may act is asked of each assertion. Codes: rule_invalid, too_many_rules, not_found,
// wrong_state.
func (room *Room) AddTrustRule(tx *audit.Tx, r TrustRule) error {
	if _, err := liveForChange(tx, r.Workspace, r.Agent); err != nil {
		return err
	}
	raw, err := r.Bytes()
	if err != nil {
		return err
	}
	if ok, err := insertRule(tx, r, raw); err != nil || ok {
		return err
	}
	return fault.New(fault.Conflict, "too_many_rules", "the workspace has %d trust rules, which is the limit", maxRules).Try("remove rules that nothing uses: attorn agent trust ls")
}

// RemoveTrustRule removes a rule. Instances that it let in stay until they expire; none is renewed by it. Code: not_found.
func (room *Room) RemoveTrustRule(tx *audit.Tx, ws id.Workspace, rule id.TrustRule) error {
	ok, err := deleteRule(tx, ws, rule)
	if err == nil && !ok {
		err = notFound("trust rule")
	}
	return err
}

// TrustRule reads a rule of the workspace. Code: not_found.
func (room *Room) TrustRule(ctx context.Context, ws id.Workspace, rule id.TrustRule) (TrustRule, error) {
	return room.rule(ctx, ws, rule)
}

// TrustRules reads the workspace's rules in the order of their ids, those of one agent unless it is zero: paging as List.
func (room *Room) TrustRules(ctx context.Context, ws id.Workspace, agent id.Agent, after id.TrustRule, limit int) ([]TrustRule, error) {
	return room.listRules(ctx, ws, agent, after, page(limit))
}

// TrustRulesOf reads the workspace's rules for an issuer, the oldest first.
func (room *Room) TrustRulesOf(ctx context.Context, ws id.Workspace, issuer string) ([]TrustRule, error) {
	return room.rulesOf(ctx, ws, issuer)
}
