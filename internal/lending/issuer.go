package lending

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// Issuer is a rule that takes another server's word for some of its agents: whichever of them shows it acts here as Agent, under Delegation at most, or what
// stands in its place (Room.Successor). It is never changed, only removed.
type Issuer struct {
	ID           id.Issuer      `json:"id"`
	Workspace    id.Workspace   `json:"workspace"`
	URL          string         `json:"issuer"` // the other server, as in its tokens' iss, byte for byte
	Prefix       string         `json:"prefix"` // how permissions for this server begin there: the prefix of the service that it is registered as
	Agents       []id.Agent     `json:"agents"` // of the other server
	Agent        id.Agent       `json:"agent"`
	Delegation   id.Delegation  `json:"delegation"`
	KeySet       jsontext.Value `json:"key_set,omitzero"` // its public keys, RFC 8785; absent where it publishes them
	AllowPrivate bool           `json:"allow_private,omitzero"`
	ExpiresAt    int64          `json:"expires_at"` // seconds
	MadeBy       string         `json:"made_by"`
	CreatedAt    time.Time      `json:"-"`
}

// The limits of a rule.
const (
	MaxIssuerKeys = 64 << 10 // bytes
	MaxIssuerLife = 366 * 24 * time.Hour

	maxIssuerURL    = 255
	maxIssuerAgents = 50
	maxIssuers      = 200 // of a workspace
)

func issuerInvalid(reason string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "issuer_invalid", reason, args...)
}

// Check holds the rule to what can be said of it alone, and puts it into its one form. Code: issuer_invalid.
func (r *Issuer) Check() error {
	u, err := url.Parse(r.URL)
	p, perr := delegation.ParsePermission(r.Prefix + ":*")
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || len(r.URL) > maxIssuerURL || u.String() != r.URL ||
		strings.HasSuffix(r.URL, "/") || !utf8.ValidString(r.URL) || strings.ContainsFunc(r.URL, func(c rune) bool { return !unicode.IsPrint(c) }):
		return issuerInvalid("the other server is its URL, without user name, query, fragment and final slash")
	case u.Scheme != "https" && (u.Scheme != "http" || !slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())):
		return issuerInvalid("another server's URL begins with https://")
	case perr != nil || strings.Contains(r.Prefix, "*") || strings.HasPrefix(p.String(), "attorn:") || strings.HasPrefix(p.String(), "tool:"):
		return issuerInvalid("prefix is how the other server's permissions for this one begin: that of the service as which it registered this server, such as acme")
	case len(r.Agents) == 0 || len(r.Agents) > maxIssuerAgents || slices.ContainsFunc(r.Agents, id.Agent.IsZero):
		return issuerInvalid("a rule names 1 to %d agents of the other server by their ids", maxIssuerAgents)
	case r.Agent.IsZero() || r.Delegation.IsZero():
		return issuerInvalid("a rule says as which agent of this workspace they act, and under which delegation to it")
	}
	slices.SortFunc(r.Agents, func(a, b id.Agent) int { return strings.Compare(a.String(), b.String()) })
	r.Agents = slices.Compact(r.Agents)
	if len(r.KeySet) == 0 {
		return nil
	}
	if r.AllowPrivate {
		return issuerInvalid("nothing is fetched for a rule with its own keys, so there is no private address to allow")
	}
	canonical, err := jose.CanonicalRaw(r.KeySet, jose.Limits{Bytes: MaxIssuerKeys})
	if err != nil {
		return issuerInvalid("the key set is no JSON of at most %d bytes: %v", MaxIssuerKeys, err)
	}
	r.KeySet = canonical
	return nil
}

// Live is nil while the rule is in force. Code: rule_expired.
func (r Issuer) Live(now time.Time) error {
	if now.Unix() < r.ExpiresAt {
		return nil
	}
	return fault.New(fault.Unauthenticated, "rule_expired", "the rule that trusts the other server expired at %s", time.Unix(r.ExpiresAt, 0).UTC().Format(time.RFC3339))
}

// Here is what another server's permissions for this one are called here: those that begin with the rule's prefix, without it.
func (r Issuer) Here(there []delegation.Permission) []delegation.Permission {
	var here []delegation.Permission
	for _, p := range there {
		if rest, ok := strings.CutPrefix(p.Permission, r.Prefix+":"); ok {
			here = append(here, delegation.Permission{Permission: rest, Where: p.Where})
		}
	}
	return here
}

// Bytes is the rule as it is stored, and kept as evidence: RFC 8785.
func (r Issuer) Bytes() ([]byte, error) { return jose.Canonical(r) }

// Digest names the rule in events.
func (r Issuer) Digest() (id.Digest, error) {
	raw, err := r.Bytes()
	return id.Sum(raw), err
}

// TrustIssuer stores a checked rule. One agent of another server acts as one agent here by one rule alone, so that the end of a rule is the end of all that came
// by it. Codes: issuer_trusted, too_many_rules.
func (*Room) TrustIssuer(tx *audit.Tx, r Issuer) error {
	rows, err := tx.Rows(issuersOf, r.Workspace, r.URL)
	others, err := collect(rows, err, scanIssuer)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.Agent == r.Agent && slices.ContainsFunc(o.Agents, func(a id.Agent) bool { return slices.Contains(r.Agents, a) }) {
			return fault.New(fault.Conflict, "issuer_trusted", "the rule %s lets one of these agents act as this agent already", o.ID).Try("remove it first: attorn issuer rm %s", o.ID)
		}
	}
	raw, err := r.Bytes()
	if err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO trusted_issuer (id, workspace, issuer, agent, delegation, rule, created_at) SELECT $1, $2, $3, $4, $5, $6, $7
		WHERE (SELECT count(*) FROM trusted_issuer WHERE workspace = $2) < $8`,
		r.ID, r.Workspace, r.URL, r.Agent, r.Delegation, string(raw), tx.Now().UnixMicro(), maxIssuers)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "too_many_rules", "the workspace has %d rules for other servers, which is the limit", maxIssuers).Try("remove rules that nothing uses: attorn issuer ls")
	}
	return err
}
