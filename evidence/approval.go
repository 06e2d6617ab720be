package evidence

import (
	"bytes"
	"slices"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Approval is what people are asked to approve: exactly this call, by this chain, under this gate. Its digest is what votes sign and what the
// permit is held to, so nothing can be changed between the vote and the act (policy.md §6).
type Approval struct {
	Issuer     string
	Workspace  id.Workspace
	Gate       string      // id of the policy that asks
	GateSHA256 id.Digest   // of its source
	Flow       string      // who must agree: "<n> of <role>"
	FlowSHA256 id.Digest   // of the flow's source; of that text itself where it is one
	Actor      string      // the agent that acts, or the person who acts without one
	Instance   id.Key      // only where the gate binds it
	Subject    id.User     // the person at the chain's root; zero where the agent acts for nobody
	Chain      []id.Digest // of the statements, the root first
	Task       string
	Action     string
	Resource   Resource
	Pin        id.Digest
	Binds      []string  // {"args"}
	ArgsSHA256 id.Digest // of the RFC 8785 form of the arguments
	Call       id.Digest // CallDigest; zero for what is no MCP call
}

// approvalV1 is the stored form: absent members are null.
type approvalV1 struct {
	V          int          `json:"v"`
	Typ        string       `json:"typ"`
	Issuer     string       `json:"iss"`
	Workspace  id.Workspace `json:"ws"`
	Gate       string       `json:"gate"`
	GateSHA256 id.Digest    `json:"gate_sha256"`
	Flow       string       `json:"flow"`
	FlowSHA256 id.Digest    `json:"flow_sha256"`
	Actor      string       `json:"actor"`
	Instance   *id.Key      `json:"instance"`
	Subject    *id.User     `json:"subject"`
	Chain      []id.Digest  `json:"chain"`
	Task       *string      `json:"task"`
	Action     string       `json:"action"`
	Resource   Resource     `json:"resource"`
	Pin        *id.Digest   `json:"pin"`
	Binds      []string     `json:"binds"`
	ArgsSHA256 *id.Digest   `json:"args_sha256"`
	Call       *id.Digest   `json:"call"`
}

const (
	typApproval = "attorn-approval"
	maxApproval = 16 << 10 // bytes
)

// Bytes is the approval's one form: RFC 8785. Codes: malformed, too_large.
func (a Approval) Bytes() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	b, err := jose.Canonical(approvalV1{
		1, typApproval, a.Issuer, a.Workspace, a.Gate, a.GateSHA256, a.Flow, a.FlowSHA256, a.Actor, orNull(a.Instance), orNull(a.Subject),
		a.Chain, orNull(a.Task), a.Action, a.Resource, orNull(a.Pin), a.Binds, orNull(a.ArgsSHA256), orNull(a.Call),
	})
	if err == nil && len(b) > maxApproval {
		err = fault.New(fault.TooLarge, "too_large", "what is asked has at most %d bytes, not %d", maxApproval, len(b))
	}
	return b, err
}

// Digest is the SHA-256 of Bytes: at most one live approval has it.
func (a Approval) Digest() (id.Digest, error) {
	b, err := a.Bytes()
	if err != nil {
		return id.Digest{}, err
	}
	return id.Sum(b), nil
}

// ParseApproval reads exactly what Bytes writes. Codes: malformed, too_large.
func ParseApproval(raw []byte) (Approval, error) {
	var w approvalV1
	if err := jose.Decode(raw, &w, jose.Limits{Bytes: maxApproval}); err != nil {
		return Approval{}, err
	}
	a := Approval{
		w.Issuer, w.Workspace, w.Gate, w.GateSHA256, w.Flow, w.FlowSHA256, w.Actor, orZero(w.Instance), orZero(w.Subject),
		w.Chain, orZero(w.Task), w.Action, w.Resource, orZero(w.Pin), w.Binds, orZero(w.ArgsSHA256), orZero(w.Call),
	}
	again, err := a.Bytes()
	if err != nil {
		return Approval{}, err
	}
	if !bytes.Equal(again, raw) {
		return Approval{}, fault.New(fault.Invalid, "malformed", "what is asked is not in RFC 8785 form")
	}
	return a, nil
}

func (a Approval) check() error {
	bad := func(reason string) error { return fault.New(fault.Invalid, "malformed", "an approval %s", reason) }
	switch {
	case a.Issuer == "" || a.Workspace.IsZero() || a.Gate == "" || a.GateSHA256.IsZero() || a.Flow == "" || a.FlowSHA256.IsZero():
		return bad("names its issuer, workspace, gate and flow")
	case a.Actor == "" || a.Action == "" || a.Resource.Type == "" || a.Resource.ID == "":
		return bad("names who does what to which resource")
	case !slices.Equal(a.Binds, []string{"args"}) || a.ArgsSHA256.IsZero():
		return bad("binds all arguments")
	case len(a.Chain) > 0 && a.Subject.IsZero():
		return bad("with a chain has a person at its root")
	}
	return nil
}

// differs names the first member in which two approvals differ; "" where they are the same.
func (a Approval) differs(b Approval) string {
	for _, m := range []struct {
		name string
		same bool
	}{
		{"iss", a.Issuer == b.Issuer},
		{"ws", a.Workspace == b.Workspace},
		{"gate", a.Gate == b.Gate && a.GateSHA256 == b.GateSHA256},
		{"flow", a.Flow == b.Flow && a.FlowSHA256 == b.FlowSHA256},
		{"actor", a.Actor == b.Actor},
		{"instance", a.Instance == b.Instance},
		{"subject", a.Subject == b.Subject},
		{"chain", slices.Equal(a.Chain, b.Chain)},
		{"task", a.Task == b.Task},
		{"action", a.Action == b.Action},
		{"resource", a.Resource == b.Resource},
		{"pin", a.Pin == b.Pin},
		{"args", slices.Equal(a.Binds, b.Binds) && a.ArgsSHA256 == b.ArgsSHA256},
		{"call", a.Call == b.Call},
	} {
		if !m.same {
			return m.name
		}
	}
	return ""
}
