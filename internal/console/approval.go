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
	Head string
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
	v.Because = reasons(a)
	for _, u := range a.Voters {
		v.Voters = append(v.Voters, x.principal(u))
	}
	if v.Open {
		total := a.ExpiresAt.Sub(a.CreatedAt)
		rest := a.ExpiresAt.Sub(x.now)
		v.Left = &left{int(100 * rest / max(total, 1)), span(rest)}
	}
	switch f := fault.Of(a.Barred); {
	case f != nil:
		v.Barred, v.BarredTry = show(upper(f.Reason)+"."), show(f.Remedy)
	case !v.Proved:
		v.Barred = show("The chain is not proved, so nobody can approve this.")
	default:
		v.MayVote = v.Open
	}
	return v
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// reasons says what permits the call, that the chain covers it, and which gate asks.
func reasons(a guard.Asked) (all []because) {
	if a.Why != nil && len(a.Why.Reasons) > 0 {
		all = append(all, because{"ok", "Policy permits it.", show("By " + strings.Join(a.Why.Reasons, ", ") + ".")})
	}
	if n := len(a.Chain); n > 0 {
		text := fmt.Sprintf("Each of the %d delegations between %s and the agent that asks covers this call with these arguments.", n, a.Object.Subject)
		if n == 1 {
			text = fmt.Sprintf("What %s lent covers this call with these arguments.", a.Object.Subject)
		}
		all = append(all, because{"ok", "The chain permits it.", show(text)})
	}
	gate := a.Object.Gate + " asks for approval by " + flowWords(a.Approval)
	if a.Reason != "" {
		gate += ": " + a.Reason
	}
	return append(all, because{"wait", "A gate asks.", show(gate)})
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
