package oauth

import (
	"net/http"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// ours reports whether an assertion has the form of attorn's own: its header alone is ours, and it is by and about one of our clients. Nothing of it is
// believed; it decides only who looks at it next. No trust rule's issuer has such a name.
func ours(assertion string) bool {
	if strings.Count(assertion, ".") != 2 {
		return true // nobody's
	}
	var c struct {
		Iss string `json:"iss"`
	}
	j, err := jose.Parse(assertion, 0)
	if err != nil || jose.DecodeForeign(j.Payload, &c, jose.Limits{}) != nil {
		return false
	}
	for _, parse := range []func(string) error{
		func(s string) error { _, err := id.Parse[id.User](s); return err },
		func(s string) error { _, err := id.Parse[id.Agent](s); return err },
		func(s string) error { _, err := id.Parse[id.Service](s); return err },
	} {
		if parse(c.Iss) == nil {
			return true
		}
	}
	return false
}

// workload gives a token to a workload of another platform, whose key becomes an instance by a trust rule (RFC 7523 §2.1): the platform's assertion is
// the grant and stands for client authentication, and the DPoP proof is by the key. client_id, an agent, picks one where several agents' rules match.
func (x *exchange) workload(assertion string, ws id.Workspace, want guard.TokenRequest) (any, error) {
	p := guard.WorkloadProof{Credentials: x.credentials(), Assertion: assertion, Workspace: ws}
	if name := x.form["client_id"]; name != "" {
		var err error
		if p.Agent, err = id.Parse[id.Agent](name); err != nil {
			return nil, malformed("client_id is not an agent's id")
		}
	}
	now := x.Guard.Now()
	x.from = attempt{"workload " + network(x.r), proofKey(x.r)} // one that is wrong holds up no other of its cluster
	if wait := x.failures.wait(x.from, now); wait > 0 {
		return nil, limited{wait}
	}
	got, made, err := x.Guard.WorkloadToken(x.ctx, p, want)
	if err != nil {
		x.untrusted(p, err)
		return nil, x.uncovered(err)
	}
	out := madeAnswer{tokenAnswer: answerOf(got), Workspace: made.Agent.Workspace, Name: made.Agent.Name, Agent: made.Agent.ID, Instance: made.Instance.Key}
	out.InstanceExpiresIn = int64(made.Instance.ExpiresAt.Sub(now) / time.Second)
	return out, nil
}

// proofKey is the thumbprint of the key that a request's DPoP proof says it is by; "" where it says none.
func proofKey(r *http.Request) string {
	k := guard.ProofKey(r.Header.Get("DPoP"))
	if k.IsZero() {
		return ""
	}
	return k.String()
}

// untrusted counts an assertion that is not trusted, and tells the server's own log why, as long as not too many come from one network.
func (x *exchange) untrusted(p guard.WorkloadProof, err error) {
	f := fault.Of(err)
	if f == nil || f.Code != "untrusted_issuer" {
		return
	}
	now := x.Guard.Now()
	x.failures.hit(x.from, now)
	if x.noted.Take(x.from.client, now) == 0 {
		x.Log.Warn("an assertion of another platform's is not trusted", "workspace", p.Workspace.String(), "from", p.IP, "reason", f.Unwrap())
	}
}
