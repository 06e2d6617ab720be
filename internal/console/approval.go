package console

import (
	"fmt"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/guard"
)

// approvalView is the page of one approval: what would run, why somebody is asked, on whose authority, and the vote.
type approvalView struct {
	approvalRow
	Open      bool // votes count
	Class     string
	Hops      []hop
	Caption   string
	Proved    bool
	Because   []because
	Votes     []voteRow
	Need      int
	Voters    []principal
	Recovered []recovery
	MayVote   bool
	Barred    shown
	BarredTry shown
	Left      *left
	Signed    []signedField
	Digest    string
	Workspace string
	Event     string // that asked
	Elsewhere string
}

// because is one reason for the question.
type because struct {
	Kind string // ok, wait
	Head shown
	Text shown
}

// left is the time that remains for votes: a ring, and its text.
type left struct {
	Percent int
	Text    string
}

// signedField is one member of what a vote signs.
type signedField struct {
	Name  string
	Value shown
}

func approvalPage(x *request) (view, error) {
	a, err := id.Parse[id.Approval](x.r.PathValue("id"))
	if err != nil {
		return view{}, missing("there is no such approval")
	}
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	asked, err := p.Asked(x.ctx, a)
	if err != nil {
		return view{}, err
	}
	has, err := p.Passkeys(x.ctx)
	if err != nil {
		return view{}, err
	}
	v := x.approvalView(asked)
	v.Elsewhere = x.elsewhere()
	if v.MayVote && len(has) == 0 {
		v.MayVote, v.Barred, v.BarredTry = false, show("You may vote, but you have no passkey to sign with."), show("Make one.")
	}
	return view{Name: "approval", Title: "Approval", Data: v}, nil
}

func (x *request) approvalView(a guard.Asked) approvalView {
	v := approvalView{
		approvalRow: x.approvalRow(a.Approval), Open: a.StatusAt(x.now) == approvals.Pending, Class: a.Tool.Class, Hops: x.hops(a), Votes: x.votes(a.Votes),
		Need: a.Quorum - len(a.Votes), Digest: a.Digest.String(), Workspace: a.Object.Workspace.String(), Event: a.Asked.String(), Signed: signedFields(a.Approval),
	}
	risk := riskPill(a.Tool.Class)
	v.Risk = &risk
	v.Caption, v.Proved = caption(a)
	v.Because = x.reasons(a)
	for _, u := range a.Voters {
		v.Voters = append(v.Voters, x.principal(u))
	}
	for _, p := range a.Recovered {
		if r := x.recoveryOf(p); r != nil {
			v.Recovered = append(v.Recovered, *r)
		}
	}
	if v.Open {
		total := a.ExpiresAt.Sub(a.CreatedAt)
		rest := a.ExpiresAt.Sub(x.now)
		v.Left = &left{int(100 * rest / max(total, 1)), span(rest)}
	}
	switch f := fault.Of(a.Barred); {
	case f != nil:
		v.Barred, v.BarredTry = show(sentence(f.Reason)), show(sentence(f.Remedy))
	case !v.Proved:
		v.Barred = show("It is not proved, so nobody can approve it.")
	default:
		v.MayVote = v.Open
	}
	return v
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if s = strings.ToUpper(s[:1]) + s[1:]; strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// reasons says that policy and the chain permit the call, and which gate asks.
func (x *request) reasons(a guard.Asked) []because {
	all := []because{{"ok", show("Policy permits it"), show("once the gate below is lifted.")}}
	if n := len(a.Chain); n > 0 {
		by := x.principal(a.Object.Subject.String())
		text := fmt.Sprintf("with these arguments: each of the %d delegations between %s (%s) and the agent that asks covers them.", n, by.Name, by.ID)
		if n == 1 {
			text = fmt.Sprintf("with these arguments: what %s (%s) lent covers them.", by.Name, by.ID)
		}
		all = append(all, because{"ok", show("The chain permits it"), show(text)})
	}
	gate := fmt.Sprintf("for approval by %s.", flowWords(a.Approval))
	if a.Reason != "" {
		gate += " It says: “" + a.Reason + "”"
	}
	return append(all, because{"wait", show("The gate " + a.Object.Gate + " asks"), show(gate)})
}

// signedFields lists every member of the object that a vote is bound to.
func signedFields(a approvals.Approval) []signedField {
	o := a.Object
	var chain []string
	for _, d := range o.Chain {
		chain = append(chain, d.String())
	}
	all := []signedField{
		{"approval", show(a.ID.String())},
		{"object", show(a.Digest.String())},
		{"issuer", show(o.Issuer)},
		{"workspace", show(o.Workspace.String())},
		{"action", show(o.Action)},
		{"resource", show(o.Resource.Type + "::" + o.Resource.ID)},
		{"definition", show(o.Pin.String())},
		{"arguments", show(o.ArgsSHA256.String())},
		{"call", show(o.Call.String())},
		{"actor", show(o.Actor)},
		{"instance", show(o.Instance.String())},
		{"subject", show(o.Subject.String())},
		{"chain", show(strings.Join(chain, " "))},
		{"task", show(o.Task)},
		{"gate", show(o.Gate + " " + o.GateSHA256.String())},
		{"flow", show(o.Flow + " " + o.FlowSHA256.String())},
	}
	given := all[:0]
	for _, f := range all {
		if len(f.Value) > 0 {
			given = append(given, f)
		}
	}
	return given
}
